//! Killed and stopped in the middle of the work: nothing is lost, doubled, reordered or given up, and it ends in time.

use std::{
    collections::HashMap,
    process::{Command, Stdio},
    time::Duration,
};

use simulator_meta::Customer;
use simulator_wire::Effect;
use tokio::task::JoinSet;

use crate::{
    canary_stage::fault,
    sides::Sides,
    support::{Runner, eventually},
};

const PEOPLE: usize = 12;
const EACH_ROUND: usize = 5;
const KILLS: usize = 7;

fn name(person: usize) -> String {
    format!("Cliente {person}")
}

/// A runner on the test's directory.
fn start(sides: &Sides) -> Runner {
    let data = sides.directory.path().join("data");
    let mut command = Command::new(env!("CARGO_BIN_EXE_local"));
    sides.launch(command.args(["--data", data.to_str().unwrap()]).stderr(Stdio::null()))
}

/// What the customer wrote, as the agent reads it.
fn written(sides: &Sides, person: usize) -> Vec<String> {
    let conversation = sides.chatwoot.conversation_of(&name(person));
    let messages = conversation.into_iter().flat_map(|id| sides.chatwoot.messages(id));
    messages.filter(|message| message.message_type == "incoming").map(|message| message.content).collect()
}

fn all_written(sides: &Sides) -> usize {
    (0..PEOPLE).map(|person| written(sides, person).len()).sum()
}

/// Everybody writes at once, each their own messages in order. Whoever is not heard stops; Meta comes again.
fn everybody_writes(people: &[Customer], round: usize) -> JoinSet<usize> {
    let mut writers = JoinSet::new();
    for (person, customer) in people.iter().cloned().enumerate() {
        writers.spawn(async move {
            for at in 0..EACH_ROUND {
                if customer.writes(&format!("{} {person}", round * 100 + at)).await.is_err() {
                    return at + 1;
                }
            }
            EACH_ROUND
        });
    }
    writers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_again_and_again_it_loses_doubles_and_reorders_nothing() {
    let sides = Sides::start().await;
    let people: Vec<Customer> =
        (0..PEOPLE).map(|person| sides.meta.customer(&name(person), &format!("52155555510{person:02}"))).collect();
    let sofia = sides.chatwoot.agent("Sofía");
    let mut replies: HashMap<i64, Vec<(i64, String)>> = HashMap::new();
    for round in 0..KILLS {
        let runner = start(&sides);
        let _ = sides.meta.redeliver().await;
        let before = all_written(&sides);
        let mut writers = everybody_writes(&people, round);
        for person in 0..PEOPLE {
            let Some(conversation) = sides.chatwoot.conversation_of(&name(person)) else { continue };
            let text = format!("respuesta {round} a {person}");
            let message = sofia.replies(conversation, &text).await;
            replies.entry(conversation).or_default().push((message, text));
        }
        // In the middle: each round a little later.
        eventually("some of the work", || all_written(&sides) >= before + 2 + 5 * round);
        runner.kill();
        while writers.join_next().await.is_some() {}
    }

    let runner = start(&sides);
    let _ = sides.meta.redeliver().await;
    runner.post("/_local/run/reconcile", "");
    sides.chatwoot.settled().await;
    eventually("an end of the work", || {
        sides.clock.advance(Duration::from_secs(30));
        runner.advance(30);
        runner.living().is_empty()
    });
    assert_eq!(runner.dead(), Vec::<serde_json::Value>::new(), "a kill is no crash of the function");
    for (person, customer) in people.iter().enumerate() {
        let sent: Vec<String> =
            customer.phone().into_iter().filter(|bubble| !bubble.from_business).map(|bubble| bubble.text).collect();
        assert!(sent.len() >= KILLS, "{sent:?}");
        assert_eq!(written(&sides, person), sent, "person {person}");
        let conversation = sides.chatwoot.conversation_of(&name(person)).unwrap();
        let heard = customer.heard();
        let mut last = 0;
        for (message, text) in replies.remove(&conversation).unwrap_or_default() {
            let times = heard.iter().filter(|heard| **heard == text).count();
            let stands = sides.chatwoot.messages(conversation).into_iter().find(|one| one.id == message).unwrap();
            assert!(times <= 1, "{text}: {times} times");
            assert!(times == 1 || stands.status == "failed", "{text} is lost without a word: {stands:?}");
            if let Some(at) = heard.iter().position(|heard| *heard == text) {
                assert!(at >= last, "{heard:?}");
                last = at;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn interrupted_over_and_over_in_the_same_message_it_never_gives_it_up() {
    let sides = Sides::start().await;
    let ana = sides.meta.customer("Ana", "5215555550123");
    let hangs = || sides.chatwoot.faults().add(fault("POST", "/messages", Effect::HangBefore));
    hangs();
    let mut runner = start(&sides);
    ana.writes("¿siguen ahí?").await.unwrap();
    for at in 1..=7 {
        eventually("the call that hangs", || sides.chatwoot.faults().list().is_empty());
        if at < 7 {
            hangs();
        }
        // Both ways of ending: by force, and politely.
        if at % 2 == 0 {
            runner.kill();
        } else {
            let (status, took) = runner.terminate();
            assert!(status.success() && took < Duration::from_secs(5), "{status} after {took:?}");
        }
        runner = start(&sides);
    }
    eventually("Ana's message", || {
        sides.clock.advance(Duration::from_secs(30));
        runner.advance(30);
        runner.living().is_empty()
    });
    let conversation = sides.chatwoot.conversation_of("Ana").unwrap();
    let texts: Vec<String> = sides.chatwoot.messages(conversation).into_iter().map(|message| message.content).collect();
    assert_eq!(texts, ["¿siguen ahí?"]);
    assert_eq!(runner.dead(), Vec::<serde_json::Value>::new());
}

#[test]
fn two_runners_never_work_in_one_directory() {
    let data = tempfile::tempdir().unwrap();
    let arguments = ["--data", data.path().to_str().unwrap()];
    let _first = Runner::start(&arguments);
    let second =
        Command::new(env!("CARGO_BIN_EXE_local")).args(["--listen", "127.0.0.1:0"]).args(arguments).output().unwrap();
    let words = String::from_utf8_lossy(&second.stderr);
    assert!(!second.status.success() && words.contains("another runner"), "{words}");
}
