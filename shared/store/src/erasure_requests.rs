//! Opening a request: the same one twice is one, and whether somebody is known is nobody's to learn.

use std::{collections::BTreeSet, time::Duration};

use domain::{
    AccountId, ConfirmationCode, Erasure, Subject, SubjectKey, Timestamp,
    erasure::{Door, Promise, State},
    subject::Kind,
};

use crate::{Belongings, ErasureEntry, Erasures, StoreError, Table, Target, Tombstones};

/// For so long after a request is done, another about the same person is taken for the same if nothing new is known of them.
const SAME: Duration = Duration::from_secs(86_400);

/// How far back a request reaches that a deleted contact opened, where no message of theirs is known to stand in Chatwoot: what is
/// older comes from nowhere any more.
const NOTHING_STOOD: Duration = Duration::from_secs(15 * 86_400);

const SECOND: Duration = Duration::from_secs(1);

/// So often somebody else may come between before a later try has to do.
const TRIES: usize = 8;

/// Opens requests.
#[derive(Clone, Debug)]
pub struct ErasureRequests {
    erasures: Erasures,
    belongings: Belongings,
    tombstones: Tombstones,
    key: SubjectKey,
    table: Table,
    promise: Promise,
}

/// What came of asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The request.
    pub entry: ErasureEntry,
    /// Whether it was opened just now.
    pub is_new: bool,
}

impl ErasureRequests {
    /// In this table, by these days.
    pub fn new(table: Table, key: SubjectKey, promise: Promise) -> Self {
        let (erasures, belongings) = (Erasures::new(table.clone()), Belongings::new(table.clone(), key.clone()));
        let tombstones = Tombstones::new(table.clone(), key.clone());
        Self { erasures, belongings, tombstones, key, table, promise }
    }

    /// The days it goes by.
    pub fn promise(&self) -> &Promise {
        &self.promise
    }

    /// Asks for the erasure of whom `target` names. Open already, it is that request; done, and nothing new is known since, it
    /// is that one as well.
    ///
    /// Of somebody whose contact is gone from Chatwoot only what can have stood there is meant. What they sent after the newest
    /// message that did is on its way, whoever noticed, and starts clean.
    pub async fn ask(&self, door: Door, mut target: Target, asked_at: Timestamp) -> Result<Asked, StoreError> {
        let (known, stood_at, pointers) = self.pointers(&target).await?;
        if door == Door::Chatwoot {
            let newest = stood_at.unwrap_or(asked_at - NOTHING_STOOD);
            // What was sent in the second of what woke it is not meant either: Meta tells whole seconds.
            target.spares = Some(target.spares.map_or(newest, |woke| newest.min(woke - SECOND)));
        }
        let own = self.within(target.only, &pointers);
        for _ in 0..TRIES {
            let pointed = self.erasures.pointed(&own).await?;
            let mut before = self.erasures.foremost(&pointed).await?;
            before = before.filter(|before| self.is_the_same(&before.erasure, door, known));
            if target.only.is_some() && before.as_ref().is_none_or(|before| before.erasure.is_closed()) {
                // One that means every account means this one, too.
                let wider = self.erasures.foremost(&self.erasures.pointed(&pointers).await?).await?;
                let wider = wider.filter(|wider| self.is_the_same(&wider.erasure, door, known));
                before = wider.filter(|wider| before.is_none() || !wider.erasure.is_closed()).or(before);
            }
            if let Some(before) = before {
                if !before.erasure.is_closed() {
                    self.erasures.point(&pointed, &before.erasure.code).await?;
                }
                let entry = self.made_certain(before, door, target.spares).await?;
                self.name_again(&entry, &target).await?;
                return Ok(Asked { entry, is_new: false });
            }
            if let Some(entry) = self.widened(door, &target, &pointers).await? {
                self.erasures.point(&pointed, &entry.erasure.code).await?;
                return Ok(Asked { entry, is_new: false });
            }
            let mut erasure = Erasure::open(ConfirmationCode::mint(), door, asked_at, self.table.now(), &self.promise);
            if let Some(quiet_since) = target.quiet_since {
                // What they may have sent since is not meant.
                erasure.confirmed_at = Some(quiet_since);
            }
            if let Some(spares) = target.spares {
                erasure = erasure.up_to(spares).sealed(asked_at);
            }
            if let Some(entry) = self.erasures.open(&erasure, &pointed, &target).await? {
                return Ok(Asked { entry, is_new: true });
            }
        }
        Err(StoreError::Contended)
    }

