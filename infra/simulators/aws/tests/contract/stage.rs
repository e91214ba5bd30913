//! Where a check plays: the clients, queues and tables of its own, and a way to let time pass.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use aws_sdk_dynamodb::types::TableStatus;
use aws_sdk_sqs::{
    config::{BehaviorVersion, Credentials, Region, SharedHttpClient, retry::RetryConfig},
    types::{Message, MessageSystemAttributeName, QueueAttributeName},
};
use aws_smithy_http_client::{
    Builder,
    tls::{Provider, rustls_provider::CryptoMode},
};
use domain::Timestamp;
use simulator_aws::{Aws, Settings};
use simulator_wire::MovableClock;

use crate::points::Points;

pub(crate) struct Stage {
    pub(crate) sqs: aws_sdk_sqs::Client,
    pub(crate) dynamo: aws_sdk_dynamodb::Client,
    pub(crate) secrets: aws_sdk_secretsmanager::Client,
    /// What the check asks one by one.
    pub(crate) points: Points,
    embedded: Option<(Aws, MovableClock)>,
    made: Mutex<Made>,
}

#[derive(Default)]
struct Made {
    queues: Vec<String>,
    tables: Vec<String>,
    secrets: Vec<String>,
}

macro_rules! client {
    ($sdk:ident, $access:expr) => {{
        let access: &Access = $access;
        let config = $sdk::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(access.region.clone()))
            .credentials_provider(access.credentials.clone())
            .retry_config(RetryConfig::disabled())
            .http_client(access.http.clone());
        let config = match &access.endpoint {
            Some(endpoint) => config.endpoint_url(endpoint),
            None => config,
        };
        $sdk::Client::from_conf(config.build())
    }};
}

struct Access {
    region: String,
    endpoint: Option<String>,
    credentials: Credentials,
    http: SharedHttpClient,
}

impl Stage {
    /// An embedded AWS of its own, whose clock stands still until it is moved.
    pub(crate) async fn embedded() -> Self {
        let clock = MovableClock::frozen(Timestamp::from_secs(1_795_000_000));
        let settings = Settings { listen: ([127, 0, 0, 1], 0).into(), clock: clock.clone(), data: None };
        let aws = Aws::start(settings).await.unwrap();
        let access = Access {
            region: simulator_aws::REGION.into(),
            endpoint: Some(aws.url().into()),
            credentials: Credentials::new("anyone", "anything", None, None, "contract"),
            http: Builder::new().build_http(),
        };
        Self::with(&access, Some((aws, clock)))
    }

    /// An emulator of others, whose clock nobody moves.
    pub(crate) fn at(url: &str) -> Self {
        let access = Access {
            region: simulator_aws::REGION.into(),
            endpoint: Some(url.into()),
            credentials: Credentials::new("anyone", "anything", None, None, "contract"),
            http: Builder::new().build_http(),
        };
        Self::with(&access, None)
    }

    /// The real one, from the SDK's usual variables.
    pub(crate) fn aws() -> Self {
        #[expect(clippy::disallowed_methods, reason = "the suite has no configuration but the SDK's own variables")]
        let variable = |name: &str| std::env::var(name).ok();
        let credentials = Credentials::new(
            variable("AWS_ACCESS_KEY_ID").expect("AWS_ACCESS_KEY_ID is not set"),
            variable("AWS_SECRET_ACCESS_KEY").expect("AWS_SECRET_ACCESS_KEY is not set"),
            variable("AWS_SESSION_TOKEN"),
            None,
            "environment",
        );
        let access = Access {
            region: variable("AWS_REGION").unwrap_or_else(|| simulator_aws::REGION.into()),
            endpoint: variable("AWS_ENDPOINT_URL"),
            credentials,
            http: Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https(),
        };
        Self::with(&access, None)
    }

    fn with(access: &Access, embedded: Option<(Aws, MovableClock)>) -> Self {
        Self {
            sqs: client!(aws_sdk_sqs, access),
            dynamo: client!(aws_sdk_dynamodb, access),
            secrets: client!(aws_sdk_secretsmanager, access),
            points: Points::default(),
            embedded,
            made: Mutex::default(),
        }
    }

    /// Lets time pass: moves the clock, or waits.
    pub(crate) async fn advance(&self, by: Duration) {
        match &self.embedded {
            Some((aws, clock)) => {
                clock.advance(by);
                aws.clock_moved();
            }
            None => pause(by).await,
        }
    }

    /// Waits for what AWS does in its own time: counts lag by a minute and more, moves and indexes by seconds.
    pub(crate) async fn until<T>(&self, what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
        for _ in 0..180 {
            if let Some(seen) = look().await {
                return seen;
            }
            self.advance(Duration::from_secs(1)).await;
        }
        panic!("{what} did not come about within three minutes")
    }

    /// Lets DynamoDB delete what is due; `false` where that may take days.
    pub(crate) fn sweep(&self) -> bool {
        self.embedded.as_ref().is_some_and(|(aws, _)| aws.sweep_ttl().is_ok())
    }

    /// The time of the service.
    pub(crate) fn now(&self) -> i64 {
        use domain::{Clock as _, SystemClock};
        self.embedded.as_ref().map_or_else(|| SystemClock.now(), |(_, clock)| clock.now()).as_secs()
    }

    /// How long to listen before saying that nothing comes.
    fn quiet(&self) -> i32 {
        if self.embedded.is_some() { 0 } else { 2 }
    }

