//! Sets up what the bridge keeps in AWS, for the tests beside its code. Stories have it from the template; a test of the local
//! runner holds the two tables against each other.

use std::collections::BTreeMap;

use domain::Timestamp;
use serde_json::{Value, json};
use simulator_wire::MovableClock;

use crate::{Aws, REGION, Received, Settings};

const STACK: &str = "lmotos-test";
const APP_SECRET: &str = "lmotos-test/app";

/// The token of Chatwoot's administrator in the app's secret.
pub const CHATWOOT_TOKEN: &str = "token-of-the-administrator";

const QUEUES: [&str; 4] = ["inbound", "history", "outbound", "erasure"];

/// When every test begins.
const BEGINNING: Timestamp = Timestamp::from_secs(1_795_190_400);

/// An embedded AWS with the bridge's table, queues and secret.
#[derive(Debug)]
pub struct Bridge {
    /// The embedded AWS.
    pub aws: Aws,
    /// Its clock; it stands still unless a test moves it.
    pub clock: MovableClock,
}

impl Bridge {
    /// Starts one.
    pub async fn start() -> anyhow::Result<Self> {
        let clock = MovableClock::frozen(BEGINNING);
        let aws = Aws::start(Settings { listen: ([127, 0, 0, 1], 0).into(), clock: clock.clone(), data: None }).await?;
        aws.create_table(table(&table_name()))?;
        let fifo = BTreeMap::from([("FifoQueue".to_owned(), "true".to_owned())]);
        for queue in QUEUES {
            aws.create_queue(&queue_name(queue), fifo.clone())?;
            aws.create_queue(&queue_name(&format!("{queue}-dead-letters")), fifo.clone())?;
        }
        let secret = json!({
            "app_secret": "app-secret", "verify_token": "verify-token",
            "chatwoot_token": CHATWOOT_TOKEN, "subject_key": "subject-key",
        });
        aws.put_secret(APP_SECRET, &secret.to_string());
        Ok(Self { aws, clock })
    }

    /// The settings of any function of the bridge, between Meta and Chatwoot at these addresses.
    pub fn settings(&self, graph_url: &str, chatwoot_url: &str) -> Vec<(String, String)> {
        let mut settings = vec![
            ("AWS_REGION".to_owned(), REGION.to_owned()),
            ("AWS_ACCESS_KEY_ID".to_owned(), "test".to_owned()),
            ("AWS_SECRET_ACCESS_KEY".to_owned(), "test".to_owned()),
            ("AWS_ENDPOINT_URL".to_owned(), self.aws.url().to_owned()),
            ("STACK_NAME".to_owned(), STACK.to_owned()),
            ("TABLE_NAME".to_owned(), table_name()),
            ("APP_SECRET".to_owned(), APP_SECRET.to_owned()),
            ("GRAPH_URL".to_owned(), graph_url.to_owned()),
            ("GRAPH_VERSION".to_owned(), "v24.0".to_owned()),
            ("CHATWOOT_URL".to_owned(), chatwoot_url.to_owned()),
            ("LOCALE".to_owned(), "es".to_owned()),
            ("RETENTION_DAYS".to_owned(), "365".to_owned()),
            ("DELETION_DAYS".to_owned(), "30".to_owned()),
            ("WARN_DAYS".to_owned(), "7,20,27".to_owned()),
            ("CONFIRM_HOURS".to_owned(), "24".to_owned()),
            ("UTC_OFFSET".to_owned(), "-360".to_owned()),
            ("HISTORY_PER_MINUTE".to_owned(), "120".to_owned()),
            ("HISTORY_FILES".to_owned(), "true".to_owned()),
        ];
        for queue in QUEUES {
            let name = queue.to_uppercase();
            settings.push((format!("{name}_QUEUE_URL"), self.queue_url(queue)));
            settings.push((format!("{name}_DEAD_LETTERS_URL"), self.queue_url(&format!("{queue}-dead-letters"))));
        }
        settings
    }

    /// The address of a queue, such as `inbound` or `inbound-dead-letters`.
    pub fn queue_url(&self, queue: &str) -> String {
        format!("{}/{}/{}", self.aws.url(), crate::ACCOUNT, queue_name(queue))
    }

    /// What waits in a queue and is not invisible; from then on it is.
    pub async fn receive(&self, queue: &str) -> Vec<Received> {
        self.aws.receive(&queue_name(queue), 10, std::time::Duration::ZERO).await
    }
}

/// The event Lambda makes of a task that came into a message group at that moment, received so many times.
pub fn event(group: &str, task: &Value, sent_at: Timestamp, receives: u32) -> Value {
    json!({ "Records": [{
        "messageId": "message-1",
        "receiptHandle": "receipt-1",
        "body": task.to_string(),
        "attributes": {
            "ApproximateReceiveCount": receives.to_string(),
            "MessageGroupId": group,
            "SentTimestamp": sent_at.as_millis().to_string(),
        },
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:any.fifo",
        "awsRegion": REGION,
    }] })
}

/// The request that creates the bridge's table under a name.
pub fn table(name: &str) -> Value {
    let attribute = |name: &str, kind: &str| json!({ "AttributeName": name, "AttributeType": kind });
    let keys = |hash: &str, range: &str| json!([{ "AttributeName": hash, "KeyType": "HASH" }, { "AttributeName": range, "KeyType": "RANGE" }]);
    json!({
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [
            attribute("pk", "S"), attribute("sk", "S"), attribute("customer", "S"), attribute("channel", "S"),
            attribute("active_at", "N"),
        ],
        "KeySchema": keys("pk", "sk"),
        "GlobalSecondaryIndexes": [
            {
                "IndexName": "customer",
                "KeySchema": keys("customer", "pk"),
                "Projection": { "ProjectionType": "KEYS_ONLY" },
            },
            {
                "IndexName": "activity",
                "KeySchema": keys("channel", "active_at"),
                "Projection": { "ProjectionType": "INCLUDE", "NonKeyAttributes": ["account", "conversation"] },
            },
        ],
        "TimeToLiveSpecification": { "AttributeName": "expires_at", "Enabled": true },
    })
}

fn table_name() -> String {
    format!("{STACK}-bridge")
}

fn queue_name(queue: &str) -> String {
    format!("{STACK}-{queue}.fifo")
}
