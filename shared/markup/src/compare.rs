//! Compares two documents by how they look. How words are cut into spans, and how many blanks stand at the edge of a line,
//! cannot be seen.

use super::{Block, Document, Span, push_text};

/// A document without what cannot be seen.
pub(super) fn look(document: &Document) -> Vec<Block> {
    let spans = |spans: &[Span]| trimmed(&merged(spans));
    document
        .0
        .iter()
        .map(|placed| match &placed.block {
            Block::Paragraph(inner) => Block::Paragraph(spans(inner)),
            Block::Quote(inner) => Block::Quote(spans(inner)),
            Block::Item { number, depth, spans: inner, .. } => {
                Block::Item { number: *number, depth: *depth, spans: spans(inner) }
            }
            Block::Code(_) => placed.block.clone(),
        })
        .collect()
}

fn merged(spans: &[Span]) -> Vec<Span> {
    let mut out = Vec::new();
    for span in spans {
        match span {
            Span::Text(text) | Span::Url(text) => push_text(&mut out, &text.replace(['\u{a0}', '\t'], " ")),
            Span::Styled(style, _, inner) => out.push(Span::Styled(*style, "", merged(inner))),
            Span::Code(code) => out.push(Span::Code(code.trim().to_owned())),
            Span::Break => out.push(Span::Break),
        }
    }
    out
}

/// Blanks at the edges of lines.
fn trimmed(spans: &[Span]) -> Vec<Span> {
    let breaks = |at: Option<usize>| at.and_then(|at| spans.get(at)).is_none_or(|span| *span == Span::Break);
    let trimmed = spans.iter().enumerate().map(|(at, span)| match span {
        Span::Text(text) => {
            let text = if breaks(at.checked_sub(1)) { text.trim_start() } else { text };
            Span::Text(if breaks(Some(at + 1)) { text.trim_end() } else { text }.to_owned())
        }
        other => other.clone(),
    });
    trimmed.filter(|span| *span != Span::Text(String::new())).collect()
}
