//! Reads the phone app's past: chunks of chats, cut into slices, and the contact book.
//!
//! Which side wrote a message is decided by who it is from, since Meta leaves `to` out of messages of the business. A slice is of
//! one person, and in order.

use base64::Engine as _;
use domain::{
    Author, Identity, KeyedHash, MessageGroup, PhoneNumberId, Timestamp, WaId, Wamid,
    history::{BookEntry, ChunkPosition, HistoryChunk, HistoryFile, HistorySlice, HistoryTask, PastMessage, PastState},
    keyed_hash, name,
    task::NoticeSubject,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Change, Splitter};
use crate::{
    content,
    fields::{self, Fields},
    person::Person,
};

/// A task of the past and its message group.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupedHistory {
    /// A slice has a group of its own.
    pub group: MessageGroup,
    /// What to do.
    pub task: HistoryTask,
}

/// The most messages of a slice.
const MAX_MESSAGES: usize = 100;

/// The most bytes of a slice, as Meta wrote them; a longer message is a slice of its own.
const MAX_BYTES: usize = 150_000;

/// One person's chat in a chunk.
struct Chat<'a> {
    person: KeyedHash<keyed_hash::Person>,
    customer: Identity,
    username: Option<String>,
    messages: Vec<(PastMessage, usize)>,
    sideless: Vec<&'a RawValue>,
}

/// A chunk of a history. A body of megabytes is mostly what is inside: one pass reads the usual shape, and only an odd one is
/// taken apart member by member.
#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow, default)]
    metadata: Option<&'a RawValue>,
    #[serde(borrow, default)]
    threads: Vec<&'a RawValue>,
    #[serde(borrow, default)]
    errors: Vec<&'a RawValue>,
}

impl<'a> Chunk<'a> {
    fn read(raw: &'a RawValue) -> Option<Self> {
        serde_json::from_str(raw.get()).ok().filter(|_| raw.get().starts_with('{')).or_else(|| {
            let fields = Fields::read(raw)?;
            let (threads, errors) = (fields.list("threads"), fields.list("errors"));
            Some(Self { metadata: fields.raw("metadata"), threads, errors })
        })
    }
}

/// A chat of a chunk.
#[derive(Deserialize)]
struct Thread<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    context: Option<&'a RawValue>,
    #[serde(borrow, default)]
    messages: Vec<&'a RawValue>,
}

impl<'a> Thread<'a> {
    fn read(raw: &'a RawValue) -> Option<Self> {
        serde_json::from_str(raw.get()).ok().filter(|_| raw.get().starts_with('{')).or_else(|| {
            let fields = Fields::read(raw)?;
            Some(Self { id: fields.raw("id"), context: fields.raw("context"), messages: fields.list("messages") })
        })
    }
}

