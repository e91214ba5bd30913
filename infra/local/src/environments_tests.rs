//! Environments whose processes are real and whose function is played by the test.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use domain::Timestamp;
use simulator_wire::MovableClock;

use super::*;
use crate::{flow::Flow, log_book::LogBook, monitor::Monitor};

const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);

fn environments(program: &str, arguments: &[&str], timeout: Duration, most: usize) -> Arc<Environments> {
    let function = Function {
        name: "tested".into(),
        full_name: "lmotos-tested".into(),
        timeout,
        memory_mb: 128,
        log_group: String::new(),
        role: String::new(),
        statements: Vec::new(),
        environment: BTreeMap::new(),
        routes: Vec::new(),
        mappings: Vec::new(),
        schedules: Vec::new(),
    };
    let clock = MovableClock::frozen(NOW);
    let heard = Heard { flow: Flow::default(), monitor: Monitor::new(clock.clone()), log: LogBook::new(clock.clone()) };
    let launcher = Launcher::of_program(program, arguments, heard.clone());
    Environments::new(&function, most, launcher, Arc::new(clock), heard)
}

/// A function that lives until its standard input is closed.
fn living(timeout: Duration, most: usize) -> Arc<Environments> {
    environments("cat", &[], timeout, most)
}

fn invoke(environments: &Arc<Environments>, payload: &'static str) -> tokio::task::JoinHandle<Outcome> {
    let environments = Arc::clone(environments);
    tokio::spawn(async move { environments.invoke(Bytes::from(payload)).await })
}

/// What process `number` hears when it asks for its next event; it is started when an invocation wants it.
async fn next(environments: &Arc<Environments>, number: u64) -> Invocation {
    loop {
        if let Some(invocation) = environments.next(number).await {
            return invocation;
        }
        tokio::task::yield_now().await;
    }
}

const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn an_event_reaches_a_process_and_its_answer_the_caller() {
    let environments = living(LONG, 4);
    let caller = invoke(&environments, "hello");
    let invocation = next(&environments, 1).await;
    assert_eq!(&invocation.payload[..], b"hello");
    assert_eq!(invocation.deadline, NOW + LONG);
    assert!(!environments.answered(1, "another request", Ok(Bytes::new())), "only what it works on can be answered");
    assert!(
        !environments.answered(2, &invocation.request_id, Ok(Bytes::new())),
        "and only by the process that works on it"
    );
    assert!(environments.answered(1, &invocation.request_id, Ok(Bytes::from("hi"))));
    assert_eq!(caller.await.unwrap(), Ok(Bytes::from("hi")));
    assert!(!environments.answered(1, &invocation.request_id, Ok(Bytes::new())), "and only once");

    let again = invoke(&environments, "again");
    let reused = next(&environments, 1).await;
    assert_eq!(&reused.payload[..], b"again");
    environments.answered(1, &reused.request_id, Err(Failure::Function("Boom".into())));
    assert_eq!(again.await.unwrap(), Err(Failure::Function("Boom".into())));
    environments.stop().await;
}

#[tokio::test]
async fn one_too_many_waits_for_a_free_process() {
    let environments = living(LONG, 1);
    let first = invoke(&environments, "first");
    let working_on = next(&environments, 1).await;
    let second = invoke(&environments, "second");
    tokio::task::yield_now().await;
    assert_eq!(environments.state().alive.len(), 1);
    environments.answered(1, &working_on.request_id, Ok(Bytes::new()));
    first.await.unwrap().unwrap();
    let working_on = next(&environments, 1).await;
    assert_eq!(&working_on.payload[..], b"second");
    environments.answered(1, &working_on.request_id, Ok(Bytes::new()));
    second.await.unwrap().unwrap();
    environments.stop().await;
}

#[tokio::test]
async fn two_at_once_get_a_process_each() {
    let environments = living(LONG, 2);
    let (first, second) = (invoke(&environments, "a"), invoke(&environments, "b"));
    let one = next(&environments, 1).await;
    let other = next(&environments, 2).await;
    environments.answered(1, &one.request_id, Ok(one.payload.clone()));
    environments.answered(2, &other.request_id, Ok(other.payload.clone()));
    let mut answers = [first.await.unwrap().unwrap(), second.await.unwrap().unwrap()];
    answers.sort();
    assert_eq!(answers, [Bytes::from("a"), Bytes::from("b")]);
    environments.stop().await;
}

#[tokio::test]
async fn a_function_that_hangs_is_killed_and_replaced() {
    let environments = living(Duration::from_millis(20), 1);
    let caller = invoke(&environments, "hang");
    next(&environments, 1).await;
    assert_eq!(caller.await.unwrap(), Err(Failure::TimedOut));
    assert!(environments.next(1).await.is_none(), "the killed one is no environment any more");
    let caller = invoke(&environments, "after");
    let invocation = next(&environments, 2).await;
    environments.answered(2, &invocation.request_id, Ok(Bytes::new()));
    assert_eq!(caller.await.unwrap(), Ok(Bytes::new()));
    environments.stop().await;
    assert_eq!(environments.state().processes, 0);
}

#[tokio::test]
async fn a_process_that_dies_at_work_fails_its_invocation_alone() {
    let environments = environments("sh", &["-c", "exec sleep 0.05"], LONG, 1);
    let caller = invoke(&environments, "die");
    next(&environments, 1).await;
    assert_eq!(caller.await.unwrap(), Err(Failure::Exited));
    let caller = invoke(&environments, "after");
    let invocation = next(&environments, 2).await;
    environments.answered(2, &invocation.request_id, Ok(Bytes::new()));
    caller.await.unwrap().unwrap();
    environments.stop().await;
}

#[tokio::test]
async fn a_function_that_cannot_start_is_given_up_after_two_tries_and_tried_again_later() {
    let environments = environments("false", &[], LONG, 1);
    assert_eq!(invoke(&environments, "x").await.unwrap(), Err(Failure::NotStarted));
    let state = environments.state();
    assert_eq!((state.last_number, state.failed_starts), (2, 2));
    assert!(state.pause_until.is_some(), "the next start waits");
    assert!(state.alive.is_empty());
}

#[tokio::test]
async fn whoever_waits_when_it_stops_hears_so() {
    let environments = living(LONG, 1);
    let working = invoke(&environments, "working");
    next(&environments, 1).await;
    let queued = invoke(&environments, "queued");
    tokio::task::yield_now().await;
    environments.stop().await;
    assert_eq!(working.await.unwrap(), Err(Failure::Stopping));
    assert_eq!(queued.await.unwrap(), Err(Failure::Stopping));
    assert_eq!(environments.state().processes, 0, "no process outlives it");
}
