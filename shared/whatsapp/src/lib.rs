//! Turns Meta's webhooks into domain messages, and domain messages into Graph calls.
//!
//! Facts about Meta are cited by section (§) of the project's `whatsapp-cloud-api.md`, which is not part of this repository.

pub mod account;
mod cards;
pub mod compose;
mod content;
mod erasing;
mod error;
mod fields;
mod form;
pub mod graph;
pub mod interactive;
pub mod media;
mod moved;
pub mod names;
mod number;
mod person;
pub mod setup;
mod signature;
pub mod signed_request;
pub mod signup;
pub mod split;
pub mod templates;
mod usage;
pub mod webhook;

pub use error::{GraphError, RECIPIENT_RATE_LIMIT_CODE, SendError};
pub use graph::Graph;
pub use signature::{AppSecret, Verified};
