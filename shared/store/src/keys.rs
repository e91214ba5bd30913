//! Builds and reads every key of the table.
//! Each kind of item has one place here that writes its key and one that reads it. No other module takes a key apart.

use aws_sdk_dynamodb::types::AttributeValue;
use domain::{
    AccountId, ConfirmationCode, ConversationId, CustomerId, KeyedHash, MediaId, MessageGroup, MessageId,
    PhoneNumberId, SignupId, WabaId, Wamid,
    keyed_hash::{Administrator, Person, RequestPointer, WorkItem},
};
use serde::{Deserialize, Serialize};

use crate::{
    Side,
    table::{Item, text},
};

/// The key of an item, as DynamoDB has it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key {
    pk: String,
    sk: String,
}

/// What a key says about its item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ItemKey {
    Channel(PhoneNumberId),
    Customer(CustomerId),
    Thread(CustomerId, PhoneNumberId),
    Alias(AccountId, KeyedHash<Person>),
    Conversation(AccountId, ConversationId),
    Outgoing(AccountId, ConversationId, MessageId),
    Link(KeyedHash<Wamid>),
    Revocation(KeyedHash<Wamid>),
    OrphanStatus(PhoneNumberId, KeyedHash<WorkItem>),
    MediaAtMeta(PhoneNumberId, MediaId),
    PendingFile(PhoneNumberId, KeyedHash<WorkItem>),
    Claim(KeyedHash<WorkItem>),
    /// A row of the item ledger: channel, day, and one of the rows of that day.
    LedgerRow(String, i64, String),
    NumberRate(PhoneNumberId),
    Watch(PhoneNumberId, AccountId, ConversationId),
    Round(PhoneNumberId),
    Blind(PhoneNumberId),
    Missed,
    Erasure(ConfirmationCode),
    DataSubject(ConfirmationCode),
    Receipt(ConfirmationCode),
    Dropped(ConfirmationCode),
    /// A single message that was erased.
    ErasedMessage(AccountId, ConversationId, MessageId),
    /// A drain marker: request, queue and group.
    DrainMarker(ConfirmationCode, String, MessageGroup),
    /// An alias learnt while an erasure is underway.
    LearntAlias(ConfirmationCode, KeyedHash<Person>),
    OpenErasure(ConfirmationCode),
    Request(KeyedHash<RequestPointer>),
    Tombstone(KeyedHash<Person>, Option<AccountId>),
    Marks(ConfirmationCode),
    /// Where a sweep goes on.
    Sweep(String),
    /// For how many people a sweep asked on a channel and day.
    SweepAsked(PhoneNumberId, i64),
    Administrator(KeyedHash<Administrator>),
    /// How far the import of a number's history is.
    Transfer(PhoneNumberId),
    /// What was imported of a person.
    PastPerson(PhoneNumberId, KeyedHash<Person>),
    /// A slice that is not written yet.
    PastSlice(PhoneNumberId, KeyedHash<Person>, KeyedHash<WorkItem>),
    /// How fast imports may write into an account.
    ImportRate(AccountId),
    /// A tombstone that holds for the past alone.
    PastTombstone(KeyedHash<Person>, Option<AccountId>),
    /// A link by which a number is connected, and how far that is.
    Signup(SignupId),
    /// What the page told of a signup's dialog.
    SignupTold(SignupId),
    /// That Meta told of an account that came to the app.
    SignupHint(WabaId),
    /// Which signup works on a number.
    SignupNumber(PhoneNumberId),
    /// Whether a number's phone was asked for its past.
    PastAsked(PhoneNumberId),
    /// When Meta was last asked about a number's token.
    TokenCheck(PhoneNumberId),
    /// That an operator looked at a person's data: the how-manieth look it was.
    Access(u64),
    /// The last look there was.
    LastAccess,
    /// Whether a side answers.
    Silence(Side),
    /// The key of no item.
    Absent,
}

