//! Keeps messages from a customer who is being erased. It also reports the drain markers that come out of a group.

use app::HandlerError;
use chatwoot::Contact;
use domain::{AccountId, CustomerId, DrainMarker, Identity, OutboundTask, WaId};
use queue::{Record, Verdict};

use crate::Handler;

/// The queue's name in the ledger.
const QUEUE_NAME: &str = "outbound";

impl Handler {
    /// The verdicts on a batch of one group that has drain markers in it: the markers are worked off, and the sync requests
    /// beside them are left for the next batch, unless there are only markers. Nothing if there is no marker.
    pub(crate) async fn drain_markers(&self, records: &[Record]) -> Option<Vec<Verdict>> {
        let markers: Vec<Option<DrainMarker>> = records.iter().map(|record| drain_marker(&record.body)).collect();
        let first = markers.iter().position(Option::is_some)?;
        if first > 0 {
            // What is queued before the marker comes first.
            return None;
        }
        let mut verdicts = Vec::new();
        for marker in markers.iter().map_while(Option::as_ref) {
            verdicts.push(
                match self.clients.erasures.drain_marker_is_out(&marker.code, QUEUE_NAME, &marker.group).await {
                    Ok(()) => Verdict::Done,
                    Err(error) => {
                        tracing::warn!(%error, "drain marker of an erasure deferred");
                        Verdict::Retry { after: None }
                    }
                },
            );
        }
        if verdicts.len() < records.len() {
            verdicts.push(Verdict::Retry { after: Some(std::time::Duration::ZERO) });
        }
        Some(verdicts)
    }

    /// Whether the customer of a conversation is being erased in that account, or was, and has not written again since.
    pub(crate) async fn is_erased(
        &self,
        account: AccountId,
        customer: Option<&CustomerId>,
        contact: Option<&Contact>,
    ) -> Result<bool, HandlerError> {
        let tombstones = &self.clients.tombstones;
        if let Some(customer) = customer {
            return Ok(tombstones.of_customer(account, customer).await?.is_some());
        }
        let Some(phone) = contact.and_then(|contact| contact.phone_number.as_deref()) else { return Ok(false) };
        let phone = WaId::new(phone.trim_start_matches('+'));
        let aliases = Identity { phone: Some(phone), ..Identity::default() }.aliases(&self.clients.key);
        let aliases = aliases.iter().map(|alias| &alias.subject);
        Ok(!tombstones.among(Some(account), aliases).await?.is_empty())
    }
}

/// Whether a record is a drain marker.
pub(crate) fn is_drain_marker(record: &Record) -> bool {
    drain_marker(&record.body).is_some()
}

fn drain_marker(body: &str) -> Option<DrainMarker> {
    match serde_json::from_str(body).ok()? {
        OutboundTask::DrainMarkerV1(marker) => Some(marker),
        OutboundTask::SyncRequestV1(_) | OutboundTask::TypingV1(_) | OutboundTask::CommandV1(_) => None,
    }
}
