//! A stack: what its things are called, and the functions' own settings for it.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use app::{
    Clients, Settings,
    onboarding::{Onboarding, Step},
};
use chatwoot::files::PublicOnly;
use domain::{HashKey, SharedClock, SystemClock};
use platform::{AppSecrets, Environment, SecretWriter, Secrets, Setting, aws::Aws, http::Http};
use roxmltree::Document;
use serde::Deserialize;
use store::{DataInventory, Table};
use url::Url;

use crate::{
    aws_call::{AwsCaller, refusal_of},
    runner::LocalStack,
    session::Reached,
    sign_in,
};

/// The days of `infra/policy.toml`.
#[derive(Debug, Deserialize)]
pub(crate) struct Policy {
    pub(crate) retention_days: u64,
    pub(crate) deletion_days: u32,
    pub(crate) warn_days: Vec<u32>,
    pub(crate) confirm_hours: u32,
    pub(crate) locale: String,
    pub(crate) pitr_days: i32,
    pub(crate) queue_days: u32,
}

/// A stack, and the clients that reach it.
pub(crate) struct Stack {
    pub(crate) name: String,
    /// The name of the app's secret.
    pub(crate) app_secret: String,
    /// What the names of the channels' secrets begin with.
    pub(crate) secret_prefix: String,
    pub(crate) policy: Policy,
    pub(crate) aws: Aws,
    pub(crate) http: Http,
    pub(crate) clock: SharedClock,
    /// Whether it is a local runner's.
    pub(crate) is_local: bool,
    /// For the services that only the operator needs.
    pub(crate) caller: AwsCaller,
    /// What the functions' own code reads from its environment.
    settings: Vec<(Setting, String)>,
    api_url: Option<Url>,
    /// Where the ledger of erasures is copied to, if that is elsewhere.
    ledger: Option<String>,
    /// Why `CloudFormation` told nothing of the stack.
    unasked: Option<String>,
}

impl Stack {
    /// The stack that is meant, on the credentials that are found.
    pub(crate) async fn open(target: &Reached) -> anyhow::Result<Self> {
        let process = Environment::process();
        let policy: Policy = toml::from_str(include_str!("../../policy.toml")).context("infra/policy.toml")?;
        let authority = process.optional(Setting::ChatwootCa);
        let http = Http::new(Arc::new(PublicOnly), authority.as_deref())?;
        let mut settings = Vec::new();
        settings.extend(authority.map(|authority| (Setting::ChatwootCa, authority)));
        let (mut name, mut clock, mut api_url) = (target.stack.clone(), SystemClock.shared(), target.api_url.clone());
        let mut chatwoot = target.chatwoot_url.as_ref().map(Url::to_string);
        if let Some(url) = &target.local {
            let local = LocalStack::ask(&http.kept, url).await?;
            clock = local.clock();
            chatwoot = chatwoot.or(Some(local.chatwoot_url));
            api_url = api_url.or(local.api_url.parse().ok());
            name = local.stack;
            settings.extend([
                (Setting::AwsRegion, local.aws.region),
                (Setting::AwsAccessKeyId, local.aws.access_key_id),
                (Setting::AwsSecretAccessKey, local.aws.secret_access_key),
                (Setting::AwsEndpointUrl, local.aws.endpoint),
                (Setting::GraphUrl, local.graph_url),
                (Setting::GraphVersion, local.graph_version),
            ]);
        } else {
            settings.extend(sign_in::settings(target).await?);
            // What differs between stages is the operator's to say.
            for setting in [Setting::GraphUrl, Setting::GraphVersion] {
                settings.extend(process.optional(setting).map(|value| (setting, value)));
            }
            chatwoot = chatwoot.or_else(|| process.optional(Setting::ChatwootUrl));
        }
        settings.extend(chatwoot.map(|url| (Setting::ChatwootUrl, url)));
        let aws = Aws::from_env(given(&settings)).context("AWS cannot be reached")?;
        let (app_secret, secret_prefix) = (format!("{name}/app"), format!("{name}/channel/"));
        let caller = AwsCaller::new(http.kept.clone(), &settings);
        let is_local = target.local.is_some();
        Ok(Self {
            name,
            app_secret,
            secret_prefix,
            policy,
            aws,
            http,
            clock,
            is_local,
            caller,
            settings,
            api_url,
            ledger: None,
            unasked: None,
        })
    }

    pub(crate) fn clock(&self) -> SharedClock {
        Arc::clone(&self.clock)
    }

