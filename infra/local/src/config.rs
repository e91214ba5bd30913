//! What the operator's `--config` says: secrets and channels. A wrong file is refused in words that name the key.

use std::{
    collections::{BTreeMap, HashSet},
    fs,
    path::Path,
};

use anyhow::{Context as _, anyhow, ensure};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::guard;

/// The whole file. Unknown keys are ignored.
#[derive(Clone, Deserialize)]
pub(crate) struct Config {
    pub(crate) app: App,
    pub(crate) chatwoot: Chatwoot,
    #[serde(rename = "channel")]
    pub(crate) channels: Vec<Channel>,
    #[serde(default)]
    pub(crate) signup: Signup,
}

/// Meta's dialog, where it is not the simulator's.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Signup {
    config_id: Option<String>,
    extras: Option<String>,
    sdk_url: Option<String>,
    dialog_url: Option<String>,
    origins: Option<String>,
}

/// The configuration of the simulated dialog.
const SIMULATED_CONFIG: &str = "200000000000042";

impl Signup {
    /// The template's parameters for it. On this machine it is all at one address, the simulator's or that of another double.
    pub(crate) fn parameters(&self, meta_url: &str) -> BTreeMap<String, String> {
        let meta_url = meta_url.trim_end_matches('/');
        let here = guard::leads_here(meta_url);
        let simulated = |value: String| Some(value).filter(|_| here);
        let all = [
            ("SignupConfigId", self.config_id.clone().or_else(|| simulated(SIMULATED_CONFIG.to_owned()))),
            ("SignupExtras", self.extras.clone()),
            ("FacebookSdkUrl", self.sdk_url.clone().or_else(|| simulated(format!("{meta_url}/sdk.js")))),
            ("FacebookDialogUrl", self.dialog_url.clone().or_else(|| simulated(format!("{meta_url}/dialog/oauth")))),
            ("FacebookOrigins", self.origins.clone().or_else(|| simulated(meta_url.to_owned()))),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }
}

/// Meta's app.
#[derive(Clone, Deserialize)]
#[expect(clippy::struct_field_names, reason = "the keys of the file")]
pub(crate) struct App {
    pub(crate) app_id: String,
    pub(crate) app_secret: String,
    pub(crate) app_secret_previous: Option<String>,
    pub(crate) verify_token: String,
    pub(crate) subject_key: String,
    pub(crate) link_key: Option<String>,
}

/// The account in Chatwoot and an administrator's token of it.
#[derive(Clone, Deserialize)]
pub(crate) struct Chatwoot {
    pub(crate) account_id: i64,
    pub(crate) token: String,
}

/// One WhatsApp number bound to one inbox.
#[derive(Clone, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub(crate) struct Channel {
    pub(crate) phone_number_id: String,
    pub(crate) waba_id: String,
    pub(crate) display_phone_number: String,
    pub(crate) access_token: String,
    pub(crate) inbox_id: i64,
    pub(crate) callback_secret: String,
    pub(crate) callback_secret_previous: Option<String>,
    pub(crate) callback_path_secret: Option<String>,
    #[serde(default)]
    pub(crate) coexistence: bool,
    #[serde(default = "yes")]
    pub(crate) read_receipts: bool,
    #[serde(default = "yes")]
    pub(crate) typing: bool,
    /// Whether agents see what was written on the phone as notes.
    #[serde(default)]
    pub(crate) echoes_as_notes: bool,
}

fn yes() -> bool {
    true
}

