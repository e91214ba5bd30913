//! Reads what a phone app tells of its past, in every shape it comes in.

use std::collections::BTreeSet;

use domain::{
    Author, HistoryTask, InboundTask,
    history::{HistorySlice, PastState},
};
use proptest::prelude::*;
use serde_json::{Value, json};
use whatsapp::webhook::{GroupedHistory, Webhook};

use crate::corpus::split;

const OWN: &str = "525555550100";
const ANA: &str = "5215555550123";

fn body(value: &Value) -> Value {
    let metadata = json!({"display_phone_number": OWN, "phone_number_id": "104857600123456"});
    let mut value = value.clone();
    value["metadata"] = metadata;
    json!({"object": "whatsapp_business_account",
        "entry": [{"id": "1", "changes": [{"field": "history", "value": value}]}]})
}

fn chunk(messages: &[Value]) -> Value {
    let metadata = json!({"phase": 0, "chunk_order": 1, "progress": 12});
    body(&json!({"history": [{"metadata": metadata, "threads": [{"id": ANA, "messages": messages}]}]}))
}

fn read(body: &Value) -> Webhook {
    split(body.to_string().as_bytes()).expect("a webhook")
}

fn slices(body: &Value) -> Vec<HistorySlice> {
    let slice = |grouped: GroupedHistory| match grouped.task {
        HistoryTask::SliceV1(slice) => Some(*slice),
        _ => None,
    };
    read(body).history.into_iter().filter_map(slice).collect()
}

fn authors(messages: &[Value]) -> Vec<Option<Author>> {
    messages
        .iter()
        .map(|message| {
            let all = slices(&chunk(std::slice::from_ref(message)));
            assert_eq!(all.len(), 1);
            assert_eq!(all[0].weight(), 1);
            all[0].messages.first().map(|message| message.author)
        })
        .collect()
}

#[test]
fn who_wrote_it_is_said_in_many_ways() {
    let said = |members: Value| {
        let mut message = json!({"timestamp": "1795150400", "type": "text", "text": {"body": "x"}});
        for (name, member) in members.as_object().unwrap() {
            message[name] = member.clone();
        }
        message
    };
    let customer = [
        json!({"from": ANA}),
        json!({"from": "525555550123", "to": OWN}),
        json!({"from": ANA, "to": "", "history_context": {"status": "READ"}}),
        json!({"from": "", "history_context": {"from_me": false}}),
        json!({"direction": "INBOUND"}),
        json!({"direction": "incoming"}),
        json!({"id": "wamid.HBgNNTIxNTU1NTU1MDEyMxUCABIYFDNBQzM3MTg4RjAyNjNENDM4NjZBAA=="}),
    ];
    let business = [
        json!({"from": OWN}),
        json!({"from": OWN, "to": ANA}),
        json!({"to": ANA}),
        json!({"to_user_id": "MX.1"}),
        json!({"history_context": {"from_me": "true"}}),
        json!({"direction": "Outbound"}),
        json!({"history_context": {"direction": "BUSINESS_INITIATED"}}),
        json!({"id": "wamid.HBgNNTIxNTU1NTU1MDEyMxUCABEYFDNFQjBBREM2OUVEQkQyODFDOUUwAA=="}),
    ];
    let of = |all: &[Value]| authors(&all.iter().cloned().map(said).collect::<Vec<_>>());
    assert_eq!(of(&customer), vec![Some(Author::Customer); customer.len()]);
    assert_eq!(of(&business), vec![Some(Author::Business); business.len()]);
    assert_eq!(of(&[json!({"from": "5215555559999"}), json!({"id": "x"})]), [None, None]);
}

#[test]
fn a_person_without_a_phone_is_known_by_the_user_id() {
    let thread = json!({"id": "", "context": {"user_id": "MX.9", "username": "@lupita", "wa_id": ""}, "messages": [
        {"from": "", "from_user_id": "MX.9", "id": "a", "timestamp": "1792190400", "type": "text", "text": {"body": "hola"}},
        {"from": OWN, "to_user_id": "MX.9", "id": "b", "timestamp": "1792190500", "type": "text", "text": {"body": "sí"}},
    ]});
    let all = slices(&body(&json!({"history": [{"threads": [thread]}]})));
    let [slice] = &all[..] else { panic!("{all:?}") };
    assert_eq!(slice.customer.user_id.as_ref().map(domain::UserId::as_str), Some("MX.9"));
    assert_eq!((slice.customer.phone.as_ref(), slice.username.as_deref()), (None, Some("lupita")));
    let authors: Vec<_> = slice.messages.iter().map(|message| message.author).collect();
    assert_eq!(authors, [Author::Customer, Author::Business]);
    // A thread that names nobody is of whom its messages name.
    let nameless = json!({"messages": [{"from": OWN, "to": ANA, "id": "c", "timestamp": "1", "type": "text"}]});
    let all = slices(&body(&json!({"history": [{"threads": [nameless]}]})));
    assert_eq!(all[0].customer.phone.as_ref().map(domain::WaId::as_str), Some(ANA));
}

