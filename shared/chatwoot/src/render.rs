//! Renders a domain message as Markdown for Chatwoot, in the agents' language.

mod kinds;

use domain::{
    Author, Content, Message, Wamid,
    message::{Card, Media},
};
use texts::{Locale, NoteText, inbound::InboundText};

/// Chatwoot's limit is 150,000 characters (§5).
const MAX_MESSAGE_LENGTH: usize = 149_000;

/// A message as it will appear in Chatwoot.
#[derive(Clone, Debug, PartialEq)]
pub struct Rendered<'m> {
    /// The text, perhaps empty beside a file.
    pub text: String,
    /// The file, still to be fetched.
    pub file: Option<&'m Media>,
    /// Address cards, to go along as a vCard file.
    pub cards: &'m [Card],
    /// The message it points to.
    pub quote: Option<&'m Wamid>,
    /// Whether it is for the agents only: something about the customer, not by the customer. It must not look as if the
    /// customer had written it: Chatwoot would open its own reply window.
    pub note: bool,
    /// Whether it is a system line, which hides no message in the list of conversations.
    pub line: bool,
}

/// Renders a message as text.
pub fn render(message: &Message, locale: Locale) -> Rendered<'_> {
    let mut rendered = kinds::content(message, &message.content, locale);
    rendered.quote = rendered.quote.or(message.reply_to.as_ref());
    let mut text = std::mem::take(&mut rendered.text);
    if rendered.file.is_none() && text.chars().all(domain::name::is_invisible) {
        text = InboundText::Blank.text(locale);
    }
    if let Some(product) = &message.product {
        text = join(&InboundText::Product(&plain(&product.id)).text(locale), &text);
    }
    if message.forwarded {
        text = join(&InboundText::Forwarded { often: message.forwarded_often }.text(locale), &text);
    }
    if let Some(referral) = &message.referral {
        text = join_apart(&text, &kinds::advert(referral, locale));
    }
    if message.customer.group.is_some() && !rendered.note {
        text = spoken(message, &text);
    }
    if message.standby && !rendered.note {
        text = join(&InboundText::Standby(message.author).text(locale), &text);
        rendered.note = true;
    }
    if message.author == Author::Business || rendered.note {
        text = without_liquid(&text);
    }
    rendered.text = text.chars().filter(|c| *c != '\0').take(MAX_MESSAGE_LENGTH).collect();
    rendered
}

/// A message of which nothing is shown: its writer deleted it.
pub fn blank(message: &Message) -> Message {
    Message {
        content: Content::Text { body: "🗑️".to_owned() },
        reply_to: None,
        forwarded: false,
        referral: None,
        product: None,
        ..message.clone()
    }
}

/// The text when a line has to stand for the file.
pub fn instead_of_file(rendered: &Rendered<'_>, line: NoteText, locale: Locale) -> String {
    join(&rendered.text, &line.text(locale))
}

/// The text when the message it refers to is unknown to Chatwoot.
pub fn with_lost_quote(message: &Message, text: &str, locale: Locale) -> String {
    let line = match message.content {
        Content::Reaction { .. } | Content::Edit { .. } | Content::Revoke { .. } => NoteText::AboutAnother,
        _ => NoteText::InReplyTo,
    };
    join(&format!("↩️ {}", line.text(locale)), text)
}

/// In a group each message names its speaker.
fn spoken(message: &Message, text: &str) -> String {
    let phone = message.speaker.as_ref().and_then(domain::WaId::e164);
    let names = [message.name.as_deref(), message.username.as_deref(), phone.as_deref()];
    let speaker = plain(names.into_iter().flatten().next().unwrap_or("?"));
    match text {
        "" => format!("{speaker}:"),
        // A list or a quote needs a line of its own.
        text if text.contains('\n') || text.starts_with(|c: char| "->`".contains(c) || c.is_ascii_digit()) => {
            format!("{speaker}:\n{text}")
        }
        text => format!("{speaker}: {text}"),
    }
}

/// Text in which nothing is a mark, within a line.
fn plain(text: &str) -> String {
    markup::literal_line(text)
}

/// Chatwoot renders messages that are not the customer's as Liquid templates (§3.4); a zero-width space keeps braces literal.
pub fn without_liquid(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        out.push(c);
        if c == '{' && matches!(chars.peek(), Some('{' | '%')) {
            out.push('\u{200b}');
        }
    }
    out
}

fn join(first: &str, second: &str) -> String {
    joined(first, "\n", second)
}

/// With an empty line between.
fn join_apart(first: &str, second: &str) -> String {
    joined(first, "\n\n", second)
}

fn joined(first: &str, by: &str, second: &str) -> String {
    match (first.is_empty(), second.is_empty()) {
        (_, true) => first.to_owned(),
        (true, _) => second.to_owned(),
        _ => format!("{first}{by}{second}"),
    }
}

/// Whether the message is an edit of one that Chatwoot shows with its file: then only the text is new.
pub fn is_new_caption(message: &Message) -> bool {
    matches!(&message.content, Content::Edit { content, .. } if matches!(**content, Content::Media { .. }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_echos_braces_stay_what_they_are() {
        let shown = |text: &str| without_liquid(text).replace('\u{200b}', "|");
        assert_eq!(shown("{{contact.name}} {% if %} {a}"), "{|{contact.name}} {|% if %} {a}");
        assert_eq!(shown("{{{{% {{%"), "{|{|{|{|% {|{|%");
    }

    proptest! {
        #[test]
        fn no_text_holds_liquid_after_that(text in "[{%a}]{0,12}") {
            let safe = without_liquid(&text);
            prop_assert!(["{{", "{%"].iter().all(|mark| !safe.contains(mark)), "{:?}", safe);
            prop_assert_eq!(safe.replace('\u{200b}', ""), text);
        }
    }
}
