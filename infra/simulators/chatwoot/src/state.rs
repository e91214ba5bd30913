//! Everything the installation remembers, and the few look-ups that every subject needs.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use domain::{SharedClock, Timestamp};
use uuid::Uuid;

use crate::{
    Language,
    attachments::FileMode,
    automation::{Robot, Rule},
    calendar::iso,
    callbacks::Callbacks,
    definitions::{Definition, Label},
    deletion::Doomed,
    errors::Refusal,
    event::{Change, Changes, Event, EventSubject},
    notifications::Notification,
    rows::{Attributes, Blob, Contact, ContactInbox, Conversation, InboxRow, Message, Role, User},
    throttle::{Limits, Throttles},
};

#[derive(Debug)]
pub(crate) struct State {
    pub clock: SharedClock,
    pub base_url: String,
    pub account_id: i64,
    pub account_name: String,
    /// What it says its version is.
    pub version: String,
    pub language: Language,
    pub limits: Limits,
    pub throttles: Throttles,
    pub users: Vec<User>,
    pub inboxes: BTreeMap<i64, InboxRow>,
    pub contacts: BTreeMap<i64, Contact>,
    pub contact_inboxes: BTreeMap<i64, ContactInbox>,
    pub conversations: BTreeMap<i64, Conversation>,
    pub messages: BTreeMap<i64, Message>,
    /// The messages of each conversation, oldest first.
    pub threads: HashMap<i64, Vec<i64>>,
    pub blobs: HashMap<String, Blob>,
    /// Short-lived URLs: token to blob and end.
    pub disk_tokens: HashMap<String, (String, Timestamp)>,
    pub file_mode: FileMode,
    /// Files with an address of another origin, by name.
    pub strays: BTreeMap<String, String>,
    /// What agents typed and did not send, by conversation. No deletion of Chatwoot's takes it along.
    pub drafts: BTreeMap<i64, String>,
    /// The attributes of conversations in the audit log.
    pub audits: Vec<Attributes>,
    pub definitions: BTreeMap<i64, Definition>,
    pub labels: BTreeMap<i64, Label>,
    pub doomed: Vec<Doomed>,
    pub deletion_delay: Duration,
    /// Creates that pass the check of the phone number, as one of two racing ones does.
    pub racing_contacts: u32,
    /// Retry as in releases after 4.15.1: one update that removes the error alone.
    pub newer_retry: bool,
    /// Whether a failed message comes back by Retry alone.
    pub failed_stays: bool,
    pub callbacks: Callbacks,
    /// Automation rules.
    pub rules: Vec<Rule>,
    /// Bots.
    pub robots: Vec<Robot>,
    /// Whom it told what, the oldest first.
    pub notifications: Vec<Notification>,
    /// How often each conversation was resolved, as reports count it.
    pub resolutions: BTreeMap<i64, usize>,
    last_id: BTreeMap<&'static str, i64>,
}

