//! An erasure from stage to stage, and the steps its state refuses.

use std::time::Duration;

use chatwoot::{NewContact, NewMessage};
use domain::{
    CustomerId, InboxId,
    erasure::{ErasureState, RequestSource},
};
use serde_json::json;
use simulator_wire::{Effect, Fault};

use super::*;
use crate::tests::{ACCOUNT, Bench, ana, restaged};

const MINUTE: Duration = Duration::from_secs(60);
const YEAR: Duration = Duration::from_secs(365 * 86_400);

/// Ana has a contact in Chatwoot, and wrote just now.
async fn ana_is_active(bench: &Bench) -> DataSubject {
    let chatwoot = bench.handler.clients.chatwoot(ACCOUNT).await.unwrap();
    let mut subject = bench.gathered();
    let customer = CustomerId::new("customer-ana");
    let new = NewContact { name: "Ana", phone_number: None, customer: &customer, custom_attributes: json!({}) };
    let contact = chatwoot.create_contact(InboxId(14), &new).await.unwrap();
    let conversation = chatwoot.create_conversation(InboxId(14), contact, &customer, false).await.unwrap();
    let hola = NewMessage { content: "hola", incoming: true, ..NewMessage::default() };
    chatwoot.create_message(conversation, hola).await.unwrap();
    subject.contacts.insert((ACCOUNT, contact));
    subject
}

/// The queues are drained; the dead letters are next.
fn drained(erasure: Erasure, now: Timestamp) -> Erasure {
    let begun = erasure.begin(now).unwrap();
    begun.clear(DataLocation::InboundQueue, now).unwrap().clear(DataLocation::OutboundQueue, now).unwrap()
}

#[tokio::test]
async fn an_erasure_goes_through_every_stage_to_its_receipt() {
    let bench = Bench::start().await;
    let subject = DataSubject { phones: ana().phone.into_iter().collect(), ..DataSubject::default() };
    let asked = bench.handler.requests.ask(RequestSource::Operator, subject, bench.now()).await.unwrap();
    let code = asked.entry.erasure.code();
    let erasures = &bench.handler.clients.erasures;
    // Sealed: tombstones stand, and a drain marker is in each message group.
    assert!(!bench.work_on(code).await);
    let known = erasures.data_subject(code).await.unwrap().unwrap();
    assert_eq!((known.aliases.len(), bench.tombstones(&known).await), (1, 1));
    let awaited = erasures.awaited(code, "inbound").await.unwrap();
    // What a phone tells of the past has a queue of its own, on the same side.
    let held = [bench.bridge.receive("inbound").await, bench.bridge.receive("history").await];
    assert!(held.iter().all(|markers| !markers.is_empty()));
    assert_eq!(awaited.len(), held.iter().map(Vec::len).sum::<usize>());
    let erasure = bench.entry(code).await.erasure;
    assert_eq!(erasure.next_location(), Some(DataLocation::InboundQueue));
    // Cleared: the markers came out, and nothing is left anywhere.
    for group in awaited {
        erasures.drain_marker_is_out(code, "inbound", &group).await.unwrap();
    }
    bench.bridge.clock.advance(MINUTE);
    assert!(!bench.work_on(code).await, "the second check is still to come");
    let erasure = bench.entry(code).await.erasure;
    assert_eq!((erasure.next_location(), erasure.is_closed()), (None, false));
    assert_eq!(erasures.receipt(code).await.unwrap(), None);
    // Checked and done.
    bench.bridge.clock.advance(4 * MINUTE);
    assert!(bench.work_on(code).await);
    assert!(matches!(bench.entry(code).await.erasure.state(), ErasureState::Done { .. }));
    assert!(erasures.receipt(code).await.unwrap().is_some());
}

#[tokio::test]
async fn a_retention_erasure_is_withdrawn_if_the_customer_is_active() {
    let bench = Bench::start().await;
    let subject = DataSubject { quiet_since: Some(bench.now() - YEAR), ..ana_is_active(&bench).await };
    let by_retention = |erasure| restaged(&drained(erasure, bench.now()), "source", json!(RequestSource::Retention));
    let entry = bench.request(&subject, by_retention).await;
    bench.handler.clients.tombstones.insert_all(&entry.erasure, &subject, true).await.unwrap();
    let code = entry.erasure.code();
    assert!(bench.work_on(code).await);
    assert!(matches!(bench.entry(code).await.erasure.state(), ErasureState::Withdrawn { .. }));
    assert_eq!(bench.tombstones(&subject).await, 0, "what she wrote comes in");
}

#[tokio::test]
async fn an_erasure_that_cannot_be_withdrawn_keeps_its_tombstones_and_its_task() {
    let bench = Bench::start().await;
    let subject = DataSubject { quiet_since: Some(bench.now() - YEAR), ..ana_is_active(&bench).await };
    // A person asked for it: the state refuses to withdraw it.
    let entry = bench.request(&subject, |erasure| drained(erasure, bench.now())).await;
    bench.handler.clients.tombstones.insert_all(&entry.erasure, &subject, true).await.unwrap();
    let code = entry.erasure.code();
    assert!(!bench.work_on(code).await, "the task stays in its queue");
    assert_eq!(bench.tombstones(&subject).await, 1, "she stays out");
    assert!(!bench.entry(code).await.erasure.is_closed());
}

#[tokio::test]
async fn a_location_that_fails_is_waited_for_and_the_others_stay_clear() {
    let bench = Bench::start().await;
    let subject = ana_is_active(&bench).await;
    let entry = bench.request(&subject, |erasure| drained(erasure, bench.now())).await;
    let down = Effect::Answer { status: 503, content_type: "text/html".to_owned(), body: String::new() };
    bench.chatwoot.faults().add(Fault { method: None, path: "/api/v1".to_owned(), skip: 0, times: None, effect: down });
    let code = entry.erasure.code();
    assert!(!bench.work_on(code).await);
    let erasure = bench.entry(code).await.erasure;
    assert!(matches!(erasure.state(), ErasureState::Waiting { location: DataLocation::Chatwoot, tries: 1, .. }));
    assert!(erasure.cleared().contains_key(&DataLocation::DeadLetters));
}

#[tokio::test]
async fn a_data_subject_that_nobody_knows_any_more_has_to_be_named_again() {
    let bench = Bench::start().await;
    let unnamed = DataSubject { nameless: true, ..DataSubject::default() };
    let entry = bench.request(&unnamed, |erasure| erasure).await;
    let code = entry.erasure.code();
    assert!(!bench.work_on(code).await);
    let erasure = bench.entry(code).await.erasure;
    assert!(matches!(erasure.state(), ErasureState::Waiting { location: DataLocation::Chatwoot, .. }));
    assert!(erasure.cleared().is_empty());
}
