//! Starts this binary anew as one function, with the environment Lambda would give it.

use std::{
    collections::BTreeMap,
    io,
    os::fd::AsFd as _,
    path::PathBuf,
    process::{ExitStatus, Stdio},
};

use anyhow::Context as _;
use tokio::{
    process::{Child, Command},
    sync::oneshot,
};

use crate::{child::CLOCK_FILE, intrinsics::REGION, template::Function};

/// Everything a process of one function needs, but for the number of its environment.
#[derive(Debug)]
pub(crate) struct Launcher {
    program: PathBuf,
    arguments: Vec<String>,
    function: String,
    variables: BTreeMap<String, String>,
    runtime_api: String,
}

/// What all functions share.
#[derive(Clone, Debug)]
pub(crate) struct ProcessSettings {
    pub(crate) aws_url: String,
    pub(crate) runtime_api: String,
    pub(crate) clock_file: PathBuf,
}

impl Launcher {
    /// For `function`, on `ground`.
    pub(crate) fn new(function: &Function, ground: &ProcessSettings) -> anyhow::Result<Self> {
        let mut variables = function.environment.clone();
        let mut set = |name: &str, value: String| variables.insert(name.to_owned(), value);
        set("AWS_LAMBDA_FUNCTION_NAME", function.full_name.clone());
        set("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".into());
        set("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", function.memory_mb.to_string());
        set("AWS_LAMBDA_LOG_GROUP_NAME", function.log_group.clone());
        set("AWS_LAMBDA_LOG_STREAM_NAME", "local".into());
        set("AWS_LAMBDA_LOG_FORMAT", "JSON".into());
        set("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand".into());
        set("AWS_REGION", REGION.into());
        set("AWS_DEFAULT_REGION", REGION.into());
        // By this the embedded AWS knows whose role counts.
        set("AWS_ACCESS_KEY_ID", function.name.clone());
        set("AWS_SECRET_ACCESS_KEY", "local".into());
        set("AWS_SESSION_TOKEN", "local".into());
        set("AWS_ENDPOINT_URL", ground.aws_url.clone());
        set(CLOCK_FILE, ground.clock_file.display().to_string());
        Ok(Self {
            program: std::env::current_exe().context("this program does not know its own path")?,
            arguments: vec!["--function".into(), function.name.clone()],
            function: function.name.clone(),
            variables,
            runtime_api: ground.runtime_api.clone(),
        })
    }

    /// Starts it as environment `number`. The process gets a group of its own, so that a Ctrl-C reaches the runner
    /// alone, which then lets
    /// running invocations end; it keeps the other end of the process's standard input, which ends the process with
    /// the runner.
    pub(crate) fn start(&self, number: u64) -> io::Result<Process> {
        let log = || io::stderr().as_fd().try_clone_to_owned().map(Stdio::from);
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .env_clear()
            .envs(std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(|name| PASSED_ON.contains(&name))))
            .envs(&self.variables)
            // A path needs the scheme, or the runtime does not take it for a URL.
            .env("AWS_LAMBDA_RUNTIME_API", format!("{}/{}/{number}", self.runtime_api, self.function))
            .stdin(Stdio::piped())
            // Standard output carries the contract's lines only.
            .stdout(log()?)
            .stderr(log()?)
            .process_group(0)
            .kill_on_drop(true);
        Ok(Process(command.spawn()?))
    }
}

/// Of the runner's own environment, functions see nothing else: no credentials, no proxies.
const PASSED_ON: [&str; 6] = ["PATH", "RUST_LOG", "RUST_BACKTRACE", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR"];

/// A running process.
#[derive(Debug)]
pub(crate) struct Process(Child);

impl Process {
    /// Waits for its end; kills it when `kept` is dropped on the other side.
    pub(crate) async fn ended(mut self, kept: oneshot::Receiver<()>) -> io::Result<ExitStatus> {
        let stdin = self.0.stdin.take();
        let status = tokio::select! {
            status = self.0.wait() => status,
            _ = kept => {
                self.0.start_kill()?;
                self.0.wait().await
            }
        };
        drop(stdin);
        status
    }
}

#[cfg(test)]
impl Launcher {
    /// For tests: any program in the place of a function.
    pub(crate) fn of_program(program: &str, arguments: &[&str]) -> Self {
        Self {
            program: program.into(),
            arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
            function: "tested".into(),
            variables: BTreeMap::new(),
            runtime_api: "http://127.0.0.1:1".into(),
        }
    }
}
