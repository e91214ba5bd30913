//! Which of several contacts is the customer's.

use domain::{InboundTask, InboxId};

use super::*;
use crate::tests::{Bench, message, text};

fn conversation(inbox: i64, resolved: bool) -> ConversationAge {
    ConversationAge {
        id: domain::ConversationId(1),
        inbox: Some(InboxId(inbox)),
        contact: None,
        active_at: None,
        said_at: None,
        labels: Vec::new(),
        resolved,
    }
}

#[tokio::test]
async fn a_contact_that_an_agent_imported_becomes_the_customer_s() {
    let bench = Bench::start().await;
    let chatwoot = bench.handler.clients.chatwoot(domain::AccountId(3)).await.unwrap();
    let customer = CustomerId::new("of-the-import");
    let imported = NewContact {
        name: "Ana del taller",
        phone_number: Some("+525555550123"),
        customer: &customer,
        custom_attributes: json!({}),
    };
    let imported = chatwoot.create_contact(InboxId(14), &imported).await.unwrap();
    assert!(bench.receive(&InboundTask::MessageV1(Box::new(message(text("hola")))), bench.now(), 1).await);
    let contacts = bench.chatwoot.contacts();
    assert_eq!(contacts.len(), 1, "found by another spelling of the phone");
    assert_eq!(contacts[0].id, imported.0);
    assert!(bench.chatwoot.conversation_of("Ana del taller").is_some());
}

#[test]
fn a_person_without_a_name_is_called_by_what_is_known() {
    let customer = CustomerId::new("c-1");
    let name = |message: &Message, phone: Option<&str>| new_contact(message, &customer, phone, texts::Locale::Es).name;
    let ana = message(text("hola"));
    assert_eq!(name(&ana, Some("+5215555550123")), "Ana");
    let nameless = Message { name: None, ..ana.clone() };
    assert_eq!(name(&nameless, Some("+5215555550123")), "+5215555550123");
    let known = Message { username: Some("ana.mx".to_owned()), ..nameless.clone() };
    assert_eq!(name(&known, Some("+5215555550123")), "ana.mx");
    assert_eq!(name(&nameless, None), NoteText::Nameless.text(texts::Locale::Es));
    let mut group = ana;
    group.customer.group = Some(domain::GroupId::new("group-1"));
    assert_eq!(name(&group, None), NoteText::GroupName.text(texts::Locale::Es));
}

#[test]
fn an_open_chat_in_this_inbox_counts_most() {
    let channel = crate::tests::sales();
    let chats = [conversation(99, false), conversation(14, true), conversation(14, false)];
    let chats: Vec<Chat> = chats.iter().map(|one| Chat::of(one, &channel)).collect();
    assert_eq!(chats, [Chat::Elsewhere, Chat::Resolved, Chat::Open]);
    assert!(chats.is_sorted() && Chat::Nowhere < Chat::Elsewhere);
}
