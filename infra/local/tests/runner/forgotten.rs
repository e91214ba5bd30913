//! The canary of the erasure: a person in every place, waiting, in flight and dead; after the erasure no byte of theirs is in the
//! table, the queues, the log, the receipt or any file of the runner, and another person's are what they were.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    time::Duration,
};

use serde_json::{Value, json};
use simulator_meta::Customer;
use simulator_wire::Effect;

use crate::{
    canary_stage::fault,
    sides::{CHANNEL, Sides},
    support::{Runner, eventually, exchange},
};

const GONE: &str = "5215598761234";
const STAYS: &str = "5215598765678";

const WORDS: [&str; 6] =
    ["ZulemaCanaria", "TextoCanario", "ArchivoCanario", "PieCanario", "NotaCanario", "EAAGFichaCanaria"];

/// What Zulema says each time: words, a file's name, and a token she should have kept to herself.
const SAID: &str = "TextoCanario ArchivoCanario PieCanario EAAGFichaCanaria";

async fn settle(sides: &Sides, runner: &Runner) {
    sides.chatwoot.settled().await;
    sides.meta.settled().await;
    eventually("an end of the work", || runner.living().is_empty());
}

/// A whole acquaintance: words, a file, a card, an answer with a file, a note, ticks.
async fn acquaint(sides: &Sides, runner: &Runner, customer: &Customer, name: &str, words: &str) {
    let text = customer.writes(words).await.unwrap();
    let file = format!("{words}.pdf");
    customer.sends_file("document", words.into(), "application/pdf", Some(&file), Some(words)).await.unwrap();
    customer.edits(&text, &format!("{words} mejor")).await.unwrap();
    settle(sides, runner).await;
    let conversation = sides.chatwoot.conversation_of(name).unwrap();
    let agent = sides.chatwoot.agent("Sofía");
    agent.notes(conversation, words).await;
    agent.replies(conversation, words).await;
    agent.sends_files(conversation, Some(words), vec![(file, "application/pdf".to_owned(), words.into())]).await;
    settle(sides, runner).await;
    for bubble in customer.received() {
        customer.status(&bubble.wamid, "read", None).await;
    }
    settle(sides, runner).await;
}

/// The items of the table by their key; counters and claims are of nobody.
fn table(runner: &Runner) -> BTreeMap<String, Value> {
    let scan = json!({ "TableName": runner.said("table") });
    let items = runner.aws("DynamoDB_20120810.Scan", &scan).json()["Items"].as_array().unwrap().clone();
    let key = |item: &Value| format!("{} {}", item["pk"]["S"].as_str().unwrap(), item["sk"]["S"].as_str().unwrap());
    items.into_iter().map(|item| (key(&item), item)).collect()
}

fn of_somebody(item: &str) -> bool {
    !["counter#", "claim#", "round#", "watch#", "early#", "sweep", "pace#"]
        .iter()
        .any(|prefix| item.starts_with(prefix))
}

fn marks(customer: &Customer) -> Vec<String> {
    let mut marks: Vec<String> = WORDS.map(str::to_owned).to_vec();
    marks.extend([GONE.to_owned(), GONE[3..].to_owned(), customer.user_id(), "wamid.HBgNNTIxNTU5ODc2MTIzN".to_owned()]);
    marks
}

fn assert_none(marks: &[String], text: &[u8], place: &str) {
    for mark in marks {
        let at = text.windows(mark.len()).position(|window| window == mark.as_bytes());
        let around = at.map(|at| String::from_utf8_lossy(&text[at.saturating_sub(400)..at + mark.len()]).into_owned());
        assert!(at.is_none(), "{mark} in {place}, after: {}", around.unwrap_or_default());
    }
}

fn every_file(directory: &Path, see: &mut impl FnMut(&Path, &[u8])) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { every_file(&path, see) } else { see(&path, &fs::read(&path).unwrap()) }
    }
}

/// How many letters were put into queues.
static PUT: AtomicU32 = AtomicU32::new(0);

