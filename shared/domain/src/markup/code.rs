//! Code within a line that goes out as it was typed, since WhatsApp would not show it as code.

use super::ends_in_hard_break;

/// The words that a span of code is for WhatsApp, if it is none there: over several lines, or between more backticks than it needs.
/// It is read from its source, backticks included, and lies in so many quotes and maybe in a list.
pub(super) fn typed(source: &str, quotes: usize, in_list: bool) -> Option<String> {
    let ticks = source.len() - source.trim_start_matches('`').len();
    let inside = source.get(ticks..source.len().saturating_sub(ticks)).unwrap_or_default();
    if source.contains('\n') {
        return Some(lines(source, quotes, in_list));
    }
    let longest = inside.split(|c| c != '`').map(str::len).max().unwrap_or_default();
    // The composer writes code with one more backtick than stand together in it. WhatsApp shows it between three.
    let composed = ticks == longest + 1 && longest < 3;
    (!composed).then(|| source.to_owned())
}

/// The lines without what they have in front of them for a quote or a list, and without the backslash of a hard line end.
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
    // The backslash that keeps `>5` from being a quote is not its writer's.
    if line.starts_with("\\>") { &line[1..] } else { line }
}
