//! Checks that odd input does not change the outcome. Odd input is Meta's spelling, an odd neighbor, or an invalid body.

use domain::{InboundTask, task::NoticeSubject};
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};
use whatsapp::webhook::GroupedTask;

use crate::corpus::{BODIES, GOOD, meaning, parse, value, wire};

#[test]
fn metas_own_spelling_says_the_same() {
    let mut escaped = 0;
    for (name, body) in BODIES.iter() {
        let wire = wire(&value(name));
        assert!(wire.is_ascii() && !wire.contains(&b'\n'), "{name}");
        escaped += usize::from(!body.is_ascii());
        match (parse(body), parse(&wire)) {
            (Ok(pretty), Ok(compact)) => assert_eq!(meaning(&pretty), meaning(&compact), "{name}"),
            (pretty, compact) => assert_eq!(pretty, compact, "{name}"),
        }
    }
    assert!(escaped > 50, "the corpus has accents and emoji to escape");
}

/// Anything that is not an object, as text.
fn garbage() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just(r#""\ud83d""#.to_owned()),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<String>().prop_map(|text| json!(text).to_string()),
    ];
    leaf.prop_recursive(4, 16, 4, |inner| {
        prop::collection::vec(inner, 0..4).prop_map(|items| format!("[{}]", items.join(",")))
    })
}

/// Wrong values that a member may have.
fn odd() -> impl Strategy<Value = Value> {
    let deep = (0..300).fold(json!("x"), |inner, _| json!([inner]));
    prop_oneof![
        Just(Value::Null),
        Just(json!("")),
        Just(json!("0")),
        Just(json!("\u{200b}")),
        Just(json!("x".repeat(5_000))),
        Just(json!([])),
        Just(json!({})),
        Just(json!([null])),
        Just(json!([{}, 7, "x"])),
        Just(json!({ "": { "id": 1, "body": [] } })),
        Just(json!(true)),
        Just(json!(-1)),
        Just(json!(1e300)),
        Just(json!(i64::MAX)),
        Just(deep),
    ]
}

/// Every member and element below the first entry, by path.
fn members(value: &Value, path: &str, out: &mut Vec<String>) {
    let below: Vec<(String, &Value)> = match value {
        Value::Object(members) => {
            members.iter().map(|(name, member)| (name.replace('~', "~0").replace('/', "~1"), member)).collect()
        }
        Value::Array(items) => items.iter().enumerate().map(|(at, item)| (at.to_string(), item)).collect(),
        _ => return,
    };
    for (name, member) in below {
        let path = format!("{path}/{name}");
        if path.matches('/').count() > 1 {
            out.push(path.clone());
        }
        members(member, &path, out);
    }
}

fn good() -> impl Strategy<Value = &'static str> {
    any::<prop::sample::Index>().prop_map(|index| *index.get(&GOOD))
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    entry: Vec<&'a RawValue>,
}

fn entries(name: &str) -> impl Iterator<Item = &str> {
    let envelope: Envelope<'_> = serde_json::from_slice(&BODIES[name]).expect("an envelope");
    envelope.entry.into_iter().map(RawValue::get)
}

fn unreadable(grouped: &GroupedTask) -> bool {
    matches!(&grouped.task, InboundTask::NoticeV1(notice) if notice.about == NoticeSubject::Unreadable)
}

/// The lists whose items are handled on their own, by path. Only the conversation fields are split further.
fn lists(value: &Value, path: &str, out: &mut Vec<String>) {
    for (name, member) in value.as_object().into_iter().flatten() {
        let path = format!("{path}/{name}");
        let split = ["entry", "changes", "messages", "message_echoes", "statuses", "calls", "user_preferences"];
        if member.is_object() && name == "standby" {
            lists(member, &path, out);
        } else if let Some(items) = member.as_array().filter(|_| split.contains(&name.as_str())) {
            out.push(path.clone());
            for (at, item) in items.iter().enumerate() {
                if name == "entry" {
                    lists(item, &format!("{path}/{at}"), out);
                } else if item["field"].as_str().is_some_and(conversation) {
                    lists(&item["value"], &format!("{path}/{at}/value"), out);
                }
            }
        }
    }
}

