//! The whole pipeline as stories: both outside worlds simulated, the functions' own handlers, the embedded AWS, one clock.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod balance;
mod both_ways;
mod callbacks;
mod cast;
mod conservation;
mod crashes;
mod faults_inbound;
mod faults_outbound;
mod inbound;
mod inbound_kinds;
mod media;
mod outbound;
mod retries;
mod rules;
mod shop;
mod statuses;
