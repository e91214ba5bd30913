//! The runner as a person starts it: the true binary, its standard output, its port, its end.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

/// A started runner. Dropping it kills it.
pub(crate) struct Runner {
    process: Child,
    _out: BufReader<ChildStdout>,
    pub(crate) lines: Vec<String>,
}

/// An answer over HTTP.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Runner {
    /// Starts it on a free port and waits for `ready`.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::launch(Command::new(env!("CARGO_BIN_EXE_local")).args(arguments))
    }

    /// The same with an environment and a standard error of the test's own.
    pub(crate) fn launch(command: &mut Command) -> Self {
        let mut process = command.args(["--listen", "127.0.0.1:0"]).stdout(Stdio::piped()).spawn().unwrap();
        let mut out = BufReader::new(process.stdout.take().unwrap());
        let mut lines = Vec::new();
        while !lines.last().is_some_and(|line: &String| line.starts_with("ready ")) {
            let mut line = String::new();
            assert!(out.read_line(&mut line).unwrap() > 0, "it ended before it was ready: {lines:?}");
            lines.push(line.trim_end().to_owned());
        }
        Self { process, _out: out, lines }
    }

    /// What the line that begins with `name` says.
    pub(crate) fn said(&self, name: &str) -> &str {
        self.lines.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).unwrap()
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        exchange(self.said("ready"), "GET", path, &[], "")
    }

    pub(crate) fn post(&self, path: &str, body: &str) -> Answer {
        exchange(self.said("ready"), "POST", path, &[("content-type", "application/json")], body)
    }

    /// A call to the embedded AWS.
    pub(crate) fn aws(&self, target: &str, body: &Value) -> Answer {
        // Any credentials will do, but there have to be some; others' emulators read the service there.
        let service = match target.split('.').next() {
            Some("AmazonSQS") => "sqs",
            Some("secretsmanager") => "secretsmanager",
            _ => "dynamodb",
        };
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential=any/20261122/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=00"
        );
        let headers = [
            ("x-amz-target", target),
            ("content-type", "application/x-amz-json-1.0"),
            ("x-amz-date", "20261122T000000Z"),
            ("authorization", &authorization),
        ];
        exchange(self.said("aws"), "POST", "/", &headers, &body.to_string())
    }

    /// Moves the clock; what time it is then.
    pub(crate) fn advance(&self, seconds: u64) -> i64 {
        let answer = self.post("/_local/clock", &format!("{{\"advance_seconds\":{seconds}}}"));
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()["now"].as_i64().unwrap()
    }

    /// The messages of a queue in one of its states.
    pub(crate) fn messages(&self, queue: &str, state: &str) -> Vec<Value> {
        let dump = self.get("/_local/queues").json();
        let found = dump["queues"].as_array().unwrap().iter().find(|one| one["name"] == queue).unwrap();
        found[state].as_array().unwrap().clone()
    }

    /// Every message of the dead-letter queues.
    pub(crate) fn dead(&self) -> Vec<Value> {
        self.of_queues(true)
    }

    /// Every message of the other queues, in whatever state.
    pub(crate) fn living(&self) -> Vec<Value> {
        self.of_queues(false)
    }

    fn of_queues(&self, dead: bool) -> Vec<Value> {
        let dump = self.get("/_local/queues").json();
        let queues = dump["queues"].as_array().unwrap().clone();
        let wanted = queues.into_iter().filter(|queue| queue["name"].as_str().unwrap().contains("dead") == dead);
        let states = |queue: Value| ["waiting", "delayed", "in_flight"].map(|state| queue[state].clone());
        wanted.flat_map(states).flat_map(|list| list.as_array().unwrap().clone()).collect()
    }

    pub(crate) fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Sends SIGTERM; how it ended, and after how long.
    pub(crate) fn terminate(mut self) -> (ExitStatus, Duration) {
        let asked = Instant::now();
        let kill = Command::new("kill").args(["-TERM", &self.process.id().to_string()]).status().unwrap();
        assert!(kill.success());
        (self.process.wait().unwrap(), asked.elapsed())
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Answer {
    /// The cookie it sets.
    pub(crate) fn cookie(&self) -> Option<String> {
        let set = self.head.lines().find_map(|line| line.strip_prefix("set-cookie:"))?;
        set.split(';').next().map(|pair| pair.trim().to_owned())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// One exchange over HTTP.
pub(crate) fn exchange(base: &str, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let host = base.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    // Whoever leads a name here asks for another host than they are connected to.
    let host = headers.iter().find_map(|(name, value)| (*name == "host").then_some(*value)).unwrap_or(host);
    let headers = headers.iter().filter(|(name, _)| *name != "host");
    let headers = headers.map(|(name, value)| format!("{name}: {value}\r\n")).collect::<Vec<_>>().concat();
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = BufReader::new(stream);
    let (mut head, mut line) = (String::new(), String::new());
    while answer.read_line(&mut line).unwrap() > 2 {
        head.push_str(&line.to_ascii_lowercase());
        line.clear();
    }
    let mut body = Vec::new();
    // Not everybody closes the line when asked to.
    match head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok()) {
        Some(length) => answer.take(length).read_to_end(&mut body).unwrap(),
        None => answer.read_to_end(&mut body).unwrap(),
    };
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head, body: String::from_utf8_lossy(&body).into_owned() }
}

/// The functions that run as processes for the runner with this data directory.
pub(crate) fn function_processes(data: &Path) -> Vec<String> {
    let mut names: Vec<String> = running(data).into_iter().map(|(name, _)| name).collect();
    names.sort();
    names
}

/// The process of one of them.
pub(crate) fn function_pid(data: &Path, function: &str) -> Option<u32> {
    running(data).into_iter().find_map(|(name, pid)| (name == function).then_some(pid))
}

fn running(data: &Path) -> Vec<(String, u32)> {
    let mark = format!("LOCAL_CLOCK_FILE={}", data.canonicalize().unwrap().display());
    let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok).map(|entry| entry.path());
    processes
        .filter(|process| {
            fs::read(process.join("environ")).is_ok_and(|all| String::from_utf8_lossy(&all).contains(&mark))
        })
        .filter_map(|process| {
            let line = fs::read_to_string(process.join("cmdline")).ok()?;
            let name = line.split_once("--function\0")?.1.trim_end_matches('\0').to_owned();
            Some((name, process.file_name()?.to_str()?.parse().ok()?))
        })
        .collect()
}

/// Waits for what another process is about to do, which no clock of ours can hasten.
pub(crate) fn eventually(what: &str, holds: impl Fn() -> bool) {
    eventually_within(Duration::from_secs(60), what, holds);
}

/// The same, where that takes longer.
pub(crate) fn eventually_within(longest: Duration, what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < longest, "{what} did not come about");
        thread::sleep(Duration::from_millis(10));
    }
}
