//! The whole pipeline under load: the local runner between two simulators, and how long each message is on its way.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use simulator_chatwoot::{Chatwoot, Inbox};
use simulator_meta::{Customer, Meta, Number, Statuses};
use simulator_wire::MovableClock;
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::measure::Spread;

const CHANNEL: &str = "104857600777777";
const INBOX: i64 = 14;
const CONFIG: &str = include_str!("pipeline.toml");

/// Nothing takes this long on one machine.
const MAX_WAIT: Duration = Duration::from_secs(120);

/// So long after the last message somebody looks on for one that comes twice.
const QUIET: Duration = Duration::from_secs(2);

/// How often somebody looks whether a message is there.
const LOOK: Duration = Duration::from_millis(4);

/// The runner and both sides.
pub struct Pipeline {
    meta: Meta,
    chatwoot: Chatwoot,
    runner: Child,
    /// Loads so far; no two write the same texts.
    loads: AtomicUsize,
    /// Held open: the runner would fail to say anything else.
    _out: BufReader<ChildStdout>,
    _folder: TempDir,
}

/// What a load came to.
#[derive(Debug)]
pub struct Load {
    /// Messages that arrived.
    pub messages: usize,
    /// From the first to the last.
    pub took: Duration,
    /// How long each was on its way.
    pub lag: Spread,
    /// Processor time by process: the runner with the embedded AWS, and each function.
    pub cpu: BTreeMap<String, Duration>,
}

impl Pipeline {
    /// Starts `runner`, the binary of crate `local`.
    pub async fn start(runner: &Path) -> anyhow::Result<Self> {
        let clock = Arc::new(MovableClock::running(Duration::ZERO));
        let listen = "127.0.0.1:0".parse()?;
        let number = Number {
            phone_number_id: CHANNEL.to_owned(),
            waba_id: "109876543277777".to_owned(),
            display_phone_number: "525555550100".to_owned(),
            access_token: "access-token".to_owned(),
            coexistence: false,
        };
        let meta = Meta::start(simulator_meta::Settings {
            listen,
            clock: clock.clone(),
            app_secret: "app-secret".to_owned(),
            numbers: vec![number],
            statuses: Statuses::Manual,
        })
        .await?;
        let inbox = Inbox {
            id: INBOX,
            name: "Ventas".to_owned(),
            webhook_url: String::new(),
            secret: "callback-secret".to_owned(),
            lock_to_single_conversation: true,
        };
        let chatwoot = Chatwoot::start(simulator_chatwoot::Settings {
            listen,
            clock,
            account_id: 3,
            token: "chatwoot-token".to_owned(),
            inboxes: vec![inbox],
        })
        .await?;
        let folder = tempfile::tempdir()?;
        let config = folder.path().join("bridge.toml");
        fs::write(&config, CONFIG)?;
        let mut runner = Command::new(runner)
            .args(["--listen", "127.0.0.1:0", "--meta-url", &meta.url(), "--chatwoot-url", &chatwoot.url(), "--config"])
            .arg(&config)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut out = BufReader::new(runner.stdout.take().context("no output")?);
        let url = loop {
            let mut line = String::new();
            ensure!(out.read_line(&mut line)? > 0, "the runner ended");
            if let Some(url) = line.trim_end().strip_prefix("ready ") {
                break url.to_owned();
            }
        };
        meta.set_webhook(&format!("{url}/webhooks/meta"));
        chatwoot.set_callback_url(INBOX, &format!("{url}/callbacks/chatwoot/{CHANNEL}"));
        Ok(Self { meta, chatwoot, runner, loads: AtomicUsize::new(0), _out: out, _folder: folder })
    }

    fn customer(&self, at: usize) -> Customer {
        self.meta.customer(&name(at), &format!("5215555{at:06}"))
    }

    /// So many customers write so many messages each, one after another of each as fast as Meta takes them.
    pub async fn customers_write(&self, customers: usize, each: usize) -> anyhow::Result<Load> {
        let load = self.loads.fetch_add(1, Ordering::Relaxed);
        let cpu = self.cpu()?;
        let began = Instant::now();
        let mut people = JoinSet::new();
        for at in 0..customers {
            let (customer, chatwoot) = (self.customer(at), self.chatwoot.clone());
            people.spawn(async move {
                let mut written = Vec::with_capacity(each);
                for message in 0..each {
                    let text = format!("mensaje {load} {message} de {at}");
                    written.push((text.clone(), Instant::now()));
                    customer.writes(&text).await?;
                }
                arrivals(written, || {
                    let conversation = chatwoot.conversation_of(&name(at))?;
                    Some(chatwoot.messages(conversation).into_iter().map(|message| message.content).collect())
                })
                .await
            });
        }
        self.load(people, began, &cpu).await
    }

