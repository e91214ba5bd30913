//! People at the dashboard. They act on the installation itself, so faults of the API do not touch them.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::{
    conversation_rules::{Opening, Taken},
    errors::Refusal,
    message_rules::Draft,
    messages::stored,
    params::Upload,
    rows::{ConversationStatus, SenderRef},
    shared::Shared,
};

/// A file: name, content type, bytes.
pub type File = (String, String, Vec<u8>);

/// A dashboard user. Every method panics with Chatwoot's reason if Chatwoot refuses.
#[derive(Clone, Debug)]
pub struct Agent {
    shared: Arc<Shared>,
    user: i64,
}

/// What an agent writes, besides the text.
#[derive(Debug, Default)]
pub(crate) struct Writing {
    pub text: Option<String>,
    pub private: bool,
    pub quote: Option<i64>,
    pub files: Vec<File>,
    pub template: Option<Value>,
    /// Content type and items.
    pub rich: Option<(String, Value)>,
}

#[expect(clippy::unused_async, reason = "acts of people are awaited, as those of every other double")]
impl Agent {
    pub(crate) fn new(shared: Arc<Shared>, user: i64) -> Self {
        Self { shared, user }
    }

    /// Writes to the customer. Gives back the message id.
    pub async fn replies(&self, conversation: i64, text: &str) -> i64 {
        done(self.write(conversation, Writing { text: Some(text.to_owned()), ..Writing::default() }))
    }

    /// Types a reply and does not send it.
    pub async fn drafts(&self, conversation: i64, text: &str) {
        self.shared.lock().drafts.insert(conversation, text.to_owned());
    }

    /// Writes a private note.
    pub async fn notes(&self, conversation: i64, text: &str) -> i64 {
        let writing = Writing { text: Some(text.to_owned()), private: true, ..Writing::default() };
        done(self.write(conversation, writing))
    }

    /// Writes a private note that replies to a certain message.
    pub async fn notes_about(&self, conversation: i64, quoted: i64, text: &str) -> i64 {
        let text = Some(text.to_owned());
        done(self.write(conversation, Writing { text, private: true, quote: Some(quoted), ..Writing::default() }))
    }

    /// Runs a macro that writes these notes: they are the agent's own, as far as anybody can tell.
    pub async fn runs_macro(&self, conversation: i64, notes: &[&str]) {
        for note in notes {
            self.notes(conversation, note).await;
        }
    }

    /// Replies to a certain message.
    pub async fn quotes(&self, conversation: i64, message: i64, text: &str) -> i64 {
        let writing = Writing { text: Some(text.to_owned()), quote: Some(message), ..Writing::default() };
        done(self.write(conversation, writing))
    }

    /// Sends files, all of them in one message.
    pub async fn sends_files(&self, conversation: i64, text: Option<&str>, files: Vec<File>) -> i64 {
        done(self.write(conversation, Writing { text: text.map(str::to_owned), files, ..Writing::default() }))
    }

    /// Replies to a certain message with files.
    pub async fn quotes_with_files(&self, conversation: i64, quote: i64, text: Option<&str>, files: Vec<File>) -> i64 {
        let text = text.map(str::to_owned);
        done(self.write(conversation, Writing { text, quote: Some(quote), files, ..Writing::default() }))
    }

    /// Sends `input_select`, `cards`, `form` or `article` with its items, which only the API can: a bot's or an integration's
    /// way, under this user's name.
    pub async fn sends_rich(&self, conversation: i64, text: Option<&str>, content_type: &str, items: Value) -> i64 {
        let rich = Some((content_type.to_owned(), items));
        done(self.write(conversation, Writing { text: text.map(str::to_owned), rich, ..Writing::default() }))
    }

    /// Picks a template; `content` is its text with the values filled in.
    pub async fn picks_template(&self, conversation: i64, params: Value, content: &str) -> i64 {
        let writing = Writing { text: Some(content.to_owned()), template: Some(params), ..Writing::default() };
        done(self.write(conversation, writing))
    }

    /// Deletes a message, softly.
    pub async fn deletes(&self, conversation: i64, message: i64) {
        done(self.delete(conversation, message));
    }

    /// Presses Retry.
    pub async fn retries(&self, conversation: i64, message: i64) {
        done(self.retry(conversation, message));
    }

    /// Resolves the conversation.
    pub async fn resolves(&self, conversation: i64) {
        done(self.shared.lock().set_status(conversation, ConversationStatus::Resolved, Some(self.user)));
    }

    /// Opens the conversation again and takes it on.
    pub async fn reopens(&self, conversation: i64) {
        let mut state = self.shared.lock();
        done(state.set_status(conversation, ConversationStatus::Open, Some(self.user)));
        done(state.assign(conversation, Some(self.user), Some(self.user)));
    }

    /// Takes the conversation on.
    pub async fn takes(&self, conversation: i64) {
        done(self.shared.lock().assign(conversation, Some(self.user), Some(self.user)));
    }

    /// Gives the conversation back to nobody, and goes on taking part in it.
    pub async fn leaves(&self, conversation: i64) {
        done(self.shared.lock().assign(conversation, None, Some(self.user)));
    }

