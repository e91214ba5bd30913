//! Opens erasure requests.
//! Asking twice for the same erasure gives one request. The answer never reveals whether a person is known.

use std::{collections::BTreeSet, time::Duration};

use domain::{
    AccountId, ConfirmationCode, Erasure, HashKey, KeyedHash, Timestamp,
    erasure::{ErasureDeadlines, ErasureState, Evidence, RequestSource},
    keyed_hash::{AliasKind, RequestPointer},
};

use crate::{
    DataInventory, DataSubject, ErasureEntry, ErasureLedger, StoreError, Table, Tombstones, versioned::until_written,
};

/// Within this time after a request is done, another about the same person counts as the same if nothing new is known of them.
const SAME_REQUEST_SPAN: Duration = Duration::from_secs(86_400);

/// If a deleted contact opened a request, and no message of the person is known to be in Chatwoot, the request covers only what
/// was sent longer ago than this. Nothing that old can still arrive.
const UNKNOWN_PERSON_SPAN: Duration = Duration::from_secs(15 * 86_400);

/// How often a request that others write meanwhile is tried.
const MAX_WITNESS_TRIES: usize = 3;

const SECOND: Duration = Duration::from_secs(1);

/// Opens requests.
#[derive(Clone, Debug)]
pub struct ErasureRequests {
    erasures: ErasureLedger,
    inventory: DataInventory,
    tombstones: Tombstones,
    key: HashKey,
    table: Table,
    deadlines: ErasureDeadlines,
}

/// The result of asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestOutcome {
    /// The request.
    pub entry: ErasureEntry,
    /// Whether it was opened just now.
    pub is_new: bool,
}

impl ErasureRequests {
    /// Requests in this table, under these deadlines.
    pub fn new(table: Table, key: HashKey, deadlines: ErasureDeadlines) -> Self {
        let (erasures, inventory) = (ErasureLedger::new(table.clone()), DataInventory::new(table.clone(), key.clone()));
        let tombstones = Tombstones::new(table.clone(), key.clone());
        Self { erasures, inventory, tombstones, key, table, deadlines }
    }

    /// The ledger it writes.
    pub fn ledger(&self) -> &ErasureLedger {
        &self.erasures
    }

    /// The deadlines that apply.
    pub fn deadlines(&self) -> &ErasureDeadlines {
        &self.deadlines
    }

    /// Asks for the erasure of the data of `subject`. If a request about them is open, that one is returned; so is one
    /// that is done, if nothing new is known since.
    ///
    /// If the person's contact was deleted from Chatwoot, the request covers only what can have been in Chatwoot. Messages newer
    /// than the newest one there are still on their way, whichever function noticed the deletion, and start clean.
    pub async fn ask(
        &self,
        source: RequestSource,
        subject: DataSubject,
        asked_at: Timestamp,
    ) -> Result<RequestOutcome, StoreError> {
        self.ask_by(source, subject, asked_at, None).await
    }

    /// The same, with what shows who asks.
    pub async fn ask_by(
        &self,
        source: RequestSource,
        mut subject: DataSubject,
        asked_at: Timestamp,
        evidence: Option<Evidence>,
    ) -> Result<RequestOutcome, StoreError> {
        let (known, stood_at, pointers) = self.pointers(&subject).await?;
        if source == RequestSource::Chatwoot {
            let newest = stood_at.unwrap_or(asked_at - UNKNOWN_PERSON_SPAN);
            // Messages sent in the same second as the trigger are not covered either: Meta's times are whole seconds.
            subject.spares = Some(subject.spares.map_or(newest, |woke| newest.min(woke - SECOND)));
        }
        let own = self.within(subject.only, &pointers);
        until_written(|| async {
            let pointed = self.erasures.pointed(&own).await?;
            let mut before = self.erasures.foremost(&pointed).await?;
            before = before.filter(|before| self.is_the_same(&before.erasure, source, known));
            if subject.only.is_some() && before.as_ref().is_none_or(|before| before.erasure.is_closed()) {
                // A request about all accounts covers this one, too.
                let wider = self.erasures.foremost(&self.erasures.pointed(&pointers).await?).await?;
                let wider = wider.filter(|wider| self.is_the_same(&wider.erasure, source, known));
                before = wider.filter(|wider| before.is_none() || !wider.erasure.is_closed()).or(before);
            }
            if let Some(before) = before {
                if !before.erasure.is_closed() {
                    self.erasures.point(&pointed, before.erasure.code()).await?;
                }
                let entry = self.made_certain(before, source, subject.spares).await?;
                self.name_again(&entry, &subject).await?;
                let entry = self.witness(entry, evidence.as_ref()).await?;
                return Ok(Some(RequestOutcome { entry, is_new: false }));
            }
            if let Some(entry) = self.widened(source, &subject, &pointers).await? {
                self.erasures.point(&pointed, entry.erasure.code()).await?;
                let entry = self.witness(entry, evidence.as_ref()).await?;
                return Ok(Some(RequestOutcome { entry, is_new: false }));
            }
            let mut erasure =
                Erasure::open(ConfirmationCode::mint(), source, asked_at, self.table.now(), &self.deadlines);
            if let Some(quiet_since) = subject.quiet_since {
                // The request does not cover what they may have sent since.
                erasure = erasure.about_a_quiet_person(quiet_since);
            }
            if let Some(spares) = subject.spares {
                erasure = erasure.up_to(spares).sealed(asked_at);
            }
            if let Some(evidence) = &evidence {
                erasure = erasure.witnessed(evidence.clone());
            }
            let opened = self.erasures.open(&erasure, &pointed, &subject).await?;
            Ok(opened.map(|entry| RequestOutcome { entry, is_new: true }))
        })
        .await
    }

