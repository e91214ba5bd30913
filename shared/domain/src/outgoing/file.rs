//! What is known of a file that went to Meta, for the day it fails there.

use serde::{Deserialize, Serialize};

use super::Outgoing;
use crate::{message::MediaKind, words::Trouble};

/// A file that went out: enough to say why Meta may have given it up, and nothing of what it is called or holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentFile {
    /// The part.
    pub part: usize,
    /// Whether words stand under it.
    pub captioned: bool,
    /// How it went.
    pub way: FileWay,
}

/// How a file went to Meta.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "way", rename_all = "snake_case")]
pub enum FileWay {
    /// It was uploaded.
    Uploaded {
        /// What it is shown as.
        kind: MediaKind,
    },
    /// By its address, since it is larger than an upload of its kind may be.
    LinkedHeavy {
        /// Its kind.
        kind: MediaKind,
    },
    /// By its address, since Meta takes no uploads of its type.
    LinkedType,
    /// By its address, since Meta refused this very file as an upload, or it is not of the type it says.
    LinkedOdd,
}

impl Outgoing {
    /// The same once a call with this file is being made for a part; with none if it has no file.
    #[must_use]
    pub fn with_file(mut self, at: usize, file: Option<SentFile>) -> Self {
        self.files.retain(|known| known.part != at);
        self.files.extend(file);
        self
    }

    pub(super) fn file(&self, at: usize) -> Option<&SentFile> {
        self.files.iter().find(|file| file.part == at)
    }

    /// What is wrong with a part. What the bridge knows of a file tells more than Meta's code.
    pub(super) fn trouble(&self, at: usize) -> Option<Trouble> {
        let trouble = self.parts.get(at)?.trouble()?;
        Some(match (trouble, self.file(at)) {
            (Trouble::Refused { clue, .. }, Some(file)) if trouble.is_of_file() => {
                Trouble::FileFailed { way: file.way, http: clue.http }
            }
            _ => trouble,
        })
    }

    pub(super) fn troubles(&self) -> impl Iterator<Item = (usize, Trouble)> {
        (0..self.parts.len()).filter_map(|at| Some((at, self.trouble(at)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Delivery, Outcome, Part, Timestamp, Wamid};

    fn accepted(wamid: &str) -> Part {
        Part::Accepted { attempt: 1, wamid: Wamid::new(wamid), delivery: Delivery::Sent }
    }

    #[test]
    fn words_under_a_file_that_fails_late_go_out_without_it_and_carry_the_quote() {
        let file = SentFile { part: 0, captioned: true, way: FileWay::LinkedType };
        let mut message = Outgoing::new(Timestamp::from_secs(1_795_190_400), 1).with_file(0, Some(file));
        (message.quote, message.parts[0]) = (Some(Wamid::new("q")), accepted("a"));
        let status = |code| message.reported(0, Some(1), &Wamid::new("a"), Delivery::failed(code)).unwrap();
        let failed = status(131_053);
        assert_eq!((failed.next_part(), failed.quote_of(1).is_some(), failed.untold()), (Some(1), true, None));
        let mut apart = failed;
        apart.parts[1] = accepted("b");
        assert_eq!((apart.quote_of(0), apart.quote_of(1).is_some()), (None, true));
        let expected = Trouble::FileFailed { way: FileWay::LinkedType, http: None };
        assert_eq!(apart.outcome(), Outcome::Trouble { trouble: expected, accepted: 1 });
        // What is wrong with the recipient is wrong with the words, too.
        assert_eq!(status(131_026).parts.len(), 1);
        let wordless = message.clone().with_file(0, Some(SentFile { captioned: false, ..file }));
        let wordless = wordless.reported(0, Some(1), &Wamid::new("a"), Delivery::failed(131_053)).unwrap();
        assert_eq!(wordless.parts.len(), 1);
    }
}
