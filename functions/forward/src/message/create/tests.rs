//! What is written beside a message's text, and what stands for a file that does not come.

use domain::message::MediaKind;

use super::*;
use crate::tests::{message, text};

fn written(message: &Message, quoted: Option<MessageId>) -> serde_json::Value {
    attributes(message, &render::render(message, texts::Locale::Es), quoted)
}

#[test]
fn attributes_say_when_it_was_written_and_what_it_answers() {
    let ana = message(text("hola"));
    assert_eq!(written(&ana, None), json!({ "external_created_at": ana.sent_at.as_secs() }));
    let answer = written(&ana, Some(MessageId(7)));
    assert_eq!(answer, json!({ "external_created_at": ana.sent_at.as_secs(), "in_reply_to": 7 }));
}

#[test]
fn an_echo_and_a_chat_of_meta_s_agent_are_marked() {
    let echo = Message { author: Author::Business, ..message(text("hola")) };
    assert_eq!(written(&echo, None)["external_echo"], json!(true));
    let overheard = Message { standby: true, ..message(text("hola")) };
    assert_eq!(written(&overheard, None)["standby"], json!(true));
}

#[test]
fn ids_of_choices_are_for_the_business_s_systems() {
    let content = Content::Choice { title: "Sí".to_owned(), id: Some("yes-1".to_owned()), description: None };
    let choice = message(content);
    assert_eq!(written(&choice, None)["choice_id"], json!("yes-1"));
    assert_eq!(ids(&text("yes-1")), None);
}

#[test]
fn a_message_without_an_id_of_meta_s_is_found_again_by_its_item() {
    let ana = message(text("hola"));
    assert_eq!(source_id(&ana), "wamid.ana-1");
    assert_eq!(source_id(&Message { id: None, ..ana }), "lmotos:item-1");
}

#[test]
fn a_line_for_a_file_that_will_not_come_promises_nothing() {
    let kind = MediaKind::Image;
    for (line, last) in [
        (NoteText::MediaLater(kind), NoteText::MediaMissing(kind)),
        (NoteText::MediaRefused(kind), NoteText::MediaNotTaken(kind)),
        (NoteText::MediaTooLarge(kind), NoteText::MediaTooLarge(kind)),
    ] {
        assert_eq!(last_word(line).text(texts::Locale::Es), last.text(texts::Locale::Es));
    }
}
