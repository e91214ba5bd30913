//! Which messages are with a function right now, kept beside the queues: a runner started after a SIGKILL shows them
//! again at once,
//! instead of waiting until their visibility timeout is over. It holds receipts, no content.

use std::{
    collections::BTreeMap,
    fs, io,
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde::{Deserialize, Serialize};
use testkit_aws::Received;

/// The messages with a function; written down where there is a path.
#[derive(Debug, Default)]
pub(crate) struct InHand {
    path: Option<PathBuf>,
    batches: Mutex<Batches>,
}

#[derive(Debug, Default)]
struct Batches {
    last: u64,
    held: BTreeMap<u64, Receipts>,
}

/// The receipts of one batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Receipts {
    pub(crate) queue: String,
    pub(crate) handles: Vec<String>,
}

/// A batch in hand, until this is dropped.
#[derive(Debug)]
pub(crate) struct Held<'a> {
    number: u64,
    of: &'a InHand,
}

impl InHand {
    /// Nothing in hand, and what was when the runner before ended.
    pub(crate) fn open(path: Option<PathBuf>) -> (Self, Vec<Receipts>) {
        let before = path.as_ref().and_then(|path| fs::read(path).ok());
        // Written in one step, so it is whole or not there.
        let left = before.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
        (Self { path, batches: Mutex::default() }, left)
    }

    /// Takes a batch into hand.
    pub(crate) fn take(&self, queue: &str, batch: &[Received]) -> Held<'_> {
        let handles = batch.iter().map(|message| message.receipt_handle.clone()).collect();
        let mut batches = self.lock();
        batches.last += 1;
        let number = batches.last;
        batches.held.insert(number, Receipts { queue: queue.to_owned(), handles });
        self.write(&batches);
        Held { number, of: self }
    }

    fn write(&self, batches: &Batches) {
        let Some(path) = &self.path else { return };
        let written =
            serde_json::to_vec(&batches.held.values().collect::<Vec<_>>()).map_err(io::Error::from).and_then(|text| {
                let beside = path.with_extension("new");
                fs::write(&beside, text)?;
                fs::rename(beside, path)
            });
        if let Err(error) = written {
            tracing::warn!(%error, "what is in hand could not be written down");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Batches> {
        self.batches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let mut batches = self.of.lock();
        batches.held.remove(&self.number);
        self.of.write(&batches);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(handle: &str) -> Received {
        Received {
            message_id: String::new(),
            receipt_handle: handle.into(),
            body: "personal".into(),
            md5: String::new(),
            attributes: BTreeMap::new(),
            message_attributes: serde_json::Value::Null,
        }
    }

    #[test]
    fn what_was_in_hand_when_the_runner_was_killed_is_known_to_the_next_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("in-hand");
        let (in_hand, left) = InHand::open(Some(path.clone()));
        assert_eq!(left, []);
        let done = in_hand.take("in.fifo", &[message("a")]);
        let killed = in_hand.take("out.fifo", &[message("b"), message("c")]);
        drop(done);
        std::mem::forget(killed);

        let (_, left) = InHand::open(Some(path.clone()));
        assert_eq!(left, [Receipts { queue: "out.fifo".into(), handles: vec!["b".into(), "c".into()] }]);
        assert!(!fs::read_to_string(path).unwrap().contains("personal"));
    }
}
