//! What a message changes at a contact: never what an agent entered.

use domain::Identity;

use super::*;
use crate::tests::{message, text};

fn number_changed(before: &str, now: &str) -> Message {
    let identity = |phone: &str| Identity { phone: Some(WaId::new(phone)), ..Identity::default() };
    let content = Content::NumberChanged {
        what: String::new(),
        before: Box::new(identity(before)),
        now: Box::new(identity(now)),
    };
    Message { customer: identity(now), ..message(content) }
}

#[test]
fn a_phone_fills_a_gap_and_replaces_only_the_number_that_was_changed() {
    let ana = message(text("hola"));
    assert_eq!(new_phone(&ana, None).as_deref(), Some("+5215555550123"));
    assert_eq!(new_phone(&ana, Some("")).as_deref(), Some("+5215555550123"));
    assert_eq!(new_phone(&ana, Some("+5215555550999")), None, "an agent entered it");
    let changed = number_changed("5215555550123", "5215555550199");
    assert_eq!(new_phone(&changed, Some("+5215555550123")).as_deref(), Some("+5215555550199"));
    assert_eq!(new_phone(&changed, Some("+525555550123")).as_deref(), Some("+5215555550199"), "spelled otherwise");
    assert_eq!(new_phone(&changed, Some("+5215555550199")), None, "it is there already");
    assert_eq!(new_phone(&changed, Some("+5215555550999")), None, "an agent entered it");
    let mut group = message(text("hola"));
    group.customer.group = Some(domain::GroupId::new("group-1"));
    assert_eq!(new_phone(&group, None), None);
}

#[test]
fn only_a_name_that_no_person_chose_is_replaced() {
    let ana = Message { username: Some("ana.mx".to_owned()), ..message(text("hola")) };
    for stopgap in ["", "\u{200b}", "+52 1 55 5555 0123", "5215555550123", "@ana.mx", "ana.mx"] {
        assert!(is_stopgap(&ana, stopgap), "{stopgap}");
    }
    assert!(
        is_stopgap(&ana, &NoteText::Nameless.text(Locale::Es))
            && is_stopgap(&ana, &NoteText::Nameless.text(Locale::En))
    );
    for chosen in ["Ana (taller)", "+52 1 55 5555 0999", "Ana 5215555550123"] {
        assert!(!is_stopgap(&ana, chosen), "{chosen}");
    }
}

#[test]
fn an_advert_replaces_the_attributes_of_an_older_one_and_no_others() {
    let attributes = json!({ "source_id": "old", "ctwa_clid": "old", "color": "rojo" });
    let advert = Referral { id: Some("new".to_owned()), ..Referral::default() };
    let after = Value::from(with_advert(attributes.as_object().unwrap(), &advert));
    assert_eq!(after, json!({ "source_id": "new", "color": "rojo" }));
}

#[test]
fn a_marketing_choice_is_only_what_says_so() {
    let choice = |value: &str, category: Option<&str>| {
        let category = category.map(str::to_owned);
        marketing_choice(&Content::Preference { value: value.to_owned(), category })
    };
    assert_eq!(choice("stop", None), Some(false));
    assert_eq!(choice("resume", Some("marketing_messages")), Some(true));
    assert_eq!(choice("signup", None), Some(true));
    assert_eq!(choice("stop", Some("another")), None);
    assert_eq!(choice("maybe", None), None);
    assert_eq!(marketing_choice(&text("stop")), None);
}
