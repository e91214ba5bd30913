//! Starts this binary anew as one function, with the environment Lambda would give it.

use std::{
    collections::BTreeMap,
    io::{self, Write as _},
    path::PathBuf,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use anyhow::Context as _;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, BufReader},
    process::{Child, Command},
    sync::oneshot,
    task::JoinHandle,
    time::timeout,
};

use crate::{
    child::CLOCK_FILE, flow::Flow, intrinsics::REGION, log_book::LogBook, monitor::Monitor, template::Function,
};

/// How long the last words of a process that has ended may take.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// Everything a process of one function needs, but for the number of its environment.
#[derive(Debug)]
pub(crate) struct Launcher {
    program: PathBuf,
    arguments: Vec<String>,
    function: String,
    variables: BTreeMap<String, String>,
    runtime_api: String,
    heard: Heard,
}

/// What hears the functions' logs.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) flow: Flow,
    pub(crate) monitor: Monitor,
    pub(crate) log: LogBook,
}

/// What all functions share.
#[derive(Clone, Debug)]
pub(crate) struct ProcessSettings {
    pub(crate) aws_url: String,
    pub(crate) runtime_api: String,
    pub(crate) clock_file: PathBuf,
    pub(crate) heard: Heard,
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
            heard: ground.heard.clone(),
        })
    }

    /// Starts it as environment `number`. The process gets a group of its own, so that a Ctrl-C reaches the runner
    /// alone, which then lets
    /// running invocations end; it keeps the other end of the process's standard input, which ends the process with
    /// the runner.
    pub(crate) fn start(&self, number: u64) -> io::Result<Process> {
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .env_clear()
            .envs(std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(|name| PASSED_ON.contains(&name))))
            .envs(&self.variables)
            // A path needs the scheme, or the runtime does not take it for a URL.
            .env("AWS_LAMBDA_RUNTIME_API", format!("{}/{}/{number}", self.runtime_api, self.function))
            .stdin(Stdio::piped())
            // Both go on to standard error: standard output carries the contract's lines only.
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        let mut child = command.spawn()?;
        let out = child.stdout.take().map(|out| tokio::spawn(pass_on(out, self.function.clone(), self.heard.clone())));
        let log = child.stderr.take().map(|log| tokio::spawn(pass_on(log, self.function.clone(), self.heard.clone())));
        Ok(Process { child, logs: out.into_iter().chain(log).collect() })
    }
}

/// Of the runner's own environment, functions see nothing else: no credentials, no proxies.
const PASSED_ON: [&str; 6] = ["PATH", "RUST_LOG", "RUST_BACKTRACE", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR"];

/// A running process.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    logs: Vec<JoinHandle<()>>,
}

/// Writes each line to standard error, and reads the metrics out of them.
async fn pass_on(log: impl AsyncRead + Unpin, function: String, heard: Heard) {
    let mut log = BufReader::new(log);
    let mut line = Vec::new();
    while log.read_until(b'\n', &mut line).await.is_ok_and(|length| length > 0) {
        // Whoever closed standard error wants no log; the metrics count all the same.
        let _ = io::stderr().lock().write_all(&line);
        // Most lines tell no metric, and reading those costs more than looking.
        let text = String::from_utf8_lossy(&line);
        if text.contains("\"Stack\"") {
            heard.flow.read_line(&text);
            heard.monitor.read_line(&text);
        } else if text.contains("\"trace\"") {
            heard.log.read_line(&function, &text);
        }
        line.clear();
    }
}

impl Process {
    /// Waits for its end; kills it when `kept` is dropped on the other side.
    pub(crate) async fn ended(mut self, kept: oneshot::Receiver<()>) -> io::Result<ExitStatus> {
        let stdin = self.child.stdin.take();
        let status = tokio::select! {
            status = self.child.wait() => status,
            _ = kept => {
                self.child.start_kill()?;
                self.child.wait().await
            }
        };
        drop(stdin);
        // What it started itself may hold the other end for longer.
        let _ = timeout(LAST_WORDS, futures_util::future::join_all(self.logs)).await;
        status
    }
}

#[cfg(test)]
impl Launcher {
    /// For tests: any program in the place of a function.
    pub(crate) fn of_program(program: &str, arguments: &[&str], heard: Heard) -> Self {
        Self {
            program: program.into(),
            arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
            function: "tested".into(),
            variables: BTreeMap::new(),
            runtime_api: "http://127.0.0.1:1".into(),
            heard,
        }
    }
}
