//! Stories of the simulator itself, over real HTTP: each rule of Chatwoot that the bridge relies on.
#![expect(clippy::unwrap_used, reason = "a story that cannot be set up has failed")]

mod access;
mod callbacks;
mod contacts;
mod control;
mod conversations;
mod files;
mod messages;
mod notifications;
mod support;
