//! `ops`: what the operator asks of the bridge past its API. JSON with `--json`, words without; nothing is erased or written unless
//! `--yes` says so where persons are concerned; phones and ids of persons are shown masked.
//!
//! A command is a module of `commands`: its arguments, and what it does. It gets a `Session` and makes a `Told`.
//! Commands, shapes of JSON and exit codes stand in `docs/ops.md`.

mod access;
mod arguments;
mod aws_call;
mod commands;
mod formation;
mod input;
mod output;
mod person;
mod runner;
mod session;
mod sign_in;
mod stack;
mod told;

use std::process::ExitCode;

use clap::Parser as _;

use crate::{
    arguments::Arguments,
    session::Session,
    told::{Exit, NoSuch},
};

/// Runs one command.
pub fn main() -> ExitCode {
    let Arguments { target, command } = Arguments::parse();
    let session = Session::new(target);
    let told = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(Box::pin(command.run(&session))));
    let exit = match told.and_then(|told| session.output.tell(told)) {
        Ok(exit) => exit,
        Err(error) => {
            output::complain(&error);
            if error.is::<NoSuch>() { Exit::NoSuchThing } else { Exit::DidNotWork }
        }
    };
    ExitCode::from(exit as u8)
}
