//! Sends a real message to the operator's own phone, the way an agent's goes, and follows it until the phone has it.

use std::time::Duration;

use app::Clients;
use chatwoot::NewMessage;
use domain::{Channel, ConversationId, Identity, MessageId, Timestamp};
use platform::wait_until;
use serde_json::Value;
use texts::NoteText;

use super::Findings;

/// How long it may take, and how often it is looked for.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(60);
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

const CHECK: &str = "probe";
const PAGE: &str = "docs/ops.md";

pub(super) async fn look(
    clients: &Clients,
    phone: &str,
    from: Option<&str>,
    findings: &mut Findings<'_>,
) -> anyhow::Result<()> {
    let channels = clients.channels.all().await?;
    let named = channels.iter().filter(|channel| from.is_none_or(|from| channel.phone_number_id.as_str() == from));
    let channel = match named.collect::<Vec<_>>().as_slice() {
        [only] => *only,
        [] => return findings.fail(CHECK, "there is no such number", "ops channel list", PAGE),
        _ => return findings.fail(CHECK, "there are several numbers", "say which one with --from", PAGE),
    };
    let Some(conversation) = conversation(clients, channel, phone).await? else {
        let words = "this phone has not written to the number within 24 hours";
        return findings.fail(CHECK, words, "write to the number from it first", PAGE);
    };
    let chatwoot = clients.chatwoot(channel.account).await?;
    let content = NoteText::OperatorTest.text(clients.locale);
    let message = NewMessage {
        content: &content,
        incoming: false,
        private: false,
        quiet: false,
        line: false,
        source_id: None,
        attributes: Value::Null,
        template: None,
        attachment: None,
    };
    let begun = clients.clock.now();
    let id = chatwoot.create_message(conversation, message).await?;
    loop {
        let before = MessageId(id.0 - 1);
        let listed = chatwoot.messages(conversation, Some(before), begun).await?;
        let ours = listed.into_iter().find(|message| message.id == id);
        let took = clients.clock.now().since(begun);
        match ours {
            Some(message) if message.is_failed() => {
                let why = message.error().unwrap_or("it turned red").to_owned();
                return findings.fail(CHECK, &why, "the sentence is what an agent reads", "docs/agents.md");
            }
            Some(message) if message.is_delivered() => {
                return findings.ok(CHECK, &format!("the phone had it after {:.1} s", took.as_secs_f64()));
            }
            _ if took >= DELIVERY_TIMEOUT => {
                let words = format!("no word from the phone after {} s", DELIVERY_TIMEOUT.as_secs());
                let next = "is the phone on? else look where it stays";
                return findings.fail(CHECK, &words, next, "docs/howto/stuck-conversation.md");
            }
            _ => wait_until(&*clients.clock, clients.clock.now() + LOOK_INTERVAL).await,
        }
    }
}

/// The conversation with a phone whose window is open.
async fn conversation(clients: &Clients, channel: &Channel, phone: &str) -> anyhow::Result<Option<ConversationId>> {
    let digits: String = phone.chars().filter(char::is_ascii_digit).collect();
    let identity = Identity { phone: Some(domain::WaId::new(digits)), ..Identity::default() };
    let Some(customer) = clients.customers.find(channel.account, &identity).await? else { return Ok(None) };
    let thread = clients.customers.thread(&customer, &channel.phone_number_id).await?;
    let now: Timestamp = clients.clock.now();
    Ok(thread.filter(|thread| thread.window.is_open(now)).and_then(|thread| thread.conversation))
}
