//! Chatwoot fails once, wherever that may be: the erasure takes a pass more, and is as whole as without.

use serde_json::json;
use simulator_wire::{Effect, Fault};
use stories::World;

use crate::{
    erasure::{is_done, items, operator_asks, state, two_customers},
    erasure_places::{place, receipt},
    fixtures::{MINUTE, answer, calls, goes_by, once},
};

/// Chatwoot does what it is asked to, and says that it did not.
fn does_and_denies() -> Effect {
    Effect::AnswerAfter { status: 500, content_type: "text/html".to_owned(), body: String::new() }
}

/// Ana is erased to the end, everywhere and in the receipt, and Berta is untouched.
async fn is_whole(world: &World, code: &str, when: &str) {
    assert!(is_done(world, code).await, "{when}: {}", state(world, code).await);
    let theirs: Vec<_> = world.chatwoot.contacts().into_iter().filter_map(|contact| contact.phone_number).collect();
    assert_eq!(theirs, ["+5215555550124"], "{when}");
    assert_eq!(world.chatwoot.conversations().len(), 1, "{when}");
    let left: Vec<String> = items(world).await.into_iter().filter(|item| item.contains("5550123")).collect();
    assert!(left.is_empty(), "{when}: {left:?}");
    let receipt = receipt(world, code).await;
    let chatwoot = place(&receipt, "chatwoot");
    assert_eq!((&chatwoot["found"], &chatwoot["left"]), (&json!(2), &json!(null)), "{when}");
}

#[tokio::test]
async fn one_failure_at_a_deletion_costs_one_deletion_more_and_no_receipt() {
    // Chatwoot counts what it was asked beside the failure. What was done all the same is not found any more.
    for (path, skip, counted, failed, denied) in [
        ("/draft_messages", 0, "/draft_messages", 1, 2),
        ("/conversations/", 1, "/draft_messages", 2, 1),
        ("/contacts/", 0, "/contacts/", 1, 1),
    ] {
        for (effect, times) in [(answer(500), failed), (does_and_denies(), denied)] {
            let world = World::start().await.unwrap();
            two_customers(&world).await;
            world.chatwoot.faults().add(Fault { skip, ..once("DELETE", path, effect) });
            let code = operator_asks(&world, json!({ "phone": "+5215555550123" })).await;
            goes_by(&world, 20 * MINUTE, MINUTE).await;
            assert_eq!(world.chatwoot.faults().list(), [], "{path}");
            is_whole(&world, &code, path).await;
            assert_eq!(calls(&world, "DELETE", counted), times, "{path}");
        }
    }
}

#[tokio::test]
async fn one_failure_at_any_call_of_an_erasure_spoils_nothing() {
    let world = World::start().await.unwrap();
    let (ana, _) = two_customers(&world).await;
    for skip in 0.. {
        let fault = Fault { method: None, skip, ..once("", "/api/v1", answer(500)) };
        world.chatwoot.faults().add(fault);
        let code = operator_asks(&world, json!({ "phone": "+5215555550123" })).await;
        goes_by(&world, 20 * MINUTE, 2 * MINUTE).await;
        goes_by(&world, 40 * MINUTE, 20 * MINUTE).await;
        is_whole(&world, &code, &format!("call {skip}")).await;
        if !world.chatwoot.faults().list().is_empty() {
            assert!(skip > 20, "only {skip} calls");
            return;
        }
        // She comes back, and asks once more.
        ana.sends_file("image", b"png".to_vec(), "image/png", None, Some("mi ine")).await.unwrap();
        world.work().await.unwrap();
        assert!(world.conversation("Ana").is_ok(), "call {skip}");
    }
}
