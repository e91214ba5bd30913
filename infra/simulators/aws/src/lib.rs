//! The embedded AWS: SQS, DynamoDB and Secrets Manager behind one loopback address, for the local runner and the tests.
//!
//! The real SDK speaks to it with any credentials. DynamoDB is `dynoxide`; queues and secrets are ours, since no queue that
//! can be embedded keeps a FIFO queue's promises. All time comes from a [`simulator_wire::MovableClock`]. With a directory,
//! what was answered outlives the process however it ends, and what was deleted leaves no trace in it after
//! [`Aws::close`].

#![expect(clippy::disallowed_types, reason = "real time is measured or waited for")]

mod access;
mod aws;
pub mod bridge;
mod dynamo;
pub mod emulator;
mod error;
mod front;
mod journal;
mod lag;
mod proxy;
mod received;
mod secrets;
mod sqs;

pub use aws::{Aws, Settings};
pub use lag::Lag;
pub use received::Received;
pub use sqs::Hold;

/// The region that everything is in.
pub const REGION: &str = "us-east-1";

/// The account that everything belongs to.
pub const ACCOUNT: &str = "000000000000";