    pub(crate) fn table(&self) -> Table {
        let retention = Duration::from_secs(self.policy.retention_days * 86_400);
        Table::new(self.aws.dynamodb.clone(), self.named("bridge"), self.clock(), retention)
    }

    /// A thing of the stack's, by the end of its name: `lmotos-bridge`, `lmotos-erasure.fifo`.
    pub(crate) fn named(&self, end: &str) -> String {
        format!("{}-{end}", self.name)
    }

    /// The table that the ledger of erasures is copied into: its name, or its ARN in another account.
    pub(crate) fn ledger(&self) -> String {
        self.ledger.clone().unwrap_or_else(|| self.named("ledger"))
    }

    /// The secrets, read once.
    pub(crate) fn secrets(&self) -> Secrets {
        Secrets::new(self.aws.secrets.clone(), self.clock())
    }

    pub(crate) async fn key(&self) -> anyhow::Result<HashKey> {
        let secret = self.secrets().get::<AppSecrets>(&self.app_secret).await.context("the app's secret")?;
        Ok(HashKey::new(secret.subject_key))
    }

    pub(crate) async fn belongings(&self) -> anyhow::Result<DataInventory> {
        Ok(DataInventory::new(self.table(), self.key().await?))
    }

    /// Asks `CloudFormation` what the stack was deployed with, where nobody said it. A stack that cannot be asked has nothing to
    /// say: what is missing then is named where it is needed, with the reason.
    pub(crate) async fn complete(&mut self) -> anyhow::Result<()> {
        if self.is_local {
            return Ok(());
        }
        let name = [("StackName", self.name.as_str())];
        let text = match self.caller.query("cloudformation", "2010-05-15", "DescribeStacks", &name).await {
            Ok(text) => text,
            Err(error) => {
                let is_missing = refusal_of(&error).is_some_and(|refusal| refusal.message.contains("does not exist"));
                self.unasked = Some(if is_missing {
                    format!("there is no stack {} in {}", self.name, self.caller.region)
                } else {
                    format!("{error:#}")
                });
                return Ok(());
            }
        };
        let Ok(document) = Document::parse(&text) else { return Ok(()) };
        let value = |key: &'static str, value: &'static str, wanted: &str| {
            let named =
                document.descendants().find(|node| node.tag_name().name() == key && node.text() == Some(wanted));
            let beside = named?.parent()?.children().find(|node| node.tag_name().name() == value)?;
            beside.text().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
        };
        let mut found = Vec::new();
        for (setting, parameter) in [
            (Setting::ChatwootUrl, "ChatwootUrl"),
            (Setting::GraphUrl, "GraphUrl"),
            (Setting::GraphVersion, "GraphVersion"),
            (Setting::ChatwootCa, "ChatwootCa"),
            (Setting::KmsKey, "KmsKey"),
        ] {
            if self.settings.iter().all(|(known, _)| *known != setting) {
                found.extend(value("ParameterKey", "ParameterValue", parameter).map(|value| (setting, value)));
            }
        }
        if self.api_url.is_none() {
            self.api_url = value("OutputKey", "OutputValue", "ApiUrl").and_then(|url| url.parse().ok());
        }
        self.ledger = value("OutputKey", "OutputValue", "LedgerTableName");
        if let Some((_, authority)) = found.iter().find(|(setting, _)| *setting == Setting::ChatwootCa) {
            self.http = Http::new(Arc::new(PublicOnly), Some(authority))?;
        }
        self.settings.extend(found);
        Ok(())
    }

    /// A setting, as it was found.
    pub(crate) fn setting(&self, setting: Setting) -> Option<String> {
        self.settings.iter().find(|(known, _)| *known == setting).map(|(_, value)| value.clone())
    }

    /// Takes these settings for what the stack has, whatever was told before.
    pub(crate) fn assume(&mut self, settings: Vec<(Setting, String)>) -> anyhow::Result<()> {
        if let Some((_, authority)) = settings.iter().find(|(setting, _)| *setting == Setting::ChatwootCa) {
            self.http = Http::new(Arc::new(PublicOnly), Some(authority.as_str()))?;
        }
        self.settings.retain(|(known, _)| settings.iter().all(|(setting, _)| setting != known));
        self.settings.extend(settings);
        Ok(())
    }

    /// Where its API answers, once it is deployed; what was named on the command line counts.
    pub(crate) fn answers_at(&mut self, api_url: Option<&str>) {
        self.api_url = self.api_url.take().or_else(|| api_url.and_then(|url| url.parse().ok()));
    }

    /// What somebody told on this machine, if anybody did.
    pub(crate) fn told(&self, setting: Setting) -> Option<String> {
        self.settings.iter().find(|(known, _)| *known == setting).map(|(_, value)| value.clone())
    }

