//! A day's work of all functions on AWS as three different authors understand it: the embedded one, `ministack` and `moto`.
//!
//! What others' clocks mean for it: they cannot be moved. The runner shows hidden letters again when its own clock moves, deletes
//! what is past its end, and tells a letter's time in its own. So the day comes first, then the clock, then what needs it.

use std::{
    fs,
    process::{Command, Stdio},
    time::Duration,
};

use domain::Clock as _;
use serde_json::{Value, json};
use simulator_aws::emulator::{self, Emulator, Make};
use simulator_meta::Customer;

use crate::{
    foreign_signup::a_number_is_connected,
    foreign_stack,
    sides::{CHANNEL, Sides, WABA},
    support::{Runner, eventually_within, exchange},
};

const GONE: &str = "5215598761234";
const STAYS: &str = "5215598765678";
const FROM_BEFORE: &str = "5215598769012";

/// The slowest of them answers one request at a time.
const MAX_WAIT: Duration = Duration::from_secs(120);

struct Day<'a> {
    sides: &'a Sides,
    runner: &'a Runner,
}

impl Day<'_> {
    fn queues(&self) -> impl Iterator<Item = String> {
        let base = self.runner.said("aws");
        self.runner.said("queues").split(' ').map(move |name| format!("{base}/000000000000/{name}"))
    }

    /// How many letters a queue has, whatever their state.
    fn held(&self, queue: &str) -> u64 {
        let names = ["", "NotVisible", "Delayed"].map(|state| format!("ApproximateNumberOfMessages{state}"));
        let asked = json!({ "QueueUrl": queue, "AttributeNames": names });
        let told = self.runner.aws("AmazonSQS.GetQueueAttributes", &asked).json();
        names.iter().map(|name| told["Attributes"][name].as_str().map_or(0, |count| count.parse().unwrap())).sum()
    }

    async fn calm(&self) {
        self.sides.chatwoot.settled().await;
        self.sides.meta.settled().await;
        eventually_within(MAX_WAIT, "an end of the work", || self.queues().all(|queue| self.held(&queue) == 0));
    }

    fn advance(&self, seconds: u64) {
        self.sides.clock.advance(Duration::from_secs(seconds));
        self.runner.advance(seconds);
    }

    fn texts(&self, name: &str) -> Vec<String> {
        let conversation = self.sides.chatwoot.conversation_of(name);
        let messages = conversation.into_iter().flat_map(|id| self.sides.chatwoot.messages(id));
        messages.map(|message| message.content).collect()
    }

    fn table(&self) -> String {
        let mut whole = String::new();
        let mut asked = json!({ "TableName": self.runner.said("table"), "ConsistentRead": true });
        loop {
            let page = self.runner.aws("DynamoDB_20120810.Scan", &asked).json();
            whole.push_str(&page["Items"].to_string());
            let Some(last) = page.get("LastEvaluatedKey").filter(|last| !last.is_null()) else { return whole };
            asked["ExclusiveStartKey"] = last.clone();
        }
    }

    /// How many messages of a phone's past are registered: from then on the order of their arrival does not matter.
    fn registered(&self) -> u64 {
        let rows: Vec<Value> = serde_json::from_str(&format!("[{}]", self.table().replace("][", "],["))).unwrap();
        let rows = rows.iter().flat_map(|page| page.as_array().unwrap());
        let counts = rows.filter(|row| row.get("progresses").is_some()).map(|row| &row["received"]["N"]);
        counts.filter_map(Value::as_str).map(|count| count.parse::<u64>().unwrap()).sum()
    }

    fn state(&self, code: &str) -> Value {
        let accept = [("accept", "application/json")];
        exchange(self.runner.said("ready"), "GET", &format!("/deletion/{code}"), &accept, "").json()["state"].clone()
    }

    /// Time goes on until a request is done.
    fn bring_to_an_end(&self, code: &str) {
        eventually_within(MAX_WAIT, "the end of an erasure", || {
            self.advance(60);
            self.state(code) == "done"
        });
    }

    fn conversation(&self, name: &str) -> i64 {
        self.sides.chatwoot.conversation_of(name).unwrap()
    }
}

