//! Resolves aliases to customers.
//! What Meta says about a person moves aliases. Each move is one transaction, which succeeds only if everything is still as it
//! was read.
//!
//! The user id decides. A phone that comes with another user id was given to another person: it leaves its former owner. A
//! customer known by phone alone is merged with the one whose user id comes with that phone, since nothing contradicts it.

use std::{collections::HashMap, ops::ControlFlow};

use domain::{
    AccountId, Alias, CustomerId, Identity, KeyedHash, Timestamp,
    keyed_hash::{AliasKind, Person},
};
use serde_dynamo::aws_sdk_dynamodb_1::from_item;

use crate::{
    CustomerStore, StoreError,
    customer::aliases::{AliasRow, AliasWrites, CustomerRow, CustomerUpdate, alias_key, customer_key},
    keys::ItemKey,
    table::{Item, ItemUpdate, integer, text},
    versioned::until_written_from,
};

/// Merges form chains only when people change numbers back and forth.
const MAX_MERGE_HOPS: usize = 8;

/// A person's aliases in an event, and what the table knows of them. A caller that has it need not read it again: a write based
/// on it succeeds only if what is written, and what leads to the customer, are still as they were read.
#[derive(Clone, Debug)]
pub struct ResolvedAliases {
    account: AccountId,
    aliases: Vec<Alias>,
    rows: HashMap<KeyedHash<Person>, AliasRow>,
}

impl ResolvedAliases {
    /// Made from the items of these aliases.
    pub(crate) fn new(account: AccountId, aliases: &[Alias], items: Vec<Item>) -> Result<Self, StoreError> {
        let mut rows = HashMap::new();
        for item in items {
            if let Some(ItemKey::Alias(_, alias)) = ItemKey::of(&item) {
                rows.insert(alias, from_item(item)?);
            }
        }
        Ok(Self { account, aliases: aliases.to_vec(), rows })
    }

    /// Whether it was read for this account.
    pub fn is_of(&self, account: AccountId) -> bool {
        self.account == account
    }

    pub(crate) fn row(&self, alias: &Alias) -> Option<&AliasRow> {
        self.rows.get(&alias.subject)
    }

    /// The row of an alias, if it leads to a customer for what was sent at that time.
    pub(crate) fn at(&self, alias: &Alias, at: Timestamp) -> Option<&AliasRow> {
        self.row(alias).filter(|row| row.leads_at(at))
    }

    fn first<'a>(&self, aliases: impl IntoIterator<Item = &'a Alias>, at: Timestamp) -> Option<&AliasRow> {
        aliases.into_iter().find_map(|alias| self.at(alias, at))
    }

    fn is_given_up(&self, alias: &Alias) -> bool {
        self.row(alias).is_some_and(|row| row.given_up.is_some())
    }
}

/// The aliases that name a person, and those that only reach one.
pub(crate) fn parted(aliases: &[Alias]) -> (Vec<&Alias>, Vec<&Alias>) {
    aliases.iter().partition(|alias| alias.kind != AliasKind::Phone)
}

impl CustomerStore {
    /// The customer with an identity seen at that time. Creates one if there is none yet.
    pub async fn identify(
        &self,
        account: AccountId,
        identity: &Identity,
        at: Timestamp,
    ) -> Result<CustomerId, StoreError> {
        self.identify_known(self.look_up(account, &identity.aliases(&self.key)).await?, at).await
    }

    /// The same, for aliases that were looked up already.
    pub async fn identify_known(&self, known: ResolvedAliases, at: Timestamp) -> Result<CustomerId, StoreError> {
        self.identify_joining(known, at).await.map(|(customer, _)| customer)
    }

    /// The same, and whether another customer turned out to be this one.
    pub async fn identify_joining(
        &self,
        known: ResolvedAliases,
        at: Timestamp,
    ) -> Result<(CustomerId, bool), StoreError> {
        until_written_from(known, |known| async move {
            Ok(match self.try_identify(&known, at).await? {
                Some(customer) => ControlFlow::Break(customer),
                None => ControlFlow::Continue(self.look_up(known.account, &known.aliases).await?),
            })
        })
        .await
    }

