//! Lists dead letters as they come.

use clap::Args;

use super::{
    selection::Selection,
    sweep::{Others, sweep},
};
use crate::{
    output::Column,
    session::Session,
    told::{Told, spelled},
};

const COLUMNS: &[Column] = &[("id", 36), ("queue", 8), ("reason", 20), ("kind", 12), ("since", 20), ("person", 16)];

/// The command.
#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    selection: Selection,
}

impl List {
    pub(super) async fn run(&self, session: &Session) -> anyhow::Result<Told> {
        let stack = session.stack().await?;
        let wanted = self.selection.wanted(&stack).await?;
        let mut list = session.output.list(COLUMNS);
        for of in self.selection.queues() {
            let swept = sweep(&stack, of, &session.output, Others::Skipped, |letter| {
                let task = letter.task();
                if !wanted.means(&letter, &task) {
                    return Ok(());
                }
                let cells = [
                    letter.id().to_owned(),
                    of.word().to_owned(),
                    letter.reason().to_owned(),
                    task.kind().to_owned(),
                    spelled(letter.first().since()),
                    task.masked().unwrap_or_default(),
                ];
                list.row(&letter.shown(&task), &cells)
            })
            .await?;
            missing(session, of.word(), swept.missing);
            swept.show().await;
        }
        list.end("there is no such dead letter")
    }
}

/// Says that some could not be seen.
pub(super) fn missing(session: &Session, of: &str, missing: u64) {
    if missing > 0 {
        session.output.remark(&format!(
            "{missing} more of {of} are in other hands, and are shown again within two minutes; or SQS counts late"
        ));
    }
}
