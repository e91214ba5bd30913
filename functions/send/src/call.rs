//! This module calls Meta for one part, within the number's send rate.

use std::time::Duration;

use domain::{Class, Classify as _, NO_CODE, SendFailure};
use secrecy::SecretString;
use serde_json::Value;
use whatsapp::{RECIPIENT_RATE_LIMIT_CODE, SendError, graph::Accepted};

use crate::{
    Handler,
    delivery::{ConversationContext, REQUEUE_DELAY},
    send_slot::Passage,
};

/// The outcome of a call.
pub(crate) enum CallOutcome {
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

impl Handler {
    /// Makes the call in its slot. If the token is no longer valid, calls once more with a new token, in a slot of its own.
    pub(super) async fn call(
        &self,
        context: &ConversationContext<'_>,
        passage: Passage,
        body: &Value,
        token: &SecretString,
    ) -> CallOutcome {
        let number = &context.channel.phone_number_id;
        let mut sent = self.pass(context, passage, body, token).await;
        if sent.as_ref().is_err_and(|error| error.0.is_unauthorized())
            && let Some(renewed) = self.clients.renew_token(context.channel, token).await
        {
            sent = match self.another(context).await {
                Ok(Some(passage)) => self.pass(context, passage, body, &renewed).await,
                // Meta accepted nothing, and the new token is kept for the next time.
                Ok(None) => return CallOutcome::NotNow { after: Some(REQUEUE_DELAY) },
                Err(error) => {
                    tracing::warn!(%error, channel.id = %number, "a part found no place for its second call");
                    return CallOutcome::NotNow { after: None };
                }
            };
        }
        let error = match sent {
            Ok(accepted) => return CallOutcome::Accepted(accepted),
            Err(error) => error,
        };
        tracing::warn!(%error, channel.id = %number, "a part was not sent");
        match error.class() {
            Class::Transient { after } if error.0.code() == Some(RECIPIENT_RATE_LIMIT_CODE) => {
                CallOutcome::TooFast { after }
            }
            Class::Transient { after } => CallOutcome::NotNow { after },
            Class::Uncertain => CallOutcome::Uncertain,
            Class::Permanent | Class::Poison => CallOutcome::Never(SendFailure::Refused {
                code: error.0.code().unwrap_or(NO_CODE),
                clue: error.0.clue(),
            }),
        }
    }

    /// One call, counted from its beginning to its end.
    async fn pass(
        &self,
        context: &ConversationContext<'_>,
        mut passage: Passage,
        body: &Value,
        token: &SecretString,
    ) -> Result<Accepted, SendError> {
        passage.begin();
        let sent = self.clients.graph.send(&context.channel.phone_number_id, token, body).await;
        // Without an answer, it is unknown when the call arrived.
        if sent.as_ref().is_err_and(|error| matches!(error.class(), Class::Uncertain)) {
            drop(passage);
        } else {
            passage.end();
        }
        sent
    }
}
