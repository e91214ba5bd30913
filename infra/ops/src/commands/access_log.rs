//! Shows who looked at persons' data, and whether a record is missing.

use clap::Args;
use serde_json::json;
use store::{AccessFault, AccessLog as Log};

use crate::{
    output::Column,
    session::Session,
    told::{Exit, Told, spelled},
};

const COLUMNS: &[Column] = &[("at", 20), ("who", 16), ("command", 12), ("subject", 10), ("why", 14)];

/// The command.
#[derive(Debug, Args)]
pub(crate) struct AccessLog {}

impl AccessLog {
    pub(crate) async fn run(&self, session: &Session) -> anyhow::Result<Told> {
        let stack = session.stack().await?;
        let (looks, at_end) = Log::new(stack.table(), stack.key().await?).looks().await?;
        let mut list = session.output.list(COLUMNS);
        let mut is_whole = at_end.is_none();
        for checked in looks {
            let (look, fault) = (&checked.look, checked.fault.map(words));
            is_whole &= fault.is_none();
            let row = json!({ "number": checked.number, "at": look.at.as_secs(), "who": look.who,
                "command": look.command, "subject": look.subject, "why": look.why, "fault": fault });
            let why = fault.map_or_else(|| look.why.clone(), |fault| format!("{fault}! {}", look.why));
            list.row(&row, &[spelled(look.at), look.who.clone(), look.command.clone(), look.subject.clone(), why])?;
        }
        let told = list.end("no look at a person's data is recorded")?;
        if let Some(fault) = at_end {
            session.output.remark(&format!("at the end: {}", words(fault)));
        }
        Ok(if is_whole { told } else { told.ending(Exit::SomethingWrong) })
    }
}

fn words(fault: AccessFault) -> String {
    match fault {
        AccessFault::Changed => "was changed".to_owned(),
        AccessFault::Missing(count) => format!("{count} before it are missing"),
    }
}
