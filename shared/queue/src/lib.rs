//! Work: putting tasks into the FIFO queues, taking them out in order, and setting aside what nobody can handle.

mod backoff;
mod dead_letters;
mod drain;
mod error;
mod producer;

pub use backoff::{MAX_OUTAGE_RECEIVES, backoff};
pub use dead_letters::DeadLetters;
pub use drain::{Drain, Drained, Record, Verdict};
pub use error::QueueError;
pub use producer::{Queue, QueueMessage};
