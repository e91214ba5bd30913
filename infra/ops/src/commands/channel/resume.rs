//! Lets a paused number go on.

use std::fmt::Write as _;

use anyhow::Context as _;
use app::sync_requests;
use clap::Args;
use queue::Queue;

use super::{Number, held, shown};
use crate::{
    session::Session,
    told::{NoSuch, Told},
};

/// The command.
#[derive(Debug, Args)]
pub(crate) struct Resume {
    #[command(flatten)]
    number: Number,
    /// Only what agents write.
    #[arg(long)]
    outgoing: bool,
    /// Only what customers write.
    #[arg(long)]
    incoming: bool,
}

impl Resume {
    pub(crate) async fn run(&self, session: &Session) -> anyhow::Result<Told> {
        let stack = session.deployed().await?;
        let clients = stack.clients().await?;
        let both = self.outgoing == self.incoming;
        let (outgoing, incoming) = (self.outgoing || both, self.incoming || both);
        let number = &self.number.number;
        let resumed = clients.channels.pause(number, outgoing.then_some(false), incoming.then_some(false)).await?;
        let channel = resumed.ok_or_else(|| NoSuch(format!("there is no channel {number}")))?;
        let mut waiting = 0;
        if outgoing {
            // Also in a repeat: whoever was interrupted had not asked for all of them.
            let cause = format!("resumed#{}", stack.clock().now().as_millis());
            let requests = sync_requests(&clients, number, &cause).await.context("what waits cannot be read")?;
            waiting = requests.len();
            let outbound = Queue::new(stack.aws.sqs.clone(), stack.queue_url("outbound.fifo").await?);
            outbound.send_all(requests).await.context("what waits could not be started; run this again")?;
        }
        let state = match held(&channel) {
            "" => "goes on".to_owned(),
            held => format!("is {held}"),
        };
        let mut words = format!("{} {state}; it counts within a minute.", channel.display_phone_number);
        if outgoing {
            let _ = write!(words, " {waiting} conversations were waiting, or may have been.");
        }
        if incoming {
            words.push_str(" What customers wrote comes within a quarter of an hour.");
        }
        let mut json = shown(&channel);
        json["waiting"] = waiting.into();
        Ok(Told::new(json, words))
    }
}
