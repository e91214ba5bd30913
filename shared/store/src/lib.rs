//! Stores the bridge's state in one DynamoDB table.
//! It holds ids, addresses and times, but no content. Everything but the channels has an end. Numbers of sections (§) are those
//! of the project's `whatsapp-cloud-api.md`, which is not part of this repository.
//!
//! | item | key | holds |
//! |---|---|---|
//! | channel | `channel` / phone number id | number ↔ WABA ↔ account and inbox |
//! | customer | `customer#id` / `customer` | whether a user id is known, which customer it was merged into, keyed hashes of the names the bridge gave its contact; wish about marketing |
//! | thread | `customer#id` / `channel#pnid` | address, window, contact and conversation of a customer on a channel; keyed hash of the last profile seen |
//! | alias | `alias#account#hash` / `alias` | which customer, since when, and until when if they gave it up |
//! | conversation | `conversation#account#id` / `conversation` | which customer and channel, the settled mark, how much was sent lately, the customer's last message and up to which one read receipts were sent |
//! | outgoing | `conversation#account#id` / `message#id` | an agent's message and what became of its parts |
//! | link | `wamid#hash` / `link` | WhatsApp message ↔ Chatwoot message |
//! | trace | `wamid#hash` / `trace` | that a WhatsApp message was revoked; further Chatwoot messages with its text |
//! | early status | `early#channel` / hash of its item | an orphan status: its message is not known yet |
//! | media | `media#channel` / media id | a file at Meta and whose it is, for as long as Meta keeps it |
//! | missing file | `file#channel` / hash of its item | a pending file, still at Meta, and the message that stands for it |
//! | claim | `claim#hash` / `claim` | the one state of an item (received, leased, parked, dead-lettered or done), and where it is counted |
//! | counter | `counter#channel` / `day#shard` | the item ledger |
//! | pace | `pace#channel` / `run` | number rate: how many messages a number sends without a second's pause, and when the last one is sent |
//! | watch | `watch#channel` / `account#conversation` | a conversation in which something waits, or may be retried |
//! | erasure | `erasure#code` / `ledger` | an erasure request: its state, its deadlines, what was done; no name of a person |
//! | target | `erasure#code` / `target` | the data subject of an open request: ids and addresses, deleted when it is closed |
//! | drain marker | `erasure#code` / `marker#queue#group` | a drain marker that has not come out of a message group yet |
//! | erased message | `erasure#account#conversation` / `message#id` | that one message was erased: when, by which agent; not what it said |
//! | dropped | `erasure#code` / `dropped` | how many incoming events were dropped for a request |
//! | open erasure | `erasures` / code | that a request is not closed |
//! | request | `request#hash` / `request` | the code of the request under a hash; the hash of a request about one account belongs to that account |
//! | sweep | `sweep` / its name | where a daily sweep continues that did not finish |
//! | asked | `sweep` / `asked#channel#day` | for how many people that sweep requested an erasure that day |
//! | tombstone | `tombstone#hash` / `tombstone`, or `tombstone#account` for one account | up to when what a person sent is erased, and whether the erasure is still underway |
//! | marks | `tombstone#any` / code | pieces of the hashes for which an erasure wrote tombstones |
//! | import | `history#channel` / `sync` | how far the import of a number's history is: chunks, counts, times |
//! | past | `history#channel#hash` / `person` | how much of a person's history was imported, and from when to when |
//! | slice | `history#channel#hash` / `slice#hash` | a slice of a person's history that is not written yet: its times |
//! | import rate | `import#account` / `run` | when an import may write into an account again |
//! | past tombstone | `tombstone#hash` / `past`, or `past#account` for one account | up to when a person is erased for imports of history |
//! | round | `round#channel` / `round` | when `reconcile` last completed a round |
//! | signup | `signup` / id | a link by which a number is connected, and how far that is; no token, no number in full |
//! | signup's event | `signup-told` / id | which accounts and number the page named, and how the dialog ended |
//! | signup's hint | `signup-hint` / account id | that Meta told of an account that came to the app, and when |
//! | signup's number | `signup-number#channel` / `signup-number` | which signup works on a number now |
//! | asked past | `round#channel` / `past` | whether the number's phone was asked for contact book and history since it joined |
//! | token check | `round#channel` / `token` | when Meta was last asked about a number's token |
//! | administrator | `administrator#hash` / `profile` | which numbers were connected by somebody whom only Meta's app knows |
//! | look | `access` / `look#number` | that an operator looked at a person's data: who, what, when, why, and a hash that ties it to the one before |
//! | last look | `access` / `last` | the how-manieth look the last one was |
//! | missed | `round` / `missed` | how many items have been missing from the queue, and since when, while that is not certain yet |
//! | silence | `silence#side` / `silence` | since when a side does not answer and calls to it rest; half an hour |

mod access_log;
mod channels;
mod customer;
mod erasure;
mod error;
mod inbound;
mod keys;
mod outbound;
mod pager;
mod past_asked;
mod signups;
mod silences;
mod table;
#[cfg(test)]
mod tests;
mod versioned;

pub use access_log::{AccessFault, AccessLog, CheckedLook, Look};
pub use channels::Channels;
pub use customer::profile::Profiles;
pub use customer::resolve::ResolvedAliases;
pub use customer::thread::{CustomerStore, Reach, Thread};
pub use erasure::data_subject::DataSubject;
pub use erasure::inventory::DataInventory;
pub use erasure::late_inventory::LateKey;
pub use erasure::ledger::{ErasedMessage, ErasureEntry, ErasureLedger, LEDGER_KEEPS_DAYS, Pointed};
pub use erasure::ledger_copy::{LedgerCopied, LedgerCopy};
pub use erasure::media_index::MediaAtMeta;
pub use erasure::requests::{ErasureRequests, RequestOutcome};
pub use erasure::restore::{Reapplied, Restore};
pub use erasure::sweep_cursor::{ExpiredPage, TableSweep, ThreadOfContact};
pub use erasure::tombstones::{ErasureCheck, Marks, TOMBSTONES_STAND_DAYS, Tombstone, Tombstones};
pub use error::StoreError;
pub use inbound::claims::{CLAIMS_KEEP_DAYS, Claim, ClaimGuard, Claims, FailureCount, ItemState, TAKEN_UP_TO};
pub use inbound::import_rate::{ImportRate, ImportTurn};
pub use inbound::imports::{ImportCounts, ImportProgress, Imports, PersonPast, SliceOutcome, WaitingSlice};
pub use inbound::item_ledger::{COUNTERS_KEEP_DAYS, DailyTotals, ItemLedger, ItemOutcome};
pub use inbound::message_links::{MessageLink, MessageLinks, StatusMatch};
pub use inbound::orphan_statuses::{OrphanStatus, OrphanStatuses};
pub use inbound::pending_media::{MIN_RETRY_GAP, PastFile, PendingFile, PendingMedia, is_at_meta};
pub use inbound::revocations::{Revocation, Revocations};
pub use keys::Key;
pub use outbound::conversations::{Conversation, Conversations, LastHeard, Red, RepairState, SyncResult};
pub use outbound::outbox::{Outbox, OutboxEntry};
pub use outbound::rate_limit::{NumberRateLimit, Slot};
pub use outbound::reconcile_cursor::ReconcileCursor;
pub use past_asked::{PastAsked, PastRequest};
pub use signups::{Administrators, Connected, Signups, Told};
pub use silences::{Side, Silences};
pub use table::Table;
pub use versioned::until_written_from;