const CHANNELS: &str = "channel";
const CUSTOMER: &str = "customer";
const ALIAS: &str = "alias";
const CONVERSATION: &str = "conversation";
const MESSAGE: &str = "message";
const WAMID: &str = "wamid";
const LINK: &str = "link";
const TRACE: &str = "trace";
const EARLY: &str = "early";
const MEDIA: &str = "media";
const FILE: &str = "file";
const CLAIM: &str = "claim";
const COUNTER: &str = "counter";
const PACE: &str = "pace";
const RUN: &str = "run";
const WATCH: &str = "watch";
const ROUND: &str = "round";
const BLIND: &str = "blind";
const MISSED: &str = "missed";
const ERASURE: &str = "erasure";
const LEDGER: &str = "ledger";
const TARGET: &str = "target";
const RECEIPT: &str = "receipt";
const DROPPED: &str = "dropped";
const DRAIN_MARKER: &str = "marker";
const OPEN_ERASURES: &str = "erasures";
const REQUEST: &str = "request";
const TOMBSTONE: &str = "tombstone";
/// The partition of the marks: an item for each erasure, kept as long as the last of its tombstones.
const MARKS: &str = "tombstone#any";
const SWEEP: &str = "sweep";
const ASKED: &str = "asked";
const ADMINISTRATOR: &str = "administrator";
const PROFILE: &str = "profile";
const HISTORY: &str = "history";
const SYNC: &str = "sync";
const PERSON: &str = "person";
const SLICE: &str = "slice";
const IMPORT: &str = "import";
const PAST: &str = "past";
const SIGNUP: &str = "signup";
const SIGNUP_NUMBER: &str = "signup-number";
const SIGNUP_TOLD: &str = "signup-told";
const SIGNUP_HINT: &str = "signup-hint";
const TOKEN: &str = "token";
const ACCESS: &str = "access";
const LOOK: &str = "look";
const LAST: &str = "last";
const SILENCE: &str = "silence";
const ABSENT: &str = "nothing";

