//! The daily sweep where things are not as they should be: one bad conversation, too many people, no time left, somebody who comes
//! back while they are being swept, another dealer's customer with the same phone.

use std::time::Duration;

use domain::{AccountId, Channel, Clock as _, CustomerId, Identity, PhoneNumberId, WaId};
use futures_util::future::try_join_all;
use serde_json::{Value, json};
use simulator_meta::Customer;
use store::{Channels, CustomerStore, Table, TableSweep};
use stories::{ACCOUNT, CHANNEL, COEXISTENCE_CHANNEL, World};

use crate::{
    erasure::{items, operator_asks, state},
    fixtures::{MINUTE, always, ana, answer, calls, goes_by, key, table},
    open_chat::call,
};

const DAY: Duration = Duration::from_secs(86_400);
const YEAR: Duration = Duration::from_secs(365 * 86_400);

fn carla(world: &World) -> Customer {
    world.meta.customer("Carla", "5215555550125")
}

/// Ana and Carla wrote 366 days ago.
async fn two_a_year_ago(world: &World) {
    for customer in [ana(world), carla(world)] {
        customer.writes("hola").await.unwrap();
        world.work().await.unwrap();
    }
    world.pass(YEAR + DAY);
}

/// So many people wrote 366 days ago.
async fn many_a_year_ago(world: &World, count: u32) {
    for index in 0..count {
        let person = world.meta.customer(&format!("P{index}"), &format!("52155555520{index:02}"));
        person.writes("hola").await.unwrap();
    }
    world.work().await.unwrap();
    world.pass(YEAR + DAY);
}

fn sweeps(world: &World) -> TableSweep {
    TableSweep::new(table(world))
}

/// What the bridge's own administrator asks of Chatwoot.
async fn chatwoot(world: &World, path: &str, body: &Value) -> Value {
    let token = world.chatwoot.token("Bot", simulator_chatwoot::Role::Administrator);
    let headers = [("api_access_token", token.as_str()), ("content-type", "application/json")];
    let path = format!("/api/v1/accounts/{ACCOUNT}{path}");
    let (status, answer) = call("POST", &world.chatwoot.url(), &path, &headers, body.to_string().as_bytes()).await;
    assert_eq!(status, 200, "{answer}");
    serde_json::from_str(&answer).unwrap()
}

#[tokio::test]
async fn one_conversation_that_cannot_be_judged_is_counted_and_stops_nobody() {
    let world = World::start().await.unwrap();
    two_a_year_ago(&world).await;
    let hers = format!("/conversations/{}", world.conversation("Ana").unwrap());
    world.chatwoot.faults().add(always("GET", &hers, answer(500)));
    let report = world.retention().await.unwrap();
    assert_eq!((report.due.len(), report.asked, report.unjudged, report.overdue), (1, 1, 1, 1));
    goes_by(&world, 5 * MINUTE, MINUTE).await;
    assert!(world.conversation("Ana").is_ok() && world.conversation("Carla").is_err());
    world.chatwoot.faults().clear();
    assert_eq!(world.retention().await.unwrap().asked, 1);
}

#[tokio::test]
async fn one_inbox_that_is_down_leaves_the_other_its_sweep() {
    let world = World::start().await.unwrap();
    ana(&world).writes("hola").await.unwrap();
    carla(&world).at(COEXISTENCE_CHANNEL).writes("hola").await.unwrap();
    world.work().await.unwrap();
    world.pass(YEAR + DAY);
    world.chatwoot.faults().add(always("GET", "/inboxes/14", answer(500)));
    assert!(world.retention().await.unwrap().trouble.is_some());
    goes_by(&world, 5 * MINUTE, MINUTE).await;
    assert!(world.conversation("Ana").is_ok() && world.conversation("Carla").is_err());
    world.chatwoot.faults().clear();
    assert_eq!(world.retention().await.unwrap().asked, 1);
}

#[tokio::test]
async fn no_more_than_so_many_are_asked_for_a_day_however_often_the_run_comes() {
    let world = World::start().await.unwrap();
    two_a_year_ago(&world).await;
    let (sweeps, channel, today) = (sweeps(&world), PhoneNumberId::new(CHANNEL), world.clock.now().day());
    // However many runs count side by side.
    for counts in [100, 100, 100, 100, 99] {
        try_join_all((0..counts).map(|_| sweeps.count_asked(&channel, today))).await.unwrap();
    }
    assert_eq!(sweeps.asked(&channel, today).await.unwrap(), 499);
    let report = world.retention().await.unwrap();
    assert_eq!((report.asked, report.overdue), (1, 1));
    let again = world.retention().await.unwrap();
    assert_eq!((again.asked, again.overdue), (0, 1), "a second run of the day asks for nobody more");
    world.later(DAY).await.unwrap();
    assert_eq!(world.retention().await.unwrap().asked, 1);
}

