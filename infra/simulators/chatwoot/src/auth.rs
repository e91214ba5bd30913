//! Who is calling, and whether they may.

use std::{collections::HashMap, sync::Arc};

use axum::{
    extract::{FromRequestParts, RawPathParams},
    http::request::Parts,
};

use crate::{
    Language,
    errors::Refusal,
    rows::{Role, User},
    shared::Shared,
    state::State,
};

/// A person with a valid token for this account. Bots are refused.
#[derive(Debug)]
pub(crate) struct Caller {
    pub user: User,
    language: Language,
    path: HashMap<String, String>,
}

/// The same where bots may go too.
#[derive(Debug)]
pub(crate) struct AnyCaller(pub Caller);

impl Caller {
    /// A number in the path; what is no number is not found.
    pub(crate) fn id(&self, name: &str) -> Result<i64, Refusal> {
        self.path.get(name).and_then(|id| id.parse().ok()).ok_or_else(|| Refusal::not_found(self.language))
    }

    pub(crate) fn administrator(&self) -> Result<(), Refusal> {
        if self.user.role == Role::Administrator { Ok(()) } else { Err(Refusal::policy(self.language)) }
    }

    pub(crate) fn is_administrator(&self) -> bool {
        self.user.role == Role::Administrator
    }

    /// Whether this inbox is one that the caller sees.
    pub(crate) fn sees(&self, state: &State, inbox: i64) -> bool {
        self.user.role != Role::Agent
            || state.inboxes.get(&inbox).is_some_and(|inbox| inbox.members.contains(&self.user.id))
    }

    /// The conversation of the path, if the caller may see it.
    pub(crate) fn conversation(&self, state: &State) -> Result<i64, Refusal> {
        let id = self.id("conversation")?;
        let inbox = state.conversation(id)?.inbox_id;
        if self.sees(state, inbox) { Ok(id) } else { Err(Refusal::policy(self.language)) }
    }
}

impl FromRequestParts<Arc<Shared>> for AnyCaller {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, Refusal> {
        let path = RawPathParams::from_request_parts(parts, shared).await;
        let path: HashMap<String, String> =
            path.iter().flatten().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let state = shared.lock();
        let language = state.language;
        // Ruby's CGI names make the same of both spellings.
        let token = ["api_access_token", "api-access-token"].into_iter().find_map(|name| parts.headers.get(name));
        let token = token.and_then(|token| token.to_str().ok()).ok_or_else(|| Refusal::no_token(language))?;
        let user = state.users.iter().find(|user| user.token == token).ok_or_else(|| Refusal::bad_token(language))?;
        let caller = Caller { user: user.clone(), language, path };
        if caller.path.contains_key("account") && caller.id("account")? != state.account_id {
            return Err(Refusal::not_found(language));
        }
        Ok(Self(caller))
    }
}

impl FromRequestParts<Arc<Shared>> for Caller {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, Refusal> {
        let AnyCaller(caller) = AnyCaller::from_request_parts(parts, shared).await?;
        if caller.user.role == Role::Bot { Err(Refusal::not_for_bots(caller.language)) } else { Ok(caller) }
    }
}
