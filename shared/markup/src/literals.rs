//! Protects text that Markdown would hide although its writer meant it to be read.

use pulldown_cmark::{Event, Parser, Tag};

use super::read::OPTIONS;

/// A line such as `[Ubicación]: https://…` defines a link's address, and is not shown. With a backslash it is text.
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

/// A line that begins with three tildes opens a block of code, and the rest of it is taken for a language. The composer writes
/// blocks with backticks, so tildes are the writer's ornament.
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

/// Stand for a blank and a tab at the start of a line while Markdown is read. Neither occurs in any text.
const BLANKS: [(char, char); 2] = [(' ', '\u{2007}'), ('\t', '\u{205f}')];

/// Markdown drops blanks at the start of a line, or makes code of the line; and it takes `>5` for a quote, which WhatsApp does
/// not. What lies in a list or a block of code stays as it is.
pub(super) fn with_line_starts_shown(markdown: &str) -> String {
    let mut out = String::with_capacity(markdown.len() + 8);
    let (mut in_list, mut in_code, mut in_quote) = (false, false, false);
    let keeps_blanks = !BLANKS.iter().any(|(_, substitute)| markdown.contains(*substitute));
    for line in markdown.split_inclusive('\n') {
        let words = line.trim_start_matches([' ', '\t']);
        let lead = &line[..line.len() - words.len()];
        let is_fence = words.starts_with("```");
        if in_code || is_fence || words.trim().is_empty() {
            out.push_str(line);
            // A fence that is closed on its own line opens nothing.
            in_code ^= is_fence && (in_code || !words[3..].contains("```"));
            continue;
        }
        in_list = starts_item(words) || in_list && !lead.is_empty();
        if !in_list && keeps_blanks && !words.starts_with(['#', '>', '|']) {
            out.extend(
                lead.chars()
                    .map(|c| BLANKS.iter().find(|(blank, _)| *blank == c).map_or(c, |(_, substitute)| *substitute)),
            );
        } else {
            out.push_str(lead);
        }
        let quoted = words.strip_prefix('>');
        let is_comparison =
            quoted.is_some_and(|rest| !in_quote && !rest.starts_with([' ', '\t', '>', '\n']) && !rest.is_empty());
        if is_comparison {
            out.push('\\');
        }
        in_quote = quoted.is_some() && !is_comparison;
        out.push_str(words);
    }
    out
}

/// A text for WhatsApp with the blanks at the start of its lines restored.
pub(super) fn with_blanks(text: String) -> String {
    let substitute = |text: String, (blank, substitute): (char, char)| {
        if text.contains(substitute) { text.replace(substitute, &blank.to_string()) } else { text }
    };
    BLANKS.into_iter().fold(text, substitute)
}

/// Whether a line begins an item of a list, or a quote, where blanks tell how deep a line lies.
fn starts_item(words: &str) -> bool {
    let digits = words.len() - words.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let rest = match digits {
        0 => words.strip_prefix(['-', '*', '+']),
        1..=9 => words[digits..].strip_prefix(['.', ')']),
        _ => None,
    };
    rest.is_some_and(|rest| rest.trim_end().is_empty() || rest.starts_with([' ', '\t']))
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

/// The code in the text, where a backslash would be shown.
fn code(markdown: &str) -> Vec<std::ops::Range<usize>> {
    let is_code = |event: &Event<'_>| matches!(event, Event::Start(Tag::CodeBlock(_)) | Event::Code(_));
    let events = Parser::new_ext(markdown, OPTIONS).into_offset_iter();
    events.filter(|(event, _)| is_code(event)).map(|(_, range)| range).collect()
}