impl From<ItemKey> for Key {
    fn from(key: ItemKey) -> Self {
        use ItemKey as Of;
        let under = |pk: String, sk: &str| Self { pk, sk: sk.to_owned() };
        match key {
            Of::Channel(number) => under(CHANNELS.to_owned(), number.as_str()),
            Of::Customer(customer) => under(format!("{CUSTOMER}#{customer}"), CUSTOMER),
            Of::Thread(customer, number) => {
                Self { pk: format!("{CUSTOMER}#{customer}"), sk: format!("{CHANNELS}#{number}") }
            }
            Of::Alias(account, alias) => under(format!("{ALIAS}#{account}#{alias}"), ALIAS),
            Of::Conversation(account, id) => under(format!("{CONVERSATION}#{account}#{id}"), CONVERSATION),
            Of::Outgoing(account, id, message) => {
                // All ids have the same length, so that they are in order.
                Self { pk: format!("{CONVERSATION}#{account}#{id}"), sk: format!("{MESSAGE}#{:019}", message.0) }
            }
            Of::Link(message) => under(format!("{WAMID}#{message}"), LINK),
            Of::Revocation(message) => under(format!("{WAMID}#{message}"), TRACE),
            Of::OrphanStatus(number, item) => under(format!("{EARLY}#{number}"), item.as_str()),
            Of::MediaAtMeta(number, media) => under(format!("{MEDIA}#{number}"), media.as_str()),
            Of::PendingFile(number, item) => under(format!("{FILE}#{number}"), item.as_str()),
            Of::Claim(item) => under(format!("{CLAIM}#{item}"), CLAIM),
            Of::LedgerRow(channel, day, shard) => {
                Self { pk: format!("{COUNTER}#{channel}"), sk: format!("{day}#{shard}") }
            }
            Of::NumberRate(number) => under(format!("{PACE}#{number}"), RUN),
            Of::Watch(number, account, id) => Self { pk: format!("{WATCH}#{number}"), sk: format!("{account}#{id}") },
            Of::Round(number) => under(format!("{ROUND}#{number}"), ROUND),
            Of::Blind(number) => under(format!("{ROUND}#{number}"), BLIND),
            Of::Silence(side) => under(format!("{SILENCE}#{}", side.word()), SILENCE),
            Of::Missed => under(ROUND.to_owned(), MISSED),
            Of::Erasure(code) => under(format!("{ERASURE}#{code}"), LEDGER),
            Of::DataSubject(code) => under(format!("{ERASURE}#{code}"), TARGET),
            Of::Receipt(code) => under(format!("{ERASURE}#{code}"), RECEIPT),
            Of::Dropped(code) => under(format!("{ERASURE}#{code}"), DROPPED),
            Of::ErasedMessage(account, id, message) => {
                Self { pk: format!("{ERASURE}#{account}#{id}"), sk: format!("{MESSAGE}#{message}") }
            }
            Of::DrainMarker(code, queue, group) => {
                Self { pk: format!("{ERASURE}#{code}"), sk: format!("{DRAIN_MARKER}#{queue}#{group}") }
            }
            Of::LearntAlias(code, alias) => Self { pk: format!("{ERASURE}#{code}"), sk: format!("{ALIAS}#{alias}") },
            Of::OpenErasure(code) => under(OPEN_ERASURES.to_owned(), code.as_str()),
            Of::Request(pointer) => under(format!("{REQUEST}#{pointer}"), REQUEST),
            Of::Tombstone(person, None) => under(format!("{TOMBSTONE}#{person}"), TOMBSTONE),
            Of::Tombstone(person, Some(account)) => {
                Self { pk: format!("{TOMBSTONE}#{person}"), sk: format!("{TOMBSTONE}#{account}") }
            }
            Of::Marks(code) => under(MARKS.to_owned(), code.as_str()),
            Of::Sweep(name) => under(SWEEP.to_owned(), &name),
            Of::SweepAsked(number, day) => Self { pk: SWEEP.to_owned(), sk: format!("{ASKED}#{number}#{day}") },
            Of::Administrator(administrator) => under(format!("{ADMINISTRATOR}#{administrator}"), PROFILE),
            Of::Transfer(number) => under(format!("{HISTORY}#{number}"), SYNC),
            Of::PastPerson(number, person) => under(format!("{HISTORY}#{number}#{person}"), PERSON),
            Of::PastSlice(number, person, slice) => {
                Self { pk: format!("{HISTORY}#{number}#{person}"), sk: format!("{SLICE}#{slice}") }
            }
            Of::ImportRate(account) => under(format!("{IMPORT}#{account}"), RUN),
            Of::PastTombstone(person, None) => under(format!("{TOMBSTONE}#{person}"), PAST),
            Of::PastTombstone(person, Some(account)) => {
                Self { pk: format!("{TOMBSTONE}#{person}"), sk: format!("{PAST}#{account}") }
            }
            Of::Signup(id) => under(SIGNUP.to_owned(), id.as_str()),
            Of::SignupNumber(number) => under(format!("{SIGNUP_NUMBER}#{number}"), SIGNUP_NUMBER),
            Of::SignupTold(id) => under(SIGNUP_TOLD.to_owned(), id.as_str()),
            Of::SignupHint(account) => under(SIGNUP_HINT.to_owned(), account.as_str()),
            Of::PastAsked(number) => under(format!("{ROUND}#{number}"), PAST),
            Of::TokenCheck(number) => under(format!("{ROUND}#{number}"), TOKEN),
            Of::Access(number) => Self { pk: ACCESS.to_owned(), sk: format!("{LOOK}#{number:020}") },
            Of::LastAccess => under(ACCESS.to_owned(), LAST),
            Of::Absent => under(ABSENT.to_owned(), ABSENT),
        }
    }
}

