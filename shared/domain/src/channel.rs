//! One WhatsApp number bound to one Chatwoot inbox.

use serde::{Deserialize, Serialize};

use crate::{AccountId, InboxId, PhoneNumberId, Timestamp, WabaId};

/// How the number is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Through the Cloud API alone.
    Cloud,
    /// Together with the WhatsApp Business app on a phone in the shop.
    Coexistence,
}

/// Whether messages flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Both ways.
    Live,
    /// Held by the operator.
    Paused,
    /// Meta does not let us send.
    Disconnected,
}

/// One WhatsApp number bound to one Chatwoot inbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Channel {
    /// The number, by Meta's id.
    pub phone_number_id: PhoneNumberId,
    /// The WhatsApp Business Account it belongs to.
    pub waba_id: WabaId,
    /// The number as people read it.
    pub display_phone_number: String,
    /// The Chatwoot account.
    pub account: AccountId,
    /// The inbox in it.
    pub inbox: InboxId,
    /// How the number is used.
    pub mode: Mode,
    /// Whether messages flow.
    pub state: State,
    /// The name of the channel's secret.
    pub secret: String,
    /// Since when the bridge looks after it; what agents wrote before is not ours to send.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
}
