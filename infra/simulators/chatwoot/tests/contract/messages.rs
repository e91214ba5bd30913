//! Messages: written, quoted, refused, marked, listed, searched.

use reqwest::{
    Method,
    multipart::{Form, Part},
};
use serde_json::{Value, json};

use crate::{
    Cast, id,
    suite::{JSON, Suite},
};

pub(crate) async fn asks(suite: &mut Suite, cast: &mut Cast) {
    let path = format!("/conversations/{}/messages", cast.conversation);
    written(suite, cast, &path).await;
    quoted(suite, cast, &path).await;
    refused(suite, &path).await;
    let form = Form::new().text("content", "cap").text("message_type", "incoming").part(
        "attachments[]",
        Part::bytes(b"%PDF-1.4 x".to_vec()).file_name("a b.pdf").mime_str("application/pdf").unwrap(),
    );
    let request = suite.signed(Method::POST, &path).multipart(form);
    let file = suite.send("a message with a file", request, (200, JSON, "message")).await;
    suite.is("the file's type", &file["attachments"][0]["file_type"], &json!("file"));
    marked(suite, cast, &path).await;
    listed(suite, cast, &path).await;
}

async fn written(suite: &mut Suite, cast: &mut Cast, path: &str) {
    let mark = suite.mark.clone();
    let body = json!({
        "content": "hola", "message_type": "incoming", "source_id": format!("wamid.A{mark}"),
        "content_attributes": { "external_created_at": 1 },
    });
    cast.incoming = id(&suite.post(path, body, (200, JSON, "message")).await);
    let body = json!({
        "content": "va {{contact.name}}", "message_type": "outgoing", "source_id": format!("wamid.B{mark}"),
        "content_attributes": { "external_echo": true },
    });
    let out = suite.post(path, body, (200, JSON, "message")).await;
    suite.is("Liquid is rendered", &out["content"], &json!("va Ximena"));
    let sender = json!([out["sender"]["type"], out["sender"]["availability_status"]]);
    suite.is("nobody sits at a token's dashboard", &sender, &json!(["user", "offline"]));
    cast.outgoing = id(&out);
    let note = suite.post(path, json!({ "content": "n", "private": true }), (200, JSON, "message")).await;
    suite.is("a note is outgoing", &note["message_type"], &json!(1));
    let empty = suite.post(path, json!({ "message_type": "incoming" }), (200, JSON, "message")).await;
    suite.is("nothing at all is taken", &empty["content"], &Value::Null);
}

async fn quoted(suite: &mut Suite, cast: &Cast, path: &str) {
    let (first, second) = (format!("wamid.A{}", suite.mark), format!("wamid.B{}", suite.mark));
    for (given, expected) in [
        (json!({ "in_reply_to": cast.outgoing }), json!([cast.outgoing, second])),
        (json!({ "in_reply_to_external_id": first }), json!([cast.incoming, first])),
        (json!({ "in_reply_to_external_id": "wamid.ZZ" }), json!([null, null])),
        (json!({ "in_reply_to": 99_999_999 }), json!([null, null])),
    ] {
        let body = json!({ "content": "q", "message_type": "incoming", "content_attributes": given });
        let made = suite.post(path, body, (200, JSON, "message")).await;
        let attributes = &made["content_attributes"];
        let got = json!([attributes["in_reply_to"], attributes["in_reply_to_external_id"]]);
        suite.is("both halves of a quote", &got, &expected);
    }
}

async fn refused(suite: &mut Suite, path: &str) {
    for (body, text) in [
        (
            json!({ "content": "x".repeat(150_001) }),
            "Validation failed: Content is too long (maximum is 150000 characters)",
        ),
        (json!({ "content": "x", "message_type": "weird" }), "'weird' is not a valid message_type"),
        (json!({ "content": "x", "template_params": { "nam": "x" } }), "Validation failed: Name is required"),
    ] {
        let refused = suite.post(path, body, (422, JSON, "error")).await;
        suite.is("a refused message", &refused["error"], &json!(text));
    }
    suite.post("/conversations/99999999/messages", json!({ "content": "x" }), (404, JSON, "error")).await;
}

async fn marked(suite: &mut Suite, cast: &Cast, path: &str) {
    let one = format!("{path}/{}", cast.outgoing);
    for (body, status) in [
        (json!({ "status": "delivered" }), "delivered"),
        (json!({ "status": "read" }), "read"),
        (json!({ "status": "delivered" }), "read"),
        (json!({ "status": "failed", "external_error": "x" }), "failed"),
    ] {
        let marked = suite.call(Method::PATCH, &one, body, (200, JSON, "message")).await;
        suite.is("the mark", &marked["status"], &json!(status));
    }
    let again = suite.post(&format!("{one}/retry"), json!({}), (200, JSON, "message")).await;
    suite.is("Retry clears", &json!([again["status"], again["content_attributes"]]), &json!(["sent", {}]));
    let weird = suite.call(Method::PATCH, &one, json!({ "status": "weird" }), (200, JSON, "message")).await;
    suite.is("an unknown mark", &weird["status"], &json!("sent"));
    let nowhere = format!("{path}/99999999");
    suite.call(Method::PATCH, &nowhere, json!({ "status": "read" }), (404, JSON, "error")).await;
    let theirs = format!("{path}/{}", cast.incoming);
    let red = json!({ "status": "failed", "external_error": "e" });
    suite.call(Method::PATCH, &theirs, red, (200, JSON, "message")).await;
    let healed = suite.call(Method::PATCH, &theirs, json!({ "status": "sent" }), (200, JSON, "message")).await;
    let attributes = json!({ "external_created_at": 1, "external_error": null });
    suite.is("a customer's message is healed", &healed["content_attributes"], &attributes);
}

async fn listed(suite: &mut Suite, cast: &Cast, path: &str) {
    suite.get(path, 200, JSON, "messages").await;
    let after = suite.get(&format!("{path}?after={}", cast.incoming), 200, JSON, "messages").await;
    suite.is("after one", &after["payload"][0]["id"], &json!(cast.outgoing));
    let before = suite.get(&format!("{path}?before={}", cast.outgoing), 200, JSON, "messages").await;
    suite.is("before one", &before["payload"][0]["id"], &json!(cast.incoming));
    suite.get("/search/messages?q=hola", 200, JSON, "found_messages").await;
    let one = format!("{path}/{}", cast.outgoing);
    let gone = suite.call(Method::DELETE, &one, Value::Null, (200, JSON, "message")).await;
    suite.is("a deleted message", &gone["content_attributes"], &json!({ "deleted": true }));
    suite.call(Method::DELETE, &format!("{path}/99999999"), Value::Null, (404, JSON, "error")).await;
}
