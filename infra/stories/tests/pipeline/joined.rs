//! Two contacts that turn out to be one person: agents are told, and merge them if they want to.

use serde_json::json;
use simulator_chatwoot::{Rule, RuleAction};
use stories::World;

use crate::{
    fixtures::MINUTE,
    identity::{ANA, AT, OLD, arrives, conversations, from},
};

/// Ana wrote by phone and by username; agents see two contacts.
async fn two_contacts() -> (World, [i64; 2]) {
    let world = World::start().await.unwrap();
    arrives(&world, &from(Some(OLD), None, "wamid.1", AT, "por teléfono")).await;
    arrives(&world, &from(None, Some(ANA), "wamid.2", AT + 1, "por usuario")).await;
    let ids: Vec<_> = world.chatwoot.conversations().into_iter().map(|row| row.id).collect();
    (world, [ids[0], ids[1]])
}

fn notes(world: &World, conversation: i64) -> Vec<String> {
    let messages = world.chatwoot.messages(conversation).into_iter();
    messages.filter(|message| message.private).map(|message| message.content).collect()
}

async fn asks(world: &World, conversation: i64, note: &str) -> String {
    world.chatwoot.agent("Sofía").notes(conversation, note).await;
    world.work().await.unwrap();
    notes(world, conversation).pop().unwrap()
}

#[tokio::test]
async fn both_conversations_say_so_once_with_a_link_to_the_other_and_nothing_is_merged() {
    for killed in [0, 20, 30, 40, 50, 60, 70, 80] {
        let (world, [first, second]) = two_contacts().await;
        crate::fixtures::post(&world, &from(Some(OLD), Some(ANA), "wamid.3", AT + 2, "soy la misma")).await;
        if killed > 0 {
            world.forward_killed(killed).await.unwrap();
        }
        for _ in 0..4 {
            world.later(5 * MINUTE).await.unwrap();
        }
        arrives(&world, &from(Some(OLD), Some(ANA), "wamid.4", AT + 3, "¿sí?")).await;
        for (own, other) in [(first, second), (second, first)] {
            let link = format!("{}/app/accounts/3/conversations/{other}", world.chatwoot.url());
            let told = notes(&world, own);
            assert!(told.len() == 1 && told[0].contains(&link) && told[0].contains("`/unir`"), "{killed}: {told:?}");
        }
        assert_eq!(world.chatwoot.contacts().len(), 2);
    }
}

#[tokio::test]
async fn a_status_that_shows_it_tells_it_too() {
    let (world, [first, second]) = two_contacts().await;
    world.chatwoot.agent("Sofía").replies(first, "¿Ana?").await;
    world.work().await.unwrap();
    let wamid = world.meta.requests().pop().unwrap().wamid.unwrap();
    let status = json!({"id": wamid, "status": "sent", "timestamp": (AT + 5).to_string(), "recipient_id": OLD,
        "recipient_user_id": ANA});
    let contact = json!({"wa_id": OLD, "user_id": ANA});
    arrives(&world, &crate::fixtures::body("messages", &json!({"contacts": [contact], "statuses": [status]}))).await;
    assert_eq!((notes(&world, first).len(), notes(&world, second).len()), (1, 1));
}

#[tokio::test]
async fn agents_merge_the_two_by_asking_twice_and_a_rule_never_does() {
    let (world, [first, second]) = two_contacts().await;
    assert!(asks(&world, first, "/unir").await.contains("un solo contacto"), "nothing shows that they are one");
    arrives(&world, &from(Some(OLD), Some(ANA), "wamid.3", AT + 2, "soy la misma")).await;
    let question = asks(&world, first, "/unir").await;
    assert!(question.contains("¿Unir con este contacto?") && question.contains(&format!("/{second})")), "{question}");
    world.later(61 * MINUTE).await.unwrap();
    assert!(asks(&world, first, "/unir").await.contains("¿Unir"), "the question is an hour old");
    assert!(asks(&world, second, "/unir").await.contains("¿Unir"), "it was asked elsewhere");
    assert_eq!(world.chatwoot.contacts().len(), 2);
    assert_eq!(asks(&world, first, "/unir").await, "Esta persona tiene un solo contacto.");
    assert_eq!(world.chatwoot.contacts().len(), 1);
    // What comes now, and what is answered, goes on as before.
    arrives(&world, &from(None, Some(ANA), "wamid.5", AT + 4000, "gracias")).await;
    assert_eq!(world.chatwoot.contacts().len(), 1);
    assert!(conversations(&world)[1].contains(&"gracias".to_owned()), "{:?}", conversations(&world));
}

#[tokio::test]
async fn a_rule_that_asks_to_merge_is_refused() {
    let (world, [_, second]) = two_contacts().await;
    arrives(&world, &from(Some(OLD), Some(ANA), "wamid.3", AT + 2, "soy la misma")).await;
    let actions = vec![RuleAction::AddPrivateNote("/unir".to_owned())];
    world.chatwoot.add_rule(Rule { contains: "júntenlos".to_owned(), message_type: None, actions });
    arrives(&world, &from(Some(OLD), Some(ANA), "wamid.4", AT + 3, "júntenlos")).await;
    arrives(&world, &from(Some(OLD), Some(ANA), "wamid.5", AT + 4, "júntenlos ya")).await;
    assert!(notes(&world, second).pop().unwrap().contains("una regla o un bot no lo hace"));
    assert_eq!(world.chatwoot.contacts().len(), 2);
}
