//! Reads a template's text with its placeholders: `Hola {{1}}`, or `Hola {{nombre}}`.

use std::collections::BTreeMap;

/// A run of this many letters does not match another text by chance.
const LONG: usize = 16;

/// A text with placeholders for values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text {
    /// The text before each placeholder, and which one it is.
    places: Vec<(String, String)>,
    /// The text after the last one.
    end: String,
}

impl Text {
    /// Reads it as Meta writes it.
    pub fn read(text: &str) -> Self {
        let (mut places, mut rest) = (Vec::new(), text);
        let mut before = String::new();
        while let Some((fixed, after)) = rest.split_once("{{") {
            before.push_str(fixed);
            match after.split_once("}}") {
                Some((name, more)) if is_name(name.trim()) => {
                    places.push((std::mem::take(&mut before), name.trim().to_owned()));
                    rest = more;
                }
                _ => {
                    before.push_str("{{");
                    rest = after;
                }
            }
        }
        before.push_str(rest);
        Self { places, end: before }
    }

    /// Its placeholders, each once: in the order of their numbers, or as they stand.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for (_, name) in &self.places {
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
        if let Some(mut numbers) =
            names.iter().map(|name| Some((name.parse::<u32>().ok()?, *name))).collect::<Option<Vec<_>>>()
        {
            numbers.sort_unstable();
            names = numbers.into_iter().map(|(_, name)| name).collect();
        }
        names
    }

    /// The text with its values; a placeholder without a value stays as it is.
    pub fn filled(&self, values: &BTreeMap<String, String>) -> String {
        let mut out = String::new();
        for (before, name) in &self.places {
            out.push_str(before);
            match values.get(name) {
                Some(value) => out.push_str(value),
                None => out.extend(["{{", name, "}}"]),
            }
        }
        out + &self.end
    }

    /// The text with its placeholders, as Meta writes it.
    pub fn as_written(&self) -> String {
        self.filled(&BTreeMap::new())
    }

    /// Whether a message has a long run of this text's own words.
    pub fn is_partly_in(&self, message: &str) -> bool {
        let message = letters(message);
        let mut fixed = self.places.iter().map(|(before, _)| before).chain([&self.end]).map(|text| letters(text));
        fixed.any(|fixed| fixed.chars().count() >= LONG && message.contains(&fixed))
    }

    /// Whether a message reads like this text with some values.
    pub fn reads_like(&self, message: &str) -> bool {
        let message = squeezed(message);
        let mut rest = message.as_str();
        for (at, (before, _)) in self.places.iter().enumerate() {
            let fixed = squeezed(before);
            let found = if at == 0 { rest.starts_with(&fixed).then_some(0) } else { rest.find(&fixed) };
            match found {
                Some(at) => rest = &rest[at + fixed.len()..],
                None => return false,
            }
        }
        let end = squeezed(&self.end);
        if self.places.is_empty() { rest == end } else { rest.ends_with(&end) }
    }
}

/// Without blanks: editors and browsers add and remove some.
fn squeezed(text: impl AsRef<str>) -> String {
    text.as_ref().chars().filter(|c| !c.is_whitespace()).collect()
}

/// Letters and digits alone: editors add and remove marks.
fn letters(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values(values: &[(&str, &str)]) -> BTreeMap<String, String> {
        values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn places_are_found_and_filled() {
        let text = Text::read("Hola {{1}}, tu {{ 2 }} está lista. {{1}}!");
        assert_eq!(text.names(), ["1", "2"]);
        assert_eq!(text.filled(&values(&[("1", "Ana"), ("2", "250Z")])), "Hola Ana, tu 250Z está lista. Ana!");
        let late = Text::read("{{10}} {{9}} {{b}}");
        assert_eq!((late.names(), Text::read("{{10}} {{9}}").names()), (vec!["10", "9", "b"], vec!["9", "10"]));
        assert_eq!(Text::read("{{}} {{ a b }} {{x").filled(&values(&[])), "{{}} {{ a b }} {{x");
    }

    #[test]
    fn a_message_is_known_by_what_is_fixed() {
        let text = Text::read("Hola {{1}}, ¿pudiste ver la cotización de la {{2}}? Quedamos a disposición.");
        assert!(text.reads_like("Hola Ana, ¿pudiste ver la cotización de la RX 150?  Quedamos a\ndisposición."));
        assert!(!text.reads_like("Hola Ana, ¿pudiste verla?"));
        assert!(!text.reads_like("Quedamos a disposición."));
        assert!(Text::read("El total es de {{1}}.").reads_like("El total es de $1.500."));
        assert!(!Text::read("Gracias por tu compra").reads_like("Gracias por tu compra, Ana"));
        assert!(Text::read("Gracias por tu compra, {{1}}").reads_like("Gracias por tu compra, Ana"));
    }

    proptest! {
        #[test]
        fn what_was_filled_reads_like_it(value in "[a-z .]{1,12}", text in "[A-Z]{20,30} \\{\\{1\\}\\} [A-Z]{0,9}") {
            let text = Text::read(&text);
            prop_assert!(text.reads_like(&text.filled(&values(&[("1", &value)]))));
        }
    }
}
