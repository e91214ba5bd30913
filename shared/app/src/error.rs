//! Whatever can go wrong while a task is worked on; the class of each part is the class of the whole.

use chatwoot::ChatwootError;
use domain::{Class, Classify};
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
    /// Somebody else is at work on the same thing.
    #[error("somebody else is at work on it")]
    Busy(std::time::Duration),
    /// Whom it is about is being erased; what is newer waits until that is over, which may be long.
    #[error("it waits for the end of an erasure")]
    Erasing,
}

impl HandlerError {
    /// Whether Chatwoot's token was refused, or what it was used for, so that the secret is worth another look.
    pub fn is_chatwoot_token(&self) -> bool {
        matches!(self, Self::Chatwoot(error) if error.is_refused())
    }

    /// Whether Chatwoot refuses the token itself, or its user: then every other call fares the same.
    pub fn is_unauthorized(&self) -> bool {
        matches!(self, Self::Chatwoot(ChatwootError::Unauthorized))
    }
}

impl Classify for HandlerError {
    fn class(&self) -> Class {
        match self {
            Self::Store(error) => error.class(),
            Self::Queue(error) => error.class(),
            // A secret that is missing or wrong is the operator's to mend; the task waits for that.
            Self::Secret(_) | Self::Erasing => Class::LATER,
            Self::Chatwoot(error) => error.class(),
            Self::Graph(error) => error.class(),
            Self::Busy(after) => Class::Transient { after: Some(*after) },
        }
    }
}
