//! What Meta tells about accounts and numbers: while a number cannot send, agents' messages wait with one note each
//! conversation, and go on by themselves; stale and repeated events change nothing; nothing of it is lost.

use std::{fs, path::Path, sync::Arc, time::Duration};

use domain::{
    Channel, Clock as _, PhoneNumberId, SharedClock,
    channel::{ChannelState, DisconnectReason},
};
use serde_json::{Value, json};
use simulator_chatwoot::FileMode;
use simulator_wire::Effect;
use store::{Channels, Table};
use stories::{CHANNEL, COEXISTENCE_CHANNEL, World};

use crate::{
    fixtures::{HOUR, MINUTE, always, answer, berta, columns, goes_by, once, post, sheet},
    open_chat::{OpenChat, file, refuses},
};

const WABA: &str = "109876543210987";
const PARTNER: &str = "218765432109876";
const AT: i64 = 1_795_190_400;
const DISCONNECTED: &str = "Este número está desconectado de WhatsApp; el operador ya tiene el aviso. ";

/// An event of Meta's, in an entry of `id`.
pub(crate) fn event(id: &str, at: i64, field: &str, value: &Value) -> Value {
    json!({"object": "whatsapp_business_account",
        "entry": [{"id": id, "time": at, "changes": [{"value": value, "field": field}]}]})
}

pub(crate) fn account(at: i64, event_name: &str) -> Value {
    event(WABA, at, "account_update", &json!({"event": event_name, "phone_number": "525555550100"}))
}

fn partner(at: i64, event_name: &str) -> Value {
    let value = json!({"event": event_name, "waba_info": {"waba_id": WABA, "owner_business_id": "301234567890123"}});
    event(PARTNER, at, "account_update", &value)
}

pub(crate) async fn happens(world: &World, body: &Value) {
    assert_eq!(post(world, body).await, 200);
    world.work().await.unwrap();
}

fn channels(world: &World) -> Channels {
    let environment = world.stage.environment("forward").unwrap();
    let clock: SharedClock = Arc::new(world.clock.clone());
    let aws = platform::aws::Aws::from_env(environment).unwrap();
    Channels::new(Table::new(aws.dynamodb, world.stage.table().unwrap().to_owned(), clock, Duration::ZERO))
}

async fn state(world: &World, number: &str) -> ChannelState {
    channels(world).get(&PhoneNumberId::new(number)).await.unwrap().unwrap().state
}

async fn is_live(world: &World) -> bool {
    state(world, CHANNEL).await == ChannelState::Live
}

async fn cut(world: &World) -> Option<DisconnectReason> {
    match state(world, CHANNEL).await {
        ChannelState::Disconnected { why, .. } => Some(why),
        _ => None,
    }
}

#[tokio::test]
async fn while_a_number_is_disconnected_messages_wait_with_one_note_and_go_on_when_it_is_back() {
    let shop = OpenChat::open().await;
    let world = &shop.world;
    happens(world, &account(AT + 10, "ACCOUNT_OFFBOARDED")).await;
    world.pass(MINUTE);
    let first = shop.says("uno").await;
    let second = shop.says("dos").await;
    // Whatever comes round meanwhile, one note is enough.
    for _ in 0..3 {
        shop.later(5 * MINUTE).await;
        shop.reconciles().await;
    }
    assert_eq!((shop.ana.heard(), world.meta.requests().len()), (vec![], 0));
    assert_eq!((shop.mark(first), shop.mark(second)), ("sent".to_owned(), "sent".to_owned()));
    let notes = shop.notes();
    assert!(notes.len() == 1 && notes[0].starts_with(DISCONNECTED), "{notes:?}");
    // Nobody who waits for nothing is told anything.
    let berta = berta(world);
    berta.writes("hola").await.unwrap();
    world.work().await.unwrap();
    assert_eq!(world.agent_reads("Berta"), ["Berta: hola"]);
    // Back: at once, in order, and with one word about it.
    happens(world, &account(AT + 2000, "ACCOUNT_RECONNECTED")).await;
    assert_eq!(shop.ana.heard(), ["uno", "dos"]);
    assert_eq!(shop.notes()[1..], ["Ya se puede enviar otra vez por WhatsApp: lo que esperaba está saliendo."]);
    // Down again: that is news.
    happens(world, &account(AT + 3000, "ACCOUNT_OFFBOARDED")).await;
    world.pass(MINUTE);
    shop.says("tres").await;
    assert_eq!((shop.ana.heard().len(), shop.notes().len()), (2, 3));
}

