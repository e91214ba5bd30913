//! The kinds of content, one by one.

use domain::{
    Content, Identity, Locale, Message, WaId, markup,
    message::{Call, Card, Location, OrderLine, Referral},
    words::inbound::{Change, Inbound, Unsupported},
};

use super::{Rendered, join, plain};

pub(super) fn content<'m>(message: &'m Message, content: &'m Content, locale: Locale) -> Rendered<'m> {
    let said = |text: String| Rendered { text, file: None, cards: &[], quote: None, note: false };
    let note = |text: String| Rendered { note: true, ..said(text) };
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
        Content::Choice { title, id, description } => {
            let (title, id) = (plain(title), id.as_deref().map(plain));
            let line = Inbound::Choice { title: &title, id: id.as_deref() }.say(locale);
            said(join(&line, &description.as_deref().map(markup::literal).unwrap_or_default()))
        }
        Content::Form { fields, id } => said(form(fields, id.as_deref(), locale)),
        Content::Reaction { to, emoji } => {
            let emoji = emoji.as_deref().map(plain);
            let line = emoji.as_deref().map_or(Inbound::ReactionRemoved, Inbound::Reaction);
            Rendered { quote: Some(to), ..said(line.say(locale)) }
        }
        Content::Order { text, lines, catalog } => said(order(text.as_deref(), lines, catalog.as_deref(), locale)),
        Content::Edit { original, content: new } => {
            let new = self::content(message, new, locale);
            let text = if new.text.is_empty() {
                Inbound::EditedToNothing.say(locale)
            } else {
                join(&Inbound::Edited.say(locale), &new.text)
            };
            Rendered { text, quote: Some(original), ..new }
        }
        Content::Revoke { original } => Rendered { quote: Some(original), ..note(Inbound::PartRevoked.say(locale)) },
        Content::Moved { what, before, now } => note(moved(what, before, now, locale)),
        Content::Call { event, seconds } => {
            said(Inbound::Call(Call::read(event, *seconds), message.author).say(locale))
        }
        Content::Preference { value, category } => note(preference(value, category.as_deref()).say(locale)),
        Content::Unsupported { what, code, words } => {
            let unsupported = Unsupported { author: message.author, what, code: *code };
            let words = words.as_deref().map(markup::to_markdown).unwrap_or_default();
            said(join(&words, &Inbound::Unsupported(unsupported).say(locale)))
        }
    }
}

fn location(place: &Location, locale: Locale) -> String {
    let map = format!("https://maps.google.com/?q={},{}", place.latitude, place.longitude);
    let words = [&place.name, &place.address].into_iter().flatten().map(|text| plain(text));
    let lines = words.chain([map]).chain(place.url.as_deref().map(plain));
    std::iter::once(Inbound::Location.say(locale)).chain(lines).collect::<Vec<_>>().join("\n")
}

fn card(card: &Card, locale: Locale) -> String {
    let name = plain(card.name.as_deref().unwrap_or("–"));
    let first = if card.requested { Inbound::OwnContact(&name) } else { Inbound::Contact(&name) };
    let mut lines = vec![first.say(locale)];
    let job = [card.title.as_deref(), card.company.as_deref()];
    let job = job.into_iter().flatten().collect::<Vec<_>>().join(", ");
    let one = [job.as_str()].into_iter().filter(|job| !job.is_empty());
    let lists = [&card.phones, &card.emails, &card.addresses, &card.urls];
    let many = lists.into_iter().flatten().map(String::as_str);
    lines.extend(one.chain(many).chain(card.birthday.as_deref()).map(plain));
    lines.join("\n")
}

fn form(fields: &[(String, String)], id: Option<&str>, locale: Locale) -> String {
    let id = id.map(plain);
    let lines = fields.iter().map(|(name, value)| match name.as_str() {
        "" => markup::literal(value),
        name => format!("{}: {}", plain(name), plain(value)),
    });
    std::iter::once(Inbound::Form(id.as_deref()).say(locale)).chain(lines).collect::<Vec<_>>().join("\n")
}