#[test]
fn slices_are_small_in_order_and_of_one_person() {
    let message = |n: i64| {
        json!({"from": ANA, "id": format!("w{n}"), "timestamp": (1_795_150_400 - n).to_string(), "type": "text",
            "text": {"body": "x"}, "history_context": {"status": "played"}})
    };
    let all = slices(&chunk(&(0..250).map(message).collect::<Vec<_>>()));
    assert_eq!(all.iter().map(|slice| slice.messages.len()).collect::<Vec<_>>(), [100, 100, 50]);
    let times: Vec<_> = all.iter().flat_map(|slice| &slice.messages).map(|message| message.at).collect();
    assert!(times.is_sorted());
    assert!(all.iter().flat_map(|slice| &slice.messages).all(|message| message.state == Some(PastState::Read)));
    let long = |n: i64| {
        let mut message = message(n);
        message["text"]["body"] = json!("x".repeat(60_000));
        message
    };
    let all = slices(&chunk(&(0..5).map(long).collect::<Vec<_>>()));
    assert_eq!(all.iter().map(|slice| slice.messages.len()).collect::<Vec<_>>(), [2, 2, 1]);
    // The same bytes again make the same slices, and each has a group of its own.
    let again = read(&chunk(&(0..250).map(message).collect::<Vec<_>>()));
    assert_eq!(again, read(&chunk(&(0..250).map(message).collect::<Vec<_>>())));
    let groups: BTreeSet<_> = again.history.iter().map(|grouped| grouped.group.to_string()).collect();
    assert_eq!(groups.len(), 3);
    assert!(groups.iter().all(|group| group.len() <= 128 && !group.contains(ANA)));
}

#[test]
fn a_message_without_a_time_stands_beside_its_neighbor() {
    let at =
        |id: &str, time: Value| json!({"from": ANA, "id": id, "timestamp": time, "type": "text", "text": {"body": id}});
    let untimed = |id: &str| json!({"from": ANA, "id": id, "type": "text", "text": {"body": id}});
    let all =
        slices(&chunk(&[untimed("a"), at("b", json!(1_795_150_400)), untimed("c"), at("d", json!("1795150300"))]));
    let read: Vec<_> = all[0].messages.iter().map(|one| (one.id.as_str(), one.at.as_secs(), one.timeless)).collect();
    assert_eq!(
        read,
        [
            ("d", 1_795_150_300, false),
            ("a", 1_795_150_400, true),
            ("b", 1_795_150_400, false),
            ("c", 1_795_150_400, true),
        ]
    );
}

#[test]
fn live_items_and_files_beside_the_past_are_read_as_what_they_are() {
    let live = json!({"field": "messages", "value": {"metadata": {"phone_number_id": "104857600123456"},
        "messages": [{"from": ANA, "id": "live", "timestamp": "1795190530", "type": "text", "text": {"body": "hola"}}]}});
    let mut mixed =
        chunk(&[json!({"from": ANA, "id": "past", "timestamp": "1795150400", "type": "text", "text": {"body": "x"}})]);
    mixed["entry"][0]["changes"].as_array_mut().unwrap().push(live);
    let file = json!({"from": ANA, "id": "file", "timestamp": "1795150400", "type": "audio", "audio": {"id": "1"}});
    mixed["entry"][0]["changes"][0]["value"]["messages"] = json!([file]);
    let Webhook { tasks, history } = read(&mixed);
    assert!(matches!(&tasks[..], [one] if matches!(one.task, InboundTask::MessageV1(_))));
    assert!(matches!(&history[..], [one, two]
        if matches!(one.task, HistoryTask::SliceV1(_)) && matches!(two.task, HistoryTask::FileV1(_))));
}

fn odd() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        Just(json!("")),
        Just(json!([])),
        Just(json!({})),
        Just(json!([null, 7, {}])),
        Just(json!(-1)),
        Just(json!(1e300)),
        Just(json!("x".repeat(3_000))),
    ]
}

proptest! {
    /// Whatever a member is, nothing panics, every task fits its queue, and a body is never taken for nothing.
    #[test]
    fn a_member_of_any_shape_loses_no_chunk(at in 0..12_usize, odd in odd()) {
        let mut body = chunk(&[json!({"from": ANA, "id": "a", "timestamp": "1795150400", "type": "text",
            "text": {"body": "x"}, "history_context": {"status": "READ"}})]);
        let history = "/entry/0/changes/0/value/history";
        let thread = format!("{history}/0/threads/0");
        let message = format!("{thread}/messages/0");
        let places = [
            history.to_owned(), format!("{history}/0"), format!("{history}/0/metadata"), format!("{history}/0/threads"),
            thread.clone(), format!("{thread}/id"), format!("{thread}/messages"), message.clone(),
            format!("{message}/from"), format!("{message}/id"), format!("{message}/timestamp"), format!("{message}/text"),
        ];
        *body.pointer_mut(&places[at]).unwrap() = odd;
        let Webhook { tasks, history } = read(&body);
        prop_assert!(!tasks.is_empty() || !history.is_empty() || at == 0, "{}", body);
        for grouped in history {
            let queued = serde_json::to_string(&grouped.task).unwrap();
            prop_assert_eq!(&serde_json::from_str::<HistoryTask>(&queued).unwrap(), &grouped.task);
            prop_assert!((1..=128).contains(&grouped.group.to_string().len()));
        }
    }
}
