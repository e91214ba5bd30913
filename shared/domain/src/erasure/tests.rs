use proptest::prelude::*;

use super::*;

const NOON: Timestamp = Timestamp::from_secs(1_795_190_400);

fn deadlines() -> ErasureDeadlines {
    ErasureDeadlines { deletion_days: 30, warn_days: vec![7, 20, 27], confirm_hours: 24 }
}

fn open(source: RequestSource) -> Erasure {
    Erasure::open(ConfirmationCode::new("c"), source, NOON, NOON, &deadlines())
}

fn cleared(mut erasure: Erasure, now: Timestamp) -> Erasure {
    erasure = erasure.begin(now).unwrap();
    for place in DataLocation::ALL {
        erasure = erasure.clear(place, now).unwrap();
    }
    erasure
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Passes(u64),
    Confirm,
    Withdraw,
    Begin,
    Note(DataLocation, u64),
    Clear(DataLocation),
    Wait(DataLocation),
    Finish,
}

fn step() -> impl Strategy<Value = Step> {
    let place = || prop::sample::select(DataLocation::ALL.to_vec());
    prop_oneof![
        3 => (0..40 * 86_400_u64).prop_map(Step::Passes),
        2 => (0..3600_u64).prop_map(Step::Passes),
        1 => Just(Step::Confirm),
        1 => Just(Step::Withdraw),
        4 => Just(Step::Begin),
        2 => (place(), 0..9_u64).prop_map(|(place, found)| Step::Note(place, found)),
        6 => place().prop_map(Step::Clear),
        3 => place().prop_map(Step::Wait),
        3 => Just(Step::Finish),
    ]
}

fn source() -> impl Strategy<Value = RequestSource> {
    prop::sample::select(vec![
        RequestSource::Operator,
        RequestSource::Agent,
        RequestSource::Customer,
        RequestSource::Chatwoot,
        RequestSource::Meta,
        RequestSource::Retention,
    ])
}

proptest! {
    #[test]
    fn no_state_is_without_a_next_look_and_none_is_done_by_half(source in source(), steps in prop::collection::vec(step(), 0..60)) {
        let (mut erasure, mut now) = (open(source), NOON);
        for step in steps {
            let before = erasure.clone();
            let moved = match step {
                Step::Passes(seconds) => {
                    now = now + Duration::from_secs(seconds);
                    Ok(erasure.at(now))
                }
                Step::Confirm => erasure.confirm(now),
                Step::Withdraw => erasure.withdraw(now),
                Step::Begin => erasure.begin(now),
                Step::Note(place, found) => {
                    erasure.note(place, found);
                    Ok(erasure)
                }
                Step::Clear(place) => erasure.clear(place, now),
                Step::Wait(place) => erasure.wait(place, now),
                Step::Finish => erasure.finish(now),
            };
            erasure = moved.unwrap_or_else(|InvalidTransition| before.clone());
            prop_assert_eq!(erasure.wake_at().is_none(), erasure.is_closed());
            // No pause is longer than a quarter of an hour, or than until the time to withdraw is over.
            let longest = Duration::from_secs(86_400);
            prop_assert!(erasure.wake_at().is_none_or(|at| at <= now + longest));
            prop_assert!(!before.is_closed() || before.state == erasure.state, "{:?} became {:?}", before.state, erasure.state);
            if let ErasureState::Done { .. } = erasure.state {
                prop_assert_eq!(erasure.next_location(), None);
                prop_assert!(erasure.confirmed_at.is_some());
            }
            // Late is late in every state, and the daily check records it.
            if now >= erasure.due_at && !erasure.clone().at(now).is_closed() {
                prop_assert_eq!(erasure.public_state(now), Some(PublicState::Failed));
                let mut looked_at = erasure.clone();
                looked_at.note_breach(now);
                prop_assert!(looked_at.breached_at.is_some());
            }
            prop_assert!(before.breached_at.is_none() || erasure.breached_at == before.breached_at);
            let written = serde_json::to_string(&erasure).unwrap();
            prop_assert_eq!(serde_json::from_str::<Erasure>(&written).unwrap(), erasure.clone());
        }
    }
}

