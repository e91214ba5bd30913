//! Puts dead letters back into their queue, each message group's in the order in which they came.
//!
//! A letter is put into its queue before it is deleted. Killed in between, the next run puts it there again: within five
//! minutes SQS drops the second, and after that its claim does.

use std::{collections::BTreeMap, fmt::Write as _};

use clap::Args;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use queue::{Queue, QueueMessage};
use serde_json::{Value, json};

use super::{
    Letter, Of,
    list::missing,
    outlook::{Outlook, Outlooks},
    selection::Selection,
    sweep::{Others, Swept, sweep},
};
use crate::{session::Session, stack::Stack, told::Told};

/// How many are put back before they are deleted.
const MAX_LETTERS_AT_ONCE: usize = 100;

/// How many outlooks are read side by side.
const MAX_CONCURRENT_READS: usize = 16;

/// The command.
#[derive(Debug, Args)]
pub(super) struct Replay {
    #[command(flatten)]
    selection: Selection,
    /// Without this it says what would happen.
    #[arg(long)]
    yes: bool,
}

/// What was found, and done.
#[derive(Default)]
struct Sum {
    outlooks: BTreeMap<Outlook, usize>,
    letters: Vec<Value>,
    put_back: usize,
    unseen: u64,
}

impl Replay {
    pub(super) async fn run(&self, session: &Session) -> anyhow::Result<Told> {
        let stack = session.stack().await?;
        let wanted = self.selection.wanted(&stack).await?;
        let outlooks = Outlooks::new(&stack).await?;
        let mut sum = Sum::default();
        for of in self.selection.queues() {
            let others = if self.yes { Others::AwaitedFor } else { Others::Skipped };
            let mut meant = Vec::new();
            let mut swept = sweep(&stack, of, &session.output, others, |letter| {
                if wanted.means(&letter, &letter.task()) {
                    meant.push(letter);
                }
                Ok(())
            })
            .await?;
            missing(session, of.word(), swept.missing);
            sum.unseen += swept.missing;
            let done = self.put_back(&stack, session, of, &outlooks, meant, &mut swept, &mut sum).await;
            session.output.progress_over();
            swept.show().await;
            done?;
        }
        Ok(self.told(&sum))
    }

    #[expect(clippy::too_many_arguments, reason = "one queue's share of the run")]
    async fn put_back(
        &self,
        stack: &Stack,
        session: &Session,
        of: Of,
        outlooks: &Outlooks,
        mut letters: Vec<Letter>,
        swept: &mut Swept,
        sum: &mut Sum,
    ) -> anyhow::Result<()> {
        letters.sort_by(|one, other| place(one).cmp(&place(other)));
        let judged: Vec<Outlook> = stream::iter(&letters)
            .map(async |letter| outlooks.of(letter, &letter.task()).await)
            .buffered(MAX_CONCURRENT_READS)
            .try_collect()
            .await?;
        let mut going = Vec::new();
        for (letter, outlook) in letters.into_iter().zip(judged) {
            *sum.outlooks.entry(outlook).or_default() += 1;
            sum.letters.push(json!({ "id": letter.id(), "queue": of.word(), "reason": letter.reason(),
                "outlook": outlook.word() }));
            if outlook.is_put_back() {
                going.push(letter);
            }
        }
        if !self.yes || going.is_empty() {
            return Ok(());
        }
        let queue = Queue::new(stack.aws.sqs.clone(), stack.queue_url(&format!("{}.fifo", of.word())).await?);
        for some in going.chunks(MAX_LETTERS_AT_ONCE) {
            queue.send_all(some.iter().map(message).collect()).await?;
            let pieces: Vec<_> = some.iter().map(Letter::first).collect();
            swept.remove(&pieces).await?;
            sum.put_back += some.len();
            session.output.progress(&format!("{} dead letters put back", sum.put_back));
        }
        Ok(())
    }

    fn told(&self, sum: &Sum) -> Told {
        let selected: usize = sum.outlooks.values().sum();
        let outlooks: serde_json::Map<_, _> =
            sum.outlooks.iter().map(|(outlook, count)| (outlook.word().to_owned(), json!(count))).collect();
        let mut words = if self.yes {
            format!("{} of {selected} dead letters were put back.", sum.put_back)
        } else {
            format!("{selected} dead letters are meant; --yes puts them back.")
        };
        for (outlook, count) in &sum.outlooks {
            let _ = write!(words, "\n{count:>8}  {}", outlook.words());
        }
        let json = json!({ "dry_run": !self.yes, "selected": selected, "outlook": outlooks,
            "put_back": sum.put_back, "unseen": sum.unseen, "letters": sum.letters });
        Told::new(json, words)
    }
}

/// Where a letter stands: its message group, and when it came.
fn place(letter: &Letter) -> (&str, domain::Timestamp, &str) {
    let first = letter.first();
    (first.first_group(), first.since(), first.order())
}

fn message(letter: &Letter) -> QueueMessage {
    let first = letter.first();
    QueueMessage {
        group: first.first_group().to_owned(),
        dedup: format!("replay:{}", first.first_id()),
        body: first.body().to_owned(),
    }
}
