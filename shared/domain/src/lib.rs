//! Defines the bridge's own types: message, customer, delivery, whichever network they came from.
//!
//! No I/O, no SDK; async only where a client asks for a newer token. `whatsapp` and `chatwoot` convert to and from these types and never meet.
//! Facts about Meta are cited by section (§) of the project's `whatsapp-cloud-api.md`, which is not part of this repository.

mod api_token;
mod breaker;
pub mod channel;
pub mod clock;
pub mod clue;
pub mod delivery;
mod documented;
pub mod erasure;
pub mod failure;
pub mod history;
mod id;
pub mod identity;
pub mod keyed_hash;
pub mod mention;
pub mod message;
pub mod message_group;
pub mod name;
mod numbering;
pub mod outgoing;
pub mod pricing;
pub mod rate_limit;
mod refusal_reason;
mod retry_after;
mod send_failure;
pub mod signup;
pub mod task;
pub mod template;
pub mod vcard;
pub mod window;

pub use api_token::{ApiToken, Renewal, TokenSource};
pub use breaker::{Breaker, MAX_SILENCE};
pub use channel::Channel;
pub use clock::{Clock, SharedClock, SystemClock, Timestamp};
pub use clue::{Clue, NO_CODE, Parameter};
pub use delivery::{Delivery, StatusUpdate};
pub use erasure::Erasure;
pub use failure::{Class, Classify, InvalidTransition};
pub use history::{HistorySlice, HistoryTask, PastMessage};
pub use id::{
    AccountId, ConfirmationCode, ContactId, ConversationId, CustomerId, GroupId, InboxId, MediaId, MessageId,
    PhoneNumberId, SignupId, UserId, WaId, WabaId, Wamid,
};
pub use identity::{Address, Alias, Identity};
pub use keyed_hash::{HashKey, KeyedHash};
pub use message::{Author, Content, Message};
pub use message_group::MessageGroup;
pub use outgoing::{Outcome, Outgoing, Part, PartEvent, Reference};
pub use pricing::Pricing;
pub use refusal_reason::RefusalReason;
pub use retry_after::retry_after;
pub use send_failure::SendFailure;
pub use signup::Signup;
pub use task::{CommandNote, DrainMarker, ErasureTask, InboundTask, MediaRetry, OutboundTask, SyncRequest, Typing};
pub use window::Window;
