//! The peer: the same webhook in Node 20, bundled by esbuild.

use std::{path::PathBuf, process::Command};

use anyhow::{Context as _, ensure};

use crate::functions::top;

/// The program that runs it.
pub const NODE: &str = "/usr/bin/node";

/// Bundles it, with what `npm ci` brings if that is not here yet. The error says what is missing.
pub fn bundle() -> anyhow::Result<PathBuf> {
    let folder = top().join("infra/rig/peer");
    ensure!(PathBuf::from(NODE).exists(), "there is no {NODE}");
    let told = Command::new(NODE).arg("--version").output().context("Node does not start")?.stdout;
    let version = String::from_utf8_lossy(&told);
    ensure!(version.starts_with("v20."), "the peer is Node 20, and {NODE} is {}", version.trim());
    let run = |arguments: &[&str]| -> anyhow::Result<()> {
        let done = Command::new("npm").current_dir(&folder).args(arguments).output().context("there is no npm")?;
        ensure!(done.status.success(), "npm {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
        Ok(())
    };
    if !folder.join("node_modules").is_dir() {
        run(&["ci", "--no-audit", "--no-fund"])?;
    }
    run(&["run", "--silent", "build"])?;
    Ok(folder.join("webhook.cjs"))
}
