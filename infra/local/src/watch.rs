//! What the operation view shows of the table beside the balance: requests for erasure, and channels.
//! Nothing here names a person.

use domain::{ConfirmationCode, Timestamp, channel::ChannelState, erasure::ErasureState};
use platform::aws::Aws as Clients;
use serde_json::{Value, json};
use store::{Channels, ErasureLedger, Table};

use crate::partitions;

/// Reads the table.
#[derive(Debug)]
pub(crate) struct Watch {
    erasures: ErasureLedger,
    channels: Channels,
    clients: Clients,
    table: String,
}

impl Watch {
    /// Over this table.
    pub(crate) fn new(clients: Clients, table: &Table, name: &str) -> Self {
        let (erasures, channels) = (ErasureLedger::new(table.clone()), Channels::new(table.clone()));
        Self { erasures, channels, clients, table: name.to_owned() }
    }

    /// Every request, open or ended, the latest first. Its code leads to its public page.
    pub(crate) async fn erasures(&self, now: Timestamp) -> anyhow::Result<Vec<Value>> {
        let mut found = Vec::new();
        for code in partitions::named(&self.clients, &self.table, "erasure#").await? {
            let Some(entry) = self.erasures.get(&ConfirmationCode::new(&code)).await? else { continue };
            let erasure = entry.erasure.at(now);
            let ended = match erasure.state() {
                ErasureState::Done { at } | ErasureState::Withdrawn { at } => Some(at.as_secs()),
                _ => None,
            };
            found.push(json!({
                "code": code, "source": erasure.source(), "state": json!(erasure.state())["state"],
                "asked_at": erasure.asked_at().as_secs(), "due_at": erasure.due_at().as_secs(), "ended_at": ended,
                "days_left": erasure.days_left(now), "next": erasure.next_location(),
                "next_at": erasure.wake_at().map(Timestamp::as_secs), "breached": erasure.breached_at().is_some(),
            }));
        }
        found.sort_by_key(|erasure| std::cmp::Reverse(erasure["asked_at"].as_i64()));
        Ok(found)
    }

    /// Every channel: its number's id, and whether it works.
    pub(crate) async fn channels(&self) -> anyhow::Result<Vec<Value>> {
        let state = |channel: &domain::Channel| match (&channel.state, channel.paused || channel.paused_incoming) {
            (ChannelState::Live, false) => "live",
            (ChannelState::Live, true) => "paused",
            (ChannelState::Restricted { .. }, _) => "restricted",
            (ChannelState::Disconnected { .. }, _) => "disconnected",
        };
        let shown = |channel: &domain::Channel| {
            json!({ "phone_number_id": channel.phone_number_id, "display_phone_number": channel.display_phone_number,
                "state": state(channel) })
        };
        Ok(self.channels.all().await?.iter().map(shown).collect())
    }
}
