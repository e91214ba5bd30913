//! Shows how far the import of a number's history is.

use clap::Args;
use domain::{PhoneNumberId, history::ImportState};
use serde_json::json;
use store::Imports;

use crate::{
    session::Session,
    told::{NoSuch, Told},
};

/// The command.
#[derive(Debug, Args)]
pub(crate) struct History {
    /// The number's id at Meta.
    phone_number_id: String,
}

impl History {
    pub(crate) async fn run(&self, session: &Session) -> anyhow::Result<Told> {
        let stack = session.stack().await?;
        let number = PhoneNumberId::new(&self.phone_number_id);
        let progress = Imports::new(stack.table()).progress(&number).await?;
        let Some(progress) = progress else {
            return Err(NoSuch(format!("nothing is known of a history of {number}")).into());
        };
        let (state, now) = (progress.state(stack.clock().now()), stack.clock().now());
        let word = match state {
            ImportState::Asked => "asked",
            ImportState::Receiving { .. } => "receiving",
            ImportState::Copying { .. } => "copying",
            ImportState::Done => "done",
            ImportState::NotShared => "not_shared",
            ImportState::TooLate => "too_late",
            ImportState::Nothing => "nothing",
        };
        let counts = &progress.counts;
        let refused: i64 = counts.refused.values().sum();
        let quiet = now.since(progress.transfer.last_at).as_secs();
        let json = json!({
            "state": word, "percent": progress.transfer.progress, "chunks": progress.transfer.chunks.len(),
            "received": counts.received, "written": counts.written, "duplicate": counts.duplicate,
            "refused": counts.refused, "waiting": counts.waiting(), "quiet_seconds": quiet,
            "declined": progress.declined.map(|(code, _)| code),
        });
        let mut words = format!(
            "{word}: Meta has sent {} %, in {} chunks\nreceived {} = written {} + duplicate {} + refused {refused} + waiting {}",
            progress.transfer.progress,
            progress.transfer.chunks.len(),
            counts.received,
            counts.written,
            counts.duplicate,
            counts.waiting(),
        );
        for (reason, count) in &counts.refused {
            words.extend(["\n  refused, ", reason, ": ", &count.to_string()]);
        }
        Ok(Told::new(json, words))
    }
}
