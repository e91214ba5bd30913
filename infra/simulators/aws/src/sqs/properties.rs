//! Whatever happens to a FIFO queue, it keeps its promises: compared with a model that is too simple to be wrong.
//!
//! Between any two steps the process may be killed and started again on the same journal.

use std::{collections::BTreeMap, path::Path, time::Duration};

use domain::{Clock as _, Timestamp};
use proptest::prelude::*;
use serde_json::json;
use simulator_wire::MovableClock;

use super::{Handed, Sqs};
use crate::{error::ApiError, lag::Lagging};

const QUEUE: &str = "orders.fifo";
const VISIBILITY: u64 = 30;
const DEDUP: Duration = Duration::from_secs(300);

#[derive(Clone, Debug)]
enum Step {
    Send { group: u8, dedup_id: u8 },
    Receive { max: usize },
    Delete { handle: prop::sample::Index },
    Hide { handle: prop::sample::Index, seconds: u64 },
    Wait { seconds: u64 },
    Kill,
}

fn step() -> impl Strategy<Value = Step> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        6 => (0..3_u8, 0..40_u8).prop_map(|(group, dedup_id)| Step::Send { group, dedup_id }),
        5 => (1..=10_usize).prop_map(|max| Step::Receive { max }),
        4 => index().prop_map(|handle| Step::Delete { handle }),
        2 => (index(), 0..60_u64).prop_map(|(handle, seconds)| Step::Hide { handle, seconds }),
        2 => prop_oneof![0..=VISIBILITY, 100..200_u64].prop_map(|seconds| Step::Wait { seconds }),
        1 => Just(Step::Kill),
    ]
}

/// A message as the model sees it.
#[derive(Debug)]
struct Sent {
    body: String,
    receives: u32,
    out_until: Timestamp,
}

/// Groups are lists, deduplication is a table of times; that is all.
#[derive(Debug, Default)]
struct Model {
    groups: BTreeMap<u8, Vec<Sent>>,
    seen: BTreeMap<u8, (Timestamp, String)>,
    handles: Vec<Handle>,
}

#[derive(Clone, Debug)]
struct Handle {
    text: String,
    group: u8,
    body: String,
    receive: u32,
}

impl Model {
    /// The message of a handle, and whether the handle still holds it.
    fn held(&mut self, handle: &Handle, now: Timestamp) -> Option<(&mut Sent, bool)> {
        let sent = self.groups.get_mut(&handle.group)?.iter_mut().find(|sent| sent.body == handle.body)?;
        let holds = sent.receives == handle.receive && sent.out_until > now;
        Some((sent, holds))
    }

    /// How many messages a receive without limit would bring.
    fn receivable(&self, now: Timestamp) -> usize {
        self.groups.values().filter(|group| group.iter().all(|sent| sent.out_until <= now)).map(Vec::len).sum()
    }

    fn receive(&mut self, handed: &[Handed], max: usize, now: Timestamp) -> Result<(), TestCaseError> {
        prop_assert_eq!(handed.len(), self.receivable(now).min(max), "as many come as can");
        let mut taken: BTreeMap<u8, usize> = BTreeMap::new();
        for Handed { message, receipt_handle, .. } in handed {
            let group: u8 =
                message.group.as_deref().unwrap_or_default().parse().map_err(|_| TestCaseError::fail("no group"))?;
            let place = taken.entry(group).or_default();
            let sent = self.groups.get_mut(&group).and_then(|group| group.get_mut(*place));
            let Some(sent) = sent else { return Err(TestCaseError::fail("more came than were sent")) };
            prop_assert_eq!(&sent.body, &message.body, "a group comes in order, from its head");
            prop_assert!(sent.out_until <= now, "nothing comes while it is out");
            sent.receives += 1;
            prop_assert_eq!(sent.receives, message.receive_count);
            sent.out_until = now + Duration::from_secs(VISIBILITY);
            *place += 1;
            let (text, body) = (receipt_handle.clone(), message.body.clone());
            self.handles.push(Handle { text, group, body, receive: message.receive_count });
        }
        Ok(())
    }
}