fn order(text: Option<&str>, lines: &[OrderLine], catalog: Option<&str>, locale: Locale) -> String {
    let catalog = catalog.map(plain);
    let mut out = vec![Inbound::Order(catalog.as_deref()).say(locale)];
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
    // A sum of some of it would be read as the sum of all.
    if !totals.is_empty() && lines.iter().all(|line| line.price.is_some()) {
        let totals: Vec<_> = totals.iter().map(|(currency, total)| money(*total, currency)).collect();
        out.push(Inbound::Total(&totals.join(" + ")).say(locale));
    }
    out.extend(text.map(markup::to_markdown));
    out.join("\n")
}

fn money(amount: f64, currency: &str) -> String {
    format!("{amount:.2} {}", plain(currency)).trim_end().to_owned()
}

/// The advert a message came from, below the customer's words.
pub(super) fn advert(referral: &Referral, locale: Locale) -> String {
    let headline = referral.headline.as_deref().map(plain).filter(|headline| !headline.is_empty());
    let post = referral.kind.as_deref() == Some("post");
    let mut lines = vec![Inbound::Advert { post, headline: headline.as_deref() }.say(locale)];
    lines.extend(referral.body.as_deref().map(markup::literal));
    lines.extend(referral.url.as_deref().map(plain));
    lines.extend(referral.picture.as_deref().map(|url| format!("🖼️ {}", plain(url))));
    lines.extend(referral.video.as_deref().map(|url| format!("🎬 {}", plain(url))));
    lines.retain(|line| !line.is_empty());
    lines.join("\n")
}

fn moved(what: &str, old: &Identity, new: &Identity, locale: Locale) -> String {
    let phone = |identity: &Identity| identity.phone.as_ref().and_then(WaId::e164);
    let user = |identity: &Identity| identity.user_id.as_ref().map(|user| plain(user.as_str()));
    let (old_phone, new_phone) = (phone(old), phone(new));
    let (old_user, new_user) = (user(old), user(new));
    let line = match what {
        "user_changed_number" | "customer_changed_number" => {
            Inbound::NewNumber(Change { old: old_phone.as_deref(), new: new_phone.as_deref() })
        }
        "user_changed_user_id" => Inbound::NewUser(Change { old: old_user.as_deref(), new: new_user.as_deref() }),
        "customer_identity_changed" => Inbound::NewDevice,
        _ => Inbound::Changed,
    };
    line.say(locale)
}

fn preference(value: &str, category: Option<&str>) -> Inbound<'static> {
    match value {
        _ if category.is_some_and(|category| category != "marketing_messages") => Inbound::PreferenceChanged,
        "stop" => Inbound::MarketingStopped,
        "resume" => Inbound::MarketingResumed,
        "signup" => Inbound::MarketingSignup,
        _ => Inbound::PreferenceChanged,
    }
}

#[cfg(test)]
mod tests {
    use domain::{Author, PhoneNumberId, Subject, Timestamp};

    use super::*;

    fn message(content: Content) -> Message {
        Message {
            channel: PhoneNumberId::new("1"),
            item: Subject::new("i"),
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
            "🛒 Pedido (catálogo 77)\n2 × RX150 — 1000.00 MXN = 2000.00 MXN\n1 × RX200 — 0.50 MXN\n\
             3 × A — 1.10 USD = 3.30 USD\nTotal: 2000.50 MXN + 3.30 USD\n**ya**"
        );
        lines.truncate(1);
        lines.push(line("B", 2, None, ""));
        let order = Content::Order { text: None, lines, catalog: None };
        assert_eq!(words(order), "🛒 Pedido\n2 × RX150 — 1000.00 MXN = 2000.00 MXN\n2 × B");
    }

    #[test]
    fn a_customers_words_cannot_forge_a_line_of_ours() {
        let choice = Content::Choice { title: "Sí\n📣 **hola**".into(), id: Some("x_1".into()), description: None };
        assert_eq!(words(choice), "Eligió: Sí 📣 \\*\\*hola\\*\\* (id: x_1)");
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
