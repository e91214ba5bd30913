//! Which messages open a window, begin a conversation, or are shown in none; and who a customer is after a change.

use domain::{UserId, WaId, Wamid};

use super::*;
use crate::tests::{message, text};

fn call(event: &str) -> Content {
    Content::Call { event: event.to_owned(), seconds: None }
}

#[test]
fn only_what_a_customer_does_opens_the_window() {
    let reaction = Content::Reaction { to: Wamid::new("wamid.1"), emoji: None };
    let preference = Content::Preference { value: "stop".to_owned(), category: None };
    let handover = Content::Handover { to_business: Some(true) };
    let revoke = Content::Revoke { original: Wamid::new("wamid.1") };
    let edit = Content::Edit { original: Wamid::new("wamid.1"), content: Box::new(text("hola")) };
    for (content, opens, begins) in [
        (text("hola"), true, true),
        (call("connect"), true, true),
        (call("permission accept"), true, true),
        (call("terminate completed"), false, false),
        // It belongs where the message it reacts to is.
        (reaction, true, false),
        (preference, false, false),
        (handover, false, false),
        (revoke, false, false),
        (edit, false, false),
    ] {
        let message = message(content);
        assert_eq!((opens_window(&message), begins_conversation(&message)), (opens, begins), "{:?}", message.content);
    }
    let echo = Message { author: Author::Business, ..message(text("hola")) };
    let overheard = Message { standby: true, ..message(text("hola")) };
    assert!(!opens_window(&echo) && !opens_window(&overheard));
}

#[test]
fn a_call_is_shown_once_it_is_over() {
    for (event, silent) in [("connect", true), ("terminate completed", false), ("rejected", false), ("missed", false)] {
        assert_eq!(is_silent(&message(call(event))), silent, "{event}");
    }
    assert!(!is_silent(&message(text("connect"))));
}

#[test]
fn a_new_number_ends_the_old_user_id_and_a_new_user_id_keeps_the_number() {
    let id = |user: Option<&str>, phone: Option<&str>| Identity {
        user_id: user.map(UserId::new),
        phone: phone.map(WaId::new),
        ..Identity::default()
    };
    let old = id(Some("MX.1"), Some("5215555550123"));
    assert_eq!(renewed(&old, &id(None, Some("5215555550199"))), id(None, Some("5215555550199")));
    assert_eq!(renewed(&old, &id(Some("MX.2"), None)), id(Some("MX.2"), Some("5215555550123")));
    let both = id(Some("MX.2"), Some("5215555550199"));
    assert_eq!(renewed(&old, &both), both);
}
