//! What a stack's things are called, and the functions' own settings for it.

use std::time::Duration;

use anyhow::Context as _;
use domain::{HashKey, SharedClock, SystemClock};
use platform::{AppSecrets, Environment, Secrets, aws::Aws};
use serde::Deserialize;
use store::{DataInventory, Table};

/// The days of `infra/policy.toml`.
#[derive(Debug, Deserialize)]
struct Policy {
    retention_days: u64,
    deletion_days: u32,
    warn_days: Vec<u32>,
    confirm_hours: u32,
    locale: String,
}

/// A stack.
pub(crate) struct Stack {
    name: String,
    policy: Policy,
    pub(crate) aws: Aws,
}

impl Stack {
    /// The one of that name, on the credentials of this environment.
    pub(crate) fn new(name: &str) -> anyhow::Result<Self> {
        let mut env = Environment::process();
        let aws = Aws::from_env(&mut env);
        let aws = aws.ok_or_else(|| env.into_error()).context("AWS credentials are needed in the environment")?;
        let policy = toml::from_str(include_str!("../../policy.toml")).context("infra/policy.toml")?;
        Ok(Self { name: name.to_owned(), policy, aws })
    }

    pub(crate) fn clock() -> SharedClock {
        SystemClock.shared()
    }

    pub(crate) fn table(&self) -> Table {
        let retention = Duration::from_secs(self.policy.retention_days * 86_400);
        Table::new(self.aws.dynamodb.clone(), format!("{}-bridge", self.name), Self::clock(), retention)
    }

    pub(crate) async fn key(&self) -> anyhow::Result<HashKey> {
        let secrets = Secrets::new(self.aws.secrets.clone(), Self::clock());
        let secret = secrets.get::<AppSecrets>(&format!("{}/app", self.name)).await.context("the app's secret")?;
        Ok(HashKey::new(secret.subject_key))
    }

    pub(crate) async fn belongings(&self) -> anyhow::Result<DataInventory> {
        Ok(DataInventory::new(self.table(), self.key().await?))
    }

    /// The settings the template gives a function, with the operator's credentials.
    pub(crate) async fn environment(&self, more: &[(&str, &str)]) -> anyhow::Result<Environment> {
        let queue = self.aws.sqs.get_queue_url().queue_name(format!("{}-erasure.fifo", self.name));
        let queue = queue.send().await.context("erasure.fifo cannot be found")?.queue_url.unwrap_or_default();
        let warn_days = self.policy.warn_days.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let process = Environment::process();
        // What differs between stacks is the operator's to say.
        let or = |name: &str, usual: &str| process.optional(name).unwrap_or_else(|| usual.to_owned());
        let mut settings = vec![
            ("STACK_NAME", self.name.clone()),
            ("TABLE_NAME", format!("{}-bridge", self.name)),
            ("APP_SECRET", format!("{}/app", self.name)),
            ("ERASURE_QUEUE_URL", queue),
            ("LOCALE", self.policy.locale.clone()),
            ("RETENTION_DAYS", self.policy.retention_days.to_string()),
            ("DELETION_DAYS", self.policy.deletion_days.to_string()),
            ("WARN_DAYS", warn_days),
            ("CONFIRM_HOURS", self.policy.confirm_hours.to_string()),
            ("GRAPH_URL", or("GRAPH_URL", "https://graph.facebook.com")),
            ("GRAPH_VERSION", or("GRAPH_VERSION", "v25.0")),
        ];
        for name in [
            "AWS_REGION",
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_SESSION_TOKEN",
            "AWS_ENDPOINT_URL",
            "CHATWOOT_CA",
        ] {
            settings.extend(process.optional(name).map(|value| (name, value)));
        }
        settings.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
        Ok(Environment::given(settings.into_iter().map(|(name, value)| (name.to_owned(), value))))
    }
}
