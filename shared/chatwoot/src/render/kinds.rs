//! Renders each kind of content.

use domain::{
    Content, Identity, Message, WaId,
    message::{Answer, Call, Card, Location, OrderLine, Referral},
};
use texts::{
    Locale,
    inbound::{InboundText, ProfileChange, UnsupportedText},
};

use super::{Rendered, join, plain};

pub(super) fn content<'m>(message: &'m Message, content: &'m Content, locale: Locale) -> Rendered<'m> {
    let said = |text: String| Rendered { text, file: None, cards: &[], quote: None, note: false, line: false };
    let note = |text: String| Rendered { note: true, ..said(text) };
    let line = |text: String| Rendered { line: true, ..note(text) };
    match content {
        Content::Text { body } => said(markup::to_markdown(body)),
        Content::Media { media, caption } => {
            let text = caption.as_deref().map(markup::to_markdown).unwrap_or_default();
            Rendered { file: Some(media), ..said(text) }
        }
        Content::Location(place) => said(location(place, locale)),
        Content::Contacts { cards } => {
            let text = cards.iter().map(|c| card(c, locale)).collect::<Vec<_>>().join("\n\n");
            Rendered { cards, ..said(text) }
        }
        Content::Choice { title, description, .. } => {
            let line = InboundText::Choice(&plain(title)).text(locale);
            said(join(&line, &description.as_deref().map(markup::literal).unwrap_or_default()))
        }
        Content::Form { title, body, fields, .. } => said(form(title.as_deref(), body.as_deref(), fields, locale)),
        Content::Reaction { to, emoji } => {
            let emoji = emoji.as_deref().map(plain);
            let line = emoji.as_deref().map_or(InboundText::ReactionRemoved, InboundText::Reaction);
            Rendered { quote: Some(to), ..said(line.text(locale)) }
        }
        Content::Order { text, lines, .. } => said(order(text.as_deref(), lines, locale)),
        Content::Edit { original, content: new } => {
            let new = self::content(message, new, locale);
            let text = if new.text.is_empty() {
                InboundText::EditedToNothing.text(locale)
            } else {
                join(&InboundText::Edited.text(locale), &new.text)
            };
            Rendered { text, quote: Some(original), ..new }
        }
        Content::Revoke { original } => {
            Rendered { quote: Some(original), ..note(InboundText::PartRevoked.text(locale)) }
        }
        Content::NumberChanged { what, before, now } => line(moved(what, before, now, locale)),
        Content::Handover { to_business } => line(InboundText::Handover(*to_business).text(locale)),
        Content::Call { event, seconds } => {
            said(InboundText::Call(Call::read(event, *seconds), message.author).text(locale))
        }
        Content::Preference { value, category } => line(preference(value, category.as_deref()).text(locale)),
        Content::Unsupported { what, code, words } => {
            let unsupported = UnsupportedText { author: message.author, what, code: *code };
            let words = words.as_deref().map(markup::to_markdown).unwrap_or_default();
            said(join(&words, &InboundText::Unsupported(unsupported).text(locale)))
        }
    }
}

fn location(place: &Location, locale: Locale) -> String {
    let map = format!("https://maps.google.com/?q={},{}", place.latitude, place.longitude);
    let words = [&place.name, &place.address].into_iter().flatten().map(|text| plain(text));
    let lines = words.chain([map]).chain(place.url.as_deref().map(plain));
    std::iter::once(InboundText::Location.text(locale)).chain(lines).collect::<Vec<_>>().join("\n")
}

fn card(card: &Card, locale: Locale) -> String {
    let name = plain(card.name.as_deref().unwrap_or("–"));
    let first = if card.requested { InboundText::OwnContact(&name) } else { InboundText::Contact(&name) };
    let mut lines = vec![first.text(locale)];
    let job = [card.title.as_deref(), card.company.as_deref()];
    let job = job.into_iter().flatten().collect::<Vec<_>>().join(", ");
    let one = [job.as_str()].into_iter().filter(|job| !job.is_empty());
    let lists = [&card.phones, &card.emails, &card.addresses, &card.urls];
    let many = lists.into_iter().flatten().map(String::as_str);
    lines.extend(one.chain(many).chain(card.birthday.as_deref()).map(plain));
    lines.join("\n")
}

