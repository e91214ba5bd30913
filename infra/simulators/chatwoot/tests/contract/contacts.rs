//! Contacts and their contact inboxes.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    Cast, id,
    suite::{JSON, NOTHING, PAGE, Suite},
};

pub(crate) async fn asks(suite: &mut Suite) -> Cast {
    let (phone, source) = (format!("+52155{}1", suite.mark), format!("src{}", suite.mark));
    let (inbox, identifier) = (suite.inbox, format!("idf{}", suite.mark));
    let body = json!({
        "name": "Ximena", "phone_number": phone, "inbox_id": inbox, "source_id": source, "custom_attributes": { "a": 1 },
    });
    let made = suite.post("/contacts", body, (200, JSON, "new_contact")).await;
    let contact = id(&made["payload"]["contact"]);
    suite.is("a contact's presence", &made["payload"]["contact"]["availability_status"], &json!("offline"));

    let refused =
        suite.post("/contacts", json!({ "name": "Yolanda", "phone_number": phone }), (422, JSON, "invalid")).await;
    suite.is("a phone twice", &refused["message"], &json!("Phone number has already been taken"));
    suite.post("/contacts", json!({ "name": "Yolanda", "phone_number": "12ab" }), (422, JSON, "invalid")).await;
    let other = format!("+52155{}2", suite.mark);
    let body = json!({ "name": "Yolanda", "phone_number": other, "inbox_id": inbox, "source_id": source });
    suite.post("/contacts", body, (500, PAGE, "page_error")).await;
    let body = json!({ "name": "Yolanda", "identifier": identifier });
    let made = suite.post("/contacts", body, (200, JSON, "new_contact_nowhere")).await;
    let other = id(&made["payload"]["contact"]);

    let path = format!("/contacts/{contact}");
    suite.get(&path, 200, JSON, "one_contact").await;
    suite.get("/contacts/99999999", 404, JSON, "error").await;
    let body = json!({ "custom_attributes": { "b": "x" }, "name": "Ximena" });
    let changed = suite.call(Method::PUT, &path, body, (200, JSON, "one_contact")).await;
    suite.is("attributes are merged", &changed["payload"]["custom_attributes"], &json!({ "a": 1, "b": "x" }));

    found(suite, &phone, &identifier).await;
    let own = format!("idc{}", suite.mark);
    for (body, expected) in [
        (json!({ "identifier": own }), json!([own, phone])),
        (json!({ "phone_number": null, "custom_attributes": { "a": null } }), json!([own, null])),
        (json!({ "phone_number": phone }), json!([own, phone])),
    ] {
        let changed = suite.call(Method::PUT, &path, body, (200, JSON, "one_contact")).await;
        let contact = &changed["payload"];
        suite.is("identifier and phone", &json!([contact["identifier"], contact["phone_number"]]), &expected);
    }
    let taken = json!({ "identifier": identifier });
    let refused = suite.call(Method::PUT, &path, taken, (422, JSON, "invalid")).await;
    suite.is("an identifier twice", &refused["message"], &json!("Identifier has already been taken"));
    contact_inboxes(suite, &source, (contact, other)).await;

    let labels = json!({ "labels": ["conservar"] });
    suite.post(&format!("{path}/labels"), labels, (200, JSON, "labels")).await;
    Cast { contact, other, source, ..Cast::default() }
}

async fn found(suite: &mut Suite, phone: &str, identifier: &str) {
    let encoded = phone.replace('+', "%2B");
    let found = suite.get(&format!("/contacts/search?q={encoded}"), 200, JSON, "found_contacts").await;
    suite.is("found by phone", &found["meta"]["count"], &json!(1));
    suite.get("/contacts/search?q=zzzzzz", 200, JSON, "found_contacts").await;
    suite.get("/contacts/search?q=", 200, JSON, "blank_search").await;
    let condition = |key: &str, value: &str| {
        json!({ "payload": [
            { "attribute_key": key, "filter_operator": "equal_to", "values": [value], "query_operator": null },
        ] })
    };
    for (key, value) in [("phone_number", phone), ("identifier", identifier)] {
        let found = suite.post("/contacts/filter", condition(key, value), (200, JSON, "filtered_contacts")).await;
        suite.is(key, &found["meta"]["count"], &json!(1));
    }
    let refused = suite.post("/contacts/filter", condition("nope", "x"), (422, JSON, "error")).await;
    let keys =
        "name,phone_number,email,identifier,country_code,city,company_name,labels,created_at,last_activity_at,blocked";
    let named = refused["error"].as_str().is_some_and(|text| text.contains("[nope]") && text.contains(keys));
    suite.is("an unknown key is refused with those that are known", &Value::Bool(named), &Value::Bool(true));
}

async fn contact_inboxes(suite: &mut Suite, source: &str, (contact, other): (i64, i64)) {
    let inbox = suite.inbox;
    let at = |source: &str| json!({ "inbox_id": inbox, "source_id": source });
    suite.post("/contact_inboxes/filter", at(source), (200, JSON, "contact_with_inboxes")).await;
    suite.post("/contact_inboxes/filter", at("nobody's"), (404, NOTHING, "")).await;
    let (mine, theirs) = (format!("/contacts/{contact}/contact_inboxes"), format!("/contacts/{other}/contact_inboxes"));
    suite.post(&mine, at(source), (200, JSON, "contact_inbox")).await;
    suite.post(&theirs, at(source), (500, PAGE, "page_error")).await;
    let second = format!("srb{}", suite.mark);
    suite.post(&theirs, at(&second), (200, JSON, "contact_inbox")).await;
    let all = suite.get(&format!("/contacts/{contact}/contactable_inboxes"), 200, JSON, "contactable").await;
    let has = all["payload"].as_array().into_iter().flatten().any(|row| row["source_id"] == source);
    suite.is("its own inbox is contactable", &Value::Bool(has), &Value::Bool(true));
}