#[tokio::test]
async fn what_waits_when_the_window_closes_is_said_in_words() {
    let shop = OpenChat::open().await;
    happens(&shop.world, &account(AT, "ACCOUNT_DELETED")).await;
    shop.world.pass(MINUTE);
    let first = shop.says("uno").await;
    let second = shop.says("dos").await;
    shop.later(24 * HOUR).await;
    shop.reconciles().await;
    let words = "No entregado: el número no pudo enviar por WhatsApp y pasaron 24 h";
    for message in [first, second] {
        assert!(shop.mark(message).starts_with(words), "{}", shop.mark(message));
    }
    // Back too late: nothing goes out by itself.
    happens(&shop.world, &account(AT + 90_000, "ACCOUNT_RECONNECTED")).await;
    assert_eq!(shop.ana.heard(), [""; 0]);
}

#[tokio::test]
async fn a_stale_or_repeated_event_changes_nothing() {
    let gone = account(AT + 100, "ACCOUNT_OFFBOARDED");
    let back = account(AT + 200, "ACCOUNT_RECONNECTED");
    let swapped = World::start().await.unwrap();
    happens(&swapped, &back).await;
    happens(&swapped, &gone).await;
    assert!(is_live(&swapped).await);
    let shop = OpenChat::open().await;
    let world = &shop.world;
    happens(world, &gone).await;
    happens(world, &back).await;
    assert!(is_live(world).await);
    for pause in [MINUTE, HOUR, 24 * HOUR] {
        world.pass(pause);
        for body in [&gone, &back, &gone] {
            happens(world, body).await;
            assert!(is_live(world).await);
        }
    }
    // The same once more, later: that is another event.
    happens(world, &account(AT + 300, "ACCOUNT_OFFBOARDED")).await;
    assert_eq!(cut(world).await, Some(DisconnectReason::Offboarded));
}

#[tokio::test]
async fn that_a_partner_left_is_believed_only_if_graph_confirms_it() {
    for word in ["PARTNER_REMOVED", "PARTNER_APP_UNINSTALLED"] {
        let shop = OpenChat::open().await;
        let world = &shop.world;
        // Another partner: Graph still answers.
        happens(world, &partner(AT + 10, word)).await;
        assert!(is_live(world).await);
        shop.says("uno").await;
        assert_eq!(shop.ana.heard(), ["uno"]);
        // Graph cannot be asked: the event waits, and nobody guesses.
        world.meta.faults().add(always("GET", CHANNEL, answer(502)));
        happens(world, &partner(AT + 20, word)).await;
        assert!(is_live(world).await && world.queued("inbound") > 0);
        world.meta.faults().clear();
        world.meta.set_access(CHANNEL, false);
        goes_by(world, 30 * MINUTE, 5 * MINUTE).await;
        assert_eq!((cut(world).await, world.queued("inbound")), (Some(DisconnectReason::Removed), 0));
        shop.says("dos").await;
        assert_eq!(shop.ana.heard(), ["uno"]);
        // Somebody else comes: still not us. Then we do.
        happens(world, &partner(AT + 4000, "PARTNER_ADDED")).await;
        assert_eq!(cut(world).await, Some(DisconnectReason::Removed));
        world.meta.set_access(CHANNEL, true);
        happens(world, &partner(AT + 4001, "PARTNER_APP_INSTALLED")).await;
        assert_eq!(shop.ana.heard(), ["uno", "dos"]);
    }
}

#[tokio::test]
async fn a_number_that_left_its_phone_is_disconnected_although_graph_still_knows_it() {
    let world = World::start().await.unwrap();
    let removed = json!({"event": "PARTNER_REMOVED", "waba_info": {"waba_id": WABA}, "phone_number": "525555550101",
        "disconnection_info": {"reason": "PRIMARY_INACTIVITY", "initiated_by": "SYSTEM"}});
    world.meta.set_number_status(COEXISTENCE_CHANNEL, Some("DISCONNECTED"));
    happens(&world, &event(PARTNER, AT, "account_update", &removed)).await;
    assert!(matches!(
        state(&world, COEXISTENCE_CHANNEL).await,
        ChannelState::Disconnected { why: DisconnectReason::Removed, .. }
    ));
    // The other number of the account is not meant.
    assert!(is_live(&world).await);
}

