//! What an agent reads: a domain message becomes Chatwoot text, in the agents' language.

use domain::{
    Author, Content, Locale, Message, Wamid,
    message::{Card, Location, Media, OrderLine},
    words::Line,
};

/// Chatwoot's limit is 150,000 characters (§5).
const LIMIT: usize = 149_000;

/// A message as it is to stand in Chatwoot.
#[derive(Clone, Debug, PartialEq)]
pub struct Rendered<'m> {
    /// The text, perhaps empty beside a file.
    pub text: String,
    /// The file, still to be fetched.
    pub file: Option<&'m Media>,
    /// The message it points to.
    pub quote: Option<&'m Wamid>,
}

/// Puts a message into words.
pub fn render(message: &Message, locale: Locale) -> Rendered<'_> {
    let mut rendered = content(&message.content, locale);
    rendered.quote = rendered.quote.or(message.reply_to.as_ref());
    let mut text = std::mem::take(&mut rendered.text);
    if message.forwarded {
        text = join(&Line::Forwarded.say(locale), &text);
    }
    if message.customer.group.is_some() {
        let speaker = message.name.as_deref().or(message.username.as_deref()).unwrap_or("?");
        text = format!("{speaker}: {text}");
    }
    if message.author == Author::Business {
        text = without_liquid(&text);
    }
    rendered.text = text.chars().filter(|c| *c != '\0').take(LIMIT).collect();
    rendered
}

/// The text when a line has to stand for the file.
pub fn instead_of_file(rendered: &Rendered<'_>, line: Line<'_>, locale: Locale) -> String {
    join(&rendered.text, &line.say(locale))
}

/// The text when the message it points to is unknown to Chatwoot.
pub fn with_lost_quote(text: &str, locale: Locale) -> String {
    join(&format!("↩️ {}", Line::InReplyTo.say(locale)), text)
}

fn content(content: &Content, locale: Locale) -> Rendered<'_> {
    let plain = |text: String| Rendered { text, file: None, quote: None };
    match content {
        Content::Text { body } => plain(body.clone()),
        Content::Media { media, caption } => {
            Rendered { text: caption.clone().unwrap_or_default(), file: Some(media), quote: None }
        }
        Content::Location(place) => plain(location(place, locale)),
        Content::Contacts { cards } => plain(cards.iter().map(|c| card(c, locale)).collect::<Vec<_>>().join("\n\n")),
        Content::Choice { title, .. } => plain(format!("{}: {title}", Line::Choice.say(locale))),
        Content::Form { fields } => plain(form(fields, locale)),
        Content::Reaction { to, emoji } => {
            let line = emoji.as_deref().map_or(Line::ReactionRemoved, Line::Reaction);
            Rendered { text: line.say(locale), file: None, quote: Some(to) }
        }
        Content::Order { text, lines } => plain(order(text.as_deref(), lines, locale)),
        Content::Edit { original, content: new } => {
            let new = self::content(new, locale);
            let text = join(&Line::Edited.say(locale), &new.text);
            Rendered { text, file: new.file, quote: Some(original) }
        }
        Content::Revoke { original } => Rendered { text: Line::Revoked.say(locale), file: None, quote: Some(original) },
        Content::Moved { .. } => plain(Line::Moved.say(locale)),
        Content::Call { event } => plain(Line::Call(event).say(locale)),
        Content::Preference { value } => plain(Line::Preference(value).say(locale)),
        Content::Unsupported { code: Some(131_052), .. } => plain(Line::MediaUndeliverable.say(locale)),
        Content::Unsupported { what, code } => {
            let code = code.map(|code| format!(", {code}")).unwrap_or_default();
            plain(format!("{} ({what}{code})", Line::Unsupported.say(locale)))
        }
    }
}

fn location(place: &Location, locale: Locale) -> String {
    let map = format!("https://maps.google.com/?q={},{}", place.latitude, place.longitude);
    let lines = [place.name.as_ref(), place.address.as_ref(), Some(&map), place.url.as_ref()];
    let lines: Vec<&str> = lines.into_iter().flatten().map(String::as_str).collect();
    format!("{}\n{}", Line::Location.say(locale), lines.join("\n"))
}

fn card(card: &Card, locale: Locale) -> String {
    let mut lines = vec![format!("{}: {}", Line::Contact.say(locale), card.name.as_deref().unwrap_or("–"))];
    lines.extend(card.company.iter().cloned());
    lines.extend(card.phones.iter().cloned());
    lines.extend(card.emails.iter().cloned());
    lines.join("\n")
}

fn form(fields: &[(String, String)], locale: Locale) -> String {
    let lines =
        fields.iter().map(|(name, value)| if name.is_empty() { value.clone() } else { format!("{name}: {value}") });
    std::iter::once(Line::Form.say(locale)).chain(lines).collect::<Vec<_>>().join("\n")
}

fn order(text: Option<&str>, lines: &[OrderLine], locale: Locale) -> String {
    let mut out = vec![Line::Order.say(locale)];
    out.extend(
        lines.iter().map(|line| format!("{} × {} — {:.2} {}", line.quantity, line.product, line.price, line.currency)),
    );
    if let Some(first) = lines.first().filter(|first| lines.iter().all(|line| line.currency == first.currency)) {
        #[expect(clippy::cast_precision_loss, reason = "a cart's quantities are small")]
        let total: f64 = lines.iter().map(|line| line.price * line.quantity as f64).sum();
        out.push(format!("Total: {total:.2} {}", first.currency));
    }
    out.extend(text.map(str::to_owned));
    out.join("\n")
}

/// Chatwoot renders outgoing texts as Liquid templates (§3.4); a zero-width space keeps an echo's braces what they are.
fn without_liquid(text: &str) -> String {
    text.replace("{{", "{\u{200b}{").replace("{%", "{\u{200b}%")
}

fn join(first: &str, second: &str) -> String {
    match (first.is_empty(), second.is_empty()) {
        (_, true) => first.to_owned(),
        (true, _) => second.to_owned(),
        _ => format!("{first}\n{second}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(content: &Content) -> String {
        self::content(content, Locale::Es).text
    }

    #[test]
    fn every_kind_is_readable() {
        let place =
            Location { latitude: 19.43, longitude: -99.13, name: Some("Taller".into()), address: None, url: None };
        assert_eq!(words(&Content::Location(place)), "📍 Ubicación\nTaller\nhttps://maps.google.com/?q=19.43,-99.13");
        let line = OrderLine { product: "RX150".into(), quantity: 2, price: 1000.0, currency: "MXN".into() };
        assert_eq!(
            words(&Content::Order { text: None, lines: vec![line] }),
            "🛒 Pedido\n2 × RX150 — 1000.00 MXN\nTotal: 2000.00 MXN"
        );
        let unsupported = Content::Unsupported { what: "poll_creation".into(), code: Some(131_051) };
        assert_eq!(
            words(&unsupported),
            "⚠️ Mensaje que WhatsApp no muestra aquí; míralo en el teléfono (poll_creation, 131051)"
        );
    }

    #[test]
    fn an_echos_braces_stay_what_they_are() {
        assert_eq!(without_liquid("{{contact.name}} {% if %}").replace('\u{200b}', "|"), "{|{contact.name}} {|% if %}");
    }
}
