//! Dead letters of all kinds: listed, shown, put back in order, dropped. What a dry run says is what then happens.

use std::{
    collections::BTreeMap,
    process::Child,
    sync::{Arc, Mutex},
    time::Duration,
};

use domain::{Clock as _, MessageGroup, RefusalReason, SystemClock};
use platform::{Environment, aws::Aws};
use queue::DeadLetters;
use serde_json::{Value, json};
use stories::World;

use crate::{
    between::Between,
    support::{binary, complaint, ops, run, says},
};

const DAY: Duration = Duration::from_secs(86_400);
const HIDDEN: Duration = Duration::from_secs(120);

/// A world whose dead letters a test fills.
struct Letters {
    world: World,
    aws: Aws,
}

impl Letters {
    /// It begins three days ago, so that a window can be over now.
    async fn new() -> Self {
        let world = World::start_at(SystemClock.now() - 3 * DAY).await.unwrap();
        let environment = Environment::given(world.stage.credentials("operator").map(|(name, value)| (name, value)));
        Self { aws: Aws::from_env(environment).unwrap(), world }
    }

    fn queue(&self, name: &str) -> String {
        format!("{}/000000000000/lmotos-{name}.fifo", self.world.stage.aws.url())
    }

    fn dead(&self, queue: &str) -> DeadLetters {
        DeadLetters::new(self.aws.sqs.clone(), self.queue(&format!("{queue}-dead-letters")))
    }

    /// Takes what waits in a queue out of it: message group and body.
    async fn take(&self, queue: &str) -> Vec<(String, String)> {
        let (name, mut taken) = (format!("lmotos-{queue}.fifo"), Vec::new());
        loop {
            let some = self.world.stage.aws.receive(&name, 10, Duration::ZERO).await;
            if some.is_empty() {
                return taken;
            }
            for message in some {
                self.world.stage.aws.delete(&name, &message.receipt_handle);
                taken.push((message.attributes["MessageGroupId"].clone(), message.body));
            }
        }
    }

    /// Dead-letters what waits in a queue.
    async fn bury(&self, queue: &str, reason: RefusalReason) {
        for (group, body) in self.take(queue).await {
            self.dead(queue).put(&group, body.as_bytes(), reason).await.unwrap();
        }
    }

    /// A customer writes, and a copy of the task is kept.
    async fn copied(&self, name: &str, phone: &str) -> Vec<(String, String)> {
        self.world.meta.customer(name, phone).writes("hola").await.unwrap();
        let taken = self.take("inbound").await;
        for (group, body) in &taken {
            let sent = self.aws.sqs.send_message().queue_url(self.queue("inbound")).message_body(body);
            sent.message_group_id(group).message_deduplication_id(group).send().await.unwrap();
        }
        self.world.work().await.unwrap();
        taken
    }

    async fn bury_copies(&self, copies: Vec<(String, String)>) {
        for (group, body) in copies {
            self.dead("inbound").put(&group, body.as_bytes(), RefusalReason::RefusedByChatwoot).await.unwrap();
        }
    }

