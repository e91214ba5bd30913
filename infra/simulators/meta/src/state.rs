//! Everything the double remembers.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use bytes::Bytes;
use domain::Timestamp;
use serde_json::Value;

use crate::{
    Bubble, Number, Rules, Statuses,
    limits::Limits,
    person,
    person::Person,
    signup::{Line, Signup},
    subscriptions::Subscriptions,
};

const WINDOW: Duration = Duration::from_secs(24 * 3600);

/// How long a phone shows that the business is typing, if nothing is written.
const TYPING: Duration = Duration::from_secs(25);

/// A call of `/messages`, accepted or refused.
#[derive(Clone, Debug)]
pub struct Request {
    /// When it came.
    pub at: Timestamp,
    /// The phone number id in its path.
    pub number: String,
    /// `to`, else `recipient`, as the caller wrote it; empty for marks.
    pub to: String,
    /// The body; null if it was no JSON.
    pub body: Value,
    /// The HTTP status of the answer.
    pub status: u16,
    /// The id of the message, if it was accepted.
    pub wamid: Option<String>,
}

/// A message between a number and a person.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) number: String,
    /// The user id; nothing if nobody has the address.
    pub(crate) person: Option<String>,
    /// The address it was sent to.
    pub(crate) address: Address,
    pub(crate) biz_opaque_callback_data: Option<String>,
    pub(crate) origin: Origin,
    /// Whether the second status that carries a price has been sent.
    pub(crate) priced: bool,
    /// Whether the customer's phone shows it.
    pub(crate) shown: bool,
    pub(crate) bubble: Bubble,
}

/// Where a message was written. Meta reports statuses of those sent through the API only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Customer,
    PhoneApp,
    Api,
    /// With the category it is charged as.
    ApiTemplate(&'static str),
}

/// How a recipient was named.
#[derive(Clone, Debug)]
pub(crate) enum Address {
    Phone(String),
    UserId(String),
}

/// A file the double holds.
#[derive(Clone, Debug)]
pub(crate) struct Media {
    pub(crate) number: String,
    pub(crate) bytes: Bytes,
    pub(crate) mime: String,
    pub(crate) filename: Option<String>,
    pub(crate) sha256: [u8; 32],
    /// From then on Meta no longer has it; the customer's phone does.
    pub(crate) gone_at: Timestamp,
    pub(crate) uploaded: bool,
}

/// Everything the double remembers.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) numbers: Vec<Number>,
    pub(crate) statuses: Statuses,
    pub(crate) rules: Rules,
    pub(crate) people: Vec<Person>,
    pub(crate) messages: Vec<Message>,
    pub(crate) media: BTreeMap<String, Media>,
    /// Calls that send something, and calls that mark something as read.
    pub(crate) requests: Vec<Request>,
    pub(crate) marks: Vec<Request>,
    pub(crate) limits: Limits,
    pub(crate) templates: HashMap<String, Vec<Value>>,
    pub(crate) contact_book_deletions: Vec<String>,
    pub(crate) subscriptions: Subscriptions,
    pub(crate) signup: Signup,
    /// What is known of each number besides.
    pub(crate) lines: HashMap<String, Line>,
    /// Numbers whose owner has withdrawn our access: their tokens are dead.
    pub(crate) withdrawn: BTreeSet<String>,
    /// The quality of all numbers, if it is not what it is for each that serves.
    pub(crate) number_quality: Option<String>,
    /// Numbers of which Graph says a status of its own.
    pub(crate) number_status: HashMap<String, String>,
    /// Number and user id of those who want no more marketing.
    marketing_stopped: BTreeSet<(String, String)>,
    /// Per number and user id, the customer's last message.
    windows: HashMap<(String, String), Timestamp>,
    /// Per number and user id, when the business was last said to be typing.
    typing: HashMap<(String, String), Timestamp>,
}

