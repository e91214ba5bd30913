//! Every binary from outside: it starts, answers, survives what breaks a handler, and ends when it is told to. The binaries of the other
//! tests, or with `RIG_PROFILE=release` those that are shipped.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs::File,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::Stdio,
    sync::LazyLock,
    time::Duration,
};

use platform::{Setting, aws::Aws};
use queue::Queue;
use rig::{
    BenchStack, Process, bench_stack, events,
    functions::{self, Profile},
};
use serde_json::{Value, json};
use tokio::{net::unix::pipe, process::Command};

/// Where a process writes its log; it can be broken, so that every line fails, and mended.
struct Log {
    path: PathBuf,
    reader: Option<pipe::Receiver>,
}

impl Log {
    async fn new(folder: &Path) -> Self {
        let path = folder.join("log");
        assert!(Command::new("mkfifo").arg(&path).status().await.unwrap().success());
        let mut log = Self { path, reader: None };
        log.mend();
        log
    }

    fn end(&self) -> Stdio {
        File::options().write(true).open(&self.path).unwrap().into()
    }

    fn read(&self) -> String {
        let (mut text, mut some) = (Vec::new(), vec![0; 65_536]);
        while let Ok(read @ 1..) = self.reader.as_ref().unwrap().try_read(&mut some) {
            text.extend(&some[..read]);
        }
        String::from_utf8_lossy(&text).into_owned()
    }

    fn break_off(&mut self) {
        self.reader = None;
    }

    fn mend(&mut self) {
        self.reader = Some(pipe::OpenOptions::new().read_write(true).open_receiver(&self.path).unwrap());
    }
}

fn binary(function: &str) -> PathBuf {
    static BUILT: LazyLock<PathBuf> = LazyLock::new(|| functions::binaries(Profile::Dev).unwrap());
    functions::binary(&BUILT, function)
}

async fn start(ground: &BenchStack, function: &str, log: Stdio) -> Process {
    let binary = binary(function);
    ground.launch(function, &[binary.to_str().unwrap()], log).await.unwrap()
}

/// What a function can be called with: its files, a record nobody can read, and a body somebody changed on the way.
fn all_events(function: &str) -> Vec<(String, Value)> {
    let mut all = events::of(function).unwrap();
    let with = |part: &str| all.iter().map(|(_, event)| event).find(|event| !event[part].is_null()).cloned();
    let (record, request) = (with("Records"), with("body"));
    if let Some(mut event) = record {
        event["Records"][0]["body"] = json!("{");
        all.push(("a record that cannot be read".to_owned(), event));
    }
    if let Some(mut event) = request {
        event["body"] = json!("{}");
        all.push(("a changed body".to_owned(), event));
    }
    all
}

#[tokio::test]
async fn each_binary_starts_and_answers_its_events() {
    let ground = BenchStack::start().await.unwrap();
    for function in functions::names().unwrap() {
        let mut process = start(&ground, &function, Stdio::inherit()).await;
        for (name, event) in events::of(&function).unwrap() {
            let outcome = process.call(event.to_string()).await.unwrap();
            eprintln!("{function}: {name}: {outcome:?}");
            let answer = serde_json::from_slice(&outcome.answer.unwrap()).unwrap();
            assert_eq!(events::fault(&name, &answer), None);
        }
    }
}

#[tokio::test]
async fn the_lines_are_open_before_the_first_event() {
    let ground = BenchStack::start().await.unwrap();
    ground.record();
    for (function, queue) in [
        ("webhook", Setting::InboundQueueUrl),
        ("forward", Setting::InboundQueueUrl),
        ("callback", Setting::OutboundQueueUrl),
        ("send", Setting::OutboundQueueUrl),
        ("reconcile", Setting::InboundQueueUrl),
        ("deletion", Setting::ErasureQueueUrl),
    ] {
        let _process = start(&ground, function, Stdio::inherit()).await;
        let calls = ground.calls();
        for target in ["AmazonSQS.GetQueueAttributes", "DynamoDB_20120810.", "secretsmanager.GetSecretValue"] {
            let asked = calls.iter().any(|(_, call)| call.target.starts_with(target));
            assert!(asked, "{function} does not ask {target}: {calls:?}");
        }
        // And its role lets it; at the start a refusal would be passed over.
        let environment = ground.world.stage.environment(function).unwrap();
        let (sqs, url) = environment.read(|env| (Aws::read(env).sqs, env.text(queue))).unwrap();
        Queue::new(sqs, url).holds().await.unwrap();
    }
}

