//! Reads and writes WhatsApp's text marks. These are `*bold*`, `_italic_`, `~strike~`, `` `code` ``, ```` ```blocks``` ````,
//! lists and quotes by line.
//!
//! A mark counts only at the edge of a word, with no space on its inner side, and within one line.

use super::{Block, Document, MAX_DEPTH, Placed, Span, Style, is_word, push_text, url, with_plain_line_ends};

pub(super) const FENCE: &str = "```";

/// Reads a text with its marks.
pub(super) fn parse(text: &str) -> Document {
    let text = with_plain_line_ends(text);
    let mut document = Document::default();
    let mut gap = 0;
    let mut rest = text.as_str();
    while !rest.is_empty() {
        if let Some((code, after)) = fenced(rest) {
            document.push(gap, Block::Code(code.to_owned()));
            (gap, rest) = (0, after);
            continue;
        }
        let (line, after) = rest.split_once('\n').map_or((rest, None), |(line, after)| (line, Some(after)));
        if !line.trim().is_empty() {
            document.push(gap, block(line));
            gap = 0;
        }
        gap += usize::from(after.is_some());
        rest = after.unwrap_or_default();
    }
    document.without_odd_numbers()
}

/// Reads a text in which nothing is a mark.
pub(super) fn parse_plain(text: &str) -> Document {
    let mut document = Document::default();
    let mut gap = 0;
    for line in with_plain_line_ends(text).split('\n') {
        if !line.trim().is_empty() {
            document.push(gap, Block::Paragraph(spans(line, MAX_DEPTH, false)));
            gap = 0;
        }
        gap += 1;
    }
    document
}

/// A block of code at the start of `text`, over more than one line, and what follows.
pub(super) fn fenced(text: &str) -> Option<(&str, &str)> {
    let inside = text.trim_start_matches(|c: char| c.is_whitespace() && c != '\n').strip_prefix(FENCE)?;
    let end = inside.find(FENCE)?;
    let (code, after) = (&inside[..end], &inside[end + FENCE.len()..]);
    if !code.contains('\n') || code.trim().is_empty() {
        return None;
    }
    let code = code.strip_prefix('\n').unwrap_or(code);
    Some((code.strip_suffix('\n').unwrap_or(code), after))
}

/// Whether words follow a mark at once.
fn says(words: &&str) -> bool {
    words.starts_with(|c: char| !c.is_whitespace())
}

/// The words of a line that is a quote.
pub(super) fn quoted(line: &str) -> Option<&str> {
    line.trim_start().strip_prefix("> ").filter(says)
}

fn block(whole: &str) -> Block {
    let line = whole.trim_start();
    let item = |number, words: &str| Block::Item { number, depth: 0, spans: spans(words, 0, true) };
    if let Some(words) = quoted(line) {
        return Block::Quote(spans(words, 0, true));
    }
    if let Some(words) = line.strip_prefix("- ").or_else(|| line.strip_prefix("* ")).filter(says) {
        return item(None, words);
    }
    let digits = line.len() - line.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let plain = (1..=9).contains(&digits) && (digits == 1 || !line.starts_with('0'));
    if plain && let Some(words) = line[digits..].strip_prefix(". ").filter(says) {
        return item(line[..digits].parse().ok(), words);
    }
    Block::Paragraph(spans(whole, 0, true))
}

impl Document {
    /// Adds a block. A line right below another of its kind goes on with it.
    fn push(&mut self, gap: usize, block: Block) {
        let gap = if self.0.is_empty() { 0 } else { gap };
        let before = if gap == 1 { self.0.last_mut().map(|placed| &mut placed.block) } else { None };
        match (before, block) {
            (Some(Block::Paragraph(before)), Block::Paragraph(spans))
            | (Some(Block::Quote(before)), Block::Quote(spans)) => {
                before.push(Span::Break);
                before.extend(spans);
            }
            (_, block) => self.0.push(Placed { gap, block }),
        }
    }

    /// Markdown counts by itself. Numbers that do not go up one by one are words.
    fn without_odd_numbers(self) -> Self {
        let number = |placed: &Placed| match placed.block {
            Block::Item { number, .. } => number,
            _ => None,
        };
        let mut out = Self::default();
        let mut blocks = self.0.into_iter().peekable();
        while let Some(first) = blocks.next() {
            let mut run = vec![first];
            while let (Some(last), Some(next)) = (run.last().and_then(number), blocks.peek())
                && number(next).is_some()
            {
                run.extend(blocks.next_if(|next| number(next).is_some()));
                debug_assert!(last < u64::MAX);
            }
            let counts = run.windows(2).all(|pair| number(&pair[0]).map(|n| n + 1) == number(&pair[1]));
            for Placed { gap, block } in run {
                match block {
                    Block::Item { number: Some(number), spans, .. } if !counts => {
                        let mut words = vec![Span::Text(format!("{number}. "))];
                        for span in spans {
                            match span {
                                Span::Text(text) => push_text(&mut words, &text),
                                other => words.push(other),
                            }
                        }
                        out.push(gap, Block::Paragraph(words));
                    }
                    block => out.push(gap, block),
                }
            }
        }
        out
    }
}

