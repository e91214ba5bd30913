//! Takes the functions' packages: what `infra/package` wrote, whole and for the right kind of machine.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

const SUMS: &str = "SHA256SUMS";

/// What a build needs on this machine.
const TOOLS: [&str; 4] = ["bash", "python3", "cargo", "rustup"];

/// Packages that are what their sums say.
#[derive(Debug)]
pub(super) struct Packages {
    pub(super) architecture: String,
    pub(super) template: Value,
    /// Zips by their name, such as `webhook.zip`.
    pub(super) zips: BTreeMap<String, Zip>,
}

/// One function's package.
#[derive(Debug)]
pub(super) struct Zip {
    pub(super) sum: String,
    pub(super) bytes: Vec<u8>,
}

impl Packages {
    /// What stands in a directory.
    pub(super) fn read(directory: &Path) -> anyhow::Result<Self> {
        let shown = directory.display();
        let sums = std::fs::read_to_string(directory.join(SUMS));
        let sums =
            sums.with_context(|| format!("{shown} has no {SUMS}: `bash infra/package` writes such a directory"))?;
        let mut files = BTreeMap::new();
        for line in sums.lines().filter(|line| !line.trim().is_empty()) {
            let (wanted, name) = line.split_once("  ").with_context(|| format!("{shown}/{SUMS} cannot be read"))?;
            let plain = !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\']);
            ensure!(plain, "{shown}/{SUMS} names {name:?}, which is no file of that directory");
            let bytes = std::fs::read(directory.join(name)).with_context(|| format!("{shown}/{name} of {SUMS}"))?;
            ensure!(
                digest(&bytes) == wanted,
                "{shown}/{name} is not what {SUMS} says: it was changed or half copied. Nothing was deployed; make the \
                 packages anew (`bash infra/package`), or copy them again"
            );
            files.insert(name.to_owned(), Zip { sum: wanted.to_owned(), bytes });
        }
        let text = |files: &mut BTreeMap<String, Zip>, name: &str| {
            let found = files.remove(name).with_context(|| format!("{shown}/{SUMS} does not list {name}"))?;
            String::from_utf8(found.bytes).with_context(|| format!("{shown}/{name}"))
        };
        let architecture = text(&mut files, "architecture")?.trim().to_owned();
        ensure!(
            matches!(architecture.as_str(), "arm64" | "x86_64"),
            "{shown}/architecture is neither arm64 nor x86_64"
        );
        let template = serde_json::from_str(&text(&mut files, "template.json")?);
        let template = template.with_context(|| format!("{shown}/template.json"))?;
        Ok(Self { architecture, template, zips: files })
    }

    /// Builds them from the project that one stands in.
    pub(super) fn build(architecture: &str) -> anyhow::Result<Self> {
        let missing: Vec<_> = TOOLS.into_iter().filter(|tool| !is_there(tool)).collect();
        ensure!(
            missing.is_empty(),
            "a build needs {}, which {} not on the path; or take packages that are ready with --packages",
            missing.join(", "),
            if missing.len() == 1 { "is" } else { "are" }
        );
        let top = top()?;
        // Its table and cargo's lines are progress; the answer of `ops` alone goes to standard output.
        let ended = Command::new("bash")
            .arg("infra/package")
            .arg(architecture)
            .current_dir(&top)
            .stdin(Stdio::null())
            .stdout(std::io::stderr())
            .status()
            .context("infra/package cannot be started")?;
        if !ended.success() {
            bail!("infra/package ended with {ended}: what it says above has to be mended first; nothing was deployed");
        }
        Self::read(&top.join("target/packages").join(architecture))
    }
}

/// The top of the project: where one stands, or above.
fn top() -> anyhow::Result<PathBuf> {
    let here = std::env::current_dir()?;
    let found = here.ancestors().find(|place| place.join("infra/package").is_file());
    found.map(Path::to_owned).context("run it from the project, or take packages that are ready with --packages")
}

fn is_there(tool: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(tool).is_file())
}

/// SHA-256 in hexadecimal digits.
pub(super) fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut digits, byte| {
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}
