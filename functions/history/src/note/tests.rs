//! How the past reads.

use super::*;

const STYLE: Style = Style { locale: Locale::Es, utc_offset: -360, files_since: None };
const AT: i64 = 1_795_150_400;

fn said(id: &str, author: Author, minutes: i64, content: Content) -> PastMessage {
    PastMessage {
        id: Wamid::new(id),
        author,
        at: Timestamp::from_secs(AT + minutes * 60),
        timeless: false,
        state: None,
        reply_to: None,
        content,
    }
}

fn text(id: &str, author: Author, minutes: i64, body: &str) -> PastMessage {
    said(id, author, minutes, Content::Text { body: body.to_owned() })
}

fn rendered(messages: &[PastMessage]) -> Rendered {
    notes(&messages.iter().collect::<Vec<_>>(), STYLE)
}

fn body(messages: &[PastMessage]) -> String {
    let rendered = rendered(messages);
    assert_eq!(rendered.notes.len(), 1);
    rendered.notes[0].content.split_once("\n\n").unwrap().1.to_owned()
}

#[test]
fn a_slice_reads_like_the_chat_on_the_phone() {
    let mut answer = text("b", Author::Business, 2, "$24,999 de contado");
    answer.state = Some(domain::history::PastState::Read);
    answer.reply_to = Some(Wamid::new("a"));
    let placeholder = Content::Unsupported { what: "media_placeholder".to_owned(), code: None, words: None };
    let like = Content::Reaction { to: Wamid::new("b"), emoji: Some("👍".to_owned()) };
    let chat = [
        text("a", Author::Customer, 0, "Buenas, ¿precio de la *FT150*?"),
        answer,
        said("c", Author::Customer, 1440, placeholder),
        said("d", Author::Customer, 1441, like),
    ];
    let all = rendered(&chat);
    assert_eq!(
        all.notes[0].content,
        "**Historial de WhatsApp · 19 nov – 20 nov 2026**\n\
         _Copiado del celular de la tienda; las horas son las de la tienda (UTC−6)._\n\n\
         **jue 19 nov 2026**\n\
         22:53 **Cliente:** Buenas, ¿precio de la **FT150**?\n\
         22:55 **Tienda:** (responde a «Buenas, ¿precio de la \\*FT150\\*?») $24,999 de contado ✓✓ 👍\n\n\
         **vie 20 nov 2026**\n\
         22:53 **Cliente:** 📎 archivo (quedó en el celular)"
    );
    assert_eq!(all.notes[0].messages.len(), 4, "the reaction is counted with its message");
}

#[test]
fn what_was_deleted_is_not_written_and_what_was_changed_reads_as_changed() {
    let edit =
        Content::Edit { original: Wamid::new("b"), content: Box::new(Content::Text { body: "nuevo".to_owned() }) };
    let elsewhere = Content::Revoke { original: Wamid::new("z") };
    let chat = [
        text("a", Author::Customer, 0, "secreto"),
        text("b", Author::Customer, 1, "viejo"),
        said("c", Author::Customer, 2, Content::Revoke { original: Wamid::new("a") }),
        said("d", Author::Customer, 3, edit),
        said("e", Author::Customer, 4, elsewhere),
    ];
    let all = rendered(&chat);
    let note = &all.notes[0].content;
    assert!(!note.contains("secreto") && !note.contains("viejo"), "{note}");
    assert!(note.contains("🗑️ mensaje eliminado") && note.contains("nuevo (editado)"), "{note}");
    assert_eq!((all.about_others, all.notes[0].messages.len()), (1, 4));
}

#[test]
fn hostile_texts_stand_as_they_were_written() {
    for (text_, shown) in [
        ("{{contact.name}} {% if %}", "{\u{200b}{contact.name}} {\u{200b}% if %}"),
        ("/help", "/help"),
        ("[@x](mention://user/1/x)", "\\[@x\\](mention://user/1/x)"),
    ] {
        let note = body(&[text("a", Author::Customer, 0, text_)]);
        assert!(note.contains(shown), "{note}");
    }
    // What follows a list or code is no part of it.
    let note = body(&[text("a", Author::Customer, 0, "- uno\n- dos"), text("b", Author::Customer, 1, "tres")]);
    assert!(note.contains("- dos\n\n"), "{note}");
}

#[test]
fn a_note_is_never_longer_than_an_agent_reads_and_nothing_is_lost() {
    let long = "palabra ".repeat(4_000);
    let mut chat = vec![text("long", Author::Customer, 0, &long)];
    chat.extend((1..90).map(|n| text(&n.to_string(), Author::Business, n, &"*x* ".repeat(100))));
    let all = rendered(&chat);
    assert!(all.notes.iter().all(|note| note.content.chars().count() <= MAX_NOTE));
    let words: usize = all.notes.iter().map(|note| note.content.matches("palabra").count()).sum();
    assert_eq!(words, 4_000);
    assert_eq!(all.notes.iter().map(|note| note.messages.len()).sum::<usize>(), 90);
    assert!(all.notes.windows(2).all(|pair| pair[0].newest <= pair[1].newest));
    assert!(all.notes[1].content.contains(&format!("parte 2 de {}", all.notes.len())));
}
