//! A double of Meta's WhatsApp Cloud API with customers on its other side.
//!
//! It is strict: what Meta refuses, it refuses, in Meta's words and codes. It is stateful: customers write, read and look at
//! their phones, the 24-hour window opens and closes by the clock it is given, media expire, rates run out. And it can
//! misbehave: see [`Meta::faults`] and [`Meta::server`].
//!
//! What Meta does and this double does not: fetching media by `link` (accepted, never fetched), prices, carousels
//! and offers in templates, messaging limits, groups, calls, and retries by itself (a test says when, with [`Meta::redeliver`]).

mod browser;
mod bubble;
mod control;
mod customer;
mod files;
mod graph;
mod layout;
mod life;
mod limits;
mod meta;
mod observe;
mod person;
mod postman;
pub mod prospect;
mod settings;
mod signup;
mod state;
mod status;
mod subscriptions;
mod templates;
mod wamid;
mod webhook;
mod wire;
mod world;

pub use bubble::{Bubble, Tappable};
pub use customer::{Customer, Upload};
pub use graph::refusal;
pub use layout::{Button, Layout};
pub use life::AccountUpdate;
pub use meta::Meta;
pub use postman::{Attempt, Delivery};
pub use settings::{Number, Rules, Settings, Statuses};
pub use signup::{Choice, Declined, Offer, Outcome, Past, SignedUp, SignupRules, TokenKind};
pub use state::Request;
pub use subscriptions::TokenFacts;
