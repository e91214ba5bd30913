//! What became of a message, a conversation, a customer's messages.

use serde_json::Value;
use stories::World;

use crate::support::{complaint, ops, says, words};

fn steps(told: &Value) -> Vec<&str> {
    told.as_array().unwrap().iter().map(|step| step["step"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_followed_from_either_side_and_its_words_are_not_told() {
    let world = World::start_now().await.unwrap();
    let ana = world.meta.customer("Ana", "5215555550123");
    let wamid = ana.writes("secreto de Ana").await.unwrap();
    let waits = says(&world, 0, &["trace", &wamid], "");
    assert_eq!(steps(&waits), ["received; no worker has had it yet"]);
    world.work().await.unwrap();
    let conversation = world.conversation("Ana").unwrap();
    world.chatwoot.agent("Sofía").replies(conversation, "secreto de Sofía").await;
    world.work().await.unwrap();

    let shown = says(&world, 0, &["trace", &wamid, "--why", "ticket 5"], "");
    let steps_of_ana = steps(&shown);
    for step in ["written on the phone", "shown to the agents", "handled"] {
        assert!(steps_of_ana.contains(&step), "{step}: {shown}");
    }
    for asked in [conversation.to_string(), "+52 1 55 5555 0123".to_owned()] {
        let whole = says(&world, 0, &["trace", &asked], "");
        let steps = steps(&whole);
        for step in ["shown to the agents", "written in Chatwoot", "seen by the bridge", "handled"] {
            assert!(steps.contains(&step), "{asked}, {step}: {whole}");
        }
        let times: Vec<_> = whole.as_array().unwrap().iter().filter_map(|step| step["at"].as_i64()).collect();
        assert!(times.is_sorted(), "{whole}");
        assert!(!whole.to_string().contains("secreto") && !whole.to_string().contains("5550123"), "{whole}");
    }
    let table = words(&ops(&world, &["trace", &wamid], ""));
    assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
    let looks = says(&world, 0, &["access-log"], "");
    assert!(looks.as_array().unwrap().len() >= 4 && looks.to_string().contains("ticket 5"), "{looks}");

    for (asked, code) in [("wamid.none", 3), ("99999", 3), ("no such thing", 1)] {
        let none = ops(&world, &["trace", asked], "");
        assert_eq!(none.status.code(), Some(code), "{asked}: {}", complaint(&none));
    }
}
