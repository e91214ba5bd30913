//! A status tells how far a message came on its way to the customer.

use serde::{Deserialize, Serialize};

use crate::{Clue, Identity, KeyedHash, PhoneNumberId, Pricing, Timestamp, Wamid, keyed_hash::WorkItem};

/// How far a message came. The order of the variants is the order of the facts: a later one replaces an earlier one, never the
/// other way round, so statuses may arrive in any order, twice, or too early.
///
/// `Failed` stands between `Sent` and `Delivered`: it overrules "sent", but a delivered message did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Delivery {
    /// Meta took it.
    Accepted,
    /// Meta sent it on: one tick.
    Sent,
    /// Meta gave up.
    Failed {
        /// Meta's error code; [`crate::NO_CODE`] if it gave none.
        code: i64,
        /// What else Meta told about it.
        #[serde(default, skip_serializing_if = "Clue::is_empty")]
        clue: Clue,
    },
    /// It is on the customer's phone: two ticks.
    Delivered,
    /// It was opened: blue ticks.
    Read,
    /// A voice note was listened to.
    Played,
}

impl Delivery {
    /// Meta gave up with this code, and told nothing else.
    pub fn failed(code: i64) -> Self {
        Self::Failed { code, clue: Clue::default() }
    }

    /// The further of the two.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        self.max(other)
    }
}

/// One status as Meta reports it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StatusUpdate {
    /// The business number it was sent from.
    pub channel: PhoneNumberId,
    /// The keyed hash of the item.
    pub item: KeyedHash<WorkItem>,
    /// The message it is about.
    pub id: Wamid,
    /// How far it came.
    pub delivery: Delivery,
    /// When, by Meta's clock.
    pub at: Timestamp,
    /// The recipient, as far as the status tells.
    pub customer: Identity,
    /// What we wrote into `biz_opaque_callback_data`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// What Meta charges the message as, where the status says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pricing: Option<Pricing>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_delivery() -> impl Strategy<Value = Delivery> {
        prop_oneof![
            Just(Delivery::Accepted),
            Just(Delivery::Sent),
            (0..3i64).prop_map(|code| Delivery::failed(131_047 + code)),
            Just(Delivery::Delivered),
            Just(Delivery::Read),
            Just(Delivery::Played),
        ]
    }

    proptest! {
        #[test]
        fn statuses_only_move_forward_in_whatever_order(statuses in prop::collection::vec(any_delivery(), 1..12), seed in any::<u64>()) {
            let end = |list: &[Delivery]| list.iter().copied().fold(Delivery::Accepted, Delivery::merge);
            let mut shuffled = statuses.clone();
            let len = shuffled.len();
            for at in 0..len {
                shuffled.swap(at, usize::try_from(seed.rotate_left(u32::try_from(at).unwrap())).unwrap() % len);
            }
            prop_assert_eq!(end(&statuses), end(&shuffled));
            let mut state = Delivery::Accepted;
            for status in statuses {
                let next = state.merge(status);
                prop_assert!(next >= state);
                state = next;
            }
        }
    }

    #[test]
    fn what_was_delivered_did_not_fail() {
        let failed = Delivery::failed(131_026);
        assert_eq!(Delivery::Sent.merge(failed), failed);
        assert_eq!(failed.merge(Delivery::Delivered), Delivery::Delivered);
        assert_eq!(Delivery::Read.merge(failed), Delivery::Read);
    }
}
