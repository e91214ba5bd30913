//! The balance sheet from outside: what was counted, by number and day.

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
