//! `send` brings conversations up to date from `outbound.fifo`. A sync request names a conversation, and `send` reads Chatwoot's
//! own list of its messages. Agents' messages go to WhatsApp in order, each part at most once by itself, and the outcome is
//! written back on each message in words.
//!
//! [`Handler`] takes a batch apart into syncs. `sync` compares a conversation with the outbox. `delivery` sends what is missing,
//! a part at a time, in stages. `convert` makes WhatsApp's forms of what Chatwoot holds.

mod convert;
mod delivery;
mod erasure_guard;
mod handler;
mod sync;

pub use handler::{Handler, run};