fn put(runner: &Runner, queue: &str, group: &str, body: &str) {
    let named = |name: &&str| name.contains(queue);
    let name = runner.said("queues").split(' ').find(named).unwrap();
    let url = format!("{}/000000000000/{name}", runner.said("aws"));
    let message = json!({ "QueueUrl": url, "MessageBody": body, "MessageGroupId": group,
        "MessageDeduplicationId": PUT.fetch_add(1, Relaxed).to_string() });
    assert_eq!(runner.aws("AmazonSQS.SendMessage", &message).status, 200);
}

fn state(runner: &Runner, code: &str) -> Value {
    let accept = [("accept", "application/json")];
    exchange(runner.said("ready"), "GET", &format!("/deletion/{code}"), &accept, "").json()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_an_erasure_no_byte_of_the_person_is_anywhere_and_the_other_is_untouched() {
    let sides = Sides::start().await;
    let (data, log) = (sides.directory.path().join("data"), sides.directory.path().join("stderr"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_local"));
    command.env("RUST_LOG", "trace").stderr(Stdio::from(fs::File::create(&log).unwrap()));
    command.args(["--data", data.to_str().unwrap()]);
    let runner = sides.launch(&mut command);
    let zulema = sides.meta.customer("ZulemaCanaria", GONE);
    let berta = sides.meta.customer("Berta", STAYS);
    acquaint(&sides, &runner, &berta, "Berta", "palabras de Berta").await;
    // While nobody else has done anything, whatever is there is hers or the channel's.
    let bertas: Vec<String> = table(&runner).into_keys().filter(|key| of_somebody(key)).collect();
    assert!(bertas.len() > 10, "{}", bertas.len());
    acquaint(&sides, &runner, &zulema, "ZulemaCanaria", SAID).await;
    let conversation = sides.chatwoot.conversation_of("ZulemaCanaria").unwrap();
    sides.chatwoot.agent("Sofía").replies(conversation, SAID).await;
    settle(&sides, &runner).await;

    // Dead: unreadable, of another version, and of nobody in particular, hers and the other's.
    for (phone, words) in [(GONE, "TextoCanario"), (STAYS, "palabras de Berta")] {
        put(&runner, "inbound-dead", "unreadable", &format!("no json of {phone} {words}"));
        let task = json!({ "task": "message_v9", "item": "i", "customer": { "phone": phone }, "text": words });
        put(&runner, "inbound.fifo", &format!("{CHANNEL}#old"), &task.to_string());
        // A hint says where, and not who.
        let (task, conversation) = ("hint_v9", if phone == GONE { conversation } else { 999 });
        let task = json!({ "task": task, "account": 3, "conversation": conversation, "picked": words });
        put(&runner, "outbound.fifo", &format!("{CHANNEL}#9"), &task.to_string());
    }
    // Behind more of others in one group than a queue shows of it, and in pieces.
    for at in 0..12 {
        put(&runner, "inbound-dead", &format!("{CHANNEL}#account"), &format!("no json of 52155987700{at:02}"));
    }
    put(&runner, "inbound-dead", &format!("{CHANNEL}#account"), &format!("no json of {GONE} {SAID}"));
    for phone in [GONE, STAYS] {
        let long = format!("{{\"no json\": \"{}\", \"from\": \"{phone}\"", SAID.repeat(16_000));
        let words = if phone == GONE { long } else { long.replace("Canari", "Berta.") };
        assert_eq!(sides.meta.post(words.as_bytes()).await.unwrap(), 200);
    }
    eventually("dead letters", || runner.dead().len() >= 6 + 13 + 4 && runner.living().is_empty());
    // Waiting and in flight, while Chatwoot is down.
    sides.chatwoot.server().refuse().await;
    zulema.writes("TextoCanario espera").await.unwrap();
    zulema.sends_file("image", b"ArchivoCanario".to_vec(), "image/png", None, Some("PieCanario")).await.unwrap();
    // A tick, and a template of which nobody else knows what was picked.
    let answered = zulema.phone().into_iter().rfind(|bubble| bubble.from_business).unwrap();
    zulema.status(&answered.wamid, "delivered", None).await;
    let picked = json!({ "name": "x", "language": "es", "body": { "1": SAID } });
    let hint = json!({ "task": "sync_request_v1", "channel": CHANNEL, "account": 3, "conversation": conversation,
        "template": 999_999, "picked": picked });
    put(&runner, "outbound.fifo", &format!("{CHANNEL}#{conversation}"), &hint.to_string());
    eventually("what waits", || {
        let living = runner.living();
        let waits = |word: &str| living.iter().any(|letter| letter["body"].as_str().unwrap().contains(word));
        living.len() >= 4 && waits("status_v1") && waits("EAAGFichaCanaria") && waits("sync_request_v1")
    });

    let before = table(&runner);
    let answer = runner.post("/_local/deletion", &json!({ "phone": "+52 155 9876-1234" }).to_string());
    assert_eq!(answer.status, 200, "{answer:?}");
    let code = answer.json()["code"].as_str().unwrap().to_owned();
    assert_eq!(
        runner.post("/_local/deletion", &json!({ "user_id": zulema.user_id() }).to_string()).json()["code"],
        code
    );
    // What waits would otherwise come into Chatwoot before the erasure begins.
    eventually("the barrier", || table(&runner).keys().any(|key| key.starts_with("tombstone#")));
    sides.chatwoot.server().accept().unwrap();
    sides.chatwoot.faults().add(fault("DELETE", "/conversations/", Effect::DropAfter));
    sides.chatwoot.delay_deletions(Duration::from_secs(30));
    eventually("the end of the erasure", || {
        sides.clock.advance(Duration::from_secs(60));
        runner.advance(60);
        state(&runner, &code)["state"] == "done"
    });
    assert_eq!(state(&runner, &code), json!({ "state": "done", "days_left": 0 }));
    let receipt = runner.post("/_local/deletion", &json!({ "receipt": code }).to_string());
    assert_eq!(receipt.status, 200);
    for place in receipt.json()["receipt"]["places"].as_array().unwrap() {
        let found = place["found"].as_u64().unwrap();
        let nothing_to_find = ["outbound_queue"].contains(&place["place"].as_str().unwrap());
        assert!(found > 0 || nothing_to_find, "{place}");
    }

    let marks = marks(&zulema);
    let after = table(&runner);
    assert_none(&marks, json!(after).to_string().as_bytes(), "the table");
    // Every five minutes each conversation and each inbox is looked at; that says nothing of anybody.
    let lasting = |item: &Value| {
        let mut item = item.clone();
        for name in ["synced_at", "settled", "seen", "heard", "ticked", "offered"] {
            item.as_object_mut().unwrap().remove(name);
        }
        item
    };
    for key in &bertas {
        let item = after.get(key).unwrap_or_else(|| panic!("{key} is gone"));
        assert_eq!(lasting(item), lasting(&before[key]), "{key}");
    }
    assert_none(&marks, runner.get("/_local/queues").body.as_bytes(), "the queues");
    assert_eq!(runner.dead().len(), 3 + 12 + 2, "the others' dead letters stay");
    assert_none(&marks, receipt.body.as_bytes(), "the receipt");
    assert!(
        sides.chatwoot.conversation_of("ZulemaCanaria").is_none() && sides.chatwoot.conversation_of("Berta").is_some()
    );

    // Everything Meta ever posted once more.
    for delivery in sides.meta.deliveries() {
        assert_eq!(sides.meta.post(&delivery.body).await.unwrap(), 200);
    }
    settle(&sides, &runner).await;
    assert!(sides.chatwoot.conversation_of("ZulemaCanaria").is_none());
    assert_eq!(runner.post("/_local/run/retention", "").status, 200);

    let (status, _) = runner.terminate();
    assert!(status.success());
    let mut files = 0;
    every_file(&data, &mut |path, bytes| {
        files += 1;
        assert_none(&marks, bytes, &path.display().to_string());
    });
    assert!(files >= 3, "{files} files");
    assert_none(&marks, &fs::read(&log).unwrap(), "the log");
}
