//! The values of a template as an agent types them behind its name.

/// The values that the words of a template ask for, in the order they stand there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Variables(Vec<String>);

impl Variables {
    /// Reads them from the words: what stands between double braces, each once.
    pub fn of(body: &str) -> Self {
        let mut names: Vec<String> = Vec::new();
        for after in body.split("{{").skip(1) {
            if let Some((name, _)) = after.split_once("}}") {
                let name = name.trim();
                if !name.is_empty() && !names.iter().any(|known| known == name) {
                    names.push(name.to_owned());
                }
            }
        }
        // `{{2}}` may stand before `{{1}}`; an agent counts.
        if names.iter().all(|name| name.parse::<u32>().is_ok()) {
            names.sort_by_key(|name| name.parse::<u32>().unwrap_or_default());
        }
        Self(names)
    }

    /// What they are called: numbers, or words.
    pub fn names(&self) -> &[String] {
        &self.0
    }

    /// The values an agent typed: with `|` between them, else the whole if there is one, else word by word, where quotation marks
    /// hold words together. Nothing if these are not as many as are asked for. Line ends and runs of blanks become one blank:
    /// Meta refuses them in a value (§4.2).
    pub fn read(&self, typed: &str) -> Option<Vec<String>> {
        let typed = typed.split_whitespace().collect::<Vec<_>>().join(" ");
        let values: Vec<String> = match self.0.len() {
            _ if typed.contains('|') => typed.split('|').map(|value| unquoted(value.trim()).to_owned()).collect(),
            0 if typed.is_empty() => Vec::new(),
            1 => vec![unquoted(&typed).to_owned()],
            _ => words(&typed),
        };
        (values.len() == self.0.len() && values.iter().all(|value| !value.is_empty())).then_some(values)
    }

    /// The words of a template with the values in their places.
    pub fn fill(&self, body: &str, values: &[String]) -> String {
        let mut pieces = body.split("{{");
        let mut out = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            let value = piece.split_once("}}").and_then(|(name, rest)| {
                let at = self.0.iter().position(|known| known == name.trim())?;
                Some((values.get(at)?, rest))
            });
            match value {
                Some((value, rest)) => out.extend([value.as_str(), rest]),
                None => out.extend(["{{", piece]),
            }
        }
        out
    }
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
    fn values_are_read_as_agents_type_them() {
        let two = Variables::of("Hola {{1}}, su {{ 2 }} está lista, {{1}}.");
        assert_eq!(two.names(), ["1", "2"]);
        let read = |typed: &str| two.read(typed).map(|values| values.join("/"));
        assert_eq!(read("Ana López | RX 150").as_deref(), Some("Ana López/RX 150"));
        assert_eq!(read("Ana 250Z").as_deref(), Some("Ana/250Z"));
        assert_eq!(read("\"Ana López\" “RX 150”").as_deref(), Some("Ana López/RX 150"));
        assert_eq!(read("Ana\n\n250Z").as_deref(), Some("Ana/250Z"));
        for wrong in ["", "Ana", "Ana López 250Z", "Ana |", "a | b | c"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
        let one = Variables::of("Hola {{nombre}}");
        assert_eq!(one.read("Ana López"), Some(vec!["Ana López".to_owned()]));
        assert_eq!(Variables::of("Hola").read(""), Some(Vec::new()));
        assert_eq!(Variables::of("Hola").read("Ana"), None);
    }

    #[test]
    fn the_words_are_filled_in_their_order() {
        let backwards = Variables::of("La {{2}} de {{1}}");
        assert_eq!(backwards.names(), ["1", "2"]);
        let values = backwards.read("Ana | RX").unwrap();
        assert_eq!(backwards.fill("La {{2}} de {{1}}, {{x", &values), "La RX de Ana, {{x");
        let named = Variables::of("{{modelo}} de {{cliente}}");
        assert_eq!(named.fill("{{modelo}} de {{cliente}}", &named.read("RX Ana").unwrap()), "RX de Ana");
    }
}
