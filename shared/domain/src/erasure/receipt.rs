//! A receipt states what an erasure found and erased in each data location. It also says what lies outside. Its signature
//! can be checked.

use serde::{Deserialize, Serialize};

use super::{DataLocation, Erasure, ErasureState, RequestSource};
use crate::{ConfirmationCode, HashKey, Timestamp};

/// What was done: counts and times, and no names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// The format version: it has exactly these members; another version has another set.
    pub version: u32,
    /// The request's code.
    pub code: ConfirmationCode,
    /// Who asked.
    #[serde(rename = "door")]
    pub source: RequestSource,
    /// When, in epoch milliseconds as all times here.
    pub asked_at: Timestamp,
    /// Up to which time everything was erased.
    pub confirmed_at: Option<Timestamp>,
    /// When the last data location was found empty.
    pub done_at: Timestamp,
    /// When the deadline passed before that, if it did.
    pub breached_at: Option<Timestamp>,
    /// What shows who asked, in words.
    pub evidence: Vec<String>,
    /// One entry for each data location.
    #[serde(rename = "places")]
    pub locations: Vec<LocationReceipt>,
    /// What cannot be erased from here.
    pub outside: Vec<String>,
    /// What the bridge keeps, and why.
    pub kept: Vec<String>,
}

/// One data location.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocationReceipt {
    /// Which.
    #[serde(rename = "place")]
    pub location: DataLocation,
    /// How many things were found.
    pub found: u64,
    /// How many of them are gone: all that are not `left`; otherwise there is no receipt.
    pub erased: u64,
    /// How many had to be left where they are.
    #[serde(default, skip_serializing_if = "is_none")]
    pub left: u64,
    /// Why, and how that ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_because: Option<String>,
    /// When a check after that found nothing.
    pub verified_at: Timestamp,
    /// How it was erased.
    pub method: String,
    /// How that was checked.
    pub verification: String,
}

/// A receipt with its signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedReceipt {
    /// What is signed, in this order of members and without white space.
    pub receipt: Receipt,
    /// Which key signed it.
    pub key: String,
    /// HMAC-SHA256, in hex.
    pub signature: String,
}

impl Receipt {
    /// The receipt of a request that is done; `None` for any other.
    pub fn of(erasure: &Erasure) -> Option<Self> {
        let ErasureState::Done { at } = erasure.state else { return None };
        let left = |location: &DataLocation| erasure.left(*location);
        let locations = erasure.cleared.iter().map(|(location, cleared)| LocationReceipt {
            location: *location,
            found: cleared.found,
            erased: cleared.found.saturating_sub(left(location)),
            left: left(location),
            left_because: Some(location.left_because().to_owned()).filter(|_| left(location) > 0),
            verified_at: cleared.at,
            method: location.method(erasure.source).to_owned(),
            verification: location.verification(erasure.source).to_owned(),
        });
        Some(Self {
            version: 3,
            code: erasure.code.clone(),
            source: erasure.source,
            asked_at: erasure.asked_at,
            confirmed_at: erasure.confirmed_at,
            done_at: at,
            breached_at: erasure.breached_at,
            evidence: erasure.evidence.iter().map(super::Evidence::words).collect(),
            locations: locations.collect(),
            outside: OUT_OF_REACH.map(str::to_owned).to_vec(),
            kept: KEPT_ON_PURPOSE.map(str::to_owned).to_vec(),
        })
    }

    /// Signs it.
    pub fn sign(self, key: &HashKey) -> Result<SignedReceipt, serde_json::Error> {
        let signature = key.receipt_tag(&serde_json::to_vec(&self)?);
        Ok(SignedReceipt { receipt: self, key: key.receipt_key_version(), signature })
    }
}

/// The result of checking a receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ReceiptCheck {
    /// This key signed this receipt.
    Genuine,
    /// This key never signed it, or it was changed since.
    Forged,
    /// It names another version of the key: this key cannot tell.
    OtherKey,
}