fn conversation(field: &str) -> bool {
    ["messages", "smb_message_echoes", "message_echoes", "calls", "user_preferences", "standby"].contains(&field)
}

proptest! {
    #[test]
    fn two_bodies_with_garbage_between_give_the_tasks_of_both_and_one_notice(first in good(), second in good(), garbage in garbage()) {
        let list: Vec<&str> = entries(first).chain([garbage.as_str()]).chain(entries(second)).collect();
        let merged = format!(r#"{{"object":"whatsapp_business_account","entry":[{}]}}"#, list.join(","));
        let tasks = parse(merged.as_bytes()).unwrap();
        let (before, after) = (parse(&BODIES[first]).unwrap(), parse(&BODIES[second]).unwrap());
        prop_assert_eq!(tasks.len(), before.len() + 1 + after.len());
        prop_assert_eq!(&tasks[..before.len()], &before);
        prop_assert!(unreadable(&tasks[before.len()]));
        prop_assert_eq!(&tasks[before.len() + 1..], &after);
    }

    #[test]
    fn garbage_in_any_list_costs_no_neighbor(name in good(), list in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), garbage in garbage()) {
        const MARK: &str = "here stands the garbage";
        let mut body = value(name);
        let whole = parse(body.to_string().as_bytes()).unwrap();
        let mut paths = Vec::new();
        lists(&body, "", &mut paths);
        let path = list.get(&paths);
        let items = body.pointer_mut(path).and_then(Value::as_array_mut).unwrap();
        items.insert(at.index(items.len() + 1), json!(MARK));
        let spoiled = body.to_string().replace(&json!(MARK).to_string(), &garbage);
        let (odd, rest): (Vec<_>, Vec<_>) = parse(spoiled.as_bytes()).unwrap().into_iter().partition(unreadable);
        prop_assert_eq!(rest, whole, "{}", path);
        prop_assert_eq!(odd.len(), 1, "{}", path);
    }

    #[test]
    fn a_member_of_any_shape_loses_no_item_and_fits_the_queue(
        name in good(),
        at in any::<prop::sample::Index>(),
        odd in odd(),
    ) {
        let mut body = value(name);
        let mut places = Vec::new();
        members(&body, "", &mut places);
        let place = at.get(&places);
        *body.pointer_mut(place).unwrap() = odd.clone();
        let tasks = parse(body.to_string().as_bytes()).unwrap();
        prop_assert!(!tasks.is_empty(), "{} is {}", place, odd);
        for grouped in tasks {
            let queued = serde_json::to_string(&grouped.task).unwrap();
            prop_assert_eq!(&serde_json::from_str::<InboundTask>(&queued).unwrap(), &grouped.task, "{} is {}", place, odd);
            prop_assert!((1..=128).contains(&grouped.group.to_string().len()), "{} is {}", place, odd);
        }
    }

    #[test]
    fn a_body_cut_short_anywhere_is_unreadable(name in good(), at in any::<prop::sample::Index>()) {
        let whole = BODIES[name].trim_ascii_end();
        prop_assert!(parse(&whole[..at.index(whole.len())]).is_err());
    }

    #[test]
    fn a_damaged_body_never_panics(name in good(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut body = BODIES[name].clone();
        let at = at.index(body.len());
        body[at] = byte;
        let _ = parse(&body);
    }

    #[test]
    fn bytes_of_any_kind_never_panic(body in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(parse(&body).is_err());
    }
}

#[test]
fn what_is_no_webhook_is_unreadable() {
    const LARGE: usize = 4 << 20;
    let nested = format!(r#"{{"object":{}{}}}"#, "[".repeat(LARGE / 2), "]".repeat(LARGE / 2));
    let large = ["a", "[", r#"{"entry":["#].map(|text| text.repeat(LARGE / text.len()));
    let small: [&[u8]; 11] = [
        b"",
        b" \n",
        b"hola",
        b"null",
        b"17",
        b"[]",
        b"[{\"entry\":[]}]",
        b"{}",
        b"{\"entry\":null}",
        b"{\"object\":\"whatsapp_business_account\"}",
        b"{\"entry\":[]} {}",
    ];
    for body in large.iter().chain([&nested]).map(String::as_bytes).chain(small) {
        let start = String::from_utf8_lossy(&body[..body.len().min(40)]);
        assert!(parse(body).is_err(), "{start}");
    }
}

#[test]
fn a_byte_that_is_no_text_costs_its_letter_only() {
    let body = String::from_utf8(BODIES["in-text.json"].clone()).unwrap();
    let (before, after) = body.split_at(body.find("\"body\": \"").unwrap() + 9);
    let spoiled = [before.as_bytes(), b"\xff\\u0000", after.as_bytes()].concat();
    let [GroupedTask { task: InboundTask::MessageV1(message), .. }] = &parse(&spoiled).unwrap()[..] else { panic!() };
    let domain::Content::Text { body } = &message.content else { panic!("{:?}", message.content) };
    assert!(body.starts_with('\u{fffd}') && !body.contains('\0'), "{body}");
}

#[test]
fn a_change_without_a_field_and_a_message_without_a_sender_are_still_read() {
    let mut body = value("in-text.json");
    body["entry"][0]["changes"][0].as_object_mut().unwrap().remove("field");
    let message = body.pointer_mut("/entry/0/changes/0/value/messages/0").unwrap();
    for sender in ["from", "from_user_id", "from_parent_user_id"] {
        message.as_object_mut().unwrap().remove(sender);
    }
    let whole = parse(&BODIES["in-text.json"]).unwrap();
    assert_eq!(parse(body.to_string().as_bytes()).unwrap(), whole);
}

#[test]
fn a_time_that_cannot_be_is_the_time_of_receipt() {
    let time = |name: &str, list: &str, secs: i64| {
        let mut body = value(name);
        body.pointer_mut(&format!("/entry/0/changes/0/value/{list}/0")).unwrap()["timestamp"] = json!(secs.to_string());
        match &parse(body.to_string().as_bytes()).unwrap()[0].task {
            InboundTask::MessageV1(message) => message.sent_at.as_secs(),
            InboundTask::StatusV1(status) => status.at.as_secs(),
            other => panic!("{other:?}"),
        }
    };
    let (received, day) = (1_795_200_000, 86_400);
    for (name, list) in [("in-text.json", "messages"), ("st-delivered.json", "statuses")] {
        // Zero, before all time, before WhatsApp, a second too far ahead, beyond all time.
        for odd in [0, -1, 1, received + day + 1, i64::MAX] {
            assert_eq!(time(name, list, odd), received, "{name}: {odd}");
        }
        for fine in [1_230_768_000, received - 10 * day, received, received + day] {
            assert_eq!(time(name, list, fine), fine, "{name}");
        }
        assert_eq!(time(name, list, 1_795_190_400_000), 1_795_190_400, "{name}: in milliseconds");
    }
}

#[test]
fn an_entry_without_changes_is_not_lost() {
    let body = |entry: &str| format!(r#"{{"object":"whatsapp_business_account","entry":[{entry}]}}"#);
    for entry in ["{}", r#"{"id":"109876543210987"}"#, r#"{"id":"109876543210987","changes":[]}"#] {
        let tasks = parse(body(entry).as_bytes()).unwrap();
        assert!(tasks.len() == 1 && unreadable(&tasks[0]), "{entry}");
    }
}

#[test]
fn four_megabytes_of_messages_are_split_to_the_last() {
    let mut body = value("in-text.json");
    let messages = body.pointer_mut("/entry/0/changes/0/value/messages").and_then(Value::as_array_mut).unwrap();
    let message = messages.remove(0);
    let mut size = 0;
    while size < (4 << 20) - 4096 {
        let mut next = message.clone();
        next["id"] = json!(format!("wamid.{}", messages.len()));
        next["text"]["body"] = json!("¿Y esta? ".repeat(400));
        size += next.to_string().len();
        messages.push(next);
    }
    let count = messages.len();
    assert!(count > 900);
    assert_eq!(parse(body.to_string().as_bytes()).unwrap().len(), count);
}
