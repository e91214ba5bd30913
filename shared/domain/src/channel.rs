//! A channel binds one WhatsApp number to one Chatwoot inbox. Its state says whether Meta lets messages through.

use serde::{Deserialize, Serialize};

use crate::{AccountId, InboxId, PhoneNumberId, Timestamp, WaId, WabaId};

/// How the number is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Through the Cloud API alone.
    Cloud,
    /// Together with the WhatsApp Business app on a phone in the shop.
    Coexistence,
}

/// Whether messages flow, according to Meta's last word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChannelState {
    /// Both ways.
    Live,
    /// Meta lets the account do less until a certain time.
    Restricted {
        /// Since when, by our clock.
        since: Timestamp,
        /// Until when.
        until: Timestamp,
        /// Whether answers inside the window are forbidden, too, and not only conversations the business begins.
        replies: bool,
    },
    /// Meta does not let us send.
    Disconnected {
        /// Since when, by our clock.
        since: Timestamp,
        /// What ended it.
        why: DisconnectReason,
    },
}

/// What an inbox offers its agents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncedTemplates {
    /// When the inbox was last seen to offer it.
    pub checked_at: Timestamp,
    /// How many templates.
    pub templates: u32,
    /// A hash of it all.
    pub digest: String,
}

/// What ended the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DisconnectReason {
    /// Our access was withdrawn, and Graph confirms it.
    Removed,
    /// The number left the platform on its phone.
    Offboarded,
    /// The account was deleted.
    Deleted,
    /// The account was banned.
    Banned,
}

/// What happened to an account, as far as it matters to the flow of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelEvent {
    /// The connection is gone.
    Cut(DisconnectReason),
    /// A ban was lifted.
    Reinstated,
    /// The number is connected again.
    Reconnected,
    /// Less is allowed until then.
    Restricted {
        /// Until when.
        until: Timestamp,
        /// Whether answers are forbidden, too.
        replies: bool,
    },
}

/// Why messages wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendHold {
    /// The operator paused the channel.
    Paused,
    /// Meta does not let us send.
    Disconnected {
        /// Since when.
        since: Timestamp,
    },
    /// Meta forbids answers for a while.
    Restricted {
        /// Since when.
        since: Timestamp,
    },
}

/// As what agents see that which was written on the shop's phone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EchoForm {
    /// As the business's own message, which counts as an answer.
    #[default]
    Message,
    /// As a private note.
    Note,
}

/// Which receipts the customer gets of what the agents do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReceiptSettings {
    /// Blue ticks, once an agent has answered or resolved the conversation.
    pub read: bool,
    /// That an agent is typing. Meta shows it only together with blue ticks (§4.2), so it needs them allowed, too.
    pub typing: bool,
}

impl Default for ReceiptSettings {
    fn default() -> Self {
        Self { read: true, typing: true }
    }
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
    /// Whether messages flow, according to Meta's last word.
    pub state: ChannelState,
    /// When the event behind the state happened; an older event changes nothing.
    #[serde(default)]
    pub state_at: Timestamp,
    /// Whether the operator holds messages back, whatever Meta says.
    #[serde(default)]
    pub paused: bool,
    /// Whether the operator also keeps what customers write in its queue.
    #[serde(default)]
    pub paused_incoming: bool,
    /// Which receipts the customer gets.
    #[serde(default)]
    pub receipts: ReceiptSettings,
    /// As what agents see echoes.
    #[serde(default)]
    pub echoes: EchoForm,
    /// The name of the channel's secret.
    pub secret: String,
    /// Since when the bridge is responsible for it; what agents wrote before is not ours to send.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// What its inbox offers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offered: Option<SyncedTemplates>,
}

impl Channel {
    /// Whether agents can send templates here.
    pub fn has_templates(&self) -> bool {
        self.offered.as_ref().is_some_and(|offered| offered.templates > 0)
    }

    /// Why messages that start a conversation have to wait. More reasons forbid these than forbid answers.
    pub fn hold_begun(&self, now: Timestamp) -> Option<SendHold> {
        match self.state {
            ChannelState::Restricted { since, until, .. } if now < until => Some(SendHold::Restricted { since }),
            _ => self.hold(now),
        }
    }

    /// Why messages to customers have to wait, if they have to.
    pub fn hold(&self, now: Timestamp) -> Option<SendHold> {
        match self.state {
            ChannelState::Disconnected { since, .. } => Some(SendHold::Disconnected { since }),
            _ if self.paused => Some(SendHold::Paused),
            ChannelState::Restricted { since, until, replies: true } if now < until => {
                Some(SendHold::Restricted { since })
            }
            ChannelState::Live | ChannelState::Restricted { .. } => None,
        }
    }

    /// Whether the customer may see blue ticks now.
    pub fn shows_read(&self, now: Timestamp) -> bool {
        self.receipts.read && self.hold(now).is_none()
    }

    /// Whether the customer may see now that an agent is typing.
    pub fn shows_typing(&self, now: Timestamp) -> bool {
        self.receipts.typing && self.shows_read(now)
    }

    /// Whether this is the number, in any spelling.
    pub fn is_number(&self, spelled: &str) -> bool {
        let canonical = |number: &str| WaId::new(number).canonical();
        !canonical(spelled).is_empty() && canonical(spelled) == canonical(&self.display_phone_number)
    }
}

