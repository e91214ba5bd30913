//! Puts tasks into FIFO queues and takes them out in order.
//! A task that cannot be handled is dead-lettered.

mod backoff;
pub mod dead_letter;
mod dead_letter_queue;
mod dead_letters;
mod drain;
mod error;
mod producer;
mod trace;

pub use backoff::{MAX_OUTAGE_RECEIVES, backoff};
pub use dead_letter::DeadLetter;
pub use dead_letter_queue::{DeadLetterQueue, MAX_DEAD_LETTERS};
pub use dead_letters::DeadLetters;
pub use drain::{Drain, Drained, LATE, Record, Verdict};
pub use error::QueueError;
pub use producer::{Queue, QueueMessage};