#[tokio::test]
async fn a_run_without_time_purges_counts_the_rest_and_the_next_one_goes_on() {
    let world = World::start().await.unwrap();
    two_a_year_ago(&world).await;
    let report = world.retention_within(Duration::ZERO).await.unwrap();
    assert_eq!(report.asked, 0);
    assert!(report.purged > 0 && report.overdue > 0, "{report:?}");
    assert_eq!(world.retention().await.unwrap().asked, 2);
}

#[tokio::test]
async fn a_sweep_goes_on_at_its_mark_and_comes_round_to_what_lies_before_it() {
    let world = World::start().await.unwrap();
    many_a_year_ago(&world, 27).await;
    sweeps(&world).set_cursor(&format!("Quiet#{CHANNEL}"), Some(&1)).await.unwrap();
    let report = world.retention().await.unwrap();
    assert_eq!((report.asked, report.overdue), (27, 0));
    assert_eq!(sweeps(&world).cursor::<u32>(&format!("Quiet#{CHANNEL}")).await.unwrap(), None);
}

#[tokio::test]
async fn a_dry_run_without_time_leaves_the_next_run_where_it_was() {
    let world = World::start().await.unwrap();
    many_a_year_ago(&world, 27).await;
    let before = items(&world).await;
    let looked_at = || calls(&world, "GET", "/conversations/");
    let looked_at_before = looked_at();
    let a_day_passes = async {
        while looked_at() == looked_at_before {
            tokio::task::yield_now().await;
        }
        world.clock.advance(2 * DAY);
    };
    let (report, ()) = tokio::join!(world.retention_dry_run(), a_day_passes);
    assert!(report.unwrap().unjudged > 0, "it did not come to its end");
    assert_eq!(items(&world).await, before, "it writes nothing");
}

#[tokio::test]
async fn a_run_that_dies_halfway_asks_for_nobody_twice_and_forgets_nobody() {
    for awaits in [20, 45, 70, 95] {
        let world = World::start().await.unwrap();
        two_a_year_ago(&world).await;
        world.retention_killed(awaits).await;
        world.retention().await.unwrap();
        goes_by(&world, 5 * MINUTE, MINUTE).await;
        assert!(world.conversation("Ana").is_err() && world.conversation("Carla").is_err(), "{awaits}");
        let ledgers = items(&world).await.into_iter().filter(|item| item.contains("sk=S(\"ledger\")")).count();
        assert_eq!(ledgers, 2, "{awaits}");
    }
}

#[tokio::test]
async fn too_many_contacts_gone_are_counted_and_the_sweep_goes_on() {
    let world = World::start().await.unwrap();
    for index in 0..21 {
        let person = world.meta.customer(&format!("P{index}"), &format!("52155555520{index:02}"));
        person.writes("hola").await.unwrap();
    }
    world.work().await.unwrap();
    let agent = world.chatwoot.agent("Sofía");
    let contacts = world.chatwoot.contacts();
    let before_all = serde_json::json!({ "pk": "customer#", "sk": "channel#" });
    sweeps(&world).set_cursor("contacts", Some(&before_all)).await.unwrap();
    for contact in contacts {
        agent.deletes_contact(contact.id).await;
    }
    let report = world.retention().await.unwrap();
    assert_eq!((report.gone, report.overdue), (0, 21));
    assert_eq!(sweeps(&world).cursor::<store::Key>("contacts").await.unwrap(), None, "it is not stuck there");
}

#[tokio::test]
async fn the_last_second_of_the_last_day_still_counts() {
    let world = World::start().await.unwrap();
    ana(&world).writes("hola").await.unwrap();
    world.work().await.unwrap();
    world.pass(YEAR);
    assert_eq!(world.retention().await.unwrap().due, []);
    world.pass(Duration::from_secs(1));
    assert_eq!(world.retention().await.unwrap().asked, 1);
}

#[tokio::test]
async fn who_writes_before_the_erasure_begins_loses_nothing() {
    let world = World::start().await.unwrap();
    two_a_year_ago(&world).await;
    assert_eq!(world.retention().await.unwrap().asked, 2);
    ana(&world).writes("hola otra vez").await.unwrap();
    assert!(world.forward_once().await.unwrap(), "she is in her old conversation before anybody begins");
    goes_by(&world, 5 * MINUTE, MINUTE).await;
    // The bridge had forgotten her by then; her contact and her conversation are found again.
    let hers: Vec<i64> = world.chatwoot.conversations().iter().map(|row| row.id).collect();
    let read: Vec<String> = hers.iter().flat_map(|id| world.chatwoot.messages(*id)).map(|row| row.content).collect();
    assert_eq!(read, ["hola", "hola otra vez"]);
    assert!(world.conversation("Carla").is_err());
    ana(&world).writes("¿y la moto?").await.unwrap();
    let conversation = world.conversation("Ana").unwrap();
    world.chatwoot.agent("Sofía").replies(conversation, "aquí sigue").await;
    world.later(MINUTE).await.unwrap();
    assert_eq!(world.agent_reads("Ana").len(), 4);
    assert!(ana(&world).phone().iter().any(|bubble| bubble.from_business), "nothing bars her");
    let report = world.retention().await.unwrap();
    assert_eq!((report.asked, report.open), (0, 0));
}

