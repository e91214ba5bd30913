//! Renders messages of the past as notes: many messages in each, the oldest first.
//! Reactions, edits and deletions are applied to their message; a deleted text is not written.

use std::collections::HashMap;

use chatwoot::render;
use domain::{
    Author, Content, Identity, KeyedHash, Message, PastMessage, PhoneNumberId, Timestamp, Wamid, message::MediaKind,
};
use texts::{
    Locale,
    history::{self, PastText, ShopTime},
};

/// The most characters of a note.
const MAX_NOTE: usize = 8_000;

/// What the title may take.
const TITLE_RESERVE: usize = 300;

/// How much of a long text is rendered at once: marks that are written out may double it.
const PIECE: usize = 2_500;

/// How much of a message is quoted.
const QUOTE: usize = 60;

/// One note.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Note {
    /// Its text.
    pub(crate) content: String,
    /// When its newest message was written.
    pub(crate) newest: Timestamp,
    /// The messages in it.
    pub(crate) messages: Vec<Written>,
}

/// A message that stands in a note, or changed one there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) id: Wamid,
    pub(crate) author: Author,
    pub(crate) at: Timestamp,
}

/// The notes, and how many messages change one that is not here.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Rendered {
    pub(crate) notes: Vec<Note>,
    pub(crate) about_others: i64,
}

/// In which words and by which clock it is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    pub(crate) locale: Locale,
    pub(crate) utc_offset: i64,
    /// Since when files may follow, if they come at all.
    pub(crate) files_since: Option<Timestamp>,
}

impl Style {
    fn file(self, kind: Option<MediaKind>, message: &PastMessage) -> String {
        let may_come = self.files_since.is_some_and(|since| message.at >= since);
        history::file(kind, may_come, self.locale)
    }
}

/// A message with what became of it.
struct Entry<'m> {
    message: &'m PastMessage,
    content: &'m Content,
    edited: bool,
    deleted: bool,
    /// The last reaction of each side.
    reactions: Vec<(Author, &'m str)>,
    changes: Vec<&'m PastMessage>,
}

/// A part of a message on its lines, and the message it ends, if it does.
struct Block {
    text: String,
    at: Timestamp,
    ends: Vec<Written>,
}

/// Renders messages, which are in the order of their times.
pub(crate) fn notes(messages: &[&PastMessage], style: Style) -> Rendered {
    let (entries, about_others) = applied(messages);
    let places: HashMap<&str, &Entry<'_>> = entries.iter().map(|entry| (entry.message.id.as_str(), entry)).collect();
    let blocks = entries.iter().flat_map(|entry| blocks(entry, &places, style)).collect();
    Rendered { notes: packed(blocks, style), about_others }
}

/// Applies reactions, edits and deletions.
fn applied<'m>(messages: &[&'m PastMessage]) -> (Vec<Entry<'m>>, i64) {
    let mut entries: Vec<Entry<'m>> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    let mut about_others = 0;
    let is_change =
        |content: &Content| matches!(content, Content::Reaction { .. } | Content::Edit { .. } | Content::Revoke { .. });
    for message in messages.iter().copied().filter(|message| !is_change(&message.content)) {
        places.insert(message.id.as_str(), entries.len());
        entries.push(Entry {
            message,
            content: &message.content,
            edited: false,
            deleted: false,
            reactions: Vec::new(),
            changes: Vec::new(),
        });
    }
    for message in messages.iter().copied().filter(|message| is_change(&message.content)) {
        let (Content::Reaction { to: target, .. }
        | Content::Edit { original: target, .. }
        | Content::Revoke { original: target }) = &message.content
        else {
            continue;
        };
        let Some(entry) = places.get(target.as_str()).and_then(|at| entries.get_mut(*at)) else {
            about_others += 1;
            continue;
        };
        entry.changes.push(message);
        match &message.content {
            Content::Reaction { emoji, .. } => {
                entry.reactions.retain(|(author, _)| *author != message.author);
                entry.reactions.extend(emoji.as_deref().map(|emoji| (message.author, emoji)));
            }
            Content::Edit { content, .. } => (entry.content, entry.edited) = (content, true),
            _ => entry.deleted = true,
        }
    }
    (entries, about_others)
}

