//! Finds the parameter that a sentence of Meta's names.

use super::{
    Parameter,
    names::{EVERYDAY, GENERIC, KNOWN, LEADS, OTHERS, PAIRS},
};

/// A word of a sentence, and how it is marked.
#[expect(clippy::struct_excessive_bools, reason = "each is a mark of its own")]
struct Word<'t> {
    text: &'t str,
    /// As the API spells it: the first word of a sentence begins with a capital.
    name: String,
    /// In quotes, with a colon before or behind it, or directly after "parameter": the sentence speaks about the word itself.
    set_off: bool,
    /// In quotes directly after "parameter name": what a template calls one of its fields.
    of_template: bool,
    /// Part of an address, a file's name or a longer word.
    part: bool,
    /// Whether nothing but blanks and quotes stands between it and the word before.
    follows: bool,
}

/// The parameter a sentence names: a template's field, then the first name that is marked and known, then a path or a name with
/// underscores, then a name of two words, then the first known name. A word that is not a name of the API's own may be a
/// person's, and is ignored.
pub(super) fn parameter(details: &str) -> Option<Parameter> {
    let words = words(details);
    if let Some(own) = words.iter().find(|word| word.of_template && is_own(word.text)) {
        return Parameter::new(own.text);
    }
    let path = |text: &str| text.contains(['_', '.', '[']);
    let named =
        words.iter().filter(|word| !word.part && is_of_the_api(&word.name)).map(|word| (word, flat(&word.name)));
    let named: Vec<(&Word<'_>, String)> = named.filter(|(_, name)| Parameter::new(name).is_some()).collect();
    let first = |counts: fn(bool, bool, bool) -> bool| {
        let mut found = named.iter().filter(|(word, name)| counts(word.set_off, path(word.text), is_known(name)));
        found.next().map(|(_, name)| name.as_str())
    };
    let found = first(|set_off, _, known| set_off && known)
        .or_else(|| first(|_, path, known| path && known))
        .or_else(|| first(|_, path, _| path))
        .or_else(|| pair(&words))
        .or_else(|| {
            let plain = |(_, name): &&(_, String)| is_known(name) && !EVERYDAY.contains(&name.as_str());
            named.iter().find(plain).map(|(_, name)| name.as_str())
        })
        .or_else(|| first(|set_off, _, _| set_off));
    found.and_then(Parameter::new)
}

/// The first name that is written as two words.
fn pair(words: &[Word<'_>]) -> Option<&'static str> {
    let same = |word: &Word<'_>, name: &str| !word.part && word.text.eq_ignore_ascii_case(name);
    words.windows(2).filter(|two| two[1].follows).find_map(|two| {
        let known = PAIRS.iter().find(|(first, second, _)| same(&two[0], first) && same(&two[1], second));
        known.map(|(_, _, name)| *name)
    })
}

/// Whether each step of a path is a name of the API's own or an index in a list.
fn is_of_the_api(path: &str) -> bool {
    let known = |step: &str| KNOWN.contains(&step) || OTHERS.contains(&step);
    let place = |step: &str| step.len() <= 3 && step.bytes().all(|b| b.is_ascii_digit());
    steps(path).all(|step| known(step) || place(step))
}

/// Whether a template may give a field this name.
fn is_own(name: &str) -> bool {
    name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

/// Whether an agent has a word for it; for a path, the last step counts.
fn is_known(name: &str) -> bool {
    name.rsplit('.').next().is_some_and(|last| KNOWN.contains(&last))
}

/// The words of a sentence; a path such as `template['components'][0]` is one.
fn words(details: &str) -> Vec<Word<'_>> {
    let inside = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '[' | ']');
    let bytes = details.as_bytes();
    let (mut out, mut quoted, mut colons) = (Vec::<Word<'_>>::new(), Vec::new(), Vec::new());
    let (mut start, mut ended) = (None, 0);
    for (at, c) in details.char_indices().chain([(details.len(), ' ')]) {
        // A quote within brackets belongs to a path.
        let in_path = matches!(c, '\'' | '"')
            && (at > 0 && bytes[at - 1] == b'[' || start.is_some() && bytes.get(at + 1) == Some(&b']'));
        match (start, inside(c) || in_path) {
            (None, true) => start = Some(at),
            (Some(from), false) => {
                let text = details[from..at].trim_end_matches('.');
                let before = details[..from].trim_end().chars().next_back();
                let after = details[from + text.len()..].chars().next();
                let in_quotes = is_quote(before) && is_quote(after);
                let ahead = details[..from].trim_end_matches(['\'', '"', '`']).trim_end();
                let of_template = in_quotes && ahead.to_ascii_lowercase().ends_with("parameter name");
                let part = goes_on(details[..from].chars().next_back()) || goes_on(details[at..].chars().next());
                let begins = before.is_none_or(|c| matches!(c, '.' | ')' | ':' | ';' | '!' | '?'));
                let name = if begins { text.to_ascii_lowercase() } else { text.to_owned() };
                let follows = details[ended..from].chars().all(|c| c.is_whitespace() || is_quote(Some(c)));
                let part = part || details[at..].starts_with("://");
                out.push(Word { text, name, set_off: false, of_template, part, follows });
                quoted.push(in_quotes);
                colons.push(before == Some(':') || after == Some(':'));
                (start, ended) = (None, from + text.len());
            }
            _ => {}
        }
    }
    for at in 0..out.len() {
        let named = is_named(&out[..=at], out.get(at + 1));
        out[at].set_off = quoted[at] || named || (colons[at] && !GENERIC.contains(&out[at].name.as_str()));
    }
    out
}

/// Whether the last of these words stands directly after "parameter" or "of type": then it is the name. A word that an ordinary
/// sentence may need there counts only where something is said about it.
fn is_named(words: &[Word<'_>], next: Option<&Word<'_>>) -> bool {
    let [before @ .., word] = words else { return false };
    let behind = |back: usize| before.len().checked_sub(back).and_then(|at| before.get(at)).map(|word| word.text);
    let is = |back: usize, names: &[&str]| {
        behind(back).is_some_and(|text| names.iter().any(|name| text.eq_ignore_ascii_case(name)))
    };
    if !word.follows {
        return false;
    }
    let told = || {
        let verbs = ["is", "are", "was", "has", "must", "should", "cannot", "can", "may", "needs"];
        next.is_some_and(|next| verbs.contains(&next.text))
    };
    match word.name.as_str() {
        "to" => is(1, &LEADS) && (next.is_none() || told()),
        name if GENERIC.contains(&name) => is(1, &LEADS) && is(2, &["the"]) && told(),
        _ => is(1, &LEADS) || (is(1, &["type"]) && is(2, &["of"])),
    }
}

fn is_quote(c: Option<char>) -> bool {
    matches!(c, Some('\'' | '"' | '`'))
}

/// Whether a word goes on beyond such a neighbour, as addresses and names of files and people do.
fn goes_on(neighbour: Option<char>) -> bool {
    neighbour.is_some_and(|c| {
        c.is_alphanumeric() || matches!(c, '@' | '/' | '\\' | '-' | '+' | '=' | '&' | '?' | '%' | '#' | '~')
    })
}

/// The steps of a path such as `template['components'][0]`.
fn steps(path: &str) -> impl Iterator<Item = &str> {
    path.split(['[', ']', '.', '\'', '"']).filter(|step| !step.is_empty())
}

/// A path without its brackets and indices, at most its last two steps: `image.link` of
/// `template['components'][0]['image']['link']`.
fn flat(path: &str) -> String {
    let steps: Vec<&str> = steps(path).filter(|step| !step.bytes().all(|b| b.is_ascii_digit())).collect();
    steps[steps.len().saturating_sub(2)..].join(".")
}