#[test]
fn an_agent_s_request_is_certain_after_a_day_and_a_customer_s_unless_confirmed_is_none() {
    let day = NOON + DAY;
    assert_eq!(open(RequestSource::Agent).at(day).state, ErasureState::Confirmed { wake_at: day });
    assert_eq!(open(RequestSource::Agent).at(day).confirmed_at, Some(day));
    assert_eq!(open(RequestSource::Customer).at(day).state, ErasureState::Withdrawn { at: day });
    assert!(open(RequestSource::Agent).at(day - Duration::from_secs(1)).withdraw(day).is_ok());
    assert_eq!(open(RequestSource::Operator).withdraw(NOON), Err(InvalidTransition));
    assert_eq!(open(RequestSource::Customer).begin(NOON), Err(InvalidTransition));
}

#[test]
fn a_place_is_waited_for_29_days_and_after_30_it_is_a_breach_that_stays_one() {
    let mut erasure = open(RequestSource::Operator).begin(NOON).unwrap();
    for hours in 0..29 * 24 {
        erasure = erasure.wait(DataLocation::Chatwoot, NOON + Duration::from_secs(hours * 3600)).unwrap();
    }
    let late = NOON + DAY * 29;
    assert_eq!((erasure.public_state(late), erasure.days_left(late)), (Some(PublicState::Waiting), 1));
    let in_time = cleared(erasure.clone(), late).finish(late).unwrap();
    assert_eq!((in_time.breached_at, in_time.public_state(late)), (None, Some(PublicState::Done)));

    let later = NOON + DAY * 31;
    let failed = erasure.begin(later).unwrap().wait(DataLocation::Chatwoot, later).unwrap();
    assert!(matches!(failed.state, ErasureState::Failed { since: NOON, .. }));
    assert_eq!((failed.public_state(later), failed.days_left(later)), (Some(PublicState::Failed), 0));
    let done = cleared(failed, later).finish(later).unwrap();
    assert_eq!((done.breached_at, done.public_state(later)), (Some(NOON + DAY * 30), Some(PublicState::Done)));
}

#[test]
fn the_time_to_confirm_begins_with_the_question_and_the_promise_with_the_request() {
    let late = NOON + DAY * 2;
    let asked = Erasure::open(ConfirmationCode::new("c"), RequestSource::Customer, NOON, late, &deadlines());
    assert_eq!((asked.state, asked.due_at), (ErasureState::Received { until: late + DAY }, NOON + DAY * 30));
    let again = late + Duration::from_secs(3600);
    assert_eq!(asked.question(again, &deadlines()).state, ErasureState::Received { until: again + DAY });
    assert_eq!(open(RequestSource::Agent).question(again, &deadlines()), open(RequestSource::Agent));
}

#[test]
fn the_operator_is_warned_on_each_day_once() {
    let mut erasure = open(RequestSource::Operator);
    let warned: Vec<u32> = (0..40).flat_map(|day| erasure.warn(NOON + DAY * day, &deadlines())).collect();
    assert_eq!(warned, [7, 20, 27]);
    assert_eq!(open(RequestSource::Operator).warn(NOON + DAY * 29, &deadlines()), [7, 20, 27]);
}

#[test]
fn what_was_found_is_not_forgotten_by_a_second_look() {
    let mut erasure = open(RequestSource::Operator).begin(NOON).unwrap();
    erasure.note(DataLocation::Table, 7);
    erasure.note(DataLocation::Table, 2);
    assert_eq!(erasure.clear(DataLocation::Table, NOON).unwrap().cleared[&DataLocation::Table].found, 7);
}

#[test]
fn what_time_asked_for_is_withdrawn_until_something_is_erased_and_what_a_person_asked_for_is_not() {
    let begun = |source| open(source).begin(NOON).unwrap();
    let queues = |erasure: Erasure| {
        let inbound = erasure.clear(DataLocation::InboundQueue, NOON).unwrap();
        inbound.clear(DataLocation::OutboundQueue, NOON).unwrap()
    };
    assert_eq!(
        queues(begun(RequestSource::Retention)).withdraw(NOON).unwrap().state,
        ErasureState::Withdrawn { at: NOON }
    );
    let waiting = queues(begun(RequestSource::Retention)).wait(DataLocation::DeadLetters, NOON).unwrap();
    assert!(waiting.clone().withdraw(NOON).is_ok());
    assert_eq!(waiting.clear(DataLocation::DeadLetters, NOON).unwrap().withdraw(NOON), Err(InvalidTransition));
    assert_eq!(queues(begun(RequestSource::Operator)).withdraw(NOON), Err(InvalidTransition));
    let done = cleared(open(RequestSource::Retention), NOON).finish(NOON).unwrap();
    assert_eq!(done.withdraw(NOON), Err(InvalidTransition));
}
