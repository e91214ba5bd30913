//! Keeps what shows who asked for an erasure, by ids and keyed hashes, and says it in words.

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// More than this tells nothing new.
const MAX_EVIDENCE: usize = 8;

/// What was done at a door.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EvidenceAct {
    /// The operator asked.
    OperatorAsked,
    /// The label was put on a conversation.
    Labeled,
    /// The customer asked in the chat.
    CustomerAsked,
    /// The customer said that they mean it.
    CustomerConfirmed,
}

/// One thing that shows it. It outlives the person's data, so it names no customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// What was done.
    pub act: EvidenceAct,
    /// When.
    pub at: Timestamp,
    /// By what it is known: the keyed hash of an operator's name or of a message, Chatwoot's ids of an agent and a line.
    pub trace: String,
}

impl Evidence {
    /// The same in words, for the receipt.
    pub fn words(&self) -> String {
        let Self { act, at, trace } = self;
        let act = match act {
            EvidenceAct::OperatorAsked => "the operator asked, known by the keyed hash",
            EvidenceAct::Labeled => "the label was put on in Chatwoot, by its ids:",
            EvidenceAct::CustomerAsked => "the customer asked in the chat, by the message with the keyed hash",
            EvidenceAct::CustomerConfirmed => {
                "the customer confirmed it in the chat, by the message with the keyed hash"
            }
        };
        format!("at {}: {act} {trace}", at.as_millis())
    }
}

/// Adds something to what is known, once.
pub(super) fn add(known: &mut Vec<Evidence>, new: Evidence) {
    let is_known = known.iter().any(|one| (one.act, &one.trace) == (new.act, &new.trace));
    if !is_known && known.len() < MAX_EVIDENCE {
        known.push(new);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_is_kept_once_and_with_its_first_time() {
        let seen = |seconds, trace: &str| Evidence {
            act: EvidenceAct::Labeled,
            at: Timestamp::from_secs(seconds),
            trace: trace.to_owned(),
        };
        let mut known = Vec::new();
        for (seconds, trace) in [(1, "agent 7"), (2, "agent 7"), (3, "agent 8")] {
            add(&mut known, seen(seconds, trace));
        }
        assert_eq!(known, [seen(1, "agent 7"), seen(3, "agent 8")]);
        for at in 0..20 {
            add(&mut known, seen(at, &at.to_string()));
        }
        assert_eq!(known.len(), MAX_EVIDENCE);
        assert_eq!(known[0].words(), "at 1000: the label was put on in Chatwoot, by its ids: agent 7");
    }
}