#[tokio::test]
async fn who_writes_before_anything_is_erased_is_active_again() {
    let world = World::start().await.unwrap();
    ana(&world).writes("hola").await.unwrap();
    world.work().await.unwrap();
    world.pass(YEAR + DAY);
    assert_eq!(world.retention().await.unwrap().asked, 1);
    ana(&world).writes("hola otra vez").await.unwrap();
    world.calm().await;
    assert!(world.erase_once().await.unwrap(), "she is buried while her message waits");
    goes_by(&world, 10 * MINUTE, MINUTE).await;
    assert_eq!(world.agent_reads("Ana"), ["Ana: hola", "Ana: hola otra vez"]);
    let report = world.retention().await.unwrap();
    assert_eq!((report.asked, report.open), (0, 0), "what was asked for by time is withdrawn");
}

#[tokio::test]
async fn a_label_that_comes_after_the_sweep_keeps_them_all_the_same() {
    let world = World::start().await.unwrap();
    two_a_year_ago(&world).await;
    assert_eq!(world.retention().await.unwrap().asked, 2);
    world.chatwoot.agent("Sofía").labels(world.conversation("Ana").unwrap(), &["conservar"]).await;
    goes_by(&world, 5 * MINUTE, MINUTE).await;
    assert!(world.conversation("Ana").is_ok() && world.conversation("Carla").is_err());
}

#[tokio::test]
async fn who_asks_themselves_is_not_let_off_for_writing() {
    let world = World::start().await.unwrap();
    two_a_year_ago(&world).await;
    assert_eq!(world.retention().await.unwrap().asked, 2);
    let code = operator_asks(&world, json!({ "phone": "+5215555550123" })).await;
    ana(&world).writes("hola otra vez").await.unwrap();
    goes_by(&world, 10 * MINUTE, MINUTE).await;
    assert_eq!(state(&world, &code).await["state"], "done");
    assert!(!world.agent_reads("Ana").contains(&"Ana: hola".to_owned()));
}

#[tokio::test]
async fn a_label_on_the_oldest_of_many_conversations_keeps_the_person() {
    let world = World::start().await.unwrap();
    world.chatwoot.lock_to_single_conversation(14, false);
    ana(&world).writes("hola").await.unwrap();
    world.work().await.unwrap();
    let agent = world.chatwoot.agent("Sofía");
    let first = world.conversation("Ana").unwrap();
    agent.labels(first, &["conservar"]).await;
    let contact = world.chatwoot.contacts()[0].id;
    world.pass(DAY);
    for _ in 0..21 {
        agent.starts_conversation(contact, 14, "oferta").await;
    }
    world.work().await.unwrap();
    world.pass(YEAR + DAY);
    let report = world.retention().await.unwrap();
    assert_eq!((report.asked, report.overdue), (0, 0));
    assert_eq!((report.due.len(), report.due.iter().all(|due| due.held)), (22, true));
}

#[tokio::test]
async fn a_hand_on_an_old_conversation_does_not_make_its_customer_active() {
    let world = World::start().await.unwrap();
    two_a_year_ago(&world).await;
    let agent = world.chatwoot.agent("Sofía");
    // The line that Chatwoot leaves makes the conversation young for its filters.
    agent.labels(world.conversation("Ana").unwrap(), &["vip"]).await;
    agent.resolves(world.conversation("Carla").unwrap()).await;
    world.work().await.unwrap();
    assert_eq!(world.retention().await.unwrap().asked, 2);
}

#[tokio::test]
async fn what_is_imported_is_as_old_as_it_says() {
    let world = World::start().await.unwrap();
    let contact = world.chatwoot.agent("Sofía").adds_contact("Dora", Some("+5215555550126")).await;
    let opened = json!({ "inbox_id": 14, "contact_id": contact, "source_id": "imported-dora" });
    let conversation = chatwoot(&world, "/conversations", &opened).await["id"].as_i64().unwrap();
    let sent_at = (world.clock.now() - 300 * DAY).as_secs();
    let message = json!({ "content": "hola", "message_type": "incoming", "source_id": "wamid.of-dora",
        "content_attributes": { "external_created_at": sent_at } });
    chatwoot(&world, &format!("/conversations/{conversation}/messages"), &message).await;
    world.work().await.unwrap();
    assert_eq!(world.retention().await.unwrap().due, []);
    world.pass(66 * DAY);
    let report = world.retention().await.unwrap();
    assert_eq!((report.asked, report.due[0].active_at), (1, sent_at));
}

