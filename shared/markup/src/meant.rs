//! Writes an agent's Markdown for WhatsApp.
//!
//! This module reads what stands at the start of a line, as WhatsApp does; the parser reads only what stands within lines. So a
//! list, a table, a rule, an indented line or a sign that is no mark of WhatsApp's goes out as typed.

use super::{ends_in_hard_break, read, visible, whatsapp, with_plain_line_ends};

/// Blanks that nobody types. One that the text does not have stands at both ends of each line while the parser reads: no mark
/// begins a line then, and no blank at its ends is dropped.
const EDGES: &str = "\u{2007}\u{205f}\u{2000}\u{2001}\u{2002}\u{2004}\u{2005}\u{2006}\u{2008}\u{1680}";

/// What the first line of a block of code may name, and no reader needs to see. Other words there are the writer's.
const LANGUAGES: &str = "bash cpp css csv diff html ini java javascript js json jsx kotlin markdown md php plaintext \
                         powershell py python rb ruby rust sh shell sql swift toml ts tsx txt typescript xml yaml yml";

/// Writes a text. Its lines stay where they are.
pub(super) fn write(markdown: &str) -> String {
    let Some(edge) = EDGES.chars().find(|edge| !markdown.contains(*edge)) else { return markdown.to_owned() };
    let text = with_plain_line_ends(markdown);
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    let mut is_quoted = false;
    while !rest.is_empty() {
        if let Some((_, after)) = whatsapp::fenced(rest) {
            out.push_str(&without_language(&rest[..rest.len() - after.len()]));
            rest = after;
        } else {
            let passage = Passage::read(rest);
            // Between two lines of a quote, the composer marks an empty one.
            let is_empty = passage.lines == [">"] && is_quoted && Passage::line(passage.after.trim_start()).is_quoted();
            if !is_empty {
                out.push_str(&passage.write(edge));
            }
            is_quoted = passage.is_quoted();
            rest = passage.after;
        }
        if let Some(after) = rest.strip_prefix('\n') {
            out.push('\n');
            rest = after;
        }
    }
    out
}

/// A block of code, with its fences, as it was typed.
fn without_language(block: &str) -> String {
    let (fence, code) = block.split_at(block.find(whatsapp::FENCE).unwrap_or_default() + whatsapp::FENCE.len());
    let first = code.split('\n').next().unwrap_or_default();
    let is_language = LANGUAGES.split(' ').any(|language| first.trim().eq_ignore_ascii_case(language));
    format!("{fence}{}", if is_language { &code[first.len()..] } else { code })
}

/// Lines in which a style may go on from one to the next.
struct Passage<'t> {
    /// The mark of a quote, on each line.
    quote: &'t str,
    /// The mark of a heading; its passage has one line.
    heading: &'t str,
    lines: Vec<&'t str>,
    /// The text behind it.
    after: &'t str,
}

impl<'t> Passage<'t> {
    /// The passage at the start of a text.
    fn read(text: &'t str) -> Self {
        let mut passage = Self::line(text);
        while passage.goes_on() {
            let next = Self::line(&passage.after[1..]);
            let is_apart = next.is_blank() || next.quote != passage.quote || !next.heading.is_empty();
            if is_apart || starts_item(next.lines[0]) || whatsapp::fenced(&passage.after[1..]).is_some() {
                break;
            }
            passage.lines.extend(next.lines);
            passage.after = next.after;
        }
        passage
    }

    fn line(text: &'t str) -> Self {
        let (mut line, after) = text.split_at(text.find('\n').unwrap_or(text.len()));
        if !after.is_empty() && ends_in_hard_break(line) {
            line = &line[..line.len() - 1];
        }
        let (quote, line) = line.split_at(whatsapp::quoted(line).map_or(0, |words| line.len() - words.len()));
        let is_indented = quote.starts_with(char::is_whitespace);
        let (heading, line) = line.split_at(if is_indented { 0 } else { heading(line) });
        Self { quote, heading, lines: vec![line], after }
    }

    fn is_quoted(&self) -> bool {
        !self.quote.is_empty()
    }

    fn goes_on(&self) -> bool {
        !self.after.is_empty() && self.heading.is_empty() && !self.is_blank()
    }

    fn is_blank(&self) -> bool {
        self.lines.iter().all(|line| line.trim().is_empty())
    }

    fn write(&self, edge: char) -> String {
        let lines: Vec<_> = self.lines.iter().map(|line| format!("{edge}{line}{edge}")).collect();
        let spans = read::within(&lines.join("\n"), edge);
        let bold = if self.heading.is_empty() { None } else { visible::bold(&spans) };
        let heading = if bold.is_some() { "" } else { self.heading };
        let spans = bold.unwrap_or_else(|| visible::styles(&spans));
        let lines: Vec<_> =
            whatsapp::lines(&spans).into_iter().map(|line| format!("{}{heading}{line}", self.quote)).collect();
        lines.join("\n")
    }
}

/// The length of the mark of a heading. Numbers alone are none, nor is a line with signs at both ends.
fn heading(line: &str) -> usize {
    let words = line.trim_start_matches('#');
    let signs = line.len() - words.len();
    let is_heading = (1..=6).contains(&signs)
        && words.starts_with([' ', '\t'])
        && words.contains(char::is_alphabetic)
        && !words.trim_end().ends_with('#');
    if is_heading { line.len() - words.trim_start().len() } else { 0 }
}

/// Whether a line begins an item of a list.
fn starts_item(line: &str) -> bool {
    let line = line.trim_start();
    let rest = line.trim_start_matches(|c: char| c.is_ascii_digit());
    let marks: &[char] = if rest.len() < line.len() { &['.', ')'] } else { &['-', '*', '+'] };
    rest.strip_prefix(marks).is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t']))
}
