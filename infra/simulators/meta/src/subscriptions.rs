//! What the app is subscribed to, and what its tokens may do.

use std::collections::{BTreeSet, HashMap};

use serde::Deserialize;

use crate::{Meta, Number, signup::Line};

/// Every field of webhooks that the bridge reads.
pub(crate) const FIELDS: [&str; 18] = [
    "messages",
    "calls",
    "user_preferences",
    "account_update",
    "account_alerts",
    "account_review_update",
    "business_capability_update",
    "business_username_update",
    "phone_number_name_update",
    "phone_number_quality_update",
    "security",
    "message_template_status_update",
    "message_template_quality_update",
    "message_template_components_update",
    "template_category_update",
    "smb_message_echoes",
    "smb_app_state_sync",
    "history",
];

/// What a token may do, and until when.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct TokenFacts {
    /// Its permissions.
    pub scopes: Vec<String>,
    /// When it ends, in epoch seconds; never, if that is not said.
    pub expires_at: Option<i64>,
    /// Another app that it was made for.
    pub app_id: Option<String>,
    /// Whether Meta tells which accounts it is good for. Since June 2026 it does not always.
    pub granular: bool,
}

impl Default for TokenFacts {
    fn default() -> Self {
        let scopes = ["whatsapp_business_management", "whatsapp_business_messaging", "public_profile"];
        Self { scopes: scopes.map(str::to_owned).to_vec(), expires_at: None, app_id: None, granular: true }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Subscriptions {
    /// The app's id; until it is said, any that comes with the right secret.
    pub(crate) app_id: Option<String>,
    pub(crate) tokens: HashMap<String, TokenFacts>,
}

impl Subscriptions {
    pub(crate) fn facts(&self, token: &str) -> TokenFacts {
        self.tokens.get(token).cloned().unwrap_or_default()
    }
}

impl Meta {
    /// The app's id. Until this is said any is taken that comes with the right secret.
    pub fn set_app_id(&self, id: &str) {
        self.world.state().subscriptions.app_id = Some(id.to_owned());
    }

    /// The fields that are ticked in the app's dashboard.
    pub fn tick(&self, fields: &[&str]) {
        self.world.postman.feeds().fields = fields.iter().map(|field| (*field).to_owned()).collect();
    }

    /// What a token may do, from now on.
    pub fn set_token_facts(&self, token: &str, facts: TokenFacts) {
        self.world.state().subscriptions.tokens.insert(token.to_owned(), facts);
    }

    /// The accounts whose webhooks the app gets.
    pub fn subscribed_accounts(&self) -> BTreeSet<String> {
        self.world.postman.feeds().accounts.clone()
    }

    /// A number that the business has now, too. Its account is subscribed to by nobody yet, unless another number's was.
    pub fn add_number(&self, number: Number) {
        self.world.postman.open(&number.phone_number_id);
        let mut state = self.world.state();
        state.lines.insert(number.phone_number_id.clone(), Line::serving(self.world.now()));
        state.numbers.retain(|known| known.phone_number_id != number.phone_number_id);
        state.numbers.push(number);
    }
}
