//! The contract with Chatwoot: one suite of calls and callbacks, against the simulator always and against a real one on demand.
//!
//! It compares status, content type, members and their types with an unmodified Chatwoot of the version in `simulator_chatwoot::VERSION`.
//! `docs/setup.md` says which calls were recorded of it and which rest on its source; `docs/local.md`, how to run it against your own.
#![expect(clippy::unwrap_used, reason = "a suite that cannot ask has failed")]

mod access;
mod callbacks;
mod contacts;
mod conversations;
mod deletion;
mod messages;
mod second;
mod settings;
mod shape;
mod suite;

use serde_json::Value;
use suite::Suite;

/// Whom and what the calls are about.
#[derive(Debug, Default)]
struct Cast {
    contact: i64,
    other: i64,
    conversation: i64,
    /// Of the other contact.
    second: i64,
    source: String,
    incoming: i64,
    outgoing: i64,
}

async fn everything(suite: &mut Suite) {
    suite.listen().await;
    access::asks(suite).await;
    settings::asks(suite).await;
    let mut cast = contacts::asks(suite).await;
    conversations::opens(suite, &mut cast).await;
    messages::asks(suite, &mut cast).await;
    conversations::asks(suite, &cast).await;
    second::asks(suite, &mut cast).await;
    conversations::filtered(suite, &cast).await;
    suite.settle().await;
    callbacks::compared(suite);
    deletion::asks(suite, &cast).await;
}

fn id(body: &Value) -> i64 {
    body["id"].as_i64().unwrap_or_default()
}

#[tokio::test]
async fn the_simulator_answers_and_tells_as_was_recorded() {
    let mut suite = Suite::of_the_simulator().await;
    everything(&mut suite).await;
    suite.agrees();
}

#[test]
fn the_declared_version_is_the_one_that_was_recorded() {
    assert!(
        include_str!("../../../../../docs/setup.md")
            .contains(&format!("{} is tested and supported", simulator_chatwoot::VERSION))
    );
}

#[tokio::test]
#[ignore = "needs a Chatwoot: CHATWOOT_URL, CHATWOOT_TOKEN, CHATWOOT_ACCOUNT, CHATWOOT_INBOX (docs/local.md)"]
async fn a_real_chatwoot_answers_and_tells_as_was_recorded() {
    let mut suite = Suite::of_the_environment().await;
    everything(&mut suite).await;
    suite.agrees();
}
