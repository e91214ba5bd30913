//! The erasure ledger runs each request as a state machine. The deadline is 30 days. A request names no person: it holds only a
//! code, times and counts. The data subject is stored beside it in the table until the request is done.

mod data_location;
mod deadlines;
mod evidence;
mod receipt;

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

pub use data_location::DataLocation;
pub use deadlines::{ErasureDeadlines, WarnDays};
pub use evidence::{Evidence, EvidenceAct};
pub use receipt::{Receipt, ReceiptCheck, SignedReceipt};

pub use crate::InvalidTransition;
use crate::{ConfirmationCode, Timestamp};

const DAY: Duration = Duration::from_secs(86_400);

/// The longest pause between two attempts to clear a data location that fails.
const MAX_PAUSE: Duration = Duration::from_secs(900);

/// How long after an erasure run begins the request is checked again, in case the run stopped midway.
const LEASE_TTL: Duration = Duration::from_secs(900);

/// Who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestSource {
    /// The operator.
    Operator,
    /// An agent, by a label; it starts after a period in which the label can be removed.
    Agent,
    /// The customer, in the chat; it starts once they confirm it there.
    Customer,
    /// Chatwoot: the contact was deleted there.
    Chatwoot,
    /// Meta, for the administrator who did the signup.
    Meta,
    /// The retention period is over.
    Retention,
}

/// What was done in a data location.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cleared {
    /// How many things were found.
    pub found: u64,
    /// When a check after the erasure found nothing any more.
    pub at: Timestamp,
}

/// The state of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum ErasureState {
    /// It can still be withdrawn, until then.
    Received {
        /// When that is over.
        until: Timestamp,
    },
    /// It is certain, and not begun.
    Confirmed {
        /// When it is to begin.
        wake_at: Timestamp,
    },
    /// An erasure run is at work.
    Erasing {
        /// When to check whether that run is still alive.
        wake_at: Timestamp,
    },
    /// A data location does not accept the erasure now, or is not empty yet.
    Waiting {
        /// Which data location.
        location: DataLocation,
        /// Since when.
        since: Timestamp,
        /// How often it was tried.
        tries: u32,
        /// When it is tried again.
        wake_at: Timestamp,
    },
    /// The deadline has passed. It is still tried.
    Failed {
        /// The data location that did not accept the erasure.
        location: DataLocation,
        /// Since when it has not.
        since: Timestamp,
        /// How often it was tried.
        tries: u32,
        /// When it is tried again.
        wake_at: Timestamp,
    },
    /// Every data location is clear.
    Done {
        /// Since when.
        at: Timestamp,
    },
    /// It was withdrawn, or never confirmed.
    Withdrawn {
        /// Since when.
        at: Timestamp,
    },
}

/// What the public is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PublicState {
    /// It came in.
    Received,
    /// It has to wait for a data location.
    Waiting,
    /// It is being done.
    Erasing,
    /// It is done.
    Done,
    /// The deadline has passed.
    Failed,
}

/// A request for erasure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erasure {
    /// The code under which its state can be queried.
    code: ConfirmationCode,
    /// Who asked.
    source: RequestSource,
    /// When; the 30 days begin here.
    asked_at: Timestamp,
    /// When they are over.
    due_at: Timestamp,
    /// Since when it is certain. What was sent up to then is erased, and what is newer is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    confirmed_at: Option<Timestamp>,
    /// The request does not cover what was sent after this time, however late it becomes certain: a message opened or confirmed
    /// it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    means_up_to: Option<Timestamp>,
    /// The state of the request.
    state: ErasureState,
    /// How much was found so far, by data location.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    found: BTreeMap<DataLocation, u64>,
    /// How much of that has to be left, by data location; the receipt says why.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    left: BTreeMap<DataLocation, u64>,
    /// The data locations that are clear.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    cleared: BTreeMap<DataLocation, Cleared>,
    /// The warning days of which the operator was already told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    warned: Vec<u32>,
    /// When the deadline was missed, if it was. Stays, whatever state the request reaches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    breached_at: Option<Timestamp>,
    /// What shows who asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    evidence: Vec<Evidence>,
}

