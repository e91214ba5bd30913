//! Writes the manual pages of `ops`.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, CommandFactory as _};

use crate::{
    arguments::Arguments,
    told::{Exit, Told},
};

/// The command.
#[derive(Debug, Args)]
pub(crate) struct Man {
    /// Writes a page for each command into this directory, instead of the first page to standard output.
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
}

impl Man {
    pub(crate) fn run(&self) -> anyhow::Result<Told> {
        let command = Arguments::command();
        if let Some(directory) = &self.directory {
            std::fs::create_dir_all(directory).with_context(|| directory.display().to_string())?;
            clap_mangen::generate_to(command, directory).with_context(|| directory.display().to_string())?;
        } else {
            let page = clap_mangen::Man::new(command);
            page.render(&mut std::io::stdout().lock()).context("standard output is closed")?;
        }
        Ok(Told::Shown(Exit::Done))
    }
}
