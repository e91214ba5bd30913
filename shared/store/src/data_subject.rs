//! Whom a request for erasure is about.

use std::collections::{BTreeMap, BTreeSet};

use domain::{
    AccountId, ContactId, ConversationId, CustomerId, Identity, KeyedHash, MediaId, PhoneNumberId, Timestamp, UserId,
    WaId,
};
use serde::{Deserialize, Serialize};

/// Whom a request is about, and what of theirs is where. Gathered once, before anything is erased.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataSubject {
    /// Keyed hashes of everything they are known by.
    #[serde(default)]
    pub aliases: BTreeSet<KeyedHash>,
    /// Phones, as they were asked for or last used.
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
    pub administrators: BTreeSet<KeyedHash>,
    /// Their contacts in Chatwoot.
    #[serde(default)]
    pub contacts: BTreeSet<(AccountId, ContactId)>,
    /// Their conversations in Chatwoot, with the number each belongs to.
    #[serde(default)]
    pub conversations: BTreeSet<(AccountId, ConversationId, PhoneNumberId)>,
    /// Keyed hashes of their messages' ids; only while their early statuses are looked for.
    #[serde(skip)]
    pub messages: BTreeSet<KeyedHash>,
    /// Their files at Meta, with the number each came to or went from.
    #[serde(default)]
    pub media: BTreeSet<(PhoneNumberId, MediaId)>,
    /// Aliases that were theirs up to a time only.
    #[serde(default)]
    pub given_up: BTreeMap<KeyedHash, Timestamp>,
    /// The conversations on which agents put the label.
    #[serde(default)]
    pub labels: BTreeSet<(AccountId, ConversationId)>,
    /// Contacts of theirs that Chatwoot has shown so far: what the receipt counts.
    #[serde(default)]
    pub met_contacts: BTreeSet<(AccountId, ContactId)>,
    /// The same of conversations.
    #[serde(default)]
    pub met_conversations: BTreeSet<(AccountId, ConversationId)>,
    /// Contacts that are somebody else's as well, since an agent merged the two.
    #[serde(default)]
    pub shared: BTreeSet<(AccountId, ContactId)>,
    /// How many items of theirs were deleted from the table so far.
    #[serde(default)]
    pub deleted: u64,
    /// The one account the request is about: what time, an agent, Chatwoot or the customer says of one dealer's account is not said
    /// of another's. Without one it is about all, as Meta's and the operator's word is.
    #[serde(default)]
    pub only: Option<AccountId>,
    /// When somebody whose time is over was last active, as far as it was known when they were asked for.
    #[serde(default)]
    pub quiet_since: Option<Timestamp>,
    /// What was sent after that is not meant: it woke the request, or came after what did. Where a message
    /// is about to open a request, its own time.
    #[serde(default)]
    pub spares: Option<Timestamp>,
    /// Keyed hashes of the ids of messages that were sent after that and stand in Chatwoot all the same, since messages may come out of
    /// order: their files are meant.
    #[serde(default)]
    pub standing: BTreeSet<KeyedHash>,
    /// When the newest message was sent that is known to stand in Chatwoot; only while they are gathered.
    #[serde(skip)]
    pub stood_at: Option<Timestamp>,
    /// When the table last saw them active; only while they are gathered.
    #[serde(skip)]
    pub active_at: Option<Timestamp>,
    /// Whether the table was asked what belongs to them.
    #[serde(default)]
    pub gathered: bool,
    /// Whether everything known of them was barred when the request became certain. If not, that is done when it begins.
    #[serde(default)]
    pub barred: bool,
    /// Whether phones and user ids stayed behind when the ledger was taken out of a table. What the restored table knows brings
    /// them back; if it knows nobody, whoever asked has to name them once more.
    #[serde(default)]
    pub nameless: bool,
    /// When the marks were put into the queues.
    #[serde(default)]
    pub probed_at: Option<Timestamp>,
    /// How many groups of what comes in there were then.
    #[serde(default)]
    pub probed_groups: usize,
}

impl DataSubject {
    /// Whom an event names.
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
