//! Calls Graph for a number that its owner connects (§6): code, accounts, registration, the phone's past.
//! Of these only the look-ups may be repeated. No error here quotes an address: it holds the app's secret and the code.

use domain::{PhoneNumberId, WabaId};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    GraphError,
    graph::GraphApi,
    setup::{AppAccess, parsed, text, unreadable},
};

/// The phone's past was asked for before.
pub const SYNC_ASKED_ALREADY: i64 = 2_593_107;

/// It was asked for too late.
pub const SYNC_TOO_LATE: i64 = 2_593_108;

/// What Graph says of a number of an account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountNumber {
    /// Its id.
    pub id: String,
    /// As people read it.
    pub display: String,
    /// The name customers see.
    pub name: String,
    /// Whether it is in the app on a phone; nothing where Graph does not tell.
    pub on_phone: Option<bool>,
}

/// What Graph says of a number's registration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registration {
    /// Whether it is connected already.
    pub is_connected: bool,
    /// Whether Meta still wants to check that the number is theirs.
    pub is_unverified: bool,
}

/// How a number is used, as Graph says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// In the app on a phone, and by the Cloud API.
    Coexistence,
    /// In the app on a phone, and not by the Cloud API yet.
    PhoneOnly,
    /// On no phone.
    Cloud,
    /// Graph does not tell.
    Unknown,
}

/// What of a phone's past is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Past {
    /// Its contact book.
    Contacts,
    /// Its chats.
    History,
}

/// How the code for the check comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum CodeMethod {
    /// By text message.
    Sms,
    /// By a call.
    Voice,
}

impl GraphApi {
    /// Exchanges a code for a token. A code is good for 30 s and for one call: after any answer but "no connection" it is gone.
    /// `redirect` is the address of the full-page dialog; a code of the window has none.
    pub async fn exchange(
        &self,
        app: &AppAccess,
        code: &SecretString,
        redirect: Option<&str>,
    ) -> Result<SecretString, GraphError> {
        #[derive(Deserialize)]
        struct Answer {
            access_token: SecretString,
        }
        let mut query = vec![
            ("client_id", app.id.as_str()),
            ("client_secret", app.secret.expose_secret()),
            ("code", code.expose_secret()),
        ];
        query.extend(redirect.map(|address| ("redirect_uri", address)));
        let answer: Answer = self.unproven(&["oauth", "access_token"], &query).await?;
        Ok(answer.access_token)
    }

    /// Whether a token sees an account.
    pub async fn sees_account(&self, waba: &WabaId, token: &SecretString) -> Result<bool, GraphError> {
        match self.fixed(token).read(waba.as_str(), "id,name,owner_business_info,currency").await {
            Ok(answer) => Ok(text(&parsed(&answer)?["id"]) == waba.as_str()),
            Err(GraphError::Refused { code: 33 | 100, .. }) => Ok(false),
            Err(error) if error.is_forbidden() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The numbers of an account; none yet, in its first minutes.
    pub async fn account_numbers(&self, waba: &WabaId, token: &SecretString) -> Result<Vec<AccountNumber>, GraphError> {
        const FIELDS: &str = "id,display_phone_number,verified_name,status,code_verification_status";
        let graph = self.fixed(token);
        let path = [waba.as_str(), "phone_numbers"];
        let all = format!("{FIELDS},is_on_biz_app");
        let answer = match graph.list(&path, &[("fields", &all), ("limit", "100")]).await {
            // A version without the field refuses the whole call.
            Err(GraphError::Refused { code: 100, .. }) => {
                graph.list(&path, &[("fields", FIELDS), ("limit", "100")]).await?
            }
            answer => answer?,
        };
        let answer = parsed(&answer)?;
        let data = answer["data"].as_array().ok_or_else(unreadable)?;
        let number = |number: &Value| AccountNumber {
            id: text(&number["id"]),
            display: text(&number["display_phone_number"]),
            name: text(&number["verified_name"]),
            on_phone: number["is_on_biz_app"].as_bool(),
        };
        Ok(data.iter().map(number).filter(|number| !number.id.is_empty()).collect())
    }

    /// How a number is used: the only proof that it is also on a phone.
    pub async fn usage(&self, number: &PhoneNumberId, token: &SecretString) -> Result<Usage, GraphError> {
        let answer = match self.fixed(token).read(number.as_str(), "is_on_biz_app,platform_type").await {
            Ok(answer) => parsed(&answer)?,
            // A version without the field: what it does not tell is not known to be no.
            Err(GraphError::Refused { code: 100, .. }) => return Ok(Usage::Unknown),
            Err(error) => return Err(error),
        };
        Ok(match (answer["is_on_biz_app"].as_bool(), answer["platform_type"] == "CLOUD_API") {
            (Some(true), true) => Usage::Coexistence,
            (Some(true), false) => Usage::PhoneOnly,
            (Some(false), _) => Usage::Cloud,
            (None, _) => Usage::Unknown,
        })
    }

    /// Whether a number has to be checked and registered.
    pub async fn registration(&self, number: &PhoneNumberId, token: &SecretString) -> Result<Registration, GraphError> {
        let answer = parsed(&self.fixed(token).read(number.as_str(), "status,code_verification_status").await?)?;
        Ok(Registration {
            is_connected: answer["status"] == "CONNECTED",
            is_unverified: answer["code_verification_status"] == "NOT_VERIFIED",
        })
    }

    /// Registers a number with a PIN of six digits. Meta takes ten of these in 72 hours.
    pub async fn register(
        &self,
        number: &PhoneNumberId,
        pin: &SecretString,
        token: &SecretString,
    ) -> Result<(), GraphError> {
        let body = json!({ "messaging_product": "whatsapp", "pin": pin.expose_secret() });
        self.post_once(&[number.as_str(), "register"], &body, token).await.map(|_| ())
    }

    /// Has Meta send the code of the check to the number.
    pub async fn request_code(
        &self,
        number: &PhoneNumberId,
        method: CodeMethod,
        language: &str,
        token: &SecretString,
    ) -> Result<(), GraphError> {
        let method = match method {
            CodeMethod::Sms => "SMS",
            CodeMethod::Voice => "VOICE",
        };
        let body = json!({ "code_method": method, "language": language });
        self.post_once(&[number.as_str(), "request_code"], &body, token).await.map(|_| ())
    }

    /// Gives Meta that code.
    pub async fn verify_code(
        &self,
        number: &PhoneNumberId,
        code: &SecretString,
        token: &SecretString,
    ) -> Result<(), GraphError> {
        let body = json!({ "code": code.expose_secret() });
        self.post_once(&[number.as_str(), "verify_code"], &body, token).await.map(|_| ())
    }

    /// Asks for what the phone knows. Once for each onboarding, and never again after an unknown outcome.
    pub async fn ask_past(&self, number: &PhoneNumberId, past: Past, token: &SecretString) -> Result<(), GraphError> {
        let kind = match past {
            Past::Contacts => "smb_app_state_sync",
            Past::History => "history",
        };
        let body = json!({ "messaging_product": "whatsapp", "sync_type": kind });
        self.post_once(&[number.as_str(), "smb_app_data"], &body, token).await.map(|_| ())
    }

    async fn post_once(&self, path: &[&str], body: &Value, token: &SecretString) -> Result<Value, GraphError> {
        let graph = self.fixed(token);
        graph.call(graph.once(path, body)).await
    }
}
