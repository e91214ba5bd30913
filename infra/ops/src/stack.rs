//! What a stack's things are called, and the functions' own settings for it.

use std::time::Duration;

use anyhow::Context as _;
use domain::{HashKey, SharedClock, SystemClock};
use platform::{AppSecrets, Environment, Secrets, Setting, aws::Aws};
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
    pub(crate) async fn environment(&self, more: &[(Setting, &str)]) -> anyhow::Result<Environment> {
        let queue = self.aws.sqs.get_queue_url().queue_name(format!("{}-erasure.fifo", self.name));
        let queue = queue.send().await.context("erasure.fifo cannot be found")?.queue_url.unwrap_or_default();
        let warn_days = self.policy.warn_days.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let process = Environment::process();
        // What differs between stacks is the operator's to say.
        let or = |setting: Setting, usual: &str| process.optional(setting).unwrap_or_else(|| usual.to_owned());
        let mut settings = vec![
            (Setting::StackName, self.name.clone()),
            (Setting::TableName, format!("{}-bridge", self.name)),
            (Setting::AppSecret, format!("{}/app", self.name)),
            (Setting::ErasureQueueUrl, queue),
            (Setting::Locale, self.policy.locale.clone()),
            (Setting::RetentionDays, self.policy.retention_days.to_string()),
            (Setting::DeletionDays, self.policy.deletion_days.to_string()),
            (Setting::WarnDays, warn_days),
            (Setting::ConfirmHours, self.policy.confirm_hours.to_string()),
            (Setting::GraphUrl, or(Setting::GraphUrl, "https://graph.facebook.com")),
            (Setting::GraphVersion, or(Setting::GraphVersion, "v25.0")),
        ];
        for setting in [
            Setting::AwsRegion,
            Setting::AwsAccessKeyId,
            Setting::AwsSecretAccessKey,
            Setting::AwsSessionToken,
            Setting::AwsEndpointUrl,
            Setting::ChatwootCa,
        ] {
            settings.extend(process.optional(setting).map(|value| (setting, value)));
        }
        settings.extend(more.iter().map(|(setting, value)| (*setting, (*value).to_owned())));
        Ok(Environment::given(settings.into_iter().map(|(setting, value)| (setting.name().to_owned(), value))))
    }
}