#[tokio::test]
async fn a_malformed_event_fails_alone() {
    let ground = BenchStack::start().await.unwrap();
    for function in functions::names().unwrap() {
        let mut process = start(&ground, &function, Stdio::null()).await;
        let first = process.id().unwrap();
        for event in bench_stack::malformed().map(|event| event.to_string()).into_iter().chain(["no JSON".to_owned()]) {
            // Whether it is refused or nothing to do is the function's; that it goes on is not.
            process.call(event).await.unwrap();
        }
        let (name, event) = events::of(&function).unwrap().remove(0);
        assert!(process.call(event.to_string()).await.unwrap().answer.is_ok(), "{function}: {name}");
        assert_eq!(process.id().unwrap(), first);
    }
}

/// No handler panics on an event. But each writes its metrics with `eprintln!`, which panics where nobody reads.
#[tokio::test]
async fn a_panic_in_a_handler_ends_the_event_and_not_the_process() {
    let ground = BenchStack::start().await.unwrap();
    for function in functions::names().unwrap() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = Log::new(folder.path()).await;
        let mut process = start(&ground, &function, log.end()).await;
        let mut telling = Vec::new();
        for (name, event) in all_events(&function) {
            log.read();
            process.call(event.to_string()).await.unwrap();
            process.ready().await.unwrap();
            // Each line of counts names the stack, whether CloudWatch keeps them or not.
            if log.read().contains("\"Stack\":") {
                telling.push((name, event));
            }
        }
        assert!(!telling.is_empty(), "{function}: none of its events is counted, so none can make it panic");

        log.break_off();
        let mut panics = 0;
        // A process that another test is just starting holds the other end for a moment. And what is done already may have nothing to
        // count any more.
        for (name, event) in telling.iter().cycle().take(50 * telling.len()) {
            let Err(report) = process.call(event.to_string()).await.unwrap().answer else { continue };
            let report: Value = serde_json::from_slice(&report).unwrap();
            let said = report["errorMessage"].as_str().unwrap();
            assert!(said.starts_with("Lambda panicked"), "{function}: {name}: {report}");
            panics += 1;
            if panics == telling.len() {
                break;
            }
        }
        assert!(panics > 0, "{function} did not panic");
        process.ready().await.unwrap();
        log.mend();
        for (name, event) in &telling {
            assert!(process.call(event.to_string()).await.unwrap().answer.is_ok(), "{function}: {name}");
        }
    }
}

#[tokio::test]
async fn it_ends_at_once_when_it_is_told_to() {
    let ground = BenchStack::start().await.unwrap();
    for function in functions::names().unwrap() {
        let folder = tempfile::tempdir().unwrap();
        let log = Log::new(folder.path()).await;
        let mut process = start(&ground, &function, log.end()).await;
        let (_, event) = events::of(&function).unwrap().remove(0);
        process.call(event.to_string()).await.unwrap();
        process.ready().await.unwrap();
        log.read();
        let (status, took) = process.terminate().await.unwrap();
        // Nothing is done after the answer, so there is nothing to end: the signal's own effect will do.
        assert!(status.success() || status.signal() == Some(15), "{function}: {status}");
        assert!(took < Duration::from_secs(5), "{function}: {took:?}");
        assert_eq!(log.read(), "", "{function} has nothing to say about it");
    }
}