impl Splitter<'_> {
    /// The value of a change of `history`.
    pub(super) fn past(&mut self, change: &Change<'_>, value: &Fields<'_>) {
        let Some(number) = &change.channel else {
            return self.item_notice(change, NoticeSubject::Unreadable, change.raw);
        };
        for raw in value.list("history") {
            match Chunk::read(raw) {
                Some(chunk) => self.chunk(change, number, raw, &chunk),
                None => self.item_notice(change, NoticeSubject::Unreadable, raw),
            }
        }
        for raw in value.list("errors") {
            let error = Fields::read(raw).and_then(|error| error.number("code"));
            self.report(number, raw, ChunkPosition::default(), Some(error.unwrap_or_default()));
        }
        for (list, side) in [("messages", "from"), ("message_echoes", "to")] {
            for raw in value.list(list) {
                self.file(change, number, raw, side);
            }
        }
        for raw in value.list("statuses") {
            self.any_status(change, raw);
        }
        if !["history", "errors", "messages", "message_echoes", "statuses"].iter().any(|list| value.has(list)) {
            self.item_notice(change, NoticeSubject::Unreadable, change.raw);
        }
    }

    fn chunk(&mut self, change: &Change<'_>, number: &PhoneNumberId, raw: &RawValue, chunk: &Chunk<'_>) {
        let metadata = chunk.metadata.and_then(Fields::read);
        let said = |name| metadata.as_ref().and_then(|metadata| metadata.number(name));
        let position = ChunkPosition { phase: said("phase"), order: said("chunk_order"), progress: said("progress") };
        let before = self.history.len();
        for error in chunk.errors.iter().filter_map(|raw| Fields::read(raw)) {
            self.report(number, raw, position, Some(error.number("code").unwrap_or_default()));
        }
        let mut chats: Vec<Chat<'_>> = Vec::new();
        for &raw in &chunk.threads {
            let Some(thread) = Thread::read(raw) else {
                self.item_notice(change, NoticeSubject::Unreadable, raw);
                continue;
            };
            self.thread(change, raw, thread, &mut chats);
        }
        for chat in chats {
            self.slices(number, position, chat);
        }
        if self.history.len() == before {
            self.report(number, raw, position, None);
        }
    }

    /// What a chunk says beside its messages.
    fn report(&mut self, number: &PhoneNumberId, raw: &RawValue, position: ChunkPosition, error: Option<i64>) {
        // The same may be said again, in a later signup.
        let day = self.received_at.day().to_string();
        let item = self.item(["history_chunk", number.as_str(), &day, raw.get()]);
        let chunk = HistoryChunk { channel: number.clone(), item, position, error };
        self.history
            .push(GroupedHistory { group: MessageGroup::Transfer(number.clone()), task: HistoryTask::ChunkV1(chunk) });
    }

    fn thread<'a>(&mut self, change: &Change<'_>, raw: &'a RawValue, thread: Thread<'a>, chats: &mut Vec<Chat<'a>>) {
        let Thread { id, context, messages: raws } = thread;
        if raws.is_empty() {
            return;
        }
        let messages: Vec<Option<Fields<'a>>> = raws.iter().map(|raw| Fields::read(raw)).collect();
        let context = context.and_then(Fields::read);
        let said = |name: &str| context.as_ref().and_then(|context| context.text(name));
        let id = id.and_then(fields::text);
        let is_phone = |id: &String| id.bytes().all(|byte| byte.is_ascii_digit() || b"+ -()".contains(&byte));
        let mut person = Person {
            phone: id.clone().filter(is_phone).or_else(|| said("wa_id")),
            user: said("user_id").or_else(|| id.clone().filter(|id| !is_phone(id))),
            parent: said("parent_user_id"),
            ..Person::default()
        };
        if person.is_nobody() {
            person = messages.iter().flatten().find_map(|message| somebody(change, message)).unwrap_or_default();
        } else if person.user.is_none() {
            // The messages may say more than their thread.
            person.user = messages.iter().flatten().find_map(|message| user_of(change, &person, message));
        }
        let customer = person.identity(None);
        let Some(subject) = customer.subject(self.key) else {
            return self.item_notice(change, NoticeSubject::Unreadable, raw);
        };
        if change.is_own(customer.phone.as_ref().map(WaId::as_str)) {
            return self.item_notice(change, NoticeSubject::OwnNote, raw);
        }
        let at = chats.iter().position(|chat| chat.person == subject).unwrap_or_else(|| {
            let username = said("username").and_then(|name| name::clean(name.trim_start_matches('@')));
            chats.push(Chat { person: subject, customer, username, messages: Vec::new(), sideless: Vec::new() });
            chats.len() - 1
        });
        let mut untimed = Vec::new();
        let mut last = chats[at].messages.last().map(|(message, _)| message.at);
        for (raw, fields) in raws.into_iter().zip(messages) {
            let Some(fields) = fields else {
                self.item_notice(change, NoticeSubject::Unreadable, raw);
                continue;
            };
            let Some(author) = side(change, &person, id.as_deref(), &fields) else {
                chats[at].sideless.push(raw);
                continue;
            };
            let time = self.own_time(&fields);
            let message = self.past_message(change, raw, &fields, author, time.or(last).unwrap_or(self.received_at));
            if time.is_none() && last.is_none() {
                untimed.push(chats[at].messages.len());
            } else if let (Some(time), true) = (time, last.is_none()) {
                // Those before the first known time are put at it.
                for &before in &untimed {
                    chats[at].messages[before].0.at = time;
                }
            }
            last = time.or(last);
            chats[at].messages.push((PastMessage { timeless: time.is_none(), ..message }, raw.get().len()));
        }
    }

    fn past_message(
        &self,
        change: &Change<'_>,
        raw: &RawValue,
        fields: &Fields<'_>,
        author: Author,
        at: Timestamp,
    ) -> PastMessage {
        let number = change.channel.as_ref().map_or("", PhoneNumberId::as_str);
        let id = fields.text("id").unwrap_or_else(|| format!("lmotos:{}", self.item(["event", number, raw.get()])));
        let told = fields.object("history_context").and_then(|context| context.text("status"));
        let context = fields.object("context");
        PastMessage {
            id: Wamid::new(id),
            author,
            at,
            timeless: false,
            state: told.as_deref().and_then(state),
            reply_to: context.as_ref().and_then(|context| context.text("id")).map(Wamid::new),
            content: content::read(fields),
        }
    }

    /// Cuts a chat into slices.
    fn slices(&mut self, number: &PhoneNumberId, position: ChunkPosition, mut chat: Chat<'_>) {
        chat.messages.sort_by_key(|(message, _)| message.at);
        let mut sideless = chat.sideless;
        let mut messages = chat.messages.into_iter().peekable();
        while messages.peek().is_some() || !sideless.is_empty() {
            let (mut slice, mut bytes) = (Vec::new(), 0);
            while let Some((message, size)) = messages
                .next_if(|(_, size)| slice.len() < MAX_MESSAGES && (slice.is_empty() || bytes + size <= MAX_BYTES))
            {
                bytes += size;
                slice.push(message);
            }
            let unsaid: Vec<&RawValue> = std::mem::take(&mut sideless);
            let place = [position.phase, position.order].map(|said| said.map(|n| n.to_string()).unwrap_or_default());
            let parts = ["history", number.as_str(), chat.person.as_str(), &place[0], &place[1]].into_iter();
            let ids = slice.iter().map(|message: &PastMessage| message.id.as_str());
            let item = self.item(parts.chain(ids).chain(unsaid.iter().map(|raw| raw.get())));
            let group = MessageGroup::Past(number.clone(), chat.person.clone(), item.clone());
            let slice = HistorySlice {
                channel: number.clone(),
                item,
                position,
                person: chat.person.clone(),
                customer: chat.customer.clone(),
                username: chat.username.clone(),
                messages: slice,
                sideless: i64::try_from(unsaid.len()).unwrap_or_default(),
            };
            self.history.push(GroupedHistory { group, task: HistoryTask::SliceV1(Box::new(slice)) });
        }
    }

    /// A file of a message in the history. The list it is in says nothing certain about who wrote it.
    fn file(&mut self, change: &Change<'_>, number: &PhoneNumberId, raw: &RawValue, list_side: &str) {
        let Some(fields) = Fields::read(raw) else { return self.item_notice(change, NoticeSubject::Unreadable, raw) };
        let named = Person::read(&fields, list_side);
        let person = Some(named).filter(|named| !named.is_nobody() && !change.is_own(named.phone.as_deref()));
        let Some(person) = person.or_else(|| somebody(change, &fields)) else {
            return self.item_notice(change, NoticeSubject::Unreadable, raw);
        };
        let customer = person.identity(change.contacts.iter().find(|contact| contact.is(&person)));
        let Some(subject) = customer.subject(self.key) else {
            return self.item_notice(change, NoticeSubject::Unreadable, raw);
        };
        let message = fields.text("id").map(Wamid::new);
        let id = message.as_ref().map_or_else(|| raw.get(), Wamid::as_str);
        let item = self.item(["history_file", number.as_str(), id]);
        let group = MessageGroup::Past(number.clone(), subject, item.clone());
        let media = match content::read(&fields) {
            domain::Content::Media { media, .. } => Some(media),
            _ => None,
        };
        let file = HistoryFile { channel: number.clone(), item, customer, message, at: self.time(&fields), media };
        self.history.push(GroupedHistory { group, task: HistoryTask::FileV1(file) });
    }

    /// The value of a change of `smb_app_state_sync`.
    pub(super) fn contact_book(&mut self, change: &Change<'_>, value: &Fields<'_>) {
        let entries = value.list("state_sync");
        if change.channel.is_none() || entries.is_empty() {
            return self.item_notice(change, NoticeSubject::Unreadable, change.raw);
        }
        for raw in entries {
            if !self.book_entry(change, raw) {
                self.item_notice(change, NoticeSubject::Unreadable, raw);
            }
        }
    }

    fn book_entry(&mut self, change: &Change<'_>, raw: &RawValue) -> bool {
        let Some(number) = change.channel.clone() else { return false };
        let Some(entry) = Fields::read(raw) else { return false };
        let Some(contact) = entry.object("contact") else { return false };
        let person = Person {
            phone: contact.text("phone_number").or_else(|| contact.text("wa_id")),
            user: contact.text("user_id"),
            ..Person::default()
        };
        let customer = person.identity(None);
        let Some(subject) = customer.subject(self.key) else { return false };
        let removed = entry.text("action").is_some_and(|action| action.eq_ignore_ascii_case("remove"));
        let name = contact.text("full_name").or_else(|| contact.text("first_name"));
        let told = entry.object("metadata").and_then(|metadata| self.own_time(&metadata));
        let at = told.unwrap_or(self.received_at);
        let item = self.item(["book", number.as_str(), raw.get()]);
        let group = MessageGroup::ContactBook(number.clone(), subject);
        let name = name.filter(|_| !removed).and_then(|name| name::clean(&name));
        let entry = BookEntry { channel: number, item, customer, name, at };
        self.history.push(GroupedHistory { group, task: HistoryTask::NameV1(entry) });
        true
    }
}

