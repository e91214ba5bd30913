//! The operator's tool from outside: the true binary on the embedded AWS and between the simulators.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod app;
mod balance;
mod channel;
mod doctor;
mod erasing;
mod ground;
mod support;
