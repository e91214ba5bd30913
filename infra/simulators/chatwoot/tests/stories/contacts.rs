//! Stories about contacts: what is unique, how they are found, merged and deleted.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{INBOX, Rig};

#[tokio::test]
async fn a_contact_is_created_with_its_source_id_or_a_random_one() {
    let rig = Rig::start().await;
    let body = json!({ "name": "Ana", "phone_number": "+5215512345678", "inbox_id": INBOX, "source_id": "abc" });
    let payload = rig.made("/contacts", body).await["payload"].clone();
    assert_eq!(payload["contact"]["contact_inboxes"][0]["source_id"], "abc");
    assert_eq!(payload["contact"]["contact_inboxes"][0]["inbox"]["channel_type"], "Channel::Api");
    assert_eq!(payload["contact_inbox"]["source_id"], "abc");
    let other = rig.made("/contacts", json!({ "name": "Luz", "inbox_id": INBOX })).await;
    assert_eq!(other["payload"]["contact_inbox"]["source_id"].as_str().unwrap().len(), 36);
    let taken = rig.post("/contacts", json!({ "name": "Eva", "inbox_id": INBOX, "source_id": "abc" })).await;
    assert_eq!((taken.status, rig.chatwoot.contacts().len()), (500, 2), "nothing is created");
}

#[tokio::test]
async fn phone_and_identifier_are_unique_but_two_racing_creates_share_a_phone() {
    let rig = Rig::start().await;
    let ana = json!({ "name": "Ana", "phone_number": "+5215512345678", "identifier": "c-1" });
    rig.made("/contacts", ana.clone()).await;
    let refused = rig.post("/contacts", json!({ "phone_number": "+5215512345678" })).await;
    let expected = json!({ "message": "Phone number has already been taken", "attributes": ["phone_number"] });
    assert_eq!((refused.status, refused.json()), (422, expected));
    let refused = rig.post("/contacts", json!({ "identifier": "c-1" })).await;
    assert_eq!(refused.json()["attributes"], json!(["identifier"]));
    let refused = rig.post("/contacts", json!({ "phone_number": "5512345678" })).await;
    assert_eq!((refused.status, refused.json()["attributes"].clone()), (422, json!(["phone_number"])));

    rig.chatwoot.let_contacts_race(1);
    rig.made("/contacts", json!({ "name": "Ana otra vez", "phone_number": "+5215512345678" })).await;
    assert_eq!(rig.chatwoot.contacts().len(), 2);
    rig.chatwoot.let_contacts_race(1);
    assert_eq!(rig.post("/contacts", ana).await.status, 422, "the identifier has an index");
}

#[tokio::test]
async fn a_contact_is_found_by_source_filter_and_search() {
    let rig = Rig::start().await;
    let body = json!({ "name": "Ana Pérez", "phone_number": "+5215512345678", "inbox_id": INBOX, "source_id": "abc" });
    let ana = rig.made("/contacts", body).await["payload"]["contact"]["id"].clone();
    rig.made("/contacts", json!({ "name": "Ana sin nada" })).await;

    let by_source = rig.made("/contact_inboxes/filter", json!({ "inbox_id": INBOX, "source_id": "abc" })).await;
    assert_eq!(by_source["id"], ana);
    let nobody = rig.post("/contact_inboxes/filter", json!({ "inbox_id": INBOX, "source_id": "ab" })).await;
    assert_eq!((nobody.status, nobody.text.as_str()), (404, ""));

    let condition = |key: &str, value: &str, join: Value| json!({ "attribute_key": key, "filter_operator": "equal_to", "values": [value], "query_operator": join });
    let filter = json!({ "payload": [condition("phone_number", "5215512345678", Value::Null)] });
    assert_eq!(rig.made("/contacts/filter", filter).await["payload"][0]["id"], ana);
    let none = [condition("phone_number", "+5215512345678", json!("AND")), condition("name", "Luz", Value::Null)];
    assert_eq!(rig.made("/contacts/filter", json!({ "payload": none })).await["meta"]["count"], 0);
    let either = [condition("identifier", "X", json!("OR")), condition("name", "ana pérez", Value::Null)];
    assert_eq!(rig.made("/contacts/filter", json!({ "payload": either })).await["meta"]["count"], 1);
    let unknown = json!({ "payload": [condition("user_id", "MX.1", Value::Null)] });
    assert_eq!(rig.post("/contacts/filter", unknown.clone()).await.status, 422);
    rig.made(
        "/custom_attribute_definitions",
        json!({ "attribute_key": "user_id", "attribute_display_name": "Id", "attribute_model": 1 }),
    )
    .await;
    rig.patch(&format!("/contacts/{ana}"), json!({ "custom_attributes": { "user_id": "MX.1" } })).await;
    assert_eq!(rig.made("/contacts/filter", unknown).await["payload"][0]["id"], ana);

    let found = rig.get("/contacts/search?q=ana").await.json();
    assert_eq!(
        (&found["meta"]["count"], &found["payload"][0]["id"]),
        (&json!(1), &ana),
        "without anything it is invisible"
    );
    assert_eq!(rig.get("/contacts/search?q=%2B52155").await.json()["meta"]["count"], 1);
}

