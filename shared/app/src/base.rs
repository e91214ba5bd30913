//! Holds what every function has, built from its settings.

use std::{sync::Arc, time::Duration};

use domain::SharedClock;
use platform::{
    ConfigError, Environment, Metrics, SecretError, Secrets, Setting, aws::Aws, http::ClientError, warm_up,
};
use queue::{DeadLetters, Drain, Queue};
use store::{Channels, Table};

/// Why a function cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its settings.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Its secret.
    #[error("the app's secret cannot be had: {0}")]
    Secret(#[from] SecretError),
    /// Its HTTP clients.
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// Clock, metrics and the clients of AWS.
#[derive(Clone, Debug)]
pub struct Base {
    /// The clock.
    pub clock: SharedClock,
    /// What the function counts.
    pub metrics: Arc<Metrics>,
    /// SQS.
    pub sqs: aws_sdk_sqs::Client,
    /// Secrets, cached.
    pub secrets: Secrets,
    /// The table.
    pub table: Table,
}

impl Base {
    /// Reads its settings. `retention` is how long what the function writes about customers is kept.
    pub fn read(env: &mut Environment, function: &'static str, clock: SharedClock, retention: Duration) -> Self {
        let aws = Aws::read(env);
        Self {
            metrics: Arc::new(Metrics::new(function, env.text(Setting::StackName), clock.clone())),
            sqs: aws.sqs,
            secrets: Secrets::new(aws.secrets, clock.clone()),
            table: Table::new(aws.dynamodb, env.text(Setting::TableName), clock.clone(), retention),
            clock,
        }
    }

    /// The queue at the address in a setting.
    pub fn queue(&self, env: &mut Environment, setting: Setting) -> Queue {
        Queue::new(self.sqs.clone(), env.text(setting))
    }

    /// A queue to be worked off, and its dead letters.
    pub fn drain(&self, env: &mut Environment, queue: Setting, dead_letters: Setting) -> Drain {
        let (queue, dead_letters) = (self.queue(env, queue), self.dead_letters(env, dead_letters));
        Drain { queue, dead_letters, clock: self.clock.clone() }
    }

    /// The dead letters at the address in a setting.
    pub fn dead_letters(&self, env: &mut Environment, setting: Setting) -> DeadLetters {
        DeadLetters::new(self.sqs.clone(), env.text(setting))
    }
}

/// Loads the channels and their secrets, and opens the connections to all of AWS, before the first event; `queue` is one whose
/// attributes the function may read. Connections to Meta and Chatwoot are left to the first call: their servers close an idle one
/// before long.
pub async fn warm_up_channels(channels: &Channels, secrets: &Secrets, queue: &Queue) {
    let secrets = async {
        if let Ok(channels) = channels.remember_all().await {
            secrets.prepare(channels.iter().map(|channel| channel.secret.as_str())).await;
        }
    };
    warm_up(Box::pin(async { tokio::join!(secrets, queue.holds()) })).await;
}
