//! Steps that the stories on the way in repeat.

use std::{collections::BTreeMap, time::Duration};

use domain::{Clock as _, HashKey};
use serde_json::{Value, json};
use simulator_meta::Customer;
use simulator_wire::{Effect, Fault};
use store::{ItemLedger, Table};
use stories::{CHANNEL, World};

pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);

/// A fault on every call with this method and in this path.
pub(crate) fn always(method: &str, path: &str, effect: Effect) -> Fault {
    Fault { method: Some(method.to_owned()), path: path.to_owned(), skip: 0, times: None, effect }
}

/// A fault on the next such call.
pub(crate) fn once(method: &str, path: &str, effect: Effect) -> Fault {
    Fault { times: Some(1), ..always(method, path, effect) }
}

/// What a proxy says for a server that is down, or the server for itself.
pub(crate) fn answer(status: u16) -> Effect {
    Effect::Answer { status, content_type: "text/html".to_owned(), body: "<html>…</html>".to_owned() }
}

pub(crate) fn ana(world: &World) -> Customer {
    world.meta.customer("Ana", "5215555550123")
}

pub(crate) fn berta(world: &World) -> Customer {
    world.meta.customer("Berta", "5215555550124")
}

/// Ana has written `hola`, and an agent sees her conversation.
pub(crate) async fn ana_wrote(world: &World) -> (Customer, i64) {
    let ana = ana(world);
    ana.writes("hola").await.unwrap();
    world.work().await.unwrap();
    let conversation = world.conversation("Ana").unwrap();
    (ana, conversation)
}

/// Time goes by in steps, and the bridge works after each.
pub(crate) async fn goes_by(world: &World, time: Duration, step: Duration) {
    let mut left = time;
    while !left.is_zero() {
        let next = step.min(left);
        world.later(next).await.unwrap();
        left -= next;
    }
}

/// The same with a round of `reconcile` after each step.
pub(crate) async fn rounds(world: &World, time: Duration, step: Duration) {
    let mut left = time;
    while !left.is_zero() {
        let next = step.min(left);
        world.later(next).await.unwrap();
        world.reconcile().await.unwrap();
        world.work().await.unwrap();
        left -= next;
    }
}

/// Enough time for whatever waits to be tried again, a lease included.
pub(crate) async fn patience(world: &World) {
    goes_by(world, 6 * MINUTE, MINUTE).await;
    goes_by(world, HOUR, 15 * MINUTE).await;
}

/// A body of Meta's: one change of a field of the first channel.
pub(crate) fn body(field: &str, members: &Value) -> Value {
    let mut value = json!({
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "525555550100", "phone_number_id": CHANNEL},
    });
    for (name, member) in members.as_object().into_iter().flatten() {
        value[name] = member.clone();
    }
    json!({
        "object": "whatsapp_business_account",
        "entry": [{"id": "109876543210987", "changes": [{"value": value, "field": field}]}],
    })
}

/// A text as Meta posts it.
pub(crate) fn text(from: &str, wamid: &str, at: i64, text: &str) -> Value {
    json!({"from": from, "id": wamid, "timestamp": at.to_string(), "type": "text", "text": {"body": text}})
}

/// The line of `contacts` about somebody.
pub(crate) fn profile(name: &str, wa_id: &str) -> Value {
    json!({"profile": {"name": name}, "wa_id": wa_id})
}

/// Posts a body; the status it was answered.
pub(crate) async fn post(world: &World, body: &Value) -> u16 {
    world.meta.post(body.to_string().as_bytes()).await.unwrap()
}

/// Posts every webhook so far once more, the same bytes.
pub(crate) async fn post_all_again(world: &World) {
    for delivery in world.meta.deliveries() {
        assert_eq!(world.meta.post(&delivery.body).await.unwrap(), 200);
    }
}

/// What its hashes are made under, as in `world.toml`.
pub(crate) fn key() -> HashKey {
    HashKey::new("subject-key-of-the-stories".into())
}