fn form(title: Option<&str>, body: Option<&str>, fields: &[(String, Answer)], locale: Locale) -> String {
    let title = title.map(plain);
    let mut lines = vec![InboundText::Form(title.as_deref()).text(locale)];
    lines.extend(body.map(markup::literal));
    lines.extend(fields.iter().map(|(name, value)| match (name.as_str(), value) {
        ("", Answer::Text(text)) => markup::literal(text),
        ("", value) => answer(value, locale),
        (name, value) => format!("{}: {}", plain(name), answer(value, locale)),
    }));
    lines.join("\n")
}

/// An answer on its line.
fn answer(value: &Answer, locale: Locale) -> String {
    match value {
        Answer::Text(text) => plain(text),
        Answer::Flag(yes) => texts::yes_or_no(*yes, locale).to_owned(),
        Answer::List(items) => items.iter().map(|item| answer(item, locale)).collect::<Vec<_>>().join(", "),
        Answer::Group(members) => {
            let one = |(name, value): &(String, Answer)| format!("{}: {}", plain(name), answer(value, locale));
            members.iter().map(one).collect::<Vec<_>>().join("; ")
        }
        Answer::File { name, comes } => {
            let name = name.as_deref().and_then(domain::name::clean);
            let shown = format!("📎 {}", plain(name.as_deref().unwrap_or("–")));
            if *comes { shown } else { InboundText::FormFile(&shown).text(locale) }
        }
    }
}

fn order(text: Option<&str>, lines: &[OrderLine], locale: Locale) -> String {
    let money = |amount, currency: &str| texts::money(amount, &plain(currency), locale);
    let mut out = vec![InboundText::Order.text(locale)];
    let mut totals: Vec<(&str, f64)> = Vec::new();
    for line in lines {
        let Some(price) = line.price else {
            out.push(format!("{} × {}", line.quantity, plain(&line.product)));
            continue;
        };
        #[expect(clippy::cast_precision_loss, reason = "a cart's quantities are small")]
        let sum = price * line.quantity as f64;
        match totals.iter_mut().find(|(currency, _)| *currency == line.currency) {
            Some((_, total)) => *total += sum,
            None => totals.push((&line.currency, sum)),
        }
        let each = money(price, &line.currency);
        let all = if line.quantity == 1 { String::new() } else { format!(" = {}", money(sum, &line.currency)) };
        out.push(format!("{} × {} — {each}{all}", line.quantity, plain(&line.product)));
    }
    // A partial sum would be read as the total.
    if !totals.is_empty() && lines.iter().all(|line| line.price.is_some()) {
        let totals: Vec<_> = totals.iter().map(|(currency, total)| money(*total, currency)).collect();
        out.push(InboundText::Total(&totals.join(" + ")).text(locale));
    }
    out.extend(text.map(markup::to_markdown));
    out.join("\n")
}

/// The advert a message came from, below the customer's text.
pub(super) fn advert(referral: &Referral, locale: Locale) -> String {
    let headline = referral.headline.as_deref().map(plain).filter(|headline| !headline.is_empty());
    let post = referral.kind.as_deref() == Some("post");
    let mut lines = vec![InboundText::Advert { post, headline: headline.as_deref() }.text(locale)];
    lines.extend(referral.body.as_deref().map(markup::literal));
    let welcome = referral.welcome.as_deref().map(markup::literal).filter(|text| !text.is_empty());
    lines.extend(welcome.map(|text| InboundText::Welcome(&text).text(locale)));
    lines.extend(referral.url.as_deref().map(plain));
    lines.extend(referral.picture.as_deref().map(|url| format!("🖼️ {}", plain(url))));
    lines.extend(referral.video.as_deref().map(|url| format!("🎬 {}", plain(url))));
    lines.retain(|line| !line.is_empty());
    lines.join("\n")
}

fn moved(what: &str, old: &Identity, new: &Identity, locale: Locale) -> String {
    let phone = |identity: &Identity| identity.phone.as_ref().and_then(WaId::e164);
    let (old_phone, new_phone) = (phone(old), phone(new));
    let line = match what {
        "user_changed_number" | "customer_changed_number" => {
            InboundText::NewNumber(ProfileChange { old: old_phone.as_deref(), new: new_phone.as_deref() })
        }
        "user_changed_user_id" => InboundText::NewUser,
        "customer_identity_changed" => InboundText::NewDevice,
        _ => InboundText::Changed,
    };
    line.text(locale)
}

fn preference(value: &str, category: Option<&str>) -> InboundText<'static> {
    match value {
        _ if category.is_some_and(|category| category != "marketing_messages") => InboundText::PreferenceChanged,
        "stop" => InboundText::MarketingStopped,
        "resume" => InboundText::MarketingResumed,
        "signup" => InboundText::MarketingSignup,
        _ => InboundText::PreferenceChanged,
    }
}

