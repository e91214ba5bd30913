//! The local runner: the whole pipeline on one machine with one binary, on an embedded AWS, from the same template as
//! the cloud.
//!
//! It links all functions and starts itself anew as each of them, so that every function is a true Lambda process on
//! the true runtime.

#![expect(clippy::disallowed_types, reason = "real time is measured or waited for")]

pub mod alarms;
mod answer;
mod balance;
mod calendar;
mod channels;
mod child;
mod cloud;
pub mod cloudwatch;
mod config;
mod control;
mod environments;
mod event;
mod file_clock;
mod flow;
mod foreign;
mod front;
mod functions;
mod gateway;
mod guard;
mod intrinsics;
mod log_book;
mod monitor;
mod options;
mod page;
mod partitions;
mod poller;
mod process;
mod recovery;
pub mod reference;
mod resources;
mod routes;
mod runner;
mod runtime_api;
mod schedule;
mod signups;
mod simulators;
mod stop;
mod template;
pub mod test_stack;
mod watch;

use std::{process::ExitCode, time::Duration};

use clap::Parser as _;

use crate::options::Options;

/// Runs the runner, or one of its functions where it was started as such.
pub fn main() -> anyhow::Result<ExitCode> {
    let options = Options::parse();
    if let Some(function) = &options.function {
        return child::run(function);
    }
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "warn,local=info".into());
    // The embedded table writes whole items into its finer lines, and what is personal must not stand in a log.
    let filter = filter.add_directive("dynoxide=info".parse()?);
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(runner::run(&options))?;
    runtime.shutdown_timeout(Duration::from_millis(100));
    Ok(ExitCode::SUCCESS)
}
