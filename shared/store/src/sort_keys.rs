//! Selects items of a partition or of an index; keys are never empty.

use aws_sdk_dynamodb::types::AttributeValue;
use domain::CustomerId;

use crate::{
    StoreError,
    table::{Item, text},
};

/// A piece of a sort key that is not empty: DynamoDB takes no empty string for a key attribute, nor in a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bound(String);

impl TryFrom<String> for Bound {
    type Error = StoreError;

    fn try_from(piece: String) -> Result<Self, StoreError> {
        if piece.is_empty() { Err(StoreError::Bound) } else { Ok(Self(piece)) }
    }
}

/// A customer's partition of an index. It is not empty, as no key of an index is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owner(Bound);

impl Owner {
    /// `None` for an empty id, which no customer has.
    pub(crate) fn of(customer: &CustomerId) -> Option<Self> {
        Bound::try_from(customer.as_str().to_owned()).ok().map(Self)
    }

    /// The value of the key.
    pub(crate) fn value(&self) -> AttributeValue {
        text(&self.0.0)
    }
}

/// Some items of a partition, or all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SortKeys {
    /// The whole partition.
    All,
    /// Those that begin with this.
    Prefix(Bound),
    /// Those from the first to the last of these, both included.
    Between(Bound, Bound),
}

impl SortKeys {
    /// The items that begin with this. An empty prefix selects all.
    pub(crate) fn prefix(prefix: impl Into<String>) -> Self {
        Bound::try_from(prefix.into()).map_or(Self::All, Self::Prefix)
    }

    /// Those from `first` to `last`, both included.
    pub(crate) fn between(first: impl Into<String>, last: impl Into<String>) -> Result<Self, StoreError> {
        Ok(Self::Between(first.into().try_into()?, last.into().try_into()?))
    }

    /// The key condition of a query, and its values.
    pub(crate) fn condition(&self, pk: &str) -> (&'static str, Item) {
        let value = |name: &str, value: &str| (name.to_owned(), text(value));
        match self {
            Self::All => ("pk = :pk", Item::from([value(":pk", pk)])),
            Self::Prefix(Bound(prefix)) => {
                ("pk = :pk AND begins_with(sk, :prefix)", Item::from([value(":pk", pk), value(":prefix", prefix)]))
            }
            Self::Between(Bound(first), Bound(last)) => (
                "pk = :pk AND sk BETWEEN :first AND :last",
                Item::from([value(":pk", pk), value(":first", first), value(":last", last)]),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_has_an_empty_id() {
        assert_eq!(Owner::of(&CustomerId::new("")), None);
        assert_eq!(Owner::of(&CustomerId::new("c")).map(|owner| owner.value()), Some(text("c")));
    }

    #[test]
    fn a_whole_partition_has_no_bound_and_no_bound_is_empty() {
        assert_eq!(SortKeys::prefix(""), SortKeys::All);
        assert_eq!(SortKeys::All.condition("p"), ("pk = :pk", Item::from([(":pk".to_owned(), text("p"))])));
        for (first, last) in [("", "z"), ("a", ""), ("", "")] {
            assert!(matches!(SortKeys::between(first, last), Err(StoreError::Bound)), "{first:?} to {last:?}");
        }
    }
}
