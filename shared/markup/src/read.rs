//! Reads Markdown as Chatwoot's editor writes it. The parser is `pulldown-cmark`.

use std::ops::Range;

use pulldown_cmark::{CowStr, Event, LinkType, Options, Parser, Tag, TagEnd};

use super::{
    Block, Document, MAX_DEPTH, Placed, Span, Style, ends_in_hard_break, push_text, url, with_plain_line_ends,
};

/// The extensions that are read besides plain Markdown.
const OPTIONS: Options = Options::ENABLE_STRIKETHROUGH.union(Options::ENABLE_TABLES);

/// Reads Markdown as it is rendered. How many line ends stand between blocks is not read.
pub(super) fn parse(markdown: &str) -> Document {
    Document(read(&with_plain_line_ends(markdown), None))
}

/// Reads lines of Markdown as their writer meant them. Each has `edge` at both ends, so that nothing in them is a block.
pub(super) fn within(lines: &str, edge: char) -> Vec<Span> {
    let spans = |placed| match placed {
        Placed { block: Block::Paragraph(spans), .. } => spans,
        _ => Vec::new(),
    };
    read(lines, Some(edge)).into_iter().flat_map(spans).collect()
}

fn read(markdown: &str, edge: Option<char>) -> Vec<Placed> {
    let (source, urls) = url::hidden(markdown);
    let mut reader = Reader {
        source: &source,
        urls: &urls,
        edge,
        blocks: Vec::new(),
        open: vec![(None, Vec::new())],
        lists: 0,
        item: None,
        quotes: 0,
        code: None,
    };
    for (event, range) in Parser::new_ext(&source, OPTIONS).into_offset_iter() {
        reader.event(event, range);
    }
    reader.leaf();
    reader.blocks
}

/// Collects what the parser reports.
struct Reader<'s> {
    source: &'s str,
    urls: &'s [String],
    /// Stands at the ends of each line, if it is read as it was meant and not as it is rendered.
    edge: Option<char>,
    blocks: Vec<Placed>,
    /// Spans being read; above the first, those of a style or a link.
    open: Vec<(Option<Opened>, Vec<Span>)>,
    lists: usize,
    /// The list item whose first line has not come yet: its number and its depth.
    item: Option<(Option<u64>, usize)>,
    quotes: usize,
    code: Option<String>,
}

enum Opened {
    /// With the mark it was typed with.
    Style(Style, &'static str),
    /// A link or a picture, with its address if that is shown.
    Link(Option<String>),
    /// What goes out as it was typed.
    Typed,
}

impl Reader<'_> {
    fn event(&mut self, event: Event<'_>, range: Range<usize>) {
        match event {
            Event::Start(tag) => self.start(tag, range),
            Event::End(tag) => self.end(tag, range),
            Event::Text(text) if self.code.is_some() => self.code.get_or_insert_default().push_str(&text),
            Event::Text(text) if self.is_open_break(range.end) => self.words(&text[..text.len() - 1]),
            Event::Text(_) if self.is_entity(&range) => self.typed(range),
            Event::Text(text)
            | Event::Html(text)
            | Event::InlineHtml(text)
            | Event::FootnoteReference(text)
            | Event::InlineMath(text)
            | Event::DisplayMath(text) => self.words(&text),
            Event::Code(_) if self.edge.is_some() && !is_composed(&self.source[range.clone()]) => self.typed(range),
            Event::Code(code) => self.push(Span::Code(self.with_urls(&code))),
            Event::SoftBreak | Event::HardBreak => self.push(Span::Break),
            // WhatsApp has none. As code, it is like nothing of WhatsApp's.
            Event::Rule => self.place(Block::Code(String::new())),
            Event::TaskListMarker(_) => {}
        }
    }

    /// Whether an entity was typed, `&lt;` or `&#42;`, which WhatsApp shows as it stands. The blank that editors write does not
    /// count.
    fn is_entity(&self, range: &Range<usize>) -> bool {
        let typed = self.source.get(range.clone()).unwrap_or_default();
        self.edge.is_some() && typed.len() > 2 && typed.starts_with('&') && typed.ends_with(';') && typed != "&nbsp;"
    }

