//! Deletes dead letters for good.

use anyhow::ensure;
use clap::Args;
use serde_json::json;

use super::{
    list::missing,
    selection::Selection,
    sweep::{Others, sweep},
};
use crate::{session::Session, told::Told};

/// The command.
#[derive(Debug, Args)]
pub(super) struct Drop {
    #[command(flatten)]
    selection: Selection,
    /// Without this it only counts.
    #[arg(long)]
    yes: bool,
}

impl Drop {
    pub(super) async fn run(&self, session: &Session) -> anyhow::Result<Told> {
        ensure!(!self.selection.is_everything(), "say which: by queue, reason, channel, customer, time or id");
        let stack = session.stack().await?;
        let wanted = self.selection.wanted(&stack).await?;
        let (mut selected, mut dropped, mut unseen) = (0, 0, 0);
        for of in self.selection.queues() {
            let others = if self.yes { Others::AwaitedFor } else { Others::Skipped };
            let mut meant = Vec::new();
            let mut swept = sweep(&stack, of, &session.output, others, |letter| {
                let task = letter.task();
                if wanted.means(&letter, &task) {
                    selected += 1;
                    // Its words are not needed any more.
                    meant.extend(self.yes.then_some(letter.pieces));
                }
                Ok(())
            })
            .await?;
            for letters in meant.chunks(10) {
                let pieces: Vec<_> = letters.iter().flatten().collect();
                swept.remove(&pieces).await?;
                dropped += letters.len();
                session.output.progress(&format!("{dropped} dropped"));
            }
            session.output.progress_over();
            missing(session, of.word(), swept.missing);
            unseen += swept.missing;
            swept.show().await;
        }
        let words = if self.yes {
            format!("{dropped} dead letters are gone.")
        } else {
            format!("would drop {selected} dead letters; --yes does it. What their senders wrote is lost then.")
        };
        Ok(Told::new(
            json!({ "dry_run": !self.yes, "selected": selected, "dropped": dropped, "unseen": unseen }),
            words,
        ))
    }
}