    /// Dead letters of every kind: what would happen to each, and how often.
    async fn of_every_kind(&self) -> BTreeMap<&'static str, usize> {
        let world = &self.world;
        // Bea wrote three days ago.
        world.meta.customer("Bea", "5215555550101").writes("hola").await.unwrap();
        world.work().await.unwrap();
        let request = json!({"task": "sync_request_v1", "channel": stories::CHANNEL, "account": stories::ACCOUNT,
            "conversation": world.conversation("Bea").unwrap()});
        let group = format!("{}#{}", stories::CHANNEL, request["conversation"]);
        let late = request.to_string();
        self.dead("outbound").put(&group, late.as_bytes(), RefusalReason::UnusableItem).await.unwrap();
        // What Eva wrote is shown already; Luis was erased since.
        self.bury_copies(self.copied("Eva", "5215555550102").await).await;
        let of_luis = self.copied("Luis", "5215555550103").await;
        world.pass(3 * DAY);
        says(world, 0, &["erase", "--phone", "5215555550103", "--yes"], "");
        for _ in 0..100 {
            world.work().await.unwrap();
            if says(world, 0, &["erasures"], "") == json!([]) {
                break;
            }
            world.pass(Duration::from_secs(2));
        }
        // Another message of his, as old, which had not been handled.
        let another = |body: String| {
            let mut task: Value = serde_json::from_str(&body).unwrap();
            task["item"] = json!("fedcba9876543210fedcba9876543210");
            task.to_string()
        };
        self.bury_copies(of_luis.into_iter().map(|(group, body)| (group, another(body))).collect()).await;
        // Ana's twelve messages are in one group, in which ten hide the others.
        for text in 1..=12 {
            world.meta.customer("Ana", "5215555550104").writes(&format!("mensaje {text}")).await.unwrap();
        }
        self.bury("inbound", RefusalReason::RefusedByChatwoot).await;
        // A number nobody added, a field nobody knows, a task of another version, no task at all.
        let unknown = self.take_one_for("999").await;
        self.dead("inbound").put("999#a", unknown.as_bytes(), RefusalReason::UnknownChannel).await.unwrap();
        let newer = r#"{"task":"message_v9","item":"5b1f","channel":"104857600123456"}"#;
        self.dead("inbound").put("1#b", newer.as_bytes(), RefusalReason::UnreadableTask).await.unwrap();
        let own = || MessageGroup::UnreadableBody(uuid::Uuid::new_v4().to_string()).to_string();
        self.dead("inbound").put(&own(), b"\xff\xfe", RefusalReason::UnreadableBody).await.unwrap();
        let large = "x".repeat(800 * 1024);
        self.dead("inbound").put(&own(), large.as_bytes(), RefusalReason::TooLargeForTheQueue).await.unwrap();
        BTreeMap::from([
            ("goes", 12),
            ("duplicate", 1),
            ("erased", 1),
            ("window_closed", 1),
            ("comes_back", 2),
            ("no_task", 2),
        ])
    }

    /// A message for another number.
    async fn take_one_for(&self, number: &str) -> String {
        self.world.meta.customer("Ida", "5215555550105").writes("hola").await.unwrap();
        let taken = self.take("inbound").await;
        let mut task: Value = serde_json::from_str(&taken[0].1).unwrap();
        task["channel"] = json!(number);
        task["item"] = json!("0123456789abcdef0123456789abcdef");
        task.to_string()
    }
}

