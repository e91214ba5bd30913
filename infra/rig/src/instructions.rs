//! Instructions as valgrind's callgrind counts them: the one figure that other work on the machine does not change.

use std::{fs, path::Path, process::Stdio};

use anyhow::Context as _;

use crate::{BenchStack, Process, functions, scenario::Scenario};

/// Warm calls in a count.
const WARM: usize = 10;

/// Calls after which everything is warm: pools, caches, and the items that only the first one makes.
const SETTLED: usize = 3;

/// Instructions of one function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instructions {
    /// From the start of the process to its first question for an event, with the calls that open lines and fetch secrets.
    pub start: u64,
    /// Of a start that can call nobody: no lines, no TLS. Up to the first question, or to the end of a process that does not live
    /// without its secret.
    pub alone: u64,
    /// Of the first call.
    pub first: u64,
    /// Of a warm call, the mean of several.
    pub warm: u64,
    /// Calls to AWS, Meta and Chatwoot of the warm calls together.
    pub calls: u64,
}

/// Whether valgrind is here.
pub fn available() -> bool {
    let asked = std::process::Command::new("valgrind").arg("--version").stdout(Stdio::null()).status();
    asked.is_ok_and(|status| status.success())
}

/// An address no client can even make a request for.
const NOWHERE: &str = "http://[";

/// Counts for a function whose binary is in this folder, called as the scenario `name` goes.
///
/// In `keep`, callgrind's files stay for `callgrind_annotate`: the start alone, and with calls.
pub async fn count(name: &str, function: &str, folder: &Path, keep: Option<&Path>) -> anyhow::Result<Instructions> {
    let binary = &functions::binary(folder, function);
    let run = |calls| Box::pin(run(name, function, binary, calls, keep));
    let (start, _) = run(0).await?;
    let (first, _) = run(1).await?;
    let (settled, _) = run(SETTLED).await?;
    let (all, calls) = run(SETTLED + WARM).await?;
    Ok(Instructions {
        start,
        alone: alone(name, function, binary, keep).await?,
        first: first.saturating_sub(start),
        warm: all.saturating_sub(settled) / WARM as u64,
        calls: calls as u64,
    })
}

/// All instructions of a process that is ended after so many calls, and how many calls out it made in those that were warm.
async fn run(
    name: &str,
    function: &str,
    binary: &Path,
    calls: usize,
    keep: Option<&Path>,
) -> anyhow::Result<(u64, usize)> {
    let folder = tempfile::tempdir()?;
    let out = keep.unwrap_or(folder.path()).join(format!("{name}-{calls}.callgrind"));
    let ground = BenchStack::start().await?;
    ground.record();
    let mut process =
        ground.launch(function, &counted(&out, binary).each_ref().map(String::as_str), Stdio::null()).await?;
    let mut scenario = Scenario::of(name)?;
    let mut calls_out = 0;
    for at in 0..calls {
        let event = scenario.next(&ground).await?;
        ground.calls();
        let outcome = process.call(event).await?;
        let answer = outcome.answer.map_err(|report| anyhow::anyhow!("{}", String::from_utf8_lossy(&report)))?;
        process.ready().await?;
        let out = ground.calls().len();
        calls_out += if at < SETTLED { 0 } else { out };
        scenario.settle(&ground, &answer).await?;
    }
    process.terminate().await?;
    Ok((total(&out)?, calls_out))
}

/// All instructions of a start that reaches nobody.
async fn alone(name: &str, function: &str, binary: &Path, keep: Option<&Path>) -> anyhow::Result<u64> {
    let folder = tempfile::tempdir()?;
    let out = keep.unwrap_or(folder.path()).join(format!("{name}-alone.callgrind"));
    let mut variables = BenchStack::start().await?.variables(function)?;
    variables.insert("AWS_ENDPOINT_URL".to_owned(), NOWHERE.to_owned());
    let program = counted(&out, binary);
    // One that needs its secret to live has ended by itself.
    if let Ok(process) = Process::start(&program.each_ref().map(String::as_str), &variables, Stdio::null()).await {
        process.terminate().await?;
    }
    total(&out)
}

fn counted(out: &Path, binary: &Path) -> [String; 5] {
    let file = format!("--callgrind-out-file={}", out.display());
    ["valgrind".to_owned(), "--tool=callgrind".to_owned(), "--quiet".to_owned(), file, binary.display().to_string()]
}

fn total(out: &Path) -> anyhow::Result<u64> {
    let written = fs::read_to_string(out).context("callgrind wrote nothing")?;
    let total =
        written.lines().find_map(|line| line.strip_prefix("totals: ").or_else(|| line.strip_prefix("summary: ")));
    total.and_then(|total| total.trim().parse().ok()).context("callgrind's file has no total")
}