#[tokio::test]
async fn a_withdrawn_number_with_a_new_token_is_found_by_reconcile() {
    let shop = OpenChat::open().await;
    let world = &shop.world;
    world.meta.set_access(CHANNEL, false);
    happens(world, &partner(AT + 10, "PARTNER_REMOVED")).await;
    shop.says("uno").await;
    shop.reconciles().await;
    assert_eq!(shop.ana.heard(), [""; 0]);
    world.meta.set_access(CHANNEL, true);
    shop.later(5 * MINUTE).await;
    shop.reconciles().await;
    assert_eq!(shop.ana.heard(), ["uno"]);
    assert!(is_live(world).await);
}

#[tokio::test]
async fn a_send_that_meta_refuses_before_send_has_heard_of_it_waits_as_well() {
    let shop = OpenChat::open().await;
    let world = &shop.world;
    // `send` read the channel a moment ago.
    shop.says("uno").await;
    happens(world, &account(AT + 10, "ACCOUNT_OFFBOARDED")).await;
    shop.meta_will(refuses(403, 10), 1);
    let second = shop.says("dos").await;
    assert_eq!((shop.mark(second), shop.notes().len()), ("sent".to_owned(), 1));
    happens(world, &account(AT + 20, "ACCOUNT_RECONNECTED")).await;
    assert_eq!(shop.ana.heard(), ["uno", "dos"]);
}

#[tokio::test]
async fn an_upload_that_meta_refuses_before_send_has_heard_of_it_waits_as_well() {
    let shop = OpenChat::open().await;
    let world = &shop.world;
    shop.says("uno").await;
    happens(world, &account(AT + 10, "ACCOUNT_OFFBOARDED")).await;
    shop.meta_will_at("/media", refuses(403, 10), 1);
    let second = shop.sofia.sends_files(shop.conversation, None, vec![file("a.png", "image/png", b"png")]).await;
    world.work().await.unwrap();
    assert_eq!((shop.mark(second), shop.notes().len()), ("sent".to_owned(), 1));
    happens(world, &account(AT + 20, "ACCOUNT_RECONNECTED")).await;
    assert_eq!(shop.ana.received().len(), 2);
}

#[tokio::test]
async fn a_ban_holds_until_it_is_lifted_and_an_announced_one_holds_nothing() {
    let shop = OpenChat::open().await;
    let world = &shop.world;
    let ban = |at: i64, state: &str| {
        let info = json!({"waba_ban_state": state, "waba_ban_date": "November 30, 2026"});
        event(WABA, at, "account_update", &json!({"event": "DISABLED_UPDATE", "ban_info": info}))
    };
    happens(world, &ban(AT + 1, "SCHEDULE_FOR_DISABLE")).await;
    assert!(is_live(world).await);
    happens(world, &ban(AT + 2, "DISABLE")).await;
    happens(world, &account(AT + 3, "ACCOUNT_RECONNECTED")).await;
    assert_eq!(cut(world).await, Some(DisconnectReason::Banned));
    world.pass(MINUTE);
    shop.says("uno").await;
    assert_eq!((shop.ana.heard().len(), shop.notes().len()), (0, 1));
    happens(world, &ban(AT + 4, "REINSTATE")).await;
    assert_eq!(shop.ana.heard(), ["uno"]);
}

#[tokio::test]
async fn a_restriction_holds_what_it_forbids_and_ends_by_itself() {
    let shop = OpenChat::open().await;
    let world = &shop.world;
    let restriction = |at: i64, kind: &str| {
        let info = json!([{"restriction_type": kind, "expiration": AT + 7200}]);
        event(WABA, at, "account_update", &json!({"event": "ACCOUNT_RESTRICTION", "restriction_info": info}))
    };
    // Beginning conversations is forbidden; answers are not.
    happens(world, &restriction(AT + 1, "RESTRICTED_BIZ_INITIATED_MESSAGING")).await;
    assert!(matches!(state(world, CHANNEL).await, ChannelState::Restricted { replies: false, .. }));
    shop.says("uno").await;
    assert_eq!(shop.ana.heard(), ["uno"]);
    happens(world, &restriction(AT + 2, "RESTRICTED_CUSTOMER_INITIATED_MESSAGING")).await;
    world.pass(MINUTE);
    shop.says("dos").await;
    assert_eq!((shop.ana.heard().len(), shop.notes().len()), (1, 1));
    assert!(shop.notes()[0].starts_with("WhatsApp no deja que este número responda por un tiempo"));
    shop.later(2 * HOUR).await;
    shop.reconciles().await;
    assert_eq!(shop.ana.heard(), ["uno", "dos"]);
}

