//! Properties of an outgoing message, whatever happens to it in whatever order.
//!
//! Workers crash, answer late, and take each other for dead; statuses come early, twice and for old calls; the agent presses
//! Retry. Each worker does what the code does: it reserves a part, saves that, and only then may call.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::Delivery;

const NOW: Timestamp = Timestamp::from_secs(1_795_190_400);

/// What a worker is told of its call.
#[derive(Clone, Copy, Debug)]
enum Answer {
    Accepted,
    NotNow,
    Never,
    None,
}

/// One step of the world.
#[derive(Clone, Debug)]
enum Step {
    /// A worker reads the message, and reserves what is next, or what is next beyond the files that are not there yet.
    Reserve { beyond_files: bool },
    /// The worker of this reservation finds its slot gone, and makes no call.
    Release(usize),
    /// The worker of this reservation makes its call; Meta takes it if `taken`.
    Call { of: usize, taken: bool },
    /// The worker of this reservation saves what it was told.
    Save(usize, Answer),
    /// Another worker takes the one that is sending for dead.
    TakeForDead,
    /// Another worker defers or fails the part as it once read it.
    Stale { at: usize, attempt: u32, fails: bool },
    /// A status arrives.
    Status { at: usize, attempt: u32, delivery: Delivery },
    /// The agent presses Retry.
    Retry,
    /// It becomes known what the message is.
    Sort { template: bool, young: bool },
    /// The message is given up.
    GiveUp,
}

/// A reservation that was saved, and what became of it.
#[derive(Clone, Debug)]
struct Held {
    at: usize,
    attempt: u32,
    before: Part,
    called: bool,
    taken: bool,
    saved: bool,
}

fn any_delivery() -> impl Strategy<Value = Delivery> {
    prop_oneof![
        Just(Delivery::Sent),
        Just(Delivery::Delivered),
        Just(Delivery::Read),
        Just(Delivery::failed(131_026)),
        Just(Delivery::failed(131_053)),
    ]
}

fn any_step() -> impl Strategy<Value = Step> {
    let answer = prop_oneof![Just(Answer::Accepted), Just(Answer::NotNow), Just(Answer::Never), Just(Answer::None)];
    prop_oneof![
        6 => any::<bool>().prop_map(|beyond_files| Step::Reserve { beyond_files }),
        1 => (0..4usize).prop_map(Step::Release),
        5 => (0..4usize, any::<bool>()).prop_map(|(of, taken)| Step::Call { of, taken }),
        4 => (0..4usize, answer).prop_map(|(of, answer)| Step::Save(of, answer)),
        2 => Just(Step::TakeForDead),
        2 => (0..3usize, 0..4u32, any::<bool>()).prop_map(|(at, attempt, fails)| Step::Stale { at, attempt, fails }),
        2 => (0..3usize, 0..4u32, any_delivery())
            .prop_map(|(at, attempt, delivery)| Step::Status { at, attempt, delivery }),
        2 => Just(Step::Retry),
        1 => (any::<bool>(), any::<bool>()).prop_map(|(template, young)| Step::Sort { template, young }),
        1 => Just(Step::GiveUp),
    ]
}

/// Meta's id of what a call brought.
fn wamid(at: usize, attempt: u32) -> Wamid {
    Wamid::new(format!("{at}.{attempt}").as_str())
}

/// A world with one message in it.
#[derive(Debug)]
struct World {
    message: Outgoing,
    held: Vec<Held>,
    /// The calls that were made, by part and number.
    calls: BTreeSet<(usize, u32)>,
    /// Parts that Meta may have, since the agent last asked for them.
    out: BTreeSet<usize>,
}

impl World {
    fn latest(&mut self, back: usize) -> Option<&mut Held> {
        let at = self.held.len().checked_sub(back + 1)?;
        self.held.get_mut(at)
    }

