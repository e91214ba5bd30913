//! The balance sheet: what came in is done, a duplicate, refused for a reason, or waiting, and nothing else.

use domain::Clock as _;
use serde_json::{Value, json};
use simulator_wire::{Effect, Fault};
use stories::{CHANNEL, COEXISTENCE_CHANNEL, World};

use crate::fixtures::{
    HOUR, MINUTE, always, ana, ana_wrote, answer, body, columns, goes_by, patience, post, profile, sheet, sheet_of,
    status, text, total,
};

/// Two messages, a status, an account event and two oddities.
fn a_mixed_body(round: i64) -> Value {
    let message = |n: i64| text("5215555550123", &format!("wamid.{round}.{n}"), 1_795_190_400, &format!("{round}.{n}"));
    let contacts = json!([profile("Ana", "5215555550123")]);
    let members = json!({"contacts": contacts, "messages": [message(0), message(1), {"odd": round}]});
    let mut all = body("messages", &members);
    let others = [
        status(&format!("wamid.{round}.0"), "read", None),
        body("account_update", &json!({"event": round})),
        body("field_of_the_future", &json!({"event": round})),
    ];
    for other in others {
        all["entry"].as_array_mut().unwrap().push(other["entry"][0].clone());
    }
    all
}

/// Tasks in such a body.
const ITEMS: i64 = 6;

#[tokio::test]
async fn whatever_came_in_is_settled_or_waits() {
    let world = World::start().await.unwrap();
    let mut received = 0;
    for round in 0..4 {
        // In every other round Chatwoot is down.
        if round % 2 == 1 {
            world.chatwoot.faults().add(always("POST", "", answer(503)));
        }
        assert_eq!(post(&world, &a_mixed_body(round)).await, 200);
        received += ITEMS;
        let sheet = total(&world).await;
        assert_eq!((sheet["received"], sheet["waiting"]), (received, ITEMS), "nothing was looked at yet");
        world.work().await.unwrap();
        // A status may overtake its message; then it waits for the next round.
        world.reconcile().await.unwrap();
        let sheet = total(&world).await;
        assert_eq!((sheet["received"], sheet["waiting"] > 0), (received, round % 2 == 1));
        goes_by(&world, 20 * MINUTE, 5 * MINUTE).await;
        // A repeat of all of it, at once and long after.
        assert_eq!(post(&world, &a_mixed_body(round)).await, 200);
        world.work().await.unwrap();
        world.chatwoot.faults().clear();
        patience(&world).await;
        assert_eq!(post(&world, &a_mixed_body(round)).await, 200);
        world.work().await.unwrap();
        world.reconcile().await.unwrap();
        let sheet = total(&world).await;
        // What is in the dead letters is tried again at each repeat.
        received += 2 * ITEMS;
        assert_eq!((sheet["received"], sheet["waiting"], world.queued("inbound")), (received, 0, 0));
        assert_eq!(sheet["refused"], i64::try_from(world.dead_letters("inbound").len()).unwrap());
    }
    assert_eq!(world.agent_reads("Ana").len(), 8);
}

#[tokio::test]
async fn what_waits_behind_a_held_message_is_on_the_sheet_too() {
    let world = World::start().await.unwrap();
    let (ana, _) = ana_wrote(&world).await;
    world.chatwoot.server().refuse().await;
    for n in 0..25 {
        ana.writes(&n.to_string()).await.unwrap();
    }
    world.work().await.unwrap();
    let expected = columns(&[("done", 1), ("received", 26), ("waiting", 25)]);
    assert_eq!(sheet(&world, CHANNEL).await, expected);
    world.chatwoot.server().accept().unwrap();
    patience(&world).await;
    assert_eq!(sheet(&world, CHANNEL).await, columns(&[("done", 26), ("received", 26)]));
}

