//! Kept only as long as needed: whose time is over goes by itself, what a label keeps stays, and nothing overdue is left.

use std::time::Duration;

use serde_json::json;
use simulator_wire::{Effect, Fault};
use stories::World;

use crate::{
    erasure::{items, operator_asks, state},
    fixtures::{HOUR, MINUTE, always, ana, answer, berta, goes_by},
    logged::{Logged, log},
};

const DAY: Duration = Duration::from_secs(86_400);

/// The warnings that a request is open.
fn warnings(log: &Logged) -> Vec<String> {
    log.text().lines().filter(|line| line.contains("an erasure is still open")).map(str::to_owned).collect()
}

/// Ana wrote 366 days ago, Berta yesterday.
async fn a_year_later(world: &World) {
    ana(world).writes("hola").await.unwrap();
    world.work().await.unwrap();
    world.pass(365 * DAY);
    berta(world).writes("hola").await.unwrap();
    world.work().await.unwrap();
    world.pass(DAY);
}

#[tokio::test]
async fn whose_time_is_over_is_erased_in_chatwoot_and_the_table_and_nobody_else() {
    let world = World::start().await.unwrap();
    a_year_later(&world).await;
    let dry = world.retention_dry_run().await.unwrap();
    assert_eq!((dry.due.len(), dry.due[0].held, dry.asked), (1, false, 0));
    assert!(world.conversation("Ana").is_ok(), "a dry run does nothing");
    let report = world.retention().await.unwrap();
    assert_eq!((report.due.len(), report.asked, report.overdue), (1, 1, 0));
    goes_by(&world, 5 * MINUTE, MINUTE).await;
    assert!(world.conversation("Ana").is_err() && world.conversation("Berta").is_ok());
    let left: Vec<String> = items(&world).await.into_iter().filter(|item| item.contains("5550123")).collect();
    assert!(left.is_empty(), "{left:?}");
    let proof = world.retention().await.unwrap();
    assert_eq!((proof.due.len(), proof.purged, proof.overdue, proof.open), (0, 0, 0, 0));
}

#[tokio::test]
async fn what_a_label_keeps_stays_and_is_counted_until_the_label_goes() {
    let world = World::start().await.unwrap();
    a_year_later(&world).await;
    let conversation = world.conversation("Ana").unwrap();
    let agent = world.chatwoot.agent("Sofía");
    agent.labels(conversation, &["conservar"]).await;
    world.work().await.unwrap();
    let report = world.retention().await.unwrap();
    assert_eq!((report.due.len(), report.due[0].held, report.asked, report.overdue), (1, true, 0, 0));
    goes_by(&world, HOUR, 15 * MINUTE).await;
    assert!(world.conversation("Ana").is_ok());
    agent.labels(conversation, &[]).await;
    assert_eq!(world.retention().await.unwrap().asked, 1);
    goes_by(&world, 5 * MINUTE, MINUTE).await;
    assert!(world.conversation("Ana").is_err());
}

#[tokio::test]
async fn what_is_past_its_end_in_the_table_goes_though_nobody_swept_it() {
    let world = World::start().await.unwrap();
    a_year_later(&world).await;
    let expired = |items: Vec<String>, now: i64| {
        let end = |item: &String| item.split("expires_at=N(\"").nth(1)?.split('"').next()?.parse::<i64>().ok();
        items.into_iter().filter(|item| end(item).is_some_and(|end| end <= now)).count()
    };
    let now = || domain::Clock::now(&world.clock).as_secs();
    assert!(expired(items(&world).await, now()) > 0);
    let report = world.retention().await.unwrap();
    assert!(report.purged > 0);
    assert_eq!(expired(items(&world).await, now()), 0);
}

#[tokio::test]
async fn chatwoot_s_trouble_is_overdue_and_taken_up_on_the_next_day() {
    let world = World::start().await.unwrap();
    a_year_later(&world).await;
    for effect in [answer(500), Effect::DropBefore] {
        world.chatwoot.faults().add(always("POST", "/conversations/filter", effect));
        let report = world.retention().await.unwrap();
        assert!(report.trouble.is_some() && report.overdue > 0, "{report:?}");
        world.chatwoot.faults().clear();
    }
    world.later(DAY).await.unwrap();
    assert_eq!(world.retention().await.unwrap().asked, 1);
    // It was asked for once, however often the run comes before it is done.
    assert_eq!(world.retention().await.unwrap().asked, 0);
}

#[tokio::test]
async fn an_open_request_is_warned_of_on_its_days_and_woken_every_day() {
    let world = World::start().await.unwrap();
    ana(&world).writes("hola").await.unwrap();
    world.work().await.unwrap();
    world.chatwoot.faults().add(always("DELETE", "/", answer(500)));
    let code = operator_asks(&world, json!({ "phone": "+5215555550123" })).await;
    world.work().await.unwrap();
    let log = log();
    for day in 1..=29_u32 {
        world.pass(DAY);
        let report = world.retention().await.unwrap();
        let due = u64::from([7, 20, 27].contains(&day));
        assert_eq!((report.open, report.breached, report.warned), (1, 0, due), "{day}");
        assert_eq!(world.retention().await.unwrap().warned, 0, "a second run of the day warns of nothing");
        // The queue forgot the letter long ago; the ledger did not.
        world.work().await.unwrap();
    }
    for (day, left) in [(7, 23), (20, 10), (27, 3)] {
        let lines = warnings(&log).into_iter().filter(|line| line.contains(&format!("day={day} days_left={left}")));
        assert_eq!(lines.count(), 1, "{day}");
    }
    assert_eq!(warnings(&log).len(), 3);
    assert_eq!(state(&world, &code).await, json!({ "state": "waiting", "days_left": 1 }));
    world.chatwoot.faults().clear();
    world.later(HOUR).await.unwrap();
    goes_by(&world, 15 * MINUTE, MINUTE).await;
    assert_eq!(state(&world, &code).await["state"], "done");
}

#[tokio::test]
async fn a_warning_comes_once_whichever_call_of_the_run_fails() {
    let log = log();
    for skip in 0..6 {
        let world = World::start().await.unwrap();
        operator_asks(&world, json!({ "phone": "+5215555550123" })).await;
        world.pass(7 * DAY);
        world.stage.aws.faults().add(Fault { skip, ..always("POST", "/", answer(400)) });
        assert!(world.retention().await.is_err());
        world.stage.aws.faults().clear();
        let told = warnings(&log).len();
        let report = world.retention().await.unwrap();
        assert_eq!(told + usize::try_from(report.warned).unwrap(), 1, "{skip}");
        assert_eq!(warnings(&log).len(), 1, "{skip}");
        log.forget();
    }
}
