//! Says why a number cannot be brought into service, and what to do about it.

use chatwoot::{ChatwootError, rights::Rights};
use domain::{AccountId, InboxId, WabaId};
use platform::SecretError;
use store::StoreError;
use whatsapp::GraphError;

/// Why it cannot be.
#[derive(Debug, thiserror::Error)]
pub enum OnboardingError {
    /// The app's secret.
    #[error("the app's secret cannot be had: {0} (docs/setup.md, Meta)")]
    AppSecret(SecretError),
    /// The app's id and secret do not belong together.
    #[error(
        "Meta refuses the app itself: compare app_id and app_secret in the app's secret with the App Dashboard, Settings → Basic"
    )]
    AppRefused,
    /// The token is not valid.
    #[error(
        "Meta does not accept this token: it ended, was withdrawn, or was not copied whole; make a new one (docs/setup.md, Meta 3)"
    )]
    TokenInvalid,
    /// The token was made for another app.
    #[error(
        "this token was made for another app ({0}); make one for the app whose secret is stored (docs/setup.md, Meta 3)"
    )]
    TokenOfAnotherApp(String),
    /// The token lacks permissions.
    #[error("this token lacks {}; make one with both permissions (docs/setup.md, Meta 3)", .0.join(" and "))]
    TokenLacks(Vec<&'static str>),
    /// The token does not see the number.
    #[error(
        "the token sees no such number: is it the phone number id, and not the number itself? does the system user have the account?"
    )]
    NoSuchNumber,
    /// The account is not told.
    #[error(
        "Meta does not tell which account the number belongs to; name it with --waba (WhatsApp Manager → Account tools → Phone numbers)"
    )]
    NoAccountAtMeta,
    /// The number is not in the account that was named.
    #[error("account {0} does not have this number")]
    NotInAccount(WabaId),
    /// The token in Chatwoot may not do what is needed.
    #[error("Chatwoot: {} (docs/setup.md, Chatwoot 1)", .0.cause())]
    ChatwootRights(Rights),
    /// More than one account.
    #[error("the token administers several accounts in Chatwoot; say which one with --account: {}", listed(.0))]
    SeveralAccounts(Vec<AccountId>),
    /// The number is bound to another account.
    #[error("the number is bound to account {0} of Chatwoot; remove it first, its inbox stays")]
    BoundElsewhere(AccountId),
    /// The inbox is of another type.
    #[error("inbox {0} is not of type API, and takes no messages of the bridge's")]
    NotAnApiInbox(InboxId),
    /// More than one inbox.
    #[error(
        "the callbacks of two inboxes come to this number, {0} and {1}: delete one of them in Chatwoot, or take its callback URL away"
    )]
    SeveralInboxes(InboxId, InboxId),
    /// Nobody of that name.
    #[error("nobody in the account has the address or id {0}")]
    NoSuchAgent(String),
    /// Graph.
    #[error("{}", graph_words(.0))]
    Graph(GraphError),
    /// Chatwoot.
    #[error("{}", chatwoot_words(.0))]
    Chatwoot(ChatwootError),
    /// The table.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The channel's secret.
    #[error("the channel's secret: {0}")]
    Secret(SecretError),
}

// By hand: the words say what the cause says, and it would be said twice as a source.
impl From<GraphError> for OnboardingError {
    fn from(error: GraphError) -> Self {
        Self::Graph(error)
    }
}

impl From<ChatwootError> for OnboardingError {
    fn from(error: ChatwootError) -> Self {
        Self::Chatwoot(error)
    }
}

impl From<SecretError> for OnboardingError {
    fn from(error: SecretError) -> Self {
        Self::Secret(error)
    }
}

/// What a refusal of Graph's means to the operator.
pub fn graph_words(error: &GraphError) -> String {
    let next = match error {
        error if error.is_unauthorized() => "the token ended or was withdrawn; make a new one (docs/setup.md, Meta 3)",
        error if error.is_forbidden() => {
            "the token lacks a permission, or the app lacks access to the account (docs/setup.md, Meta 3)"
        }
        GraphError::Unreachable(_) => "is there a way to Meta from here?",
        GraphError::NoAnswer { .. } => "what answered is not Graph, or broke off; try again",
        GraphError::Refused { code: 33, .. } => "the token does not see it",
        _ => "try again; if it stays, look the code up at Meta",
    };
    format!("{error}: {next}")
}

/// What a refusal of Chatwoot's means to the operator.
pub fn chatwoot_words(error: &ChatwootError) -> String {
    let next = match error {
        ChatwootError::Unauthorized => "the token must be an administrator's (docs/setup.md, Chatwoot 1)",
        ChatwootError::NoAnswer(None) => {
            "what answered is not Chatwoot's API: is the address its own, without a path, and does no log-in stand before it?"
        }
        ChatwootError::NoAnswer(Some(_)) => "it broke off, or took too long; try again",
        ChatwootError::Unreachable(_) => "is the address right, and is it up?",
        ChatwootError::Gone => "is the address right, and the account's number?",
        ChatwootError::Refused(402) => "the plan of the account has no inbox left",
        ChatwootError::Unwell(300..=399) => {
            "it sends elsewhere: name the address it sends to (docs/setup.md, Chatwoot 4)"
        }
        _ => "docs/runbook/refusals.md",
    };
    format!("{error}: {next}")
}

fn listed(accounts: &[AccountId]) -> String {
    accounts.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