#[tokio::test]
async fn every_event_about_an_account_has_a_fate_and_none_needs_a_person_to_be_read() {
    let world = World::start().await.unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/meta");
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if ["acct-", "num-", "tmpl-"].iter().any(|prefix| name.starts_with(prefix)) {
            assert_eq!(world.meta.post(&fs::read(&path).unwrap()).await.unwrap(), 200, "{name}");
            count += 1;
        }
    }
    world.work().await.unwrap();
    assert_eq!(world.dead_letters("inbound"), []);
    assert_eq!(sheet(&world, "account").await, columns(&[("done", count), ("received", count)]));
    // Those of an account that is not here are told and counted as well.
    happens(&world, &event("777", AT, "account_update", &json!({"event": "ACCOUNT_DELETED"}))).await;
    assert_eq!(sheet(&world, "account").await, columns(&[("done", count + 1), ("received", count + 1)]));
}

#[tokio::test]
async fn wherever_forward_dies_a_reconnection_reaches_what_waits() {
    let mut awaits = 0;
    loop {
        let shop = OpenChat::open().await;
        let world = &shop.world;
        happens(world, &account(AT + 10, "ACCOUNT_OFFBOARDED")).await;
        world.pass(MINUTE);
        shop.says("uno").await;
        assert_eq!(post(world, &account(AT + 2000, "ACCOUNT_RECONNECTED")).await, 200);
        let killed = world.forward_killed(awaits).await.unwrap();
        goes_by(world, HOUR / 2, 5 * MINUTE).await;
        assert_eq!(shop.ana.heard(), ["uno"], "killed at {awaits}");
        if !killed {
            return;
        }
        awaits += 4;
    }
}

#[tokio::test]
async fn a_file_has_its_time_also_after_its_number_was_down() {
    let shop = OpenChat::open().await;
    let world = &shop.world;
    happens(world, &account(AT + 10, "ACCOUNT_OFFBOARDED")).await;
    shop.sofia.sends_files(shop.conversation, None, vec![file("moto.pdf", "application/pdf", b"%PDF")]).await;
    world.work().await.unwrap();
    shop.later(2 * HOUR).await;
    // Chatwoot's storage hiccups just when the number is back.
    world.chatwoot.serve_files(FileMode::Missing);
    happens(world, &account(AT + 8000, "ACCOUNT_RECONNECTED")).await;
    shop.later(5 * MINUTE).await;
    world.chatwoot.serve_files(FileMode::Normal);
    goes_by(world, HOUR / 2, MINUTE).await;
    assert_eq!(shop.ana.heard().len(), 1);
}

#[tokio::test]
async fn a_paused_number_tells_once_also_if_the_answer_to_that_is_lost() {
    let shop = OpenChat::open().await;
    let world = &shop.world;
    let id = PhoneNumberId::new(CHANNEL);
    let mut channel = Channel::clone(&*channels(world).get(&id).await.unwrap().unwrap());
    channel.paused = true;
    channels(world).put(&channel).await.unwrap();
    world.pass(MINUTE);
    world.chatwoot.faults().add(once("POST", "/messages", Effect::DropAfter));
    shop.sofia.replies(shop.conversation, "uno").await;
    world.work().await.unwrap();
    goes_by(world, HOUR / 2, MINUTE).await;
    assert_eq!((shop.ana.heard(), shop.notes().len()), (vec![], 1));
    channel.paused = false;
    channels(world).put(&channel).await.unwrap();
    world.pass(MINUTE);
    shop.reconciles().await;
    assert_eq!(shop.ana.heard(), ["uno"]);
}

#[tokio::test]
async fn a_phone_that_leaves_takes_no_number_with_it_that_has_none() {
    let world = World::start().await.unwrap();
    let held = async |number: &str| {
        let channel = channels(&world).get(&PhoneNumberId::new(number)).await.unwrap().unwrap();
        channel.hold(world.clock.now()).is_some()
    };
    let unnamed = |at, event_name| event(WABA, at, "account_update", &json!({"event": event_name}));
    happens(&world, &unnamed(AT + 10, "ACCOUNT_OFFBOARDED")).await;
    assert_eq!((held(CHANNEL).await, held(COEXISTENCE_CHANNEL).await), (false, true));
    happens(&world, &unnamed(AT + 20, "ACCOUNT_RECONNECTED")).await;
    assert_eq!((held(CHANNEL).await, held(COEXISTENCE_CHANNEL).await), (false, false));
}
