//! As much of Liquid as reaches a chat: values, a few filters, code spans and `raw` left alone, broken syntax left as it is.
//!
//! It is here because it alters what a bridge writes: an echo that contains `{{` does not come out as it went in.

use std::collections::HashMap;

/// The values a template can name, such as `contact.name`.
pub(crate) type Values = HashMap<String, String>;

/// Renders `source`, or gives it back unchanged where Liquid would report a syntax error.
pub(crate) fn render(source: &str, values: &Values) -> String {
    if !source.contains("{{") && !source.contains("{%") {
        return source.to_owned();
    }
    try_render(source, values).unwrap_or_else(|| source.to_owned())
}

fn try_render(source: &str, values: &Values) -> Option<String> {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(at) = rest.find(['`', '{']) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(after) = rest.strip_prefix("{{") {
            let end = after.find("}}")?;
            out.push_str(&evaluate(&after[..end], values)?);
            rest = &after[end + 2..];
        } else if let Some(after) = rest.strip_prefix("{%") {
            let end = after.find("%}")?;
            if after[..end].trim() != "raw" {
                return None;
            }
            let body = &after[end + 2..];
            let close = body.find("{%")?;
            let tail = body[close + 2..].trim_start().strip_prefix("endraw")?.trim_start();
            out.push_str(&body[..close]);
            rest = tail.strip_prefix("%}")?;
        } else if rest.starts_with('`')
            && let Some(end) = rest[1..].find('`')
        {
            out.push_str(&rest[..end + 2]);
            rest = &rest[end + 2..];
        } else {
            out.push_str(&rest[..1]);
            rest = &rest[1..];
        }
    }
    out.push_str(rest);
    Some(out)
}

fn evaluate(expression: &str, values: &Values) -> Option<String> {
    let mut parts = expression.split('|').map(str::trim);
    let name = parts.next()?;
    let literal = name.len() >= 2
        && (name.starts_with('"') && name.ends_with('"') || name.starts_with('\'') && name.ends_with('\''));
    let mut value = if literal {
        name[1..name.len() - 1].to_owned()
    } else if name.chars().all(|letter| letter.is_alphanumeric() || "._-[]\"' ".contains(letter)) {
        values.get(name).cloned().unwrap_or_default()
    } else {
        return None;
    };
    for filter in parts {
        let (filter, argument) = filter.split_once(':').unwrap_or((filter, ""));
        value = match filter.trim() {
            "upcase" => value.to_uppercase(),
            "downcase" => value.to_lowercase(),
            "capitalize" => capitalize(&value),
            "default" if value.is_empty() => argument.trim().trim_matches(['"', '\'']).to_owned(),
            _ => value,
        };
    }
    Some(value)
}

/// The first letter in upper case, the others in lower case, as Ruby's `capitalize`.
pub(crate) fn capitalize(word: &str) -> String {
    let mut letters = word.chars();
    letters
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(letters.flat_map(char::to_lowercase)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(source: &str) -> String {
        render(source, &Values::from([("contact.name".to_owned(), "Ana Pérez".to_owned())]))
    }

    #[test]
    fn values_are_filled_in_and_unknown_ones_vanish() {
        assert_eq!(rendered("Hola {{contact.name}}, {{ contact.name | upcase }}!"), "Hola Ana Pérez, ANA PÉREZ!");
        assert_eq!(rendered("a{{ nobody.knows }}b {{ x | default: \"nada\" }}"), "ab nada");
    }

    #[test]
    fn code_raw_and_broken_syntax_stay() {
        assert_eq!(rendered("`{{contact.name}}` {{contact.name}}"), "`{{contact.name}}` Ana Pérez");
        assert_eq!(rendered("{% raw %}{{contact.name}}{% endraw %}"), "{{contact.name}}");
        for broken in ["{{contact.name", "{% if %}{{contact.name}}", "{{contact.name}} {{ + }}"] {
            assert_eq!(rendered(broken), broken);
        }
    }
}
