//! The bodies Meta posts.

use serde_json::{Value, json};

use crate::{Number, person::Person};

/// One change of a field, in its envelope.
pub(crate) fn envelope(number: &Number, field: &str, members: Value) -> Value {
    let mut value = json!({
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": number.display_phone_number, "phone_number_id": number.phone_number_id},
    });
    merge(&mut value, members);
    json!({
        "object": "whatsapp_business_account",
        "entry": [{"id": number.waba_id, "changes": [{"value": value, "field": field}]}],
    })
}

/// The `contacts[]` entry of a person.
pub(crate) fn contact(person: &Person, with_username: bool) -> Value {
    let mut profile = json!({"name": person.name});
    if let Some(username) = person.username.as_deref().filter(|_| with_username) {
        profile["username"] = username.into();
    }
    let mut contact = json!({"profile": profile, "user_id": person.user_id});
    if let Some(phone) = person.visible_phone() {
        contact["wa_id"] = phone.into();
    }
    contact
}

/// Puts the members of one object into another.
pub(crate) fn merge(into: &mut Value, members: Value) {
    if let (Value::Object(into), Value::Object(members)) = (into, members) {
        into.extend(members);
    }
}
