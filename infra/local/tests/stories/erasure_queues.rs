//! An erasure and what is on its way: queues, dead letters, what comes while it is underway.

use serde_json::{Value, json};
use testkit::World;

use crate::{
    cast::{body, post},
    erasure::{done, operator_asks},
};

const ANA: &str = "5215555550123";

/// What the phone app's contact book says of somebody: no task of ours yet, and so a dead letter.
fn synced(phone: &str, note: &str) -> Value {
    let contact = json!({ "full_name": "Alguien", "phone_number": phone, "note": note });
    body("smb_app_state_sync", &json!({ "state_sync": [{ "type": "contact", "contact": contact }] }))
}

fn dead(world: &World) -> Vec<String> {
    world.dead_letters("inbound").into_iter().map(|(_, body)| body).collect()
}

#[tokio::test]
async fn dead_letters_behind_others_and_cut_ones_are_found_and_the_others_stay() {
    let world = World::start().await.unwrap();
    // All of a number are in one group, of which a queue shows ten.
    for at in 0..12 {
        post(&world, &synced(&format!("52155555502{at:02}"), "")).await;
    }
    // Two letters in two pieces each: who it is about stands in the last one only.
    let long = "x".repeat(800 * 1024);
    for phone in [ANA, "5215555550124"] {
        post(&world, &body("new_field", &json!({ "padding": long, "who": phone }))).await;
    }
    post(&world, &synced(ANA, "")).await;
    for at in 12..24 {
        post(&world, &synced(&format!("52155555502{at:02}"), "")).await;
    }
    world.work().await.unwrap();
    let before = dead(&world);
    assert_eq!(before.len(), 12 + 4 + 1 + 12);
    let code = operator_asks(&world, json!({ "phone": ANA })).await;
    done(&world, &code).await;

    let after = dead(&world);
    assert!(after.iter().all(|letter| !letter.contains(ANA)));
    let mut others: Vec<&String> = before.iter().filter(|letter| letter.contains("52155555502")).collect();
    let mut kept: Vec<&String> = after.iter().filter(|letter| letter.contains("52155555502")).collect();
    others.sort();
    kept.sort();
    assert!(others == kept && kept.len() == 24, "the letters of others are what they were: {}", kept.len());
    assert_eq!(after.len(), 24 + 2, "and so is the other cut letter");
    assert!(after.iter().any(|letter| letter.contains("5215555550124")));
    let receipt = world.operator(json!({ "receipt": code })).await.unwrap();
    let place = receipt["receipt"]["places"].as_array().unwrap().iter().find(|place| place["place"] == "dead_letters");
    assert_eq!(place.unwrap()["found"], 2);
}