fn counts(told: &Value) -> BTreeMap<String, usize> {
    serde_json::from_value(told["outlook"].clone()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dry_run_says_is_what_happens_and_a_second_run_does_nothing() {
    let letters = Letters::new().await;
    let expected = letters.of_every_kind().await;
    let world = &letters.world;
    let total: usize = expected.values().sum();

    let listed = says(world, 0, &["dead-letters", "list"], "");
    assert_eq!(listed.as_array().unwrap().len(), total, "{listed}");
    assert!(!listed.to_string().contains("5555550104"), "persons are masked: {listed}");
    let again = says(world, 0, &["dead-letters", "list"], "");
    let ids = |listed: &Value| {
        let mut ids: Vec<_> = listed.as_array().unwrap().iter().map(|row| row["id"].clone().to_string()).collect();
        ids.sort();
        ids
    };
    assert_eq!(ids(&listed), ids(&again), "an id stays what it is, wherever the letter is put");

    let dry = says(world, 0, &["dead-letters", "replay"], "");
    assert_eq!((counts(&dry), &dry["put_back"]), (named(&expected), &json!(0)), "{dry}");
    let done = says(world, 0, &["dead-letters", "replay", "--yes"], "");
    assert_eq!((counts(&done), &done["put_back"]), (named(&expected), &json!(total - 4)), "{done}");

    world.work().await.unwrap();
    let reads = world.agent_reads("Ana");
    let texts: Vec<_> = reads.iter().filter(|line| line.contains("mensaje")).collect();
    assert_eq!(texts.len(), 12, "{reads:?}");
    assert!(texts.iter().zip(1..).all(|(line, number)| line.ends_with(&format!("mensaje {number}"))), "{reads:?}");
    assert_eq!(world.agent_reads("Eva").iter().filter(|line| line.contains("hola")).count(), 1);
    assert!(world.conversation("Luis").is_err(), "nothing of him came back");

    let second = says(world, 0, &["dead-letters", "replay", "--yes"], "");
    assert_eq!((&second["selected"], &second["put_back"]), (&json!(4), &json!(0)), "{second}");
}

/// Waits for a process that others may kill meanwhile.
fn ended(process: &Mutex<Child>) {
    while process.lock().unwrap().try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
}

fn named(expected: &BTreeMap<&'static str, usize>) -> BTreeMap<String, usize> {
    expected.iter().map(|(word, count)| ((*word).to_owned(), *count)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_are_chosen_by_reason_number_customer_and_time() {
    let letters = Letters::new().await;
    letters.of_every_kind().await;
    let world = &letters.world;
    for (selection, count) in [
        (&["--reason", "refused_by_chatwoot"][..], 14),
        (&["--queue", "outbound"], 1),
        (&["--channel", "999"], 1),
        (&["--phone", "+52 1 55 5555 0104"], 12),
        (&["--phone", "5215555550101"], 1),
        (&["--phone", "5215555550199"], 0),
        (&["--until", "2020-01-01T00:00:00Z"], 0),
        (&["--since", "2020-01-01T00:00:00Z", "--reason", "unreadable_body"], 1),
    ] {
        let listed = says(world, 0, &[&["dead-letters", "list"], selection].concat(), "");
        assert_eq!(listed.as_array().unwrap().len(), count, "{selection:?}: {listed}");
    }
    let wrong = ops(world, &["dead-letters", "list", "--reason", "no_such_reason"], "");
    assert_eq!(wrong.status.code(), Some(2));
    assert!(complaint(&wrong).contains("unknown_channel"), "it names those there are: {}", complaint(&wrong));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_at_what_a_customer_wrote_is_recorded() {
    let letters = Letters::new().await;
    letters.of_every_kind().await;
    let world = &letters.world;
    let listed = says(world, 0, &["dead-letters", "list", "--phone", "5215555550104"], "");
    let id = listed[0]["id"].as_str().unwrap();
    let shown = says(world, 0, &["dead-letters", "show", id, "--why", "ticket 12"], "");
    assert!(shown["body"]["content"].to_string().contains("mensaje"), "{shown}");
    let log = says(world, 0, &["access-log"], "");
    assert_eq!((&log[0]["subject"], &log[0]["why"], &log[0]["fault"]), (&json!(id), &json!("ticket 12"), &Value::Null));
    assert!(!log[0]["who"].as_str().unwrap().is_empty());
    let none = ops(world, &["dead-letters", "show", "no-such-id", "--why", "x"], "");
    assert_eq!(none.status.code(), Some(3), "{}", complaint(&none));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_dropped_has_to_be_named_and_is_gone() {
    let letters = Letters::new().await;
    letters.of_every_kind().await;
    let world = &letters.world;
    let all = ops(world, &["dead-letters", "drop", "--yes"], "");
    assert!(all.status.code() == Some(1) && complaint(&all).contains("say which"), "{}", complaint(&all));
    let chosen = ["dead-letters", "drop", "--reason", "too_large_for_the_queue"];
    assert_eq!(says(world, 0, &chosen, "")["selected"], 1);
    assert_eq!(says(world, 0, &[&chosen[..], &["--yes"]].concat(), "")["dropped"], 1, "both pieces of it");
    assert_eq!(says(world, 0, &chosen, ""), json!({"dry_run": true, "selected": 0, "dropped": 0, "unseen": 0}));
    assert_eq!(says(world, 0, &["dead-letters", "list"], "").as_array().unwrap().len(), 18);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_anywhere_and_run_again_each_message_is_shown_once_and_in_order() {
    let letters = Letters::new().await;
    letters.world.pass(3 * DAY);
    for (calls, name) in [(4, "Ana"), (9, "Eva"), (14, "Luis"), (17, "Bea"), (20, "Ida"), (23, "Ona")] {
        let phone = format!("52155555502{calls:02}");
        for text in 1..=25 {
            letters.world.meta.customer(name, &phone).writes(&format!("mensaje {text}")).await.unwrap();
        }
        letters.bury("inbound", RefusalReason::RefusedByChatwoot).await;
        let between = Between::start(letters.world.stage.aws.url()).await;
        let mut command = binary();
        command.args(["dead-letters", "replay", "--yes"]).envs(letters.world.stage.credentials("operator"));
        let process = command.env("AWS_ENDPOINT_URL", between.url()).spawn().unwrap();
        let process = Arc::new(Mutex::new(process));
        between.kill_after(calls, &process);
        tokio::task::spawn_blocking(move || ended(&process)).await.unwrap();
        // What it had in hand is shown again.
        letters.world.pass(HIDDEN);
        let again = run(
            binary().args(["dead-letters", "replay", "--yes"]).envs(letters.world.stage.credentials("operator")),
            "",
        );
        assert!(again.status.success(), "{}", complaint(&again));
        letters.world.work().await.unwrap();
        let reads = letters.world.agent_reads(name);
        let texts: Vec<_> = reads.iter().filter(|line| line.contains("mensaje")).collect();
        assert!(
            texts.len() == 25 && texts.iter().zip(1..).all(|(line, at)| line.ends_with(&format!("mensaje {at}"))),
            "{calls} calls: {reads:?}"
        );
    }
}