/// Words, a file, a correction, an answer with a file, a quote, ticks.
async fn talk(day: &Day<'_>, customer: &Customer, name: &str, words: &str) {
    let text = customer.writes(words).await.unwrap();
    let file = format!("{words}.pdf");
    customer.sends_file("document", words.into(), "application/pdf", Some(&file), Some(words)).await.unwrap();
    customer.edits(&text, &format!("{words} mejor")).await.unwrap();
    customer.reacts(&text, "👍").await.unwrap();
    day.calm().await;
    assert!(day.texts(name).iter().filter(|text| text.contains(words)).count() >= 2, "{:?}", day.texts(name));

    let conversation = day.conversation(name);
    let agent = day.sides.chatwoot.agent("Sofía");
    agent.replies(conversation, &format!("respuesta a {words}")).await;
    agent.notes(conversation, words).await;
    let question = day.sides.chatwoot.messages(conversation)[0].id;
    agent.quotes(conversation, question, &format!("cita de {words}")).await;
    agent.sends_files(conversation, None, vec![(file, "application/pdf".to_owned(), words.into())]).await;
    day.calm().await;
    assert_eq!(customer.received().len(), 3, "{:?}", customer.heard());
    for bubble in customer.received() {
        customer.status(&bubble.wamid, "delivered", None).await;
        customer.status(&bubble.wamid, "read", None).await;
    }
    day.calm().await;
}

async fn a_lost_callback_is_found(day: &Day<'_>, customer: &Customer, name: &str) {
    let before = customer.received().len();
    day.sides.chatwoot.callbacks().lose(1);
    day.sides.chatwoot.agent("Sofía").replies(day.conversation(name), "que se perdió").await;
    day.sides.chatwoot.settled().await;
    assert_eq!(customer.received().len(), before);
    let round = day.runner.post("/_local/run/reconcile", "");
    assert_eq!(round.status, 200, "{round:?}");
    day.calm().await;
    assert_eq!(customer.heard().last().map(String::as_str), Some("que se perdió"));
}

/// A chunk of a phone's past, with what each of these people wrote so many days ago.
fn chunk(phase: i64, progress: i64, said: &[(&str, i64, &str)], now: i64) -> Value {
    let threads = said.iter().map(|(who, days, words)| {
        let at = (now - days * 86_400).to_string();
        let id = format!("wamid.{}", words.replace(' ', "-"));
        json!({ "id": who, "context": { "wa_id": who }, "messages": [{ "from": who, "id": id, "timestamp": at,
            "type": "text", "text": { "body": words }, "history_context": { "status": "READ" } }] })
    });
    let metadata = json!({ "phase": phase, "chunk_order": 1, "progress": progress });
    let value = json!({ "messaging_product": "whatsapp",
        "metadata": { "display_phone_number": "525555550100", "phone_number_id": CHANNEL },
        "history": [{ "metadata": metadata, "threads": threads.collect::<Vec<_>>() }] });
    json!({ "object": "whatsapp_business_account",
        "entry": [{ "id": WABA, "changes": [{ "field": "history", "value": value }] }] })
}

/// The newest chunk first, as Meta sends them, and one of them twice.
async fn a_past_is_brought(day: &Day<'_>) {
    let now = day.sides.clock.now().as_secs();
    let newest = chunk(0, 30, &[(GONE, 1, "pasado tres"), (FROM_BEFORE, 1, "carmen dos")], now);
    let middle = chunk(1, 60, &[(GONE, 60, "pasado dos")], now);
    let oldest = chunk(2, 100, &[(GONE, 120, "pasado uno"), (FROM_BEFORE, 100, "carmen uno")], now);
    for body in [&newest, &middle, &newest, &oldest] {
        assert_eq!(day.sides.meta.post(body.to_string().as_bytes()).await.unwrap(), 200);
    }
    eventually_within(MAX_WAIT, "the registration of all slices", || day.registered() == 5);
    let carmen = format!("+{FROM_BEFORE}");
    eventually_within(MAX_WAIT, "the end of the import", || {
        day.advance(60);
        let both = [day.texts("ZulemaCanaria"), day.texts(&carmen)].concat().join("\n");
        ["pasado uno", "pasado dos", "pasado tres", "carmen uno", "carmen dos"].iter().all(|words| both.contains(words))
    });
    day.calm().await;
    for (name, words) in [("ZulemaCanaria", &["uno", "dos", "tres"][..]), (&carmen, &["uno", "dos"])] {
        let all = day.texts(name).join("\n");
        let which = if name == carmen { "carmen" } else { "pasado" };
        let places: Vec<_> = words.iter().map(|word| all.find(&format!("{which} {word}")).unwrap()).collect();
        assert!(places.is_sorted(), "the oldest first: {all}");
        for word in words {
            assert_eq!(all.matches(&format!("{which} {word}")).count(), 1, "{all}");
        }
    }
}

