//! The canary's stage: the runner with every log switched on, between two simulators of the test's own.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use serde_json::json;
use simulator_chatwoot::Chatwoot;
use simulator_meta::Meta;
use simulator_wire::{Effect, Fault};

use crate::{
    sides::Sides,
    support::{Runner, eventually},
};

/// The runner between two simulators of the test's own.
pub(crate) struct Stage {
    pub(crate) runner: Runner,
    pub(crate) meta: Meta,
    pub(crate) chatwoot: Chatwoot,
    pub(crate) log: PathBuf,
    sides: Sides,
}

impl Stage {
    pub(crate) async fn start() -> Self {
        let sides = Sides::start().await;
        let log = sides.directory.path().join("stderr");
        let mut command = Command::new(env!("CARGO_BIN_EXE_local"));
        command.env("RUST_LOG", "trace").stderr(Stdio::from(fs::File::create(&log).unwrap()));
        let runner = sides.launch(&mut command);
        Self { runner, meta: sides.meta.clone(), chatwoot: sides.chatwoot.clone(), log, sides }
    }

    /// The texts of a contact's messages in Chatwoot.
    pub(crate) fn texts(&self, contact: &str) -> Vec<String> {
        let conversation = self.chatwoot.conversation_of(contact);
        conversation.into_iter().flat_map(|id| self.chatwoot.messages(id)).map(|message| message.content).collect()
    }

    /// Waits until every message that is not dead is gone.
    pub(crate) async fn calm(&self) {
        self.chatwoot.settled().await;
        self.meta.settled().await;
        eventually("an end of the work", || self.runner.living().is_empty());
    }

    /// Hidden messages come back at once.
    pub(crate) async fn hurry(&self) {
        self.chatwoot.settled().await;
        self.sides.clock.advance(Duration::from_secs(900));
        self.runner.advance(900);
        self.calm().await;
    }

    /// Puts a body of nobody's making into a queue.
    pub(crate) fn poison(&self, queue: &str, body: &str) {
        let named = |name: &&str| name.contains(queue) && !name.contains("dead");
        let name = self.runner.said("queues").split(' ').find(named).unwrap();
        let url = format!("{}/000000000000/{name}", self.runner.said("aws"));
        let message = json!({ "QueueUrl": url, "MessageBody": body, "MessageGroupId": "poison",
            "MessageDeduplicationId": format!("{}", body.len()) });
        assert_eq!(self.runner.aws("AmazonSQS.SendMessage", &message).status, 200);
    }

    pub(crate) fn table(&self) -> String {
        let scan = json!({ "TableName": self.runner.said("table") });
        self.runner.aws("DynamoDB_20120810.Scan", &scan).body
    }
}

pub(crate) fn fault(method: &str, path: &str, effect: Effect) -> Fault {
    Fault { method: Some(method.to_owned()), path: path.to_owned(), skip: 0, times: Some(1), effect }
}
