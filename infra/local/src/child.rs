//! One function as a process of its own, started by the runner.

use std::{
    io::{self, Read as _},
    path::PathBuf,
    process::{self, ExitCode},
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use anyhow::Context as _;

use crate::{file_clock::FileClock, functions};

/// The variable that names the file with the clock's offset.
pub(crate) const CLOCK_FILE: &str = "LOCAL_CLOCK_FILE";

/// Runs `function` until the runner ends it.
#[expect(
    clippy::disallowed_methods,
    reason = "the runner hands the clock over by a variable, which no function knows of"
)]
pub(crate) fn run(function: &str) -> anyhow::Result<ExitCode> {
    let clock = std::env::var(CLOCK_FILE).with_context(|| format!("{CLOCK_FILE} is not set"))?;
    platform::telemetry::init();
    let (gone, runner_is_gone) = mpsc::channel();
    thread::spawn(move || end_with_the_runner(&gone));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ended = runtime.block_on(functions::run(function, Arc::new(FileClock::new(PathBuf::from(clock)))));
    if let Err(error) = ended {
        // If the runner is gone, and its AWS with it, this is no error; the word of that may be a moment behind.
        if runner_is_gone.recv_timeout(Duration::from_millis(100)).is_ok() {
            return Ok(ExitCode::SUCCESS);
        }
        tracing::error!(function, %error, "the function cannot run");
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// The runner holds the other end of standard input; it is closed when the runner is gone, even by SIGKILL.
fn end_with_the_runner(gone: &mpsc::Sender<()>) {
    let mut buffer = [0; 64];
    while io::stdin().read(&mut buffer).is_ok_and(|read| read > 0) {}
    let _ = gone.send(());
    process::exit(0);
}
