//! Addresses in a running text, as chat programs find them.

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
    // What a sentence or a mark puts behind an address is not part of it.
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

/// The address of a link as people read it; nothing if it leads somewhere inside Chatwoot, as that of a mention does.
pub(super) fn shown(to: &str) -> Option<&str> {
    let Some((scheme, rest)) = to.split_once(':') else { return Some(to) };
    match scheme.to_ascii_lowercase().as_str() {
        "http" | "https" => Some(to),
        "mailto" | "tel" => Some(rest),
        // A host with its port has no scheme.
        scheme => scheme.contains(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '+' | '-')).then_some(to),
    }
}

/// The address of a picture without the size in which Chatwoot shows it.
pub(super) fn without_size(to: &str) -> String {
    let Some((path, query)) = to.split_once('?') else { return to.to_owned() };
    let kept: Vec<&str> = query.split('&').filter(|pair| !pair.starts_with("cw_image_height=")).collect();
    if kept.is_empty() { path.to_owned() } else { format!("{path}?{}", kept.join("&")) }
}