    /// A request about one account that nobody has begun means all of them once somebody asks who means all. One that is underway
    /// stays what it is, beside the new one; so does what only time asked for.
    async fn widened(
        &self,
        door: Door,
        target: &Target,
        pointers: &BTreeSet<Subject>,
    ) -> Result<Option<ErasureEntry>, StoreError> {
        if target.only.is_some() || !target.administrators.is_empty() || door == Door::Retention {
            return Ok(None);
        }
        for account in self.belongings.accounts().await? {
            let pointed = self.erasures.pointed(&self.within(Some(account), pointers)).await?;
            let Some(entry) = self.erasures.foremost(&pointed).await? else { continue };
            let now = entry.erasure.clone().at(self.table.now());
            if now.is_closed() || now.door == Door::Retention {
                continue;
            }
            self.name_again(&entry, target).await?;
            if !matches!(now.state, State::Received { .. } | State::Confirmed { .. }) {
                continue;
            }
            let code = &entry.erasure.code;
            let Some(theirs) = self.erasures.target(code).await? else { continue };
            if theirs.only.is_none() {
                return Ok(Some(self.made_certain(entry, door, None).await?));
            }
            let mut wide = Target { only: None, gathered: false, barred: false, ..theirs };
            wide.phones.extend(target.phones.iter().cloned());
            wide.users.extend(target.users.iter().cloned());
            wide.customers.extend(target.customers.iter().cloned());
            let certain = entry.erasure.clone().confirm(self.table.now()).ok().filter(|_| is_certain(door));
            let certain = certain.unwrap_or_else(|| entry.erasure.clone());
            // Somebody who writes in between has begun, or has withdrawn it.
            if let Ok(entry) = self.erasures.save_about(&entry, certain, Some(&wide)).await? {
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }

    /// A request that could still be withdrawn cannot any more once somebody asks whose word needs no confirmation.
    async fn made_certain(
        &self,
        entry: ErasureEntry,
        door: Door,
        spares: Option<Timestamp>,
    ) -> Result<ErasureEntry, StoreError> {
        if !is_certain(door) {
            return Ok(entry);
        }
        let meant = entry.erasure.clone();
        let meant = spares.map_or(meant.clone(), |spares| meant.up_to(spares));
        let Ok(certain) = meant.confirm(self.table.now()) else { return Ok(entry) };
        let mut target = if spares.is_some() { self.erasures.target(&entry.erasure.code).await? } else { None };
        if let Some(target) = &mut target {
            target.spares = spares;
        }
        // Whoever writes in between has confirmed it, too, or has withdrawn it just before.
        let (Ok(saved) | Err(saved)) = self.erasures.save_about(&entry, certain, target.as_ref()).await?;
        Ok(saved)
    }

    /// Bars everything that is known of whom a request is about, as soon as it is certain: what they write from then on waits until
    /// it is done, and nothing newer goes with what is erased. To be done once somebody was woken: what is barred does not come this
    /// way again. Where it is not done, it is when the erasure begins, and then what was written before that is erased as well.
    pub async fn bar(&self, entry: &ErasureEntry) -> Result<(), StoreError> {
        let erasure = &entry.erasure;
        if !matches!(erasure.state, State::Confirmed { .. }) || erasure.door == Door::Retention {
            return Ok(());
        }
        let target = self.erasures.target(&erasure.code).await?;
        let Some(mut target) = target.filter(|target| !target.barred) else { return Ok(()) };
        self.belongings.gather(&mut target).await?;
        // What came in until now stands with what is erased, as far as it is meant.
        let certain = erasure.clone().sealed(self.table.now());
        if certain != *erasure && self.erasures.save(entry, certain.clone()).await?.is_err() {
            // Somebody has begun, and bars them.
            return Ok(());
        }
        self.tombstones.bury_all(&certain, &target, true).await?;
        self.erasures.set_barred(&erasure.code).await
    }

    /// A request whose names stayed behind in a table that was put back is named once more.
    async fn name_again(&self, entry: &ErasureEntry, named: &Target) -> Result<(), StoreError> {
        if entry.erasure.is_closed() || (named.phones.is_empty() && named.users.is_empty()) {
            return Ok(());
        }
        let target = self.erasures.target(&entry.erasure.code).await?;
        let Some(mut target) = target.filter(Target::is_unnamed) else { return Ok(()) };
        target.phones.extend(named.phones.iter().cloned());
        target.users.extend(named.users.iter().cloned());
        target.gathered = false;
        self.erasures.set_target(&entry.erasure.code, &target).await
    }

    /// The latest request about somebody.
    pub async fn known(&self, target: &Target) -> Result<Option<ErasureEntry>, StoreError> {
        let (_, _, mut pointers) = self.pointers(target).await?;
        pointers.extend(self.within(target.only, &pointers));
        self.erasures.foremost(&self.erasures.pointed(&pointers).await?).await
    }

    /// The request about somebody, if there is one that is open.
    pub async fn open_about(&self, target: &Target) -> Result<Option<ErasureEntry>, StoreError> {
        let found = self.known(target).await?;
        Ok(found.filter(|entry| !entry.erasure.clone().at(self.table.now()).is_closed()))
    }

    fn is_the_same(&self, before: &Erasure, door: Door, known: bool) -> bool {
        if before.door == Door::Retention && door != Door::Retention {
            // Whoever asks means everything up to now, and is not let off by writing again.
            return false;
        }
        match before.clone().at(self.table.now()).state {
            State::Withdrawn { .. } => false,
            State::Done { at } => !known && (door == Door::Meta || self.table.now().since(at) < SAME),
            _ => true,
        }
    }

    /// The same for a request about one account, which another account's must not meet.
    fn within(&self, only: Option<AccountId>, pointers: &BTreeSet<Subject>) -> BTreeSet<Subject> {
        let Some(account) = only.map(|account| account.to_string()) else { return pointers.clone() };
        let within = |pointer: &Subject| self.key.subject_of_all(Kind::Item, ["within", &account, pointer.as_str()]);
        pointers.iter().map(within).collect()
    }

    /// Under what a request about them is found again, whether anything is known of them, and when the newest message was sent that
    /// is known to stand in Chatwoot.
    async fn pointers(&self, target: &Target) -> Result<(bool, Option<Timestamp>, BTreeSet<Subject>), StoreError> {
        let mut found = target.clone();
        self.belongings.gather(&mut found).await?;
        let mut pointers: BTreeSet<Subject> = target.aliases.clone();
        let phones = target.phones.iter().map(|phone| self.key.subject(Kind::Phone, &phone.canonical()));
        let users = target.users.iter().map(|user| self.key.subject(Kind::User, user.as_str()));
        pointers.extend(phones.chain(users));
        let customer =
            |customer: &domain::CustomerId| self.key.subject_of_all(Kind::Item, ["customer", customer.as_str()]);
        pointers.extend(found.customers.iter().map(customer));
        pointers.extend(target.administrators.iter().cloned());
        let contact = |(account, contact): &(AccountId, domain::ContactId)| {
            self.key.subject_of_all(Kind::Item, ["contact", &account.to_string(), &contact.to_string()])
        };
        pointers.extend(target.contacts.iter().map(contact));
        let known = if target.administrators.is_empty() {
            !found.customers.is_empty()
        } else {
            !self.belongings.keys(&found).await?.is_empty()
        };
        Ok((known, found.stood_at, pointers))
    }
}

/// Whether the word of this door needs no confirmation.
fn is_certain(door: Door) -> bool {
    !matches!(door, Door::Agent | Door::Customer | Door::Retention)
}