    /// Adds what shows who asked to an open request, unless it is known.
    pub async fn witness(
        &self,
        mut entry: ErasureEntry,
        evidence: Option<&Evidence>,
    ) -> Result<ErasureEntry, StoreError> {
        let Some(evidence) = evidence else { return Ok(entry) };
        for _ in 0..MAX_WITNESS_TRIES {
            let witnessed = entry.erasure.clone().witnessed(evidence.clone());
            if entry.erasure.is_closed() || witnessed == entry.erasure {
                break;
            }
            entry = match self.erasures.save(&entry, witnessed).await? {
                Ok(saved) => return Ok(saved),
                Err(theirs) => theirs,
            };
        }
        Ok(entry)
    }

    /// By what an operator is known afterwards.
    pub fn operator_trace(&self, name: &str) -> String {
        self.key.request_pointer(["operator", name]).to_string()
    }

    /// Widens a request about one account to all accounts, if it has not begun and the new one is about all. A request that is
    /// underway stays as it is, beside the new one; so does one that only retention asked for.
    async fn widened(
        &self,
        source: RequestSource,
        subject: &DataSubject,
        pointers: &BTreeSet<KeyedHash<RequestPointer>>,
    ) -> Result<Option<ErasureEntry>, StoreError> {
        if subject.only.is_some() || !subject.administrators.is_empty() || source == RequestSource::Retention {
            return Ok(None);
        }
        for account in self.inventory.accounts().await? {
            let pointed = self.erasures.pointed(&self.within(Some(account), pointers)).await?;
            let Some(entry) = self.erasures.foremost(&pointed).await? else { continue };
            let now = entry.erasure.clone().at(self.table.now());
            if now.is_closed() || now.source() == RequestSource::Retention {
                continue;
            }
            self.name_again(&entry, subject).await?;
            if !matches!(now.state(), ErasureState::Received { .. } | ErasureState::Confirmed { .. }) {
                continue;
            }
            let code = entry.erasure.code();
            let Some(theirs) = self.erasures.data_subject(code).await? else { continue };
            if theirs.only.is_none() {
                return Ok(Some(self.made_certain(entry, source, None).await?));
            }
            let mut wide = DataSubject { only: None, gathered: false, barred: false, ..theirs };
            wide.phones.extend(subject.phones.iter().cloned());
            wide.users.extend(subject.users.iter().cloned());
            wide.customers.extend(subject.customers.iter().cloned());
            let mut certain = entry.erasure.clone();
            if is_certain(source) && certain.is_unconfirmed() {
                certain = certain.confirm(self.table.now())?;
            }
            // If another writer came between, the erasure has begun or was withdrawn.
            if let Ok(entry) = self.erasures.save_about(&entry, certain, Some(&wide)).await? {
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }

    /// Makes a request that could still be withdrawn certain, once a source asks whose request needs no confirmation.
    async fn made_certain(
        &self,
        entry: ErasureEntry,
        source: RequestSource,
        spares: Option<Timestamp>,
    ) -> Result<ErasureEntry, StoreError> {
        if !is_certain(source) || !entry.erasure.is_unconfirmed() {
            return Ok(entry);
        }
        let meant = entry.erasure.clone();
        let meant = spares.map_or(meant.clone(), |spares| meant.up_to(spares));
        let certain = meant.confirm(self.table.now())?;
        let mut subject = if spares.is_some() { self.erasures.data_subject(entry.erasure.code()).await? } else { None };
        if let Some(target) = &mut subject {
            target.spares = spares;
        }
        // Another writer in between has either confirmed it, too, or withdrawn it just before.
        let (Ok(saved) | Err(saved)) = self.erasures.save_about(&entry, certain, subject.as_ref()).await?;
        Ok(saved)
    }

    /// Blocks the intake of everything known of the data subject as soon as the request is certain. What they write from then on
    /// waits until the erasure is done, and nothing newer is erased with the rest. Call it after the erasure's task is queued: a
    /// blocked event does not come this way again. Otherwise it is done when the erasure begins, and then what was written before
    /// that is erased as well.
    pub async fn bar(&self, entry: &ErasureEntry) -> Result<(), StoreError> {
        let erasure = &entry.erasure;
        if !matches!(erasure.state(), ErasureState::Confirmed { .. }) || erasure.source() == RequestSource::Retention {
            return Ok(());
        }
        let subject = self.erasures.data_subject(erasure.code()).await?;
        let Some(mut target) = subject.filter(|target| !target.barred) else { return Ok(()) };
        self.inventory.gather(&mut target).await?;
        // What came in until now is erased with the rest, as far as the request covers it.
        let certain = erasure.clone().sealed(self.table.now());
        if certain != *erasure && self.erasures.save(entry, certain.clone()).await?.is_err() {
            // Another worker has begun the erasure, and blocks the intake.
            return Ok(());
        }
        self.tombstones.insert_all(&certain, &target, true).await?;
        self.erasures.set_barred(erasure.code()).await
    }

    /// Names the data subject again for a request whose names stayed behind when the table was restored.
    async fn name_again(&self, entry: &ErasureEntry, named: &DataSubject) -> Result<(), StoreError> {
        if entry.erasure.is_closed() || (named.phones.is_empty() && named.users.is_empty()) {
            return Ok(());
        }
        let subject = self.erasures.data_subject(entry.erasure.code()).await?;
        let Some(mut target) = subject.filter(DataSubject::is_unnamed) else { return Ok(()) };
        target.phones.extend(named.phones.iter().cloned());
        target.users.extend(named.users.iter().cloned());
        target.gathered = false;
        self.erasures.set_data_subject(entry.erasure.code(), &target).await
    }

    /// The latest request about a data subject.
    pub async fn known(&self, subject: &DataSubject) -> Result<Option<ErasureEntry>, StoreError> {
        let (_, _, mut pointers) = self.pointers(subject).await?;
        pointers.extend(self.within(subject.only, &pointers));
        self.erasures.foremost(&self.erasures.pointed(&pointers).await?).await
    }

    /// The open request about a data subject, if there is one.
    pub async fn open_about(&self, subject: &DataSubject) -> Result<Option<ErasureEntry>, StoreError> {
        let found = self.known(subject).await?;
        Ok(found.filter(|entry| !entry.erasure.clone().at(self.table.now()).is_closed()))
    }

    fn is_the_same(&self, before: &Erasure, source: RequestSource, known: bool) -> bool {
        if before.source() == RequestSource::Retention && source != RequestSource::Retention {
            // A person who asks means everything up to now, and writing again does not withdraw that.
            return false;
        }
        match before.clone().at(self.table.now()).state() {
            ErasureState::Withdrawn { .. } => false,
            ErasureState::Done { at } => {
                !known && (source == RequestSource::Meta || self.table.now().since(at) < SAME_REQUEST_SPAN)
            }
            _ => true,
        }
    }

    /// The hashes for a request about one account, which must not match another account's.
    fn within(
        &self,
        only: Option<AccountId>,
        pointers: &BTreeSet<KeyedHash<RequestPointer>>,
    ) -> BTreeSet<KeyedHash<RequestPointer>> {
        let Some(account) = only.map(|account| account.to_string()) else { return pointers.clone() };
        pointers.iter().map(|pointer| self.key.request_pointer(["within", &account, pointer.as_str()])).collect()
    }

    /// The hashes under which a request about them is found again, whether anything is known of them, and when the newest message
    /// was sent that is known to be in Chatwoot.
    async fn pointers(
        &self,
        subject: &DataSubject,
    ) -> Result<(bool, Option<Timestamp>, BTreeSet<KeyedHash<RequestPointer>>), StoreError> {
        let mut found = subject.clone();
        self.inventory.gather(&mut found).await?;
        let phones = subject.phones.iter().map(|phone| self.key.alias(AliasKind::Phone, &phone.canonical()));
        let users = subject.users.iter().map(|user| self.key.alias(AliasKind::User, user.as_str()));
        let customers = found.customers.iter().map(|customer| self.key.customer(customer));
        let persons = subject.aliases.iter().cloned().chain(phones).chain(users).chain(customers);
        let mut pointers: BTreeSet<KeyedHash<RequestPointer>> = persons.map(KeyedHash::from).collect();
        pointers.extend(subject.administrators.iter().cloned().map(KeyedHash::from));
        let contact = |(account, contact): &(AccountId, domain::ContactId)| {
            self.key.request_pointer(["contact", &account.to_string(), &contact.to_string()])
        };
        pointers.extend(subject.contacts.iter().map(contact));
        let known = if subject.administrators.is_empty() {
            !found.customers.is_empty()
        } else {
            !self.inventory.keys(&found).await?.is_empty()
        };
        Ok((known, found.stood_at, pointers))
    }
}

/// Whether a request from this source needs no confirmation.
fn is_certain(source: RequestSource) -> bool {
    !matches!(source, RequestSource::Agent | RequestSource::Customer | RequestSource::Retention)
}
