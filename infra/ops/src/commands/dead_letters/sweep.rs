//! Goes through a dead-letter queue and hands each letter over once.
//!
//! A FIFO queue shows ten messages of a message group and hides those behind them. So what may hide others is put back in a
//! group of its own, with its place and its time beside it, as an erasure does.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::Duration,
};

use anyhow::ensure;
use queue::{DeadLetter, DeadLetterQueue};

use super::{Letter, Of};
use crate::{output::Output, stack::Stack};

/// For how long a letter that was looked at is invisible, at most: until the command ends, or was killed.
const HIDDEN_SECONDS: i32 = 120;

/// How often letters in other hands are waited for, two seconds each: somewhat longer than they are hidden.
const MAX_WAITS: usize = 75;

const WAIT: Duration = Duration::from_secs(2);

/// How many bytes of letters are held in memory at once, to be put back.
const MAX_HELD_BYTES: usize = 64 * 1024 * 1024;

/// A queue that was gone through.
pub(super) struct Swept {
    pub(super) queue: DeadLetterQueue,
    /// What is in hand, by SQS's id of it.
    held: HashMap<String, Held>,
    /// How many could not be seen: another command has them in hand, or SQS counts late.
    pub(super) missing: u64,
}

/// A message in hand. One that was put back by a command that was killed may be there twice.
struct Held {
    /// The how-manieth it was.
    received: usize,
    first_id: String,
    receipt: String,
}

impl Swept {
    /// Deletes these, each as often as it is there.
    pub(super) async fn remove(&mut self, pieces: &[&DeadLetter]) -> anyhow::Result<()> {
        let firsts: HashSet<&str> = pieces.iter().map(|piece| piece.first_id()).collect();
        let gone: Vec<Held> =
            self.held.extract_if(|_, held| firsts.contains(held.first_id.as_str())).map(|(_, held)| held).collect();
        for some in gone.chunks(10) {
            let receipts: Vec<&str> = some.iter().map(|held| held.receipt.as_str()).collect();
            let lost = self.queue.remove_all(&receipts).await?;
            ensure!(lost == 0, "{lost} dead letters were taken by another worker meanwhile: run it again");
        }
        Ok(())
    }

    /// Makes what is left visible again.
    pub(super) async fn show(self) {
        let mut held: Vec<_> = self.held.into_values().collect();
        held.sort_unstable_by_key(|held| held.received);
        self.queue.show(held.iter().map(|held| held.receipt.as_str())).await;
    }
}

/// Whether a sweep waits for what others have in hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Others {
    /// It goes on without.
    Skipped,
    /// A command that was killed gives back what it had within two minutes.
    AwaitedFor,
}

/// Goes through a queue; what is in hand then stays invisible until it is shown or deleted.
pub(super) async fn sweep(
    stack: &Stack,
    of: Of,
    output: &Output,
    others: Others,
    mut each: impl FnMut(Letter) -> anyhow::Result<()>,
) -> anyhow::Result<Swept> {
    let queue = of.dead_letters(stack).await?.hiding_for(HIDDEN_SECONDS);
    let mut swept = Swept { queue, held: HashMap::new(), missing: 0 };
    let went = go_through(&mut swept, of, output, others, &mut each).await;
    match went {
        Ok(()) => Ok(swept),
        Err(error) => {
            swept.show().await;
            Err(error)
        }
    }
}

async fn go_through(
    swept: &mut Swept,
    of: Of,
    output: &Output,
    others: Others,
    each: &mut impl FnMut(Letter) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let (mut hiding, mut bytes, mut waits, mut received) = (Vec::<DeadLetter>::new(), 0, 0, 0);
    let mut known = HashSet::new();
    let mut pieces = BTreeMap::<String, Vec<DeadLetter>>::new();
    loop {
        let page = swept.queue.receive().await?;
        let nothing_shows = page.is_empty();
        for letter in page {
            let first = letter.first_id().to_owned();
            received += 1;
            let held = Held { received, first_id: first.clone(), receipt: letter.receipt().to_owned() };
            swept.held.insert(letter.id().to_owned(), held);
            if !letter.stands_alone() {
                bytes += letter.body().len();
                hiding.push(letter.clone());
            }
            if !known.insert(first) {
                continue;
            }
            let Some((name, count)) = letter.piece() else {
                each(Letter { of, pieces: vec![letter], incomplete: false })?;
                continue;
            };
            let so_far = pieces.entry(name.clone()).or_default();
            so_far.push(letter);
            if so_far.len() == count {
                each(Letter { of, pieces: pieces.remove(&name).unwrap_or_default(), incomplete: false })?;
            }
        }
        output.progress(&format!("{} dead letters of {} seen", swept.held.len(), of.word()));
        if nothing_shows {
            swept.missing = swept.queue.holds().await?.saturating_sub(swept.held.len() as u64);
            if swept.missing == 0 || (hiding.is_empty() && (others == Others::Skipped || waits == MAX_WAITS)) {
                break;
            }
            if hiding.is_empty() {
                output.progress(&format!("waiting for {} dead letters that are in other hands", swept.missing));
                waits += 1;
                wait().await;
            }
        }
        if nothing_shows || bytes > MAX_HELD_BYTES {
            bytes = 0;
            for letter in std::mem::take(&mut hiding) {
                // One whose receipt is no longer ours is received anew.
                swept.held.remove(letter.id());
                swept.queue.put_back_alone(&letter).await?;
            }
        }
    }
    output.progress_over();
    for pieces in pieces.into_values() {
        each(Letter { of, pieces, incomplete: true })?;
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "what another command has in hand comes back by itself")]
async fn wait() {
    tokio::time::sleep(WAIT).await;
}