fn blocks(entry: &Entry<'_>, places: &HashMap<&str, &Entry<'_>>, style: Style) -> Vec<Block> {
    let Style { locale, utc_offset, .. } = style;
    let message = entry.message;
    let clock = if message.timeless {
        PastText::NoTime.text(locale)
    } else {
        ShopTime::at(message.at.as_secs(), utc_offset).clock()
    };
    let head = format!("{clock} **{}:**", history::side(message.author, locale));
    let mut parts = if entry.deleted { vec![PastText::Deleted.text(locale)] } else { words(entry, style) };
    if let (Some(quoted), Some(first), false) = (&message.reply_to, parts.first_mut(), entry.deleted) {
        let quoted = places.get(quoted.as_str()).filter(|quoted| !quoted.deleted);
        let quoted = quoted.map(|quoted| excerpt(quoted, style)).filter(|words| !words.is_empty());
        let answers = quoted.as_deref().map_or(PastText::AnswersAnother, PastText::Answers).text(locale);
        *first = joined(&answers, first);
    }
    if let Some(last) = parts.last_mut() {
        let mut marks: Vec<String> = Vec::new();
        if entry.edited && !entry.deleted {
            marks.push(PastText::Edited.text(locale));
        }
        if let (Author::Business, Some(state)) = (message.author, message.state) {
            marks.push(history::state(state, locale).to_owned());
        }
        marks.extend(entry.reactions.iter().map(|(_, emoji)| markup::literal_line(emoji)));
        for mark in marks {
            // A mark at the end of a block of code or a list would become part of it.
            let by = if last.contains('\n') { "\n\n" } else { " " };
            last.push_str(by);
            last.push_str(&mark);
        }
    }
    let written = |message: &PastMessage| Written { id: message.id.clone(), author: message.author, at: message.at };
    let all = std::iter::once(message).chain(entry.changes.iter().copied()).map(written).collect::<Vec<_>>();
    let count = parts.len();
    let block = |(at, part): (usize, String)| {
        let text = if at == 0 { joined(&head, &part) } else { part };
        Block { text, at: message.at, ends: if at + 1 == count { all.clone() } else { Vec::new() } }
    };
    parts.into_iter().enumerate().map(block).collect()
}

/// What a message says, in pieces that fit into a note.
fn words(entry: &Entry<'_>, style: Style) -> Vec<String> {
    match entry.content {
        Content::Text { body } => pieces(body).into_iter().map(markup::to_markdown).collect(),
        Content::Unsupported { what, .. } if what == "media_placeholder" => vec![style.file(None, entry.message)],
        content => {
            let message = as_message(entry.message, content.clone());
            let rendered = render::render(&message, style.locale);
            let file = rendered.file.map(|media| style.file(Some(media.kind), entry.message)).unwrap_or_default();
            let text = joined(&file, &rendered.text);
            vec![text.chars().take(MAX_NOTE - TITLE_RESERVE * 2).collect()]
        }
    }
}

fn as_message(message: &PastMessage, content: Content) -> Message {
    Message {
        channel: PhoneNumberId::new(""),
        item: KeyedHash::new(""),
        id: None,
        author: message.author,
        customer: Identity::default(),
        name: None,
        username: None,
        sent_at: message.at,
        reply_to: None,
        forwarded: false,
        forwarded_often: false,
        referral: None,
        product: None,
        speaker: None,
        part_of: None,
        standby: false,
        content,
    }
}