/// The customer's side of a message that no thread names.
fn somebody(change: &Change<'_>, message: &Fields<'_>) -> Option<Person> {
    let sides = ["from", "to"].map(|side| Person::read(message, side));
    sides.into_iter().find(|person| !person.is_nobody() && !change.is_own(person.phone.as_deref()))
}

/// The user id a message gives its customer.
fn user_of(change: &Change<'_>, person: &Person, message: &Fields<'_>) -> Option<String> {
    let own = |phone: Option<&str>| change.is_own(phone);
    let same =
        |phone: Option<&str>| phone.zip(person.phone.as_deref()).is_some_and(|(one, two)| WaId::are_same(one, two));
    ["from", "to"].into_iter().find_map(|side| {
        let named = Person::read(message, side);
        named.user.filter(|_| same(named.phone.as_deref()) && !own(named.phone.as_deref()))
    })
}

/// Who wrote a message of a thread.
fn side(change: &Change<'_>, person: &Person, thread: Option<&str>, message: &Fields<'_>) -> Option<Author> {
    let (from, user) = (message.text("from"), message.text("from_user_id"));
    let is_phone =
        |one: &str| [person.phone.as_deref(), thread].into_iter().flatten().any(|own| WaId::are_same(one, own));
    let is_user = |one: &str| [person.user.as_deref(), thread].into_iter().flatten().any(|own| own == one);
    if user.as_deref().is_some_and(is_user) || from.as_deref().is_some_and(|from| is_phone(from) || is_user(from)) {
        return Some(Author::Customer);
    }
    if message.text("to").is_some() || message.text("to_user_id").is_some() || change.is_own(from.as_deref()) {
        return Some(Author::Business);
    }
    let context = message.object("history_context");
    let of = |flag| if flag { Author::Business } else { Author::Customer };
    let from_me = [context.as_ref(), Some(message)].into_iter().flatten().find(|place| place.has("from_me"));
    if let Some(place) = from_me {
        return Some(of(place.flag("from_me")));
    }
    let direction = [context.as_ref(), Some(message)].into_iter().flatten().find_map(|place| place.text("direction"));
    if let Some(direction) = direction {
        let word = direction.to_ascii_lowercase();
        if ["in", "user", "received"].iter().any(|start| word.starts_with(start)) {
            return Some(Author::Customer);
        }
        if ["out", "business", "sent"].iter().any(|start| word.starts_with(start)) {
            return Some(Author::Business);
        }
    }
    message.text("id").as_deref().and_then(side_in_id)
}

/// Meta's ids say the side in a byte after the number (§2.1): the last resort.
fn side_in_id(id: &str) -> Option<Author> {
    let bytes = base64::engine::general_purpose::STANDARD.decode(id.strip_prefix("wamid.")?).ok()?;
    bytes.windows(5).find_map(|window| match window {
        [0x15, 0x02, 0x00, 0x11, 0x18] => Some(Author::Business),
        [0x15, 0x02, 0x00, 0x12, 0x18] => Some(Author::Customer),
        _ => None,
    })
}

fn state(word: &str) -> Option<PastState> {
    match word.to_ascii_lowercase().as_str() {
        "error" | "failed" | "pending" => Some(PastState::Failed),
        "sent" => Some(PastState::Sent),
        "delivered" => Some(PastState::Delivered),
        "read" | "played" => Some(PastState::Read),
        _ => None,
    }
}
