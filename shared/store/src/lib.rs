//! State: one DynamoDB table with ids, addresses and times. No content, and nothing without an end but the channels. Numbers
//! of sections (§) are those of the project's `whatsapp-cloud-api.md`, which is not part of this repository.
//!
//! | item | key | holds |
//! |---|---|---|
//! | channel | `channel` / phone number id | number ↔ WABA ↔ account and inbox |
//! | customer | `customer#id` / `customer` | whether a user id is known, who turned out to be whom, keyed hashes of the names the bridge gave its contact; wish about marketing |
//! | thread | `customer#id` / `channel#pnid` | address, window, contact and conversation of a customer on a channel; keyed hash of the last profile seen |
//! | alias | `alias#account#hash` / `alias` | which customer, since when, and until when if they gave it up |
//! | conversation | `conversation#account#id` / `conversation` | which customer and channel, how far it is settled, how fast it was lately, the last message heard and up to where blue ticks went |
//! | outgoing | `conversation#account#id` / `message#id` | an agent's message and the fate of its parts |
//! | link | `wamid#hash` / `link` | WhatsApp message ↔ Chatwoot message |
//! | trace | `wamid#hash` / `trace` | that a WhatsApp message was taken back; further Chatwoot messages with its words |
//! | early status | `early#channel` / hash of its item | a status whose message is not known yet |
//! | media | `media#channel` / media id | a file at Meta and whose it is, as long as Meta keeps it |
//! | missing file | `file#channel` / hash of its item | a file still at Meta, and the message that stands for it |
//! | claim | `claim#hash` / `claim` | who is at work on an item, or that it is done, and where it is counted |
//! | counter | `counter#channel` / `day#shard` | the balance sheet |
//! | pace | `pace#channel` / `run` | how many messages a number sends without a second's rest, and when the last one |
//! | watch | `watch#channel` / `account#conversation` | a conversation in which something waits, or may be retried |
//! | erasure | `erasure#code` / `ledger` | a request for erasure: its state, its clock, what was done; nobody's name |
//! | target | `erasure#code` / `target` | whom an open request is about: ids and addresses, gone when it is closed |
//! | probe | `erasure#code` / `probe#queue#group` | a mark that has not come out of a message group yet |
//! | dropped | `erasure#code` / `dropped` | how much on its way in was dropped for a request |
//! | open erasure | `erasures` / code | that a request is not closed |
//! | request | `request#hash` / `request` | under which code something was asked for; the hash of a request about one account is that account's |
//! | sweep | `sweep` / its name | where a daily sweep goes on that did not come to its end |
//! | asked | `sweep` / `asked#channel#day` | how many people it asked for that day |
//! | tombstone | `tombstone#hash` / `tombstone`, or `tombstone#account` for one account | up to when what somebody sent is erased, and whether that is still underway |
//! | marks | `tombstone#any` / code | pieces of the hashes under which an erasure buried something |
//! | round | `round#channel` / `round` | when `reconcile` last went through |
//! | missed | `round` / `missed` | how many items the queue has lacked since when, while that is not certain yet |

mod aliases;
mod channels;
mod claims;
mod conversations;
mod data_subject;
mod error;
mod inventory;
mod item_ledger;
mod late_inventory;
mod ledger;
mod media_index;
mod message_links;
mod number_change;
mod orphan_statuses;
mod outbox;
mod owned;
mod pending_media;
mod profile;
mod rate_limit;
mod reconcile_cursor;
mod requests;
mod resolve;
mod restore;
mod revocations;
mod sort_keys;
mod sweep_cursor;
mod table;
mod thread;
mod tombstones;

pub use channels::Channels;
pub use claims::{CLAIMS_KEEP_DAYS, Claim, ClaimGuard, Claims, FailureCount, TAKEN_UP_TO};
pub use conversations::{Conversation, Conversations, LastHeard, Red, RepairState, SyncResult};
pub use data_subject::DataSubject;
pub use error::StoreError;
pub use inventory::DataInventory;
pub use item_ledger::{COUNTERS_KEEP_DAYS, DailyTotals, ItemLedger, ItemOutcome, QUEUES_KEEP_DAYS};
pub use late_inventory::LateKey;
pub use ledger::{ErasureEntry, ErasureLedger, LEDGER_KEEPS_DAYS, Pointed};
pub use media_index::MediaAtMeta;
pub use message_links::{MessageLink, MessageLinks, StatusMatch};
pub use orphan_statuses::{OrphanStatus, OrphanStatuses};
pub use outbox::{Outbox, OutboxEntry};
pub use pending_media::{MIN_RETRY_GAP, PendingFile, PendingMedia, is_at_meta};
pub use profile::Profiles;
pub use rate_limit::{NumberRateLimit, Slot};
pub use reconcile_cursor::ReconcileCursor;
pub use requests::{ErasureRequests, RequestOutcome};
pub use resolve::ResolvedAliases;
pub use restore::{Reapplied, Restore};
pub use revocations::{Revocation, Revocations};
pub use sweep_cursor::{ExpiredPage, TableSweep};
pub use table::Table;
pub use thread::{CustomerStore, Reach, Thread};
pub use tombstones::{ErasureCheck, Marks, TOMBSTONES_STAND_DAYS, Tombstone, Tombstones};
