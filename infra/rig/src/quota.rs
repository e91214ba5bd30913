//! Lambda's processor share, by the kernel's own bandwidth control: 1,769 MB are one processor, and less memory is so much less of
//! each 20 ms.

use std::{fs, path::PathBuf};

use anyhow::Context as _;

/// What Lambda's figures show as its period.
const PERIOD_US: u64 = 20_000;

/// The memory that comes with one whole processor, in MB.
const WHOLE_MB: u64 = 1_769;

/// A share of the processor for one process, until it is dropped. Needs root and control groups of version 1.
#[derive(Debug)]
pub struct Quota(PathBuf);

impl Quota {
    /// Whether this machine can do it.
    pub fn available() -> bool {
        Self::set(std::process::id(), 1_769).is_ok()
    }

    /// Gives a process the share of `memory_mb` from now on.
    pub fn set(process: u32, memory_mb: u64) -> anyhow::Result<Self> {
        let group = PathBuf::from(format!("/sys/fs/cgroup/cpu/rig-{process}"));
        fs::create_dir_all(&group).context("no control group can be made")?;
        let quota = Self(group);
        quota.write("cpu.cfs_period_us", PERIOD_US)?;
        quota.write("cpu.cfs_quota_us", PERIOD_US * memory_mb / WHOLE_MB)?;
        quota.write("cgroup.procs", process.into())?;
        Ok(quota)
    }

    fn write(&self, file: &str, value: u64) -> anyhow::Result<()> {
        fs::write(self.0.join(file), value.to_string()).with_context(|| file.to_owned())
    }
}

impl Drop for Quota {
    fn drop(&mut self) {
        // A group with a process in it stays; that one goes back first.
        if let Ok(processes) = fs::read_to_string(self.0.join("cgroup.procs")) {
            for process in processes.lines() {
                let _ = fs::write("/sys/fs/cgroup/cpu/cgroup.procs", process);
            }
        }
        let _ = fs::remove_dir(&self.0);
    }
}
