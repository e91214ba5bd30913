//! The balance sheet from outside: what was counted, by number and day.

use std::time::Duration;

use domain::{Clock as _, SystemClock};
use serde_json::json;
use stories::World;

use crate::support::{complaint, ops, says, words};

#[tokio::test(flavor = "multi_thread")]
async fn what_came_and_what_became_of_it_is_told_by_day() {
    let world = World::start_now().await.unwrap();
    assert_eq!(says(&world, 0, &["balance"], ""), json!([]));
    let ana = world.meta.customer("Ana", "5215555550123");
    ana.writes("hola").await.unwrap();
    let before = says(&world, 0, &["balance"], "");
    assert_eq!((&before[0]["received"], &before[0]["waiting"]), (&json!(1), &json!(1)), "{before}");

    world.work().await.unwrap();
    let after = says(&world, 0, &["balance"], "");
    let sheet = &after[0];
    assert_eq!((&sheet["received"], &sheet["done"], &sheet["waiting"]), (&json!(1), &json!(1), &json!(0)), "{after}");
    assert_eq!((&sheet["difference"], &sheet["refused"]), (&json!(0), &json!({})), "{after}");
    let day = sheet["day"].as_str().unwrap();
    assert_eq!(says(&world, 0, &["balance", "--day", day], ""), after);
    assert_eq!(says(&world, 0, &["balance", "--day", "2020-02-29"], ""), json!([]));

    let table = words(&ops(&world, &["balance"], ""));
    assert!(table.starts_with("channel") && table.lines().all(|line| line.chars().count() <= 80), "{table}");
    let refused = ops(&world, &["balance", "--day", "2026-02-30"], "");
    assert_eq!(refused.status.code(), Some(2));
    assert!(complaint(&refused).contains("there is no such day"), "{}", complaint(&refused));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waited_longer_than_a_queue_keeps_it_is_lost_and_ends_with_its_code() {
    // The tool goes by the machine's time, so the story begins that long ago.
    let world = World::start_at(SystemClock.now() - Duration::from_secs(15 * 86_400)).await.unwrap();
    world.meta.customer("Ana", "5215555550123").writes("hola").await.unwrap();
    let lost = says(&world, 4, &["balance"], "");
    assert_eq!((&lost[0]["waiting"], &lost[0]["difference"]), (&json!(1), &json!(1)), "{lost}");
    let table = ops(&world, &["balance"], "");
    assert!(table.status.code() == Some(4) && words(&table).contains("+1"), "{}", words(&table));
}
