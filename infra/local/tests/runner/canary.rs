//! Rule 9: nothing personal outside the stores. Marked names, numbers, texts, files and secrets travel through every path,
//! the broken ones too, with every log switched on; none of the marks may turn up where only ids and hashes belong.

use std::{fs, path::Path};

use serde_json::{Value, json};
use simulator_meta::Customer;
use simulator_wire::Effect;

use crate::{
    canary_stage::{Stage, fault},
    sides::{CHANNEL, SECRETS, WABA},
    support::{eventually, exchange},
};

const PHONE: &str = "5215598761234";
const SECOND_PHONE: &str = "5215598765678";

/// Who they are and what they say: in no log, no metric, no id of a queue, and not in the table either.
const WORDS: [&str; 8] = [
    "Canaria",
    "TextoCanario",
    "ArchivoCanario",
    "PieCanario",
    "NotaCanario",
    "ErrorCanario",
    "TarjetaCanario",
    "LugarCanario",
];

/// An answer whose words nobody may repeat.
fn says(status: u16, content_type: &str, body: &str) -> Effect {
    Effect::Answer { status, content_type: content_type.to_owned(), body: body.to_owned() }
}

fn envelope(status: u16, code: i64) -> Effect {
    let body = json!({ "error": { "code": code, "message": format!("ErrorCanario for {PHONE}"), "fbtrace_id": "x" } });
    says(status, "application/json", &body.to_string())
}

/// Everything a customer can send, and a file that Meta does not give away at once.
async fn a_customer_writes(stage: &Stage, customer: &Customer, name: &str) {
    stage.meta.faults().add(fault("GET", "/", Effect::DropBefore));
    customer.sends_file("image", b"png".to_vec(), "image/png", None, Some("PieCanario")).await.unwrap();
    let document =
        customer.sends_file("document", b"pdf".to_vec(), "application/pdf", Some("ArchivoCanario.pdf"), None);
    let document = document.await.unwrap();
    let text = customer.writes("TextoCanario").await.unwrap();
    customer.replies_to(&document, "TextoCanario cita").await.unwrap();
    customer.sends_contacts(&[("TarjetaCanario", SECOND_PHONE)]).await.unwrap();
    customer.sends_location(19.4, -99.1, Some("LugarCanario")).await.unwrap();
    customer.reacts(&text, "👍").await.unwrap();
    customer.edits(&text, "TextoCanario mejor").await.unwrap();
    customer.revokes(&text).await.unwrap();
    let strange = json!({ "type": "TextoCanario", "TextoCanario": { "body": PHONE }, "errors": [{ "code": 131_051, "title": "ErrorCanario" }] });
    customer.sends(strange).await.unwrap();
    stage.meta.echo(customer, "TextoCanario eco").await.unwrap();
    stage.hurry().await;
    eventually("all of it in Chatwoot", || stage.texts(name).len() >= 10);
}

/// What Chatwoot and its proxy may answer while a message is brought there.
async fn chatwoot_is_not_well(stage: &Stage, customer: &Customer, name: &str) {
    let words = "{\"message\":\"ErrorCanario\"}";
    let html = "<html>ErrorCanario</html>";
    let effects = [
        says(422, "application/json", words),
        says(500, "text/html", html),
        says(401, "application/json", words),
        says(200, "text/html", html),
        Effect::DropBefore,
        Effect::DropAfter,
    ];
    for (at, effect) in effects.into_iter().enumerate() {
        stage.chatwoot.faults().add(fault("POST", "/messages", effect));
        let text = format!("TextoCanario {at}");
        customer.writes(&text).await.unwrap();
        stage.hurry().await;
        eventually("the message in Chatwoot", || stage.texts(name).contains(&text));
    }
}

