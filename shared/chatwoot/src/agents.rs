//! Lists who works in an account, and lets them see an inbox.

use domain::InboxId;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{Chatwoot, ChatwootError};

/// Somebody who works in the account.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct AgentUser {
    /// The id.
    pub id: i64,
    /// The name.
    #[serde(default)]
    pub name: String,
    /// The address they log in with.
    #[serde(default)]
    pub email: String,
}

#[derive(Deserialize)]
struct Members {
    payload: Vec<AgentUser>,
}

impl Chatwoot {
    /// Everybody in the account.
    pub async fn agents(&self) -> Result<Vec<AgentUser>, ChatwootError> {
        self.json(self.request(Method::GET, &["agents"])).await
    }

    /// Who sees an inbox, administrators apart.
    pub async fn inbox_members(&self, inbox: InboxId) -> Result<Vec<AgentUser>, ChatwootError> {
        let members: Members = self.json(self.request(Method::GET, &["inbox_members", &inbox.to_string()])).await?;
        Ok(members.payload)
    }

    /// Lets more of them see it; whoever sees it already goes on.
    pub async fn add_inbox_members(&self, inbox: InboxId, users: &[i64]) -> Result<(), ChatwootError> {
        let body = json!({ "inbox_id": inbox, "user_ids": users });
        self.json::<Value>(self.request(Method::POST, &["inbox_members"]).json(&body)).await.map(|_| ())
    }
}
