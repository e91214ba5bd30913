//! A label that is removed when its hours are just over, and nothing has begun.

use chatwoot::NewContact;
use domain::{CustomerId, ErasureTask, InboxId, PhoneNumberId, erasure::ErasureState};
use serde_json::json;

use super::*;
use crate::tests::{ACCOUNT, Bench, CHANNEL};

#[tokio::test]
async fn a_label_removed_before_the_erasure_began_withdraws_it_and_the_agents_read_that() {
    let bench = Bench::start().await;
    let clients = &bench.handler.clients;
    let chatwoot = clients.chatwoot(ACCOUNT).await.unwrap();
    let customer = CustomerId::new("customer-ana");
    let new = NewContact { name: "Ana", phone_number: None, customer: &customer, custom_attributes: json!({}) };
    let contact = chatwoot.create_contact(InboxId(14), &new).await.unwrap();
    let conversation = chatwoot.create_conversation(InboxId(14), contact, &customer, false).await.unwrap();
    let sync = SyncRequest::new(PhoneNumberId::new(CHANNEL), ACCOUNT, conversation);
    let mut subject = app::resolve_data_subject(clients, &chatwoot, &sync).await.unwrap().unwrap();
    subject.only = Some(ACCOUNT);
    subject.labels.insert((ACCOUNT, conversation));
    let asked = bench.handler.requests.ask(RequestSource::Agent, subject, bench.now()).await.unwrap();
    bench.bridge.clock.advance(Duration::from_secs(24 * 3600 + 60));
    assert!(bench.receive(&ErasureTask::LabelsV1(sync)).await);
    let erasure = bench.entry(asked.entry.erasure.code()).await.erasure;
    assert!(matches!(erasure.state(), ErasureState::Withdrawn { .. }), "{:?}", erasure.state());
    let notes = bench.chatwoot.messages(conversation.0);
    assert_eq!(notes.last().unwrap().content, ErasureNotice::Unlabeled.text(texts::Locale::Es));
}