impl State {
    pub(crate) fn new(numbers: Vec<Number>, statuses: Statuses, now: Timestamp) -> Self {
        let lines = numbers.iter().map(|number| (number.phone_number_id.clone(), Line::serving(now)));
        Self {
            subscriptions: Subscriptions::default(),
            signup: Signup::default(),
            lines: lines.collect(),
            numbers,
            statuses,
            rules: Rules::default(),
            people: Vec::new(),
            messages: Vec::new(),
            media: BTreeMap::new(),
            requests: Vec::new(),
            marks: Vec::new(),
            limits: Limits::default(),
            templates: HashMap::new(),
            contact_book_deletions: Vec::new(),
            withdrawn: BTreeSet::new(),
            number_quality: None,
            number_status: HashMap::new(),
            marketing_stopped: BTreeSet::new(),
            windows: HashMap::new(),
            typing: HashMap::new(),
        }
    }

    pub(crate) fn number(&self, phone_number_id: &str) -> Option<&Number> {
        self.numbers.iter().find(|number| number.phone_number_id == phone_number_id)
    }

    pub(crate) fn person(&self, user_id: &str) -> Option<&Person> {
        self.people.iter().find(|person| person.user_id == user_id)
    }

    pub(crate) fn person_mut(&mut self, user_id: &str) -> Option<&mut Person> {
        self.people.iter_mut().find(|person| person.user_id == user_id)
    }

    /// The person who has this phone now, in any national spelling: the latest one, should it have passed on.
    pub(crate) fn person_by_phone(&self, digits: &str) -> Option<&Person> {
        let has_it = |person: &&Person| person.wa_id.as_deref().is_some_and(|own| person::same_phone(own, digits));
        self.people.iter().rev().find(has_it)
    }

    pub(crate) fn message(&self, wamid: &str) -> Option<&Message> {
        self.messages.iter().rev().find(|message| message.bubble.wamid == wamid)
    }

    pub(crate) fn message_mut(&mut self, wamid: &str) -> Option<&mut Message> {
        self.messages.iter_mut().rev().find(|message| message.bubble.wamid == wamid)
    }

    /// The messages between a number and a person, in order.
    pub(crate) fn chat<'a>(&'a self, number: &'a str, user_id: &'a str) -> impl Iterator<Item = &'a Message> {
        self.messages.iter().filter(move |m| m.number == number && m.person.as_deref() == Some(user_id))
    }

    /// The customer wrote: 24 hours from then, never from a later moment than now.
    pub(crate) fn open_window(&mut self, number: &str, user_id: &str, at: Timestamp, now: Timestamp) {
        let last = self.windows.entry((number.into(), user_id.into())).or_insert(at.min(now));
        *last = (*last).max(at.min(now));
    }

    /// The customer wants no more marketing of this number, or wants it again.
    pub(crate) fn stop_marketing(&mut self, number: &str, user_id: &str, stop: bool) {
        let chat = (number.to_owned(), user_id.to_owned());
        if stop {
            self.marketing_stopped.insert(chat);
        } else {
            self.marketing_stopped.remove(&chat);
        }
    }

    pub(crate) fn has_stopped_marketing(&self, number: &str, user_id: &str) -> bool {
        self.marketing_stopped.contains(&(number.to_owned(), user_id.to_owned()))
    }

    /// The business is typing, or has written.
    pub(crate) fn types(&mut self, number: &str, user_id: &str, since: Option<Timestamp>) {
        let chat = (number.to_owned(), user_id.to_owned());
        match since {
            Some(since) => self.typing.insert(chat, since),
            None => self.typing.remove(&chat),
        };
    }

    pub(crate) fn is_typing(&self, number: &str, user_id: &str, now: Timestamp) -> bool {
        self.typing.get(&(number.to_owned(), user_id.to_owned())).is_some_and(|since| now.since(*since) < TYPING)
    }

    pub(crate) fn window_is_open(&self, number: &str, user_id: &str, now: Timestamp) -> bool {
        self.windows.get(&(number.to_owned(), user_id.to_owned())).is_some_and(|last| now.since(*last) < WINDOW)
    }
}
