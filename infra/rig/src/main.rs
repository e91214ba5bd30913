//! The rig by hand: counts instructions and costs, and writes the pages that are made from the code.

use std::{fs, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use rig::{
    cost,
    functions::{self, Profile},
    guard::{self, Counts},
    instructions,
};

/// How often a function is counted once more whose figures are not as they are accepted.
const AGAIN: usize = 2;

/// Measures the functions' binaries.
#[derive(Parser)]
struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Counts what each kind of message makes AWS do, and what that costs.
    Cost {
        /// Writes the table and the examples into docs/cost.md.
        #[arg(long)]
        write: bool,
    },
    /// Makes docs/reference.md from the template and the code.
    Reference {
        /// Writes it; else it is printed.
        #[arg(long)]
        write: bool,
    },
    /// Counts the instructions of every function, and compares them with the figures of the repository.
    Guard {
        /// Makes what is counted the figures of the repository.
        #[arg(long)]
        accept: bool,
        /// A folder of binaries to take, instead of building them.
        #[arg(long)]
        binaries: Option<PathBuf>,
        /// A folder for callgrind's own files.
        #[arg(long)]
        keep: Option<PathBuf>,
        /// Only these, without comparing. With `--accept` the figures of all others stay.
        only: Vec<String>,
    },
}

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "figures are what it is asked for")]
async fn main() -> anyhow::Result<ExitCode> {
    let (accept, binaries, keep, only) = match Options::parse().what {
        What::Guard { accept, binaries, keep, only } => (accept, binaries, keep, only),
        What::Cost { write } => {
            let costs = cost::all().await?;
            println!("{}", cost::table(&costs));
            if write {
                let path = functions::top().join("docs/cost.md");
                fs::write(&path, cost::document(&fs::read_to_string(&path)?, &costs)?)?;
            }
            return Ok(ExitCode::SUCCESS);
        }
        What::Reference { write } => {
            let page = local::reference::page()?;
            if write {
                fs::write(functions::top().join("docs/reference.md"), page)?;
            } else {
                println!("{page}");
            }
            return Ok(ExitCode::SUCCESS);
        }
    };
    anyhow::ensure!(instructions::available(), "valgrind is needed: apt-get install valgrind");
    let folder = binaries.map_or_else(|| functions::binaries(Profile::Release), Ok)?;
    let mut wanted = functions::counted()?;
    for name in &only {
        anyhow::ensure!(wanted.iter().any(|(known, _)| known == name), "there is no {name} to be counted");
    }
    wanted.retain(|(name, _)| only.is_empty() || only.contains(name));
    let mut counts = Counts::new();
    for (name, function) in wanted {
        let count = async || Box::pin(instructions::count(&name, &function, &folder, keep.as_deref())).await;
        let mut counted = count().await?;
        // On a busy machine a start under valgrind may go on without its lines. That is another figure, and it does not last.
        for _ in 0..AGAIN {
            if accept || !only.is_empty() || guard::is_as_accepted(&name, counted)? {
                break;
            }
            counted = count().await?;
        }
        counts.insert(name.clone(), counted);
    }
    println!("{}", guard::table(&counts));
    if accept {
        let mut all = if only.is_empty() { Counts::new() } else { guard::accepted()? };
        all.append(&mut counts);
        guard::accept(&all)?;
    } else if only.is_empty() {
        let differences = guard::differences(&guard::accepted()?, &counts);
        if !differences.is_empty() {
            eprintln!("{}\nIf that is justified: cargo run -p rig -- guard --accept", differences.join("\n"));
            return Ok(ExitCode::FAILURE);
        }
    }
    Ok(ExitCode::SUCCESS)
}
