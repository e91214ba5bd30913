//! Records how a file went to Meta, to explain a later failure there.

use serde::{Deserialize, Serialize};

use super::Outgoing;
use crate::{SendFailure, message::MediaKind};

/// A file that went out: enough to say why Meta may have given it up, and nothing of its name or content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentFile {
    /// The part.
    pub part: usize,
    /// Whether there is text under it.
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
    pub(super) fn file(&self, at: usize) -> Option<&SentFile> {
        self.files.iter().find(|file| file.part == at)
    }

    /// Whether the failure of a part is about its file alone, so that nothing else of the message has to wait for it. If a part
    /// carries a file, a value that Meta does not accept counts as one of the file's unless Meta names another.
    pub fn is_of_file(&self, at: usize, failure: SendFailure) -> bool {
        let by_part = || match failure {
            SendFailure::Refused { code: 131_051, .. } => true,
            SendFailure::Refused { code: 100 | 131_008 | 131_009, clue } => {
                clue.parameter.is_none_or(|parameter| parameter.is_of_file())
            }
            _ => false,
        };
        failure.is_of_file() || (self.file(at).is_some() && by_part())
    }

    /// What is wrong with a part. What the bridge knows of a file tells more than Meta's code.
    pub(super) fn failure(&self, at: usize) -> Option<SendFailure> {
        let failure = self.parts.get(at)?.failure()?;
        let (SendFailure::Refused { clue, .. }, Some(file)) = (failure, self.file(at)) else { return Some(failure) };
        // The bridge chose the address itself; the agent can change the file.
        let linked = !matches!(file.way, FileWay::Uploaded { .. });
        let by_address = linked && clue.parameter.is_some_and(|parameter| parameter.is_address());
        let of_file = failure.is_of_file() || (by_address && self.is_of_file(at, failure));
        Some(if of_file { SendFailure::FileFailed { way: file.way, http: clue.http } } else { failure })
    }

    /// The parts that failed, each with its reason.
    pub fn failures(&self) -> impl Iterator<Item = (usize, SendFailure)> {
        (0..self.parts.len()).filter_map(|at| Some((at, self.failure(at)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Clue, Delivery, Outcome, Part, PartEvent, Timestamp, Wamid};

    fn accepted(wamid: &str) -> Part {
        Part::Accepted { attempt: 1, wamid: Wamid::new(wamid), delivery: Delivery::Sent }
    }

    #[test]
    fn words_under_a_file_that_fails_late_go_out_without_it_and_carry_the_quote() {
        let file = SentFile { part: 0, captioned: true, way: FileWay::LinkedType };
        let message = Outgoing {
            quote: Some(Wamid::new("q")),
            parts: vec![accepted("a")],
            files: vec![file],
            ..Outgoing::new(Timestamp::from_secs(1_795_190_400), 1)
        };
        let reported = |message: &Outgoing, code| {
            let (mut message, delivery) = (message.clone(), Delivery::failed(code));
            message.apply(0, PartEvent::Reported { attempt: Some(1), wamid: Wamid::new("a"), delivery }).unwrap();
            message
        };
        let status = |code| reported(&message, code);
        let failed = status(131_053);
        assert_eq!((failed.next_part(), failed.quote_of(1).is_some(), failed.pending_status()), (Some(1), true, None));
        let mut apart = failed;
        apart.parts[1] = accepted("b");
        assert_eq!((apart.quote_of(0), apart.quote_of(1).is_some()), (None, true));
        let expected = SendFailure::FileFailed { way: FileWay::LinkedType, http: None };
        assert_eq!(apart.outcome(), Outcome::Incomplete { failure: expected, accepted: 1 });
        // A problem with the recipient affects the text, too.
        assert_eq!(status(131_026).parts.len(), 1);
        // A value that Meta does not accept stops nothing either, unless it does not belong to the file.
        for (code, details, goes_on) in [
            (100, "Param document['link'] is not a valid URI.", true),
            (131_009, "Unsupported Image mime type image/jpg", true),
            (131_008, "Required parameter is missing: filename", true),
            (131_051, "Message type is not currently supported", true),
            (100, "", true),
            (100, "(#100) The parameter to is required.", false),
            (131_009, "Parameter value is not valid: recipient_type", false),
            (190, "Error validating access token", false),
        ] {
            let failure = SendFailure::Refused { code, clue: Clue::read(details) };
            let mut refused = message.clone();
            refused.parts = vec![Part::Failed { attempt: 1, failure }, Part::Planned];
            assert_eq!(refused.next_part().is_some(), goes_on, "{code} {details}");
            refused.files.clear();
            assert_eq!(refused.next_part(), None, "{code} {details}: no file");
        }
        let wordless = Outgoing { files: vec![SentFile { captioned: false, ..file }], ..message.clone() };
        let wordless = reported(&wordless, 131_053);
        assert_eq!(wordless.parts.len(), 1);
    }
}
