//! Address cards (§2.2): every member optional, in each card.

use domain::message::Card;
use serde_json::{Value, json};

use crate::fields::Fields;

/// The sender's phone may put a photo into its own vCard. Beyond this the bridge makes a smaller one of what the card says:
/// a task has to fit into the queue.
const VCARD_LIMIT: usize = 100_000;

/// The cards of a message.
pub(crate) fn read(message: &Fields<'_>) -> Vec<Card> {
    let requested = is_request(message);
    let mut left = VCARD_LIMIT;
    let mut cards: Vec<Card> = message.objects("contacts").iter().map(|fields| card(fields, requested)).collect();
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

/// A card as Meta takes it (§4.2): a name has to be there, whole and in parts.
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
    // Meta wants it as YYYY-MM-DD, and the whole message falls with it.
    if let Some(birthday) = card.birthday.as_deref().filter(|text| is_date(text)) {
        object["birthday"] = json!(birthday);
    }
    object
}

fn is_date(text: &str) -> bool {
    text.len() == 10
        && text.bytes().enumerate().all(|(at, b)| if matches!(at, 4 | 7) { b == b'-' } else { b.is_ascii_digit() })
}

/// `origin` stands in each card; an earlier page had it one level up.
fn is_request(fields: &Fields<'_>) -> bool {
    fields.text("origin").as_deref() == Some("contact_request")
}

fn card(card: &Fields<'_>, requested: bool) -> Card {
    let name = card.object("name").and_then(|name| {
        name.text("formatted_name").or_else(|| {
            let parts = ["prefix", "first_name", "middle_name", "last_name", "suffix"].map(|part| name.text(part));
            joined(parts, " ")
        })
    });
    let org = card.object("org");
    let org = |name| org.as_ref().and_then(|org: &Fields<'_>| org.text(name));
    let each = |list: &str, member: &str| -> Vec<String> {
        card.objects(list).iter().filter_map(|item| item.text(member)).collect()
    };
    Card {
        name,
        phones: card.objects("phones").iter().filter_map(|p| p.text("phone").or_else(|| p.text("wa_id"))).collect(),
        emails: each("emails", "email"),
        company: joined([org("company"), org("department")], ", "),
        title: org("title"),
        addresses: card.objects("addresses").iter().filter_map(address).collect(),
        urls: each("urls", "url"),
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
    fn a_photo_in_a_card_does_not_cost_the_message() {
        let photo = "A".repeat(VCARD_LIMIT - 10);
        let read = cards(&format!(r#"{{"contacts":[{{"vcard":"{photo}"}},{{"vcard":"{photo}"}}]}}"#));
        assert_eq!(read.iter().map(|card| card.vcard.is_some()).collect::<Vec<_>>(), [true, false]);
    }
}