impl Erasure {
    /// A request made at `asked_at` and received at `now`. The deadline counts from when it was made; the time to withdraw or
    /// confirm it counts from when that is possible.
    pub fn open(
        code: ConfirmationCode,
        source: RequestSource,
        asked_at: Timestamp,
        now: Timestamp,
        deadlines: &ErasureDeadlines,
    ) -> Self {
        let (confirmed_at, state) = match source {
            RequestSource::Agent | RequestSource::Customer => {
                (None, ErasureState::Received { until: now + deadlines.grace() })
            }
            RequestSource::Operator | RequestSource::Chatwoot | RequestSource::Meta | RequestSource::Retention => {
                (Some(asked_at), ErasureState::Confirmed { wake_at: asked_at })
            }
        };
        let due_at = asked_at + DAY * deadlines.deletion_days;
        Self {
            code,
            source,
            asked_at,
            due_at,
            confirmed_at,
            means_up_to: None,
            state,
            found: BTreeMap::new(),
            left: BTreeMap::new(),
            cleared: BTreeMap::new(),
            warned: Vec::new(),
            breached_at: None,
            evidence: Vec::new(),
        }
    }

    /// The customer is asked to confirm at that moment, for the first time or again: the time to confirm begins then.
    #[must_use]
    pub fn question(mut self, at: Timestamp, deadlines: &ErasureDeadlines) -> Self {
        if let ErasureState::Received { until } = self.state
            && self.source == RequestSource::Customer
        {
            self.state = ErasureState::Received { until: until.max(at + deadlines.grace()) };
        }
        self
    }

    /// Something shows who asked, or confirmed it.
    #[must_use]
    pub fn witnessed(mut self, new: Evidence) -> Self {
        evidence::add(&mut self.evidence, new);
        self
    }

    /// What shows who asked.
    pub fn evidence(&self) -> &[Evidence] {
        &self.evidence
    }

    /// It is certain from now on.
    pub fn confirm(self, at: Timestamp) -> Result<Self, InvalidTransition> {
        match self.state {
            ErasureState::Received { .. } => {
                Ok(Self { state: ErasureState::Confirmed { wake_at: at }, ..self.sealed(at) })
            }
            _ => Err(InvalidTransition),
        }
    }

    /// The request does not cover what was sent after `at`. An earlier limit, once given, stays.
    #[must_use]
    pub fn up_to(self, at: Timestamp) -> Self {
        Self { means_up_to: Some(self.means_up_to.map_or(at, |known| known.min(at))), ..self }
    }

    /// The request erases what came in until `at`, within the limit of [`Self::up_to`].
    #[must_use]
    pub fn sealed(self, at: Timestamp) -> Self {
        Self { confirmed_at: Some(self.means_up_to.map_or(at, |last| last.min(at))), ..self }
    }

    /// The request covers what was sent up to `quiet_since`, since retention asks about somebody who was quiet from then on.
    #[must_use]
    pub fn about_a_quiet_person(self, quiet_since: Timestamp) -> Self {
        Self { confirmed_at: Some(quiet_since), ..self }
    }

    /// The request is withdrawn. A retention request is also withdrawn once the customer is active again, as long as nothing is
    /// erased.
    pub fn withdraw(self, at: Timestamp) -> Result<Self, InvalidTransition> {
        if self.may_be_withdrawn() {
            Ok(Self { state: ErasureState::Withdrawn { at }, ..self })
        } else {
            Err(InvalidTransition)
        }
    }

    /// Whether [`Self::withdraw`] is possible.
    pub fn may_be_withdrawn(&self) -> bool {
        let untouched = !self.is_closed() && self.cleared.keys().all(|location| *location < DataLocation::DeadLetters);
        self.is_unconfirmed() || self.source == RequestSource::Retention && untouched
    }

    /// Whether it still has to be confirmed, or its time to be withdrawn is not over.
    pub fn is_unconfirmed(&self) -> bool {
        matches!(self.state, ErasureState::Received { .. })
    }

    /// What time alone has changed: an agent's request that was not withdrawn is certain, a customer's request that was never
    /// confirmed is withdrawn, and one that is open after its deadline is a breach.
    #[must_use]
    pub fn at(mut self, now: Timestamp) -> Self {
        if let ErasureState::Received { until } = self.state
            && now >= until
        {
            self = match self.source {
                RequestSource::Customer => Self { state: ErasureState::Withdrawn { at: until }, ..self },
                _ => Self { state: ErasureState::Confirmed { wake_at: until }, ..self.sealed(until) },
            };
        }
        if self.is_late(now) {
            self.breached_at.get_or_insert(self.due_at);
            if let ErasureState::Waiting { location, since, tries, wake_at } = self.state {
                self.state = ErasureState::Failed { location, since, tries, wake_at };
            }
        }
        self
    }

    /// The code under which its state can be queried.
    pub fn code(&self) -> &ConfirmationCode {
        &self.code
    }

    /// Who asked.
    pub fn source(&self) -> RequestSource {
        self.source
    }

