//! Finds the persons a text names, as keyed hashes. So a person is found even in dead letters that could not be parsed.

use std::collections::BTreeSet;

use base64::{
    Engine as _,
    engine::{GeneralPurpose, GeneralPurposeConfig},
};
use serde_json::Value;

use crate::{
    HashKey, KeyedHash, WaId,
    keyed_hash::{AliasKind, Person},
};

/// A phone has this many digits; shorter runs are times, codes and counts.
const PHONE_DIGITS: std::ops::RangeInclusive<usize> = 8..=15;

/// A user id is at most this long (§3.1).
const MAX_USER_ID_LENGTH: usize = 140;

/// Meta pads its base64; programs that repeat it do not always.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(base64::engine::DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Everything in `text` that may be a phone or a user id, including those inside wamids.
pub fn mentioned(text: &str, key: &HashKey) -> BTreeSet<KeyedHash<Person>> {
    let mut found = BTreeSet::new();
    let mut tokens = BTreeSet::new();
    for token in text.split(|c: char| !is_part_of_id(c)).filter(|token| token.len() >= *PHONE_DIGITS.start()) {
        if tokens.insert(token) {
            look_at(token, key, &mut found);
        }
    }
    found
}

/// What is left of a JSON text without the parts about a person: elements of lists that name them, and the whole if it names
/// them outside of lists. A text that is not JSON is left whole or not at all.
pub fn without(text: &str, is_theirs: &impl Fn(&str) -> bool) -> Option<String> {
    if !is_theirs(text) {
        return Some(text.to_owned());
    }
    let mut value: Value = serde_json::from_str(text).ok()?;
    matches!(prune(&mut value, is_theirs), Left::Plain | Left::Others).then(|| value.to_string())
}

/// What is left of a value.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Left {
    /// It never contained a list.
    Plain,
    /// Its lists were only about them.
    Nothing,
    /// Its lists are about others.
    Others,
    /// It names them outside of lists.
    Named,
}

fn prune(value: &mut Value, is_theirs: &impl Fn(&str) -> bool) -> Left {
    let named = |named: bool| if named { Left::Named } else { Left::Plain };
    match value {
        Value::Array(list) if list.is_empty() => Left::Plain,
        Value::Array(list) => {
            list.retain_mut(|element| matches!(prune(element, is_theirs), Left::Plain | Left::Others));
            if list.is_empty() { Left::Nothing } else { Left::Others }
        }
        Value::Object(members) => {
            let mut left = named(members.keys().any(|name| is_theirs(name)));
            for member in members.values_mut() {
                left = left.max(prune(member, is_theirs));
            }
            left
        }
        // JSON within a text, as a notice has it.
        Value::String(text) => match serde_json::from_str::<Value>(text) {
            Ok(mut inside @ (Value::Array(_) | Value::Object(_))) => {
                let left = prune(&mut inside, is_theirs);
                *text = inside.to_string();
                left
            }
            _ => named(is_theirs(text)),
        },
        Value::Number(number) => named(is_theirs(&number.to_string())),
        Value::Null | Value::Bool(_) => Left::Plain,
    }
}

fn is_part_of_id(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+' | '/' | '=')
}

fn look_at(token: &str, key: &HashKey, found: &mut BTreeSet<KeyedHash<Person>>) {
    phones(token, key, found);
    let bare = token.trim_matches(['.', '-', '/', '=']);
    if bare.len() <= MAX_USER_ID_LENGTH && bare.contains('.') {
        found.insert(key.alias(AliasKind::User, bare));
    }
    if let Some((_, body)) = token.split_once("wamid.")
        && let Ok(inside) = LENIENT.decode(body)
    {
        // It contains phone and user id in plain form.
        let inside: String =
            inside.iter().map(|byte| if byte.is_ascii_graphic() { *byte as char } else { ' ' }).collect();
        for token in inside.split(|c: char| !is_part_of_id(c)).filter(|token| token.len() >= *PHONE_DIGITS.start()) {
            phones(token, key, found);
            if token.contains('.') {
                found.insert(key.alias(AliasKind::User, token));
            }
        }
    }
}

fn phones(token: &str, key: &HashKey, found: &mut BTreeSet<KeyedHash<Person>>) {
    for digits in token.split(|c: char| !c.is_ascii_digit()).filter(|digits| PHONE_DIGITS.contains(&digits.len())) {
        found.insert(key.alias(AliasKind::Phone, &WaId::new(digits).canonical()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> HashKey {
        HashKey::new("k".into())
    }

    fn phone(digits: &str) -> KeyedHash<Person> {
        key().alias(AliasKind::Phone, &WaId::new(digits).canonical())
    }

    #[test]
    fn phones_user_ids_and_wamids_name_a_person_in_any_text() {
        let wamid = base64::engine::general_purpose::STANDARD.encode("\u{1d}\r5215555550123\u{15}\u{2}");
        for text in ["{\"from\":\"525555550123\"", "+525555550123,", "n 5215555550123", &format!("\"wamid.{wamid}\"")] {
            assert!(mentioned(text, &key()).contains(&phone("5215555550123")), "{text}");
        }
        let user = key().alias(AliasKind::User, "MX.ENT.12345678");
        assert!(mentioned(r#"{"user_id":"MX.ENT.12345678"}"#, &key()).contains(&user));
        assert!(!mentioned("52155555501234", &key()).contains(&phone("5215555550123")));
        assert!(mentioned("hola 12345", &key()).is_empty());
    }

    #[test]
    fn what_is_about_others_stays() {
        let theirs = |text: &str| mentioned(text, &key()).contains(&phone("5215555550123"));
        let raw =
            r#"{"history":[{"threads":[{"id":"5215555550123","messages":[{"id":"a"}]},{"id":"5215555550124"}]}]}"#;
        assert_eq!(without(raw, &theirs).unwrap(), r#"{"history":[{"threads":[{"id":"5215555550124"}]}]}"#);
        let notice = serde_json::json!({ "task": "notice_v1", "raw": raw }).to_string();
        let rest = without(&notice, &theirs).unwrap();
        assert!(rest.contains("5215555550124") && !rest.contains("5215555550123"));
        let with_contacts = r#"{"contacts":[{"wa_id":"5215555550123"}],"threads":[{"id":"5215555550124"}]}"#;
        assert_eq!(without(with_contacts, &theirs).unwrap(), r#"{"contacts":[],"threads":[{"id":"5215555550124"}]}"#);
        assert_eq!(without(r#"{"a":[{"b":"5215555550123"}],"c":1}"#, &theirs), None);
        assert_eq!(without(r#"{"a":[1],"b":"5215555550123"}"#, &theirs), None);
        assert_eq!(without("no json 5215555550123", &theirs), None);
        assert_eq!(without("no json", &theirs).unwrap(), "no json");
    }
}