    /// The customer with an identity, if there is one. A phone that was given up leads to no customer.
    pub async fn find(&self, account: AccountId, identity: &Identity) -> Result<Option<CustomerId>, StoreError> {
        let aliases = identity.aliases(&self.key);
        let known = self.look_up(account, &aliases).await?;
        let row = aliases.iter().filter(|alias| !known.is_given_up(alias)).find_map(|alias| known.row(alias));
        Ok(row.map(|row| row.customer.clone()))
    }

    /// Whether the bridge made this id.
    pub async fn is_ours(&self, customer: &CustomerId) -> Result<bool, StoreError> {
        Ok(self.row(customer).await?.is_some())
    }

    /// The customer this one was merged into; mostly itself.
    pub async fn survivor(&self, customer: &CustomerId) -> Result<CustomerId, StoreError> {
        let mut survivor = customer.clone();
        for _ in 0..MAX_MERGE_HOPS {
            match self.row(&survivor).await?.and_then(|row| row.joined_to) {
                Some(next) => survivor = next,
                None => break,
            }
        }
        Ok(survivor)
    }

    /// The customers that were merged into this one.
    pub async fn joined(&self, customer: &CustomerId) -> Result<Vec<CustomerId>, StoreError> {
        Ok(self.row(customer).await?.map(|row| row.joined).unwrap_or_default())
    }

    /// Records further ids of this customer; tells whether another customer turned out to be them. Meta named them in a report about something we sent to them.
    pub async fn learn(
        &self,
        account: AccountId,
        customer: &CustomerId,
        identity: &Identity,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let known = self.look_up(account, &identity.aliases(&self.key)).await?;
        self.learn_known(customer, known, at).await
    }

    /// The same, for aliases that were looked up already.
    pub async fn learn_known(
        &self,
        customer: &CustomerId,
        known: ResolvedAliases,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let (account, all) = (known.account, &known.aliases);
        if all.iter().any(|alias| alias.kind == AliasKind::Group) || all.is_empty() {
            return Ok(false);
        }
        // The report may be about something sent before the number was given up, so it must not take that number back.
        let aliases: Vec<Alias> = all.iter().filter(|alias| !known.is_given_up(alias)).cloned().collect();
        let (ids, phones) = parted(&aliases);
        if !ids.is_empty() && !phones.is_empty() {
            return self.identify_joining(known, at).await.map(|(_, joins)| joins);
        }
        // One kind of alias alone says nothing about any other customer: it is only written where it is free.
        let free: Vec<&Alias> = aliases.iter().filter(|alias| known.row(alias).is_none()).collect();
        let mut writes = AliasWrites::new(self, account, at);
        if let (Some(id), true) = (ids.first(), free.len() == aliases.len()) {
            if self.row(customer).await?.is_none_or(|row| row.user.is_some()) {
                return Ok(false);
            }
            writes.update(customer, &CustomerUpdate { user: Some(*id), ..CustomerUpdate::default() })?;
        } else if !ids.is_empty() {
            return Ok(false);
        }
        for alias in free {
            writes.attach(alias, None, customer)?;
        }
        if ids.is_empty() && !writes.is_empty() {
            writes.exists(customer)?;
        }
        // If another writer came between, that write knows better.
        writes.commit().await.map(|_| false)
    }