    /// When they asked; the 30 days begin here.
    pub fn asked_at(&self) -> Timestamp {
        self.asked_at
    }

    /// When the 30 days are over.
    pub fn due_at(&self) -> Timestamp {
        self.due_at
    }

    /// Since when it is certain. What was sent up to then is erased, and what is newer is not.
    pub fn confirmed_at(&self) -> Option<Timestamp> {
        self.confirmed_at
    }

    /// After which time nothing is covered, however late the request becomes certain.
    pub fn means_up_to(&self) -> Option<Timestamp> {
        self.means_up_to
    }

    /// The state of the request.
    pub fn state(&self) -> ErasureState {
        self.state
    }

    /// How much was found so far in a data location.
    pub fn found(&self, location: DataLocation) -> u64 {
        self.found.get(&location).copied().unwrap_or_default()
    }

    /// How much of that has to be left; the receipt says why.
    pub fn left(&self, location: DataLocation) -> u64 {
        self.left.get(&location).copied().unwrap_or_default()
    }

    /// The data locations that are clear.
    pub fn cleared(&self) -> &BTreeMap<DataLocation, Cleared> {
        &self.cleared
    }

    /// When the deadline was missed, if it was.
    pub fn breached_at(&self) -> Option<Timestamp> {
        self.breached_at
    }

    /// Records that the deadline was missed, if it was: in every open state, whichever side has to act next.
    pub fn note_breach(&mut self, now: Timestamp) {
        self.breached_at = self.clone().at(now).breached_at;
    }

    fn is_late(&self, now: Timestamp) -> bool {
        !self.is_closed() && now >= self.due_at
    }

    /// An erasure run begins, or continues.
    pub fn begin(self, now: Timestamp) -> Result<Self, InvalidTransition> {
        match self.state {
            ErasureState::Confirmed { .. } | ErasureState::Erasing { .. } => {
                Ok(Self { state: ErasureState::Erasing { wake_at: now + LEASE_TTL }, ..self })
            }
            // A new attempt does not forget which data location is waited for, and since when.
            ErasureState::Waiting { location, since, tries, .. } => {
                Ok(Self { state: ErasureState::Waiting { location, since, tries, wake_at: now + LEASE_TTL }, ..self })
            }
            ErasureState::Failed { location, since, tries, .. } => {
                Ok(Self { state: ErasureState::Failed { location, since, tries, wake_at: now + LEASE_TTL }, ..self })
            }
            ErasureState::Received { .. } | ErasureState::Done { .. } | ErasureState::Withdrawn { .. } => {
                Err(InvalidTransition)
            }
        }
    }

    /// So much was found in a data location before anything is erased there. What an earlier check found counts.
    pub fn note(&mut self, location: DataLocation, found: u64) {
        let known = self.found.entry(location).or_default();
        *known = found.max(*known);
    }

    /// So much of what was found in a data location is out of reach, or belongs to another person as well.
    pub fn leave(&mut self, location: DataLocation, left: u64) {
        if left == 0 {
            self.left.remove(&location);
        } else {
            self.left.insert(location, left);
        }
    }

    /// A check found the data location empty.
    pub fn clear(self, location: DataLocation, now: Timestamp) -> Result<Self, InvalidTransition> {
        if !self.is_underway() {
            return Err(InvalidTransition);
        }
        let found = self.found(location);
        let mut cleared = self.cleared;
        cleared.insert(location, Cleared { found, at: now });
        let state = match self.state {
            ErasureState::Waiting { location: waited, .. } if waited == location => {
                ErasureState::Erasing { wake_at: now + LEASE_TTL }
            }
            other => other,
        };
        Ok(Self { state, cleared, ..self })
    }

    /// A data location is not empty yet, or does not answer.
    pub fn wait(self, location: DataLocation, now: Timestamp) -> Result<Self, InvalidTransition> {
        let (since, tries) = match self.state {
            ErasureState::Waiting { location: known, since, tries, .. }
            | ErasureState::Failed { location: known, since, tries, .. }
                if known == location =>
            {
                (since, tries.saturating_add(1))
            }
            ErasureState::Erasing { .. } | ErasureState::Waiting { .. } | ErasureState::Failed { .. } => (now, 1),
            _ => return Err(InvalidTransition),
        };
        let pause = Duration::from_secs(1 << tries.saturating_sub(1).min(10)).min(MAX_PAUSE);
        let state = ErasureState::Waiting { location, since, tries, wake_at: now + pause };
        Ok(Self { state, ..self }.at(now))
    }

