//! Escapes characters that Markdown would take for marks, with a backslash.

/// Which characters count as possible marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caution {
    /// Only what Chatwoot's renderer changes in every context. Most texts need no more, and stay readable where they are not
    /// rendered.
    Least,
    /// Everything that may be a mark somewhere.
    Most,
}

/// Writes words so that they are shown as they are. `starts` tells whether they are at the start of a line.
pub(super) fn words(text: &str, starts: bool, caution: Caution, out: &mut String) {
    let mut before = if starts { None } else { Some('x') };
    let mut at = 0;
    if starts && !text.trim().is_empty() && text.trim().chars().all(|c| c == '=') {
        // Below another line it would make that line a heading.
        at = line_start(text, out);
    } else if starts && caution == Caution::Most {
        at = line_start(text, out);
        before = text[..at].chars().next_back();
    }
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at + c.len_utf8()..];
        let after = rest.chars().next();
        if is_always_changed(c, rest) || (caution == Caution::Most && may_be_mark(before, c, after)) {
            out.push('\\');
        }
        out.push(c);
        before = Some(c);
        at += c.len_utf8();
    }
}

/// HTML is shown as it is, but not by every program that shows Markdown; the typographer replaces `(c)` and `+-` by one sign.
fn is_always_changed(c: char, rest: &str) -> bool {
    match c {
        '<' => rest.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '!' | '?')),
        '(' => ["c)", "r)", "tm)", "p)"]
            .iter()
            .any(|sign| rest.get(..sign.len()).is_some_and(|start| start.eq_ignore_ascii_case(sign))),
        '+' => rest.starts_with('-'),
        _ => false,
    }
}

fn may_be_mark(before: Option<char>, c: char, after: Option<char>) -> bool {
    let word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    match c {
        '\\' => after.is_none_or(|c| c.is_ascii_punctuation()),
        '_' => !(word(before) && word(after)),
        '*' | '~' | '`' | '[' | ']' | '<' | '&' | '|' | '!' => true,
        _ => false,
    }
}

/// Writes the start of a line up to where a mark of a whole line could begin, and escapes that. Gives the position reached.
fn line_start(text: &str, out: &mut String) -> usize {
    let indent = text.len() - text.trim_start_matches(' ').len();
    let body = &text[indent..];
    let digits = body.len() - body.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let mark = match body.chars().next() {
        Some('#' | '>' | '+' | '-' | '=' | ':') => indent,
        Some(c) if c.is_ascii_digit() && body[digits..].starts_with(['.', ')']) => indent + digits,
        _ => return 0,
    };
    out.push_str(&text[..mark]);
    out.push('\\');
    out.push_str(&text[mark..=mark]);
    mark + 1
}