    /// Every setting, with what is usual where nobody said anything.
    fn all(&self) -> Vec<(Setting, String)> {
        let mut all = self.settings.clone();
        for (setting, usual) in [(Setting::GraphUrl, "https://graph.facebook.com"), (Setting::GraphVersion, "v25.0")] {
            if all.iter().all(|(known, _)| *known != setting) {
                all.push((setting, usual.to_owned()));
            }
        }
        all
    }

    /// A text among the settings.
    pub(crate) fn text(&self, setting: Setting) -> anyhow::Result<String> {
        let found = self.all().into_iter().find(|(known, _)| *known == setting).map(|(_, value)| value);
        found.with_context(|| format!("{} is missing", setting.name()))
    }

    /// A base URL among the settings.
    pub(crate) fn url(&self, setting: Setting) -> anyhow::Result<Url> {
        Ok(given(&self.all()).read(|env| env.url(setting))?)
    }

    /// Where Chatwoot is.
    pub(crate) fn chatwoot_url(&self) -> anyhow::Result<Url> {
        self.url(Setting::ChatwootUrl)
            .with_context(|| self.with_reason("the address of Chatwoot is needed: --chatwoot-url"))
    }

    /// What is needed, and why the stack did not tell it.
    fn with_reason(&self, needed: &str) -> String {
        self.unasked.as_ref().map_or_else(|| needed.to_owned(), |why| format!("{needed} ({why})"))
    }

    /// The URL of a queue of the stack's.
    pub(crate) async fn queue_url(&self, queue: &str) -> anyhow::Result<String> {
        let found = self.aws.sqs.get_queue_url().queue_name(self.named(queue)).send().await;
        Ok(found.with_context(|| format!("{queue} cannot be found"))?.queue_url.unwrap_or_default())
    }

    /// The settings the template gives a function, with the operator's credentials.
    pub(crate) async fn environment(&self) -> anyhow::Result<Environment> {
        let warn_days = self.policy.warn_days.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let mut settings = self.all();
        settings.extend([
            (Setting::StackName, self.name.clone()),
            (Setting::TableName, self.named("bridge")),
            (Setting::AppSecret, self.app_secret.clone()),
            (Setting::ErasureQueueUrl, self.queue_url("erasure.fifo").await?),
            (Setting::InboundQueueUrl, self.queue_url("inbound.fifo").await?),
            (Setting::OutboundQueueUrl, self.queue_url("outbound.fifo").await?),
            (Setting::Locale, self.policy.locale.clone()),
            (Setting::RetentionDays, self.policy.retention_days.to_string()),
            (Setting::DeletionDays, self.policy.deletion_days.to_string()),
            (Setting::WarnDays, warn_days),
            (Setting::ConfirmHours, self.policy.confirm_hours.to_string()),
        ]);
        Ok(given(&settings))
    }

    /// The clients and stores that the functions share.
    pub(crate) async fn clients(&self) -> anyhow::Result<Clients> {
        self.chatwoot_url()?;
        let settings = self.environment().await?.read(|env| Settings::read(env, "ops", self.clock()))?;
        Ok(Box::pin(Clients::new(settings)).await?)
    }

    /// What brings numbers into service, and takes them out.
    pub(crate) fn onboarding<'a>(
        &'a self,
        clients: &'a Clients,
        api_url: &'a Url,
        progress: &'a (dyn Fn(Step) + Sync),
    ) -> Onboarding<'a> {
        Onboarding {
            clients,
            secrets: self.secret_writer(),
            app_secret: &self.app_secret,
            secret_prefix: &self.secret_prefix,
            api_url,
            progress,
        }
    }

    /// The same where it does not matter, and need not be known.
    pub(crate) fn any_api_url(&self) -> anyhow::Result<Url> {
        self.api_url().or_else(|_| Ok("https://localhost".parse()?))
    }

    /// Writes secrets.
    pub(crate) fn secret_writer(&self) -> SecretWriter {
        SecretWriter::new(self.aws.secrets.clone()).encrypting(self.told(Setting::KmsKey))
    }

    /// Where the bridge's own API answers.
    pub(crate) fn api_url(&self) -> anyhow::Result<Url> {
        let needed = "the address of the bridge's API is needed: --api-url, the stack's output ApiUrl";
        self.api_url.clone().with_context(|| self.with_reason(needed))
    }
}

fn given(settings: &[(Setting, String)]) -> Environment {
    Environment::given(settings.iter().map(|(setting, value)| (setting.name().to_owned(), value.clone())))
}