impl ItemKey {
    /// What a stored key says; nothing if no item of ours has such a key.
    pub(crate) fn read(Key { pk, sk }: &Key) -> Option<Self> {
        let (kind, rest) = pk.split_once('#').unwrap_or((pk, ""));
        let number = || PhoneNumberId::new(rest);
        let code = || ConfirmationCode::new(rest);
        let (first, second) = sk.split_once('#').unwrap_or((sk, ""));
        Some(match (kind, first) {
            (CHANNELS, _) => Self::Channel(PhoneNumberId::new(sk)),
            (CUSTOMER, CUSTOMER) => Self::Customer(CustomerId::new(rest)),
            (CUSTOMER, CHANNELS) => Self::Thread(CustomerId::new(rest), PhoneNumberId::new(second)),
            (ALIAS, ALIAS) => {
                let (account, alias) = rest.split_once('#')?;
                Self::Alias(AccountId(account.parse().ok()?), KeyedHash::new(alias))
            }
            (CONVERSATION, first) => {
                let (account, id) = in_account(rest)?;
                match first {
                    CONVERSATION => Self::Conversation(account, id),
                    MESSAGE => Self::Outgoing(account, id, MessageId(second.parse().ok()?)),
                    _ => return None,
                }
            }
            (WAMID, LINK) => Self::Link(KeyedHash::new(rest)),
            (WAMID, TRACE) => Self::Revocation(KeyedHash::new(rest)),
            (EARLY, _) => Self::OrphanStatus(number(), KeyedHash::new(sk)),
            (MEDIA, _) => Self::MediaAtMeta(number(), MediaId::new(sk)),
            (FILE, _) => Self::PendingFile(number(), KeyedHash::new(sk)),
            (CLAIM, CLAIM) => Self::Claim(KeyedHash::new(rest)),
            (COUNTER, day) => Self::LedgerRow(rest.to_owned(), day.parse().ok()?, second.to_owned()),
            (PACE, RUN) => Self::NumberRate(number()),
            (WATCH, _) => {
                let (account, id) = in_account(sk)?;
                Self::Watch(number(), account, id)
            }
            (ROUND, ROUND) => Self::Round(number()),
            (ROUND, BLIND) => Self::Blind(number()),
            (ROUND, TOKEN) => Self::TokenCheck(number()),
            (ROUND, PAST) => Self::PastAsked(number()),
            (SIGNUP, _) => Self::Signup(SignupId::new(sk)),
            (SIGNUP_TOLD, _) => Self::SignupTold(SignupId::new(sk)),
            (SIGNUP_HINT, _) => Self::SignupHint(WabaId::new(sk)),
            (SIGNUP_NUMBER, SIGNUP_NUMBER) => Self::SignupNumber(number()),
            (ROUND, MISSED) => Self::Missed,
            (SILENCE, SILENCE) => Self::Silence(Side::ALL.into_iter().find(|side| side.word() == rest)?),
            (ERASURE, LEDGER) => Self::Erasure(code()),
            (ERASURE, TARGET) => Self::DataSubject(code()),
            (ERASURE, RECEIPT) => Self::Receipt(code()),
            (ERASURE, DROPPED) => Self::Dropped(code()),
            (ERASURE, MESSAGE) => {
                let (account, id) = in_account(rest)?;
                Self::ErasedMessage(account, id, MessageId(second.parse().ok()?))
            }
            (ERASURE, DRAIN_MARKER) => {
                let (queue, group) = second.split_once('#')?;
                Self::DrainMarker(code(), queue.to_owned(), group.into())
            }
            (ERASURE, ALIAS) => Self::LearntAlias(code(), KeyedHash::new(second)),
            (OPEN_ERASURES, _) => Self::OpenErasure(ConfirmationCode::new(sk)),
            (REQUEST, REQUEST) => Self::Request(KeyedHash::new(rest)),
            (TOMBSTONE, _) if pk == MARKS => Self::Marks(ConfirmationCode::new(sk)),
            (TOMBSTONE, TOMBSTONE) => {
                let account = if second.is_empty() { None } else { Some(AccountId(second.parse().ok()?)) };
                Self::Tombstone(KeyedHash::new(rest), account)
            }
            (TOMBSTONE, PAST) => {
                let account = if second.is_empty() { None } else { Some(AccountId(second.parse().ok()?)) };
                Self::PastTombstone(KeyedHash::new(rest), account)
            }
            (HISTORY, SYNC) => Self::Transfer(number()),
            (HISTORY, first) => {
                let (number, person) = rest.split_once('#')?;
                let (number, person) = (PhoneNumberId::new(number), KeyedHash::new(person));
                match first {
                    PERSON => Self::PastPerson(number, person),
                    SLICE => Self::PastSlice(number, person, KeyedHash::new(second)),
                    _ => return None,
                }
            }
            (IMPORT, RUN) => Self::ImportRate(AccountId(rest.parse().ok()?)),
            (SWEEP, ASKED) => {
                let (number, day) = second.rsplit_once('#')?;
                Self::SweepAsked(PhoneNumberId::new(number), day.parse().ok()?)
            }
            (SWEEP, _) => Self::Sweep(sk.clone()),
            (ADMINISTRATOR, PROFILE) => Self::Administrator(KeyedHash::new(rest)),
            (ACCESS, LOOK) => Self::Access(second.parse().ok()?),
            (ACCESS, LAST) => Self::LastAccess,
            (ABSENT, ABSENT) => Self::Absent,
            _ => return None,
        })
    }

