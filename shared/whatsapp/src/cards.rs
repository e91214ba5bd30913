//! Reads and writes address cards (§2.2). Every member is optional, in each card.

use domain::{message::Card, name, vcard};
use serde_json::{Value, json, value::RawValue};

use crate::fields::{self, Fields};

/// The sender's phone may put a photo into its own vCard. A longer vCard is replaced by a smaller one that the bridge makes
/// from the card's fields: a task has to fit into the queue.
const VCARD_LIMIT: usize = 100_000;

/// The cards of a message.
pub(crate) fn read(message: &Fields<'_>) -> Vec<Card> {
    let requested = is_request(message);
    let mut left = VCARD_LIMIT;
    let mut cards: Vec<Card> =
        message.objects("contacts").iter().flat_map(|fields| with_vcard(card(fields, requested))).collect();
    for card in &mut cards {
        let size = card.vcard.as_ref().map_or(0, String::len);
        if size > left {
            card.vcard = None;
        } else {
            left -= size;
        }
    }
    cards
}

/// A card as Meta takes it (§4.2): a name is required, whole and in parts.
pub(crate) fn compose(card: &Card) -> Value {
    let name = [card.name.as_ref(), card.company.as_ref(), card.phones.first()].into_iter().flatten().next();
    let name = name.map_or("–", String::as_str);
    let mut object = json!({ "name": { "formatted_name": name, "first_name": name } });
    let mut list = |name: &str, member: &str, texts: &[String]| {
        if !texts.is_empty() {
            object[name] = texts.iter().map(|text| json!({ member: text })).collect();
        }
    };
    list("phones", "phone", &card.phones);
    list("emails", "email", &card.emails);
    list("addresses", "street", &card.addresses);
    list("urls", "url", &card.urls);
    for (member, text) in [("company", &card.company), ("title", &card.title)] {
        if let Some(text) = text {
            object["org"][member] = json!(text);
        }
    }
    // Meta wants it as YYYY-MM-DD, and otherwise refuses the whole message.
    if let Some(birthday) = card.birthday.as_deref().filter(|text| is_date(text)) {
        object["birthday"] = json!(birthday);
    }
    object
}

/// Fills members the card lacks from its vCard; a card without any members gives all the cards in its vCard.
fn with_vcard(card: Card) -> Vec<Card> {
    let Some(own) = card.vcard.as_deref() else { return vec![card] };
    let mut inside = vcard::parse(own);
    for one in &mut inside {
        one.name = one.name.take().and_then(|name| name::clean(&name));
    }
    let says_nothing = Card { vcard: None, requested: false, ..card.clone() } == Card::default();
    if says_nothing && inside.len() > 1 {
        return inside.into_iter().map(|one| Card { requested: card.requested, ..one }).collect();
    }
    let Some(inside) = inside.into_iter().next() else { return vec![card] };
    let list = |own: Vec<String>, other| if own.is_empty() { other } else { own };
    vec![Card {
        name: card.name.or(inside.name),
        phones: list(card.phones, inside.phones),
        emails: list(card.emails, inside.emails),
        company: card.company.or(inside.company),
        title: card.title.or(inside.title),
        addresses: list(card.addresses, inside.addresses),
        urls: list(card.urls, inside.urls),
        birthday: card.birthday.or(inside.birthday),
        vcard: card.vcard,
        requested: card.requested,
    }]
}

fn is_date(text: &str) -> bool {
    text.len() == 10
        && text.bytes().enumerate().all(|(at, b)| if matches!(at, 4 | 7) { b == b'-' } else { b.is_ascii_digit() })
}

/// Each card has an `origin`; an earlier page had it one level up.
fn is_request(fields: &Fields<'_>) -> bool {
    fields.text("origin").as_deref() == Some("contact_request")
}

