//! Defines the errors of a function, and what happens after each.

use std::time::Duration;

use chatwoot::ChatwootError;
use domain::{Class, Classify, InvalidTransition};
use lambda_http::http::StatusCode;
use platform::SecretError;
use queue::QueueError;
use store::StoreError;
use whatsapp::GraphError;

/// How long Chatwoot may go on writing after a call was cut off: the next attempt must not search too early.
const WRITE_MIN_TIME: Duration = Duration::from_secs(6);

/// How often the other side may refuse a task; with the queue's backoff, about half an hour.
pub const MAX_REFUSALS: u32 = 12;

/// A task or a request that could not be finished.
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
    #[error("another worker has it; it is tried again when that one's lease is over")]
    Busy(Duration),
    /// The operator keeps what comes in for this number in its queue.
    #[error("the operator has paused this number")]
    Paused,
    /// The person it is about is being erased; what is newer waits until that is over, which may take long.
    #[error("it waits for the end of an erasure")]
    Erasing,
    /// A request is refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// Why a request of the API is refused. Nothing of it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is not what the route takes.
    #[error("the request cannot be read; it has to be corrected")]
    Unreadable,
    /// Its signature is missing, wrong or too old.
    #[error("the request is not signed as it should be; it has to be signed anew")]
    Unsigned,
    /// It does not know the verify token.
    #[error("the verify token is another one; the caller has to be told the right one")]
    Forbidden,
    /// It names no channel or code of ours.
    #[error("nothing is known under this address; the caller has to use another one")]
    Unknown,
    /// Its body is too large.
    #[error("the body is too large; it has to be sent in parts")]
    TooLarge,
}

/// What happens next with a task after an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextStep {
    /// It stays in its queue.
    Retry {
        /// Until this has passed.
        after: Duration,
    },
    /// The other side has refused it often enough: it is not tried again.
    GiveUp,
    /// We cannot handle it, now or later: it is dead-lettered.
    DeadLetter,
}

impl HandlerError {
    /// What happens next with the task. `pace` is the least time to the next attempt, and `is_enough` whether refusals have lasted
    /// as long as they may.
    pub fn next_step(&self, pace: Duration, is_enough: bool) -> NextStep {
        match (self, self.class()) {
            (_, Class::Poison) => NextStep::DeadLetter,
            (_, Class::Permanent | Class::Uncertain) if is_enough => NextStep::GiveUp,
            (Self::Chatwoot(ChatwootError::CutOff(_)), _) => NextStep::Retry { after: pace.max(WRITE_MIN_TIME) },
            (_, Class::Permanent | Class::Uncertain) => NextStep::Retry { after: pace },
            // Waiting for another worker is no outage.
            (Self::Busy(after), _) => NextStep::Retry { after: *after },
            // The requested delay is a minimum: an outage is not tried again at that pace for ever.
            (_, Class::Transient { after }) => NextStep::Retry { after: after.unwrap_or_default().max(pace) },
        }
    }

    /// Whether the other side refuses what the task asks of it.
    pub fn is_refusal(&self) -> bool {
        matches!(self.class(), Class::Permanent | Class::Uncertain)
    }

    /// The answer to a request that ended with it.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Refused(Refusal::Unreadable) => StatusCode::BAD_REQUEST,
            Self::Refused(Refusal::Unsigned) => StatusCode::UNAUTHORIZED,
            Self::Refused(Refusal::Forbidden) => StatusCode::FORBIDDEN,
            Self::Refused(Refusal::Unknown) => StatusCode::NOT_FOUND,
            Self::Refused(Refusal::TooLarge) => StatusCode::PAYLOAD_TOO_LARGE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        }
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
            Self::Secret(_) | Self::Erasing | Self::Paused => Class::LATER,
            Self::Chatwoot(error) => error.class(),
            Self::Graph(error) => error.class(),
            Self::Busy(after) => Class::Transient { after: Some(*after) },
            Self::Refused(_) => Class::Permanent,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Duration = Duration::from_secs(4);

    #[test]
    fn the_class_of_an_error_decides_what_happens_next() {
        let retry = |seconds| NextStep::Retry { after: Duration::from_secs(seconds) };
        let chatwoot = HandlerError::Chatwoot;
        for (error, at_first, in_the_end) in [
            (HandlerError::Secret(SecretError::Missing), retry(4), retry(4)),
            (HandlerError::Erasing, retry(4), retry(4)),
            (HandlerError::Busy(Duration::from_secs(1)), retry(1), retry(1)),
            (chatwoot(ChatwootError::Unauthorized), retry(4), retry(4)),
            (chatwoot(ChatwootError::TokenRenewed), retry(4), retry(4)),
            (chatwoot(ChatwootError::Unwell(504)), retry(6), retry(6)),
            (chatwoot(ChatwootError::CutOff(None)), retry(6), NextStep::GiveUp),
            (chatwoot(ChatwootError::Refused(422)), retry(4), NextStep::GiveUp),
            (HandlerError::Graph(GraphError::Checksum), retry(4), NextStep::GiveUp),
            (
                HandlerError::Queue(QueueError::Body(serde_json::from_str::<u8>("").unwrap_err())),
                NextStep::DeadLetter,
                NextStep::DeadLetter,
            ),
        ] {
            assert_eq!((error.next_step(PACE, false), error.next_step(PACE, true)), (at_first, in_the_end), "{error}");
        }
    }

    #[test]
    fn a_request_is_answered_by_what_its_error_says() {
        let statuses =
            [Refusal::Unreadable, Refusal::Unsigned, Refusal::Forbidden, Refusal::Unknown, Refusal::TooLarge]
                .map(|refusal| HandlerError::from(refusal).status().as_u16());
        assert_eq!(statuses, [400, 401, 403, 404, 413]);
        // What is wrong on our side is asked for again.
        assert_eq!(HandlerError::from(SecretError::Unavailable).status(), 500);
    }
}
