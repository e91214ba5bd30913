//! Splits a webhook body into tasks. Every entry × change × item is read on its own, so that an odd one never costs its
//! neighbors.

use std::time::Duration;

use domain::{
    Author, Content, HashKey, InboundTask, KeyedHash, Message, MessageGroup, PhoneNumberId, Timestamp, WaId, WabaId,
    Wamid,
    keyed_hash::WorkItem,
    message::Call,
    task::{AccountNotice, NoticeSubject},
};
use serde_json::value::RawValue;

use crate::{
    Verified, content,
    fields::Fields,
    form::{self, FormFile},
    moved,
    person::{Person, WebhookContact},
};

mod history;
mod news;
mod statuses;

pub use history::GroupedHistory;
use news::own_number;

/// A task and the message group in which it keeps its order.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupedTask {
    /// Phone number id `#` customer.
    pub group: MessageGroup,
    /// What to do.
    pub task: InboundTask,
    /// When it happened, where Meta gives a plausible time: what is older than the memory of handled items is not new. What the
    /// phone app reports from its history has no such time.
    pub at: Option<Timestamp>,
}

/// What a body holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Webhook {
    /// What happens now.
    pub tasks: Vec<GroupedTask>,
    /// What a phone app tells of its past.
    pub history: Vec<GroupedHistory>,
}

/// The body is not a JSON object with an `object` and entries; a repeat would bring the same bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the body is no webhook of Meta's")]
pub struct UnreadableWebhook;

/// No clock is further ahead than this. A later time, such as one in milliseconds, would make every later event look stale.
const MAX_CLOCK_SKEW: Duration = Duration::from_secs(86_400);

/// Before this there was no WhatsApp: a smaller number is not a time.
const EARLIEST_TIME: Timestamp = Timestamp::from_secs(1_230_768_000);

/// A number beyond this is in milliseconds, not in seconds.
const MILLIS_FROM: i64 = 100_000_000_000;

/// The fields under which a phone app reports its history, which is old by nature.
const HISTORY_FIELDS: [&str; 2] = ["history", "smb_app_state_sync"];

/// Their lists: a change that does not name its field has the field of its content.
const PAST_LISTS: [(&str, &str); 2] = [("history", "history"), ("state_sync", "smb_app_state_sync")];

/// The longest text that is accepted as the id of a number, an account or the like.
const MAX_ID_LENGTH: usize = 64;

/// Splits a body into tasks. `received_at` replaces the time of an item that has none, or an impossible one.
pub fn parse(body: Verified<'_>, key: &HashKey, received_at: Timestamp) -> Result<Webhook, UnreadableWebhook> {
    // A byte that is not text costs its character, not the body.
    let text = String::from_utf8_lossy(body.bytes());
    let raw: &RawValue = serde_json::from_str(&text).map_err(|_| UnreadableWebhook)?;
    let envelope = Fields::read(raw).ok_or(UnreadableWebhook)?;
    let mut out = Splitter { key, received_at, tasks: Vec::new(), history: Vec::new() };
    if envelope.has("entry") {
        let ours = envelope.text("object").is_none_or(|object| object == "whatsapp_business_account");
        for entry in envelope.list("entry") {
            out.entry(entry, ours);
        }
    } else if envelope.has("history") && channel(&envelope).is_some() {
        // Meta's sample of a shop that shares no history is a value without its envelope.
        out.value(&Entry::default(), "history".to_owned(), envelope, raw);
    } else {
        return Err(UnreadableWebhook);
    }
    Ok(Webhook { tasks: out.tasks, history: out.history })
}

/// The fields whose values are messages, statuses and the like. `message_echoes` is what Meta's own automation wrote.
const CONVERSATION_FIELDS: [&str; 8] = [
    "messages",
    "smb_message_echoes",
    "message_echoes",
    "calls",
    "user_preferences",
    "standby",
    "user_id_update",
    "messaging_handovers",
];

/// The lists of items in the value of such a field.
const ITEM_LISTS: [&str; 3] = ["messages", "message_echoes", "statuses"];

/// The fields about an account, a number, a template or a group (§2.6): a line for the operator.
const ACCOUNT_FIELDS: [&str; 23] = [
    "account_alerts",
    "account_review_update",
    "account_settings_update",
    "account_update",
    "automatic_events",
    "business_capability_update",
    "business_username_update",
    "consumer_profile",
    "group_lifecycle_update",
    "group_participants_update",
    "group_settings_update",
    "group_status_update",
    "message_template_components_update",
    "message_template_quality_update",
    "message_template_status_update",
    "partner_solutions",
    "payment_configuration_update",
    "phone_number_name_update",
    "phone_number_quality_update",
    "phone_number_username_update",
    "security",
    "template_category_update",
    "tracking_events",
];