#[tokio::test]
async fn each_day_has_its_own_sheet_the_day_of_receipt() {
    let world = World::start().await.unwrap();
    let (ana, _) = ana_wrote(&world).await;
    let first = world.clock.now().day();
    world.chatwoot.server().refuse().await;
    ana.writes("¿hay alguien?").await.unwrap();
    world.work().await.unwrap();
    world.pass(24 * HOUR);
    assert_eq!(sheet(&world, CHANNEL).await, []);
    ana.writes("buenos días").await.unwrap();
    world.work().await.unwrap();
    assert_eq!(sheet(&world, CHANNEL).await, columns(&[("received", 1), ("waiting", 1)]));
    world.chatwoot.server().accept().unwrap();
    patience(&world).await;
    // What was done a day late is done on the sheet of the day it came.
    assert_eq!(sheet_of(&world, CHANNEL, first).await, columns(&[("done", 2), ("received", 2)]));
    assert_eq!(sheet(&world, CHANNEL).await, columns(&[("done", 1), ("received", 1)]));
}

#[tokio::test]
async fn what_webhook_did_not_live_to_count_is_counted_all_the_same() {
    let world = World::start().await.unwrap();
    let (ana, _) = ana_wrote(&world).await;
    // The queue has it, and the table does not answer any more.
    let table = Fault { skip: 1, ..always("POST", "", answer(500)) };
    world.stage.aws.faults().add(table);
    ana.writes("uno").await.unwrap();
    world.stage.aws.faults().clear();
    assert_eq!(sheet(&world, CHANNEL).await, columns(&[("done", 1), ("received", 1)]));
    // As long as it has to wait, it is on the sheet.
    world.chatwoot.faults().add(always("POST", "/messages", answer(503)));
    world.work().await.unwrap();
    assert_eq!(sheet(&world, CHANNEL).await, columns(&[("done", 1), ("received", 2), ("waiting", 1)]));
    world.chatwoot.faults().clear();
    patience(&world).await;
    assert_eq!(sheet(&world, CHANNEL).await, columns(&[("done", 2), ("received", 2)]));
}

#[tokio::test]
async fn a_table_that_hangs_is_asked_once_whatever_a_body_holds_and_meta_gets_its_answer() {
    let world = World::start().await.unwrap();
    // Now the secret is in hand.
    ana_wrote(&world).await;
    let entry = |number: &str| {
        let message = text("5215555550124", &format!("wamid.{number}"), 1_795_190_400, "hola");
        let mut one = body("messages", &json!({"messages": [message]}));
        one["entry"][0]["changes"][0]["value"]["metadata"]["phone_number_id"] = json!(number);
        one["entry"][0].take()
    };
    let numbers = [CHANNEL, COEXISTENCE_CHANNEL, "999000999"];
    let all = json!({"object": "whatsapp_business_account", "entry": numbers.map(entry)});
    // The queue takes everything in one call; what follows is the table.
    world.stage.aws.faults().add(Fault { skip: 1, times: Some(9), ..always("POST", "/", Effect::HangBefore) });
    assert_eq!(post(&world, &all).await, 200);
    assert_eq!(world.stage.aws.faults().list()[0].times, Some(8));
    world.stage.aws.faults().clear();
    patience(&world).await;
    assert_eq!(sheet(&world, CHANNEL).await, columns(&[("done", 2), ("received", 2)]));
}

#[tokio::test]
async fn a_body_that_was_not_acknowledged_is_received_when_it_comes_again() {
    let world = World::start().await.unwrap();
    ana_wrote(&world).await;
    let message = |n: i32| text("5215555550124", &format!("wamid.B{n}"), 1_795_190_400, &n.to_string());
    let messages: Vec<_> = (0..15).map(message).collect();
    let many = body("messages", &json!({"contacts": [profile("Berta", "5215555550124")], "messages": messages}));
    // The first ten are in the queue, the rest is not.
    world.stage.aws.faults().add(Fault { skip: 1, ..always("POST", "/", answer(500)) });
    assert_eq!(post(&world, &many).await, 500);
    world.stage.aws.faults().clear();
    world.work().await.unwrap();
    assert_eq!(sheet(&world, CHANNEL).await, columns(&[("done", 11), ("received", 11)]));
    assert_eq!(post(&world, &many).await, 200);
    world.work().await.unwrap();
    let expected = columns(&[("done", 16), ("duplicate", 10), ("received", 26)]);
    assert_eq!(sheet(&world, CHANNEL).await, expected);
}

