//! Calls Meta for one part. This is the only place that sends a message.

use std::time::Duration;

use domain::{Class, Classify as _, NO_CODE, SendFailure};
use serde_json::Value;
use whatsapp::{Graph, GraphError, RECIPIENT_RATE_LIMIT_CODE, SendError, graph::Accepted};

use super::{
    Attempt, ConversationContext, REQUEUE_DELAY,
    reserve::{Request, Reserved},
    slot::SendSlot,
};
use crate::Handler;

/// A call that was made. Only a [`Reserved`] becomes one.
pub(super) struct Attempted {
    attempt: Attempt,
    answer: Answer,
}

/// What Meta answered.
#[derive(Debug)]
pub(super) enum Answer {
    Accepted(Accepted),
    NotNow {
        after: Option<Duration>,
    },
    /// Too many messages for this customer: Meta counted more than we did.
    TooFast {
        after: Option<Duration>,
    },
    Never(SendFailure),
    Uncertain,
}

impl Attempted {
    /// The call, and what Meta answered.
    pub(super) fn into_answer(self) -> (Attempt, Answer) {
        (self.attempt, self.answer)
    }
}

impl Handler {
    /// Makes the call that was reserved.
    pub(super) async fn call(&self, reserved: Reserved<'_>) -> Attempted {
        let (context, attempt, request) = reserved.into_call();
        Attempted { attempt, answer: self.request(context, request).await }
    }

    /// Makes the call in its slot. If Meta refuses the token, it did nothing: the call is made once more with a newer token, in
    /// a slot of its own.
    async fn request(&self, context: &ConversationContext<'_>, request: Request) -> Answer {
        let Request { slot, body, graph } = request;
        let number = &context.channel.phone_number_id;
        let mut sent = post(context, slot, &body, &graph).await;
        if matches!(sent, Err(SendError(GraphError::TokenRenewed))) {
            sent = match self.another_slot(context).await {
                Ok(Some(slot)) => post(context, slot, &body, &graph).await,
                // Meta accepted nothing, and the new token is kept for the next time.
                Ok(None) => return Answer::NotNow { after: Some(REQUEUE_DELAY) },
                Err(error) => {
                    tracing::warn!(%error, channel.id = %number, "part deferred: no slot for its call with a new token");
                    return Answer::NotNow { after: None };
                }
            };
        }
        match sent {
            Ok(accepted) => Answer::Accepted(accepted),
            Err(error) => {
                tracing::warn!(%error, channel.id = %number, "part not sent");
                Answer::from(&error)
            }
        }
    }
}

/// One request, counted from its beginning to its end.
async fn post(
    context: &ConversationContext<'_>,
    mut slot: SendSlot,
    body: &Value,
    graph: &Graph,
) -> Result<Accepted, SendError> {
    slot.begin();
    #[expect(clippy::disallowed_methods, reason = "the one call of a reservation")]
    let sent = graph.send(&context.channel.phone_number_id, body).await;
    // Without an answer, it is unknown when the call arrived.
    if sent.as_ref().is_err_and(|error| matches!(error.class(), Class::Uncertain)) {
        drop(slot);
    } else {
        slot.end();
    }
    sent
}

impl From<&SendError> for Answer {
    fn from(error: &SendError) -> Self {
        match error.class() {
            Class::Transient { after } if error.0.code() == Some(RECIPIENT_RATE_LIMIT_CODE) => Self::TooFast { after },
            Class::Transient { after } => Self::NotNow { after },
            Class::Uncertain => Self::Uncertain,
            Class::Permanent | Class::Poison => {
                Self::Never(SendFailure::Refused { code: error.0.code().unwrap_or(NO_CODE), clue: error.0.clue() })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::Clue;
    use whatsapp::GraphError;

    use super::*;

    #[test]
    fn only_what_certainly_was_not_sent_is_tried_again() {
        let refused = |code, transient| {
            let clue = Clue::default();
            let error = GraphError::Refused { code, status: 400, transient, regained: None, clue };
            Answer::from(&SendError(error))
        };
        for code in [131_026, 190] {
            let answer = refused(code, false);
            assert!(matches!(answer, Answer::Never(failure) if failure == SendFailure::refused(code)), "{answer:?}");
        }
        assert!(matches!(refused(131_000, true), Answer::NotNow { .. }));
        assert!(matches!(refused(RECIPIENT_RATE_LIMIT_CODE, false), Answer::TooFast { .. }));
        for status in [None, Some(200), Some(502)] {
            let silent = SendError(GraphError::NoAnswer { status, source: None });
            assert!(matches!(Answer::from(&silent), Answer::Uncertain), "{status:?}");
        }
    }
}