struct Splitter<'k> {
    key: &'k HashKey,
    received_at: Timestamp,
    tasks: Vec<GroupedTask>,
    history: Vec<GroupedHistory>,
}

/// What all items of a change share.
struct Change<'a> {
    entry: Entry,
    field: String,
    channel: Option<PhoneNumberId>,
    /// The business number as people read it.
    number: Option<String>,
    contacts: Vec<WebhookContact>,
    /// Whether Meta's own agent has the chat.
    standby: bool,
    about: NoticeSubject,
    raw: &'a RawValue,
}

/// What all changes of an entry share.
#[derive(Clone, Default)]
struct Entry {
    waba: String,
    /// Set on events about an account: the hour of the event.
    at: Option<Timestamp>,
}

impl Splitter<'_> {
    fn entry(&mut self, raw: &RawValue, ours: bool) {
        let Some(fields) = Fields::read(raw) else {
            return self.notice(&Entry::default(), "entry", None, NoticeSubject::Unreadable, raw);
        };
        let entry = Entry {
            waba: fields.text("id").unwrap_or_default(),
            at: fields.number("time").and_then(|secs| self.plausible(secs)),
        };
        if !ours || entry.waba == "0" {
            return self.notice(&entry, "entry", None, NoticeSubject::Ignored, raw);
        }
        let changes = fields.list("changes");
        if changes.is_empty() {
            return self.notice(&entry, "entry", None, NoticeSubject::Unreadable, raw);
        }
        for change in changes {
            self.change(&entry, change);
        }
    }

    fn change(&mut self, entry: &Entry, raw: &RawValue) {
        let Some(change) = Fields::read(raw) else {
            return self.notice(entry, "change", None, NoticeSubject::Unreadable, raw);
        };
        let mut field = change.text("field").unwrap_or_default();
        let value = change.object("value");
        if field.is_empty()
            && let Some((_, named)) =
                PAST_LISTS.iter().find(|(list, _)| value.as_ref().is_some_and(|value| value.has(list)))
        {
            (*named).clone_into(&mut field);
        }
        // A change that does not name its field has the field of its content.
        let nameless =
            field.is_empty() && value.as_ref().is_some_and(|value| ITEM_LISTS.iter().any(|list| value.has(list)));
        if ACCOUNT_FIELDS.contains(&field.as_str()) {
            let channel = value.as_ref().and_then(channel);
            return self.notice(entry, &field, channel, NoticeSubject::Account, raw);
        }
        let past = HISTORY_FIELDS.contains(&field.as_str());
        if !past && !CONVERSATION_FIELDS.contains(&field.as_str()) && !nameless {
            return self.notice(entry, &field, value.as_ref().and_then(channel), NoticeSubject::UnknownField, raw);
        }
        let Some(value) = value else { return self.notice(entry, &field, None, NoticeSubject::Unreadable, raw) };
        self.value(entry, field, value, raw);
    }

    /// The value of a change; `raw` is the whole change.
    fn value(&mut self, entry: &Entry, field: String, value: Fields<'_>, raw: &RawValue) {
        let channel = channel(&value);
        // When Meta's own agent handles the thread, the usual value is one level down.
        let (mut inner, mut odd) = (Vec::new(), Vec::new());
        for raw in value.list("standby") {
            match Fields::read(raw) {
                Some(value) => inner.push(value),
                None => odd.push(raw),
            }
        }
        let contacts = inner.iter().chain([&value]).flat_map(|value| value.objects("contacts"));
        let change = Change {
            entry: entry.clone(),
            standby: field == "standby" || !inner.is_empty(),
            about: if field == "messaging_handovers" { NoticeSubject::Account } else { NoticeSubject::Unreadable },
            field,
            channel,
            number: own_number(&value),
            contacts: contacts.map(|contact| WebhookContact::read(&contact)).collect(),
            raw,
        };
        match change.field.as_str() {
            "history" => return self.past(&change, &value),
            "smb_app_state_sync" => return self.contact_book(&change, &value),
            _ => {}
        }
        let before = self.tasks.len();
        for raw in odd {
            self.item_notice(&change, NoticeSubject::Unreadable, raw);
        }
        for value in inner.iter().chain([&value]) {
            self.items(&change, value);
        }
        if change.field == "messaging_handovers" {
            self.handover(&change, &value);
        }
        if self.tasks.len() == before {
            self.item_notice(&change, change.about, change.raw);
        }
    }

    /// Every item in a value, each on its own.
    fn items(&mut self, change: &Change<'_>, value: &Fields<'_>) {
        for item in value.list("messages") {
            self.message(change, item, Author::Customer);
        }
        for item in value.list("message_echoes") {
            self.message(change, item, Author::Business);
        }
        for item in value.list("statuses") {
            self.any_status(change, item);
        }
        for item in value.list("calls") {
            self.call(change, item);
        }
        for item in value.list("user_preferences") {
            self.preference(change, item);
        }
        for item in value.list("user_id_update") {
            self.user_id_update(change, item);
        }
        for item in value.list("errors") {
            self.item_notice(change, NoticeSubject::Account, item);
        }
    }

    fn message(&mut self, change: &Change<'_>, raw: &RawValue, author: Author) {
        let Some(fields) = Fields::read(raw) else { return self.item_notice(change, NoticeSubject::Unreadable, raw) };
        // What Meta's own agent said is one level down, as the call that sent it.
        let said = fields.object("message").filter(|_| !fields.has("type"));
        let fields = said.into_iter().fold(fields, Fields::or);
        if fields.text("type").as_deref() == Some("request_welcome") {
            // The customer opened the chat and said nothing; withdrawn since (§2.2).
            return self.item_notice(change, NoticeSubject::Ignored, raw);
        }
        // A message the business wrote is an echo under whatever name it comes.
        let to_somebody = fields.has("to") || fields.has("to_user_id");
        let own = to_somebody && change.is_own(fields.text("from").as_deref());
        let (side, author) = match author {
            Author::Customer if !own => ("from", author),
            _ => ("to", Author::Business),
        };
        let content = content::read(&fields);
        let mut person = Person { group: fields.text("group_id"), ..Person::read(&fields, side) };
        match &content {
            // A change of ids may name its sender only inside.
            Content::NumberChanged { before, .. } => person = person.or(before),
            Content::Contacts { .. } if author == Author::Customer => {
                person.asked_for = moved::own_number(&fields).map(|id| id.as_str().to_owned());
            }
            _ => {}
        }
        let id = fields.text("id").map(Wamid::new);
        let files = if matches!(content, Content::Form { .. }) { form::files(&fields) } else { Vec::new() };
        self.conversation_item(change, raw, &fields, author, person, id, content);
        self.form_files(files);
    }

    /// The files of the form that was just read: each is a message of its own after the form.
    fn form_files(&mut self, files: Vec<FormFile>) {
        if files.is_empty() {
            return;
        }
        let Some(GroupedTask { group, task: InboundTask::MessageV1(form), at: sent }) = self.tasks.last().cloned()
        else {
            return;
        };
        let Some(wamid) = form.id.clone() else { return };
        for (at, FormFile { field, media }) in files.into_iter().enumerate() {
            let place = at.to_string();
            let parts = ["file", form.channel.as_str(), wamid.as_str(), media.id.as_str(), &place];
            let file = Message {
                item: self.item(parts),
                id: None,
                part_of: Some(wamid.clone()),
                reply_to: Some(wamid.clone()),
                forwarded: false,
                forwarded_often: false,
                referral: None,
                product: None,
                content: Content::Media { media, caption: Some(format!("📋 {field}")) },
                ..(*form).clone()
            };
            self.tasks.push(GroupedTask {
                group: group.clone(),
                task: InboundTask::MessageV1(Box::new(file)),
                at: sent,
            });
        }
    }

    fn call(&mut self, change: &Change<'_>, raw: &RawValue) {
        let Some(fields) = Fields::read(raw) else { return self.item_notice(change, NoticeSubject::Unreadable, raw) };
        let inbound = fields.text("direction").as_deref() != Some("BUSINESS_INITIATED");
        let (side, author) = if inbound { ("from", Author::Customer) } else { ("to", Author::Business) };
        let person = Person::read(&fields, side);
        self.conversation_item(change, raw, &fields, author, person, None, content::call(&fields));
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one message, gathered in its four callers")]
    fn conversation_item(
        &mut self,
        change: &Change<'_>,
        raw: &RawValue,
        fields: &Fields<'_>,
        author: Author,
        person: Person,
        id: Option<Wamid>,
        content: Content,
    ) {
        let Some(channel) = &change.channel else { return self.item_notice(change, NoticeSubject::Unreadable, raw) };
        // An item that names no person belongs to the one person the change names.
        let alone =
            change.contacts.first().filter(|_| change.contacts.len() == 1 && person.is_nobody() && id.is_some());
        let mut contact = change.contacts.iter().find(|contact| contact.is(&person)).or(alone);
        if let (None, Content::NumberChanged { now, .. }) = (contact, &content) {
            // The entry of a person whose ids changed may have the new name already.
            let person = Person::default().or(now);
            contact = change.contacts.iter().find(|contact| contact.is(&person));
        }
        let customer = person.identity(contact);
        let Some(subject) = customer.subject(self.key) else {
            return self.item_notice(change, NoticeSubject::Unreadable, raw);
        };
        if change.is_own(customer.phone.as_ref().map(WaId::as_str)) {
            return self.item_notice(change, NoticeSubject::OwnNote, raw);
        }
        let call = fields.text("id").filter(|_| is_end_of_call(&content));
        let item = match (&id, call) {
            (Some(id), _) => self.item(["message", channel.as_str(), id.as_str()]),
            // A call may end in several events: turned down, and terminated. The agent gets one line.
            (None, Some(call)) => self.item(["call", channel.as_str(), &call]),
            (None, None) => self.item(["event", channel.as_str(), raw.get()]),
        };
        let context = fields.object("context");
        let flag = |name| context.as_ref().is_some_and(|context| context.flag(name));
        let message = Message {
            channel: channel.clone(),
            item,
            id,
            author,
            customer,
            name: contact.and_then(|contact| contact.name.clone()),
            username: contact.and_then(|contact| contact.username.clone()),
            sent_at: self.time(fields),
            reply_to: context.as_ref().and_then(|context| context.text("id")).map(Wamid::new),
            forwarded: flag("forwarded") || flag("frequently_forwarded"),
            forwarded_often: flag("frequently_forwarded"),
            referral: content::referral(fields),
            product: context.as_ref().and_then(content::product),
            speaker: person.group.is_some().then(|| person.phone.clone().map(WaId::new)).flatten(),
            part_of: None,
            standby: change.standby,
            content,
        };
        let task = InboundTask::MessageV1(Box::new(message));
        let at = self.own_time(fields).or(change.entry.at);
        self.tasks.push(GroupedTask { group: MessageGroup::Person(channel.clone(), subject), task, at });
    }

    /// When an item happened.
    fn time(&self, fields: &Fields<'_>) -> Timestamp {
        self.own_time(fields).unwrap_or(self.received_at)
    }

    /// The same, where the item says so.
    fn own_time(&self, fields: &Fields<'_>) -> Option<Timestamp> {
        fields.number("timestamp").and_then(|number| self.plausible(number))
    }

    /// A plausible time.
    fn plausible(&self, number: i64) -> Option<Timestamp> {
        let at = if number < MILLIS_FROM { Timestamp::from_secs(number) } else { Timestamp::from_millis(number) };
        Some(at).filter(|at| (EARLIEST_TIME..=self.received_at + MAX_CLOCK_SKEW).contains(at))
    }

    fn item_notice(&mut self, change: &Change<'_>, about: NoticeSubject, raw: &RawValue) {
        self.notice(&change.entry, &change.field, change.channel.clone(), about, raw);
    }

    fn notice(
        &mut self,
        entry: &Entry,
        field: &str,
        channel: Option<PhoneNumberId>,
        about: NoticeSubject,
        raw: &RawValue,
    ) {
        // The same may happen again: a number can leave and come back twice. The hour tells it from Meta's repeats.
        let at = entry.at.map(|at| at.as_secs().to_string()).unwrap_or_default();
        let item = self.item(["notice", &entry.waba, field, raw.get(), &at]);
        let group = match &channel {
            Some(channel) => MessageGroup::Number(channel.clone()),
            None => MessageGroup::Account(self.named(&entry.waba)),
        };
        let waba = (!entry.waba.is_empty()).then(|| WabaId::new(&entry.waba));
        let raw = raw.get().to_owned();
        let notice = AccountNotice { item, channel, field: field.to_owned(), about, raw, waba, at: entry.at };
        let at = entry.at.filter(|_| !HISTORY_FIELDS.contains(&field));
        self.tasks.push(GroupedTask { group, task: InboundTask::NoticeV1(notice), at });
    }

    /// An account as a message group names it, within what SQS accepts: an id that is not one of Meta's is hashed.
    fn named(&self, account: &str) -> WabaId {
        let plain = account.len() <= 60 && account.bytes().all(|byte| byte.is_ascii_alphanumeric());
        WabaId::new(if plain { account.to_owned() } else { self.item([account]).to_string() })
    }

    fn item<'a>(&self, parts: impl IntoIterator<Item = &'a str>) -> KeyedHash<WorkItem> {
        self.key.item(parts)
    }
}

fn is_end_of_call(content: &Content) -> bool {
    matches!(content, Content::Call { event, seconds } if Call::read(event, *seconds).is_over())
}

fn channel(value: &Fields<'_>) -> Option<PhoneNumberId> {
    // It becomes part of keys, which have a maximum length.
    let plain = |id: &String| id.len() <= MAX_ID_LENGTH && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let named = |member: &str| value.object(member)?.text("phone_number_id").filter(plain);
    named("metadata").or_else(|| named("recipient")).map(PhoneNumberId::new)
}
