//! One function as a process of its own, started by the runner.

use std::{
    io::{self, Read as _},
    path::PathBuf,
    process::{self, ExitCode},
    sync::Arc,
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
    thread::spawn(end_with_the_runner);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ended = runtime.block_on(functions::run(function, Arc::new(FileClock::new(PathBuf::from(clock)))));
    if let Err(error) = ended {
        // If the runner is gone, this is no error: the watching thread ends the process in a moment.
        thread::sleep(Duration::from_millis(100));
        tracing::error!(function, %error, "the function cannot run");
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// The runner holds the other end of standard input; it is closed when the runner is gone, even by SIGKILL.
fn end_with_the_runner() {
    let mut buffer = [0; 64];
    while io::stdin().read(&mut buffer).is_ok_and(|read| read > 0) {}
    process::exit(0);
}
