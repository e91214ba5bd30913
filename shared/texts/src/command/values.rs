//! Reads what an agent typed after the name of a command.

use unicode_segmentation::UnicodeSegmentation as _;

/// The emoji an agent typed, if it is one, and nothing else.
pub fn emoji(typed: &str) -> Option<&str> {
    let mut shown = typed.trim().graphemes(true);
    let one = shown.next().filter(|_| shown.next().is_none())?;
    let is_pictured = |c: char| !c.is_ascii() && !c.is_alphanumeric() && !c.is_whitespace();
    one.chars().any(is_pictured).then_some(one)
}

/// The values an agent typed, if there are as many as wanted. They are separated by `|`; without `|`, a single wanted value is
/// the whole text, and several are taken word by word, where quotation marks hold words together. Line ends and runs of blanks
/// become one blank: Meta refuses them in a value (whatsapp-cloud-api.md §4.2).
pub fn values(typed: &str, wanted: usize) -> Option<Vec<String>> {
    let typed = typed.split_whitespace().collect::<Vec<_>>().join(" ");
    let values: Vec<String> = match wanted {
        _ if typed.contains('|') => typed.split('|').map(|value| unquoted(value.trim()).to_owned()).collect(),
        0 if typed.is_empty() => Vec::new(),
        1 => vec![unquoted(&typed).to_owned()],
        _ => words(&typed),
    };
    (values.len() == wanted && values.iter().all(|value| !value.is_empty())).then_some(values)
}

const QUOTES: [(char, char); 4] = [('"', '"'), ('\'', '\''), ('“', '”'), ('«', '»')];

fn unquoted(value: &str) -> &str {
    let inside = |(open, close): (char, char)| value.strip_prefix(open)?.strip_suffix(close);
    QUOTES.into_iter().find_map(inside).unwrap_or(value)
}

fn words(typed: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut rest = typed.trim();
    while let Some(first) = rest.chars().next() {
        let quoted = QUOTES.into_iter().find(|(open, _)| *open == first).and_then(|(open, close)| {
            rest[open.len_utf8()..].split_once(close).filter(|(_, after)| after.is_empty() || after.starts_with(' '))
        });
        let (word, after) = quoted.or_else(|| rest.split_once(' ')).unwrap_or((rest, ""));
        out.push(word.to_owned());
        rest = after.trim_start();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_emoji_is_one_however_it_is_made_and_words_are_none() {
        for one in ["👍", " ❤️ ", "👍🏽", "👨‍👩‍👧", "🇲🇽", "1️⃣"] {
            assert_eq!(emoji(one), Some(one.trim()), "{one}");
        }
        for no in ["", "👍👍", "👍 gracias", "ok", "a", "ñ", "7", ":)", "!"] {
            assert_eq!(emoji(no), None, "{no}");
        }
    }

    #[test]
    fn values_are_read_as_agents_type_them() {
        let read = |typed: &str| values(typed, 2).map(|values| values.join("/"));
        assert_eq!(read("Ana López | RX 150").as_deref(), Some("Ana López/RX 150"));
        assert_eq!(read("Ana 250Z").as_deref(), Some("Ana/250Z"));
        assert_eq!(read("\"Ana López\" “RX 150”").as_deref(), Some("Ana López/RX 150"));
        assert_eq!(read("Ana\n\n250Z").as_deref(), Some("Ana/250Z"));
        for wrong in ["", "Ana", "Ana López 250Z", "Ana |", "a | b | c"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
        assert_eq!(values("Ana López", 1), Some(vec!["Ana López".to_owned()]));
        assert_eq!(values("", 0), Some(Vec::new()));
        assert_eq!(values("Ana", 0), None);
    }
}