/// Cuts a long text at the ends of its lines or words.
fn pieces(body: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = body;
    while let Some((limit, _)) = rest.char_indices().nth(PIECE) {
        let before = &rest[..limit];
        let end = before.rfind('\n').or_else(|| before.rfind(' ')).filter(|end| *end > 0).unwrap_or(limit);
        let (piece, tail) = rest.split_at(end);
        pieces.push(piece);
        rest = tail.trim_start_matches(['\n', ' ']);
    }
    if !rest.is_empty() || pieces.is_empty() {
        pieces.push(rest);
    }
    pieces
}

/// The beginning of what a message says, on one line.
fn excerpt(entry: &Entry<'_>, style: Style) -> String {
    let text = match entry.content {
        Content::Text { body } => body.clone(),
        Content::Media { media, caption } => {
            caption.clone().unwrap_or_else(|| style.file(Some(media.kind), entry.message))
        }
        Content::Unsupported { what, .. } if what == "media_placeholder" => style.file(None, entry.message),
        _ => return String::new(),
    };
    let short: String = text.chars().take(QUOTE).collect();
    let cut = if short.len() < text.len() { "…" } else { "" };
    markup::literal_line(&format!("{short}{cut}"))
}

/// With a space between; a text of several lines, or one whose beginning Markdown reads, begins on a line of its own.
fn joined(first: &str, second: &str) -> String {
    if first.is_empty() || second.is_empty() {
        return format!("{first}{second}");
    }
    let marked = second.starts_with(|c: char| "->`*+#=".contains(c) || c.is_ascii_digit());
    let by = if second.contains('\n') || (marked && is_block(second)) { "\n" } else { " " };
    format!("{first}{by}{second}")
}

/// Whether Markdown reads a line as more than words only where it begins a line.
fn is_block(line: &str) -> bool {
    let number = line.trim_start_matches(|c: char| c.is_ascii_digit());
    let listed = number.len() < line.len() && (number.starts_with(". ") || number.starts_with(") "));
    listed || ["- ", "+ ", "* ", "> ", "#", "```"].iter().any(|mark| line.starts_with(mark))
}

/// Puts blocks into notes. Each note begins with the day.
fn packed(blocks: Vec<Block>, style: Style) -> Vec<Note> {
    struct Open {
        text: String,
        length: usize,
        day: Option<i64>,
        from: Timestamp,
        to: Timestamp,
        messages: Vec<Written>,
    }
    let mut closed: Vec<Open> = Vec::new();
    for block in blocks {
        let day = ShopTime::at(block.at.as_secs(), style.utc_offset);
        let length = block.text.chars().count() + 40;
        let fits = closed.last().is_some_and(|open| open.length + length <= MAX_NOTE - TITLE_RESERVE);
        if !fits {
            let (from, to) = (block.at, block.at);
            closed.push(Open { text: String::new(), length: 0, day: None, from, to, messages: Vec::new() });
        }
        let Some(open) = closed.last_mut() else { continue };
        if open.day != Some(day.day()) {
            if !open.text.is_empty() {
                open.text.push_str("\n\n");
            }
            open.text.extend(["**", &day.heading(style.locale), "**"]);
            open.day = Some(day.day());
            open.length += 30;
        }
        open.text.push('\n');
        // What follows a list or a block of code would become part of it.
        if open.text.lines().next_back().is_some_and(str::is_empty) || block.text.contains('\n') {
            open.text.push('\n');
        }
        open.text.push_str(&block.text);
        if block.text.contains('\n') {
            open.text.push('\n');
        }
        open.length += length;
        open.to = open.to.max(block.at);
        open.messages.extend(block.ends);
    }
    let count = closed.len();
    let note = |(at, open): (usize, Open)| {
        let times = [open.from, open.to].map(|at| ShopTime::at(at.as_secs(), style.utc_offset));
        let title = history::title(times[0], times[1], (at + 1, count), style.utc_offset, style.locale);
        let content: String = format!("{title}\n\n{}", open.text.trim_end()).chars().filter(|c| *c != '\0').collect();
        Note { content: render::without_liquid(&content), newest: open.to, messages: open.messages }
    };
    closed.into_iter().enumerate().map(note).collect()
}

#[cfg(test)]
mod tests;
