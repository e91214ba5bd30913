//! Cuts a text with WhatsApp's marks in two. It tells which marks are open at the cut, and how a text looks to its reader.

use super::{
    Block, MAX_DEPTH, Span, Style,
    whatsapp::{self, FENCE, closing, opens, verbatim},
};

/// What has to be written at a cut so that both halves look as the whole did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Open {
    /// At the end of the first half.
    pub closes: String,
    /// At the beginning of the second.
    pub reopens: String,
}

/// What is open in a text for WhatsApp at the byte `cut`.
pub fn open_at(text: &str, cut: usize) -> Open {
    let before = &text[..cut];
    if let Some(fence) = open_fence(text, cut) {
        let closes = if before.trim_end_matches(' ').ends_with('\n') { FENCE } else { "\n```" };
        let reopens = if fence { "```\n".to_owned() } else { String::new() };
        return Open { closes: closes.to_owned(), reopens };
    }
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    let end = text[cut..].find('\n').map_or(text.len(), |at| cut + at);
    let line = &text[start..end];
    let goes_on = !text[cut..end].trim().is_empty();
    let quoted = goes_on && cut > start + 2 && line.trim_start().starts_with("> ");
    let mut marks = Vec::new();
    enclosing(line, cut - start, 0, &mut marks);
    let mut open = Open { closes: String::new(), reopens: if quoted { "> ".to_owned() } else { String::new() } };
    open.closes.extend(marks.iter().rev().copied());
    open.reopens.extend(marks);
    open
}

/// Whether the cut lies in a block of code; and if so, whether the block goes on behind the cut.
fn open_fence(text: &str, cut: usize) -> Option<bool> {
    let mut at = 0;
    while at < text.len() {
        let lead = text[at..].len() - text[at..].trim_start_matches(|c: char| c.is_whitespace() && c != '\n').len();
        let inside = at + lead + FENCE.len();
        let code = text[at + lead..].strip_prefix(FENCE).and_then(|rest| rest.find(FENCE).map(|end| &rest[..end]));
        if let Some(code) = code.filter(|code| code.contains('\n') && !code.trim().is_empty()) {
            let end = inside + code.len();
            if (inside..=end).contains(&cut) {
                return Some(!text[cut..end].trim().is_empty());
            }
            at = end + FENCE.len();
            continue;
        }
        at += text[at..].find('\n').map_or(text.len() - at, |end| end + 1);
        if at > cut {
            break;
        }
    }
    None
}

/// The marks around a position in a line, the outermost first.
fn enclosing(line: &str, cut: usize, depth: usize, marks: &mut Vec<&'static str>) {
    let mut ignored = Vec::new();
    let mut open_ended = Vec::new();
    let mut at = 0;
    while at < cut
        && let Some(c) = line[at..].chars().next()
    {
        if let Some(length) = verbatim(line, at, c, true, &mut ignored) {
            if cut < at + length && c == '`' {
                marks.push(if line[at..].starts_with(FENCE) { FENCE } else { "`" });
            }
            at += length;
            continue;
        }
        let style = Style::of(c).filter(|_| depth < MAX_DEPTH && !open_ended.contains(&c) && opens(line, at));
        if let Some(style) = style {
            match closing(line, at, c) {
                Some(end) if cut <= end => {
                    marks.push(match style {
                        Style::Bold => "*",
                        Style::Italic => "_",
                        Style::Strike => "~",
                    });
                    return enclosing(&line[at + 1..end], cut - at - 1, depth + 1, marks);
                }
                Some(end) => {
                    at = end + 1;
                    continue;
                }
                None => open_ended.push(c),
            }
        }
        at += c.len_utf8();
    }
}

const CODE: u8 = 8;
const BLOCK: u8 = 16;
const QUOTE: u8 = 32;

/// How a text for WhatsApp looks: its letters without blanks, except those at the start of a line of code, each with the styles
/// it is shown in. A text that was cut well still looks the same.
pub fn looks(text: &str) -> Vec<(char, u8)> {
    let mut out = Vec::new();
    for placed in whatsapp::parse(text).0 {
        match &placed.block {
            Block::Paragraph(inner) => letters(inner, 0, &mut out),
            Block::Quote(inner) => letters(inner, QUOTE, &mut out),
            // Before a line, the mark of a list is as visible as the words.
            Block::Item { number, spans, .. } => {
                let mark = number.map_or_else(|| "-".to_owned(), |number| format!("{number}."));
                solid(&mark, 0, &mut out);
                letters(spans, 0, &mut out);
            }
            Block::Code(code) => {
                for line in code.split('\n').filter(|line| !line.trim().is_empty()) {
                    let indent = &line[..line.len() - line.trim_start().len()];
                    out.extend(indent.chars().map(|c| (c, BLOCK)));
                    solid(line, BLOCK, &mut out);
                }
            }
        }
    }
    out
}

fn letters(spans: &[Span], styles: u8, out: &mut Vec<(char, u8)>) {
    for span in spans {
        match span {
            Span::Text(text) | Span::Url(text) => solid(text, styles, out),
            Span::Code(code) => solid(code, styles | CODE, out),
            Span::Styled(Style::Bold, _, inner) => letters(inner, styles | 1, out),
            Span::Styled(Style::Italic, _, inner) => letters(inner, styles | 2, out),
            Span::Styled(Style::Strike, _, inner) => letters(inner, styles | 4, out),
            Span::Break => {}
        }
    }
}

fn solid(text: &str, styles: u8, out: &mut Vec<(char, u8)>) {
    out.extend(text.chars().filter(|c| !c.is_whitespace()).map(|c| (c, styles)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(text: &str) -> (String, String) {
        let cut = text.find('|').unwrap();
        let open = open_at(&text.replacen('|', "", 1), cut);
        (open.closes, open.reopens)
    }

    #[test]
    fn what_is_open_is_closed_and_opened_again() {
        let both = |closes: &str, reopens: &str| (closes.to_owned(), reopens.to_owned());
        assert_eq!(open("*uno| dos*"), both("*", "*"));
        assert_eq!(open("*uno _dos| tres_ y* más"), both("_*", "*_"));
        assert_eq!(open("*uno*| dos"), both("", ""));
        assert_eq!(open("5*3| y 4*2"), both("", ""));
        assert_eq!(open("`uno| dos`"), both("`", "`"));
        assert_eq!(open("> *uno| dos*"), both("*", "> *"));
        assert_eq!(open("> uno dos|\ntres"), both("", ""));
        assert_eq!(open("```\nuno\n|dos\n```"), both("```", "```\n"));
        assert_eq!(open("```\nuno |dos\n```"), both("\n```", "```\n"));
        assert_eq!(open("https://x.mx/_a_| b"), both("", ""));
    }
}
