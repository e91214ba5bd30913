//! Dead letters: listed, looked at, put back, dropped.

mod drop;
mod list;
mod outlook;
mod replay;
mod selection;
mod show;
mod sweep;
mod task;

use clap::{Args, Subcommand, ValueEnum};
use queue::{DeadLetter, DeadLetterQueue, dead_letter};
use serde_json::{Value, json};

use self::task::Task;
use crate::{session::Session, stack::Stack, told::Told};

/// The command.
#[derive(Debug, Args)]
pub(crate) struct DeadLetters {
    #[command(subcommand)]
    command: DeadLettersCommand,
}

#[derive(Debug, Subcommand)]
enum DeadLettersCommand {
    /// Lists them: why, since when, of which number.
    List(list::List),
    /// Shows one as it is, with what its sender wrote; the look is recorded.
    Show(show::Show),
    /// Puts them back into their queue, each customer's in order; without `--yes` it says what would happen.
    Replay(replay::Replay),
    /// Deletes them for good; without `--yes` it only counts.
    Drop(drop::Drop),
}

/// A queue that has dead letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum Of {
    Inbound,
    History,
    Outbound,
    Erasure,
}

impl Of {
    const ALL: [Self; 4] = [Self::Inbound, Self::History, Self::Outbound, Self::Erasure];

    const fn word(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::History => "history",
            Self::Outbound => "outbound",
            Self::Erasure => "erasure",
        }
    }

    async fn dead_letters(self, stack: &Stack) -> anyhow::Result<DeadLetterQueue> {
        let url = stack.queue_url(&format!("{}-dead-letters.fifo", self.word())).await?;
        Ok(DeadLetterQueue::new(stack.aws.sqs.clone(), url))
    }
}

/// A dead letter, of as many pieces as it has.
#[derive(Clone, Debug)]
struct Letter {
    of: Of,
    pieces: Vec<DeadLetter>,
    /// Whether a piece of it did not come.
    incomplete: bool,
}

impl Letter {
    fn first(&self) -> &DeadLetter {
        &self.pieces[0]
    }

    /// Its id, which it keeps wherever it is put back.
    fn id(&self) -> &str {
        let pieces = self.pieces.iter().map(DeadLetter::first_id);
        pieces.min().unwrap_or_default()
    }

    fn text(&self) -> String {
        dead_letter::text(&self.pieces)
    }

    /// Why it is here.
    fn reason(&self) -> &str {
        self.first().reason().unwrap_or(MOVED_BY_SQS)
    }

    /// What it holds, as a task; a letter that was cut or is no text is none.
    fn task(&self) -> Task {
        if self.incomplete || self.pieces.len() > 1 || self.first().is_base64() {
            return Task::Unreadable;
        }
        Task::read(self.of, self.first().body())
    }

    /// Its row in a list, as JSON; the shape is in docs/ops.md.
    fn shown(&self, task: &Task) -> Value {
        json!({
            "id": self.id(), "queue": self.of.word(), "reason": self.reason(), "kind": task.kind(),
            "channel": task.channel(), "person": task.masked(), "since": self.first().since().as_secs(),
            "pieces": self.pieces.len(), "incomplete": self.incomplete,
        })
    }
}

/// The reason of a letter that SQS moved itself, after a thousand receives.
const MOVED_BY_SQS: &str = "moved_by_sqs";

impl DeadLetters {
    pub(crate) async fn run(&self, session: &Session) -> anyhow::Result<Told> {
        match &self.command {
            DeadLettersCommand::List(list) => list.run(session).await,
            DeadLettersCommand::Show(show) => show.run(session).await,
            DeadLettersCommand::Replay(replay) => replay.run(session).await,
            DeadLettersCommand::Drop(drop) => drop.run(session).await,
        }
    }
}
