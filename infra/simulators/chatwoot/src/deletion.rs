//! Deleting the way Chatwoot does it: the answer comes at once, the rows go later, and meanwhile lists break.

use std::collections::BTreeSet;

use domain::Timestamp;
use serde_json::Value;

use crate::{
    errors::Refusal,
    event::{Event, EventSubject},
    rows::{Attributes, MessageType, SenderRef},
    state::State,
};

/// What a queued job will destroy, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Doomed {
    due: Timestamp,
    what: What,
}

#[derive(Clone, Copy, Debug)]
enum What {
    Conversation(i64),
    /// What hangs on a contact that is gone already.
    DependantsOf(i64),
}

impl State {
    /// The row goes now; its conversations and contact inboxes go later.
    pub(crate) fn delete_contact(&mut self, id: i64) -> Result<(), Refusal> {
        self.contact(id)?;
        self.contacts.remove(&id);
        self.doom(What::DependantsOf(id));
        Ok(())
    }

    /// All of it goes later.
    pub(crate) fn delete_conversation(&mut self, id: i64) -> Result<(), Refusal> {
        // The Enterprise code, which the default image has, writes down twice what it was.
        let attributes = self.conversation(id)?.custom_attributes.clone();
        self.audits.extend([attributes.clone(), attributes]);
        self.doom(What::Conversation(id));
        Ok(())
    }

    fn doom(&mut self, what: What) {
        let due = self.now() + self.deletion_delay;
        self.doomed.push(Doomed { due, what });
        self.sweep();
    }

    /// Runs the deletions that are due.
    pub(crate) fn sweep(&mut self) {
        let now = self.now();
        let due: Vec<_> = self.doomed.extract_if(.., |doomed| doomed.due <= now).collect();
        for doomed in due {
            match doomed.what {
                What::Conversation(id) => self.destroy_conversation(id),
                What::DependantsOf(contact) => {
                    let theirs: Vec<_> = self
                        .conversations
                        .values()
                        .filter(|conversation| conversation.contact_id == contact)
                        .map(|conversation| conversation.id)
                        .collect();
                    for id in theirs {
                        self.destroy_conversation(id);
                    }
                    self.contact_inboxes.retain(|_, row| row.contact_id != contact);
                }
            }
        }
    }

    fn destroy_conversation(&mut self, id: i64) {
        self.conversations.remove(&id);
        for message in self.threads.remove(&id).into_iter().flatten() {
            if let Some(message) = self.messages.remove(&message) {
                for attachment in message.attachments {
                    self.blobs.remove(&attachment.blob);
                }
            }
        }
    }

    /// Everything of `mergee` becomes `base`'s, whose own attributes win. Every moved message is saved anew, and told.
    pub(crate) fn merge_contacts(&mut self, base: i64, mergee: i64) -> Result<(), Refusal> {
        if base == mergee {
            return Ok(());
        }
        let gone = self.contact(mergee)?.clone();
        self.contact(base)?;
        self.contacts.remove(&mergee);
        if let Some(kept) = self.contacts.get_mut(&base) {
            kept.email = kept.email.take().or(gone.email);
            kept.phone_number = kept.phone_number.take().or(gone.phone_number);
            kept.identifier = kept.identifier.take().or(gone.identifier);
            if kept.name.is_empty() {
                kept.name = gone.name;
            }
            merge_under(&mut kept.additional_attributes, gone.additional_attributes);
            merge_under(&mut kept.custom_attributes, gone.custom_attributes);
        }
        for row in self.contact_inboxes.values_mut().filter(|row| row.contact_id == mergee) {
            row.contact_id = base;
        }
        let now = self.now();
        let mut moved = BTreeSet::new();
        for conversation in self.conversations.values_mut().filter(|row| row.contact_id == mergee) {
            conversation.contact_id = base;
            conversation.updated_at = now;
            moved.insert(conversation.id);
        }
        for message in self.messages.values_mut() {
            if message.sender == SenderRef::Contact(mergee) {
                message.sender = SenderRef::Contact(base);
            } else if !moved.contains(&message.conversation_id) {
                continue;
            }
            message.updated_at = now;
            if message.message_type != MessageType::Activity {
                self.callbacks.push(Event::new(
                    "message_updated",
                    message.inbox_id,
                    message.conversation_id,
                    EventSubject::Message(message.id),
                ));
            }
        }
        Ok(())
    }
}

/// Adds what is missing, hashes within hashes included.
fn merge_under(kept: &mut Attributes, added: Attributes) {
    for (key, value) in added {
        match (kept.get_mut(&key), value) {
            (Some(Value::Object(kept)), Value::Object(added)) => merge_under(kept, added),
            (Some(_), _) => {}
            (None, value) => {
                kept.insert(key, value);
            }
        }
    }
}
