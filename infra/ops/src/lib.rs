//! `ops`: what the operator asks of the bridge past its API. JSON with `--json`, words without; nothing is erased or written unless
//! `--yes` says so; phones and ids of persons are shown masked.
//!
//! Exit codes: 0 done · 1 it did not work · 2 the command cannot be read · 3 there is no such thing, or it is not genuine.

mod erasing;
mod restoring;
mod stack;

use std::{io::Write as _, process::ExitCode};

use clap::{Parser, Subcommand};
use serde_json::Value;

use crate::stack::Stack;

/// There is no such thing, or it is not genuine.
const EXIT_NOT_VERIFIED: u8 = 3;

#[derive(Debug, Parser)]
#[command(name = "ops", about = "The operator's tool of the WhatsApp ↔ Chatwoot bridge")]
struct Arguments {
    /// The stack's name; its table, queues and secrets are named after it.
    #[arg(long, global = true, default_value = "lmotos")]
    stack: String,
    /// JSON instead of words.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Opens a request for erasure.
    Erase {
        /// The person's phone, in any usual spelling.
        #[arg(long, required_unless_present = "user_id", conflicts_with = "user_id")]
        phone: Option<String>,
        /// Or their user id.
        #[arg(long)]
        user_id: Option<String>,
        /// Without this nothing is opened.
        #[arg(long)]
        yes: bool,
    },
    /// Lists the open requests.
    Erasures,
    /// Writes the signed receipt of a request that is done.
    Receipt {
        /// The request's code.
        code: String,
    },
    /// Checks a receipt.
    Verify {
        /// The file it is in; `-` reads standard input.
        file: String,
    },
    /// Shows whose time to be kept is over.
    Retention {
        /// Base URL of Chatwoot, without a path.
        #[arg(long)]
        chatwoot_url: String,
        /// Runs it now, instead of tonight.
        #[arg(long)]
        yes: bool,
    },
    /// Writes down what has to outlive a restore: requests and tombstones, no person.
    Keep,
    /// Erases again in a restored table whoever was erased since the day it was put back to.
    Restore {
        /// What `keep` wrote; `-` reads standard input.
        file: String,
        /// Without this it only counts.
        #[arg(long)]
        yes: bool,
    },
}

/// What a command came to: the answer as JSON, in words, and whether it is so.
struct Told {
    json: Value,
    words: String,
    so: bool,
}

impl Told {
    fn new(json: Value, words: impl Into<String>) -> Self {
        Self { json, words: words.into(), so: true }
    }
}

/// Runs one command.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let told = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(Box::pin(run(&arguments))));
    match told {
        Ok(told) => {
            let text = if arguments.json { told.json.to_string() } else { told.words };
            if writeln!(std::io::stdout().lock(), "{}", text.trim_end()).is_err() {
                return ExitCode::FAILURE;
            }
            if told.so { ExitCode::SUCCESS } else { ExitCode::from(EXIT_NOT_VERIFIED) }
        }
        Err(error) => {
            let _ = writeln!(std::io::stderr().lock(), "{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> anyhow::Result<Told> {
    let stack = Stack::new(&arguments.stack)?;
    match &arguments.command {
        Command::Erase { phone, user_id, yes } => {
            erasing::erase(&stack, phone.as_deref(), user_id.as_deref(), *yes).await
        }
        Command::Erasures => erasing::list(&stack).await,
        Command::Receipt { code } => erasing::receipt(&stack, code).await,
        Command::Verify { file } => erasing::verify(&stack, &restoring::read(file)?).await,
        Command::Retention { chatwoot_url, yes } => erasing::retention(&stack, chatwoot_url, *yes).await,
        Command::Keep => restoring::keep(&stack).await,
        Command::Restore { file, yes } => restoring::restore(&stack, &restoring::read(file)?, *yes).await,
    }
}
