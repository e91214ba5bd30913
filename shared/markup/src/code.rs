//! Writes out as typed the code that WhatsApp would not show as code.

use super::ends_in_hard_break;

/// The words that a span of code becomes for WhatsApp, if it is not code there: over several lines, or between more backticks
/// than it needs. The function reads its source, backticks included. The span lies inside the given quotes and maybe in a list.
pub(super) fn typed(source: &str, quotes: usize, in_list: bool) -> Option<String> {
    let ticks = source.len() - source.trim_start_matches('`').len();
    let inside = source.get(ticks..source.len().saturating_sub(ticks)).unwrap_or_default();
    if source.contains('\n') {
        return Some(lines(source, quotes, in_list));
    }
    let longest = inside.split(|c| c != '`').map(str::len).max().unwrap_or_default();
    // The composer surrounds code with one more backtick than the code has in a row. WhatsApp shows it between three.
    let composed = ticks == longest + 1 && longest < 3;
    (!composed).then(|| source.to_owned())
}

/// The lines without their quote or list prefix, and without the backslash of a hard line end.
fn lines(source: &str, quotes: usize, in_list: bool) -> String {
    let mut out = String::with_capacity(source.len());
    let mut lines = source.split('\n').peekable();
    let mut is_first = true;
    while let Some(mut line) = lines.next() {
        if !is_first {
            out.push('\n');
            line = line_of(line, quotes, in_list);
        }
        is_first = false;
        let is_broken = lines.peek().is_some() && ends_in_hard_break(line);
        out.push_str(if is_broken { &line[..line.len() - 1] } else { line });
    }
    out
}

fn line_of(mut line: &str, quotes: usize, in_list: bool) -> &str {
    for _ in 0..quotes {
        let Some(rest) = line.trim_start_matches(' ').strip_prefix('>') else { break };
        line = rest.strip_prefix(' ').unwrap_or(rest);
    }
    if in_list {
        line = line.trim_start_matches(' ');
    }
    // The writer did not type the backslash that keeps `>5` from being a quote.
    if line.starts_with("\\>") { &line[1..] } else { line }
}