    /// What the key of a stored item says.
    pub(crate) fn of(item: &Item) -> Option<Self> {
        Self::read(&Key::of(item)?)
    }
}

fn in_account(text: &str) -> Option<(AccountId, ConversationId)> {
    let (account, id) = text.split_once('#')?;
    Some((AccountId(account.parse().ok()?), ConversationId(id.parse().ok()?)))
}

impl Key {
    /// The key of a stored item.
    pub(crate) fn of(item: &Item) -> Option<Self> {
        let part = |name: &str| item.get(name)?.as_s().ok().cloned();
        Some(Self { pk: part("pk")?, sk: part("sk")? })
    }

    /// Whether DynamoDB takes it: no part may be empty or too long.
    pub(crate) fn can_be(&self) -> bool {
        is_partition(&self.pk) && (1..=1024).contains(&self.sk.len())
    }

    /// The attributes that hold it.
    pub(crate) fn attributes(&self) -> Item {
        Item::from([("pk".to_owned(), text(&self.pk)), ("sk".to_owned(), text(&self.sk))])
    }

    /// Whether the item is in a customer's own partition.
    pub(crate) fn is_own(&self, customer: &CustomerId) -> bool {
        self.pk.strip_prefix(CUSTOMER).and_then(|rest| rest.strip_prefix('#')) == Some(customer.as_str())
    }
}

/// Whether DynamoDB takes it as a partition key.
pub(crate) fn is_partition(pk: &str) -> bool {
    (1..=2048).contains(&pk.len())
}

/// Items that are read together: a partition, or a part of it, in order of their sort keys. No bound is ever empty, which
/// DynamoDB refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pk: String,
    part: Part,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    All,
    Prefix(String),
    /// Both included.
    Between(String, String),
}

impl Range {
    /// The whole partition of an item.
    pub(crate) fn beside(key: ItemKey) -> Self {
        Self { pk: Key::from(key).pk, part: Part::All }
    }

    pub(crate) fn channels() -> Self {
        Self { pk: CHANNELS.to_owned(), part: Part::All }
    }

    pub(crate) fn signups() -> Self {
        Self { pk: SIGNUP.to_owned(), part: Part::All }
    }

    pub(crate) fn signup_hints() -> Self {
        Self { pk: SIGNUP_HINT.to_owned(), part: Part::All }
    }

    pub(crate) fn threads(customer: &CustomerId) -> Self {
        Self { pk: format!("{CUSTOMER}#{customer}"), part: Part::Prefix(format!("{CHANNELS}#")) }
    }

    /// The outbox of a conversation from a message on.
    pub(crate) fn outbox(account: AccountId, id: ConversationId, from: MessageId) -> Self {
        let Key { pk, sk: first } = ItemKey::Outgoing(account, id, from).into();
        let Key { sk: last, .. } = ItemKey::Outgoing(account, id, MessageId(i64::MAX)).into();
        Self { pk, part: Part::Between(first, last) }
    }

    pub(crate) fn orphan_statuses(number: &PhoneNumberId) -> Self {
        Self { pk: format!("{EARLY}#{number}"), part: Part::All }
    }