impl SignedReceipt {
    /// Whether it is as it was signed.
    pub fn check(&self, key: &HashKey) -> ReceiptCheck {
        if self.key != key.receipt_key_version() {
            return ReceiptCheck::OtherKey;
        }
        match serde_json::to_vec(&self.receipt) {
            Ok(bytes) if key.is_receipt_tag(&bytes, &self.signature) => ReceiptCheck::Genuine,
            _ => ReceiptCheck::Forged,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks like this")]
fn is_none(count: &u64) -> bool {
    *count == 0
}

/// What a receipt cannot vouch for.
const OUT_OF_REACH: [&str; 8] = [
    "copies that Meta keeps of messages it carried (WhatsApp's own retention)",
    "the customer's phone and the phone app in the shop",
    "what the person wrote in WhatsApp groups, which stands in the groups' conversations in Chatwoot among what others wrote",
    "what other dealers on the same installation have of the person, where one of them was asked and nobody asked for all",
    "backups, audit log, search index and sent e-mails of the Chatwoot installation",
    "an agent's unsent draft in a conversation that was deleted in Chatwoot before the erasure: only the conversation leads to it",
    "attributes of such a conversation in the audit log of a Chatwoot with Enterprise code; what is deleted here is emptied first",
    "point-in-time recovery of the table, which ends within pitr_days; a restore erases again before traffic",
];

/// What stays in the table.
const KEPT_ON_PURPOSE: [&str; 2] = [
    "keyed hashes of the person's ids with the time of erasure, for 35 days, so that late repeats do not bring the person back",
    "keyed hashes of handled items, for 16 days, and counts without persons",
];

impl DataLocation {
    fn method(self, source: RequestSource) -> &'static str {
        match self {
            Self::DeadLetters if source == RequestSource::Retention => {
                "not looked through: nothing in them is old enough for anybody's time to be over"
            }
            Self::InboundQueue => "dropped by the consumer, whatever was sent up to the request",
            Self::OutboundQueue => {
                "sync requests, which end in nothing and are not counted; they carry no words but what a template was filled with"
            }
            Self::DeadLetters => "deleted one by one, from every dead-letter queue",
            Self::Chatwoot => {
                "drafts deleted and attributes emptied, conversations deleted with their messages and files, then the contacts"
            }
            Self::Table => "all items of all aliases deleted, expired ones among them",
            Self::MetaMedia => "deleted by media id",
            Self::MetaContactBook => "deleted by user id, on every number",
        }
    }

    fn left_because(self) -> &'static str {
        match self {
            Self::Chatwoot => {
                "contacts that an agent merged with another customer's: kept for that one, without this person's number, ids and \
                 profile name; what the agent typed there is for the agent to look at. Or rows of inboxes whose contact is gone and \
                 whose deletion Chatwoot's own job did not end: they hold a random id of ours and nothing else"
            }
            Self::MetaMedia | Self::MetaContactBook => {
                "out of reach: the number is no longer connected, or Meta refuses its token for good; Meta drops files after 30 days"
            }
            Self::InboundQueue | Self::OutboundQueue | Self::DeadLetters | Self::Table => "out of reach",
        }
    }

    fn verification(self, source: RequestSource) -> &'static str {
        match self {
            Self::DeadLetters if source == RequestSource::Retention => {
                "that the person had not been active since was looked at once more before anything was erased"
            }
            Self::InboundQueue | Self::OutboundQueue => {
                "a drain marker put behind everything in each message group of the person and of their messages' statuses came out"
            }
            Self::DeadLetters => "a pass over as many letters as each queue counts found none",
            Self::Chatwoot => "each conversation and contact, but what is left, answers 404",
            Self::Table => "consistent reads of every key, and the index, find none",
            Self::MetaMedia => "each id, but those left, is unknown to Meta",
            Self::MetaContactBook => "Meta's answer",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::erasure::ErasureDeadlines;

    const NOON: Timestamp = Timestamp::from_secs(1_795_190_400);

    fn signed() -> SignedReceipt {
        receipt(RequestSource::Operator).sign(&HashKey::new("k".into())).unwrap()
    }

    fn receipt(source: RequestSource) -> Receipt {
        let deadlines = ErasureDeadlines { deletion_days: 30, warn_days: vec![], confirm_hours: 24 };
        let mut erasure =
            Erasure::open(ConfirmationCode::new("c"), source, NOON, NOON, &deadlines).begin(NOON).unwrap();
        assert_eq!(Receipt::of(&erasure), None);
        for place in DataLocation::ALL {
            erasure.note(place, 3);
            erasure = erasure.clear(place, NOON).unwrap();
        }
        Receipt::of(&erasure.finish(NOON).unwrap()).unwrap()
    }

    #[test]
    fn a_receipt_says_of_no_place_that_it_was_looked_through_when_it_was_not() {
        let dead_letters = |source| {
            receipt(source).locations.into_iter().find(|one| one.location == DataLocation::DeadLetters).unwrap()
        };
        assert!(dead_letters(RequestSource::Retention).method.starts_with("not looked through"));
        assert!(!dead_letters(RequestSource::Retention).verification.contains("letters"));
        assert!(dead_letters(RequestSource::Operator).method.starts_with("deleted"));
    }

    #[test]
    fn a_receipt_proves_itself_and_a_changed_one_does_not() {
        let key = HashKey::new("k".into());
        let text = serde_json::to_string_pretty(&signed()).unwrap();
        let read: SignedReceipt = serde_json::from_str(&text).unwrap();
        assert_eq!(read.check(&key), ReceiptCheck::Genuine);
        assert_eq!(read.check(&HashKey::new("other".into())), ReceiptCheck::OtherKey);
        for (from, to) in [("\"found\": 3", "\"found\": 0"), ("operator", "agent"), ("\"c\"", "\"d\"")] {
            let forged: SignedReceipt = serde_json::from_str(&text.replacen(from, to, 1)).unwrap();
            assert_eq!(forged.check(&key), ReceiptCheck::Forged, "{from}");
        }
        assert!(
            serde_json::from_str::<SignedReceipt>(&text.replacen("\"version\"", "\"extra\": 1, \"version\"", 1))
                .is_err()
        );
        assert_eq!(signed().receipt.locations.len(), DataLocation::ALL.len());
    }
}
