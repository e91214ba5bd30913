//! Asks Graph what a number is set up with (§6.3): its token, account and subscribers.

use std::collections::BTreeSet;

use domain::{PhoneNumberId, Timestamp, WabaId};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, value::RawValue};

use crate::{Graph, GraphError, graph::GraphApi};

/// What a token needs for a number to work.
pub const REQUIRED_PERMISSIONS: [&str; 2] = ["whatsapp_business_management", "whatsapp_business_messaging"];

/// The webhook fields to tick in the app's dashboard.
pub const WEBHOOK_FIELDS: [&str; 15] = [
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
];

/// More, for a number that is also on a phone: what is written there, what was written before, and its contact book.
pub const COEXISTENCE_FIELDS: [&str; 3] = ["smb_message_echoes", "history", "smb_app_state_sync"];

/// A list of Meta's that does not end is a loop.
const MAX_PAGES: usize = 20;

/// The app, as it asks about itself.
#[derive(Clone, Debug)]
pub struct AppAccess {
    /// Its id.
    pub id: String,
    /// Its secret.
    pub secret: SecretString,
}

/// What a token is good for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenInfo {
    /// Whether Meta accepts it.
    pub is_valid: bool,
    /// The app it was made for.
    pub app_id: String,
    /// Its permissions.
    pub scopes: BTreeSet<String>,
    /// When it ends; never, if that is not said.
    pub expires_at: Option<Timestamp>,
    /// Whether it is a person's own, and not a business's.
    pub is_of_a_person: bool,
    /// The id that Meta's app has of whoever it was made for.
    pub user_id: Option<String>,
    /// The accounts it is good for, the newest first. Meta does not always tell.
    pub accounts: Vec<WabaId>,
}

/// What Graph says of a number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NumberInfo {
    /// As people read it.
    pub display: String,
    /// The name customers see.
    pub verified_name: String,
    /// Meta's word for its state, `CONNECTED` for instance.
    pub status: String,
    /// Meta's word for its quality.
    pub quality: String,
    /// How many persons a day it may write to first.
    pub messaging_limit: String,
}

/// Where webhooks of WhatsApp go, and which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppSubscription {
    /// The address.
    pub callback_url: String,
    /// Whether Meta posts there.
    pub is_active: bool,
    /// The fields that are ticked.
    pub fields: BTreeSet<String>,
}

impl Graph {
    /// What Graph says of a number.
    pub async fn info(&self, number: &PhoneNumberId) -> Result<NumberInfo, GraphError> {
        const FIELDS: &str = "display_phone_number,verified_name,status,quality_rating";
        let answer = parsed(&self.read(number.as_str(), FIELDS).await?)?;
        let display = text(&answer["display_phone_number"]);
        if display.is_empty() {
            return Err(unreadable());
        }
        // Asked for by itself: a version that does not know the field refuses the whole call.
        let limit = match self.read(number.as_str(), "whatsapp_business_manager_messaging_limit").await {
            Ok(answer) => text(&parsed(&answer)?["whatsapp_business_manager_messaging_limit"]),
            Err(_) => String::new(),
        };
        Ok(NumberInfo {
            display,
            verified_name: text(&answer["verified_name"]),
            status: text(&answer["status"]),
            quality: text(&answer["quality_rating"]),
            messaging_limit: limit,
        })
    }
}

