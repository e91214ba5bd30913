//! Describes the data subject of an erasure request.

use std::collections::{BTreeMap, BTreeSet};

use domain::{
    AccountId, ContactId, ConversationId, CustomerId, Identity, KeyedHash, MediaId, PhoneNumberId, Timestamp, UserId,
    WaId, Wamid,
    keyed_hash::{Administrator, Person},
};
use serde::{Deserialize, Serialize};

/// The person a request is about, and which of their data is where. Gathered once, before anything is erased.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataSubject {
    /// Keyed hashes of everything they are known by.
    #[serde(default)]
    pub aliases: BTreeSet<KeyedHash<Person>>,
    /// Phones, as they were named in the request or last used.
    #[serde(default)]
    pub phones: BTreeSet<WaId>,
    /// User ids.
    #[serde(default)]
    pub users: BTreeSet<UserId>,
    /// Our own ids of them.
    #[serde(default)]
    pub customers: BTreeSet<CustomerId>,
    /// Keyed hashes of administrators' ids.
    #[serde(default)]
    pub administrators: BTreeSet<KeyedHash<Administrator>>,
    /// Their contacts in Chatwoot.
    #[serde(default)]
    pub contacts: BTreeSet<(AccountId, ContactId)>,
    /// Their conversations in Chatwoot, with the number each belongs to.
    #[serde(default)]
    pub conversations: BTreeSet<(AccountId, ConversationId, PhoneNumberId)>,
    /// Keyed hashes of their messages' ids; only while their orphan statuses are searched for.
    #[serde(skip)]
    pub messages: BTreeSet<KeyedHash<Wamid>>,
    /// Their files at Meta, with the number each came to or went from.
    #[serde(default)]
    pub media: BTreeSet<(PhoneNumberId, MediaId)>,
    /// Aliases that were theirs only up to a time.
    #[serde(default)]
    pub given_up: BTreeMap<KeyedHash<Person>, Timestamp>,
    /// The conversations to which agents added the label.
    #[serde(default)]
    pub labels: BTreeSet<(AccountId, ConversationId)>,
    /// Their contacts that Chatwoot has shown so far, as counted in the receipt.
    #[serde(default)]
    pub met_contacts: BTreeSet<(AccountId, ContactId)>,
    /// Their conversations that Chatwoot has shown so far, likewise.
    #[serde(default)]
    pub met_conversations: BTreeSet<(AccountId, ConversationId)>,
    /// Contacts that are another person's as well, since an agent merged the two.
    #[serde(default)]
    pub shared: BTreeSet<(AccountId, ContactId)>,
    /// How many items of theirs were deleted from the table so far.
    #[serde(default)]
    pub deleted: u64,
    /// The one account the request is about: a request by retention, an agent, Chatwoot or the customer about one dealer's
    /// account does not cover another's. Without one it covers all accounts, as a request by Meta or the operator does.
    #[serde(default)]
    pub only: Option<AccountId>,
    /// When a person past their retention was last active, as far as it was known when the request was made.
    #[serde(default)]
    pub quiet_since: Option<Timestamp>,
    /// The request does not cover what was sent after this time: that message triggered the request, or came after the one that
    /// did. For a message that is about to open a request, its own time.
    #[serde(default)]
    pub spares: Option<Timestamp>,
    /// Keyed hashes of the ids of messages that were sent after that time and are in Chatwoot all the same, since messages may
    /// arrive out of order: the request covers their files.
    #[serde(default)]
    pub standing: BTreeSet<KeyedHash<Wamid>>,
    /// When the newest message was sent that is known to be in Chatwoot; only while the data is gathered.
    #[serde(skip)]
    pub stood_at: Option<Timestamp>,
    /// When the table last saw them active; only while the data is gathered.
    #[serde(skip)]
    pub active_at: Option<Timestamp>,
    /// Whether the table was searched for what belongs to them.
    #[serde(default)]
    pub gathered: bool,
    /// Whether the intake of everything known of them was blocked when the request became certain. If not, that is done when the
    /// erasure begins.
    #[serde(default)]
    pub barred: bool,
    /// Whether phones and user ids stayed behind when the ledger was exported from a table. The restored table brings back those
    /// it knows; if it knows none, the person or side that asked has to name them again.
    #[serde(default)]
    pub nameless: bool,
    /// When the drain markers were put into the queues.
    #[serde(default)]
    pub marked_at: Option<Timestamp>,
    /// How many incoming message groups there were then.
    #[serde(default)]
    pub marked_groups: usize,
}

impl DataSubject {
    /// The data subject an event names.
    pub fn of(identity: &Identity) -> Self {
        let phones = [&identity.phone, &identity.wa_id].into_iter().flatten().cloned().collect();
        let users = [&identity.user_id, &identity.parent].into_iter().flatten().cloned().collect();
        Self { phones, users, ..Self::default() }
    }

    /// Whether its names stayed behind in another table, and this one knows none.
    pub fn is_unnamed(&self) -> bool {
        self.nameless && self.phones.is_empty() && self.users.is_empty()
    }
}
