//! Which functions there are, and their binaries.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, bail, ensure};

/// The top of the repository.
pub fn top() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here)
}

/// The names of all functions: the folders below `functions/`.
pub fn names() -> anyhow::Result<Vec<String>> {
    let folder = top().join("functions");
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        let entry = entry?;
        if entry.path().join("Cargo.toml").is_file() {
            names.extend(entry.file_name().into_string().ok());
        }
    }
    names.sort();
    Ok(names)
}

/// A forged body has a goal of its own: it costs next to nothing, and nobody is called.
const FORGED: &str = "webhook-forged";

/// What instructions are counted of: every function, called as its story goes, and `webhook` once more with a forged body. Each with
/// the function it is.
pub fn counted() -> anyhow::Result<Vec<(String, String)>> {
    let mut counted: Vec<_> = names()?.into_iter().map(|name| (name.clone(), name)).collect();
    counted.push((FORGED.to_owned(), "webhook".to_owned()));
    Ok(counted)
}

/// How the binaries are built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// As the tests are.
    Dev,
    /// As they are shipped: nothing but the functions themselves decides about the features of a library.
    Release,
}

/// The folder with all functions' binaries: the one `RIG_BINARIES` names, or they are built, if anything changed, as `RIG_PROFILE`
/// (`dev` or `release`) says, or else as `usual`.
pub fn binaries(usual: Profile) -> anyhow::Result<PathBuf> {
    if let Some(folder) = std::env::var_os("RIG_BINARIES") {
        // Tests run in the folder of their crate.
        return Ok(top().join(folder));
    }
    let wished = std::env::var_os("RIG_PROFILE");
    build(match wished.as_deref().map(|wished| wished.to_str()) {
        None => usual,
        Some(Some("dev")) => Profile::Dev,
        Some(Some("release")) => Profile::Release,
        Some(other) => bail!("RIG_PROFILE is dev or release, not {}", other.unwrap_or("that")),
    })
}

/// The binary of a function in a folder of binaries: under its name, or as `infra/package` leaves it.
pub fn binary(folder: &Path, function: &str) -> PathBuf {
    let packaged = folder.join(function).join("bootstrap");
    if packaged.is_file() { packaged } else { folder.join(function) }
}

/// Builds all functions, if anything changed, and answers the folder their binaries are in.
pub fn build(profile: Profile) -> anyhow::Result<PathBuf> {
    let target = target()?;
    let mut cargo = cargo(&target);
    match profile {
        // The same selection as that of the tests, so that no library has to be built anew.
        Profile::Dev => cargo.args(["--workspace", "--bins"]),
        Profile::Release => {
            cargo.arg("--release");
            for name in names()? {
                cargo.args(["--package", &name]);
            }
            &mut cargo
        }
    };
    ensure!(cargo.status()?.success(), "the functions cannot be built");
    Ok(target.join(match profile {
        Profile::Dev => "debug",
        Profile::Release => "release",
    }))
}

/// Builds the floor under them as they are shipped, and answers its binary.
pub fn build_floor() -> anyhow::Result<PathBuf> {
    let target = target()?;
    ensure!(cargo(&target).args(["--release", "--package", "floor"]).status()?.success(), "the floor cannot be built");
    Ok(target.join("release/floor"))
}

/// Builds the local runner as functions are shipped, linked as a whole as they are, and answers its binary.
pub fn build_runner() -> anyhow::Result<PathBuf> {
    let target = target()?;
    let mut cargo = cargo(&target);
    cargo.args(["--release", "--package", "local", "--bins"]);
    ensure!(cargo.status()?.success(), "the runner cannot be built");
    Ok(target.join("release/local"))
}

fn cargo(target: &Path) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(top()).args(["build", "--locked", "--quiet", "--target-dir"]).arg(target);
    cargo
}

/// The folder this very program was built in.
fn target() -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe()?;
    let built = program.ancestors().find(|folder| {
        let name = folder.file_name().and_then(OsStr::to_str);
        matches!(name, Some("debug" | "release"))
    });
    Ok(built.and_then(Path::parent).context("this program is not in a target folder")?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `sam build` runs cargo at the top of the repository, for one binary and with the features of all default members.
    #[test]
    fn what_is_deployed_is_built_without_the_local_runner() {
        let manifest = fs::read_to_string(top().join("Cargo.toml")).unwrap();
        assert!(manifest.contains("\ndefault-members = [\"functions/*\"]\n"), "Cargo.toml names other default members");
    }
}
