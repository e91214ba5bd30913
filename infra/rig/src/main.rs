//! The rig by hand: what it measures, and the guard.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use rig::{
    functions::{self, Profile},
    instructions,
};

/// Measures the functions' binaries.
#[derive(Parser)]
struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Counts the instructions of each function.
    Count {
        /// A folder of binaries to take instead of those built for it.
        #[arg(long)]
        binaries: Option<PathBuf>,
        /// Only these functions.
        only: Vec<String>,
    },
}

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stdout, reason = "figures are what it is asked for")]
async fn main() -> anyhow::Result<()> {
    match Options::parse().what {
        What::Count { binaries, only } => {
            let folder = binaries.map_or_else(|| functions::build(Profile::Release), Ok)?;
            for function in functions::names()? {
                if !only.is_empty() && !only.contains(&function) {
                    continue;
                }
                let counted = instructions::count(&function, &folder.join(&function)).await?;
                println!("{function} {counted:?}");
            }
        }
    }
    Ok(())
}