    pub(crate) fn pending_files(number: &PhoneNumberId) -> Self {
        Self { pk: format!("{FILE}#{number}"), part: Part::All }
    }

    pub(crate) fn watched(number: &PhoneNumberId) -> Self {
        Self { pk: format!("{WATCH}#{number}"), part: Part::All }
    }

    /// The rows of the item ledger between two days, both included. Days have five digits until the year 2243.
    pub(crate) fn ledger_rows(channel: &str, from: i64, to: i64) -> Self {
        Self { pk: format!("{COUNTER}#{channel}"), part: Part::Between(format!("{from}#"), format!("{to}#~")) }
    }

    pub(crate) fn open_erasures() -> Self {
        Self { pk: OPEN_ERASURES.to_owned(), part: Part::All }
    }

    /// The drain markers of a request, of one queue or of all.
    pub(crate) fn drain_markers(code: &ConfirmationCode, queue: Option<&str>) -> Self {
        let prefix = queue.map_or_else(|| format!("{DRAIN_MARKER}#"), |queue| format!("{DRAIN_MARKER}#{queue}#"));
        Self { pk: format!("{ERASURE}#{code}"), part: Part::Prefix(prefix) }
    }

    pub(crate) fn learnt_aliases(code: &ConfirmationCode) -> Self {
        Self { pk: format!("{ERASURE}#{code}"), part: Part::Prefix(format!("{ALIAS}#")) }
    }

    /// The tombstones of a person, in whichever account.
    pub(crate) fn tombstones(person: &KeyedHash<Person>) -> Self {
        Self { pk: format!("{TOMBSTONE}#{person}"), part: Part::Prefix(TOMBSTONE.to_owned()) }
    }

    /// The slices of a person that are not written yet.
    pub(crate) fn past_slices(number: &PhoneNumberId, person: &KeyedHash<Person>) -> Self {
        Self { pk: format!("{HISTORY}#{number}#{person}"), part: Part::Prefix(format!("{SLICE}#")) }
    }

    /// Everything that is kept of a person's imported history on a number.
    pub(crate) fn past(number: &PhoneNumberId, person: &KeyedHash<Person>) -> Self {
        Self { pk: format!("{HISTORY}#{number}#{person}"), part: Part::All }
    }

    /// The looks at persons' data, the first one first.
    pub(crate) fn accesses() -> Self {
        Self { pk: ACCESS.to_owned(), part: Part::Prefix(format!("{LOOK}#")) }
    }

    pub(crate) fn marks() -> Self {
        Self { pk: MARKS.to_owned(), part: Part::All }
    }

    /// Whether there can be such a partition.
    pub(crate) fn can_be(&self) -> bool {
        is_partition(&self.pk)
    }

    /// The key condition of a query, and its values.
    pub(crate) fn condition(&self) -> (&'static str, Item) {
        let value = |name: &str, value: &str| (name.to_owned(), text(value));
        let pk = value(":pk", &self.pk);
        match &self.part {
            Part::All => ("pk = :pk", Item::from([pk])),
            Part::Prefix(prefix) => {
                ("pk = :pk AND begins_with(sk, :prefix)", Item::from([pk, value(":prefix", prefix)]))
            }
            Part::Between(first, last) => (
                "pk = :pk AND sk BETWEEN :first AND :last",
                Item::from([pk, value(":first", first), value(":last", last)]),
            ),
        }
    }
}

/// What the partition keys begin with of everything that says a person was erased.
pub(crate) fn erasure_prefixes() -> [AttributeValue; 3] {
    [ERASURE, REQUEST, TOMBSTONE].map(|kind| text(format!("{kind}#")))
}

/// What customers' own partition keys begin with.
pub(crate) fn customer_prefix() -> AttributeValue {
    text(format!("{CUSTOMER}#"))
}

/// What the partition keys of an account's aliases begin with.
pub(crate) fn alias_prefix(account: AccountId) -> AttributeValue {
    text(format!("{ALIAS}#{account}#"))
}

#[cfg(test)]
mod tests;