    fn step(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Reserve { beyond_files } => self.reserve(beyond_files)?,
            Step::Release(back) => {
                let Some(held) = self.latest(back).filter(|held| !held.called && !held.saved) else { return Ok(()) };
                held.saved = true;
                let event = PartEvent::Released { attempt: held.attempt, before: held.before.clone() };
                let at = held.at;
                let _ = self.message.apply(at, event);
            }
            Step::Call { of, taken } => {
                let Some(held) = self.latest(of).filter(|held| !held.called && !held.saved) else { return Ok(()) };
                (held.called, held.taken) = (true, taken);
                let (at, attempt) = (held.at, held.attempt);
                prop_assert!(self.calls.insert((at, attempt)), "two calls for one reservation of part {at}");
                prop_assert!(!taken || self.out.insert(at), "part {at} reaches the customer twice");
            }
            Step::Save(back, answer) => self.save(back, answer)?,
            Step::TakeForDead => {
                let sending =
                    self.message.next_part().filter(|at| matches!(self.message.parts[*at], Part::Sending { .. }));
                if let Some(at) = sending {
                    let attempt = self.message.parts[at].attempt();
                    let dead = self.message.apply(at, PartEvent::Unanswered { attempt });
                    prop_assert!(dead.is_ok());
                }
            }
            Step::Stale { at, attempt, fails } => {
                // What another worker says of a part holds while no call of its number was made.
                if self.calls.contains(&(at, attempt)) || self.held.iter().any(|held| held.attempt == attempt) {
                    return Ok(());
                }
                let failure = SendFailure::WindowClosed;
                let event = if fails {
                    PartEvent::Failed { attempt, failure, captioned: false }
                } else {
                    PartEvent::Deferred { attempt, awaited: Awaited::File, at: NOW }
                };
                let _ = self.message.apply(at, event);
            }
            Step::Status { at, attempt, delivery } => {
                // Meta reports only on what it took.
                if self.held.iter().any(|held| (held.at, held.attempt, held.taken) == (at, attempt, true)) {
                    let event = PartEvent::Reported { attempt: Some(attempt), wamid: wamid(at, attempt), delivery };
                    prop_assert_eq!(self.message.apply(at, event).is_ok(), at < self.message.parts.len());
                }
            }
            Step::Retry => {
                // The agent takes it upon them that an uncertain part may arrive twice.
                let again: Vec<usize> =
                    (0..self.message.parts.len()).filter(|at| self.message.parts[*at].failure().is_some()).collect();
                if matches!(self.message.outcome(), Outcome::Incomplete { .. }) {
                    prop_assert!(self.message.retry(NOW).is_ok());
                    self.out.retain(|at| !again.contains(at));
                    // So do the calls that are still being made for it.
                    for held in self.held.iter_mut().filter(|held| again.contains(&held.at) && !held.called) {
                        held.saved = true;
                    }
                }
            }
            Step::Sort { template, young } => {
                let sorted = if template { self.message.set_picked(young) } else { self.message.set_plain(young) };
                prop_assert!(sorted.is_ok());
            }
            Step::GiveUp => prop_assert!(self.message.give_up(SendFailure::Unworkable).is_ok()),
        }
        Ok(())
    }

    fn reserve(&mut self, beyond_files: bool) -> Result<(), TestCaseError> {
        let waits = |at: &usize| beyond_files && self.message.parts[*at].awaits_since(Awaited::File).is_some();
        let without_file: Vec<usize> = (0..self.message.parts.len()).filter(waits).collect();
        let next = self.message.next_part_beyond(&without_file);
        let Some(at) = next.or_else(|| self.message.next_part()) else {
            // Nothing is next, so nothing can be reserved.
            for at in 0..self.message.parts.len() {
                let attempt = self.message.parts[at].attempt() + 1;
                let reserved = self.message.apply(at, PartEvent::Reserved { attempt, file: None });
                prop_assert!(reserved.is_err());
            }
            return Ok(());
        };
        let before = self.message.parts[at].clone();
        let attempt = before.attempt() + 1;
        let file = (at == 0).then_some(SentFile { part: at, captioned: true, way: FileWay::LinkedType });
        let done = self.message.apply(at, PartEvent::Reserved { attempt, file });
        prop_assert_eq!(done.is_ok(), matches!(before, Part::Planned | Part::Waiting { .. }));
        if done.is_ok() {
            self.held.push(Held { at, attempt, before, called: false, taken: false, saved: false });
        }
        Ok(())
    }

    fn save(&mut self, back: usize, answer: Answer) -> Result<(), TestCaseError> {
        let Some(held) = self.latest(back).filter(|held| held.called && !held.saved) else { return Ok(()) };
        held.saved = true;
        let (at, attempt, taken) = (held.at, held.attempt, held.taken);
        // What Meta took is accepted, or goes unanswered; what it did not take is refused, or goes unanswered.
        let event = match (answer, taken) {
            (Answer::Accepted, true) => {
                PartEvent::Reported { attempt: Some(attempt), wamid: wamid(at, attempt), delivery: Delivery::Accepted }
            }
            (Answer::NotNow, false) => PartEvent::Deferred { attempt, awaited: Awaited::Meta, at: NOW },
            (Answer::Never, false) => {
                PartEvent::Failed { attempt, failure: SendFailure::Unreachable, captioned: at == 0 }
            }
            _ => PartEvent::Unanswered { attempt },
        };
        let is_report = matches!(event, PartEvent::Reported { .. });
        let done = self.message.apply(at, event);
        prop_assert!(!is_report || done.is_ok(), "what Meta has is never refused");
        Ok(())
    }

    /// What is settled goes back only where that is allowed.
    fn check(&self, before: &Outgoing, step: &Step) -> Result<(), TestCaseError> {
        for (old, new) in before.parts.iter().zip(&self.message.parts) {
            let is_out = matches!(old, Part::Accepted { .. }) && old.failure().is_none();
            let is_told = matches!(step, Step::Retry | Step::Status { .. } | Step::Save(..) | Step::Sort { .. });
            prop_assert!(!is_out || new.wamid() == old.wamid(), "{old:?} became {new:?}");
            let is_settled = matches!(old, Part::Failed { .. } | Part::Uncertain { .. });
            let may_go_back = is_told || matches!(step, Step::Release(_));
            prop_assert!(!is_settled || may_go_back || new == old, "{old:?} became {new:?} by {step:?}");
            let is_released = matches!(step, Step::Release(_));
            prop_assert!(is_released || new.attempt() >= old.attempt(), "{old:?} became {new:?}");
        }
        let stored = serde_json::to_string(&self.message).map_err(|error| TestCaseError::fail(error.to_string()))?;
        let read: Outgoing = serde_json::from_str(&stored).map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(&read, &self.message);
        Ok(())
    }
}

