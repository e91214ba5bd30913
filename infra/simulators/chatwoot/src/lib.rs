//! A self-hosted Chatwoot 4.14.2 in memory, as far as a bridge on an API inbox can tell: stateful, strict, and ready to misbehave.
//!
//! [`Chatwoot::start`] serves the API on loopback and posts callbacks; [`Agent`] is a person at the dashboard;
//! [`Chatwoot::control`] does the same by HTTP. What it does not know it refuses.

mod agent;
mod attachments;
mod auth;
mod automation;
mod calendar;
mod callbacks;
mod chatwoot;
mod contact_rules;
mod contacts;
mod control;
mod conversation_rules;
mod conversations;
mod definitions;
mod deletion;
mod delivery;
mod errors;
mod event;
mod filters;
mod inboxes;
mod liquid;
mod message_rules;
mod messages;
mod notifications;
mod params;
mod present;
mod public_api;
mod rich;
mod rows;
mod shared;
mod state;
mod survey;
mod throttle;
mod views;
mod wire;

pub use agent::{Agent, File};
pub use attachments::FileMode;
pub use automation::{Robot, Rule, RuleAction};
pub use callbacks::{Callbacks, Duplicate, Post};
pub use chatwoot::{Chatwoot, Inbox, Settings};
pub use errors::Language;
pub use notifications::Notification;
pub use public_api::VERSION;
pub use rich::CONTENT_TYPES;
pub use rows::Role;
pub use shared::RequestLog;
pub use throttle::Limits;
pub use views::{AttachmentView, ContactView, ConversationView, MessageView};
