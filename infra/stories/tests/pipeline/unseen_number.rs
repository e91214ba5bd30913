//! A customer who shows no number: how agents find them, and how they ask for it.

use serde_json::{Value, json};
use simulator_chatwoot::Role;
use stories::{ACCOUNT, World};

use crate::{
    fixtures::{HOUR, MINUTE},
    open_chat::{call, refuses},
};

/// What agents find: the names on a page of Chatwoot's own API.
async fn found(world: &World, method: &str, path: &str, body: &Value) -> Vec<String> {
    let token = world.chatwoot.token("Sofía", Role::Agent);
    let headers = [("api_access_token", token.as_str()), ("content-type", "application/json")];
    let path = format!("/api/v1/accounts/{ACCOUNT}{path}");
    let (status, body) = call(method, &world.chatwoot.url(), &path, &headers, body.to_string().as_bytes()).await;
    assert_eq!(status, 200, "{body}");
    let json = body.find('{').zip(body.rfind('}')).map(|(from, to)| &body[from..=to]).unwrap();
    let answer: Value = serde_json::from_str(json).unwrap();
    let rows = answer["payload"].as_array().unwrap().iter();
    rows.map(|row| row["name"].as_str().unwrap().to_owned()).collect()
}

async fn by_attribute(world: &World, key: &str, value: &str) -> Vec<String> {
    let condition =
        json!({"attribute_key": key, "filter_operator": "equal_to", "values": [value], "query_operator": null});
    found(world, "POST", "/contacts/filter", &json!({ "payload": [condition] })).await
}

#[tokio::test]
async fn agents_find_them_by_name_in_the_search_and_by_username_and_id_in_the_list() {
    let world = World::start().await.unwrap();
    world.reconcile().await.unwrap();
    let lucia = world.meta.customer("Lucía Peña", "5215555550177").without_phone();
    lucia.writes("hola").await.unwrap();
    world.meta.customer("Ana", "5215555550123").writes("hola").await.unwrap();
    world.work().await.unwrap();
    let username = lucia.username().unwrap().trim_start_matches('@').to_owned();
    assert_eq!(found(&world, "GET", "/contacts/search?q=Pe%C3%B1a", &json!({})).await, ["Lucía Peña"]);
    assert_eq!(by_attribute(&world, "whatsapp_username", &username).await, ["Lucía Peña"]);
    assert_eq!(by_attribute(&world, "whatsapp_user_id", &lucia.user_id()).await, ["Lucía Peña"]);
    assert_eq!(found(&world, "GET", "/contacts", &json!({})).await.len(), 2, "who has an identifier is in the list");
}

async fn asks(world: &World, conversation: i64, note: &str) -> String {
    world.chatwoot.agent("Sofía").notes(conversation, note).await;
    world.work().await.unwrap();
    let messages = world.chatwoot.messages(conversation).into_iter();
    messages.filter(|message| message.private).map(|message| message.content).last().unwrap()
}

#[tokio::test]
async fn the_number_is_asked_for_with_whatsapps_button_and_goes_into_the_contact() {
    for (note, question) in
        [("/telefono", "¿Nos compartes tu número"), ("/Teléfono ¿Me das tu cel?", "¿Me das tu cel?")]
    {
        let world = World::start().await.unwrap();
        let lucia = world.meta.customer("Lucía", "5215555550177").without_phone();
        lucia.writes("hola").await.unwrap();
        world.work().await.unwrap();
        let conversation = world.conversation("Lucía").unwrap();
        assert!(asks(&world, conversation, note).await.contains("La pregunta está aquí arriba"));
        let asked = lucia.received().pop().unwrap();
        assert!(asked.text.starts_with(question), "{asked:?}");
        lucia.shares_number(&asked.wamid).await.unwrap();
        world.work().await.unwrap();
        assert_eq!(world.chatwoot.contacts()[0].phone_number.as_deref(), Some("+5215555550177"));
        assert!(asks(&world, conversation, "/telefono").await.contains("ya se ve"));
        assert_eq!(lucia.received().len(), 1);
    }
}

#[tokio::test]
async fn where_it_cannot_be_asked_the_agent_reads_why() {
    let world = World::start().await.unwrap();
    let lucia = world.meta.customer("Lucía", "5215555550177").without_phone();
    lucia.writes("hola").await.unwrap();
    world.work().await.unwrap();
    let conversation = world.conversation("Lucía").unwrap();
    assert!(asks(&world, conversation, &format!("/telefono {}", "x".repeat(1025))).await.contains("1,024"));
    world.meta.faults().add(crate::open_chat::at("/messages", refuses(400, 131_009), Some(1)));
    world.later(MINUTE).await.unwrap();
    asks(&world, conversation, "/telefono").await;
    let red = world.chatwoot.messages(conversation).into_iter().find(|message| message.status == "failed").unwrap();
    assert!(red.external_error.unwrap().starts_with("No entregado"));
    world.later(25 * HOUR).await.unwrap();
    assert!(asks(&world, conversation, "/telefono").await.contains("ventana de 24 h"));
    assert_eq!(lucia.received().len(), 0);
}
