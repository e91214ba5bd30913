//! The execution environments of one function: processes that are started on demand, used again, killed on a time-out
//! and replaced.

use std::{
    collections::{BTreeMap, HashMap},
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use domain::{SharedClock, Timestamp};
use tokio::{
    sync::{Notify, Semaphore, oneshot},
    time::{Instant, timeout},
};

use crate::{
    intrinsics::{ACCOUNT, REGION},
    process::{Heard, Launcher},
    template::Function,
};

/// Lambda gives a process this long until it asks for its first event.
const LONGEST_START: Duration = Duration::from_secs(10);
/// Lambda ends an invocation that found no working environment after two starts.
const STARTS: u32 = 2;
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
const LONGEST_KILL: Duration = Duration::from_millis(500);

/// One event on its way to a function.
#[derive(Debug)]
pub(crate) struct Invocation {
    pub(crate) request_id: String,
    pub(crate) payload: Bytes,
    pub(crate) deadline: Timestamp,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    #[error("the function answered with an error: {0}")]
    Function(String),
    #[error("the function did not answer in time and was killed")]
    TimedOut,
    #[error("the function's process ended in the middle of the work")]
    Exited,
    #[error("no process of the function could be started")]
    NotStarted,
    #[error("the runner is stopping")]
    Stopping,
}

/// What an invocation came to.
pub(crate) type Outcome = Result<Bytes, Failure>;

/// All environments of one function.
#[derive(Debug)]
pub(crate) struct Environments {
    name: String,
    arn: String,
    timeout: Duration,
    most: usize,
    permits: Semaphore,
    launcher: Launcher,
    clock: SharedClock,
    heard: Heard,
    full_name: String,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    last_number: u64,
    last_request: u64,
    /// Processes that have not ended yet, the killed ones too.
    processes: usize,
    alive: BTreeMap<u64, Environment>,
    failed_starts: u32,
    pause_until: Option<Instant>,
    stopping: bool,
}

#[derive(Debug)]
struct Environment {
    phase: Phase,
    /// Dropped to kill the process.
    _keeps: oneshot::Sender<()>,
}

#[derive(Debug)]
enum Phase {
    Starting,
    /// Waits for its next event, or will ask for it in a moment.
    Idle(Option<oneshot::Sender<Invocation>>),
    Busy {
        request_id: String,
        answer: oneshot::Sender<Outcome>,
    },
}

enum Next {
    HandedOver(u64, oneshot::Receiver<Outcome>),
    Wait(Duration),
}

impl Environments {
    /// None yet, of at most `most`.
    pub(crate) fn new(
        function: &Function,
        most: usize,
        launcher: Launcher,
        clock: SharedClock,
        heard: Heard,
    ) -> Arc<Self> {
        let most = most.max(1);
        Arc::new(Self {
            name: function.name.clone(),
            arn: format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:{}", function.full_name),
            timeout: function.timeout,
            most,
            permits: Semaphore::new(most),
            launcher,
            clock,
            heard,
            full_name: function.full_name.clone(),
            state: Mutex::default(),
            changed: Notify::new(),
        })
    }

    /// The function's ARN.
    pub(crate) fn arn(&self) -> &str {
        &self.arn
    }

    /// Hands over one thing to do, a request or the word of a timer.
    pub(crate) async fn invoke_once(self: &Arc<Self>, payload: Bytes) -> Outcome {
        self.took(1);
        let outcome = self.invoke(payload).await;
        self.finished(usize::from(outcome.is_ok()));
        outcome
    }

    /// So much was handed to it.
    pub(crate) fn took(&self, count: usize) {
        self.heard.flow.took(&self.name, count);
    }

    /// With so much of that it is done.
    pub(crate) fn finished(&self, count: usize) {
        self.heard.flow.finished(&self.name, count);
    }

    /// Hands `payload` to an environment and waits for its answer.
    pub(crate) async fn invoke(self: &Arc<Self>, payload: Bytes) -> Outcome {
        let Ok(_permit) = self.permits.acquire().await else { return Err(Failure::Stopping) };
        let outcome = self.work_on(payload).await;
        if !matches!(outcome, Err(Failure::Stopping)) {
            self.heard.monitor.ended(&self.full_name, outcome.is_ok());
        }
        outcome
    }

    async fn work_on(self: &Arc<Self>, payload: Bytes) -> Outcome {
        let (number, answer) = self.hand_over(payload).await?;
        // As on Lambda, the start of a process is no part of it.
        let begun = Instant::now();
        let answered = timeout(self.timeout, answer).await;
        self.heard.monitor.lasted(&self.full_name, begun.elapsed());
        match answered {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) if self.state().stopping => Err(Failure::Stopping),
            Ok(Err(_)) => Err(Failure::Exited),
            Err(_) => {
                tracing::warn!(function = self.name, environment = number, "killed: it did not answer in time");
                self.state().alive.remove(&number);
                Err(Failure::TimedOut)
            }
        }
    }

    /// Waits until a process of this function works, however often it has to be started.
    pub(crate) async fn ready(self: &Arc<Self>) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let wait = {
                let mut state = self.state();
                if state.stopping || state.alive.values().any(|one| !matches!(one.phase, Phase::Starting)) {
                    return;
                }
                if state.alive.is_empty() { self.start_one(&mut state) } else { LONGEST_PAUSE }
            };
            let _ = timeout(wait, changed).await;
        }
    }

    async fn hand_over(self: &Arc<Self>, payload: Bytes) -> Result<(u64, oneshot::Receiver<Outcome>), Failure> {
        let failed_before = self.state().failed_starts;
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let next = {
                let mut state = self.state();
                if state.stopping {
                    return Err(Failure::Stopping);
                }
                if state.failed_starts.saturating_sub(failed_before) >= STARTS {
                    return Err(Failure::NotStarted);
                }
                self.take_or_start(&mut state, &payload)
            };
            match next {
                Next::HandedOver(number, answer) => return Ok((number, answer)),
                Next::Wait(pause) => {
                    let _ = timeout(pause, changed).await;
                }
            }
        }
    }

    fn take_or_start(self: &Arc<Self>, state: &mut State, payload: &Bytes) -> Next {
        state.last_request += 1;
        let request_id = format!("00000000-0000-4000-8000-{:012x}", state.last_request);
        for (number, environment) in &mut state.alive {
            let Phase::Idle(waiting) = &mut environment.phase else { continue };
            let Some(waiting) = waiting.take() else { continue };
            let deadline = self.clock.now() + self.timeout;
            let invocation = Invocation { request_id: request_id.clone(), payload: payload.clone(), deadline };
            // A process that died while it waited takes nothing; its end is noticed on its own.
            if waiting.send(invocation).is_ok() {
                let (answer, outcome) = oneshot::channel();
                environment.phase = Phase::Busy { request_id, answer };
                return Next::HandedOver(*number, outcome);
            }
        }
        let occupied = state.alive.values().filter(|one| matches!(one.phase, Phase::Busy { .. })).count();
        // The permits say that someone busy will not be waited for: one that is not busy is on its way, or has
        // to be started.
        if state.alive.len() > occupied || state.alive.len() >= self.most {
            return Next::Wait(LONGEST_PAUSE);
        }
        Next::Wait(self.start_one(state))
    }

    /// Starts a process unless the last ones failed at once; says how long to wait for news.
    fn start_one(self: &Arc<Self>, state: &mut State) -> Duration {
        let now = Instant::now();
        if let Some(until) = state.pause_until.filter(|until| *until > now) {
            return until - now;
        }
        state.last_number += 1;
        let number = state.last_number;
        match self.launcher.start(number) {
            Ok(process) => {
                state.processes += 1;
                let (keeps, kept) = oneshot::channel();
                state.alive.insert(number, Environment { phase: Phase::Starting, _keeps: keeps });
                let environments = Arc::clone(self);
                tokio::spawn(async move {
                    let mut end = pin!(process.ended(kept));
                    let status = if let Ok(status) = timeout(LONGEST_START, &mut end).await {
                        status
                    } else {
                        environments.started_by_now(number);
                        end.await
                    };
                    let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
                    environments.ended(number, &status);
                });
                LONGEST_PAUSE
            }
            Err(error) => {
                tracing::error!(function = self.name, %error, "cannot be started");
                failed(state)
            }
        }
    }

    /// A process that never asks for an event is killed, and its start counts as failed.
    fn started_by_now(&self, number: u64) {
        let mut state = self.state();
        if state.alive.get(&number).is_some_and(|one| matches!(one.phase, Phase::Starting)) {
            tracing::warn!(function = self.name, environment = number, "killed: it did not start in time");
            state.alive.remove(&number);
            failed(&mut state);
            drop(state);
            self.changed.notify_waiters();
        }
    }

    fn ended(&self, number: u64, status: &str) {
        let mut state = self.state();
        state.processes -= 1;
        // Its waiting invocation, if any, learns it from the dropped channel.
        let removed = state.alive.remove(&number);
        if let Some(removed) = removed
            && !state.stopping
        {
            tracing::warn!(function = self.name, environment = number, status, "the process ended");
            if matches!(removed.phase, Phase::Starting) {
                failed(&mut state);
            }
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// Ends all processes and waits for that; whoever still waits for an answer gets [`Failure::Stopping`].
    pub(crate) async fn stop(&self) {
        self.permits.close();
        {
            let mut state = self.state();
            state.stopping = true;
            state.alive.clear();
        }
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.state().processes == 0 || timeout(LONGEST_KILL, changed).await.is_err() {
                return;
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // ------------------------------------------------------------- what the processes say through the Runtime API

    /// Environment `number` asks for its next event. `None` if it is not one of ours any more.
    pub(crate) async fn next(&self, number: u64) -> Option<Invocation> {
        let waiting = {
            let mut state = self.state();
            state.failed_starts = 0;
            state.pause_until = None;
            let environment = state.alive.get_mut(&number)?;
            let (sender, waiting) = oneshot::channel();
            environment.phase = Phase::Idle(Some(sender));
            waiting
        };
        self.changed.notify_waiters();
        waiting.await.ok()
    }

    /// Environment `number` is done with `request_id`. False if nobody waits for that.
    pub(crate) fn answered(&self, number: u64, request_id: &str, outcome: Outcome) -> bool {
        let mut state = self.state();
        let Some(environment) = state.alive.get_mut(&number) else { return false };
        if !matches!(&environment.phase, Phase::Busy { request_id: busy_with, .. } if busy_with == request_id) {
            return false;
        }
        let Phase::Busy { answer, .. } = std::mem::replace(&mut environment.phase, Phase::Idle(None)) else {
            return false;
        };
        let _ = answer.send(outcome);
        true
    }
}

fn failed(state: &mut State) -> Duration {
    state.failed_starts = state.failed_starts.saturating_add(1);
    let pause = FIRST_PAUSE.saturating_mul(1 << state.failed_starts.saturating_sub(1).min(10)).min(LONGEST_PAUSE);
    state.pause_until = Some(Instant::now() + pause);
    pause
}

/// All functions by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Functions(Arc<HashMap<String, Arc<Environments>>>);

impl Functions {
    /// The given ones.
    pub(crate) fn new(functions: impl IntoIterator<Item = Arc<Environments>>) -> Self {
        Self(Arc::new(functions.into_iter().map(|one| (one.name.clone(), one)).collect()))
    }

    /// The one called `name`.
    pub(crate) fn get(&self, name: &str) -> Option<&Arc<Environments>> {
        self.0.get(name)
    }

    /// Every one.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Environments>> {
        self.0.values()
    }
}

#[cfg(test)]
#[path = "environments_tests.rs"]
mod tests;