#[tokio::test]
async fn search_is_throttled_and_filter_is_not() {
    let rig = Rig::start().await;
    for _ in 0..100 {
        assert_eq!(rig.get("/contacts/search?q=a").await.status, 200);
    }
    assert_eq!(rig.get("/contacts/search?q=a").await.status, 429);
    assert_eq!(rig.post("/contacts/filter", json!({ "payload": [] })).await.status, 200);
    rig.advance(60);
    assert_eq!(rig.get("/contacts/search?q=a").await.status, 200);
}

#[tokio::test]
async fn an_update_merges_one_level_deep() {
    let rig = Rig::start().await;
    let contact = rig.contact("Ana", "abc").await;
    let path = format!("/contacts/{contact}");
    rig.patch(&path, json!({ "custom_attributes": { "a": 1, "b": 2 } })).await;
    let now = rig.patch(&path, json!({ "name": "Ana P.", "custom_attributes": { "b": 3 } })).await.json();
    assert_eq!(now["payload"]["custom_attributes"], json!({ "a": 1, "b": 3 }));
    assert_eq!((&now["payload"]["name"], &now["payload"]["identifier"]), (&json!("Ana P."), &json!("abc")));
    assert_eq!(rig.patch(&path, json!({ "name": "x".repeat(256) })).await.json()["attributes"], json!(["name"]));
}

#[tokio::test]
async fn a_merge_moves_everything_and_tells_every_message() {
    let rig = Rig::start().await;
    let one = rig.conversation("Ana").await;
    let other = rig.conversation("Ana bis").await;
    let (base, mergee) = (rig.chatwoot.contacts()[0].id, rig.chatwoot.contacts()[1].id);
    let message = rig.incoming(other, "hola", "wamid.1").await;
    rig.incoming(one, "otra", "wamid.2").await;
    rig.quiet().await;

    rig.chatwoot.agent("Sofía").merges(base, mergee).await;
    rig.chatwoot.settled().await;
    assert_eq!(rig.receiver.events(), ["message_updated"]);
    assert_eq!(rig.receiver.got()[0].body["id"], message);
    let contacts = rig.chatwoot.contacts();
    assert_eq!((contacts.len(), contacts[0].source_ids.len()), (1, 2), "one contact, two source ids of the inbox");
    assert_eq!(rig.chatwoot.conversations()[1].contact_id, base);
    assert_eq!(rig.get(&format!("/contacts/{mergee}")).await.status, 404);
}

#[tokio::test]
async fn a_deletion_takes_its_time_and_breaks_lists_meanwhile() {
    let rig = Rig::start().await;
    let conversation = rig.conversation("Ana").await;
    rig.incoming(conversation, "hola", "wamid.1").await;
    let contact = rig.chatwoot.contacts()[0].id;
    rig.chatwoot.delay_deletions(Duration::from_secs(90));
    let gone = rig.delete(&format!("/contacts/{contact}")).await;
    assert_eq!((gone.status, gone.text.as_str()), (200, ""));
    assert_eq!(rig.get(&format!("/contacts/{contact}")).await.status, 404, "the row goes at once");
    assert_eq!(rig.get("/conversations").await.status, 500);
    let by_source = json!({ "inbox_id": INBOX, "source_id": "source-of-Ana" });
    assert_eq!(rig.post("/contact_inboxes/filter", by_source.clone()).await.status, 500);

    rig.advance(90);
    assert_eq!(rig.get("/conversations").await.json()["data"]["meta"]["all_count"], 0);
    assert_eq!(rig.post("/contact_inboxes/filter", by_source).await.status, 404);
    assert_eq!(rig.get(&format!("/conversations/{conversation}")).await.status, 404);
    assert!(rig.chatwoot.messages(conversation).is_empty());
}
