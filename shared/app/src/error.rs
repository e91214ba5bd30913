//! Defines the errors of working on a task.
//! The class of the error inside is the class of the whole.

use chatwoot::ChatwootError;
use domain::{Class, Classify, InvalidTransition};
use platform::SecretError;
use queue::QueueError;
use store::StoreError;
use whatsapp::GraphError;

/// A task that could not be finished.
#[derive(Debug, thiserror::Error)]
pub enum HandlerError {
    /// The table.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A queue.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// A secret.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// Chatwoot.
    #[error(transparent)]
    Chatwoot(#[from] ChatwootError),
    /// Graph, for anything but a send.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// Another worker has the same item or entry.
    #[error("somebody else is at work on it")]
    Busy(std::time::Duration),
    /// The person it is about is being erased; what is newer waits until that is over, which may take long.
    #[error("it waits for the end of an erasure")]
    Erasing,
}

impl HandlerError {
    /// Whether Chatwoot's token was refused, or what it was used for, so that the secret is worth reading again.
    pub fn is_chatwoot_token(&self) -> bool {
        matches!(self, Self::Chatwoot(error) if error.is_refused())
    }

    /// Whether Chatwoot refuses the token itself, or its user: then every other call is refused, too.
    pub fn is_unauthorized(&self) -> bool {
        matches!(self, Self::Chatwoot(ChatwootError::Unauthorized))
    }
}

impl From<InvalidTransition> for HandlerError {
    fn from(error: InvalidTransition) -> Self {
        Self::Store(error.into())
    }
}

impl Classify for HandlerError {
    fn class(&self) -> Class {
        match self {
            Self::Store(error) => error.class(),
            Self::Queue(error) => error.class(),
            // A secret that is missing or wrong has to be fixed by the operator; the task waits for that.
            Self::Secret(_) | Self::Erasing => Class::LATER,
            Self::Chatwoot(error) => error.class(),
            Self::Graph(error) => error.class(),
            Self::Busy(after) => Class::Transient { after: Some(*after) },
        }
    }
}