impl SendHold {
    /// Since when, where that is known. An older note to the agent was about something else.
    pub fn since(self) -> Option<Timestamp> {
        match self {
            Self::Paused => None,
            Self::Disconnected { since } | Self::Restricted { since } => Some(since),
        }
    }
}

impl ChannelState {
    /// The state after something happened.
    #[must_use]
    pub fn after(self, event: ChannelEvent, now: Timestamp) -> Self {
        match (self, event) {
            // A ban outweighs any other reason for the disconnection: only the end of the ban lifts it.
            (
                Self::Disconnected { why: DisconnectReason::Banned, .. },
                ChannelEvent::Cut(_) | ChannelEvent::Reconnected,
            ) => self,
            (Self::Disconnected { since, .. }, ChannelEvent::Cut(why)) => Self::Disconnected { since, why },
            (_, ChannelEvent::Cut(why)) => Self::Disconnected { since: now, why },
            (
                Self::Disconnected { why: DisconnectReason::Banned, .. } | Self::Restricted { .. },
                ChannelEvent::Reinstated,
            )
            | (Self::Disconnected { .. }, ChannelEvent::Reconnected) => Self::Live,
            (Self::Restricted { since, until: before, .. }, ChannelEvent::Restricted { until, replies })
                if now < before =>
            {
                Self::Restricted { since, until, replies }
            }
            (Self::Live | Self::Restricted { .. }, ChannelEvent::Restricted { until, replies }) => {
                Self::Restricted { since: now, until, replies }
            }
            (unchanged, _) => unchanged,
        }
    }

    /// In one word, for the operator.
    pub fn word(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Restricted { .. } => "restricted",
            Self::Disconnected { why: DisconnectReason::Removed, .. } => "disconnected: access withdrawn",
            Self::Disconnected { why: DisconnectReason::Offboarded, .. } => "disconnected: left on its phone",
            Self::Disconnected { why: DisconnectReason::Deleted, .. } => "disconnected: account deleted",
            Self::Disconnected { why: DisconnectReason::Banned, .. } => "disconnected: banned",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOON: Timestamp = Timestamp::from_secs(1_795_190_400);

    fn channel(state: ChannelState, paused: bool) -> Channel {
        Channel {
            phone_number_id: PhoneNumberId::new("1"),
            waba_id: WabaId::new("2"),
            display_phone_number: "+52 55 5555 0100".to_owned(),
            account: AccountId(3),
            inbox: InboxId(14),
            mode: Mode::Cloud,
            state,
            state_at: NOON,
            paused,
            paused_incoming: false,
            receipts: ReceiptSettings::default(),
            echoes: EchoForm::default(),
            secret: "s".to_owned(),
            since: None,
            offered: None,
        }
    }

    #[test]
    fn a_ban_ends_only_by_its_own_end() {
        let banned = ChannelState::Live.after(ChannelEvent::Cut(DisconnectReason::Banned), NOON);
        assert_eq!(banned.after(ChannelEvent::Reconnected, NOON), banned);
        assert_eq!(banned.after(ChannelEvent::Cut(DisconnectReason::Removed), NOON), banned);
        assert_eq!(banned.after(ChannelEvent::Reinstated, NOON), ChannelState::Live);
        let gone = ChannelState::Live.after(ChannelEvent::Cut(DisconnectReason::Removed), NOON);
        assert_eq!(gone.after(ChannelEvent::Reinstated, NOON), gone);
        assert_eq!(gone.after(ChannelEvent::Reconnected, NOON), ChannelState::Live);
    }

    #[test]
    fn answers_wait_for_what_forbids_answers_and_no_longer() {
        let until = NOON + Duration::from_secs(60);
        let begin_only = ChannelState::Live.after(ChannelEvent::Restricted { until, replies: false }, NOON);
        assert_eq!(channel(begin_only, false).hold(NOON), None);
        let both = ChannelState::Live.after(ChannelEvent::Restricted { until, replies: true }, NOON);
        assert_eq!(channel(both, false).hold(NOON), Some(SendHold::Restricted { since: NOON }));
        assert_eq!(channel(both, false).hold(until), None);
        assert_eq!(channel(ChannelState::Live, true).hold(NOON), Some(SendHold::Paused));
    }

    #[test]
    fn typing_is_never_shown_without_leave_to_show_what_was_read() {
        let with =
            |read, typing| Channel { receipts: ReceiptSettings { read, typing }, ..channel(ChannelState::Live, false) };
        assert!(with(true, true).shows_typing(NOON) && with(true, true).shows_read(NOON));
        assert!(!with(false, true).shows_typing(NOON) && !with(true, false).shows_typing(NOON));
        assert!(!channel(ChannelState::Live, true).shows_read(NOON));
        let older: ReceiptSettings = serde_json::from_str("{}").unwrap();
        assert_eq!(older, ReceiptSettings::default());
    }

    #[test]
    fn a_number_is_known_in_any_spelling() {
        let channel = channel(ChannelState::Live, false);
        assert!(channel.is_number("525555550100") && channel.is_number("5215555550100"));
        assert!(!channel.is_number("525555550101") && !channel.is_number(""));
    }
}
