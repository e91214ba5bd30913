//! Turns Chatwoot's callbacks into sync requests, and domain messages into API calls.
//!
//! Facts about Chatwoot are cited by section (§) of the project's `chatwoot.md`, which is not part of this repository.

pub mod agents;
pub mod callback;
mod client;
mod contacts;
mod conversations;
pub mod definitions;
pub mod erasing;
mod error;
mod export;
pub mod files;
pub mod inboxes;
mod links;
pub mod listing;
mod messages;
pub mod render;
pub mod rich;
pub mod rights;
mod signature;
mod tag;
pub mod template;
mod text;
pub mod version;

pub use client::Chatwoot;
pub use contacts::{Contact, ContactChange, NewContact, SourceLookup, contact_name};
pub use conversations::{ActiveConversation, ConversationLookup, ConversationParty, attribute};
pub use error::{ChatwootError, ORIGINS_DIFFER, REFUSALS_PAGE};
pub use messages::{Attachment, CreatedMessage, HISTORY_SOURCE, NewMessage};
pub use signature::{Authentic, CallbackSecret, PathSecret};
