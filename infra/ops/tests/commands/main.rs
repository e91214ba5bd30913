//! The operator's tool from outside: the true binary on the embedded AWS and between the simulators.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod app;
mod balance;
mod between;
mod channel;
mod dead_letters;
mod deploy;
mod doctor;
mod erasing;
mod export;
mod ground;
mod killed;
mod restoring;
mod signup;
mod standing;
mod support;
mod tracing;
