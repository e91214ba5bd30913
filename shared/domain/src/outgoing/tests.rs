//! A message with its parts, from the first sight to the last status.

mod properties;

use std::time::Duration;

use super::*;
use crate::Delivery;

const NOW: Timestamp = Timestamp::from_secs(1_795_190_400);

fn accepted(wamid: &str, delivery: Delivery) -> Part {
    Part::Accepted { attempt: 1, wamid: Wamid::new(wamid), delivery }
}

fn message(parts: Vec<Part>, shown: DisplayedStatus) -> Outgoing {
    Outgoing { parts, shown, kind: MessageKind::Plain, ..Outgoing::new(NOW, 1) }
}

#[test]
fn a_message_is_as_far_as_its_slowest_part() {
    let message =
        message(vec![accepted("a", Delivery::Read), accepted("b", Delivery::Delivered)], DisplayedStatus::Sent);
    assert_eq!(message.outcome(), Outcome::Out(DisplayedStatus::Delivered));
}

#[test]
fn what_is_known_to_be_a_template_goes_out_by_itself_only_while_it_is_young_and_untried() {
    let failed =
        |attempt, failure| message(vec![Part::Failed { attempt, failure }, Part::Planned], DisplayedStatus::Failed);
    let lost = SendFailure::Template { fault: Fault::Lost };
    for (before, young, goes) in [
        (message(vec![Part::Planned, Part::Planned], DisplayedStatus::Sent), false, true),
        (failed(0, SendFailure::Template { fault: Fault::Untold }), true, true),
        (failed(0, lost), true, true),
        (failed(0, lost), false, false),
        (failed(0, SendFailure::WindowClosed), true, true),
        (failed(0, SendFailure::WindowClosed), false, false),
        (failed(0, SendFailure::SeenTooLate), true, false),
        (failed(1, SendFailure::WindowClosed), true, false),
    ] {
        let mut after = before.clone();
        after.set_picked(young).unwrap();
        assert_eq!(after.next_part().is_some(), goes, "{before:?} {young}");
        assert_eq!(after.kind == MessageKind::Template, before.is_untried(), "{before:?} {young}");
        assert!(!before.is_untried() || after.parts.len() == 1, "{before:?} {young}");
    }
}

#[test]
fn what_is_known_to_be_words_after_all_goes_out_while_it_is_young() {
    let untold = Part::Failed { attempt: 0, failure: SendFailure::Template { fault: Fault::Untold } };
    let message = message(vec![untold, Part::Planned], DisplayedStatus::Failed);
    for (young, goes) in [(true, Some(0)), (false, None)] {
        let mut sorted = message.clone();
        sorted.set_plain(young).unwrap();
        assert_eq!(sorted.next_part(), goes);
    }
}

#[test]
fn retry_sends_only_what_was_not_sent() {
    let failed = Part::Failed { attempt: 2, failure: SendFailure::WindowClosed };
    let mut message = message(vec![accepted("a", Delivery::Sent), failed, Part::Planned], DisplayedStatus::Failed);
    assert_eq!(message.next_part(), None);
    message.retry(NOW).unwrap();
    assert_eq!(message.next_part(), Some(1));
    assert_eq!(message.parts[1].attempt(), 2);
}

