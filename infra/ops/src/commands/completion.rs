//! Writes what completes `ops` in a shell.

use anyhow::Context as _;
use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use crate::{
    arguments::Arguments,
    told::{Exit, Told},
};

/// The command.
#[derive(Debug, Args)]
pub(crate) struct Completion {
    /// The shell; `ops completion bash > ~/.local/share/bash-completion/completions/ops`.
    shell: Shell,
}

impl Completion {
    pub(crate) fn run(&self) -> anyhow::Result<Told> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Arguments::command(), "ops", &mut script);
        std::io::Write::write_all(&mut std::io::stdout().lock(), &script).context("standard output is closed")?;
        Ok(Told::Shown(Exit::Done))
    }
}
