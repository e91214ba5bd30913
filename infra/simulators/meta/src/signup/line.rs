//! What Meta knows of a number besides its account: verification, registration, PIN, syncs.

use std::{collections::BTreeSet, time::Duration};

use domain::Timestamp;

use super::Past;
use crate::{Meta, Number, state::State};

/// In how much time ten registrations and codes are allowed.
pub(crate) const ATTEMPT_SPAN: Duration = Duration::from_secs(72 * 3600);
/// How many.
pub(crate) const ATTEMPTS: usize = 10;

/// A code that was sent to a phone to verify its number.
#[derive(Clone, Debug)]
pub(crate) struct SentCode {
    pub(crate) code: String,
    pub(crate) at: Timestamp,
}

/// The state of a number.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) verified_name: String,
    pub(crate) verification: String,
    /// Whether Cloud API serves it.
    pub(crate) registered: bool,
    pub(crate) pin: Option<String>,
    pub(crate) wrong_pins: u32,
    pub(crate) locked_until: Option<Timestamp>,
    /// Each registration, and each code that was asked for.
    pub(crate) attempts: Vec<Timestamp>,
    pub(crate) sent_code: Option<SentCode>,
    pub(crate) deregistered_at: Option<Timestamp>,
    /// When it came to the app.
    pub(crate) joined_at: Option<Timestamp>,
    /// From when on the account lists it.
    pub(crate) appears_at: Option<Timestamp>,
    /// The syncs that were asked for since it joined.
    pub(crate) asked: BTreeSet<String>,
    /// Whether it is in the app on a phone, and not joined to it.
    pub(crate) on_phone_alone: bool,
    /// How often one was asked for, whatever was answered, as long as there is the number.
    pub(crate) sync_calls: usize,
    /// What its phone tells when it is asked.
    pub(crate) past: Past,
}

impl Line {
    /// One that is in service.
    pub(crate) fn serving(joined_at: Timestamp) -> Self {
        Self { joined_at: Some(joined_at), registered: true, ..Self::not_joined("LMotos".into()) }
    }

    /// One that nobody has signed up yet.
    pub(crate) fn not_joined(verified_name: String) -> Self {
        Self {
            verified_name,
            verification: "VERIFIED".into(),
            registered: false,
            pin: None,
            wrong_pins: 0,
            locked_until: None,
            attempts: Vec::new(),
            sent_code: None,
            deregistered_at: None,
            joined_at: None,
            appears_at: None,
            asked: BTreeSet::new(),
            on_phone_alone: false,
            sync_calls: 0,
            past: Past::default(),
        }
    }

    /// Notes an attempt; whether it was one too many.
    pub(crate) fn attempt(&mut self, now: Timestamp) -> bool {
        self.attempts.retain(|at| *at + ATTEMPT_SPAN > now);
        let too_many = self.attempts.len() >= ATTEMPTS;
        if !too_many {
            self.attempts.push(now);
        }
        too_many
    }

    /// Whether the account lists it by now.
    pub(crate) fn is_listed(&self, now: Timestamp) -> bool {
        self.joined_at.is_some() && self.appears_at.is_none_or(|at| at <= now)
    }
}

impl State {
    /// The state of a number, to be changed.
    pub(crate) fn line(&mut self, phone_number_id: &str) -> &mut Line {
        self.lines.entry(phone_number_id.to_owned()).or_insert_with(|| Line::not_joined("LMotos".into()))
    }

    /// Whether messages can be sent from a number.
    pub(crate) fn is_registered(&self, number: &Number) -> bool {
        number.coexistence || self.lines.get(&number.phone_number_id).is_none_or(|line| line.registered)
    }
}

impl Meta {
    /// The code that a number's phone got last, after `request_code`.
    pub fn sent_code(&self, phone_number_id: &str) -> Option<String> {
        self.world.state().line(phone_number_id).sent_code.clone().map(|sent| sent.code)
    }

    /// The number has this PIN already, or none.
    pub fn set_pin(&self, phone_number_id: &str, pin: Option<&str>) {
        self.world.state().line(phone_number_id).pin = pin.map(str::to_owned);
    }

    /// What Graph says of a number's verification: `VERIFIED`, `NOT_VERIFIED`, `EXPIRED`.
    pub fn set_verification(&self, phone_number_id: &str, verification: &str) {
        verification.clone_into(&mut self.world.state().line(phone_number_id).verification);
    }

    /// The PIN that a number has.
    pub fn pin(&self, phone_number_id: &str) -> Option<String> {
        self.world.state().line(phone_number_id).pin.clone()
    }

    /// The number is in the app on a phone, and not joined to it; or not any more.
    pub fn set_on_phone_alone(&self, phone_number_id: &str, alone: bool) {
        self.world.state().line(phone_number_id).on_phone_alone = alone;
    }

    /// How often a number was registered, or its check asked for, in the time in which Meta counts.
    pub fn attempts(&self, phone_number_id: &str) -> usize {
        self.world.state().line(phone_number_id).attempts.len()
    }

    /// How often a sync was asked for, those that were refused included.
    pub fn sync_calls(&self, phone_number_id: &str) -> usize {
        self.world.state().line(phone_number_id).sync_calls
    }

    /// The number was taken out of the Cloud API just now, as by another provider.
    pub fn deregistered(&self, phone_number_id: &str) {
        let now = self.world.now();
        let mut state = self.world.state();
        let line = state.line(phone_number_id);
        (line.registered, line.deregistered_at) = (false, Some(now));
    }

    /// How often a wrong PIN was tried since the last right one, or since the number was locked.
    pub fn wrong_pins(&self, phone_number_id: &str) -> u32 {
        self.world.state().line(phone_number_id).wrong_pins
    }

    /// The syncs that were asked for since the number joined: `smb_app_state_sync`, `history`.
    pub fn syncs(&self, phone_number_id: &str) -> BTreeSet<String> {
        self.world.state().line(phone_number_id).asked.clone()
    }
}