impl State {
    pub(crate) fn new(clock: SharedClock, account_id: i64, callbacks: Callbacks) -> Self {
        Self {
            clock,
            base_url: String::new(),
            account_id,
            account_name: "LMotos".to_owned(),
            version: crate::VERSION.to_owned(),
            language: Language::default(),
            limits: Limits::default(),
            throttles: Throttles::default(),
            users: Vec::new(),
            inboxes: BTreeMap::new(),
            contacts: BTreeMap::new(),
            contact_inboxes: BTreeMap::new(),
            conversations: BTreeMap::new(),
            messages: BTreeMap::new(),
            threads: HashMap::new(),
            blobs: HashMap::new(),
            disk_tokens: HashMap::new(),
            file_mode: FileMode::default(),
            strays: BTreeMap::new(),
            drafts: BTreeMap::new(),
            audits: Vec::new(),
            definitions: BTreeMap::new(),
            labels: BTreeMap::new(),
            doomed: Vec::new(),
            deletion_delay: Duration::ZERO,
            racing_contacts: 0,
            newer_retry: false,
            failed_stays: false,
            callbacks,
            rules: Vec::new(),
            robots: Vec::new(),
            notifications: Vec::new(),
            resolutions: BTreeMap::new(),
            // No two kinds of id start at the same number, so that a swapped pair shows.
            last_id: BTreeMap::from([
                ("user", 20),
                ("contact", 1180),
                ("contact_inbox", 2080),
                ("conversation", 480),
                ("message", 90_200),
                ("attachment", 7100),
            ]),
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn next_id(&mut self, kind: &'static str) -> i64 {
        let last = self.last_id.entry(kind).or_default();
        *last += 1;
        *last
    }

    pub(crate) fn skip_ids(&mut self, by: i64) {
        for last in self.last_id.values_mut() {
            *last += by;
        }
    }

    /// The user of that name, made at need; an agent is a member of every inbox there is.
    pub(crate) fn user_named(&mut self, name: &str, role: Role) -> i64 {
        if let Some(user) = self.users.iter().find(|user| user.name == name && user.role == role) {
            return user.id;
        }
        let id = self.next_id("user");
        let address = name.to_lowercase().replace(' ', ".");
        self.users.push(User {
            id,
            name: name.to_owned(),
            email: format!("{address}@lmotos.example"),
            token: Uuid::new_v4().simple().to_string(),
            role,
        });
        for inbox in self.inboxes.values_mut() {
            inbox.members.insert(id);
        }
        id
    }

    pub(crate) fn user(&self, id: i64) -> Option<&User> {
        self.users.iter().find(|user| user.id == id)
    }

    pub(crate) fn inbox(&self, id: i64) -> Result<&InboxRow, Refusal> {
        self.inboxes.get(&id).ok_or_else(|| Refusal::not_found(self.language))
    }

    pub(crate) fn contact(&self, id: i64) -> Result<&Contact, Refusal> {
        self.contacts.get(&id).ok_or_else(|| Refusal::not_found(self.language))
    }

    pub(crate) fn conversation(&self, id: i64) -> Result<&Conversation, Refusal> {
        self.conversations.get(&id).ok_or_else(|| Refusal::not_found(self.language))
    }

    pub(crate) fn conversation_mut(&mut self, id: i64) -> Result<&mut Conversation, Refusal> {
        let language = self.language;
        self.conversations.get_mut(&id).ok_or_else(|| Refusal::not_found(language))
    }

    /// A message of that conversation.
    pub(crate) fn message(&self, conversation: i64, id: i64) -> Result<&Message, Refusal> {
        let found = self.messages.get(&id).filter(|message| message.conversation_id == conversation);
        found.ok_or_else(|| Refusal::not_found(self.language))
    }

    /// The messages of a conversation, oldest first.
    pub(crate) fn thread(&self, conversation: i64) -> impl DoubleEndedIterator<Item = &Message> {
        self.threads.get(&conversation).into_iter().flatten().filter_map(|id| self.messages.get(id))
    }

    pub(crate) fn tell_message(&self, name: &'static str, message: &Message) {
        self.callbacks.push(Event::new(
            name,
            message.inbox_id,
            message.conversation_id,
            EventSubject::Message(message.id),
        ));
    }

    pub(crate) fn tell_conversation(&self, name: &'static str, id: i64, changes: Changes) {
        if let Some(conversation) = self.conversations.get(&id) {
            self.callbacks.push(Event::new(name, conversation.inbox_id, id, EventSubject::Conversation(changes)));
        }
    }

    /// `conversation_updated` with one change, behind the time of the change.
    pub(crate) fn tell_change(
        &mut self,
        id: i64,
        name: &'static str,
        previous: serde_json::Value,
        current: serde_json::Value,
    ) {
        let now = self.now();
        let Some(row) = self.conversations.get_mut(&id) else { return };
        let before = std::mem::replace(&mut row.updated_at, now);
        let moved = Change { name: "updated_at", previous: iso(before).into(), current: iso(now).into() };
        let changes = Changes::List(vec![moved, Change { name, previous, current }]);
        self.tell_conversation("conversation_updated", id, changes);
    }
}
