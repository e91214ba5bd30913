//! Reads Meta's JSON in the shapes that really arrive (§2.1). Every member is optional; absent, null and `""` are the same; ids
//! and times may be numbers or strings; one odd member never costs the others.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{Error, Visitor},
};
use serde_json::value::RawValue;

/// The members of an object, not yet parsed.
#[derive(Debug)]
pub(crate) struct Fields<'a>(BTreeMap<String, &'a RawValue>);

impl<'a> Fields<'a> {
    /// Reads the object, if it is one.
    pub(crate) fn read(raw: &'a RawValue) -> Option<Self> {
        serde_json::from_str(raw.get()).ok().map(Self)
    }

    /// With the members of `other` that are missing here.
    pub(crate) fn or(mut self, other: Self) -> Self {
        for (name, raw) in other.0 {
            self.0.entry(name).or_insert(raw);
        }
        self
    }

    pub(crate) fn raw(&self, name: &str) -> Option<&'a RawValue> {
        self.0.get(name).copied().filter(|raw| raw.get() != "null")
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.raw(name).is_some()
    }

    /// A text or a number, as text; empty is absent.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        text(self.raw(name)?)
    }

    /// A number, or a text that is one.
    pub(crate) fn number(&self, name: &str) -> Option<i64> {
        let text = self.text(name)?;
        text.parse().ok().or_else(|| {
            #[expect(clippy::cast_possible_truncation, reason = "a fraction of a second is dropped")]
            text.parse::<f64>().ok().filter(|n| n.is_finite() && n.abs() < 1e15).map(|n| n as i64)
        })
    }

    pub(crate) fn float(&self, name: &str) -> Option<f64> {
        self.text(name)?.parse().ok().filter(|number: &f64| number.is_finite())
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        self.raw(name).is_some_and(|raw| matches!(raw.get(), "true" | "\"true\""))
    }

    pub(crate) fn object(&self, name: &str) -> Option<Self> {
        Self::read(self.raw(name)?)
    }

    /// The items of a list. A member that is not a list counts as one odd item.
    pub(crate) fn list(&self, name: &str) -> Vec<&'a RawValue> {
        let Some(raw) = self.raw(name) else { return Vec::new() };
        serde_json::from_str(raw.get()).unwrap_or_else(|_| vec![raw])
    }

    /// The items of a list that are objects.
    pub(crate) fn objects(&self, name: &str) -> Vec<Self> {
        self.list(name).into_iter().filter_map(Self::read).collect()
    }
}

/// A text or a number, as text; empty is absent.
pub(crate) fn text(raw: &RawValue) -> Option<String> {
    let json = raw.get();
    if json.starts_with('"') {
        let Lossy(mut text) = serde_json::from_str(json).ok()?;
        // No database behind Chatwoot accepts this character.
        text.retain(|c| c != '\0');
        (!text.is_empty()).then_some(text)
    } else if json.starts_with(|c: char| c.is_ascii_digit() || c == '-') {
        Some(json.to_owned())
    } else {
        None
    }
}

/// A JSON string in which half a surrogate pair becomes U+FFFD, instead of an error that costs the whole message.
pub(crate) struct Lossy(pub(crate) String);

impl<'de> Deserialize<'de> for Lossy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;

        impl Visitor<'_> for Bytes {
            type Value = Lossy;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Lossy, E> {
                Ok(Lossy(String::from_utf8_lossy(bytes).into_owned()))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Lossy, E> {
                Ok(Lossy(text.to_owned()))
            }
        }

        deserializer.deserialize_bytes(Bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(json: &str) -> Fields<'_> {
        Fields::read(serde_json::from_str(json).unwrap()).unwrap()
    }

    #[test]
    fn absent_null_and_empty_are_the_same() {
        let fields = fields(r#"{"a":null,"b":"","c":"x"}"#);
        assert_eq!((fields.text("a"), fields.text("b"), fields.text("z")), (None, None, None));
        assert_eq!(fields.text("c").as_deref(), Some("x"));
    }

    #[test]
    fn numbers_and_texts_are_read_alike() {
        let fields = fields(r#"{"a":1795190400,"b":"1795190400","c":"soon","d":17.9}"#);
        assert_eq!((fields.number("a"), fields.number("b")), (Some(1_795_190_400), Some(1_795_190_400)));
        assert_eq!((fields.number("c"), fields.number("d")), (None, Some(17)));
    }

    #[test]
    fn half_an_emoji_does_not_cost_the_message() {
        assert_eq!(fields(r#"{"body":"hola \ud83d"}"#).text("body").as_deref(), Some("hola \u{fffd}\u{fffd}\u{fffd}"));
        assert_eq!(fields(r#"{"body":"\ud83c\udfcd\ufe0f"}"#).text("body").as_deref(), Some("🏍️"));
    }

    #[test]
    fn a_member_of_the_wrong_shape_is_one_odd_item() {
        let fields = fields(r#"{"messages":{"id":"x"},"statuses":[1,{"id":"y"}]}"#);
        assert_eq!(fields.list("messages").len(), 1);
        assert_eq!((fields.list("statuses").len(), fields.objects("statuses").len()), (2, 1));
    }
}