#[tokio::test]
async fn what_no_queue_can_hold_any_more_is_a_difference() {
    let world = World::start().await.unwrap();
    let (ana, _) = ana_wrote(&world).await;
    ana.writes("se pierde").await.unwrap();
    let day = local_date(&world).await;
    let shown = async || {
        let balance = world.stage.balance.read(world.clock.now()).await.unwrap();
        balance["channels"][CHANNEL][&day]["difference"].clone()
    };
    // The queue loses it: nobody works for as long as it keeps anything.
    world.pass(14 * 24 * HOUR);
    assert_eq!(shown().await, json!(0));
    world.pass(24 * HOUR);
    assert_eq!(shown().await, json!(1));
    world.work().await.unwrap();
    assert_eq!(shown().await, json!(1));
}

/// Somebody empties the queue by hand.
pub(crate) async fn purge_inbound(world: &World) {
    let queue = world.stage.aws.queue_names().into_iter().find(|name| name.ends_with("inbound.fifo")).unwrap();
    let aws = platform::aws::Aws::from_env(world.stage.operator()).unwrap();
    let url = aws.sqs.get_queue_url().queue_name(queue).send().await.unwrap().queue_url.unwrap();
    aws.sqs.purge_queue().queue_url(url).send().await.unwrap();
}

#[tokio::test]
async fn what_vanished_from_the_queue_is_missed_the_day_after() {
    let world = World::start().await.unwrap();
    let (ana, _) = ana_wrote(&world).await;
    let difference = async || world.reconcile().await.unwrap().difference;
    ana.writes("espera").await.unwrap();
    world.calm().await;
    world.pass(24 * HOUR);
    assert_eq!((world.queued("inbound"), difference().await), (1, 0));
    purge_inbound(&world).await;
    // The queue's count is late: one look is none.
    for _ in 0..2 {
        assert_eq!((world.queued("inbound"), difference().await), (0, 0));
        world.pass(5 * MINUTE);
    }
    // Where counts are late, the first look knew nothing yet.
    let mut told = difference().await;
    for _ in 0..2 {
        world.pass(5 * MINUTE);
        told = told.max(difference().await);
    }
    assert_eq!(told, 1);
}

/// The only day on which anything was counted.
async fn local_date(world: &World) -> String {
    let shown = world.stage.balance.read(world.clock.now()).await.unwrap();
    let days = shown["channels"][CHANNEL].as_object().unwrap();
    assert_eq!(days.len(), 1);
    days.keys().next().unwrap().clone()
}

#[tokio::test]
async fn a_process_killed_anywhere_counts_its_message_once() {
    let world = World::start().await.unwrap();
    ana_wrote(&world).await;
    let (mut killed, mut awaits, mut messages) = (true, 0, 1);
    while killed {
        ana(&world).writes(&awaits.to_string()).await.unwrap();
        messages += 1;
        killed = world.forward_killed(awaits).await.unwrap();
        world.later(13 * MINUTE).await.unwrap();
        assert_eq!(world.agent_reads("Ana").len(), messages, "killed at await {awaits}");
        awaits += 1;
    }
    let messages = i64::try_from(messages).unwrap();
    assert_eq!(sheet(&world, CHANNEL).await, columns(&[("done", messages), ("received", messages)]));
}

