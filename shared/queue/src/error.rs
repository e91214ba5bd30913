//! Defines the errors of calls to a queue.

use aws_sdk_sqs::error::{BuildError, SdkError};
use domain::{Class, Classify};

/// A call to a queue that failed.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// SQS did not answer, or refused.
    #[error("the queue did not take the call")]
    Call(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// SQS took only some of the messages.
    #[error("the queue refused {refused} of {of} messages")]
    Partly {
        /// How many it refused.
        refused: usize,
        /// Out of how many.
        of: usize,
    },
    /// A request could not be built: a fault of ours.
    #[error("a request to the queue is incomplete")]
    Request(#[from] BuildError),
    /// A task could not be serialized: a fault of ours.
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