/// The bridge's table.
pub(crate) fn table(world: &World) -> Table {
    let environment = world.stage.operator();
    let clock: domain::SharedClock = std::sync::Arc::new(world.clock.clone());
    let aws = platform::aws::Aws::from_env(environment).unwrap();
    Table::new(aws.dynamodb, world.stage.table().unwrap().to_owned(), clock, Duration::ZERO)
}

/// Today's balance sheet of a channel: what is counted at all. It adds up whenever it is looked at.
pub(crate) async fn sheet(world: &World, channel: &str) -> Vec<(String, i64)> {
    sheet_of(world, channel, world.clock.now().day()).await
}

/// The same of any day.
pub(crate) async fn sheet_of(world: &World, channel: &str, day: i64) -> Vec<(String, i64)> {
    let sheet =
        ItemLedger::new(table(world)).daily_totals(channel, day, day).await.unwrap().remove(&day).unwrap_or_default();
    assert_eq!(sheet.difference(0), 0, "{sheet:?}");
    let refused = sheet.refused.iter().map(|(reason, count)| (format!("refused_{reason}"), *count));
    let columns = [("done", sheet.done), ("duplicate", sheet.duplicate), ("received", sheet.received)];
    let columns = columns.map(|(name, count)| (name.to_owned(), count)).into_iter();
    let all = columns.chain(refused).chain([("waiting".to_owned(), sheet.waiting)]);
    all.filter(|(_, count)| *count != 0).collect()
}

/// All channels and days in one line, as `GET /_local/balance` shows them; each adds up.
pub(crate) async fn total(world: &World) -> BTreeMap<String, i64> {
    let shown = world.stage.balance.read(world.clock.now()).await.unwrap();
    let names = ["received", "done", "duplicate", "waiting", "refused"];
    let mut total: BTreeMap<String, i64> = names.map(|name| (name.to_owned(), 0)).into_iter().collect();
    let mut add = |name: &str, count: &Value| *total.entry(name.to_owned()).or_insert(0) += count.as_i64().unwrap();
    for (channel, days) in shown["channels"].as_object().unwrap() {
        for (day, sheet) in days.as_object().unwrap() {
            assert_eq!(sheet["difference"], json!(0), "{channel} {day}: {sheet}");
            for column in ["received", "done", "duplicate", "waiting"] {
                add(column, &sheet[column]);
            }
            sheet["refused"].as_object().unwrap().values().for_each(|count| add("refused", count));
        }
    }
    total
}

/// A sheet with these columns.
pub(crate) fn columns(columns: &[(&str, i64)]) -> Vec<(String, i64)> {
    columns.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

/// How often the bridge called Chatwoot like this.
pub(crate) fn calls(world: &World, method: &str, path: &str) -> usize {
    let requests = world.chatwoot.requests();
    requests.iter().filter(|request| request.method == method && request.path.contains(path)).count()
}

/// How many items of one fate the balance sheet of the first channel shows.
pub(crate) async fn counted(world: &World, fate: &str) -> i64 {
    sheet(world, CHANNEL).await.into_iter().find(|(name, _)| name == fate).map_or(0, |(_, count)| count)
}

/// Everything that was written into Chatwoot by the bridge, as source ids, all conversations.
pub(crate) fn source_ids(world: &World) -> Vec<String> {
    let conversations = world.chatwoot.conversations().into_iter().map(|conversation| conversation.id);
    conversations.flat_map(|id| world.chatwoot.messages(id)).filter_map(|message| message.source_id).collect()
}

/// One status of one of our messages, as a body of Meta's.
pub(crate) fn status(wamid: &str, word: &str, reference: Option<&str>) -> Value {
    let mut status = json!({"id": wamid, "status": word, "timestamp": "1795190400", "recipient_id": "5215555550123"});
    if word == "failed" {
        status["errors"] = json!([{"code": 131_026, "title": "Message undeliverable"}]);
    }
    if let Some(reference) = reference {
        status["biz_opaque_callback_data"] = reference.into();
    }
    body("messages", &json!({"statuses": [status]}))
}
