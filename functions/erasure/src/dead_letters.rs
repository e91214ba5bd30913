//! The dead letters of every queue, one by one: what is about the person goes, what is about others stays where it is.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_sqs::types::{Message, MessageSystemAttributeName};
use base64::Engine as _;
use bridge::BridgeError;
use domain::{Identity, InboundTask, OutboundTask, Subject, erasure::Place, mention};
use queue::{DeadLetters, QueueError};
use store::{ErasureEntry, Target};

use crate::{Came, Eraser};

/// How long a letter is out of sight while the others are looked at.
const HIDDEN_SECONDS: i32 = 120;

/// More letters than an operator leaves lying.
const MOST: usize = 20_000;

impl Eraser {
    pub(crate) async fn clear_dead_letters(
        &self,
        entry: &mut ErasureEntry,
        target: &Target,
    ) -> Result<Came, BridgeError> {
        let mut all = entry.erasure.found.get(&Place::DeadLetters).copied().unwrap_or_default();
        for _ in 0..2 {
            let mut found = 0;
            for url in &self.dead {
                found += self.sweep(url, target).await?;
            }
            if found == 0 {
                return Ok(Came::Clear);
            }
            all += found as u64;
            self.note(entry, Place::DeadLetters, usize::try_from(all).unwrap_or(usize::MAX)).await?;
        }
        Ok(Came::Later)
    }

    /// One pass over a queue; how many letters were about the person. Those that are not are shown again, in their order.
    async fn sweep(&self, url: &str, target: &Target) -> Result<usize, BridgeError> {
        let mut kept: Vec<Message> = Vec::new();
        let (mut found, mut seen, mut theirs) = (0, 0, BTreeSet::new());
        let swept = loop {
            let page = match self.receive(url).await {
                Ok(page) => page,
                Err(error) => break Err(error),
            };
            if page.is_empty() || seen > MOST {
                break Ok(());
            }
            seen += page.len();
            let (mut gone, mut trouble) = (Vec::new(), None);
            for letter in page {
                let group = group(&letter);
                let text = text(&letter);
                // Pieces of one letter have a group of their own.
                if theirs.contains(&group) || self.is_about(&text, target) {
                    if let Err(error) = self.keep_the_rest(url, &letter, &text, target).await {
                        trouble.get_or_insert(error);
                        kept.push(letter);
                        continue;
                    }
                    if letter.message_attributes().is_some_and(|attributes| attributes.contains_key("part")) {
                        theirs.insert(group);
                    }
                    gone.push(letter);
                } else {
                    kept.push(letter);
                }
            }
            found += gone.len();
            if let Err(error) = self.remove(url, &gone).await {
                break Err(error);
            }
            if let Some(error) = trouble {
                break Err(error);
            }
        };
        // The last first, or the first would be overtaken.
        for letter in kept.iter().rev() {
            self.show_again(url, letter).await;
        }
        swept.map(|()| found)
    }

    async fn receive(&self, url: &str) -> Result<Vec<Message>, BridgeError> {
        let request = self
            .clients
            .sqs
            .receive_message()
            .queue_url(url)
            .max_number_of_messages(10)
            .visibility_timeout(HIDDEN_SECONDS)
            .message_system_attribute_names(MessageSystemAttributeName::MessageGroupId)
            .message_attribute_names("All");
        let answer = request.send().await.map_err(QueueError::call)?;
        Ok(answer.messages.unwrap_or_default())
    }

    async fn remove(&self, url: &str, letters: &[Message]) -> Result<(), BridgeError> {
        for letter in letters {
            let request = self.clients.sqs.delete_message().queue_url(url);
            request.set_receipt_handle(letter.receipt_handle.clone()).send().await.map_err(QueueError::call)?;
        }
        Ok(())
    }

    async fn show_again(&self, url: &str, letter: &Message) {
        let request = self.clients.sqs.change_message_visibility().queue_url(url).visibility_timeout(0);
        if request.set_receipt_handle(letter.receipt_handle.clone()).send().await.is_err() {
            tracing::debug!("a dead letter of somebody else shows again by itself");
        }
    }

    /// A letter nobody could read may tell of others as well: what it says of them is put back, before the letter goes.
    async fn keep_the_rest(&self, url: &str, letter: &Message, text: &str, target: &Target) -> Result<(), BridgeError> {
        if self.of_one(text, target).is_some() {
            return Ok(());
        }
        let theirs = |text: &str| self.is_named(text, target);
        let Some(rest) = mention::without(text, &theirs) else { return Ok(()) };
        let reason = letter.message_attributes().and_then(|attributes| attributes.get("reason")?.string_value());
        let dead_letters = DeadLetters::new(self.clients.sqs.clone(), url.to_owned());
        Ok(dead_letters.put(&group(letter), rest.as_bytes(), reason.unwrap_or("unreadable_item")).await?)
    }

    /// Whether a letter is about the person: by whom it is, where that can be read, and by any mention, where not.
    fn is_about(&self, text: &str, target: &Target) -> bool {
        self.of_one(text, target).unwrap_or_else(|| self.is_named(text, target))
    }

    /// Whether a task about one person is about this one; nothing if it is no such task.
    fn of_one(&self, text: &str, target: &Target) -> Option<bool> {
        let is = |identity: &Identity| {
            identity.aliases(&self.clients.key).iter().any(|alias| target.aliases.contains(&alias.subject))
        };
        match serde_json::from_str::<InboundTask>(text) {
            Ok(InboundTask::MessageV1(message)) => return Some(is(&message.customer)),
            Ok(InboundTask::StatusV1(status)) => return Some(is(&status.customer)),
            _ => {}
        }
        let Ok(OutboundTask::HintV1(hint)) = serde_json::from_str::<OutboundTask>(text) else { return None };
        let same = |account, conversation| (account, conversation) == (hint.account, hint.conversation);
        Some(target.conversations.iter().any(|(account, conversation, _)| same(*account, *conversation)))
    }

    fn is_named(&self, text: &str, target: &Target) -> bool {
        let named: BTreeSet<Subject> = mention::mentioned(text, &self.clients.key);
        !named.is_disjoint(&target.aliases) || target.customers.iter().any(|customer| text.contains(customer.as_str()))
    }
}

/// The body as it was before it was set aside.
fn text(letter: &Message) -> String {
    let raw = letter.body().unwrap_or_default();
    let encoding = letter.message_attributes().and_then(|attributes| attributes.get("encoding")?.string_value());
    let decoded =
        (encoding == Some("base64")).then(|| base64::engine::general_purpose::STANDARD.decode(raw).ok()).flatten();
    decoded.map_or_else(|| raw.to_owned(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
}

fn group(letter: &Message) -> String {
    let attributes: Option<&HashMap<_, _>> = letter.attributes();
    attributes.and_then(|all| all.get(&MessageSystemAttributeName::MessageGroupId)).cloned().unwrap_or_default()
}
