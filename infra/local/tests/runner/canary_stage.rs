//! The canary's stage: the runner with every log switched on, between two simulators of the test's own.

use std::{
    fs,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use serde_json::{Value, json};
use testkit_chatwoot::{Chatwoot, Inbox};
use testkit_meta::{Meta, Number, Statuses};
use testkit_wire::{Effect, Fault, MovableClock};

use crate::support::{Runner, eventually};

pub(crate) const CHANNEL: &str = "104857600777777";
pub(crate) const WABA: &str = "109876543277777";

/// What only the bridge and its owner know.
pub(crate) const SECRETS: [&str; 6] = [
    "app-secret-canario",
    "verify-token-canario",
    "subject-key-canario",
    "chatwoot-token-canario",
    "access-token-canario",
    "callback-secret-canario",
];

/// The runner between two simulators of the test's own.
pub(crate) struct Stage {
    pub(crate) runner: Runner,
    pub(crate) meta: Meta,
    pub(crate) chatwoot: Chatwoot,
    clock: MovableClock,
    pub(crate) log: std::path::PathBuf,
    _directory: tempfile::TempDir,
}

impl Stage {
    pub(crate) async fn start() -> Self {
        let [app_secret, verify_token, subject_key, token, access_token, callback_secret] = SECRETS.map(str::to_owned);
        let clock = MovableClock::running(Duration::ZERO);
        let any_port = "127.0.0.1:0".parse().unwrap();
        let number = Number {
            phone_number_id: CHANNEL.to_owned(),
            waba_id: WABA.to_owned(),
            display_phone_number: "525555550100".to_owned(),
            access_token: access_token.clone(),
            coexistence: true,
        };
        let settings = testkit_meta::Settings {
            listen: any_port,
            clock: Arc::new(clock.clone()),
            app_secret: app_secret.clone(),
            numbers: vec![number],
            statuses: Statuses::Manual,
        };
        let meta = Meta::start(settings).await.unwrap();
        let inbox = Inbox {
            id: 14,
            name: "Ventas".to_owned(),
            webhook_url: String::new(),
            secret: callback_secret.clone(),
            lock_to_single_conversation: true,
        };
        let settings = testkit_chatwoot::Settings {
            listen: any_port,
            clock: Arc::new(clock.clone()),
            account_id: 3,
            token: token.clone(),
            inboxes: vec![inbox],
        };
        let chatwoot = Chatwoot::start(settings).await.unwrap();
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("bridge.toml");
        let text = format!(
            "[app]\napp_id = \"1\"\napp_secret = \"{app_secret}\"\nverify_token = \"{verify_token}\"\n\
             subject_key = \"{subject_key}\"\n[chatwoot]\naccount_id = 3\ntoken = \"{token}\"\n[[channel]]\n\
             phone_number_id = \"{CHANNEL}\"\nwaba_id = \"{WABA}\"\ndisplay_phone_number = \"525555550100\"\n\
             access_token = \"{access_token}\"\ninbox_id = 14\ncallback_secret = \"{callback_secret}\"\ncoexistence = true\n"
        );
        fs::write(&config, text).unwrap();
        let log = directory.path().join("stderr");
        let mut command = Command::new(env!("CARGO_BIN_EXE_local"));
        command.env("RUST_LOG", "trace").stderr(Stdio::from(fs::File::create(&log).unwrap()));
        command.args(["--config", config.to_str().unwrap()]);
        command.args(["--meta-url", &meta.url(), "--chatwoot-url", &chatwoot.url()]);
        let runner = Runner::launch(&mut command);
        meta.set_webhook(&format!("{}/webhooks/meta", runner.said("ready")));
        chatwoot.set_callback_url(14, &format!("{}/callbacks/chatwoot/{CHANNEL}", runner.said("ready")));
        Self { runner, meta, chatwoot, clock, log, _directory: directory }
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
        eventually("an end of the work", || self.living().is_empty());
    }

    /// Hidden messages come back at once.
    pub(crate) async fn hurry(&self) {
        self.chatwoot.settled().await;
        self.clock.advance(Duration::from_secs(900));
        self.runner.advance(900);
        self.calm().await;
    }

    pub(crate) fn messages(&self, dead: bool) -> Vec<Value> {
        let dump = self.runner.get("/_local/queues").json();
        let queues = dump["queues"].as_array().unwrap().clone();
        let wanted = queues.into_iter().filter(|queue| queue["name"].as_str().unwrap().contains("dead") == dead);
        let states = |queue: Value| ["waiting", "delayed", "in_flight"].map(|state| queue[state].clone());
        wanted.flat_map(states).flat_map(|list| list.as_array().unwrap().clone()).collect()
    }

    pub(crate) fn living(&self) -> Vec<Value> {
        self.messages(false)
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
