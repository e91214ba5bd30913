//! Whoever is known in Chatwoot is found there, whatever the table has forgotten: no second contact, no second open conversation.

use testkit::World;

use crate::cast::ana_wrote;

/// Everything the table knows of people is lost; channels stay.
async fn the_table_is_new(world: &World) {
    let aws = platform::aws::Aws::from_env(&mut world.stage.operator()).unwrap().dynamodb;
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