#[cfg(test)]
mod tests {
    use domain::{Author, KeyedHash, PhoneNumberId, Timestamp};

    use super::*;

    fn message(content: Content) -> Message {
        Message {
            channel: PhoneNumberId::new("1"),
            item: KeyedHash::new("i"),
            id: None,
            author: Author::Customer,
            customer: Identity::default(),
            name: Some("Ana".to_owned()),
            username: None,
            sent_at: Timestamp::from_secs(0),
            reply_to: None,
            forwarded: false,
            forwarded_often: false,
            referral: None,
            product: None,
            speaker: None,
            part_of: None,
            standby: false,
            content,
        }
    }

    fn words(content: Content) -> String {
        super::super::render(&message(content), Locale::Es).text
    }

    #[test]
    fn a_place_has_a_link_to_the_map() {
        let place =
            Location { latitude: 19.43, longitude: -99.13, name: Some("Taller *1*".into()), address: None, url: None };
        assert_eq!(
            words(Content::Location(place)),
            "📍 Ubicación\nTaller \\*1\\*\nhttps://maps.google.com/?q=19.43,-99.13"
        );
    }

    #[test]
    fn a_cart_has_lines_and_a_total_of_each_currency() {
        let line = |product: &str, quantity, price, currency: &str| OrderLine {
            product: product.to_owned(),
            quantity,
            price,
            currency: currency.to_owned(),
        };
        let mut lines = vec![
            line("RX150", 2, Some(1000.0), "MXN"),
            line("RX200", 1, Some(0.5), "MXN"),
            line("A", 3, Some(1.1), "USD"),
        ];
        let order = Content::Order { text: Some("*ya*".into()), lines: lines.clone(), catalog: Some("77".into()) };
        assert_eq!(
            words(order),
            "🛒 Pedido\n2 × RX150 — $1,000.00 MXN = $2,000.00 MXN\n1 × RX200 — $0.50 MXN\n\
             3 × A — $1.10 USD = $3.30 USD\nTotal: $2,000.50 MXN + $3.30 USD\n**ya**"
        );
        lines.truncate(1);
        lines.push(line("B", 2, None, ""));
        let order = Content::Order { text: None, lines, catalog: None };
        assert_eq!(words(order), "🛒 Pedido\n2 × RX150 — $1,000.00 MXN = $2,000.00 MXN\n2 × B");
    }

    #[test]
    fn a_customers_words_cannot_forge_a_line_of_ours() {
        let choice = Content::Choice { title: "Sí\n📣 **hola**".into(), id: Some("x_1".into()), description: None };
        assert_eq!(words(choice), "Eligió: Sí 📣 \\*\\*hola\\*\\*");
    }

    #[test]
    fn a_form_reads_like_a_form() {
        let text = |text: &str| Answer::Text(text.to_owned());
        let file = |name: &str, comes| Answer::File { name: Some(name.to_owned()), comes };
        let fields = [
            ("zona", text("Norte")),
            ("horarios", Answer::List(vec![text("Sáb"), text("Dom")])),
            ("acepta", Answer::Flag(true)),
            ("envío", Answer::Group(vec![("ciudad".to_owned(), text("Puebla")), ("cp".to_owned(), text("72000"))])),
            ("foto", Answer::List(vec![file("a.jpg", true), file("b.jpg", false)])),
            ("", text("solo *texto*")),
        ];
        let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let (title, body) = (Some("Prueba".to_owned()), Some("Listo".to_owned()));
        let form = Content::Form { title, body, fields, id: Some("token".into()) };
        assert_eq!(
            words(form),
            "📋 Formulario: Prueba\nListo\nzona: Norte\nhorarios: Sáb, Dom\nacepta: sí\nenvío: ciudad: Puebla; cp: 72000\n\
             foto: 📎 a.jpg, 📎 b.jpg (WhatsApp no lo entrega aquí; pídelo en el chat)\nsolo \\*texto\\*"
        );
    }

    #[test]
    fn what_is_about_a_customer_is_a_note_among_agents() {
        let stop = message(Content::Preference { value: "stop".into(), category: None });
        let rendered = super::super::render(&stop, Locale::En);
        assert!(rendered.note && rendered.text.contains("no marketing"));
        let other = message(Content::Preference { value: "stop".into(), category: Some("news".into()) });
        assert!(super::super::render(&other, Locale::En).text.contains("preference"));
    }
}