fn open(clock: &MovableClock, path: &Path) -> Result<Sqs, TestCaseError> {
    Sqs::open(clock.clone(), Some(path.to_path_buf()), Lagging::default())
        .map_err(|error| TestCaseError::fail(format!("{error:#}")))
}

fn told(error: ApiError) -> TestCaseError {
    TestCaseError::fail(error.message)
}

fn play(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("journal");
    let clock = MovableClock::frozen(Timestamp::from_secs(1_795_000_000));
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let mut sqs = open(&clock, &path)?;
    let attributes = [("FifoQueue", "true".to_owned()), ("VisibilityTimeout", VISIBILITY.to_string())];
    sqs.ensure_queue(QUEUE, attributes.map(|(name, value)| (name.to_owned(), value)).into()).map_err(told)?;
    let mut model = Model::default();
    for (number, step) in steps.into_iter().enumerate() {
        let now = clock.now();
        match step {
            Step::Send { group, dedup_id } => {
                let body = format!("message {number}");
                let input = json!({
                    "QueueUrl": QUEUE, "MessageBody": body,
                    "MessageGroupId": group.to_string(), "MessageDeduplicationId": dedup_id.to_string(),
                });
                let answer = runtime.block_on(sqs.call("SendMessage", input.to_string().as_bytes())).map_err(told)?;
                let id = answer["MessageId"].as_str().unwrap_or_default().to_owned();
                let first = model.seen.get(&dedup_id).filter(|(at, _)| *at + DEDUP > now);
                if let Some((_, first)) = first {
                    prop_assert_eq!(first, &id, "a repeat is answered as the first was");
                } else {
                    model.seen.insert(dedup_id, (now, id));
                    let out_until = Timestamp::default();
                    model.groups.entry(group).or_default().push(Sent { body, receives: 0, out_until });
                }
            }
            Step::Receive { max } => {
                let (handed, _) = sqs.receive_now(QUEUE, max, None).map_err(told)?;
                model.receive(&handed, max, now)?;
            }
            Step::Delete { handle } if !model.handles.is_empty() => {
                let handle = handle.get(&model.handles).clone();
                let deleted = sqs.delete(QUEUE, Some(&handle.text));
                match model.held(&handle, now) {
                    Some((_, false)) => prop_assert!(deleted.is_err(), "a handle whose time is over deletes nothing"),
                    held => {
                        prop_assert!(deleted.is_ok());
                        if held.is_some() {
                            model.groups.entry(handle.group).or_default().retain(|sent| sent.body != handle.body);
                        }
                    }
                }
            }
            Step::Hide { handle, seconds } if !model.handles.is_empty() => {
                let handle = handle.get(&model.handles).clone();
                let timeout = Duration::from_secs(seconds);
                let changed = sqs.change_visibility(QUEUE, Some(&handle.text), timeout);
                match model.held(&handle, now) {
                    Some((sent, true)) => {
                        prop_assert!(changed.is_ok());
                        sent.out_until = now + timeout;
                    }
                    _ => prop_assert!(changed.is_err(), "only what is out can be hidden longer"),
                }
            }
            Step::Delete { .. } | Step::Hide { .. } => {}
            Step::Wait { seconds } => clock.advance(Duration::from_secs(seconds)),
            Step::Kill => {
                drop(sqs);
                sqs = open(&clock, &path)?;
            }
        }
    }
    clock.advance(Duration::from_secs(VISIBILITY * 2));
    let (left, _) = sqs.receive_now(QUEUE, usize::MAX, None).map_err(told)?;
    model.receive(&left, usize::MAX, clock.now())?;
    let sent: usize = model.groups.values().map(Vec::len).sum();
    prop_assert_eq!(left.len(), sent, "nothing is lost");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_fifo_queue_keeps_order_loses_nothing_and_delivers_once_at_a_time(steps in prop::collection::vec(step(), 1..120)) {
        play(steps)?;
    }
}
