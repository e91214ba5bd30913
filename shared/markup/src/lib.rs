//! Converts text markup between WhatsApp and Chatwoot. WhatsApp's marks and Chatwoot's Markdown meet in one small tree, so that
//! what is bold for one is bold for the other, and what only looks like a mark stays what it is.
//!
//! Neither side can express everything: WhatsApp has no links with a text of their own and no headings, Markdown no empty
//! lines. What cannot be expressed is written out; no word is ever dropped.

mod compare;
mod cut;
mod escape;
mod markdown;
mod meant;
mod read;
mod url;
mod visible;
mod whatsapp;

/// Styles nested deeper than this do not count as styles; this also bounds recursion.
const MAX_DEPTH: usize = 8;

/// A longer text is shown as it is. WhatsApp's longest has 4,096 characters.
const MAX_TEXT_BYTES: usize = 100_000;

/// Turns a text from WhatsApp into Markdown for Chatwoot.
pub fn to_markdown(text: &str) -> String {
    if text.len() > MAX_TEXT_BYTES {
        return literal(text);
    }
    let document = whatsapp::parse(text);
    markdown::compose(&document).unwrap_or_else(|| literal(text))
}

/// A text without marks as Markdown that shows it as it is.
pub fn literal(text: &str) -> String {
    let document = whatsapp::parse_plain(text);
    if text.len() > MAX_TEXT_BYTES {
        return markdown::compose_escaped(&document);
    }
    markdown::compose(&document).unwrap_or_else(|| markdown::compose_escaped(&document))
}

/// The same within a line: line ends become spaces.
pub fn literal_line(text: &str) -> String {
    literal(&text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Markdown, as Chatwoot's editor writes it, as a text for WhatsApp. What is no style of WhatsApp's goes out as typed.
pub fn to_whatsapp(markdown: &str) -> String {
    trimmed_lines(&meant::write(markdown)).to_owned()
}

pub use cut::{Open, looks, open_at};

/// A text without blank lines at its start and without white space at its end: the writer typed the blanks of its first line.
pub fn trimmed_lines(text: &str) -> &str {
    let text = text.trim_end();
    let start = text.len() - text.trim_start().len();
    &text[text[..start].rfind('\n').map_or(0, |at| at + 1)..]
}

/// Markdown without blanks at its ends, and without a hard line end after which nothing comes: its backslash would be shown.
pub fn trimmed(markdown: &str) -> &str {
    let text = markdown.trim();
    match markdown.trim_start().strip_prefix(text) {
        Some(rest) if rest.contains('\n') && ends_in_hard_break(text) => text[..text.len() - 1].trim_end(),
        _ => text,
    }
}

/// Whether a line ends in a backslash that is not itself escaped.
fn ends_in_hard_break(line: &str) -> bool {
    (line.len() - line.trim_end_matches('\\').len()) % 2 == 1
}

/// Whether a text for WhatsApp has an address of which Meta can show a preview: only those with a scheme (§4.2).
pub fn has_link(text: &str) -> bool {
    text.char_indices().any(|(at, c)| matches!(c, 'h' | 'H') && url::at(text, at).is_some())
}

/// Blocks, each with the number of line ends before it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Document(Vec<Placed>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Placed {
    gap: usize,
    block: Block,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Block {
    Paragraph(Vec<Span>),
    /// A line of a list, with its number if it has one.
    Item {
        number: Option<u64>,
        depth: usize,
        spans: Vec<Span>,
    },
    Quote(Vec<Span>),
    Code(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Span {
    Text(String),
    /// An address both sides make clickable by themselves; nothing in it is a mark.
    Url(String),
    Code(String),
    /// A style with the mark it was typed with; empty where no mark was typed.
    Styled(Style, &'static str, Vec<Span>),
    Break,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    Bold,
    Italic,
    Strike,
}

/// Whether a character is more than a mark or a blank. A style without one styles nothing.
fn is_word(c: char) -> bool {
    !c.is_whitespace() && !matches!(c, '*' | '_' | '~' | '`')
}

/// One kind of line end.
fn with_plain_line_ends(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

/// Adds words to the last span, if that is a text.
fn push_text(spans: &mut Vec<Span>, text: &str) {
    match spans.last_mut() {
        _ if text.is_empty() => {}
        Some(Span::Text(last)) => last.push_str(text),
        _ => spans.push(Span::Text(text.to_owned())),
    }
}

#[cfg(test)]
mod tests;
