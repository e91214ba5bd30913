//! Stores the app's secret: what is given is checked, keys are made, and what is there stays.

use std::fmt::Write as _;

use anyhow::{Context as _, bail};
use app::onboarding::{chatwoot_words, graph_words};
use chatwoot::Chatwoot;
use clap::Args;
use domain::{AccountId, ApiToken};
use platform::Setting;
use secrecy::SecretString;
use serde_json::{Map, Value, json};
use uuid::Uuid;
use whatsapp::{
    graph::GraphApi,
    setup::{AppAccess, COEXISTENCE_FIELDS, WEBHOOK_FIELDS},
};

use crate::{input, session::Session, stack::Stack, told::Told};

/// The keys that are made where they are missing. Nobody has to know them, and none may change once it is in use.
const KEYS: [&str; 2] = ["subject_key", "link_key"];

/// The command. On standard input come Meta's app secret and Chatwoot's token, a line each; an empty line keeps what is stored.
#[derive(Debug, Args)]
pub(crate) struct App {
    /// The app's id (App Dashboard → Settings → Basic).
    #[arg(long, value_name = "ID", value_parser = digits)]
    app_id: String,
}

pub(crate) fn digits(given: &str) -> Result<String, String> {
    let is_id = (1..=32).contains(&given.len()) && given.bytes().all(|byte| byte.is_ascii_digit());
    if is_id { Ok(given.to_owned()) } else { Err("expected the app's id, digits only".to_owned()) }
}

/// What came on standard input.
pub(crate) type Given = [Option<SecretString>; 2];

/// What is to be stored, tried at both sides.
pub(crate) struct Tried {
    app_id: String,
    app_secret: SecretString,
    chatwoot_token: SecretString,
}

impl App {
    pub(crate) async fn run(&self, session: &Session) -> anyhow::Result<Told> {
        let given = read_secrets()?;
        let stack = session.deployed().await?;
        let tried = tried(&stack, &self.app_id, given).await?;
        store(&stack, &tried).await
    }
}

/// Reads the two from standard input.
pub(crate) fn read_secrets() -> anyhow::Result<Given> {
    input::secrets(["the app secret", "Chatwoot's token"])
}

/// Tries both before anything is stored. What is not given is what is stored.
pub(crate) async fn tried(stack: &Stack, app_id: &str, given: Given) -> anyhow::Result<Tried> {
    let stored =
        stack.secret_writer().read_lasting(&stack.app_secret).await.context("the app's secret")?.unwrap_or_default();
    let known = |given: Option<SecretString>, name: &str, what: &str| {
        let stored = || stored.get(name).and_then(Value::as_str).map(|stored| stored.to_owned().into());
        given.or_else(stored).with_context(|| format!("{what} is needed on standard input, and none is stored"))
    };
    let [app_secret, chatwoot_token] = given;
    let app_secret = known(app_secret, "app_secret", "the app secret")?;
    let chatwoot_token = known(chatwoot_token, "chatwoot_token", "Chatwoot's token")?;
    ask_meta(stack, &AppAccess { id: app_id.to_owned(), secret: app_secret.clone() }).await?;
    ask_chatwoot(stack, &chatwoot_token).await?;
    Ok(Tried { app_id: app_id.to_owned(), app_secret, chatwoot_token })
}

/// Stores it, if it differs; keys are made where they are missing.
pub(crate) async fn store(stack: &Stack, tried: &Tried) -> anyhow::Result<Told> {
    let writer = stack.secret_writer();
    let stored = writer.read_lasting(&stack.app_secret).await.context("the app's secret")?.unwrap_or_default();
    let secret = secret(tried, &stored);
    let is_new = secret != stored;
    if is_new {
        writer.write(&stack.app_secret, &secret).await.context("the app's secret")?;
    }
    Ok(told(stack, &secret, is_new))
}

/// The same where nothing was given, and all is there already.
pub(crate) async fn stored(stack: &Stack) -> anyhow::Result<Option<Told>> {
    let stored = stack.secret_writer().read_lasting(&stack.app_secret).await.context("the app's secret")?;
    let has = |secret: &Map<String, Value>| !missing(secret, "app_secret") && !missing(secret, "chatwoot_token");
    Ok(stored.filter(has).map(|secret| told(stack, &secret, false)))
}

fn missing(secret: &Map<String, Value>, name: &str) -> bool {
    secret.get(name).and_then(Value::as_str).is_none_or(str::is_empty)
}