impl Style {
    pub(super) fn of(mark: char) -> Option<Self> {
        match mark {
            '*' => Some(Self::Bold),
            '_' => Some(Self::Italic),
            '~' => Some(Self::Strike),
            _ => None,
        }
    }

    pub(super) fn mark(self) -> char {
        match self {
            Self::Bold => '*',
            Self::Italic => '_',
            Self::Strike => '~',
        }
    }
}

/// The spans of one line.
fn spans(line: &str, depth: usize, marks: bool) -> Vec<Span> {
    let mut out = Vec::new();
    // For each mark, whether it has no closing mark left: a mark that closes a later one would also have closed an earlier one.
    let mut open_ended = Vec::new();
    let mut at = 0;
    while let Some(c) = line[at..].chars().next() {
        if let Some(length) = verbatim(line, at, c, marks, &mut out) {
            at += length;
            continue;
        }
        let style = Style::of(c).filter(|_| marks && depth < MAX_DEPTH && !open_ended.contains(&c) && opens(line, at));
        if let Some(style) = style {
            if let Some(end) = closing(line, at, c) {
                out.push(Span::Styled(style, "", spans(&line[at + 1..end], depth + 1, marks)));
                at = end + 1;
                continue;
            }
            open_ended.push(c);
        }
        push_text(&mut out, c.encode_utf8(&mut [0; 4]));
        at += c.len_utf8();
    }
    out
}

/// Code or an address at `at`, in which nothing is a mark; its length.
pub(super) fn verbatim(line: &str, at: usize, c: char, marks: bool, out: &mut Vec<Span>) -> Option<usize> {
    if url::may_start(c)
        && let Some(url) = url::at(line, at)
    {
        out.push(Span::Url(url.to_owned()));
        return Some(url.len());
    }
    let (length, code) = code(line, at, c).filter(|_| marks)?;
    out.push(Span::Code(code.to_owned()));
    Some(length)
}

/// Code that begins at `at`: its length with its marks, and what is in it.
fn code(line: &str, at: usize, c: char) -> Option<(usize, &str)> {
    if c != '`' {
        return None;
    }
    [FENCE, "`"].into_iter().find_map(|mark| {
        let inside = line[at..].strip_prefix(mark)?;
        let code = &inside[..inside.find(mark)?];
        (!code.trim().is_empty()).then_some((code.len() + 2 * mark.len(), code))
    })
}

pub(super) fn opens(line: &str, at: usize) -> bool {
    let mark = line[at..].chars().next();
    let before = line[..at].chars().next_back();
    let after = line[at + 1..].chars().next();
    before.is_none_or(|c| !c.is_alphanumeric() && Some(c) != mark)
        && after.is_some_and(|c| !c.is_whitespace() && Some(c) != mark)
}

/// Where the mark opened at `start` is closed.
pub(super) fn closing(line: &str, start: usize, mark: char) -> Option<usize> {
    let mut at = start + 1;
    let mut ignored = Vec::new();
    while let Some(c) = line[at..].chars().next() {
        if let Some(length) = verbatim(line, at, c, true, &mut ignored) {
            at += length;
            continue;
        }
        let before = line[..at].chars().next_back();
        let after = line[at + c.len_utf8()..].chars().next();
        let closes = c == mark
            && line[start + 1..at].contains(is_word)
            && before.is_some_and(|c| !c.is_whitespace() && c != mark)
            && after.is_none_or(|c| !c.is_alphanumeric() && c != mark);
        if closes {
            return Some(at);
        }
        at += c.len_utf8();
    }
    None
}

/// Spans with WhatsApp's marks, line by line.
pub(super) fn lines(spans: &[Span]) -> Vec<String> {
    split(spans).iter().map(|line| words(line)).collect()
}

/// Spans line by line; a style over several lines is put around each of them.
fn split(spans: &[Span]) -> Vec<Vec<Span>> {
    let mut lines = vec![Vec::new()];
    let mut add = |span: Span, new: bool| {
        if new {
            lines.push(Vec::new());
        }
        if let Some(last) = lines.last_mut() {
            last.push(span);
        }
    };
    for span in spans {
        match span {
            Span::Break => add(Span::Text(String::new()), true),
            Span::Styled(style, typed, inner) => {
                for (at, line) in split(inner).into_iter().enumerate() {
                    add(Span::Styled(*style, typed, line), at > 0);
                }
            }
            other => add(other.clone(), false),
        }
    }
    lines
}

/// One line with its marks. Blanks stand outside the marks.
fn words(spans: &[Span]) -> String {
    let mut out = String::new();
    for span in spans {
        match span {
            Span::Text(text) | Span::Url(text) => out.push_str(text),
            Span::Code(code) if code.contains('`') => out.extend([FENCE, code, FENCE]),
            Span::Code(code) => out.extend(["`", code, "`"]),
            Span::Break => {}
            Span::Styled(style, _, inner) => {
                let inner = words(inner);
                let (shown, mark) = (inner.trim(), style.mark());
                if shown.is_empty() {
                    out.push_str(&inner);
                    continue;
                }
                let lead = inner.len() - inner.trim_start().len();
                out.push_str(&inner[..lead]);
                out.push(mark);
                out.push_str(shown);
                out.push(mark);
                out.push_str(&inner[lead + shown.len()..]);
            }
        }
    }
    out
}
