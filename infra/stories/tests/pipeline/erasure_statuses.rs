//! A status that came before its message, around an erasure: each is counted in the end, none brings anybody back, and none of the
//! new life is lost.

use std::time::Duration;

use domain::Clock as _;
use serde_json::{Value, json};
use stories::{CHANNEL, World};

use crate::{
    erasure::{done, items, operator_asks},
    fixtures::{HOUR, MINUTE, ana_wrote, columns, counted, goes_by, post, profile, sheet_of, status, text},
    statuses::{answered, latest, meanwhile, message, several},
};

const ANA: &str = "5215555550123";

/// The same statuses, reported now.
fn now(world: &World, mut statuses: Value) -> Value {
    let at = world.clock.now().as_secs().to_string();
    for one in statuses["entry"][0]["changes"][0]["value"]["statuses"].as_array_mut().unwrap() {
        one["timestamp"] = json!(at);
    }
    statuses
}

/// Two days go by, and nothing is missed on any of them.
async fn nothing_is_missed(world: &World) {
    for _ in 0..50 {
        world.later(HOUR).await.unwrap();
        assert_eq!(world.reconcile().await.unwrap().difference, 0);
    }
    assert_eq!(world.reconcile().await.unwrap().waiting, 0);
}

#[tokio::test]
async fn a_status_that_came_early_is_counted_though_its_message_is_erased_before_the_round() {
    let world = World::start().await.unwrap();
    let (ana, conversation) = answered(&world).await;
    let day = world.clock.now().day();
    world.chatwoot.agent("Sofía").replies(conversation, "Sí").await;
    meanwhile(&world, &ana, async |wamid| {
        assert_eq!(post(&world, &several(&["sent", "delivered"], &wamid, None)).await, 200);
        world.forward_once().await.unwrap();
        assert_eq!(counted(&world, "waiting").await, 2);
    })
    .await;
    let code = operator_asks(&world, json!({ "phone": ANA })).await;
    done(&world, &code).await;
    assert!(!items(&world).await.iter().any(|item| item.contains("early#")));
    nothing_is_missed(&world).await;
    assert_eq!(sheet_of(&world, CHANNEL, day).await, columns(&[("done", 3), ("received", 3)]));
}

#[tokio::test]
async fn an_early_status_of_the_new_life_shows_and_a_late_one_of_the_old_life_brings_nothing_back() {
    for with_reference in [true, false] {
        let world = World::start().await.unwrap();
        let (ana, conversation) = answered(&world).await;
        let sofia = world.chatwoot.agent("Sofía");
        sofia.replies(conversation, "Sí").await;
        world.work().await.unwrap();
        let (reference, old) = latest(&world);
        let code = operator_asks(&world, json!({ "phone": ANA })).await;
        done(&world, &code).await;
        let late =
            |word: &str| now(&world, status(&old, word, Some(&reference).filter(|_| with_reference).map(|r| &**r)));
        // Nobody is there, and nobody comes of it.
        assert_eq!(post(&world, &late("delivered")).await, 200);
        world.work().await.unwrap();
        assert_eq!((world.chatwoot.contacts().len(), world.queued("inbound")), (0, 0));
        ana.writes("buenas").await.unwrap();
        world.work().await.unwrap();
        let anew = world.conversation("Ana").unwrap();
        let id = sofia.replies(anew, "¿le aparto una?").await;
        meanwhile(&world, &ana, async |wamid| {
            let reference = with_reference.then(|| latest(&world).0);
            let statuses = now(&world, several(&["sent", "read"], &wamid, reference.as_deref()));
            assert_eq!(post(&world, &statuses).await, 200);
            assert!(world.forward_once().await.unwrap());
        })
        .await;
        assert_eq!(message(&world, anew, id).status, "read", "{with_reference}");
        assert_eq!(post(&world, &late("failed")).await, 200);
        world.work().await.unwrap();
        assert_eq!(world.agent_reads("Ana").len(), 2, "{:?}", world.agent_reads("Ana"));
        assert_eq!(message(&world, anew, id).status, "read", "{with_reference}");
        nothing_is_missed(&world).await;
        assert_eq!(world.chatwoot.contacts().len(), 1);
    }
}

#[tokio::test]
async fn an_early_status_of_what_wakes_an_erasure_waits_for_it() {
    let world = World::start().await.unwrap();
    let (_, conversation) = ana_wrote(&world).await;
    let day = world.clock.now().day();
    world.pass(MINUTE);
    let contact = world.chatwoot.contacts()[0].id;
    world.chatwoot.agent("Sofía").deletes_contact(contact).await;
    assert_eq!(post(&world, &now(&world, status("wamid.waking", "delivered", None))).await, 200);
    world.work().await.unwrap();
    assert_eq!(counted(&world, "waiting").await, 1);
    let mut echo = text("525555550100", "wamid.waking", world.clock.now().as_secs(), "Ya llegó su moto");
    echo["to"] = json!(ANA);
    let members = json!({"contacts": [profile("Ana", ANA)], "message_echoes": [echo]});
    assert_eq!(post(&world, &crate::fixtures::body("smb_message_echoes", &members)).await, 200);
    goes_by(&world, 5 * MINUTE, Duration::from_secs(5)).await;
    let conversations = world.chatwoot.conversations();
    assert!(conversations.len() == 1 && conversations[0].id != conversation, "{conversations:?}");
    nothing_is_missed(&world).await;
    assert_eq!(sheet_of(&world, CHANNEL, day).await, columns(&[("done", 3), ("received", 3)]));
}
