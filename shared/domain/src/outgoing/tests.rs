//! A message with its parts, from the first sight to the last status.

use std::time::Duration;

use super::*;

const NOW: Timestamp = Timestamp::from_secs(1_795_190_400);

fn accepted(wamid: &str, delivery: Delivery) -> Part {
    Part::Accepted { attempt: 1, wamid: Wamid::new(wamid), delivery }
}

fn message(parts: Vec<Part>, shown: DisplayedStatus) -> Outgoing {
    Outgoing { parts, shown, nature: MessageKind::Plain, ..Outgoing::new(NOW, 1) }
}

#[test]
fn a_message_is_as_far_as_its_slowest_part() {
    let message =
        message(vec![accepted("a", Delivery::Read), accepted("b", Delivery::Delivered)], DisplayedStatus::Sent);
    assert_eq!(message.outcome(), Outcome::Out(DisplayedStatus::Delivered));
}

#[test]
fn what_is_known_to_be_a_template_goes_out_by_itself_only_while_it_is_young_and_untried() {
    let failed = |attempt, trouble| {
        message(vec![Part::Failed { attempt, failure: trouble }, Part::Planned], DisplayedStatus::Failed)
    };
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
        let after = before.clone().picked(young);
        assert_eq!(after.next_part().is_some(), goes, "{before:?} {young}");
        assert_eq!(after.nature == MessageKind::Template, before.is_untried(), "{before:?} {young}");
        assert!(!before.is_untried() || after.parts.len() == 1, "{before:?} {young}");
    }
}

#[test]
fn what_is_known_to_be_words_after_all_goes_out_while_it_is_young() {
    let untold = Part::Failed { attempt: 0, failure: SendFailure::Template { fault: Fault::Untold } };
    let message = message(vec![untold, Part::Planned], DisplayedStatus::Failed);
    assert_eq!(message.clone().plain(true).next_part(), Some(0));
    assert_eq!(message.plain(false).next_part(), None);
}

#[test]
fn retry_sends_only_what_was_not_sent() {
    let failed = Part::Failed { attempt: 2, failure: SendFailure::WindowClosed };
    let message = message(vec![accepted("a", Delivery::Sent), failed, Part::Planned], DisplayedStatus::Failed);
    assert_eq!(message.next_part(), None);
    let retried = message.retried(NOW);
    assert_eq!(retried.next_part(), Some(1));
    assert_eq!(retried.parts[1].attempt(), 2);
}

#[test]
fn a_file_that_cannot_be_had_stops_nothing_and_is_named() {
    let failed = Part::Failed { attempt: 0, failure: SendFailure::FileEmpty };
    let message = message(vec![failed.clone(), Part::Planned], DisplayedStatus::Sent);
    assert_eq!((message.next_part(), message.pending_status()), (Some(1), None));
    let mut apart = message.with_words_apart();
    assert_eq!((apart.next_part(), apart.parts.len()), (Some(2), 3));
    apart.parts[2] = accepted("a", Delivery::Sent);
    assert_eq!(apart.next_part(), Some(1));
    apart.parts[1] = failed;
    assert_eq!(apart.next_part(), None);
    assert_eq!(apart.failures().map(|(at, _)| at).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(apart.stopping_failure(), None);
    assert_eq!(apart.retried(NOW).next_part(), Some(0));
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
    assert_eq!(stands.retried(NOW).tag, None);
}

#[test]
fn what_was_never_shown_as_failed_cannot_be_retried() {
    let message = message(vec![Part::Uncertain { attempt: 1 }], DisplayedStatus::Sent);
    assert!(!message.is_retried(true, false, NOW + Duration::from_secs(1)));
    assert!(message.pending_status().is_some());
}

#[test]
fn a_status_settles_what_was_uncertain() {
    let settled = Part::Uncertain { attempt: 3 }.apply_status(Some(3), &Wamid::new("w"), Delivery::Delivered);
    assert_eq!(settled, Part::Accepted { attempt: 3, wamid: Wamid::new("w"), delivery: Delivery::Delivered });
}

#[test]
fn a_status_of_an_older_call_does_not_touch_the_newer_message() {
    let newer = accepted("new", Delivery::Sent);
    assert_eq!(newer.apply_status(Some(1), &Wamid::new("old"), Delivery::Read), newer);
}

#[test]
fn the_failure_of_a_call_that_is_being_repeated_changes_nothing() {
    let failed = Delivery::failed(131_026);
    let waiting = Part::Waiting { attempt: 1, since: NOW, awaited: Awaited::Meta };
    assert_eq!(waiting.apply_status(Some(1), &Wamid::new("old"), failed), waiting);
    let sending = Part::Sending { attempt: 2, since: None };
    assert_eq!(sending.apply_status(Some(1), &Wamid::new("old"), failed), sending);
    assert_ne!(sending.apply_status(Some(2), &Wamid::new("new"), failed), sending);
    for settled in [Part::Uncertain { attempt: 2 }, Part::Failed { attempt: 2, failure: SendFailure::Unreachable }] {
        assert_eq!(settled.apply_status(Some(1), &Wamid::new("old"), failed), settled);
    }
}

#[test]
fn what_reached_the_customer_did_whatever_failed_after_it() {
    let failed = accepted("new", Delivery::failed(131_026));
    assert_eq!(
        failed.apply_status(Some(1), &Wamid::new("old"), Delivery::Delivered).mark(),
        DisplayedStatus::Delivered
    );
    assert_eq!(failed.apply_status(Some(1), &Wamid::new("old"), Delivery::failed(1)), failed);
}
