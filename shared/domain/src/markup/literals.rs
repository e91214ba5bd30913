//! What Markdown takes for itself and never shows, though whoever wrote it meant it to be read.

use pulldown_cmark::{Event, Parser, Tag};

use super::read::OPTIONS;

/// A line such as `[Ubicación]: https://…` gives links an address, and is not shown. With a backslash it is words.
pub(super) fn with_definitions_shown(markdown: String) -> String {
    if !markdown.contains("]:") {
        return markdown;
    }
    let code = code(&markdown);
    let mut out = String::with_capacity(markdown.len() + 8);
    let mut start = 0;
    for line in markdown.split_inclusive('\n') {
        let mark = |c: char| c.is_ascii_digit() || matches!(c, ' ' | '\t' | '>' | '-' | '*' | '+' | '.' | ')');
        let lead = line.len() - line.trim_start_matches(mark).len();
        let at = start + lead;
        out.push_str(&line[..lead]);
        if is_definition(&markdown[at..]) && !code.iter().any(|range| range.contains(&at)) {
            out.push('\\');
        }
        out.push_str(&line[lead..]);
        start += line.len();
    }
    out
}

/// A line that begins with three tildes opens a block of code, and what else it says is taken for a language. The composer writes
/// blocks with backticks; tildes are somebody's ornament.
pub(super) fn with_tildes_shown(mut markdown: String) -> String {
    let is_block = |event: &Event<'_>| matches!(event, Event::Start(Tag::CodeBlock(_)));
    let mut from = 0;
    while markdown[from..].contains("~~~") {
        let mut events = Parser::new_ext(&markdown, OPTIONS).into_offset_iter();
        let blocks = events.by_ref().filter(|(event, _)| is_block(event)).map(|(_, range)| range.start);
        let Some(at) = blocks.filter(|at| *at >= from).find(|at| markdown[*at..].starts_with('~')) else { break };
        let rest = markdown[at..].trim_start_matches('~');
        let tildes = markdown.len() - at - rest.len();
        markdown.replace_range(at..at + tildes, &"\\~".repeat(tildes));
        from = at + 2 * tildes;
    }
    markdown
}

/// Whether a text begins as `[label]:`; a label may go over several lines.
fn is_definition(text: &str) -> bool {
    let Some(label) = text.strip_prefix('[') else { return false };
    let mut escaped = false;
    let end = label.find(|c| {
        let ends = matches!(c, '[' | ']') && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    });
    end.is_some_and(|end| label[end..].starts_with("]:"))
}

/// Where code stands, in which a backslash would be shown.
fn code(markdown: &str) -> Vec<std::ops::Range<usize>> {
    let is_code = |event: &Event<'_>| matches!(event, Event::Start(Tag::CodeBlock(_)) | Event::Code(_));
    let events = Parser::new_ext(markdown, OPTIONS).into_offset_iter();
    events.filter(|(event, _)| is_code(event)).map(|(_, range)| range).collect()
}