impl Config {
    /// The file at `path`, or the demo channel.
    pub(crate) fn read(path: Option<&Path>) -> anyhow::Result<Self> {
        let Some(path) = path else { return Self::parse(include_str!("demo.toml")) };
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("{} is not a usable configuration", path.display()))
    }

    /// A configuration in TOML.
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        // Only the message of a TOML error: its display quotes the line, which may hold a secret.
        let file = toml::Deserializer::parse(text).map_err(|error| anyhow!("{}", error.message()))?;
        let config: Self = serde_path_to_error::deserialize(file)
            .map_err(|error| anyhow!("{}: {}", error.path().clone(), error.inner().message()))?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> anyhow::Result<()> {
        ensure!(!self.channels.is_empty(), "channel: at least one [[channel]] is needed");
        let mut required = vec![
            ("app.app_id".to_owned(), &self.app.app_id),
            ("app.app_secret".to_owned(), &self.app.app_secret),
            ("app.verify_token".to_owned(), &self.app.verify_token),
            ("app.subject_key".to_owned(), &self.app.subject_key),
            ("chatwoot.token".to_owned(), &self.chatwoot.token),
        ];
        let (mut numbers, mut inboxes) = (HashSet::new(), HashSet::new());
        for (at, channel) in self.channels.iter().enumerate() {
            required.extend([
                (format!("channel[{at}].phone_number_id"), &channel.phone_number_id),
                (format!("channel[{at}].waba_id"), &channel.waba_id),
                (format!("channel[{at}].display_phone_number"), &channel.display_phone_number),
                (format!("channel[{at}].access_token"), &channel.access_token),
                (format!("channel[{at}].callback_secret"), &channel.callback_secret),
            ]);
            ensure!(numbers.insert(&channel.phone_number_id), "channel[{at}].phone_number_id: used twice");
            ensure!(inboxes.insert(channel.inbox_id), "channel[{at}].inbox_id: used twice");
            let signs = [Some(&channel.callback_secret), channel.callback_secret_previous.as_ref()];
            let path = channel.callback_path_secret.as_ref();
            ensure!(
                path.is_none() || !signs.contains(&path),
                "channel[{at}].callback_path_secret: what signs must not stand in a path"
            );
            if let Some(path) = path {
                required.push((format!("channel[{at}].callback_path_secret"), path));
            }
        }
        for (key, value) in required {
            ensure!(!value.trim().is_empty(), "{key}: must not be empty");
        }
        Ok(())
    }

    /// The app's secret as Secrets Manager keeps it.
    pub(crate) fn app_secret(&self) -> Value {
        let mut secret = object(json!({
            "app_id": self.app.app_id,
            "app_secret": self.app.app_secret,
            "verify_token": self.app.verify_token,
            "chatwoot_token": self.chatwoot.token,
            "subject_key": self.app.subject_key,
        }));
        set(&mut secret, "app_secret_previous", self.app.app_secret_previous.as_ref());
        set(&mut secret, "link_key", self.app.link_key.as_ref());
        secret.into()
    }
}

impl Channel {
    /// The channel's secret as Secrets Manager keeps it.
    pub(crate) fn secret(&self) -> Value {
        let mut secret = object(json!({ "access_token": self.access_token, "callback_secret": self.callback_secret }));
        set(&mut secret, "callback_secret_previous", self.callback_secret_previous.as_ref());
        set(&mut secret, "callback_path_secret", self.callback_path_secret.as_ref());
        secret.into()
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn set(secret: &mut Map<String, Value>, key: &str, value: Option<&String>) {
    if let Some(value) = value {
        secret.insert(key.to_owned(), value.as_str().into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        Config::parse(text).err().map(|error| format!("{error:#}")).unwrap_or_default()
    }

    #[test]
    fn the_demo_channel_is_usable() {
        let demo = Config::read(None).unwrap();
        assert_eq!(demo.channels.len(), 1);
        assert_eq!(demo.app_secret()["chatwoot_token"], "demo-chatwoot-token");
        assert!(demo.app_secret().get("app_secret_previous").is_none());
    }

    #[test]
    fn a_missing_key_is_named_with_its_table() {
        let text = include_str!("demo.toml").replace("app_secret =", "another_key =");
        assert_eq!(refusal(&text), "app: missing field `app_secret`");
    }

    #[test]
    fn a_number_where_meta_has_a_string_is_named() {
        let text = include_str!("demo.toml").replace("waba_id = \"100000000000201\"", "waba_id = 100000000000201");
        assert!(refusal(&text).starts_with("channel[0].waba_id: invalid type: integer"), "{}", refusal(&text));
    }

    #[test]
    fn an_empty_secret_and_a_number_used_twice_are_refused() {
        let empty = include_str!("demo.toml").replace("demo-callback-secret", " ");
        assert_eq!(refusal(&empty), "channel[0].callback_secret: must not be empty");
        let demo = include_str!("demo.toml");
        let twice = format!("{demo}{}", demo.split_at(demo.find("[[channel]]").unwrap()).1);
        assert_eq!(refusal(&twice), "channel[1].phone_number_id: used twice");
    }

    #[test]
    fn what_signs_is_no_path_secret() {
        let path = |secret: &str| {
            include_str!("demo.toml")
                .replace("[[channel]]", &format!("[[channel]]\ncallback_path_secret = \"{secret}\""))
        };
        let refused = "channel[0].callback_path_secret: what signs must not stand in a path";
        assert_eq!(refusal(&path("demo-callback-secret")), refused);
        assert_eq!(refusal(&path("")), "channel[0].callback_path_secret: must not be empty");
        let config = Config::parse(&path("another")).unwrap();
        assert_eq!(config.channels[0].secret()["callback_path_secret"], "another");
    }

    #[test]
    fn previous_secrets_reach_secrets_manager_and_unknown_keys_do_not_matter() {
        let text = include_str!("demo.toml")
            .replace("[app]", "[app]\napp_secret_previous = \"old\"\nunknown = 1")
            .replace("[[channel]]", "[[channel]]\ncallback_secret_previous = \"older\"");
        let config = Config::parse(&text).unwrap();
        assert_eq!(config.app_secret()["app_secret_previous"], "old");
        assert_eq!(config.channels[0].secret()["callback_secret_previous"], "older");
    }
}
