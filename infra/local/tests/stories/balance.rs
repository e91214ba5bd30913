//! The balance sheet: what came in is done, a duplicate, refused for a reason, or waiting, and nothing else.

use serde_json::{Value, json};
use testkit::{CHANNEL, World};
use testkit_wire::{Effect, Fault};

use crate::cast::{
    HOUR, MINUTE, always, ana, ana_wrote, answer, body, counted, goes_by, patience, post, profile, sheet, status, text,
};

/// Everything counted today, whatever its fate.
async fn settled(world: &World) -> i64 {
    let counts = [sheet(world, CHANNEL).await, sheet(world, "account").await];
    counts.iter().flatten().map(|(_, count)| count).sum()
}

fn waiting(world: &World) -> i64 {
    i64::try_from(world.queued("inbound")).unwrap()
}

/// Two messages, one of them twice, a status, an account event and two oddities.
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
        assert_eq!(settled(&world).await + waiting(&world), received);
        world.work().await.unwrap();
        assert_eq!(settled(&world).await + waiting(&world), received);
        assert_eq!(waiting(&world) > 0, round % 2 == 1);
        goes_by(&world, 20 * MINUTE, 5 * MINUTE).await;
        // A repeat of all of it, when the queue no longer takes it for one.
        assert_eq!(post(&world, &a_mixed_body(round)).await, 200);
        received += ITEMS;
        world.work().await.unwrap();
        assert_eq!(settled(&world).await + waiting(&world), received);
        world.chatwoot.faults().clear();
        patience(&world).await;
        assert_eq!((settled(&world).await, waiting(&world)), (received, 0));
    }
    assert_eq!(world.agent_reads("Ana").len(), 8);
}

#[tokio::test]
async fn each_day_has_its_own_sheet() {
    let world = World::start().await.unwrap();
    let (ana, _) = ana_wrote(&world).await;
    assert_eq!(counted(&world, "done").await, 1);
    world.pass(24 * HOUR);
    assert_eq!(sheet(&world, CHANNEL).await, []);
    ana.writes("buenos días").await.unwrap();
    ana.writes("¿abren hoy?").await.unwrap();
    world.work().await.unwrap();
    assert_eq!(sheet(&world, CHANNEL).await, [("done".to_owned(), 2)]);
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
    let counts = sheet(&world, CHANNEL).await;
    assert_eq!(counts, [("done".to_owned(), i64::try_from(messages).unwrap())]);
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
            let counts = sheet(&world, CHANNEL).await;
            assert_eq!(counts, [("done".to_owned(), i64::try_from(messages).unwrap())], "{times} {skip}");
        }
    }
}

/// The operator puts the dead letters back into the queue they came from.
async fn put_back(world: &World) {
    let names = world.stage.aws.queue_names();
    let arn = |ending: &str| world.stage.aws.queue_arn(names.iter().find(|name| name.ends_with(ending)).unwrap());
    let aws = platform::aws::Aws::from_env(&mut world.stage.operator()).unwrap();
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
}