async fn a_day_s_work(day: &Day<'_>) -> Vec<String> {
    let zulema = day.sides.meta.customer("ZulemaCanaria", GONE);
    let berta = day.sides.meta.customer("Berta", STAYS);
    talk(day, &zulema, "ZulemaCanaria", "TextoCanario").await;
    talk(day, &berta, "Berta", "palabras de Berta").await;
    a_lost_callback_is_found(day, &berta, "Berta").await;
    a_past_is_brought(day).await;
    a_number_is_connected(day.sides, day.runner).await;
    day.calm().await;
    let empty = day.runner.post("/_local/run/retention", "");
    assert_eq!(empty.status, 200, "{empty:?}");
    day.calm().await;
    assert!(day.sides.chatwoot.conversation_of("Berta").is_some(), "nobody's time is over");

    let asked = day.runner.post("/_local/deletion", &json!({ "phone": "+52 155 9876-1234" }).to_string());
    assert_eq!(asked.status, 200, "{asked:?}");
    day.bring_to_an_end(asked.json()["code"].as_str().unwrap());
    day.calm().await;
    let copied = day.runner.post("/_local/run/ledger", "");
    assert_eq!(copied.status, 200, "{copied:?}");
    let mut marks = ["ZulemaCanaria", "TextoCanario", "pasado uno", "pasado dos", "pasado tres", GONE, &GONE[3..]]
        .map(str::to_owned)
        .to_vec();
    marks.push(zulema.user_id());
    let table = day.table();
    assert!(table.contains(&berta.user_id()) || table.contains(STAYS), "the other's are where they were");
    assert_none(&marks, &table, "the table");
    assert!(day.sides.chatwoot.conversation_of("ZulemaCanaria").is_none());
    assert!(day.sides.chatwoot.conversation_of("Berta").is_some());
    // Everything Meta ever posted once more.
    for delivery in day.sides.meta.deliveries() {
        assert_eq!(day.sides.meta.post(&delivery.body).await.unwrap(), 200);
    }
    day.calm().await;
    assert!(day.sides.chatwoot.conversation_of("ZulemaCanaria").is_none());
    assert_none(&marks, &day.table(), "the table");

    // A year later.
    day.advance(366 * 86_400);
    let due = day.runner.post("/_local/run/retention", "");
    assert_eq!(due.status, 200, "{due:?}");
    let carmen = format!("+{FROM_BEFORE}");
    eventually_within(MAX_WAIT, "the end of whose time is over", || {
        day.advance(60);
        let all_gone = ["Berta", carmen.as_str()].iter().all(|name| day.sides.chatwoot.conversation_of(name).is_none());
        all_gone && day.queues().all(|queue| day.held(&queue) == 0)
    });
    marks.extend(["carmen uno", "carmen dos", FROM_BEFORE, &FROM_BEFORE[3..]].map(str::to_owned));
    marks.extend(["palabras de Berta".to_owned(), STAYS.to_owned(), STAYS[3..].to_owned(), berta.user_id()]);
    assert_none(&marks, &day.table(), "the table");
    marks
}

fn assert_none(marks: &[String], text: &str, place: &str) {
    for mark in marks {
        let Some(at) = text.find(mark.as_str()) else { continue };
        let from = text.floor_char_boundary(at.saturating_sub(600));
        panic!("{mark} in {place}, after: {}", &text[from..at + mark.len()]);
    }
}

async fn play(aws: Option<&Emulator>) {
    let sides = Sides::start().await;
    let log = sides.directory.path().join("stderr");
    let mut command = Command::new(env!("CARGO_BIN_EXE_local"));
    command.env("RUST_LOG", "info").stderr(Stdio::from(fs::File::create(&log).unwrap()));
    if let Some(aws) = aws {
        command.args(["--aws-url", aws.url()]);
    }
    let runner = sides.launch(&mut command);
    let marks = a_day_s_work(&Day { sides: &sides, runner: &runner }).await;
    assert!(runner.terminate().0.success());
    let log = fs::read_to_string(&log).unwrap();
    assert_none(&marks, &log, "the log");
    for said in ["\"Received\":", "\"Forwarded\":", "\"Sent\":", "\"Difference\":", "\"Erased\":", "\"ErasureOpen\":"] {
        assert!(log.contains(said), "no line says {said}");
    }
}

async fn play_on(make: Make) {
    let emulator = Emulator::start(make).await.unwrap();
    let Some(emulator) = emulator else {
        return emulator::skipped("a day's work", make.name());
    };
    if foreign_stack::deploy(&emulator, make).is_none() {
        return emulator::skipped("a day's work", "aws-sam-translator");
    }
    play(Some(&emulator)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_on_the_embedded_aws() {
    play(None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_on_ministack() {
    play_on(Make::Ministack).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_on_moto() {
    play_on(Make::Moto).await;
}
