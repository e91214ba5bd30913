//! The simulator as a test or the runner holds it.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use domain::SharedClock;
use serde_json::Value;
use simulator_wire::{Faults, Server};
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::{
    Agent, Callbacks, ContactView, ConversationView, FileMode, Language, Limits, MessageView, RequestLog, Role,
    delivery,
    rows::User,
    shared::{Shared, router},
    state::State,
};

/// An API inbox to start with.
#[derive(Clone, Debug)]
pub struct Inbox {
    /// Its id.
    pub id: i64,
    /// The name that agents see.
    pub name: String,
    /// Where its callbacks go; empty for nowhere.
    pub webhook_url: String,
    /// What its callbacks are signed with.
    pub secret: String,
    /// Whether a contact inbox has one conversation for good.
    pub lock_to_single_conversation: bool,
}

/// What to start with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// What time it is.
    pub clock: SharedClock,
    /// The one account there is.
    pub account_id: i64,
    /// The token of the administrator whom a bridge calls as.
    pub token: String,
    /// The inboxes there are.
    pub inboxes: Vec<Inbox>,
}

/// A self-hosted Chatwoot 4.14.2, as far as a bridge on an API inbox can tell.
#[derive(Clone, Debug)]
pub struct Chatwoot(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    server: Server,
    faults: Faults,
    shared: Arc<Shared>,
    callbacks: Callbacks,
    poster: JoinHandle<()>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.poster.abort();
    }
}

impl Chatwoot {
    /// Starts it.
    pub async fn start(settings: Settings) -> anyhow::Result<Self> {
        let callbacks = Callbacks::default();
        let mut state = State::new(settings.clock, settings.account_id, callbacks.clone());
        let id = state.next_id("user");
        state.users.push(User {
            id,
            name: "Puente WhatsApp".to_owned(),
            email: "puente@lmotos.example".to_owned(),
            token: settings.token,
            role: Role::Administrator,
        });
        for inbox in settings.inboxes {
            let mut row = state.new_inbox(inbox.name, "Channel::Api");
            (row.id, row.webhook_url, row.secret) = (inbox.id, inbox.webhook_url, inbox.secret);
            row.lock_to_single_conversation = inbox.lock_to_single_conversation;
            state.inboxes.insert(row.id, row);
        }
        let shared = Arc::new(Shared::new(state));
        let faults = Faults::default();
        let server = Server::start(settings.listen, router(Arc::clone(&shared)), faults.clone()).await?;
        shared.lock().base_url = server.url();
        let poster = tokio::spawn(delivery::run(Arc::clone(&shared), callbacks.clone(), delivery::client()?));
        Ok(Self(Arc::new(Inner { server, faults, shared, callbacks, poster })))
    }

    /// Its base URL, without a trailing slash.
    pub fn url(&self) -> String {
        self.0.server.url()
    }

    /// The faults of its API.
    pub fn faults(&self) -> &Faults {
        &self.0.faults
    }

    /// The server itself, to take it off the network.
    pub fn server(&self) -> &Server {
        &self.0.server
    }

    /// Lets all ids minted from now on begin `by` higher: one that was started anew must not mint an id for a second time.
    pub fn skip_ids(&self, by: i64) {
        self.0.shared.lock().skip_ids(by);
    }

    /// Points the callbacks of an inbox somewhere else; empty for nowhere.
    pub fn set_callback_url(&self, inbox_id: i64, url: &str) {
        if let Some(inbox) = self.shared().lock().inboxes.get_mut(&inbox_id) {
            url.clone_into(&mut inbox.webhook_url);
        }
    }

    /// An administrator locks an inbox to a single conversation a contact, or unlocks it.
    pub fn lock_to_single_conversation(&self, inbox_id: i64, locked: bool) {
        if let Some(inbox) = self.shared().lock().inboxes.get_mut(&inbox_id) {
            inbox.lock_to_single_conversation = locked;
        }
    }

    /// What it calls itself in addresses of files, as `FRONTEND_URL` says; its own address unless told.
    pub fn call_itself(&self, url: &str) {
        url.clone_into(&mut self.shared().lock().base_url);
    }

    /// Files of this name have an address of another origin, as after a move to another domain.
    pub fn name_elsewhere(&self, filename: &str, origin: &str) {
        self.shared().lock().strays.insert(filename.to_owned(), origin.to_owned());
    }

    /// The attributes that it shows, by key, with the name agents read.
    pub fn shown_attributes(&self) -> Vec<(String, String)> {
        self.shared().lock().definitions.values().map(|row| (row.key.clone(), row.name.clone())).collect()
    }

    /// The labels that it offers.
    pub fn labels(&self) -> Vec<String> {
        self.shared().lock().labels.values().map(|row| row.title.clone()).collect()
    }

