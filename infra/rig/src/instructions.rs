//! Instructions as valgrind's callgrind counts them: the one figure that other work on the machine does not change.

use std::{fs, path::Path, process::Stdio};

use anyhow::Context as _;

use crate::{Ground, scenario::Scenario};

/// Warm calls in a count.
const WARM: usize = 10;

/// Calls after which everything is warm: pools, caches, and the items that only the first one makes.
const SETTLED: usize = 3;

/// Instructions of one function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instructions {
    /// From the start of the process to its first question for an event.
    pub start: u64,
    /// Of the first call.
    pub first: u64,
    /// Of a warm call, the mean of several.
    pub warm: u64,
}

/// Whether valgrind is here.
pub fn available() -> bool {
    let asked = std::process::Command::new("valgrind").arg("--version").stdout(Stdio::null()).status();
    asked.is_ok_and(|status| status.success())
}

/// Counts for the binary of a function. In `keep`, callgrind's files stay for `callgrind_annotate`: the start alone, and with calls.
pub async fn count(function: &str, binary: &Path, keep: Option<&Path>) -> anyhow::Result<Instructions> {
    let run = |calls| run(function, binary, calls, keep);
    let start = run(0).await?;
    let first = run(1).await?;
    let settled = run(SETTLED).await?;
    let all = run(SETTLED + WARM).await?;
    Ok(Instructions { start, first: first.saturating_sub(start), warm: all.saturating_sub(settled) / WARM as u64 })
}

/// All instructions of a process that is ended after so many calls.
async fn run(function: &str, binary: &Path, calls: usize, keep: Option<&Path>) -> anyhow::Result<u64> {
    let folder = tempfile::tempdir()?;
    let out = keep.unwrap_or(folder.path()).join(format!("{function}-{calls}.callgrind"));
    let ground = Ground::start().await?;
    let binary = binary.to_str().context("a path that is no text")?;
    let file = format!("--callgrind-out-file={}", out.display());
    let program = ["valgrind", "--tool=callgrind", "--quiet", &file, binary];
    let mut process = ground.launch(function, &program, Stdio::null()).await?;
    let mut scenario = Scenario::of(function)?;
    for _ in 0..calls {
        let event = scenario.next(&ground).await?;
        let outcome = process.call(event).await?;
        let answer = outcome.answer.map_err(|report| anyhow::anyhow!("{}", String::from_utf8_lossy(&report)))?;
        scenario.settle(&ground, &answer).await?;
        process.ready().await?;
    }
    process.terminate().await?;
    let written = fs::read_to_string(&out).context("callgrind wrote nothing")?;
    let total =
        written.lines().find_map(|line| line.strip_prefix("totals: ").or_else(|| line.strip_prefix("summary: ")));
    total.and_then(|total| total.trim().parse().ok()).context("callgrind's file has no total")
}