fn card(card: &Fields<'_>, requested: bool) -> Card {
    let called = card.text("name").and_then(|name| name::clean(&name));
    let name = card.object("name").and_then(|name| {
        let seen = |part: &str| name.text(part).and_then(|text| name::clean(&text));
        seen("formatted_name")
            .or_else(|| joined(["prefix", "first_name", "middle_name", "last_name", "suffix"].map(seen), " "))
    });
    let name = name.or(called);
    let org = card.object("org");
    let org = |name| org.as_ref().and_then(|org: &Fields<'_>| org.text(name));
    let company = card.text("org");
    // Each is an object, or only its text.
    let each = |list: &str, members: &[&str]| -> Vec<String> {
        let read = |raw: &&RawValue| match Fields::read(raw) {
            Some(item) => members.iter().find_map(|member| item.text(member)),
            None => fields::text(raw),
        };
        card.list(list).iter().filter_map(read).collect()
    };
    Card {
        name,
        phones: each("phones", &["phone", "wa_id"]),
        emails: each("emails", &["email"]),
        company: joined([org("company"), org("department")], ", ").or(company),
        title: org("title"),
        addresses: card.objects("addresses").iter().filter_map(address).collect(),
        urls: each("urls", &["url"]),
        birthday: card.text("birthday"),
        vcard: card.text("vcard"),
        requested: requested || is_request(card),
    }
}

fn address(address: &Fields<'_>) -> Option<String> {
    let parts = ["street", "city", "state", "zip", "country"].map(|part| address.text(part));
    joined(parts, ", ").or_else(|| address.text("country_code"))
}

fn joined<const N: usize>(parts: [Option<String>; N], by: &str) -> Option<String> {
    let joined = parts.into_iter().flatten().collect::<Vec<_>>().join(by);
    (!joined.is_empty()).then_some(joined)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cards(json: &str) -> Vec<Card> {
        read(&Fields::read(serde_json::from_str(json).unwrap()).unwrap())
    }

    #[test]
    fn a_card_is_read_as_far_as_it_says_something() {
        let read = cards(
            r#"{"origin":"contact_request","contacts":[{}, 7, {"name":{"first_name":"Eva","last_name":"Gil"},
            "phones":[{"wa_id":"52155"}],"addresses":[{"street":"Juárez 1","city":"Puebla"}],"org":{"title":"Jefa"}}]}"#,
        );
        assert_eq!(read.len(), 2);
        assert!(read.iter().all(|card| card.requested));
        assert_eq!((read[1].name.as_deref(), read[1].title.as_deref()), (Some("Eva Gil"), Some("Jefa")));
        assert_eq!(
            (&read[1].addresses[..], &read[1].phones[..]),
            (&["Juárez 1, Puebla".into()][..], &["52155".into()][..])
        );
    }

    #[test]
    fn a_card_of_another_shape_says_what_it_says() {
        let [card] = &cards(
            r#"{"contacts":{"name":"Eva","org":"Motos","phones":["+52 1",null,{"wa_id":52},[]],"emails":"e@x","urls":[{}]}}"#,
        )[..] else {
            panic!()
        };
        assert_eq!((card.name.as_deref(), card.company.as_deref()), (Some("Eva"), Some("Motos")));
        assert_eq!((&card.phones[..], &card.emails[..]), (&["+52 1".into(), "52".into()][..], &["e@x".into()][..]));
        // A vCard with a photo is too large to keep.
        let photo = "x".repeat(VCARD_LIMIT);
        let vcard = format!("BEGIN:VCARD\nFN:Eva\nTEL:+52\nPHOTO:{photo}\nEND:VCARD");
        let [card] = &cards(&json!({ "contacts": [{ "vcard": vcard }] }).to_string())[..] else { panic!() };
        assert_eq!((card.name.as_deref(), &card.phones[..], &card.vcard), (Some("Eva"), &["+52".into()][..], &None));
    }

    #[test]
    fn a_card_goes_out_as_it_came_in() {
        let json = r#"{"contacts":[{"name":{"formatted_name":"Eva Gil"},"phones":[{"phone":"+52 1"}],"emails":[{"email":"e@x"}],
            "addresses":[{"street":"Juárez 1"}],"urls":[{"url":"https://x"}],"org":{"company":"Motos","title":"Jefa"},
            "birthday":"1990-01-31"}]}"#;
        let [card] = &cards(json)[..] else { panic!() };
        let again = serde_json::json!({ "contacts": [compose(card)] }).to_string();
        assert_eq!(cards(&again), std::slice::from_ref(card));
        let odd = Card { birthday: Some("31/01".into()), name: None, phones: vec!["1".into()], ..card.clone() };
        assert_eq!((compose(&odd).get("birthday"), &compose(&odd)["name"]["formatted_name"]), (None, &json!("Motos")));
    }

    #[test]
    fn a_card_that_is_only_a_vcard_is_read() {
        let vcard = |text: &str| serde_json::json!({ "contacts": [{ "vcard": text }] }).to_string();
        let read =
            cards(&vcard("BEGIN:VCARD\nVERSION:3.0\nN:Gil;Eva;;;\nFN:Eva Gil\nTEL;waid=52155:+52 1 55\nEND:VCARD"));
        assert_eq!((read[0].name.as_deref(), &read[0].phones[..]), (Some("Eva Gil"), &["+52 1 55".to_owned()][..]));
        assert!(read[0].vcard.is_some());
        let two = "BEGIN:VCARD\nFN:Eva\nEND:VCARD\nBEGIN:VCARD\nFN:Ana\nEND:VCARD";
        let names: Vec<_> = cards(&vcard(two)).into_iter().filter_map(|card| card.name).collect();
        assert_eq!(names, ["Eva", "Ana"]);
        // The card's own members stay, and a member that shows nothing counts as absent.
        let both = r#"{"contacts":[{"name":{"formatted_name":"\u3164"},"phones":[{"phone":"1"}],
            "vcard":"BEGIN:VCARD\nFN:Eva\nTEL:2\nEND:VCARD"}]}"#;
        let read = cards(both);
        assert_eq!((read[0].name.as_deref(), &read[0].phones[..]), (Some("Eva"), &["1".to_owned()][..]));
        assert_eq!(cards(&vcard("hola"))[0].name, None);
    }

    #[test]
    fn a_photo_in_a_card_does_not_cost_the_message() {
        let photo = "A".repeat(VCARD_LIMIT - 10);
        let read = cards(&format!(r#"{{"contacts":[{{"vcard":"{photo}"}},{{"vcard":"{photo}"}}]}}"#));
        assert_eq!(read.iter().map(|card| card.vcard.is_some()).collect::<Vec<_>>(), [true, false]);
    }
}
