//! The command line.

use clap::{Parser, Subcommand};

use crate::{
    commands::{
        access_log::AccessLog, app::App, balance::Balance, channel::Channel, completion::Completion,
        dead_letters::DeadLetters, deploy::Deploy, destroy::Destroy, doctor::Doctor, erase::Erase, erasures::Erasures,
        export::Export, history::History, keep::Keep, man::Man, receipt::Receipt, reconcile::Reconcile,
        restore::Restore, retention::Retention, signup::Signup, status::Status, stuck::Stuck, trace::Trace,
        verify::Verify,
    },
    session::{Reached, Session},
    told::Told,
};

/// Everything on the command line.
#[derive(Debug, Parser)]
#[command(name = "ops", version, about = "The operator's tool of the WhatsApp ↔ Chatwoot bridge")]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) target: Reached,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// A command; each is a module of [`crate::commands`].
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Brings a stack up, or up to date; run again it goes on where it was.
    Deploy(Deploy),
    /// Takes a stack down, and tells what stays.
    Destroy(Destroy),
    /// Stores the app's secret: what is given is tried, keys are made.
    App(App),
    /// WhatsApp numbers: add, list, show, pause, resume, remove.
    Channel(Channel),
    /// Links by which owners connect their numbers themselves: link, list, revoke, free.
    Signup(Signup),
    /// Looks at everything, and says what to do.
    Doctor(Doctor),
    /// Shows in one look how the bridge stands.
    Status(Status),
    /// Lists what waits: why, since when, until when.
    Stuck(Stuck),
    /// Tells what became of a message, a conversation, a customer's messages: each step with its time.
    Trace(Trace),
    /// Makes a round of `reconcile` now.
    Reconcile(Reconcile),
    /// Shows what came, what became of it, and whether it adds up.
    Balance(Balance),
    /// What could not be handled: list, show, replay, drop.
    DeadLetters(DeadLetters),
    /// Opens a request for erasure.
    Erase(Erase),
    /// Writes down what the bridge and Chatwoot hold of a person, for that person.
    Export(Export),
    /// Lists the open requests.
    Erasures(Erasures),
    /// Writes the signed receipt of a request that is done.
    Receipt(Receipt),
    /// Checks a receipt.
    Verify(Verify),
    /// Shows whose time to be kept is over.
    Retention(Retention),
    /// Shows how far the import of a number's history is.
    History(History),
    /// Writes down what has to outlive a restore: requests and tombstones, no person.
    Keep(Keep),
    /// Puts the table back to an earlier time, and erases again whoever was erased since.
    Restore(Restore),
    /// Shows who looked at persons' data through `ops`, and why.
    AccessLog(AccessLog),
    /// Writes what completes commands in a shell.
    Completion(Completion),
    /// Writes the manual page.
    Man(Man),
}

impl Command {
    /// Does it.
    pub(crate) async fn run(&self, session: &Session) -> anyhow::Result<Told> {
        match self {
            Self::Deploy(deploy) => Box::pin(deploy.run(session)).await,
            Self::Destroy(destroy) => Box::pin(destroy.run(session)).await,
            Self::App(app) => Box::pin(app.run(session)).await,
            Self::Channel(channel) => channel.run(session).await,
            Self::Signup(signup) => signup.run(session).await,
            Self::Doctor(doctor) => Box::pin(doctor.run(session)).await,
            Self::Status(status) => status.run(session).await,
            Self::Stuck(stuck) => stuck.run(session).await,
            Self::Trace(trace) => Box::pin(trace.run(session)).await,
            Self::Reconcile(reconcile) => Box::pin(reconcile.run(session)).await,
            Self::Balance(balance) => balance.run(session).await,
            Self::DeadLetters(letters) => Box::pin(letters.run(session)).await,
            Self::Erase(erase) => erase.run(session).await,
            Self::Export(export) => Box::pin(export.run(session)).await,
            Self::Erasures(erasures) => erasures.run(session).await,
            Self::Receipt(receipt) => receipt.run(session).await,
            Self::Verify(verify) => verify.run(session).await,
            Self::Retention(retention) => retention.run(session).await,
            Self::History(history) => history.run(session).await,
            Self::Keep(keep) => keep.run(session).await,
            Self::Restore(restore) => Box::pin(restore.run(session)).await,
            Self::AccessLog(log) => log.run(session).await,
            Self::Completion(completion) => completion.run(),
            Self::Man(man) => man.run(),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_has_no_contradictions() {
        Arguments::command().debug_assert();
    }
}