    /// Fills in an attribute of the conversation.
    pub async fn fills_in(&self, conversation: i64, key: &str, value: Value) {
        let mut state = self.shared.lock();
        let mut attributes = done(state.conversation(conversation).map(|row| row.custom_attributes.clone()));
        attributes.insert(key.to_owned(), value);
        done(state.set_custom_attributes(conversation, attributes));
    }

    /// Replaces the labels of a conversation.
    pub async fn labels(&self, conversation: i64, labels: &[&str]) {
        let labels = labels.iter().map(|label| (*label).to_owned()).collect();
        done(self.shared.lock().set_labels(conversation, labels, self.user));
    }

    /// Starts a conversation by hand. The source id is the one the contact has in that inbox already, else a random UUID that
    /// nobody else knows. Gives back conversation and message.
    pub async fn starts_conversation(&self, contact: i64, inbox: i64, text: &str) -> (i64, i64) {
        let conversation = {
            let mut state = self.shared.lock();
            let rows = state.contact_inboxes.values().rev();
            let known = rows.filter(|row| row.contact_id == contact && row.inbox_id == inbox).map(|row| row.id).next();
            let row = known
                .map_or_else(|| state.contact_inbox_for(contact, inbox, None).map_err(|Taken| Refusal::broken()), Ok);
            done(row.and_then(|row| state.open_conversation(row, Opening::default())))
        };
        (conversation, self.replies(conversation, text).await)
    }

    /// Enters a contact by hand. Gives back its id.
    pub async fn adds_contact(&self, name: &str, phone_number: Option<&str>) -> i64 {
        let mut state = self.shared.lock();
        let mut contact = state.blank_contact();
        name.clone_into(&mut contact.name);
        contact.phone_number = phone_number.map(str::to_owned);
        done(state.save_contact(contact))
    }

    /// Blocks a contact.
    pub async fn blocks(&self, contact: i64) {
        self.changes(contact, |row| row.blocked = true);
    }

    /// Renames a contact.
    pub async fn renames(&self, contact: i64, name: &str) {
        self.changes(contact, |row| name.clone_into(&mut row.name));
    }

    /// Edits a contact's phone number.
    pub async fn changes_phone(&self, contact: i64, phone_number: Option<&str>) {
        self.changes(contact, |row| row.phone_number = phone_number.map(str::to_owned));
    }

    /// Has another system write a contact's identifier, as an import does; an empty text stays one.
    pub async fn identifies(&self, contact: i64, identifier: &str) {
        self.changes(contact, |row| row.identifier = Some(identifier.to_owned()));
    }

    /// Merges `mergee` into `base`; `mergee` is gone afterwards.
    pub async fn merges(&self, base: i64, mergee: i64) {
        done(self.shared.lock().merge_contacts(base, mergee));
    }

    /// Starts or stops typing.
    pub async fn types(&self, conversation: i64, on: bool) {
        self.shared.lock().tell_typing(conversation, SenderRef::User(self.user), on, false);
    }

    /// Starts to type a private note.
    pub async fn types_a_note(&self, conversation: i64) {
        self.shared.lock().tell_typing(conversation, SenderRef::User(self.user), true, true);
    }

    /// Deletes a contact, as an administrator can.
    pub async fn deletes_contact(&self, contact: i64) {
        done(self.shared.lock().delete_contact(contact));
    }

    /// Deletes a conversation, as an administrator can.
    pub async fn deletes_conversation(&self, conversation: i64) {
        done(self.shared.lock().delete_conversation(conversation));
    }

    fn changes(&self, contact: i64, change: impl FnOnce(&mut crate::rows::Contact)) {
        let mut state = self.shared.lock();
        let mut row = done(state.contact(contact).cloned());
        change(&mut row);
        done(state.save_contact(row));
    }

    pub(crate) fn write(&self, conversation: i64, writing: Writing) -> Result<i64, Refusal> {
        let mut state = self.shared.lock();
        let mut draft = Draft::outgoing(SenderRef::User(self.user), writing.text);
        draft.private = writing.private;
        if let Some(quote) = writing.quote {
            draft.content_attributes.insert("in_reply_to".to_owned(), json!(quote));
        }
        if let Some(template) = writing.template {
            draft.additional_attributes.insert("template_params".to_owned(), template);
        }
        if let Some((content_type, items)) = writing.rich {
            draft.content_type = content_type;
            draft.content_attributes.insert("items".to_owned(), items);
        }
        for (filename, content_type, bytes) in writing.files {
            draft.blobs.push(stored(&mut state, Upload { filename, content_type, bytes: Bytes::from(bytes) }));
        }
        state.create_message(conversation, draft)
    }

    pub(crate) fn delete(&self, conversation: i64, message: i64) -> Result<(), Refusal> {
        let mut state = self.shared.lock();
        state.message(conversation, message)?;
        state.delete_message(message)
    }

    pub(crate) fn retry(&self, conversation: i64, message: i64) -> Result<(), Refusal> {
        let mut state = self.shared.lock();
        state.message(conversation, message)?;
        state.retry_message(message)
    }
}

#[track_caller]
fn done<T>(outcome: Result<T, Refusal>) -> T {
    match outcome {
        Ok(value) => value,
        Err(refusal) => panic!("Chatwoot refuses the agent: {}", refusal.describe()),
    }
}
