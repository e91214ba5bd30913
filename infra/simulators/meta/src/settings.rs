//! What a simulation is started with, and what can be switched while it runs.

use std::net::SocketAddr;

use domain::SharedClock;
use serde::{Deserialize, Serialize};

/// A business number, its account and the token that may use it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Number {
    /// Meta's id of the number.
    pub phone_number_id: String,
    /// The WhatsApp business account it belongs to.
    pub waba_id: String,
    /// The number in digits.
    pub display_phone_number: String,
    /// The bearer token its channel uses.
    pub access_token: String,
    /// Whether it also lives in the WhatsApp Business app: 20 messages a second, and echoes.
    #[serde(default)]
    pub coexistence: bool,
}

/// Who says how a sent message goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Statuses {
    /// `sent` and `delivered` follow at once.
    #[default]
    Automatic,
    /// The test says which, and in which order. What Meta itself refuses still becomes `failed` at once.
    Manual,
}

/// Which of Meta's limits are enforced; all it documents by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct Rules {
    /// Free-form messages only within 24 hours of the customer's last one (131047).
    pub window: bool,
    /// One message per 6 s to the same person, bursts of 45 (131056).
    pub pair_rate: bool,
    /// 80 messages a second per number, 20 in coexistence (130429).
    pub throughput: bool,
    /// What is fetched by an address has to be of a type that can be uploaded, too. Nothing documents that; Meta may do it (131053).
    pub linked_types: bool,
    /// A file's description names its digest.
    pub digests: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self { window: true, pair_rate: true, throughput: true, linked_types: false, digests: true }
    }
}

/// Everything a simulation needs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The time, for everything.
    pub clock: SharedClock,
    /// The app's secret; signs the webhooks.
    pub app_secret: String,
    /// The business numbers; the first is the one customers write to unless told otherwise.
    pub numbers: Vec<Number>,
    /// Who says how a sent message goes on.
    pub statuses: Statuses,
}
