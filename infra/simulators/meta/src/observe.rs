//! Bodies that a test posts by hand were not made here; the double learns from them what Meta would know.

use std::sync::Arc;

use domain::Timestamp;
use serde_json::Value;

use crate::{customer, person::Person, state::State, world::World};

/// Learns people, messages and windows of a body with the field `messages`, and wishes of one with `user_preferences`; gives the number whose line it takes.
pub(crate) fn learn(world: &Arc<World>, body: &[u8]) -> String {
    let Ok(body) = serde_json::from_slice::<Value>(body) else { return String::new() };
    let mut line = String::new();
    let mut state = world.state();
    for change in list(&body["entry"]).flat_map(|entry| list(&entry["changes"])) {
        let value = &change["value"];
        let number = value["metadata"]["phone_number_id"].as_str().unwrap_or_default();
        if line.is_empty() {
            number.clone_into(&mut line);
        }
        let field = change["field"].as_str().unwrap_or_default();
        if !matches!(field, "messages" | "user_preferences") || state.number(number).is_none() {
            continue;
        }
        list(&value["contacts"]).for_each(|contact| meet(&mut state, contact));
        list(&value["user_preferences"]).for_each(|preference| prefer(&mut state, number, preference));
        for item in list(&value["messages"]) {
            receive(&mut state, number, item, world.now());
        }
    }
    line
}

/// Learns of a person from an entry of `contacts[]`; a phone that belonged to somebody else has passed on.
pub(crate) fn meet(state: &mut State, contact: &Value) {
    let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let wa_id = text(&contact["wa_id"]);
    let known = wa_id.as_deref().and_then(|wa_id| state.person_by_phone(wa_id)).map(|person| person.user_id.clone());
    // Bodies of older versions have no user id.
    let derived = || known.clone().or_else(|| Some(Person::new("", wa_id.as_deref()?).user_id));
    let Some(user_id) = text(&contact["user_id"]).or_else(derived) else { return };
    if let Some(former) = known.filter(|known| *known != user_id).and_then(|known| state.person_mut(&known)) {
        former.wa_id = None;
    }
    if state.person(&user_id).is_none() {
        let name = String::new();
        state.people.push(Person { name, wa_id: None, user_id: user_id.clone(), username: None, phone_visible: false });
    }
    let Some(person) = state.person_mut(&user_id) else { return };
    person.phone_visible = wa_id.is_some();
    person.wa_id = wa_id.or(person.wa_id.take());
    person.username = text(&contact["profile"]["username"]).or(person.username.take());
    if let Some(name) = text(&contact["profile"]["name"]) {
        person.name = name;
    }
}

/// Somebody wants no more marketing, or wants it again.
fn prefer(state: &mut State, number: &str, preference: &Value) {
    let by_phone = preference["wa_id"].as_str().and_then(|phone| state.person_by_phone(phone));
    let person = preference["user_id"].as_str().and_then(|id| state.person(id)).or(by_phone);
    if let Some(user_id) = person.map(|person| person.user_id.clone()) {
        state.stop_marketing(number, &user_id, preference["value"] == "stop");
    }
}

fn receive(state: &mut State, number: &str, item: &Value, now: Timestamp) {
    let by_phone = || item["from"].as_str().and_then(|from| state.person_by_phone(from)).map(|p| p.user_id.clone());
    let by_id = item["from_user_id"].as_str().filter(|id| state.person(id).is_some()).map(str::to_owned);
    let Some(user_id) = by_id.or_else(by_phone) else { return };
    let wamid = item["id"].as_str().unwrap_or_default();
    // A repeat of what is known, or a group's.
    if state.message(wamid).is_some() || item["group_id"].is_string() {
        return;
    }
    let secs = item["timestamp"].as_str().and_then(|secs| secs.parse().ok());
    let at = secs.map_or(now, Timestamp::from_secs);
    customer::arrive(state, number, &user_id, item, at, now);
}

fn list(value: &Value) -> std::slice::Iter<'_, Value> {
    value.as_array().map_or(&[][..], Vec::as_slice).iter()
}