#[test]
fn a_file_that_cannot_be_had_stops_nothing_and_is_named() {
    let failed = Part::Failed { attempt: 0, failure: SendFailure::FileEmpty };
    let message = message(vec![failed.clone(), Part::Planned], DisplayedStatus::Sent);
    assert_eq!((message.next_part(), message.pending_status()), (Some(1), None));
    let mut apart = self::message(vec![Part::Planned, Part::Planned], DisplayedStatus::Sent);
    apart.apply(0, PartEvent::Failed { attempt: 0, failure: SendFailure::FileEmpty, captioned: true }).unwrap();
    assert_eq!((apart.next_part(), apart.parts.len()), (Some(2), 3));
    apart.parts[2] = accepted("a", Delivery::Sent);
    assert_eq!(apart.next_part(), Some(1));
    apart.parts[1] = failed;
    assert_eq!(apart.next_part(), None);
    assert_eq!(apart.failures().map(|(at, _)| at).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(apart.stopping_failure(), None);
    apart.retry(NOW).unwrap();
    assert_eq!(apart.next_part(), Some(0));
    let stopped = self::message(vec![Part::Uncertain { attempt: 1 }, Part::Planned], DisplayedStatus::Sent);
    assert_eq!(stopped.next_part(), None);
}

#[test]
fn a_listing_from_before_the_mark_is_no_retry() {
    let message = message(vec![Part::Uncertain { attempt: 1 }], DisplayedStatus::Failed);
    let later = NOW + Duration::from_millis(1);
    assert!(!message.is_retried(true, false, NOW));
    assert!(!message.is_retried(false, false, later));
    assert!(message.is_retried(true, false, later));
}

#[test]
fn a_tag_that_stood_and_is_gone_tells_of_a_retry() {
    let later = NOW + Duration::from_millis(1);
    let tagged = |tag| Outgoing { tag, ..message(vec![Part::Uncertain { attempt: 1 }], DisplayedStatus::Failed) };
    for never in [None, Some(Tag::Put(1)), Some(Tag::Refused)] {
        assert!(!tagged(never).is_retried(false, false, later), "{never:?}");
    }
    let stands = tagged(Some(Tag::Stands));
    assert!(!stands.is_retried(false, true, later) && !stands.is_retried(false, false, NOW));
    assert!(stands.is_retried(false, false, later));
    let mut retried = stands;
    retried.retry(NOW).unwrap();
    assert_eq!(retried.tag, None);
}

#[test]
fn what_was_never_shown_as_failed_cannot_be_retried() {
    let message = message(vec![Part::Uncertain { attempt: 1 }], DisplayedStatus::Sent);
    assert!(!message.is_retried(true, false, NOW + Duration::from_secs(1)));
    assert!(message.pending_status().is_some());
}

fn reported(part: &Part, attempt: u32, wamid: &str, delivery: Delivery) -> Part {
    let event = PartEvent::Reported { attempt: Some(attempt), wamid: Wamid::new(wamid), delivery };
    part.after(&event).unwrap()
}

#[test]
fn a_status_settles_what_was_uncertain() {
    let settled = reported(&Part::Uncertain { attempt: 3 }, 3, "w", Delivery::Delivered);
    assert_eq!(settled, Part::Accepted { attempt: 3, wamid: Wamid::new("w"), delivery: Delivery::Delivered });
}

#[test]
fn a_status_of_an_older_call_does_not_touch_the_newer_message() {
    let newer = accepted("new", Delivery::Sent);
    assert_eq!(reported(&newer, 1, "old", Delivery::Read), newer);
}

#[test]
fn the_failure_of_a_call_that_is_being_repeated_changes_nothing() {
    let failed = Delivery::failed(131_026);
    let waiting = Part::Waiting { attempt: 1, since: NOW, awaited: Awaited::Meta };
    assert_eq!(reported(&waiting, 1, "old", failed), waiting);
    let sending = Part::Sending { attempt: 2, since: None };
    assert_eq!(reported(&sending, 1, "old", failed), sending);
    assert_ne!(reported(&sending, 2, "new", failed), sending);
    for settled in [Part::Uncertain { attempt: 2 }, Part::Failed { attempt: 2, failure: SendFailure::Unreachable }] {
        assert_eq!(reported(&settled, 1, "old", failed), settled);
    }
}

#[test]
fn what_reached_the_customer_did_whatever_failed_after_it() {
    let failed = accepted("new", Delivery::failed(131_026));
    assert_eq!(reported(&failed, 1, "old", Delivery::Delivered).displayed(), DisplayedStatus::Delivered);
    assert_eq!(reported(&failed, 1, "old", Delivery::failed(1)), failed);
}

#[test]
fn only_what_is_open_is_reserved_and_only_under_the_next_number() {
    let waiting = Part::Waiting { attempt: 1, since: NOW, awaited: Awaited::File };
    let reserved = |part: &Part, attempt| {
        let mut message = message(vec![part.clone()], DisplayedStatus::Sent);
        let done = message.apply(0, PartEvent::Reserved { attempt, file: None });
        done.map(|()| message.parts[0].clone())
    };
    assert_eq!(reserved(&Part::Planned, 1), Ok(Part::Sending { attempt: 1, since: None }));
    assert_eq!(reserved(&waiting, 2), Ok(Part::Sending { attempt: 2, since: Some(NOW) }));
    assert_eq!(reserved(&waiting, 1), Err(InvalidTransition));
    let failed = Part::Failed { attempt: 1, failure: SendFailure::Unreachable };
    for settled in [
        Part::Sending { attempt: 1, since: None },
        Part::Uncertain { attempt: 1 },
        failed,
        accepted("w", Delivery::Accepted),
    ] {
        assert_eq!(reserved(&settled, 2), Err(InvalidTransition), "{settled:?}");
    }
    let mut later = message(vec![Part::Planned, Part::Planned], DisplayedStatus::Sent);
    assert_eq!(later.apply(1, PartEvent::Reserved { attempt: 1, file: None }), Err(InvalidTransition), "out of turn");
    for (awaited, may_go) in [(Awaited::File, true), (Awaited::Upload, false), (Awaited::Meta, false)] {
        let before = Part::Waiting { attempt: 1, since: NOW, awaited };
        let mut behind = message(vec![before, Part::Planned], DisplayedStatus::Sent);
        assert_eq!((behind.next_part(), behind.next_part_beyond(&[0])), (Some(0), Some(1)));
        let reserved = behind.apply(1, PartEvent::Reserved { attempt: 1, file: None });
        assert_eq!(reserved.is_ok(), may_go, "{awaited:?}");
    }
    assert_eq!(later.apply(2, PartEvent::Reopened), Err(InvalidTransition), "no such part");
}

#[test]
fn a_call_that_was_not_made_leaves_its_part_as_it_was() {
    let before = Part::Waiting { attempt: 1, since: NOW, awaited: Awaited::File };
    let mut message = message(vec![before.clone()], DisplayedStatus::Sent);
    message.apply(0, PartEvent::Reserved { attempt: 2, file: None }).unwrap();
    message.apply(0, PartEvent::Released { attempt: 2, before: before.clone() }).unwrap();
    assert_eq!(message.parts, std::slice::from_ref(&before));
    assert_eq!(message.apply(0, PartEvent::Released { attempt: 2, before }), Err(InvalidTransition));
}

#[test]
fn the_answer_to_an_older_call_touches_no_newer_one() {
    let mut message = message(vec![Part::Sending { attempt: 2, since: None }], DisplayedStatus::Sent);
    for stale in [
        PartEvent::Deferred { attempt: 1, awaited: Awaited::Meta, at: NOW },
        PartEvent::Failed { attempt: 1, failure: SendFailure::Unreachable, captioned: false },
        PartEvent::Unanswered { attempt: 1 },
    ] {
        assert_eq!(message.apply(0, stale.clone()), Err(InvalidTransition), "{stale:?}");
    }
    message.apply(0, PartEvent::Unanswered { attempt: 2 }).unwrap();
    assert_eq!(message.parts, [Part::Uncertain { attempt: 2 }]);
}

#[test]
fn a_message_given_up_during_its_call_may_have_been_sent() {
    let mut called = message(vec![Part::Sending { attempt: 1, since: None }], DisplayedStatus::Sent);
    called.give_up(SendFailure::Unworkable).unwrap();
    assert_eq!(called.parts, [Part::Uncertain { attempt: 1 }]);
    let mut open = message(vec![accepted("a", Delivery::Sent), Part::Planned], DisplayedStatus::Sent);
    open.give_up(SendFailure::Unworkable).unwrap();
    assert_eq!(open.parts[1], Part::Failed { attempt: 0, failure: SendFailure::Unworkable });
}

#[test]
fn it_is_stored_as_ever() {
    let stored = r#"{"asked_at":1795190400000,"quote":"q","crashes":2,"corrections":1,"kind":"template","parts":[{"state":"planned"},{"state":"sending","attempt":1,"since":5},{"state":"waiting","attempt":1,"since":5,"awaited":"file"},{"state":"accepted","attempt":1,"wamid":"w","delivery":{"state":"sent"}},{"state":"failed","attempt":1,"failure":{"why":"window_closed"}},{"state":"uncertain","attempt":1}],"caption_apart":true,"files":[{"part":2,"captioned":true,"way":{"way":"linked_type"}}],"shown":"failed","shown_at":1795190400001,"tag":{"put":2}}"#;
    let message: Outgoing = serde_json::from_str(stored).unwrap();
    assert_eq!(serde_json::to_string(&message).unwrap(), stored);
    let new = r#"{"asked_at":1795190400000,"crashes":0,"kind":"unsorted","parts":[{"state":"planned"}],"caption_apart":false,"shown":"sent","shown_at":1795190400000}"#;
    assert_eq!(serde_json::to_string(&Outgoing::new(NOW, 1)).unwrap(), new);
}
