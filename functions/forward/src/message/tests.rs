//! Which contact becomes the customer's.

use chatwoot::NewContact;
use domain::{CustomerId, InboundTask, InboxId};
use serde_json::json;

use crate::tests::{Bench, message, text};

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
