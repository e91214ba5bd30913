//! A function's binary as a process, with what Linux tells about it.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::{ExitStatus, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, anyhow, bail};
use bytes::Bytes;
use tokio::{
    process::{Child, Command},
    time::timeout,
};

use crate::runtime_api::{Heard, RuntimeApi};

/// Nothing that is measured here takes this long, valgrind included.
const MAX_WAIT: Duration = Duration::from_secs(120);

/// A running function.
#[derive(Debug)]
pub struct Process {
    child: Child,
    api: RuntimeApi,
    /// It has asked for an event and got none yet.
    asks: bool,
    /// How long it took from its start to its first question.
    pub start: Duration,
}

/// What came of an event.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// From handing it over to the answer.
    pub took: Duration,
    /// The answer, or the report of a failure.
    pub answer: Result<Bytes, Bytes>,
}

impl Process {
    /// Starts `program` with its arguments, and waits until it asks for its first event.
    pub async fn start(
        program: &[&str],
        variables: &BTreeMap<String, String>,
        log: impl Into<Stdio>,
    ) -> anyhow::Result<Self> {
        let api = RuntimeApi::start().await?;
        let (name, arguments) = program.split_first().context("no program")?;
        let mut command = Command::new(name);
        command
            .args(arguments)
            .env_clear()
            .envs(variables)
            .env("AWS_LAMBDA_RUNTIME_API", api.address())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true);
        let began = Instant::now();
        let child = command.spawn().with_context(|| format!("cannot start {name}"))?;
        let mut process = Self { child, api, asks: false, start: Duration::ZERO };
        process.start = process.asked().await?.saturating_duration_since(began);
        Ok(process)
    }

    /// Waits until it asks for its next event; when it did.
    async fn asked(&mut self) -> anyhow::Result<Instant> {
        loop {
            match self.hear().await? {
                Heard::Next(at) => {
                    self.asks = true;
                    return Ok(at);
                }
                Heard::Failure(_, why) => bail!("it cannot start: {}", String::from_utf8_lossy(&why)),
                Heard::Answer(..) => {}
            }
        }
    }

    async fn hear(&mut self) -> anyhow::Result<Heard> {
        tokio::select! {
            heard = timeout(MAX_WAIT, self.api.hear()) => heard.context("it says nothing")?,
            status = self.child.wait() => Err(anyhow!("the process ended: {}", status?)),
        }
    }

    /// Hands it an event and waits for the answer.
    pub async fn call(&mut self, event: impl Into<Bytes>) -> anyhow::Result<Outcome> {
        self.ready().await?;
        let event = event.into();
        let began = Instant::now();
        self.asks = false;
        self.api.offer(event);
        match self.hear().await? {
            Heard::Answer(at, answer) => Ok(Outcome { took: at.saturating_duration_since(began), answer: Ok(answer) }),
            Heard::Failure(at, why) => Ok(Outcome { took: at.saturating_duration_since(began), answer: Err(why) }),
            Heard::Next(_) => bail!("it asked for another event without an answer to this one"),
        }
    }

    /// Waits until it asks for its next event.
    pub async fn ready(&mut self) -> anyhow::Result<()> {
        if !self.asks {
            self.asked().await?;
        }
        Ok(())
    }

    /// Processor time so far.
    pub fn processor(&self) -> anyhow::Result<Duration> {
        processor(self.id()?)
    }

    /// The most memory it ever had resident, in KiB.
    pub fn peak_kib(&self) -> anyhow::Result<u64> {
        self.status("VmHWM:")
    }

    /// Of what is resident now, its own: all but pages of the binary and of libraries. In KiB.
    pub fn own_kib(&self) -> anyhow::Result<u64> {
        self.status("RssAnon:")
    }

    fn status(&self, name: &str) -> anyhow::Result<u64> {
        let status = fs::read_to_string(self.proc("status")?)?;
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
        kib.with_context(|| format!("{name} cannot be read"))
    }

    fn proc(&self, file: &str) -> anyhow::Result<std::path::PathBuf> {
        Ok(Path::new("/proc").join(self.id()?.to_string()).join(file))
    }

    /// Its process id.
    pub fn id(&self) -> anyhow::Result<u32> {
        self.child.id().context("the process has ended")
    }

    /// Sends it SIGTERM; how it ended, and how long that took.
    pub async fn terminate(mut self) -> anyhow::Result<(ExitStatus, Duration)> {
        let asked = Instant::now();
        let sent = Command::new("kill").args(["-TERM", &self.id()?.to_string()]).status().await?;
        anyhow::ensure!(sent.success(), "no signal could be sent");
        let status = timeout(MAX_WAIT, self.child.wait()).await.context("it does not end")??;
        Ok((status, asked.elapsed()))
    }
}

/// Processor time of a process so far, all its threads that still run.
pub fn processor(id: u32) -> anyhow::Result<Duration> {
    // The kernel counts nanoseconds here, where /proc/PID/stat counts hundredths of a second.
    let mut total = Duration::ZERO;
    for thread in fs::read_dir(Path::new("/proc").join(id.to_string()).join("task"))? {
        let text = fs::read_to_string(thread?.path().join("schedstat"))?;
        let nanos = text.split(' ').next().and_then(|nanos| nanos.parse().ok());
        total += Duration::from_nanos(nanos.context("schedstat cannot be read")?);
    }
    Ok(total)
}
