//! What erasures want of `send`: marks that come out of a group, and nobody written to who is being erased.

use app::BridgeError;
use chatwoot::Contact;
use domain::{AccountId, CustomerId, Identity, OutboundTask, Probe, WaId};
use queue::{Record, Verdict};

use crate::Send;

/// The queue as the ledger calls it.
const QUEUE: &str = "outbound";

impl Send {
    /// The verdicts on a batch of one group that has marks of erasures in it: those come out, and the hints beside them are left for
    /// the next batch, unless there are only marks. Nothing if there is none.
    pub(crate) async fn probes(&self, records: &[Record]) -> Option<Vec<Verdict>> {
        let probes: Vec<Option<Probe>> = records.iter().map(|record| probe(&record.body)).collect();
        let first = probes.iter().position(Option::is_some)?;
        if first > 0 {
            // What stands before the mark comes first.
            return None;
        }
        let mut verdicts = Vec::new();
        for probe in probes.iter().map_while(Option::as_ref) {
            verdicts.push(match self.clients.erasures.probe_is_out(&probe.code, QUEUE, &probe.group).await {
                Ok(()) => Verdict::Done,
                Err(error) => {
                    tracing::warn!(%error, "a mark of an erasure has to wait");
                    Verdict::Retry { after: None }
                }
            });
        }
        if verdicts.len() < records.len() {
            verdicts.push(Verdict::Retry { after: Some(std::time::Duration::ZERO) });
        }
        Some(verdicts)
    }

    /// Whether the customer of a conversation is being erased there, or was, and has not written again since.
    pub(crate) async fn is_erased(
        &self,
        account: AccountId,
        customer: Option<&CustomerId>,
        contact: Option<&Contact>,
    ) -> Result<bool, BridgeError> {
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

/// Whether a record is a mark of an erasure.
pub(crate) fn is_probe(record: &Record) -> bool {
    probe(&record.body).is_some()
}

fn probe(body: &str) -> Option<Probe> {
    match serde_json::from_str(body).ok()? {
        OutboundTask::ProbeV1(probe) => Some(probe),
        OutboundTask::HintV1(_) | OutboundTask::TypingV1(_) | OutboundTask::CommandV1(_) => None,
    }
}