    /// As [`Self::wait`], and is looked at again at `wake_at`, not after a pause.
    pub fn wait_until(
        self,
        location: DataLocation,
        now: Timestamp,
        wake_at: Timestamp,
    ) -> Result<Self, InvalidTransition> {
        let mut waiting = self.wait(location, now)?;
        if let ErasureState::Waiting { wake_at: known, .. } | ErasureState::Failed { wake_at: known, .. } =
            &mut waiting.state
        {
            *known = wake_at;
        }
        Ok(waiting)
    }

    /// More of the person's data turned up than was known when the queues were searched: they are searched once more.
    #[must_use]
    pub fn reopened(mut self) -> Self {
        self.cleared.retain(|location, _| *location > DataLocation::DeadLetters);
        self
    }

    /// What was found clear is not any more: these data locations are searched once more.
    #[must_use]
    pub fn unclear(mut self, locations: &[DataLocation]) -> Self {
        self.cleared.retain(|location, _| !locations.contains(location));
        self
    }

    /// The table was restored to an earlier day: no data location is known to be clear any more.
    #[must_use]
    pub fn restored(self) -> Self {
        if self.is_closed() { self } else { Self { cleared: BTreeMap::new(), ..self } }
    }

    /// Every data location is clear.
    pub fn finish(mut self, now: Timestamp) -> Result<Self, InvalidTransition> {
        self.note_breach(now);
        if !self.is_underway() || self.next_location().is_some() {
            return Err(InvalidTransition);
        }
        Ok(Self { state: ErasureState::Done { at: now }, ..self })
    }

    /// The first data location that is not clear yet.
    pub fn next_location(&self) -> Option<DataLocation> {
        DataLocation::ALL.into_iter().find(|location| !self.cleared.contains_key(location))
    }

    /// When the request has to be worked on again; `None` once it is closed.
    pub fn wake_at(&self) -> Option<Timestamp> {
        match self.state {
            ErasureState::Received { until } => Some(until),
            ErasureState::Confirmed { wake_at }
            | ErasureState::Erasing { wake_at }
            | ErasureState::Waiting { wake_at, .. }
            | ErasureState::Failed { wake_at, .. } => Some(wake_at),
            ErasureState::Done { .. } | ErasureState::Withdrawn { .. } => None,
        }
    }

    /// Whether nothing happens any more.
    pub fn is_closed(&self) -> bool {
        matches!(self.state, ErasureState::Done { .. } | ErasureState::Withdrawn { .. })
    }

    /// Whether it has begun and is not over.
    pub fn is_underway(&self) -> bool {
        matches!(self.state, ErasureState::Erasing { .. } | ErasureState::Waiting { .. } | ErasureState::Failed { .. })
    }

    /// Whether newer messages have to wait: until nothing older is left in the data locations they would reach. Files and the
    /// contact book at Meta may take longer, and hold nothing back.
    pub fn holds_back(&self) -> bool {
        !self.is_closed() && !self.cleared.contains_key(&DataLocation::Table)
    }

    /// The warnings that have become due: days of the policy that have passed. Each comes once.
    pub fn warn(&mut self, now: Timestamp, deadlines: &ErasureDeadlines) -> Vec<u32> {
        if self.is_closed() {
            return Vec::new();
        }
        let passed = |day: &&u32| now >= self.asked_at + DAY * **day && !self.warned.contains(*day);
        let due: Vec<u32> = deadlines.warn_days.iter().filter(passed).copied().collect();
        self.warned.extend(&due);
        due
    }

    /// What the public is told; `None` for a request that was withdrawn.
    pub fn public_state(&self, now: Timestamp) -> Option<PublicState> {
        let known = self.clone().at(now);
        if known.is_late(now) {
            return Some(PublicState::Failed);
        }
        match known.state {
            ErasureState::Received { .. } | ErasureState::Confirmed { .. } => Some(PublicState::Received),
            // A short pause between two checks is part of the work.
            ErasureState::Waiting { since, .. } if now.since(since) < MAX_PAUSE => Some(PublicState::Erasing),
            ErasureState::Waiting { .. } => Some(PublicState::Waiting),
            ErasureState::Erasing { .. } => Some(PublicState::Erasing),
            ErasureState::Failed { .. } => Some(PublicState::Failed),
            ErasureState::Done { .. } => Some(PublicState::Done),
            ErasureState::Withdrawn { .. } => None,
        }
    }

    /// Whole days left until the deadline, including the current one; zero once it is closed.
    pub fn days_left(&self, now: Timestamp) -> u64 {
        if self.is_closed() { 0 } else { self.due_at.since(now).as_secs().div_ceil(DAY.as_secs()) }
    }
}

#[cfg(test)]
mod tests;
