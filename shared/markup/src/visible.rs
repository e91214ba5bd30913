//! Selects the styles of a Markdown text that WhatsApp would show. The others go out as they were typed.
//!
//! Markdown sees emphasis within a word: `120*70*17` loses its stars. WhatsApp shows a style only from the edge of one word to
//! the edge of another, so there the stars are letters.

use super::{Span, Style, is_word, push_text};

/// Markdown's other mark for bold, which is none of WhatsApp's: `__init__`.
const UNKNOWN: &str = "__";

/// The spans with only the styles that WhatsApp shows; the marks of all others are words.
pub(super) fn styles(spans: &[Span]) -> Vec<Span> {
    among(spans, Around { before: None, after: None, active: &[] })
}

/// The spans of a line in bold, if WhatsApp shows that.
pub(super) fn bold(spans: &[Span]) -> Option<Vec<Span>> {
    let mark = Some(Style::Bold.mark());
    let inner = among(spans, Around { before: mark, after: mark, active: &[Style::Bold] });
    let around = Around { before: None, after: None, active: &[] };
    is_shown(Style::Bold, &inner, around).then(|| vec![Span::Styled(Style::Bold, "", inner)])
}

/// The characters beside some spans on their line, and the styles they are in.
#[derive(Clone, Copy)]
struct Around<'a> {
    before: Option<char>,
    after: Option<char>,
    active: &'a [Style],
}

fn among(spans: &[Span], around: Around<'_>) -> Vec<Span> {
    let mut out = Vec::new();
    let mut before = around.before;
    for (at, span) in spans.iter().enumerate() {
        let Span::Styled(style, typed, inner) = span else {
            match span {
                Span::Text(text) => push_text(&mut out, text),
                other => out.push(other.clone()),
            }
            before = last(std::slice::from_ref(span), before);
            continue;
        };
        let after = first(&spans[at + 1..], around.after);
        let here = Around { before, after, ..around };
        let is_mark = *typed != UNKNOWN && !(*typed == "*" && is_dialed(inner, after));
        if is_mark && around.active.contains(style) {
            let inner = among(inner, here);
            before = last(&inner, before);
            extend(&mut out, inner);
        } else if is_mark && is_shown(*style, inner, here) {
            let mark = Some(style.mark());
            let active = [around.active, &[*style]].concat();
            let inner = among(inner, Around { before: mark, after: mark, active: &active });
            out.push(Span::Styled(*style, typed, inner));
            before = mark;
        } else {
            let (opens, closes) = (typed.chars().next_back().or(before), typed.chars().next().or(after));
            push_text(&mut out, typed);
            extend(&mut out, among(inner, Around { before: opens, after: closes, active: around.active }));
            push_text(&mut out, typed);
            before = last(&out, before);
        }
    }
    out
}

/// Whether what stands between two stars is a code to be dialed, such as `*111*#`.
fn is_dialed(inner: &[Span], after: Option<char>) -> bool {
    after == Some('#') && written(inner).chars().all(|c| c.is_ascii_digit() || c == '#')
}

/// Whether WhatsApp shows the style on each of its lines.
fn is_shown(style: Style, inner: &[Span], around: Around<'_>) -> bool {
    let mark = style.mark();
    let text = written(inner);
    let lines: Vec<&str> = text.split('\n').collect();
    let joins = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == mark);
    let blank = |c: Option<char>| c.is_none_or(char::is_whitespace);
    let (first, last) = (lines[0], lines[lines.len() - 1]);
    let opens = blank(first.chars().next()) || !joins(around.before);
    let closes = blank(last.chars().next_back()) || !joins(around.after);
    let edges = |line: &&str| {
        let line = line.trim();
        line.is_empty() || !line.starts_with(mark) && !line.ends_with(mark)
    };
    opens && closes && text.contains(is_word) && lines.iter().all(edges)
}

/// The spans as a line or more of text, with the marks of the styles within.
fn written(spans: &[Span]) -> String {
    let mut out = String::new();
    for span in spans {
        match span {
            Span::Text(text) | Span::Url(text) => out.push_str(text),
            Span::Code(code) => out.extend(["`", code, "`"]),
            Span::Styled(style, typed, inner) => {
                let mark = style.mark().to_string();
                let mark = if *typed == UNKNOWN { typed } else { mark.as_str() };
                out.extend([mark, &written(inner), mark]);
            }
            Span::Break => out.push('\n'),
        }
    }
    out
}

/// The character with which the spans begin on this line.
fn first(spans: &[Span], otherwise: Option<char>) -> Option<char> {
    let mut texts = spans.iter().map(|span| written(std::slice::from_ref(span)));
    let text = texts.find(|text| !text.is_empty());
    text.map_or(otherwise, |text| text.chars().next().filter(|c| *c != '\n'))
}

/// The character with which the spans end on this line.
fn last(spans: &[Span], otherwise: Option<char>) -> Option<char> {
    let mut texts = spans.iter().rev().map(|span| written(std::slice::from_ref(span)));
    let text = texts.find(|text| !text.is_empty());
    text.map_or(otherwise, |text| text.chars().next_back().filter(|c| *c != '\n'))
}

fn extend(spans: &mut Vec<Span>, more: Vec<Span>) {
    for span in more {
        match span {
            Span::Text(text) => push_text(spans, &text),
            other => spans.push(other),
        }
    }
}