    /// The free attributes of an inbox: window, its message, templates. Null if there is no such inbox.
    pub fn inbox_attributes(&self, inbox_id: i64) -> Value {
        let state = self.shared().lock();
        state.inboxes.get(&inbox_id).map_or(Value::Null, |inbox| inbox.additional_attributes.clone().into())
    }

    /// Somebody else replaces the attributes of an inbox, all of them; nothing is checked. What is no object empties them.
    pub fn set_inbox_attributes(&self, inbox_id: i64, attributes: Value) {
        if let Some(inbox) = self.shared().lock().inboxes.get_mut(&inbox_id) {
            inbox.additional_attributes = attributes.as_object().cloned().unwrap_or_default();
        }
    }

    /// The switches and the log of the callbacks.
    pub fn callbacks(&self) -> &Callbacks {
        &self.0.callbacks
    }

    /// Waits until no callback is being posted or waits to be, held ones excepted.
    pub async fn settled(&self) {
        self.0.callbacks.settled().await;
    }

    /// All contacts, the oldest first.
    pub fn contacts(&self) -> Vec<ContactView> {
        let state = self.shared().lock();
        state.contacts.values().map(|contact| state.contact_view(contact)).collect()
    }

    /// All conversations, the oldest first.
    pub fn conversations(&self) -> Vec<ConversationView> {
        let state = self.shared().lock();
        state.conversations.values().map(|row| state.conversation_view(row)).collect()
    }

    /// The messages of a conversation, the oldest first.
    pub fn messages(&self, conversation: i64) -> Vec<MessageView> {
        self.shared().lock().message_views(conversation)
    }

    /// The newest conversation of the contact with that name.
    pub fn conversation_of(&self, contact_name: &str) -> Option<i64> {
        let state = self.shared().lock();
        let named = |contact: i64| state.contacts.get(&contact).is_some_and(|contact| contact.name == contact_name);
        state.conversations.values().rev().find(|row| named(row.contact_id)).map(|row| row.id)
    }

    /// The agent of that name, who is hired at need and sees every inbox there is.
    pub fn agent(&self, name: &str) -> Agent {
        let user = self.shared().lock().user_named(name, Role::Agent);
        Agent::new(Arc::clone(self.shared()), user)
    }

    /// The token of a user of that name and role, who is made at need.
    pub fn token(&self, name: &str, role: Role) -> String {
        let mut state = self.shared().lock();
        let id = state.user_named(name, role);
        state.user(id).map(|user| user.token.clone()).unwrap_or_default()
    }

    /// Gives the administrator a new token; from now on the old one is refused.
    pub fn reset_token(&self) -> String {
        let token = Uuid::new_v4().simple().to_string();
        let mut state = self.shared().lock();
        if let Some(user) = state.users.iter_mut().find(|user| user.role == Role::Administrator) {
            user.token.clone_from(&token);
        }
        token
    }

    /// Gives an inbox a new signing secret, at once and without overlap. `None` if it is no API inbox.
    pub fn reset_secret(&self, inbox_id: i64) -> Option<String> {
        self.shared().lock().reset_secret(inbox_id).ok()
    }

    /// It says that it is of this version. What it does stays the same.
    pub fn say_version(&self, version: &str) {
        version.clone_into(&mut self.shared().lock().version);
    }

    /// Every call that was answered, the oldest first.
    pub fn requests(&self) -> Vec<RequestLog> {
        self.shared().requests()
    }

    /// How files are served.
    pub fn serve_files(&self, mode: FileMode) {
        self.shared().lock().file_mode = mode;
    }

    /// How long a deletion that was answered takes to happen.
    pub fn delay_deletions(&self, by: Duration) {
        self.shared().lock().deletion_delay = by;
    }

    /// What agents typed and did not send, by conversation, deleted ones among them.
    pub fn drafts(&self) -> BTreeMap<i64, String> {
        self.shared().lock().drafts.clone()
    }

    /// What the audit log kept of deleted conversations: their attributes.
    pub fn audits(&self) -> Vec<Value> {
        self.shared().lock().audits.iter().map(|row| row.clone().into()).collect()
    }

    /// The language of error texts and system lines.
    pub fn speak(&self, language: Language) {
        self.shared().lock().language = language;
    }

    /// Other limits than Chatwoot's own.
    pub fn limit(&self, limits: Limits) {
        self.shared().lock().limits = limits;
    }

    /// The next `count` creates of a contact pass the check of the phone number, as the second of two racing ones does.
    pub fn let_contacts_race(&self, count: u32) {
        self.shared().lock().racing_contacts = count;
    }

    /// Retry as in later versions: only a failed message, one update, and the quote survives.
    pub fn retry_like_newer_versions(&self, on: bool) {
        self.shared().lock().newer_retry = on;
    }

    /// Whether marks no longer bring a failed message back, as in later versions: Retry alone does.
    pub fn let_failed_stay(&self, on: bool) {
        self.shared().lock().failed_stays = on;
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.0.shared
    }
}
