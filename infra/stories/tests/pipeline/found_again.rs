//! Whoever is known in Chatwoot is found there, whatever the table has forgotten: no second contact, no second open conversation.

use serde_json::json;
use stories::World;

use crate::{
    erasure::{done, operator_asks},
    fixtures::{ana, ana_wrote, calls},
};

/// Everything the table knows of people is lost; channels stay.
async fn the_table_is_new(world: &World) {
    let aws = platform::aws::Aws::from_env(world.stage.operator()).unwrap().dynamodb;
    let name = world.stage.table().unwrap().to_owned();
    let page = aws.scan().table_name(&name).send().await.unwrap();
    for item in page.items() {
        let key = ["pk", "sk"].map(|part| (part.to_owned(), item[part].clone()));
        if !item["pk"].as_s().unwrap().starts_with("channel") {
            aws.delete_item().table_name(&name).set_key(Some(key.into())).send().await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_new_table_finds_a_known_customer_s_open_conversation() {
    let world = World::start().await.unwrap();
    let (ana, conversation) = ana_wrote(&world).await;
    the_table_is_new(&world).await;
    ana.writes("sigo aquí").await.unwrap();
    world.work().await.unwrap();
    assert_eq!(world.agent_reads("Ana"), ["Ana: hola", "Ana: sigo aquí"]);
    assert_eq!((world.chatwoot.contacts().len(), world.chatwoot.conversations().len()), (1, 1));
    world.chatwoot.agent("Sofía").replies(conversation, "aquí estamos").await;
    world.work().await.unwrap();
    assert_eq!(ana.heard(), ["aquí estamos"]);
}

#[tokio::test]
async fn an_imported_contact_is_found_by_any_spelling_of_its_number() {
    for (imported, wa_id) in [
        ("+525555550123", "5215555550123"),
        ("+5215555550123", "525555550123"),
        ("+541155550145", "5491155550145"),
        ("+5511987654321", "551187654321"),
    ] {
        let world = World::start().await.unwrap();
        world.chatwoot.agent("Sofía").adds_contact("Ana", Some(imported)).await;
        world.meta.customer("Ana", wa_id).writes("hola").await.unwrap();
        world.work().await.unwrap();
        assert_eq!(world.chatwoot.contacts().len(), 1, "{imported} {wa_id}");
        assert_eq!(world.agent_reads("Ana"), ["Ana: hola"]);
    }
}

#[tokio::test]
async fn who_has_no_visible_phone_is_found_by_the_user_id() {
    let world = World::start().await.unwrap();
    // By then the account shows what the bridge fills in.
    world.reconcile().await.unwrap();
    let ana = ana(&world).without_phone();
    ana.writes("hola").await.unwrap();
    world.work().await.unwrap();
    the_table_is_new(&world).await;
    ana.writes("sigo aquí").await.unwrap();
    world.work().await.unwrap();
    assert_eq!(world.agent_reads("Ana"), ["Ana: hola", "Ana: sigo aquí"]);
    assert_eq!((world.chatwoot.contacts().len(), world.chatwoot.conversations().len()), (1, 1));
    // Once known, nobody is looked for.
    let asked = calls(&world, "POST", "contacts/filter");
    ana.writes("¿hola?").await.unwrap();
    world.work().await.unwrap();
    assert_eq!(calls(&world, "POST", "contacts/filter"), asked);
}

#[tokio::test]
async fn who_has_no_visible_phone_is_erased_by_the_user_id_though_the_table_is_new() {
    let world = World::start().await.unwrap();
    world.reconcile().await.unwrap();
    let ana = ana(&world).without_phone();
    ana.writes("hola").await.unwrap();
    world.work().await.unwrap();
    the_table_is_new(&world).await;
    let code = operator_asks(&world, json!({ "user_id": ana.user_id() })).await;
    done(&world, &code).await;
    assert_eq!((world.chatwoot.contacts().len(), world.chatwoot.conversations().len()), (0, 0));
}

#[tokio::test]
async fn a_user_id_that_the_account_cannot_be_asked_for_holds_up_nobody() {
    let world = World::start().await.unwrap();
    let ana = ana(&world).without_phone();
    ana.writes("hola").await.unwrap();
    world.work().await.unwrap();
    assert_eq!(world.chatwoot.shown_attributes(), []);
    assert_eq!(world.agent_reads("Ana"), ["Ana: hola"]);
}

#[tokio::test]
async fn of_two_contacts_of_one_person_the_one_with_the_chat_is_taken() {
    for (inbox, resolved) in [(14, false), (14, true), (15, false)] {
        let world = World::start().await.unwrap();
        let agent = world.chatwoot.agent("Sofía");
        agent.adds_contact("Ana (importada)", Some("+5215555550123")).await;
        let with_chat = agent.adds_contact("Ana", Some("+525555550123")).await;
        let (conversation, _) = agent.starts_conversation(with_chat, inbox, "Buenas").await;
        world.work().await.unwrap();
        if resolved {
            agent.resolves(conversation).await;
        }
        the_table_is_new(&world).await;
        ana(&world).writes("hola").await.unwrap();
        world.work().await.unwrap();
        let said = |id| world.chatwoot.messages(id).into_iter().any(|message| message.content == "hola");
        let theirs: Vec<_> = world.chatwoot.conversations().into_iter().filter(|one| said(one.id)).collect();
        let [only] = &theirs[..] else { panic!("{theirs:?}") };
        assert_eq!((only.contact_id, only.id == conversation), (with_chat, inbox == 14), "{inbox} {resolved}");
        assert_eq!(world.chatwoot.contacts().len(), 2);
    }
}

#[tokio::test]
async fn an_empty_identifier_is_none() {
    let world = World::start().await.unwrap();
    let agent = world.chatwoot.agent("Sofía");
    let imported = agent.adds_contact("Ana", Some("+5215555550123")).await;
    agent.identifies(imported, "").await;
    ana(&world).writes("hola").await.unwrap();
    world.work().await.unwrap();
    let contacts = world.chatwoot.contacts();
    let [contact] = &contacts[..] else { panic!("{contacts:?}") };
    assert!(contact.identifier.as_ref().is_some_and(|id| !id.is_empty()), "{contact:?}");
    // Somebody else's system empties it again.
    agent.identifies(imported, "").await;
    let code = operator_asks(&world, json!({ "phone": "+5215555550123" })).await;
    done(&world, &code).await;
    assert_eq!(world.chatwoot.contacts().len(), 0);
}