#[tokio::test]
async fn an_answer_of_the_tables_that_is_lost_counts_nothing_twice() {
    let world = World::start().await.unwrap();
    let (ana, _) = ana_wrote(&world).await;
    // Callbacks would take faults that are meant for `forward`.
    world.chatwoot.set_callback_url(14, "");
    let mut messages = 1;
    // Once, so that the SDK asks again by itself; and for good, so that the task comes again.
    for times in [1, 3] {
        for skip in 0..6 {
            ana.writes(&format!("{times} {skip}")).await.unwrap();
            messages += 1;
            let faults = world.stage.aws.faults();
            faults.add(Fault { skip, times: Some(times), ..always("POST", "", Effect::DropAfter) });
            world.work().await.unwrap();
            faults.clear();
            goes_by(&world, 13 * MINUTE, MINUTE).await;
            assert_eq!(world.agent_reads("Ana").len(), messages, "{times} {skip}");
            let count = i64::try_from(messages).unwrap();
            let expected = columns(&[("done", count), ("received", count)]);
            assert_eq!(sheet(&world, CHANNEL).await, expected, "{times} {skip}");
        }
    }
}

/// The operator puts the dead letters back into the queue they came from.
pub(crate) async fn put_back(world: &World) {
    let names = world.stage.aws.queue_names();
    let arn = |ending: &str| world.stage.aws.queue_arn(names.iter().find(|name| name.ends_with(ending)).unwrap());
    let aws = platform::aws::Aws::from_env(world.stage.operator()).unwrap();
    // They were put there by the bridge, not by SQS, so the destination has to be named.
    let task = aws.sqs.start_message_move_task().source_arn(arn("inbound-dead-letters.fifo"));
    task.destination_arn(arn("inbound.fifo")).send().await.unwrap();
}

#[tokio::test]
async fn a_dead_letter_put_back_is_handled_like_any_other() {
    let world = World::start().await.unwrap();
    let (ana, _) = ana_wrote(&world).await;
    world.chatwoot.faults().add(always("POST", "/messages", answer(422)));
    ana.writes("uno").await.unwrap();
    world.work().await.unwrap();
    goes_by(&world, 2 * HOUR, 5 * MINUTE).await;
    world.chatwoot.faults().clear();
    ana.writes("dos").await.unwrap();
    world.work().await.unwrap();
    assert_eq!(world.dead_letters("inbound").len(), 1);
    put_back(&world).await;
    goes_by(&world, 20 * MINUTE, 5 * MINUTE).await;
    assert_eq!(world.agent_reads("Ana"), ["Ana: hola", "Ana: dos", "Ana: uno"]);
    assert_eq!((world.dead_letters("inbound").len(), world.queued("inbound")), (0, 0));
    // What is still unknown comes out again, with its reason, and is not lost.
    post(&world, &body("field_of_the_future", &json!({"event": 1}))).await;
    world.work().await.unwrap();
    assert_eq!(world.dead_letters("inbound").len(), 1);
    put_back(&world).await;
    goes_by(&world, 20 * MINUTE, 5 * MINUTE).await;
    let letters = world.dead_letters("inbound");
    assert_eq!((letters.len(), letters[0].0.as_str()), (1, "unknown_field"));
    // What is put back is received anew: one message refused and then done, one event refused twice.
    let expected =
        columns(&[("done", 3), ("received", 6), ("refused_refused_by_chatwoot", 1), ("refused_unknown_field", 2)]);
    assert_eq!(sheet(&world, CHANNEL).await, expected);
}

#[tokio::test]
async fn a_task_of_another_version_is_refused_and_counted() {
    let world = World::start().await.unwrap();
    let task = json!({"task": "message_v9", "channel": CHANNEL, "item": "00ff", "words": "nuevas"});
    let queue = platform::aws::Aws::from_env(world.stage.operator()).unwrap();
    let names = world.stage.aws.queue_names();
    let name = names.iter().find(|name| name.ends_with("inbound.fifo")).unwrap();
    let url = queue.sqs.get_queue_url().queue_name(name).send().await.unwrap().queue_url.unwrap();
    let sent = queue.sqs.send_message().queue_url(url).message_group_id("g").message_deduplication_id("d");
    sent.message_body(task.to_string()).send().await.unwrap();
    world.work().await.unwrap();
    assert_eq!(world.dead_letters("inbound")[0].0, "unreadable_task");
    let expected = columns(&[("received", 1), ("refused_unreadable_task", 1)]);
    assert_eq!(sheet(&world, CHANNEL).await, expected);
}
