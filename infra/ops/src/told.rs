//! What a command came to, and the code it ends with.

use aws_sdk_dynamodb::primitives::{DateTime, DateTimeFormat};
use domain::Timestamp;
use serde_json::Value;

/// How `ops` ends. The numbers are a contract; 2 is clap's, for a command that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Done.
    Done = 0,
    /// It did not work.
    DidNotWork = 1,
    /// There is no such thing, or it is not genuine.
    NoSuchThing = 3,
    /// It was looked at, and something is wrong with it.
    SomethingWrong = 4,
}

/// A time as it is shown, to the second.
pub(crate) fn spelled(at: Timestamp) -> String {
    DateTime::from_secs(at.as_secs()).fmt(DateTimeFormat::DateTime).unwrap_or_else(|_| at.as_secs().to_string())
}

/// There is no such thing: an error that ends with [`Exit::NoSuchThing`].
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NoSuch(pub(crate) String);

/// What a command came to.
#[derive(Debug)]
pub(crate) enum Told {
    /// An answer that is still to be shown, as JSON or in words.
    Answer {
        /// As JSON.
        json: Value,
        /// In words.
        words: String,
        /// With which code it ends.
        exit: Exit,
    },
    /// Everything was shown already.
    Shown(Exit),
}

impl Told {
    /// An answer to something that was done.
    pub(crate) fn new(json: Value, words: impl Into<String>) -> Self {
        Self::Answer { json, words: words.into(), exit: Exit::Done }
    }

    /// The same with another end.
    #[must_use]
    pub(crate) fn ending(self, exit: Exit) -> Self {
        match self {
            Self::Answer { json, words, .. } => Self::Answer { json, words, exit },
            Self::Shown(_) => Self::Shown(exit),
        }
    }

    /// As JSON and in words, to be part of another answer.
    pub(crate) fn parts(self) -> (Value, String) {
        match self {
            Self::Answer { json, words, .. } => (json, words),
            Self::Shown(_) => (Value::Null, String::new()),
        }
    }
}
