//! Says why a step did not go through, and what happens next with its signup.

use std::time::Duration;

use app::{HandlerError, onboarding::OnboardingError};
use chatwoot::ChatwootError;
use domain::{Class, Classify as _, signup::SignupFault};
use platform::SecretError;
use store::StoreError;
use whatsapp::GraphError;

/// Why a step did not go through.
#[derive(Debug)]
pub(crate) enum Stop {
    /// It is tried again, with this word for the page.
    Wait(Option<SignupFault>),
    /// The same, not before so long.
    Pause(SignupFault, Duration),
    /// The dialog has to be gone through again.
    Reopen(SignupFault),
    /// Meta refuses the token; a new one is believed to be slow first.
    Unauthorized,
    /// The person has to say something; the signup knows what.
    Asks,
    /// Nothing of the signup can be written now.
    Error(HandlerError),
}

impl From<GraphError> for Stop {
    fn from(error: GraphError) -> Self {
        if error.is_unauthorized() {
            return Self::Unauthorized;
        }
        tracing::warn!(%error, "Meta did not do what a signup asks");
        Self::Wait(Some(SignupFault::Meta))
    }
}

impl From<ChatwootError> for Stop {
    fn from(error: ChatwootError) -> Self {
        tracing::warn!(%error, page = "docs/runbook/signup.md", "Chatwoot did not do what a signup asks");
        Self::Wait(Some(SignupFault::Chatwoot))
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Error(error.into())
    }
}

impl From<SecretError> for Stop {
    fn from(error: SecretError) -> Self {
        Self::Error(error.into())
    }
}

impl From<HandlerError> for Stop {
    fn from(error: HandlerError) -> Self {
        match error {
            HandlerError::Graph(error) => error.into(),
            HandlerError::Chatwoot(error) => error.into(),
            error => Self::Error(error),
        }
    }
}

impl From<OnboardingError> for Stop {
    fn from(error: OnboardingError) -> Self {
        match error {
            OnboardingError::BoundElsewhere(_) => Self::Reopen(SignupFault::Elsewhere),
            OnboardingError::Graph(error) => error.into(),
            OnboardingError::Chatwoot(error) => error.into(),
            OnboardingError::Store(error) => error.into(),
            OnboardingError::Secret(error) | OnboardingError::AppSecret(error) => error.into(),
            error @ OnboardingError::ChatwootRights(_) => {
                tracing::error!(%error, page = "docs/runbook/signup.md", "a signup waits for the operator");
                Self::Wait(Some(SignupFault::Chatwoot))
            }
            error => {
                // What only the operator can mend: it goes on by itself afterwards.
                tracing::error!(%error, page = "docs/runbook/signup.md", "a signup waits for the operator");
                Self::Wait(Some(SignupFault::Setup))
            }
        }
    }
}

/// Whether a call was certainly not taken, so that it may be made again though Meta takes it once.
pub(crate) fn was_not_taken(error: &GraphError) -> bool {
    match error {
        GraphError::Unreachable(_) | GraphError::TokenRenewed | GraphError::Resting(_) => true,
        GraphError::Refused { transient, status, .. } => {
            !transient && *status < 500 && !matches!(error.class(), Class::Uncertain)
        }
        GraphError::NoAnswer { .. } | GraphError::Postponed { .. } | GraphError::Checksum | GraphError::Missing(_) => {
            false
        }
    }
}