proptest! {
    #[test]
    fn a_part_reaches_the_customer_at_most_once_each_time_the_agent_asks(
        parts in 1..4usize,
        steps in prop::collection::vec(any_step(), 1..60),
    ) {
        let message = Outgoing::new(NOW, parts);
        let mut world = World { message, held: Vec::new(), calls: BTreeSet::new(), out: BTreeSet::new() };
        for step in steps {
            let before = world.message.clone();
            world.step(step.clone())?;
            world.check(&before, &step)?;
        }
    }

    #[test]
    fn what_is_refused_changes_nothing(
        parts in 1..3usize,
        events in prop::collection::vec((0..3usize, any_event()), 1..30),
    ) {
        let mut message = Outgoing::new(NOW, parts);
        for (at, event) in events {
            let before = message.clone();
            if message.apply(at, event).is_err() {
                prop_assert_eq!(&message, &before);
            }
        }
    }
}

fn any_event() -> impl Strategy<Value = PartEvent> {
    let failure = SendFailure::FileEmpty;
    (0..4u32, any::<bool>(), any_delivery()).prop_flat_map(move |(attempt, captioned, delivery)| {
        prop_oneof![
            Just(PartEvent::Reserved { attempt, file: None }),
            Just(PartEvent::Released { attempt, before: Part::Planned }),
            Just(PartEvent::Deferred { attempt, awaited: Awaited::Meta, at: NOW }),
            Just(PartEvent::Failed { attempt, failure, captioned }),
            Just(PartEvent::Unanswered { attempt }),
            Just(PartEvent::GivenUp { failure }),
            Just(PartEvent::Reported { attempt: Some(attempt), wamid: Wamid::new("w"), delivery }),
            Just(PartEvent::Retried { at: NOW }),
            Just(PartEvent::Reopened),
        ]
    })
}
