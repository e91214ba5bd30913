//! Defines the errors of calls to the table.

use aws_sdk_dynamodb::error::{BuildError, SdkError};
use domain::{Class, Classify, InvalidTransition};

/// A call to the table that failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// DynamoDB did not answer, throttled, or refused for a reason that may pass.
    #[error("the table did not take the call")]
    Call(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Other writers kept changing the same item.
    #[error("the item was changed by others again and again")]
    Contended,
    /// An item was moved by another writer meanwhile, and cannot be moved so any more. What it is now decides what comes next.
    #[error("the item has moved on")]
    Transition(#[from] InvalidTransition),
    /// An item that another item depends on is missing. The operator has to fix it; until then nothing is assumed.
    #[error("an item that belongs to another is not there")]
    Missing,
    /// A key that DynamoDB does not take: an id from outside is too long, or empty.
    #[error("a key is empty or too long")]
    Key,
    /// An item is not what this version writes.
    #[error("an item of the table cannot be read")]
    Item(#[from] serde_dynamo::Error),
    /// Something could not be serialized: a fault of ours.
    #[error("a document cannot be written down")]
    Document(#[from] serde_json::Error),
    /// A request could not be built: a fault of ours.
    #[error("a request to the table is incomplete")]
    Request(#[from] BuildError),
}

impl StoreError {
    pub(crate) fn call<E, R>(error: SdkError<E, R>) -> Self
    where
        E: std::error::Error + Send + Sync + 'static,
        R: std::fmt::Debug + Send + Sync + 'static,
    {
        Self::Call(Box::new(error))
    }
}

impl Classify for StoreError {
    fn class(&self) -> Class {
        match self {
            Self::Call(_) | Self::Contended | Self::Transition(_) | Self::Missing => Class::LATER,
            Self::Key | Self::Item(_) | Self::Document(_) | Self::Request(_) => Class::Poison,
        }
    }
}
