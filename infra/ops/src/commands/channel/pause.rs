//! Holds what goes out, and on request what comes in.

use clap::Args;
use store::Channels;

use super::{Number, held, shown};
use crate::{
    session::Session,
    told::{NoSuch, Told},
};

/// The command.
#[derive(Debug, Args)]
pub(crate) struct Pause {
    #[command(flatten)]
    number: Number,
    /// Holds what agents write; this is also what happens without an option. Agents read why in a note.
    #[arg(long)]
    outgoing: bool,
    /// Keeps what customers write in its queue, for at most 14 days.
    #[arg(long)]
    incoming: bool,
}

impl Pause {
    pub(crate) async fn run(&self, session: &Session) -> anyhow::Result<Told> {
        let stack = session.stack().await?;
        let outgoing = self.outgoing || !self.incoming;
        let channels = Channels::new(stack.table());
        let paused =
            channels.pause(&self.number.number, outgoing.then_some(true), self.incoming.then_some(true)).await?;
        let channel = paused.ok_or_else(|| NoSuch(format!("there is no channel {}", self.number.number)))?;
        let mut words = format!("{} is {}; it counts within a minute.", channel.display_phone_number, held(&channel));
        if outgoing {
            words.push_str(
                " Agents read in a note that their messages wait; those whose window closes meanwhile turn red.",
            );
        }
        if self.incoming {
            words.push_str(" What customers write waits in its queue, for at most 14 days: resume before.");
        }
        Ok(Told::new(shown(&channel), words))
    }
}
