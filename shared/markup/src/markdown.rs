//! Writes Markdown as Chatwoot shows it, with `~~strike~~`. What is written is checked by reading it again.

use super::{
    Block, Document, Placed, Span, Style, compare,
    escape::{self, Caution},
    push_text,
    read::parse,
};

/// How a block is written; the first way that reads back as meant is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Way {
    caution: Caution,
    /// Whether styles are marks; else WhatsApp's own marks are shown.
    styled: bool,
}

const WAYS: [Way; 3] = [
    Way { caution: Caution::Least, styled: true },
    Way { caution: Caution::Most, styled: true },
    Way { caution: Caution::Most, styled: false },
];

/// Writes a document; `None` if it would be read as something else.
pub(super) fn compose(document: &Document) -> Option<String> {
    let ways: Vec<Way> = document.0.iter().map(way).collect();
    let text = write(document, |at| ways[at]);
    let reads = |text: &str, meant: &Document| compare::look(&parse(text)) == compare::look(meant);
    if ways.iter().all(|way| way.styled) && reads(&text, document) {
        return Some(text);
    }
    let mut shown = document.clone();
    for (placed, _) in shown.0.iter_mut().zip(&ways).filter(|(_, way)| !way.styled) {
        placed.block.show_marks();
    }
    if reads(&text, &shown) {
        return Some(text);
    }
    let cautious = write(document, |_| WAYS[1]);
    reads(&cautious, document).then_some(cautious)
}

/// Writes a document with every possible mark escaped.
pub(super) fn compose_escaped(document: &Document) -> String {
    write(document, |_| WAYS[2])
}

/// The first way in which the block alone is read as what it is.
fn way(placed: &Placed) -> Way {
    let alone = |block: Block| Document(vec![Placed { gap: 0, block }]);
    let reads = |way: &&Way| {
        let mut meant = placed.block.clone();
        if !way.styled {
            meant.show_marks();
        }
        let text = write(&alone(placed.block.clone()), |_| **way);
        compare::look(&parse(&text)) == compare::look(&alone(meant))
    };
    *WAYS.iter().find(reads).unwrap_or(&WAYS[2])
}

impl Block {
    /// Styles become the marks WhatsApp has for them.
    fn show_marks(&mut self) {
        if let Self::Paragraph(spans) | Self::Quote(spans) | Self::Item { spans, .. } = self {
            *spans = shown(spans);
        }
    }
}

fn shown(spans: &[Span]) -> Vec<Span> {
    let mut out = Vec::new();
    for span in spans {
        match span {
            Span::Styled(style, _, inner) => {
                let mark = style.mark().to_string();
                push_text(&mut out, &mark);
                for span in shown(inner) {
                    match span {
                        Span::Text(text) => push_text(&mut out, &text),
                        other => out.push(other),
                    }
                }
                push_text(&mut out, &mark);
            }
            Span::Text(text) => push_text(&mut out, text),
            other => out.push(other.clone()),
        }
    }
    out
}

fn write(document: &Document, way: impl Fn(usize) -> Way) -> String {
    let mut out = String::new();
    let mut before = None;
    for (at, Placed { gap, block }) in document.0.iter().enumerate() {
        let least = before.map_or(0, |before| least_gap(before, block));
        out.extend(std::iter::repeat_n('\n', (*gap).max(least)));
        let shown = if way(at).styled { block.clone() } else { with_marks(block) };
        let caution = way(at).caution;
        match &shown {
            Block::Paragraph(spans) => inline(spans, "\n", caution, &mut out),
            Block::Quote(spans) => {
                out.push_str("> ");
                inline(spans, "\n> ", caution, &mut out);
            }
            Block::Item { number, spans, .. } => {
                let mark = number.map_or_else(|| "- ".to_owned(), |number| format!("{number}. "));
                let indent = format!("\n{}", " ".repeat(mark.len()));
                out.push_str(&mark);
                inline(spans, &indent, caution, &mut out);
            }
            Block::Code(code) => {
                let fence = "`".repeat(longest_run(code).max(2) + 1);
                out.extend([fence.as_str(), "\n", code, "\n", &fence]);
            }
        }
        before = Some(block);
    }
    out
}

fn with_marks(block: &Block) -> Block {
    let mut block = block.clone();
    block.show_marks();
    block
}

/// A line below a list or a quote would continue it, unless an empty line stands between.
fn least_gap(before: &Block, next: &Block) -> usize {
    match (before, next) {
        (Block::Item { number: None, .. }, Block::Item { number: None, .. })
        | (Block::Item { number: Some(_), .. }, Block::Item { number: Some(_), .. }) => 1,
        (Block::Item { .. } | Block::Quote(_), _) | (Block::Paragraph(_), Block::Paragraph(_)) => 2,
        (Block::Paragraph(_), Block::Item { number: Some(number), .. }) if *number != 1 => 2,
        _ => 1,
    }
}

fn inline(spans: &[Span], line_end: &str, caution: Caution, out: &mut String) {
    let mut starts = true;
    for span in spans {
        match span {
            Span::Text(text) if starts && is_indented(text) => {
                // Four blanks would make it code.
                out.push('\u{a0}');
                escape::words(&text[1..], false, caution, out);
            }
            Span::Text(text) => escape::words(text, starts, caution, out),
            Span::Url(url) => out.push_str(url),
            Span::Code(code) => {
                let mark = "`".repeat(longest_run(code) + 1);
                let pad = if code.starts_with('`') || code.ends_with('`') { " " } else { "" };
                out.extend([mark.as_str(), pad, code, pad, &mark]);
            }
            Span::Styled(style, _, inner) => {
                let mark = match style {
                    Style::Bold => "**",
                    Style::Italic => "_",
                    Style::Strike => "~~",
                };
                out.push_str(mark);
                inline(inner, line_end, caution, out);
                out.push_str(mark);
            }
            Span::Break => out.push_str(line_end),
        }
        starts = *span == Span::Break;
    }
}

fn is_indented(text: &str) -> bool {
    let indent = &text[..text.len() - text.trim_start_matches([' ', '\t']).len()];
    indent.len() >= 4 || indent.contains('\t')
}

fn longest_run(code: &str) -> usize {
    code.split(|c| c != '`').map(str::len).max().unwrap_or_default()
}
