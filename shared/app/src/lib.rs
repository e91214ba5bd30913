//! Connects Meta's and Chatwoot's clients to the stores.
//! It holds the clients that functions share, the harness that runs them, what happens after an error, and the one way in which an
//! agent is told what became of a message. Functions link it; no library crate does.

mod activity;
mod base;
mod brake;
mod channel_access;
mod clients;
mod data_subject;
mod deadlines;
mod definitions;
mod deleted_contacts;
mod echo;
mod enqueue;
mod error;
mod harness;
mod joined;
pub mod onboarding;
mod place;
mod status;
mod template_sync;
mod tokens;

pub use activity::{Activity, ERASE_LABEL, KEEP_LABEL, activity};
pub use base::{Base, StartError, warm_up_channels};
pub use brake::{alarm, brake};
pub use channel_access::has_channel_access;
pub use chatwoot::{ORIGINS_DIFFER, REFUSALS_PAGE};
pub use clients::{Clients, Settings};
pub use data_subject::resolve_data_subject;
pub use deadlines::erasure_deadlines;
pub use definitions::USER_ID_ATTRIBUTE;
pub use deleted_contacts::{is_contact_deleted, unless_broken};
pub use echo::remove_echo;
pub use enqueue::{erasure_message, sync_requests};
pub use error::{HandlerError, MAX_REFUSALS, NextStep, Refusal};
pub use harness::{
    Error, Function, HttpFunction, QueueFunction, ScheduledFunction, answer, empty, run_http, run_scheduled, run_sqs,
    work_off,
};
pub use joined::tell_joined;
pub use place::{ChatPlace, FoundChat, InboxLocks, Opening};
pub use status::{publish_late_status, publish_status};
pub use template_sync::sync_templates;
