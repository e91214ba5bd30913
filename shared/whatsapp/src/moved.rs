//! Reads changes of number and of user id (§2.2, §3.3). They tell which ids a person had, and which they have from now on.

use domain::{Content, Identity, UserId, WaId};

use crate::fields::Fields;

/// A message of type `system`. The sender is the old number; the new ids stand inside. One that does not say what happened is
/// still news of the person, and not a message of theirs.
pub(crate) fn system(message: &Fields<'_>) -> Content {
    let Some(system) = message.object("system") else {
        return Content::NumberChanged { what: String::new(), before: Box::default(), now: Box::default() };
    };
    let what = system.text("type").unwrap_or_default();
    if what == "customer_identity_changed" {
        // A new phone or a new installation: the person and all its ids are the same.
        return Content::NumberChanged { what, before: Box::default(), now: Box::default() };
    }
    let now = Identity {
        user_id: system.text("user_id").map(UserId::new),
        parent: system.text("parent_user_id").map(UserId::new),
        // The oldest form has a name of its own for it.
        phone: system.text("new_wa_id").or_else(|| system.text("wa_id")).map(WaId::new),
        ..Identity::default()
    };
    let before = Identity {
        user_id: system.text("previous_user_id").or_else(|| message.text("from_user_id")).map(UserId::new),
        parent: system.text("previous_parent_user_id").or_else(|| message.text("from_parent_user_id")).map(UserId::new),
        phone: message.text("from").or_else(|| system.text("customer")).map(WaId::new),
        ..Identity::default()
    };
    Content::NumberChanged { what, before: Box::new(before), now: Box::new(now) }
}

/// An entry of the field `user_id_update`, which Meta withdrew and some partners still forward.
pub(crate) fn user_id_update(entry: &Fields<'_>) -> Option<Content> {
    let ids = entry.object("user_id")?;
    let parents = entry.object("parent_user_id");
    let parent = |name| parents.as_ref().and_then(|ids: &Fields<'_>| ids.text(name)).map(UserId::new);
    let phone = entry.text("wa_id").map(WaId::new);
    let before = Identity {
        user_id: ids.text("previous").map(UserId::new),
        parent: parent("previous"),
        phone: phone.clone(),
        ..Identity::default()
    };
    let now = Identity {
        user_id: Some(UserId::new(ids.text("current")?)),
        parent: parent("current"),
        phone,
        ..Identity::default()
    };
    let what = "user_changed_user_id".to_owned();
    Some(Content::NumberChanged { what, before: Box::new(before), now: Box::new(now) })
}

/// The number a customer gave when asked for it. A card that was merely shared proves nothing (§3.4).
pub(crate) fn own_number(message: &Fields<'_>) -> Option<WaId> {
    let asked_for = |fields: &Fields<'_>| fields.text("origin").as_deref() == Some("contact_request");
    let cards = message.objects("contacts");
    // An earlier page of Meta's had the origin one level up.
    let card = cards.iter().find(|card| asked_for(card) || (cards.len() == 1 && asked_for(message)))?;
    let phone = card.objects("phones").into_iter().next()?;
    let digits = |text: String| text.chars().filter(char::is_ascii_digit).collect::<String>();
    phone.text("wa_id").or_else(|| phone.text("phone").map(digits)).filter(|id| !id.is_empty()).map(WaId::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(json: &str) -> Fields<'_> {
        Fields::read(serde_json::from_str(json).unwrap()).unwrap()
    }

    fn moved(json: &str) -> (Identity, Identity) {
        let Content::NumberChanged { before, now, .. } = system(&fields(json)) else { panic!("{json}") };
        (*before, *now)
    }

    #[test]
    fn the_sender_is_the_old_number_in_every_form() {
        for new in ["\"wa_id\":\"52\"", "\"new_wa_id\":\"52\"", "\"wa_id\":\"52\",\"user_id\":\"\""] {
            let json = format!(r#"{{"from":"51","system":{{"type":"user_changed_number",{new}}}}}"#);
            let (before, now) = moved(&json);
            assert_eq!((before.phone, now.phone), (Some(WaId::new("51")), Some(WaId::new("52"))));
            assert_eq!((before.user_id, now.user_id), (None, None));
        }
    }

    #[test]
    fn news_that_does_not_say_what_happened_is_news_all_the_same() {
        for odd in [r#""system":{}"#, r#""system":null"#, r#""system":"x""#, r#""system":[]"#, r#""from":"51""#] {
            let json = format!("{{{odd}}}");
            let Content::NumberChanged { what, now, .. } = system(&fields(&json)) else { panic!("{odd}") };
            assert!(what.is_empty() && now.is_empty(), "{odd}");
        }
    }

    #[test]
    fn the_old_user_id_is_the_senders_where_no_other_is_named() {
        let json = r#"{"from_user_id":"MX.1","system":{"type":"user_changed_user_id","user_id":"MX.2"}}"#;
        let (before, now) = moved(json);
        assert_eq!((before.user_id, now.user_id), (Some(UserId::new("MX.1")), Some(UserId::new("MX.2"))));
        assert_eq!(now.phone, None);
    }

    #[test]
    fn only_a_number_that_was_asked_for_is_the_senders_own() {
        let asked = r#"{"contacts":[{"phones":[{"phone":"+52 1 55 5555 0199"}],"origin":"contact_request"}]}"#;
        assert_eq!(own_number(&fields(asked)), Some(WaId::new("5215555550199")));
        let above = r#"{"origin":"contact_request","contacts":[{"phones":[{"wa_id":"5215555550199"}]}]}"#;
        assert_eq!(own_number(&fields(above)), Some(WaId::new("5215555550199")));
        for shared in [r#"{"contacts":[{"phones":[{"wa_id":"52"}],"origin":"other"}]}"#, r#"{"contacts":[{}]}"#, "{}"] {
            assert_eq!(own_number(&fields(shared)), None);
        }
    }
}