/// What an agent can do, and what Meta may answer.
async fn an_agent_answers(stage: &Stage, customer: &Customer, name: &str) {
    let conversation = stage.chatwoot.conversation_of(name).unwrap();
    let agent = stage.chatwoot.agent("Agente Canaria");
    let file = ("ArchivoCanario.png".to_owned(), "image/png".to_owned(), b"png".to_vec());
    let question = stage.chatwoot.messages(conversation)[0].id;
    agent.notes(conversation, "NotaCanario").await;
    agent.quotes(conversation, question, "TextoCanario respuesta").await;
    agent.sends_files(conversation, Some("PieCanario"), vec![file.clone()]).await;
    agent.picks_template(conversation, json!({ "name": "TextoCanario" }), "TextoCanario").await;
    stage.calm().await;
    let effects = [
        Effect::DropBefore,
        Effect::DropAfter,
        envelope(400, 131_026),
        envelope(500, 131_000),
        envelope(401, 190),
        says(502, "text/html", "<html>ErrorCanario</html>"),
        says(200, "application/json", "{\"ErrorCanario\":1}"),
    ];
    for effect in effects {
        stage.meta.faults().add(fault("POST", "/messages", effect));
        let message = agent.replies(conversation, "TextoCanario respuesta").await;
        stage.hurry().await;
        agent.retries(conversation, message).await;
        stage.calm().await;
    }
    let heard = customer.heard();
    assert!(heard.iter().filter(|text| text.contains("respuesta")).count() >= 7, "{heard:?}");
    for (method, path) in [("GET", "/rails/"), ("PATCH", "/messages/")] {
        stage.chatwoot.faults().add(fault(method, path, says(500, "text/html", "ErrorCanario")));
    }
    stage.meta.faults().add(fault("POST", "/media", envelope(400, 131_053)));
    agent.sends_files(conversation, None, vec![file]).await;
    stage.hurry().await;
    for bubble in customer.received() {
        customer.status(&bubble.wamid, "failed", Some(json!([{ "code": 131_026, "title": "ErrorCanario" }]))).await;
        customer.status(&bubble.wamid, "read", None).await;
    }
    stage.hurry().await;
}

/// Knocks at both doors with what must not be let in, or cannot be read.
async fn strangers_knock(stage: &Stage) {
    let base = stage.runner.said("ready");
    let [_, verify_token, .., path_secret] = SECRETS;
    for token in [verify_token, "verify-token-canario-falso"] {
        let query = format!("/webhooks/meta?hub.mode=subscribe&hub.challenge=ErrorCanario&hub.verify_token={token}");
        exchange(base, "GET", &query, &[], "");
    }
    let body = format!("{{\"object\":\"TextoCanario\",\"entry\":[{{\"from\":\"{PHONE}\"");
    for signature in ["sha256=ErrorCanario", "ErrorCanario"] {
        exchange(base, "POST", "/webhooks/meta", &[("x-hub-signature-256", signature)], &body);
    }
    assert_eq!(stage.meta.post(body.as_bytes()).await.unwrap(), 200);
    let item = |field: &str, value: Value| {
        json!({ "object": "whatsapp_business_account",
        "entry": [{ "id": WABA, "changes": [{ "field": field, "value": value }] }] })
    };
    let metadata = json!({ "display_phone_number": "525555550100", "phone_number_id": CHANNEL });
    let bodies = [
        item("TextoCanario", json!({ "Canaria": PHONE })),
        item("account_update", json!({ "phone_number": PHONE, "event": "ErrorCanario" })),
        item(
            "messages",
            json!({ "metadata": metadata, "messages": [{ "from": PHONE, "text": { "body": "TextoCanario" } }, 7, "TextoCanario"] }),
        ),
        item(
            "messages",
            json!({ "metadata": metadata, "statuses": [{ "id": "TextoCanario", "status": "TextoCanario", "recipient_id": PHONE }] }),
        ),
        item(
            "messages",
            json!({ "metadata": { "phone_number_id": "104857600999999" }, "messages": [{ "id": "TextoCanario", "from": PHONE,
            "timestamp": "1795190400", "type": "text", "text": { "body": "TextoCanario" } }] }),
        ),
    ];
    for body in bodies {
        assert_eq!(stage.meta.post(body.to_string().as_bytes()).await.unwrap(), 200, "{body}");
    }
    for (path, body) in [
        (format!("/callbacks/chatwoot/{CHANNEL}/{path_secret}"), body.clone()),
        (format!("/callbacks/chatwoot/{CHANNEL}/{path_secret}-falso"), body.clone()),
        (format!("/callbacks/chatwoot/{PHONE}"), body.clone()),
        (
            format!("/callbacks/chatwoot/{CHANNEL}/{path_secret}"),
            json!({ "event": "message_created", "id": 1,
            "message_type": "outgoing", "content": "TextoCanario", "account": { "id": 3 }, "inbox": { "id": 15 },
            "conversation": { "id": 1, "meta": { "sender": { "phone_number": PHONE } } } })
            .to_string(),
        ),
    ] {
        stage.runner.post(&path, &body);
    }
    stage.poison("inbound", &format!("TextoCanario {PHONE}"));
    stage.poison(
        "inbound",
        &json!({ "task": "message_v1", "customer": { "phone": PHONE }, "text": "TextoCanario" }).to_string(),
    );
    stage.poison("outbound", &format!("TextoCanario de {PHONE}"));
    stage.calm().await;
}