    /// Agents answer every customer so many times.
    pub async fn agents_answer(&self, customers: usize, each: usize) -> anyhow::Result<Load> {
        let load = self.loads.fetch_add(1, Ordering::Relaxed);
        let cpu = self.cpu()?;
        let began = Instant::now();
        let agent = self.chatwoot.agent("Sofía");
        let mut people = JoinSet::new();
        for at in 0..customers {
            let conversation = self.chatwoot.conversation_of(&name(at)).context("there is no conversation")?;
            let (customer, agent) = (self.customer(at), agent.clone());
            people.spawn(async move {
                let mut written = Vec::with_capacity(each);
                for message in 0..each {
                    let text = format!("respuesta {load} {message} a {at}");
                    written.push((text.clone(), Instant::now()));
                    agent.replies(conversation, &text).await;
                }
                arrivals(written, || Some(customer.heard())).await
            });
        }
        self.load(people, began, &cpu).await
    }

    async fn load(
        &self,
        mut people: JoinSet<anyhow::Result<Vec<Arrival>>>,
        began: Instant,
        before: &BTreeMap<String, Duration>,
    ) -> anyhow::Result<Load> {
        let mut all = Vec::new();
        while let Some(person) = people.join_next().await {
            all.extend(person??);
        }
        let took = all.iter().map(|one| one.at.saturating_duration_since(began)).max().unwrap_or_default();
        let lags: Vec<Duration> = all.iter().map(|one| one.lag).collect();
        let mut cpu = self.cpu()?;
        for (name, time) in &mut cpu {
            *time = time.saturating_sub(before.get(name).copied().unwrap_or_default());
        }
        Ok(Load { messages: lags.len(), took, lag: Spread::of(lags), cpu })
    }

    /// Processor time so far, of the runner and of its functions by name.
    fn cpu(&self) -> anyhow::Result<BTreeMap<String, Duration>> {
        let runner = self.runner.id();
        let mut cpu = BTreeMap::from([("runner".to_owned(), crate::process::processor(runner)?)]);
        for entry in fs::read_dir("/proc")? {
            let path = entry?.path();
            let Some(id) = path.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok()) else { continue };
            // Whatever ended meanwhile is none of ours.
            let (Ok(stat), Ok(line)) =
                (fs::read_to_string(path.join("stat")), fs::read_to_string(path.join("cmdline")))
            else {
                continue;
            };
            let parent = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1)?.parse::<u32>().ok());
            let function = line.split_once("--function\0").map(|(_, name)| name.trim_end_matches('\0').to_owned());
            if let Some(function) = function.filter(|_| parent == Some(runner))
                && let Ok(time) = crate::process::processor(id)
            {
                *cpu.entry(function).or_default() += time;
            }
        }
        Ok(cpu)
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        let _ = self.runner.kill();
        let _ = self.runner.wait();
    }
}

fn name(customer: usize) -> String {
    format!("Cliente {customer}")
}

/// A message that is there.
#[derive(Clone, Copy, Debug)]
struct Arrival {
    at: Instant,
    lag: Duration,
}

/// Waits until each of these texts is there once, in order, and a while longer, so that one that comes again is seen.
async fn arrivals(
    written: Vec<(String, Instant)>,
    seen: impl Fn() -> Option<Vec<String>>,
) -> anyhow::Result<Vec<Arrival>> {
    let until = Instant::now() + MAX_WAIT;
    let mut all: Vec<Arrival> = Vec::with_capacity(written.len());
    while all.len() < written.len() || all.last().is_some_and(|last| last.at.elapsed() < QUIET) {
        let missing = written.len() - all.len();
        ensure!(missing == 0 || Instant::now() < until, "{missing} of {} messages never arrived", written.len());
        let there = seen().unwrap_or_default();
        for (_, began) in &written[all.len()..in_order(&written, &there)?.max(all.len())] {
            let at = Instant::now();
            all.push(Arrival { at, lag: at.saturating_duration_since(*began) });
        }
        look_again().await;
    }
    Ok(all)
}

/// How many of the written texts are there: each once, and in the order they were written in.
fn in_order(written: &[(String, Instant)], there: &[String]) -> anyhow::Result<usize> {
    let ours: Vec<&String> = there.iter().filter(|text| written.iter().any(|(known, _)| known == *text)).collect();
    for (at, text) in ours.iter().enumerate() {
        ensure!(!ours[..at].contains(text), "twice: {text}");
        ensure!(written[at].0 == **text, "out of order: {ours:?}");
    }
    Ok(ours.len())
}

#[expect(clippy::disallowed_methods, reason = "what is measured is real time")]
async fn look_again() {
    tokio::time::sleep(LOOK).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_twice_or_too_early_is_told() {
        let texts = |texts: &[&str]| -> Vec<String> { texts.iter().map(|text| (*text).to_owned()).collect() };
        let written: Vec<_> = texts(&["a", "b"]).into_iter().map(|text| (text, Instant::now())).collect();
        let told = |there: &[&str]| in_order(&written, &texts(there)).map_err(|error| error.to_string());
        assert_eq!(told(&["hello"]), Ok(0));
        assert_eq!(told(&["hello", "a", "b"]), Ok(2));
        assert_eq!(told(&["a", "b", "b"]), Err("twice: b".to_owned()));
        assert_eq!(told(&["a", "a"]), Err("twice: a".to_owned()));
        assert!(told(&["b", "a"]).unwrap_err().starts_with("out of order"));
    }
}
