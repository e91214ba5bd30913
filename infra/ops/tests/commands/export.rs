//! A person's data is written down whole, for that person, and the look is recorded.

use std::fs;

use serde_json::{Value, json};
use stories::World;

use crate::support::{complaint, ops, says};

#[tokio::test(flavor = "multi_thread")]
async fn a_person_gets_all_that_is_held_of_them_and_nothing_of_others() {
    let world = World::start_now().await.unwrap();
    let ana = world.meta.customer("Ana", "5215555550123");
    for text in 1..=45 {
        ana.writes(&format!("mensaje {text}")).await.unwrap();
    }
    world.meta.customer("Eva", "5215555550124").writes("de Eva").await.unwrap();
    world.work().await.unwrap();
    let conversation = world.conversation("Ana").unwrap();
    world.chatwoot.agent("Sofía").replies(conversation, "<b>con gusto</b>").await;
    world.work().await.unwrap();

    let home = tempfile::tempdir().unwrap();
    let to = home.path().join("ana");
    let asks = ["export", "--phone", "+52 1 55 5555 0123", "--why", "solicitud 7", "--to", to.to_str().unwrap()];
    let told = says(&world, 0, &asks, "");
    assert_eq!((&told["contacts"], &told["conversations"]), (&json!(1), &json!(1)), "{told}");
    assert!(told["messages"].as_u64().unwrap() >= 46 && told["items"].as_u64().unwrap() > 46, "{told}");
    let data = fs::read_to_string(to.join("data.json")).unwrap();
    assert!(data.contains("mensaje 1\"") && data.contains("mensaje 45") && !data.contains("de Eva"));
    let data: Value = serde_json::from_str(&data).unwrap();
    assert!(data["bridge"].to_string().contains("5215555550123"), "where answers go");
    let page = fs::read_to_string(to.join("page.html")).unwrap();
    assert!(page.contains("mensaje 45") && page.contains("&lt;b&gt;con gusto") && !page.contains("<b>con"), "{page}");
    let log = says(&world, 0, &["access-log"], "");
    assert_eq!((&log[0]["command"], &log[0]["why"]), (&json!("export"), &json!("solicitud 7")));
    assert!(!log.to_string().contains("5550123"), "{log}");

    let again = ops(&world, &asks, "");
    assert_eq!(again.status.code(), Some(1), "nothing is overwritten: {}", complaint(&again));
    let elsewhere = home.path().join("nobody");
    let none = ["export", "--phone", "5215555550199", "--why", "x", "--to", elsewhere.to_str().unwrap()];
    let none = ops(&world, &none, "");
    assert!(none.status.code() == Some(3) && !elsewhere.exists(), "{}", complaint(&none));
}