/// Messages that have to wait lie open in the queues.
async fn what_waits_shows_nothing(stage: &Stage, customer: &Customer, name: &str, marks: &[String]) {
    let conversation = stage.chatwoot.conversation_of(name).unwrap();
    stage.meta.server().refuse().await;
    stage.chatwoot.agent("Agente Canaria").replies(conversation, "TextoCanario espera").await;
    eventually("a sync request that waits", || {
        stage.runner.living().iter().any(|letter| letter["body"].to_string().contains("sync_request"))
    });
    stage.chatwoot.server().refuse().await;
    customer.writes("TextoCanario espera").await.unwrap();
    eventually("a task that waits", || stage.runner.living().len() >= 2);
    stage.runner.post("/_local/run/reconcile", "");
    for letter in stage.runner.living() {
        let outbound = letter["body"].as_str().unwrap().contains("sync_request_v1");
        let open = if outbound { letter.to_string() } else { format!("{} {}", letter["group"], letter["dedup_id"]) };
        let found: Vec<&String> = marks.iter().filter(|mark| open.contains(*mark)).collect();
        assert!(found.is_empty(), "{found:?} in {open}");
    }
    for server in [stage.meta.server(), stage.chatwoot.server()] {
        // The old listener closes in its own task; until then its port is taken.
        server.accept().unwrap();
    }
    stage.hurry().await;
}

fn assert_none(marks: &[String], text: &str, place: &str) {
    for mark in marks {
        let Some(at) = text.find(mark.as_str()) else { continue };
        let around = text.get(at.saturating_sub(3000)..at + mark.len()).unwrap_or_default();
        panic!("{mark} in {place}, after: {around}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_9_nothing_personal_is_outside_the_stores() {
    let stage = Stage::start().await;
    let zulema = stage.meta.customer("Zulema Canaria", PHONE);
    let rosa = stage.meta.customer("Rosa Canaria", SECOND_PHONE).without_phone();
    for (customer, name) in [(&zulema, "Zulema Canaria"), (&rosa, "Rosa Canaria")] {
        a_customer_writes(&stage, customer, name).await;
        chatwoot_is_not_well(&stage, customer, name).await;
        an_agent_answers(&stage, customer, name).await;
    }
    strangers_knock(&stage).await;

    let mut marks: Vec<String> = WORDS.into_iter().chain(SECRETS).map(str::to_owned).collect();
    let stored = marks.clone();
    marks.extend([PHONE, SECOND_PHONE, &PHONE[3..], &SECOND_PHONE[3..], "wamid."].map(str::to_owned));
    marks.extend([zulema.user_id(), rosa.user_id(), rosa.username().unwrap()]);
    what_waits_shows_nothing(&stage, &zulema, "Zulema Canaria", &marks).await;

    assert_none(&stored, &stage.table(), "the table");
    let dead = stage.runner.dead();
    assert!(dead.len() >= 6, "{} dead letters", dead.len());
    for letter in dead {
        let open = format!("{} {} {}", letter["group"], letter["dedup_id"], letter["message_attributes"]);
        assert_none(&marks, &open, "a dead letter, outside its body");
    }
    let Stage { runner, log, .. } = stage;
    assert!(runner.terminate().0.success());
    all_paths_were_walked_and_none_told(&log, &marks);
}

fn all_paths_were_walked_and_none_told(log: &Path, marks: &[String]) {
    let log = fs::read_to_string(log).unwrap();
    for said in [
        "a task has to wait",
        "conversation sync deferred",
        "part not sent",
        "a task was put into the dead letters",
        "a signed webhook cannot be read",
        "a callback of another inbox",
        "a round did not go through",
        "\"Rejected\":",
        "\"Uncertain\":",
        "\"Poisoned\":",
        "unreadable_task",
        "Meta reports a status of a message that this version does not know",
    ] {
        assert!(log.contains(said), "no line says: {said}");
    }
    assert_none(marks, &log, "the log");
}