#[tokio::test]
async fn what_is_written_anew_between_the_look_and_the_purge_lives() {
    let world = World::start().await.unwrap();
    ana(&world).writes("hola").await.unwrap();
    world.work().await.unwrap();
    world.pass(YEAR + DAY);
    let sweeps = sweeps(&world);
    let expired = sweeps.expired(None).await.unwrap().expired;
    ana(&world).writes("hola otra vez").await.unwrap();
    world.work().await.unwrap();
    let is = |item: &String, key: &store::Key| {
        let key = serde_json::to_value(key).unwrap();
        item.ends_with(&format!("pk=S({}) sk=S({})", key["pk"], key["sk"]))
    };
    let written_anew = |items: Vec<String>| {
        let end = |item: &String| item.split("expires_at=N(\"").nth(1)?.split('"').next()?.parse::<i64>().ok();
        let lives = |item: &String| end(item).is_none_or(|end| end > world.clock.now().as_secs());
        items.into_iter().filter(lives).filter(|item| expired.iter().any(|key| is(item, key))).collect::<Vec<_>>()
    };
    let before = written_anew(items(&world).await);
    sweeps.delete_expired(&expired).await.unwrap();
    assert!(before.iter().any(|item| item.contains("alias#")), "{before:?}");
    assert_eq!(written_anew(items(&world).await), before);
}

#[tokio::test]
async fn the_proof_tells_what_is_there_after_its_time_in_chatwoot_and_the_table() {
    let world = World::start().await.unwrap();
    two_a_year_ago(&world).await;
    let proof = world.retention_dry_run().await.unwrap();
    assert_eq!((proof.due.len(), proof.unjudged), (2, 0));
    assert!(proof.expired > 0);
    assert_eq!(proof.overdue, 2 + proof.expired);
    world.retention().await.unwrap();
    goes_by(&world, 5 * MINUTE, MINUTE).await;
    let proof = world.retention_dry_run().await.unwrap();
    assert_eq!((proof.due.len(), proof.expired, proof.unjudged, proof.overdue), (0, 0, 0, 0));
}

/// The second dealer has an account of its own, which does not answer, and the same person wrote there just now.
pub(crate) async fn wrote_to_another_dealer(world: &World) -> (CustomerStore, CustomerId) {
    let aws = platform::aws::Aws::from_env(world.stage.operator()).unwrap();
    let clock: domain::SharedClock = std::sync::Arc::new(world.clock.clone());
    let table = Table::new(aws.dynamodb, world.stage.table().unwrap().to_owned(), clock, YEAR);
    let channels = Channels::new(table.clone());
    let first = channels.all().await.unwrap().remove(0);
    let number = PhoneNumberId::new("999");
    channels.put(&Channel { phone_number_id: number.clone(), account: AccountId(9), ..first }).await.unwrap();
    let customers = CustomerStore::new(table, key());
    let theirs = customers.identify(AccountId(9), &hers(), world.clock.now()).await.unwrap();
    customers.touch(&theirs, &number, &hers(), Some(world.clock.now()), None).await.unwrap();
    (customers, theirs)
}

/// Ana, by her phone.
pub(crate) fn hers() -> Identity {
    Identity { phone: Some(WaId::new("5215555550123")), ..Identity::default() }
}

#[tokio::test]
async fn one_dealer_s_time_is_not_another_s() {
    let world = World::start().await.unwrap();
    ana(&world).writes("hola").await.unwrap();
    world.work().await.unwrap();
    world.pass(YEAR + DAY);
    let (customers, theirs) = wrote_to_another_dealer(&world).await;
    assert!(world.retention().await.unwrap().trouble.is_some(), "the other account is told to be in trouble");
    goes_by(&world, 5 * MINUTE, MINUTE).await;
    assert!(world.conversation("Ana").is_err());
    assert_eq!(customers.find(AccountId(9), &hers()).await.unwrap(), Some(theirs.clone()));
    assert!(customers.thread(&theirs, &PhoneNumberId::new("999")).await.unwrap().is_some());
    assert_eq!(customers.find(AccountId(ACCOUNT), &hers()).await.unwrap(), None);
    let open = store::ErasureLedger::new(table(&world)).all_open().await.unwrap();
    assert!(open.is_empty(), "nobody waits for the other account");
}
