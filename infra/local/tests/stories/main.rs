//! The whole pipeline as stories: both outside worlds simulated, the functions' own handlers, the embedded AWS, one clock.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod account;
mod adverts;
mod balance;
mod both_ways;
mod callbacks;
mod calls;
mod cast;
mod commands;
mod conservation;
mod contacts;
mod crashes;
mod echoes;
mod erasure;
mod erasure_doors;
mod erasure_ledger;
mod erasure_places;
mod erasure_queues;
mod faults_inbound;
mod faults_outbound;
mod files;
mod identity;
mod identity_properties;
mod inbound;
mod inbound_kinds;
mod marks;
mod media;
mod outbound;
mod pacing;
mod profiles;
mod receipts;
mod restore;
mod retention;
mod retention_sweep;
mod retries;
mod revokes;
mod rich;
mod rules;
mod shop;
mod statuses;
mod template_values;
mod templates;
mod texts;
mod webhook;
mod window;
