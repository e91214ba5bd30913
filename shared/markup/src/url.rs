//! Finds web addresses in running text, as chat programs do.

/// Surround the number that stands for an address while the text is parsed: nothing in an address is a mark. Neither occurs in
/// any text.
pub(super) const HIDDEN: (char, char) = ('\u{fdd0}', '\u{fdd1}');

/// The address that begins at `at`, if one does.
pub(super) fn at(text: &str, at: usize) -> Option<&str> {
    let rest = &text[at..];
    let scheme = ["https://", "http://", "www."]
        .into_iter()
        .find(|scheme| rest.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)))?;
    if text[..at].chars().next_back().is_some_and(char::is_alphanumeric) {
        return None;
    }
    let end = rest
        .find(|c: char| c.is_whitespace() || c.is_control() || matches!(c, '<' | '>' | '"' | '`' | '\\' | '[' | ']'));
    let mut url = &rest[..end.unwrap_or(rest.len())];
    // Punctuation or a mark that a sentence puts behind an address is not part of it.
    while let Some(last) = url.chars().next_back() {
        let ends = match last {
            '.' | ',' | ';' | ':' | '!' | '?' | '\'' | '*' | '_' | '~' | '}' | '|' => true,
            ')' => url.matches(')').count() > url.matches('(').count(),
            _ => false,
        };
        if !ends {
            break;
        }
        url = &url[..url.len() - last.len_utf8()];
    }
    (url.len() > scheme.len()).then_some(url)
}

/// Whether an address could begin with this character.
pub(super) fn may_start(c: char) -> bool {
    matches!(c, 'h' | 'H' | 'w' | 'W')
}

/// A text with a number in place of each of its addresses, and the addresses.
pub(super) fn hidden(text: &str) -> (String, Vec<String>) {
    let (mut out, mut urls, mut at) = (String::new(), Vec::new(), 0);
    if text.contains(HIDDEN.0) {
        return (text.to_owned(), urls);
    }
    while let Some(c) = text[at..].chars().next() {
        // In a link the parser handles the address.
        let bare = may_start(c) && !text[..at].ends_with('<') && !text[..at].ends_with("](");
        if bare && let Some(found) = self::at(text, at) {
            out.push(HIDDEN.0);
            out.push_str(&urls.len().to_string());
            out.push(HIDDEN.1);
            urls.push(found.to_owned());
            at += found.len();
        } else {
            out.push(c);
            at += c.len_utf8();
        }
    }
    (out, urls)
}

/// Whether an address is one of the web.
pub(super) fn is_web(to: &str) -> bool {
    to.starts_with(HIDDEN.0) || at(to, 0).is_some()
}

/// The address of a link as people read it; `None` for that of a mention, which leads somewhere inside Chatwoot.
pub(super) fn shown(to: &str) -> Option<&str> {
    let (scheme, rest) = to.split_once(':').unwrap_or_default();
    match scheme.to_ascii_lowercase().as_str() {
        "mention" => None,
        "mailto" | "tel" => Some(rest),
        _ => Some(to),
    }
}

/// The address of a picture without the size in which Chatwoot shows it.
pub(super) fn without_size(to: &str) -> String {
    let Some((path, query)) = to.split_once('?') else { return to.to_owned() };
    let kept: Vec<&str> = query.split('&').filter(|pair| !pair.starts_with("cw_image_height=")).collect();
    if kept.is_empty() { path.to_owned() } else { format!("{path}?{}", kept.join("&")) }
}