fn secret(tried: &Tried, stored: &Map<String, Value>) -> Map<String, Value> {
    let mut secret = stored.clone();
    let app_secret = input::value(&tried.app_secret);
    // Meta repeats for days what the old one signed.
    if let Some(before) = stored.get("app_secret").filter(|before| **before != app_secret) {
        secret.insert("app_secret_previous".to_owned(), before.clone());
    }
    secret.insert("app_id".to_owned(), tried.app_id.as_str().into());
    secret.insert("app_secret".to_owned(), app_secret);
    secret.insert("chatwoot_token".to_owned(), input::value(&tried.chatwoot_token));
    if missing(&secret, "verify_token") {
        secret.insert("verify_token".to_owned(), Uuid::new_v4().simple().to_string().into());
    }
    for key in KEYS {
        if missing(&secret, key) {
            let drawn = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
            secret.insert(key.to_owned(), drawn.into());
        }
    }
    secret
}

async fn ask_meta(stack: &Stack, app: &AppAccess) -> anyhow::Result<()> {
    let (url, version) = (stack.url(Setting::GraphUrl)?, stack.text(Setting::GraphVersion)?);
    let graph = GraphApi::new(stack.http.kept.clone(), stack.http.fresh.clone(), url, version);
    match graph.app_subscription(app).await {
        Ok(_) => Ok(()),
        Err(error) if error.is_unauthorized() || matches!(error.code(), Some(1 | 33 | 100 | 101)) => {
            bail!(
                "Meta does not accept this app id with this secret: compare both with App Dashboard → Settings → Basic"
            )
        }
        Err(error) => bail!(graph_words(&error)),
    }
}

/// Chatwoot, asked with a token, or without one.
pub(crate) fn chatwoot(stack: &Stack, token: SecretString) -> anyhow::Result<Chatwoot> {
    let url = stack.chatwoot_url()?;
    let (client, guarded) = (stack.http.private.clone(), stack.http.guarded.clone());
    Ok(Chatwoot::new(client, guarded, url, AccountId(0), ApiToken::fixed(token)))
}

/// Whether the token is an administrator's.
pub(crate) async fn ask_chatwoot(stack: &Stack, token: &SecretString) -> anyhow::Result<()> {
    match chatwoot(stack, token.clone())?.memberships().await {
        Ok(memberships) if !memberships.administered().is_empty() => Ok(()),
        Ok(memberships) if memberships.is_anybodys() => {
            bail!(
                "Chatwoot: the token's user administers no account; it has to be an administrator's (docs/setup.md, Chatwoot 1)"
            )
        }
        Ok(_) => bail!("Chatwoot: this is no user's token (docs/setup.md, Chatwoot 1)"),
        Err(error) => bail!(chatwoot_words(&error)),
    }
}

fn told(stack: &Stack, secret: &Map<String, Value>, is_new: bool) -> Told {
    let api = stack.api_url().map(|url| url.as_str().trim_end_matches('/').to_owned());
    let api = api.unwrap_or_else(|_| "https://<api>".to_owned());
    let verify_token = secret.get("verify_token").and_then(Value::as_str).unwrap_or_default();
    let json = json!({ "changed": is_new, "webhook_url": format!("{api}/webhooks/meta"), "verify_token": verify_token,
        "fields": WEBHOOK_FIELDS, "fields_with_phone": COEXISTENCE_FIELDS, "deletion_url": format!("{api}/deletion/meta") });
    let mut words = String::new();
    let done = if is_new { "is stored; its keys are in it and nowhere else" } else { "is as it was" };
    let _ = writeln!(words, "{} {done}.\n\nEnter at Meta, in the App Dashboard:", stack.app_secret);
    let _ = writeln!(words, "  WhatsApp → Configuration → Callback URL:  {api}/webhooks/meta");
    let _ = writeln!(words, "  WhatsApp → Configuration → Verify token:  {verify_token}");
    let _ = writeln!(words, "  WhatsApp → Configuration → Fields:        {}", WEBHOOK_FIELDS.join(", "));
    let _ = writeln!(words, "    and for numbers that stay on a phone:    {}", COEXISTENCE_FIELDS.join(", "));
    let _ = writeln!(words, "  Settings → Data deletion → Callback URL:  {api}/deletion/meta");
    words.push_str("\nThen `ops channel add` for each number.");
    Told::new(json, words)
}
