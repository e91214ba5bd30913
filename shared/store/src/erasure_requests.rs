//! Opening a request: the same one twice is one, and whether somebody is known is nobody's to learn.

use std::{collections::BTreeSet, time::Duration};

use domain::{
    ConfirmationCode, Erasure, Identity, Subject, SubjectKey, Timestamp,
    erasure::{Door, Promise, State},
    subject::Kind,
};

use crate::{Belongings, ErasureEntry, Erasures, StoreError, Table, Target};

/// For so long after a request is done, another about the same person is taken for the same if nothing new is known of them.
const SAME: Duration = Duration::from_secs(86_400);

/// Opens requests.
#[derive(Clone, Debug)]
pub struct ErasureRequests {
    erasures: Erasures,
    belongings: Belongings,
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
        Self { erasures, belongings, key, table, promise }
    }

    /// The days it goes by.
    pub fn promise(&self) -> &Promise {
        &self.promise
    }

    /// Asks for the erasure of whom `target` names. Open already, it is that request; done, and nothing new is known since, it
    /// is that one as well.
    pub async fn ask(&self, door: Door, target: Target, asked_at: Timestamp) -> Result<Asked, StoreError> {
        let (known, pointers) = self.pointers(&target).await?;
        let before = self.erasures.about(&pointers).await?;
        if let Some(before) = &before
            && self.is_the_same(&before.erasure, door, known)
        {
            return Ok(Asked { entry: self.made_certain(before.clone(), door).await?, is_new: false });
        }
        let mut erasure = Erasure::open(ConfirmationCode::mint(), door, asked_at, &self.promise);
        if let Some(quiet_since) = target.quiet_since {
            // What they may have sent since is not meant.
            erasure.confirmed_at = Some(quiet_since);
        }
        let code = erasure.code.clone();
        let unless = before.as_ref().map(|before| &before.erasure.code);
        let entry = self.erasures.open(erasure, &pointers, &target, unless).await?;
        let is_new = entry.erasure.code == code;
        Ok(Asked { entry, is_new })
    }

    /// A request that could still be withdrawn cannot any more once somebody asks whose word needs no confirmation.
    async fn made_certain(&self, entry: ErasureEntry, door: Door) -> Result<ErasureEntry, StoreError> {
        if matches!(door, Door::Agent | Door::Customer | Door::Retention) {
            return Ok(entry);
        }
        let Ok(certain) = entry.erasure.clone().confirm(self.table.now()) else { return Ok(entry) };
        // Whoever writes in between has confirmed it, too, or has withdrawn it just before.
        let (Ok(saved) | Err(saved)) = self.erasures.save(&entry, certain).await?;
        Ok(saved)
    }

    /// The latest request about somebody.
    pub async fn known(&self, target: &Target) -> Result<Option<ErasureEntry>, StoreError> {
        let (_, pointers) = self.pointers(target).await?;
        self.erasures.about(&pointers).await
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

    /// Under what a request about them is found again, and whether anything is known of them.
    async fn pointers(&self, target: &Target) -> Result<(bool, BTreeSet<Subject>), StoreError> {
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
        let contact = |(account, contact): &(domain::AccountId, domain::ContactId)| {
            self.key.subject_of_all(Kind::Item, ["contact", &account.to_string(), &contact.to_string()])
        };
        pointers.extend(target.contacts.iter().map(contact));
        let known = if target.administrators.is_empty() {
            !found.customers.is_empty()
        } else {
            !self.belongings.keys(&found).await?.is_empty()
        };
        Ok((known, pointers))
    }
}

impl Target {
    /// Whom an event names.
    pub fn of(identity: &Identity) -> Self {
        let phones = [&identity.phone, &identity.wa_id].into_iter().flatten().cloned().collect();
        let users = [&identity.user_id, &identity.parent].into_iter().flatten().cloned().collect();
        Self { phones, users, ..Self::default() }
    }
}