    /// Whether words end in a hard line end without effect, since the block ends there: its backslash would be shown.
    fn is_open_break(&self, end: usize) -> bool {
        let (before, after) = self.source.split_at_checked(end).unwrap_or_default();
        after.starts_with('\n') && ends_in_hard_break(before)
    }

    fn start(&mut self, tag: Tag<'_>, range: Range<usize>) {
        let opened = match tag {
            Tag::Paragraph | Tag::HtmlBlock => return,
            Tag::BlockQuote(_) => {
                self.leaf();
                self.quotes += 1;
                return;
            }
            Tag::CodeBlock(_) => {
                self.leaf();
                self.code = Some(String::new());
                return;
            }
            Tag::List(_) => {
                self.leaf();
                self.lists += 1;
                return;
            }
            Tag::Item => {
                self.leaf();
                // As it is written: Markdown would count on from the first.
                let marked = self.source[range.start..].trim_start();
                let digits = marked.len() - marked.trim_start_matches(|c: char| c.is_ascii_digit()).len();
                self.item = Some((marked[..digits].parse().ok(), self.lists.saturating_sub(1)));
                return;
            }
            Tag::Emphasis | Tag::Strong | Tag::Strikethrough if self.open.len() > MAX_DEPTH => Opened::Typed,
            Tag::Heading { .. } => Opened::Style(Style::Bold, ""),
            Tag::Emphasis => Opened::Style(Style::Italic, self.mark(range.start, &["*", "_"])),
            Tag::Strong => Opened::Style(Style::Bold, self.mark(range.start, &["**", "__"])),
            Tag::Strikethrough => Opened::Style(Style::Strike, self.mark(range.start, &["~~", "~"])),
            Tag::Link { link_type: LinkType::Autolink, dest_url, .. } if !url::is_web(&dest_url) => Opened::Typed,
            Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. } if dest_url.is_empty() => Opened::Typed,
            Tag::Link { dest_url, title, .. } => {
                Opened::Link(self.titled(url::shown(&self.with_urls(&dest_url)), &title))
            }
            Tag::Image { dest_url, title, .. } => {
                Opened::Link(self.titled(Some(&url::without_size(&self.with_urls(&dest_url))), &title))
            }
            _ => Opened::Link(None),
        };
        self.open.push((Some(opened), Vec::new()));
    }

    fn end(&mut self, tag: TagEnd, range: Range<usize>) {
        match tag {
            TagEnd::Paragraph | TagEnd::HtmlBlock | TagEnd::Item => self.leaf(),
            TagEnd::BlockQuote(_) => {
                self.leaf();
                self.quotes = self.quotes.saturating_sub(1);
            }
            TagEnd::List(_) => {
                self.leaf();
                self.lists = self.lists.saturating_sub(1);
            }
            TagEnd::CodeBlock => {
                let code = self.code.take().unwrap_or_default();
                let code = self.with_urls(code.strip_suffix('\n').unwrap_or(&code));
                self.place(Block::Code(code));
            }
            TagEnd::Heading(_) => {
                self.close(range);
                self.leaf();
            }
            _ => self.close(range),
        }
    }

    /// The mark at `at`.
    fn mark(&self, at: usize, marks: &[&'static str]) -> &'static str {
        marks.iter().find(|mark| self.source[at..].starts_with(**mark)).copied().unwrap_or_default()
    }

    /// An address with its title, which Markdown shows beside the pointer.
    fn titled(&self, address: Option<&str>, title: &CowStr<'_>) -> Option<String> {
        address.map(|to| if title.is_empty() { to.to_owned() } else { format!("{to} \"{}\"", self.with_urls(title)) })
    }

    /// Ends a style or a link.
    fn close(&mut self, range: Range<usize>) {
        let Some((Some(opened), spans)) = self.open.pop_if(|(opened, _)| opened.is_some()) else { return };
        match opened {
            Opened::Style(style, typed) => self.push(Span::Styled(style, typed, spans)),
            Opened::Typed => self.typed(range),
            Opened::Link(address) => {
                let shown = plain(&spans);
                self.extend(spans);
                self.address(address.filter(|address| *address != shown), &shown);
            }
        }
    }

    /// Writes an address out behind its link text.
    fn address(&mut self, address: Option<String>, words: &str) {
        match address {
            Some(address) if words.trim().is_empty() => self.push(Span::Url(address)),
            Some(address) => {
                self.words(" (");
                self.push(Span::Url(address));
                self.words(")");
            }
            None => {}
        }
    }

    /// Ends the words of a block, if there are any.
    fn leaf(&mut self) {
        self.open.truncate(1);
        let mut spans = self.open.first_mut().map(|(_, spans)| std::mem::take(spans)).unwrap_or_default();
        while spans.last() == Some(&Span::Break) {
            spans.pop();
        }
        if spans.is_empty() {
            return;
        }
        let block = match self.item.take() {
            Some((number, depth)) if self.quotes > 0 => {
                // WhatsApp has no list inside a quote: the marks are words there.
                let mark = number.map_or_else(|| "- ".to_owned(), |number| format!("{number}. "));
                let mut words = vec![Span::Text("  ".repeat(depth) + &mark)];
                extend(&mut words, spans);
                Block::Quote(words)
            }
            _ if self.quotes > 0 => Block::Quote(spans),
            Some((number, depth)) => Block::Item { number, depth, spans },
            None => Block::Paragraph(spans),
        };
        self.place(block);
    }

    fn place(&mut self, block: Block) {
        self.blocks.push(Placed { gap: 0, block });
    }

    fn push(&mut self, span: Span) {
        if let Some((_, spans)) = self.open.last_mut() {
            spans.push(span);
        }
    }

    fn extend(&mut self, more: Vec<Span>) {
        if let Some((_, spans)) = self.open.last_mut() {
            extend(spans, more);
        }
    }

    /// A piece of the source as words.
    fn typed(&mut self, range: Range<usize>) {
        let source = self.source;
        self.words(source.get(range).unwrap_or_default());
    }

    /// Words, line ends and hidden addresses among them.
    fn words(&mut self, text: &str) {
        for (at, line) in text.split('\n').enumerate() {
            if at > 0 {
                self.push(Span::Break);
            }
            self.extend(self.pieces(line));
        }
    }

    fn with_urls(&self, text: &str) -> String {
        plain(&self.pieces(text))
    }

    /// A text without the edges of its lines, and the addresses in it.
    fn pieces(&self, text: &str) -> Vec<Span> {
        let words = |text: &str| Span::Text(text.chars().filter(|c| Some(*c) != self.edge).collect());
        let mut pieces = text.split(url::HIDDEN.0);
        let mut spans = vec![words(pieces.next().unwrap_or_default())];
        for piece in pieces {
            let (number, rest) = piece.split_once(url::HIDDEN.1).unwrap_or(("", piece));
            let url = number.parse::<usize>().ok().and_then(|at| self.urls.get(at));
            spans.extend(url.cloned().map(Span::Url));
            spans.push(words(rest));
        }
        spans
    }
}

/// Whether code has backticks in it and the composer surrounded it with one more. WhatsApp shows it between three.
fn is_composed(source: &str) -> bool {
    let ticks = source.len() - source.trim_start_matches('`').len();
    let inside = source.get(ticks..source.len() - ticks).unwrap_or_default();
    let longest = inside.split(|c| c != '`').map(str::len).max().unwrap_or_default();
    (1..3).contains(&longest) && ticks == longest + 1 && !source.contains('\n')
}

fn extend(spans: &mut Vec<Span>, more: Vec<Span>) {
    for span in more {
        match span {
            Span::Text(text) => push_text(spans, &text),
            other => spans.push(other),
        }
    }
}

fn plain(spans: &[Span]) -> String {
    let text = |span: &Span| match span {
        Span::Text(text) | Span::Url(text) | Span::Code(text) => text.clone(),
        Span::Styled(_, _, inner) => plain(inner),
        Span::Break => " ".to_owned(),
    };
    spans.iter().map(text).collect()
}
