//! Which dead letters an erasure covers.

use aws_sdk_sqs::types::{Message, MessageSystemAttributeName};
use domain::{Author, Content, KeyedHash, PhoneNumberId, SyncRequest, WaId, Wamid};
use serde_json::json;

use super::*;

const CHANNEL: &str = "104857600123456";
const ASKED_AT: Timestamp = Timestamp::from_secs(1_795_190_400);

fn person(phone: &str) -> Identity {
    Identity { phone: Some(WaId::new(phone)), ..Identity::default() }
}

/// An erasure of Ana's, up to the moment it was asked for.
fn wanted() -> Wanted {
    let key = HashKey::new("subject-key".into());
    let aliases = person("5215555550123").aliases(&key).into_iter().map(|alias| alias.subject).collect();
    let conversations = [(AccountId(3), ConversationId(7), PhoneNumberId::new(CHANNEL))].into();
    let customers = [domain::CustomerId::new("customer-of-ana")].into();
    let subject = DataSubject { aliases, conversations, customers, ..DataSubject::default() };
    Wanted { key, subject, elsewhere: BTreeSet::new(), until: None, up_to: ASKED_AT, asked_at: ASKED_AT }
}

fn message_of(identity: Identity, sent_at: Timestamp) -> InboundTask {
    InboundTask::MessageV1(Box::new(domain::Message {
        channel: PhoneNumberId::new(CHANNEL),
        item: KeyedHash::new("item-1"),
        id: Some(Wamid::new("wamid.1")),
        author: Author::Customer,
        customer: identity,
        name: None,
        username: None,
        sent_at,
        reply_to: None,
        forwarded: false,
        forwarded_often: false,
        referral: None,
        product: None,
        speaker: None,
        part_of: None,
        standby: false,
        content: Content::Text { body: "hola".to_owned() },
    }))
}

fn covers(wanted: &Wanted, text: &str, dead_since: Timestamp) -> bool {
    let letter = Message::builder()
        .body(text)
        .attributes(MessageSystemAttributeName::SentTimestamp, dead_since.as_millis().to_string())
        .build();
    wanted.covers(text, &[letter.into()])
}

fn hours(hours: u64) -> std::time::Duration {
    std::time::Duration::from_secs(hours * 3600)
}

#[test]
fn a_task_is_about_the_person_its_own_ids_name() {
    let text = |phone: &str| serde_json::to_string(&message_of(person(phone), ASKED_AT - hours(1))).unwrap();
    let since = ASKED_AT - hours(1);
    assert!(covers(&wanted(), &text("5215555550123"), since));
    assert!(covers(&wanted(), &text("525555550123"), since), "another spelling");
    assert!(!covers(&wanted(), &text("5215555550124"), since));
    let elsewhere = Wanted { elsewhere: [CHANNEL.to_owned()].into(), ..wanted() };
    assert!(!covers(&elsewhere, &text("5215555550123"), since), "she is another dealer's customer, too");
}

#[test]
fn a_group_s_message_is_about_who_spoke() {
    let InboundTask::MessageV1(mut message) = message_of(Identity::default(), ASKED_AT - hours(1)) else { return };
    message.customer.group = Some(domain::GroupId::new("group-of-riders"));
    message.speaker = Some(WaId::new("5215555550123"));
    let text = serde_json::to_string(&InboundTask::MessageV1(message)).unwrap();
    assert!(covers(&wanted(), &text, ASKED_AT - hours(1)));
}

#[test]
fn a_sync_request_is_about_the_person_of_its_conversation() {
    let text = |account: i64, id: i64| {
        let sync = SyncRequest::new(PhoneNumberId::new(CHANNEL), AccountId(account), ConversationId(id));
        serde_json::to_string(&domain::OutboundTask::SyncRequestV1(sync)).unwrap()
    };
    assert!(covers(&wanted(), &text(3, 7), ASKED_AT));
    assert!(!covers(&wanted(), &text(3, 8), ASKED_AT));
    assert!(!covers(&wanted(), &text(4, 7), ASKED_AT), "another dealer's conversation of that number");
}

#[test]
fn what_cannot_be_read_counts_by_any_mention_and_leaves_the_rest() {
    let both = json!({"entry": [{"from": "5215555550123"}, {"from": "5215555550124"}]}).to_string();
    assert!(covers(&wanted(), &both, ASKED_AT - hours(1)));
    let rest = wanted().rest(&both).unwrap();
    assert!(rest.contains("5215555550124") && !rest.contains("5215555550123"), "{rest}");
    assert!(covers(&wanted(), "of customer-of-ana, who …", ASKED_AT - hours(1)));
    let others = json!({"from": "5215555550124"}).to_string();
    assert!(!covers(&wanted(), &others, ASKED_AT - hours(1)));
}

#[test]
fn a_message_that_waited_for_the_end_is_spared() {
    let newer = serde_json::to_string(&message_of(person("5215555550123"), ASKED_AT + hours(1))).unwrap();
    assert!(!covers(&wanted(), &newer, ASKED_AT + hours(2)));
    assert!(covers(&wanted(), &newer, ASKED_AT - hours(1)), "its clock is wrong: it was there before");
    let same_second = serde_json::to_string(&message_of(person("5215555550123"), ASKED_AT)).unwrap();
    assert!(covers(&wanted(), &same_second, ASKED_AT + hours(2)));
}

#[test]
fn a_person_who_began_anew_keeps_newer_dead_letters() {
    let begun = Wanted { until: Some(ASKED_AT), ..wanted() };
    let old = serde_json::to_string(&message_of(person("5215555550123"), ASKED_AT - hours(9))).unwrap();
    assert!(covers(&begun, &old, ASKED_AT - hours(1)));
    assert!(!covers(&begun, &old, ASKED_AT + hours(1)));
}
