//! The call that sends a part, at its place in what the number may send.

use std::time::Duration;

use domain::{Class, Classify as _, NO_CODE, words::Trouble};
use secrecy::SecretString;
use serde_json::Value;
use whatsapp::{PAIR_LIMIT, SendError, graph::Accepted};

use crate::{
    Send,
    dispatch::{PUT_BACK, With},
    lane::Passage,
};

/// What a call came to.
pub(crate) enum Called {
    Accepted(Accepted),
    NotNow {
        after: Option<Duration>,
    },
    /// Too much for this person: Meta counted more than we did.
    TooFast {
        after: Option<Duration>,
    },
    Never(Trouble),
    Uncertain,
}

impl Send {
    /// The call at its place; where the token is no longer good, once more with a new one, at a place of its own.
    pub(super) async fn call(&self, with: &With<'_>, passage: Passage, body: &Value, token: &SecretString) -> Called {
        let number = &with.channel.phone_number_id;
        let mut sent = self.pass(with, passage, body, token).await;
        if sent.as_ref().is_err_and(|error| error.0.is_unauthorized())
            && let Some(renewed) = self.clients.renew_token(with.channel, token).await
        {
            sent = match self.another(with).await {
                Ok(Some(passage)) => self.pass(with, passage, body, &renewed).await,
                // Meta took nothing, and the new token is kept for the next time.
                Ok(None) => return Called::NotNow { after: Some(PUT_BACK) },
                Err(error) => {
                    tracing::warn!(%error, channel.id = %number, "a part found no place for its second call");
                    return Called::NotNow { after: None };
                }
            };
        }
        let error = match sent {
            Ok(accepted) => return Called::Accepted(accepted),
            Err(error) => error,
        };
        tracing::warn!(%error, channel.id = %number, "a part was not sent");
        match error.class() {
            Class::Transient { after } if error.0.code() == Some(PAIR_LIMIT) => Called::TooFast { after },
            Class::Transient { after } => Called::NotNow { after },
            Class::Uncertain => Called::Uncertain,
            Class::Permanent | Class::Poison => {
                Called::Never(Trouble::Refused { code: error.0.code().unwrap_or(NO_CODE), clue: error.0.clue() })
            }
        }
    }

    /// One call, counted from its beginning to its end.
    async fn pass(
        &self,
        with: &With<'_>,
        mut passage: Passage,
        body: &Value,
        token: &SecretString,
    ) -> Result<Accepted, SendError> {
        passage.begin();
        let sent = self.clients.graph.send(&with.channel.phone_number_id, token, body).await;
        // Without an answer nobody knows when it arrived.
        if sent.as_ref().is_err_and(|error| matches!(error.class(), Class::Uncertain)) {
            drop(passage);
        } else {
            passage.end();
        }
        sent
    }
}