    /// Makes a FIFO queue; answers its URL.
    pub(crate) async fn fifo(&self, attributes: &[(QueueAttributeName, &str)]) -> String {
        self.queue(".fifo", &[&[(QueueAttributeName::FifoQueue, "true")], attributes].concat()).await
    }

    /// Makes a standard queue; answers its URL.
    pub(crate) async fn standard(&self, attributes: &[(QueueAttributeName, &str)]) -> String {
        self.queue("", attributes).await
    }

    async fn queue(&self, suffix: &str, attributes: &[(QueueAttributeName, &str)]) -> String {
        let attributes: HashMap<_, _> =
            attributes.iter().map(|(name, value)| (name.clone(), (*value).to_owned())).collect();
        let name = format!("contract-{}{suffix}", uuid::Uuid::new_v4());
        let made = self.sqs.create_queue().queue_name(name).set_attributes(Some(attributes)).send().await.unwrap();
        let url = made.queue_url.unwrap();
        if self.embedded.is_none() {
            // AWS wants a second before a new queue is used.
            pause(Duration::from_secs(1)).await;
        }
        self.made().queues.push(url.clone());
        url
    }

    pub(crate) async fn arn(&self, queue: &str) -> String {
        let name = QueueAttributeName::QueueArn;
        let shown =
            self.sqs.get_queue_attributes().queue_url(queue).attribute_names(name.clone()).send().await.unwrap();
        shown.attributes.unwrap()[&name].clone()
    }

    /// Sends a body of its own deduplication id; answers the message id.
    pub(crate) async fn send(&self, queue: &str, group: &str, body: &str) -> String {
        self.send_as(queue, group, body, &uuid::Uuid::new_v4().to_string()).await
    }

    pub(crate) async fn send_as(&self, queue: &str, group: &str, body: &str, dedup_id: &str) -> String {
        let send = self.sqs.send_message().queue_url(queue).message_group_id(group).message_body(body);
        send.message_deduplication_id(dedup_id).send().await.unwrap().message_id.unwrap()
    }

    /// Receives up to `max` messages, of which there is at least one.
    pub(crate) async fn receive(&self, queue: &str, max: i32) -> Vec<Message> {
        self.receive_within(queue, max, 5).await
    }

    /// Receives what is there, most often nothing.
    pub(crate) async fn peek(&self, queue: &str) -> Vec<String> {
        bodies(&self.receive_within(queue, 10, self.quiet()).await)
    }

    async fn receive_within(&self, queue: &str, max: i32, wait: i32) -> Vec<Message> {
        let receive = self.sqs.receive_message().queue_url(queue).max_number_of_messages(max).wait_time_seconds(wait);
        let receive =
            receive.message_system_attribute_names(MessageSystemAttributeName::All).message_attribute_names("All");
        receive.send().await.unwrap().messages.unwrap_or_default()
    }

    pub(crate) async fn delete(&self, queue: &str, message: &Message) {
        let handle = message.receipt_handle.as_deref().unwrap();
        self.sqs.delete_message().queue_url(queue).receipt_handle(handle).send().await.unwrap();
    }

    pub(crate) async fn hide(&self, queue: &str, message: &Message, seconds: i32) {
        let handle = message.receipt_handle.as_deref().unwrap();
        let change = self.sqs.change_message_visibility().queue_url(queue).receipt_handle(handle);
        change.visibility_timeout(seconds).send().await.unwrap();
    }

    /// Remembers a table and waits until it can be used.
    pub(crate) async fn table_is_ready(&self, name: &str) {
        self.made().tables.push(name.to_owned());
        loop {
            let table = self.dynamo.describe_table().table_name(name).send().await.unwrap().table.unwrap();
            if table.table_status == Some(TableStatus::Active) {
                return;
            }
            pause(Duration::from_secs(1)).await;
        }
    }

    /// A secret's name, removed at the end.
    pub(crate) fn secret(&self) -> String {
        let name = format!("contract/{}", uuid::Uuid::new_v4());
        self.made().secrets.push(name.clone());
        name
    }

    /// Removes what the check made.
    pub(crate) async fn clean_up(&self) {
        let Made { queues, tables, secrets } = std::mem::take(&mut *self.made());
        for queue in queues {
            let _ = self.sqs.delete_queue().queue_url(queue).send().await;
        }
        for table in tables {
            let _ = self.dynamo.delete_table().table_name(table).send().await;
        }
        for secret in secrets {
            let delete = self.secrets.delete_secret().secret_id(secret);
            let _ = delete.force_delete_without_recovery(true).send().await;
        }
    }

    fn made(&self) -> std::sync::MutexGuard<'_, Made> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[expect(clippy::disallowed_methods, reason = "AWS has a clock that nobody moves")]
async fn pause(by: Duration) {
    tokio::time::sleep(by).await;
}

pub(crate) fn bodies(messages: &[Message]) -> Vec<String> {
    messages.iter().map(|message| message.body.clone().unwrap()).collect()
}

/// What SQS says of a message.
pub(crate) fn said(message: &Message, name: &str) -> String {
    let attributes = message.attributes.as_ref().unwrap();
    attributes.get(&MessageSystemAttributeName::from(name)).cloned().unwrap_or_default()
}

/// The code of a refusal.
pub(crate) fn code<E: aws_sdk_sqs::error::ProvideErrorMetadata, R>(
    outcome: &Result<impl std::fmt::Debug, aws_sdk_sqs::error::SdkError<E, R>>,
) -> String {
    match outcome {
        Ok(answer) => panic!("was taken: {answer:?}"),
        Err(error) => aws_sdk_sqs::error::ProvideErrorMetadata::code(error).unwrap_or_default().to_owned(),
    }
}
