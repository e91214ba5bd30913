//! Chatwoot's side: callbacks become hints, domain messages become API calls.
//!
//! Facts about Chatwoot are cited by section (§) of the project's `chatwoot.md`, which is not part of this repository.

pub mod callback;
mod client;
mod contacts;
mod error;
pub mod files;
pub mod listing;
pub mod render;
mod signature;
pub mod upkeep;

pub use client::{Attachment, Chatwoot, Contact, NewContact, NewMessage, Party};
pub use error::ChatwootError;
pub use signature::{Authentic, CallbackSecret};