    async fn try_identify(
        &self,
        known: &ResolvedAliases,
        at: Timestamp,
    ) -> Result<Option<(CustomerId, bool)>, StoreError> {
        let (account, aliases) = (known.account, known.aliases.as_slice());
        let (ids, phones) = parted(aliases);
        let phone = phones.first().copied();
        let mut changes = CustomerUpdate::default();
        let (by_id, by_phone) = (known.first(ids.iter().copied(), at), known.first(phones.iter().copied(), at));
        let customer = match (ids.first(), by_id, by_phone) {
            (_, Some(row), _) | (None, None, Some(row)) => row.customer.clone(),
            // It was sent before the owner changed to another number, and so with the user id of that time.
            (Some(id), None, Some(row)) if row.given_up.is_some() => {
                if row.nameless {
                    changes.former = true;
                    changes.user = (!self.has_user(&row.customer).await?).then_some(*id);
                    row.customer.clone()
                } else {
                    changes.user = Some(*id);
                    changes.create()
                }
            }
            (Some(id), None, Some(row)) => {
                changes.user = Some(*id);
                changes.by_phone = phone;
                if self.may_take(&row.customer, phone, at).await? { row.customer.clone() } else { changes.create() }
            }
            (id, None, None) => {
                changes.user = id.copied();
                changes.create()
            }
        };
        let mut writes = AliasWrites::new(self, account, at);
        for alias in aliases {
            match known.row(alias) {
                None => writes.attach(alias, None, &customer)?,
                Some(row) if !row.leads_at(at) => writes.attach(alias, Some(row), &customer)?,
                Some(row) if row.customer == customer => {
                    if row.nameless && !ids.is_empty() {
                        writes.name(alias, row)?;
                    }
                }
                // Another customer has the phone, and the user id decides; but an older event takes nothing back.
                Some(row) if Some(alias) == phone && !ids.is_empty() => {
                    if !self.has_user(&row.customer).await? {
                        if row.given_up.is_some() {
                            changes.moved_to = self.row(&row.customer).await?.and_then(CustomerRow::repointed_to);
                        }
                        // The index may not show the alias yet that proves it.
                        writes.repoint(alias, row, &customer)?;
                        writes.merge(&row.customer, &customer, &mut changes, false).await?;
                    } else if at >= row.since && row.given_up.is_none() {
                        writes.repoint(alias, row, &customer)?;
                    }
                }
                Some(_) => {}
            }
        }
        if writes.is_empty() && !changes.is_any() {
            let row = known.first(aliases, at).ok_or(StoreError::Contended)?;
            self.keep_alive(account, aliases, row).await?;
            return Ok(Some((customer, false)));
        }
        // If they were erased or merged since, what is written now would lead to no customer.
        let leads = aliases.iter().find_map(|alias| Some((alias, known.at(alias, at)?)));
        if let Some((alias, row)) = leads.filter(|(_, row)| row.customer == customer) {
            writes.assert_unchanged(alias, row)?;
        }
        if changes.is_any() {
            writes.update(&customer, &changes)?;
        }
        let joins = !changes.joined.is_empty();
        Ok(writes.commit().await?.then_some((customer, joins)))
    }

    /// Whether the owner of a phone may be the person a new user id belongs to.
    async fn may_take(&self, owner: &CustomerId, phone: Option<&Alias>, at: Timestamp) -> Result<bool, StoreError> {
        let Some(owner) = self.row(owner).await? else { return Ok(true) };
        let expected = phone.is_some_and(|phone| owner.expects(phone, at));
        Ok(owner.user.is_none() || expected)
    }

    pub(crate) async fn row(&self, customer: &CustomerId) -> Result<Option<CustomerRow>, StoreError> {
        self.table.get(&customer_key(customer)).await
    }

    /// Extends the life of a customer's aliases when they are active, at most once a day.
    async fn keep_alive(&self, account: AccountId, aliases: &[Alias], row: &AliasRow) -> Result<(), StoreError> {
        let end = self.table.kept_until();
        if end - row.expires_at < 86_400 {
            return Ok(());
        }
        let keys = aliases.iter().map(|alias| alias_key(account, alias)).chain([customer_key(&row.customer)]);
        for key in keys {
            let change = ItemUpdate {
                key,
                update: "SET expires_at = :end".to_owned(),
                condition: Some("customer = :customer AND attribute_not_exists(given_up)".to_owned()),
                values: Item::from([
                    (":end".to_owned(), integer(end)),
                    (":customer".to_owned(), text(row.customer.as_str())),
                ]),
            };
            self.table.change(change).await?;
        }
        Ok(())
    }

    pub(crate) async fn look_up(&self, account: AccountId, aliases: &[Alias]) -> Result<ResolvedAliases, StoreError> {
        let keys = aliases.iter().map(|alias| alias_key(account, alias)).collect();
        ResolvedAliases::new(account, aliases, self.table.get_all(keys).await?)
    }
}
