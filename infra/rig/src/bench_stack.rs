//! What a function's process stands on: the embedded AWS as the template wants it, both simulators, and the other functions'
//! handlers in this process, so that the events it is given are the true ones.

use std::{collections::BTreeMap, process::Stdio};

use anyhow::Context as _;
use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use platform::aws::Aws;
use serde_json::{Value, json};
use simulator_wire::{Call, Effect, Fault};
use stories::World;

use crate::process::Process;

/// Signs whatever of Meta's stands below `events/`.
pub(crate) const APP_SECRET: &str = "test-app-secret";

/// The surroundings of a process.
pub struct BenchStack {
    /// The two sides, the queues and the table.
    pub world: World,
}

impl BenchStack {
    /// Starts them, on the machine's own time.
    pub async fn start() -> anyhow::Result<Self> {
        let world = World::start_now().await?;
        // So that the events in the files are genuine here as well.
        world.meta.set_app_secret(APP_SECRET);
        let secret = json!({
            "app_id": "100000000000001", "app_secret": APP_SECRET, "verify_token": "test-verify-token",
            "chatwoot_token": "token-of-the-administrator", "subject_key": "subject-key-of-the-stories",
            "link_key": "link-key-of-the-stories",
        });
        world.stage.aws.put_secret(world.stage.app_secret()?, &secret.to_string());
        Ok(Self { world })
    }

    /// The environment Lambda would give a function.
    pub fn variables(&self, function: &str) -> anyhow::Result<BTreeMap<String, String>> {
        let mut variables = self.world.stage.variables(function)?;
        let memory = self.world.stage.memory_mb(function)?;
        for (name, value) in [
            ("AWS_LAMBDA_FUNCTION_NAME", function),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", &memory.to_string()),
            ("AWS_LAMBDA_LOG_GROUP_NAME", "rig"),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "rig"),
            ("AWS_LAMBDA_LOG_FORMAT", "JSON"),
            ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
            ("AWS_DEFAULT_REGION", "us-east-1"),
            // Of the length of a true one, since it is sent and signed with every call.
            ("AWS_SESSION_TOKEN", &"t".repeat(1_000)),
        ] {
            variables.insert(name.to_owned(), value.to_owned());
        }
        Ok(variables)
    }

    /// Starts a function's process on this ground.
    pub async fn launch(&self, function: &str, program: &[&str], log: impl Into<Stdio>) -> anyhow::Result<Process> {
        Process::start(program, &self.variables(function)?, log).await
    }

    /// Puts so many customers' items into the table, beside those that will be looked for.
    pub async fn fill_table(&self, items: usize) -> anyhow::Result<()> {
        let clients = Aws::from_env(self.world.stage.operator()).context("the AWS clients cannot be made")?;
        let table = self.world.stage.table()?;
        let text = |value: String| AttributeValue::S(value);
        for from in (0..items).step_by(25) {
            let writes = (from..items.min(from + 25)).map(|at| {
                let put = PutRequest::builder()
                    .item("pk", text(format!("customer#{at:032x}")))
                    .item("sk", text("customer".to_owned()))
                    .item("customer", text(format!("{at:032x}")))
                    .item("expires_at", AttributeValue::N("4102444800".to_owned()))
                    .build()?;
                Ok(WriteRequest::builder().put_request(put).build())
            });
            let writes: anyhow::Result<Vec<_>> = writes.collect();
            clients.dynamodb.batch_write_item().request_items(table, writes?).send().await?;
        }
        Ok(())
    }

    /// Lets so many messages of others wait behind those that come, in conversations of their own.
    pub async fn fill_queue(&self, messages: usize) -> anyhow::Result<()> {
        let clients = Aws::from_env(self.world.stage.operator()).context("the AWS clients cannot be made")?;
        let url = self.variables("forward")?.remove("INBOUND_QUEUE_URL").context("forward has no queue")?;
        for from in (0..messages).step_by(10) {
            let entries = (from..messages.min(from + 10)).map(|at| {
                SendMessageBatchRequestEntry::builder()
                    .id(at.to_string())
                    .message_body("{}")
                    .message_group_id(format!("waiting#{at}"))
                    .message_deduplication_id(at.to_string())
                    .build()
            });
            let entries: Result<Vec<_>, _> = entries.collect();
            clients.sqs.send_message_batch().queue_url(&url).set_entries(Some(entries?)).send().await?;
        }
        // They are in somebody's hand while others are worked on, as in a queue with many consumers.
        while self.world.stage.batch("forward").await?.is_some() {}
        Ok(())
    }

    /// Every call to AWS, Meta and Chatwoot takes so much longer from now on.
    pub fn slow_down(&self, millis: u64) {
        for faults in [self.world.stage.aws.faults(), self.world.meta.faults(), self.world.chatwoot.faults()] {
            faults.clear();
            if millis > 0 {
                let effect = Effect::Slow { millis };
                faults.add(Fault { method: None, path: String::new(), skip: 0, times: None, effect });
            }
        }
    }

    /// Starts writing down what AWS, Meta and Chatwoot are asked.
    pub fn record(&self) {
        self.each(simulator_wire::Calls::record);
    }

    /// What they were asked since the last time: `aws`, `meta` or `chatwoot`, and the call.
    pub fn calls(&self) -> Vec<(&'static str, Call)> {
        let mut all = Vec::new();
        for (side, calls) in self.sides() {
            all.extend(calls.take().into_iter().map(|call| (side, call)));
        }
        all
    }

    fn each(&self, act: impl Fn(&simulator_wire::Calls)) {
        self.sides().iter().for_each(|(_, calls)| act(calls));
    }

    fn sides(&self) -> [(&'static str, &simulator_wire::Calls); 3] {
        [
            ("aws", self.world.stage.aws.calls()),
            ("meta", self.world.meta.server().calls()),
            ("chatwoot", self.world.chatwoot.server().calls()),
        ]
    }
}

/// An event of no meaning to any function.
pub fn malformed() -> [Value; 4] {
    [json!({}), json!([]), json!("no event"), json!({ "Records": "no list", "requestContext": 7 })]
}
