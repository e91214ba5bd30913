//! Applies a change of number or user id that Meta announces.
//! It is the same customer under a new name, and the one event that may give a customer a second user id.

use domain::{AccountId, Alias, CustomerId, Identity, Timestamp};

use crate::{
    CustomerStore, StoreError,
    customer::aliases::{AliasRow, AliasWrites, CustomerUpdate},
    customer::resolve::{ResolvedAliases, parted},
    versioned::until_written,
};

impl CustomerStore {
    /// The customer who changed from `before` to `now` at that time. Aliases of the new name lead to them; the old phone no
    /// longer does; old user ids still do. Their threads lead to the new address. Doing it again changes nothing.
    pub async fn change_number(
        &self,
        account: AccountId,
        before: &Identity,
        now: &Identity,
        at: Timestamp,
    ) -> Result<CustomerId, StoreError> {
        let (before, after) = (before.aliases(&self.key), now.aliases(&self.key));
        let customer = until_written(|| self.try_change_number(account, &before, &after, at)).await?;
        if !after.is_empty() {
            self.readdress(&customer, now, at).await?;
        }
        Ok(customer)
    }

    async fn try_change_number(
        &self,
        account: AccountId,
        before: &[Alias],
        after: &[Alias],
        at: Timestamp,
    ) -> Result<Option<CustomerId>, StoreError> {
        let mut all = [before, after].concat();
        all.sort_by(|one, other| one.subject.cmp(&other.subject));
        all.dedup();
        let known = self.look_up(account, &all).await?;
        let ((old_ids, old_phones), (new_ids, new_phones)) = (parted(before), parted(after));
        let (old_phone, new_phone) = (old_phones.first().copied(), new_phones.first().copied());
        let moved_phone = new_phone.filter(|new| old_phone.is_some_and(|old| old.subject != new.subject));

        let mut changes = CustomerUpdate { told: true, ..CustomerUpdate::default() };
        let by_old = self.former(&known, &old_ids, old_phone, at).await?;
        let was_known = by_old.is_some();
        let customer = match by_old {
            Some(customer) => customer,
            None => match self.already(&known, &new_ids, new_phone, old_ids.is_empty(), at).await? {
                Some(customer) => customer,
                None => changes.create(),
            },
        };
        changes.user = new_ids.first().copied();
        if changes.made {
            changes.user = changes.user.or(old_ids.first().copied());
        }
        let old_row = old_phone.and_then(|old| known.row(old));
        let repeated = old_row.is_some_and(|row| row.given_up.is_some_and(|end| end >= at));
        let has_user = self.has_user(&customer).await?;
        let is_expected = new_ids.is_empty() && (!has_user || (was_known && !repeated));
        changes.moved_to = moved_phone.filter(|_| is_expected).map(|phone| (phone.subject.clone(), at));

        let mut writes = AliasWrites::new(self, account, at);
        for id in &new_ids {
            match known.row(id) {
                None => writes.attach(id, None, &customer)?,
                Some(row) if row.customer == customer => {}
                // They wrote under the new name before the change was announced.
                Some(row) => {
                    writes.repoint(id, row, &customer)?;
                    writes.merge(&row.customer, &customer, &mut changes, true).await?;
                }
            }
        }
        for id in old_ids.iter().filter(|id| known.row(id).is_none()) {
            writes.attach(id, None, &customer)?;
        }
        if let Some(phone) = new_phone {
            self.take_phone(&mut writes, &known, phone, &customer, &mut changes, at).await?;
        }
        if let (Some(old), Some(_)) = (old_phone, moved_phone) {
            let gives_up = old_row.is_none_or(|row| match row.given_up {
                None => row.customer == customer && row.since <= at,
                Some(end) => end < at,
            });
            if gives_up {
                // The next person with this number is a new customer.
                let nameless = old_ids.is_empty() && !(was_known && has_user);
                writes.give_up(old, old_row, &customer, nameless)?;
            }
        }
        if changes.is_any() {
            writes.update(&customer, &changes)?;
        }
        Ok(writes.commit().await?.then_some(customer))
    }

    /// The customer who had the old name at that time.
    async fn former(
        &self,
        aliases: &ResolvedAliases,
        ids: &[&Alias],
        phone: Option<&Alias>,
        at: Timestamp,
    ) -> Result<Option<CustomerId>, StoreError> {
        if let Some(row) = ids.iter().find_map(|id| aliases.row(id)) {
            return Ok(Some(row.customer.clone()));
        }
        // If the change arrives again, the phone was given up at that very time.
        let theirs = |row: &&AliasRow| row.given_up.map_or(row.since <= at, |end| at <= end);
        let Some(row) = phone.and_then(|phone| aliases.row(phone)).filter(theirs) else { return Ok(None) };
        let another_customer = !ids.is_empty() && self.has_user(&row.customer).await?;
        Ok((!another_customer).then(|| row.customer.clone()))
    }

    /// The customer who has the new name, if they were met under it first, or the change was recorded before.
    async fn already(
        &self,
        aliases: &ResolvedAliases,
        ids: &[&Alias],
        phone: Option<&Alias>,
        phone_is_all: bool,
        at: Timestamp,
    ) -> Result<Option<CustomerId>, StoreError> {
        if let Some(row) = ids.iter().find_map(|id| aliases.row(id)) {
            return Ok(Some(row.customer.clone()));
        }
        let Some(row) = phone.and_then(|phone| aliases.at(phone, at)) else { return Ok(None) };
        let theirs = (phone_is_all && ids.is_empty()) || !self.has_user(&row.customer).await?;
        Ok(theirs.then(|| row.customer.clone()))
    }

    async fn take_phone(
        &self,
        writes: &mut AliasWrites<'_>,
        aliases: &ResolvedAliases,
        phone: &Alias,
        customer: &CustomerId,
        changes: &mut CustomerUpdate<'_>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let seen = aliases.row(phone);
        let Some(row) = seen.filter(|row| row.leads_at(at)) else { return writes.attach(phone, seen, customer) };
        if row.customer == *customer {
            return Ok(());
        }
        let met_since = row.since >= at || row.given_up.is_some();
        if met_since && !self.has_user(&row.customer).await? {
            // A customer first seen with this number since the change is the one who changed.
            writes.repoint(phone, row, customer)?;
            return writes.merge(&row.customer, customer, changes, false).await;
        }
        // A former owner loses it; a later one keeps it.
        if !met_since {
            writes.repoint(phone, row, customer)?;
        }
        Ok(())
    }

    pub(crate) async fn has_user(&self, customer: &CustomerId) -> Result<bool, StoreError> {
        Ok(self.row(customer).await?.is_some_and(|row| row.user.is_some()))
    }
}
