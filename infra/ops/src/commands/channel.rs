//! WhatsApp numbers in the bridge's service: added, looked at, paused, removed.

mod add;
mod list;
mod pause;
mod remove;
mod resume;
mod show;

use app::Clients;
use clap::{Args, Subcommand};
use domain::{Channel as BoundNumber, PhoneNumberId, channel::Mode};
use serde_json::{Value, json};

use crate::{
    session::Session,
    told::{NoSuch, Told},
};

/// The command.
#[derive(Debug, Args)]
pub(crate) struct Channel {
    #[command(subcommand)]
    command: ChannelCommand,
}

#[derive(Debug, Subcommand)]
enum ChannelCommand {
    /// Brings a number into service; run again it goes on where it was.
    Add(add::Add),
    /// Lists the numbers.
    List(list::List),
    /// Shows a number, and what both sides say of it.
    Show(show::Show),
    /// Holds what goes out; with `--incoming` also what comes in. Nothing is lost.
    Pause(pause::Pause),
    /// Lets everything go on.
    Resume(resume::Resume),
    /// Takes a number out of service. The inbox and what was written stay.
    Remove(remove::Remove),
}

/// A number, as a command names it.
#[derive(Debug, Args)]
struct Number {
    /// Meta's id of the number (WhatsApp Manager → Phone numbers), not the number itself.
    #[arg(value_name = "PHONE_NUMBER_ID", value_parser = number)]
    number: PhoneNumberId,
}

impl Channel {
    pub(crate) async fn run(&self, session: &Session) -> anyhow::Result<Told> {
        match &self.command {
            ChannelCommand::Add(add) => Box::pin(add.run(session)).await,
            ChannelCommand::List(list) => list.run(session).await,
            ChannelCommand::Show(show) => Box::pin(show.run(session)).await,
            ChannelCommand::Pause(pause) => pause.run(session).await,
            ChannelCommand::Resume(resume) => Box::pin(resume.run(session)).await,
            ChannelCommand::Remove(remove) => Box::pin(remove.run(session)).await,
        }
    }
}

/// Meta's ids are digits; a `+` or spaces show that it is the number itself.
pub(crate) fn number(given: &str) -> Result<PhoneNumberId, String> {
    if (1..=32).contains(&given.len()) && given.bytes().all(|byte| byte.is_ascii_digit()) {
        Ok(PhoneNumberId::new(given))
    } else {
        Err("expected Meta's id of the number: digits only, from WhatsApp Manager → Phone numbers".to_owned())
    }
}

/// The channel of a number, as it stands in the table.
async fn find(clients: &Clients, number: &PhoneNumberId) -> anyhow::Result<BoundNumber> {
    let found = clients.channels.look_again(number).await?;
    let none = || NoSuch(format!("there is no channel {number}; `ops channel list` shows those there are"));
    found.map(|channel| (*channel).clone()).ok_or_else(|| none().into())
}

/// Which directions are held, in words.
fn held(channel: &BoundNumber) -> &'static str {
    match (channel.paused, channel.paused_incoming) {
        (false, false) => "",
        (true, false) => "paused: out",
        (false, true) => "paused: in",
        (true, true) => "paused: out and in",
    }
}

/// A channel as JSON; the shape is in docs/ops.md.
fn shown(channel: &BoundNumber) -> Value {
    json!({
        "phone_number_id": channel.phone_number_id,
        "display_phone_number": channel.display_phone_number,
        "waba_id": channel.waba_id,
        "account": channel.account,
        "inbox": channel.inbox,
        "mode": if channel.mode == Mode::Coexistence { "coexistence" } else { "cloud" },
        "state": channel.state.word(),
        "paused": { "outgoing": channel.paused, "incoming": channel.paused_incoming },
        "since": channel.since.map(domain::Timestamp::as_secs),
        "templates": channel.offered.as_ref().map(|offered| offered.templates),
    })
}
