//! What can go wrong with a queue.

use aws_sdk_sqs::error::{BuildError, SdkError};
use domain::{Class, Classify};

/// A call to a queue that did not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// SQS did not answer, or refused.
    #[error("the queue did not take the call")]
    Call(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// SQS took some of the messages only.
    #[error("the queue refused {refused} of {of} messages")]
    Partly {
        /// How many it refused.
        refused: usize,
        /// Out of how many.
        of: usize,
    },
    /// A request could not be put together: a fault of ours.
    #[error("a request to the queue is incomplete")]
    Request(#[from] BuildError),
    /// A task could not be written down: a fault of ours.
    #[error("a task cannot be written down")]
    Body(#[from] serde_json::Error),
}

impl QueueError {
    /// A call to SQS that failed.
    pub fn call<E, R>(error: SdkError<E, R>) -> Self
    where
        E: std::error::Error + Send + Sync + 'static,
        R: std::fmt::Debug + Send + Sync + 'static,
    {
        Self::Call(Box::new(error))
    }
}

impl Classify for QueueError {
    fn class(&self) -> Class {
        match self {
            Self::Call(_) | Self::Partly { .. } => Class::LATER,
            Self::Request(_) | Self::Body(_) => Class::Poison,
        }
    }
}