impl GraphApi {
    /// Looks a token up. A token that Meta does not know at all is not valid.
    pub async fn debug_token(&self, app: &AppAccess, token: &SecretString) -> Result<TokenInfo, GraphError> {
        let query = [("input_token", token.expose_secret())];
        let answer = parsed(&self.fixed(&app.token()).list(&["debug_token"], &query).await?)?;
        let data = &answer["data"];
        if !data.is_object() {
            return Err(unreadable());
        }
        let texts = |list: &Value| -> Vec<String> {
            list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let managed = data["granular_scopes"].as_array().into_iter().flatten();
        let managed = managed.filter(|scope| scope["scope"] == REQUIRED_PERMISSIONS[0]);
        Ok(TokenInfo {
            is_valid: data["is_valid"].as_bool().unwrap_or_default(),
            app_id: text(&data["app_id"]),
            scopes: texts(&data["scopes"]).into_iter().collect(),
            expires_at: data["expires_at"].as_i64().filter(|at| *at > 0).map(Timestamp::from_secs),
            is_of_a_person: data["type"] == "USER",
            user_id: Some(text(&data["user_id"])).filter(|id| !id.is_empty()),
            accounts: managed.flat_map(|scope| texts(&scope["target_ids"])).map(WabaId::new).collect(),
        })
    }

    /// What Graph says of a number.
    pub async fn number(&self, number: &PhoneNumberId, token: &SecretString) -> Result<NumberInfo, GraphError> {
        self.fixed(token).info(number).await
    }

    /// Whether a number is also on a phone.
    pub async fn is_on_phone(&self, number: &PhoneNumberId, token: &SecretString) -> Result<bool, GraphError> {
        let answer = parsed(&self.fixed(token).read(number.as_str(), "is_on_biz_app,platform_type").await?)?;
        Ok(answer["is_on_biz_app"] == true && answer["platform_type"] == "CLOUD_API")
    }

    /// The account a number says it belongs to. Not every version of Graph, nor every token, is told.
    pub async fn account_of(&self, number: &PhoneNumberId, token: &SecretString) -> Result<Option<WabaId>, GraphError> {
        let answer = match self.fixed(token).read(number.as_str(), "whatsapp_business_account").await {
            Ok(answer) => parsed(&answer)?,
            Err(GraphError::Refused { code: 100, .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let id = text(&answer["whatsapp_business_account"]["id"]);
        Ok((!id.is_empty()).then(|| WabaId::new(id)))
    }

    /// The numbers of an account.
    pub async fn numbers_of(&self, waba: &WabaId, token: &SecretString) -> Result<Vec<PhoneNumberId>, GraphError> {
        let (mut found, mut after) = (Vec::new(), None::<String>);
        for _ in 0..MAX_PAGES {
            let mut query = vec![("fields", "id,display_phone_number"), ("limit", "100")];
            query.extend(after.as_deref().map(|after| ("after", after)));
            let page = parsed(&self.fixed(token).list(&[waba.as_str(), "phone_numbers"], &query).await?)?;
            let data = page["data"].as_array().ok_or_else(unreadable)?;
            found.extend(data.iter().map(|number| PhoneNumberId::new(text(&number["id"]))));
            let next = page["paging"]["next"].is_string();
            match page["paging"]["cursors"]["after"].as_str().filter(|_| next) {
                Some(cursor) if after.as_deref() != Some(cursor) => after = Some(cursor.to_owned()),
                _ => break,
            }
        }
        Ok(found)
    }

    /// The apps that get an account's webhooks.
    pub async fn subscribed_apps(&self, waba: &WabaId, token: &SecretString) -> Result<Vec<String>, GraphError> {
        let answer = parsed(&self.fixed(token).list(&[waba.as_str(), "subscribed_apps"], &[]).await?)?;
        let data = answer["data"].as_array().ok_or_else(unreadable)?;
        Ok(data.iter().map(|app| text(&app["whatsapp_business_api_data"]["id"])).collect())
    }

    /// Lets the app have an account's webhooks. May be repeated.
    pub async fn subscribe(&self, waba: &WabaId, token: &SecretString) -> Result<(), GraphError> {
        let graph = self.fixed(token);
        graph.call::<Value>(graph.posting(&[waba.as_str(), "subscribed_apps"])).await.map(|_| ())
    }

    /// Ends that. May be repeated.
    pub async fn unsubscribe(&self, waba: &WabaId, token: &SecretString) -> Result<(), GraphError> {
        let graph = self.fixed(token);
        graph.call::<Value>(graph.deletion(&[waba.as_str(), "subscribed_apps"], &[])).await.map(|_| ())
    }

    /// Where the app's webhooks of WhatsApp go; nothing, if no address was entered.
    pub async fn app_subscription(&self, app: &AppAccess) -> Result<Option<AppSubscription>, GraphError> {
        let answer = parsed(&self.fixed(&app.token()).list(&[&app.id, "subscriptions"], &[]).await?)?;
        let data = answer["data"].as_array().ok_or_else(unreadable)?;
        let ours = data.iter().find(|one| one["object"] == "whatsapp_business_account");
        Ok(ours.map(|ours| AppSubscription {
            callback_url: text(&ours["callback_url"]),
            is_active: ours["active"].as_bool().unwrap_or_default(),
            fields: ours["fields"].as_array().into_iter().flatten().map(|field| text(&field["name"])).collect(),
        }))
    }
}

impl AppAccess {
    pub(crate) fn token(&self) -> SecretString {
        format!("{}|{}", self.id, self.secret.expose_secret()).into()
    }
}

impl TokenInfo {
    /// The permissions that are missing.
    pub fn lacks(&self) -> Vec<&'static str> {
        REQUIRED_PERMISSIONS.into_iter().filter(|permission| !self.scopes.contains(*permission)).collect()
    }
}

/// Meta writes ids as texts, and sometimes as numbers.
pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    }
}

pub(crate) fn parsed(raw: &RawValue) -> Result<Value, GraphError> {
    serde_json::from_str(raw.get()).map_err(|_| unreadable())
}

pub(crate) fn unreadable() -> GraphError {
    GraphError::NoAnswer { status: Some(200), source: None }
}
