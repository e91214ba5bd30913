//! Reads Markdown as Chatwoot's editor writes it. The parser is `pulldown-cmark`.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::{
    Block, Document, MAX_DEPTH, Placed, Span, Style, code, ends_in_hard_break, literals, push_text, url,
    with_plain_line_ends,
};

/// The extensions that are read besides plain Markdown.
pub(super) const OPTIONS: Options = Options::ENABLE_STRIKETHROUGH.union(Options::ENABLE_TABLES);

/// Reads Markdown as it is rendered.
pub(super) fn parse(markdown: &str) -> Document {
    read(&with_plain_line_ends(markdown), false)
}

/// Reads Markdown as its writer meant it in the composer, without link definitions and underlined headings.
pub(super) fn parse_meant(markdown: &str) -> Document {
    let markdown = literals::with_tildes_shown(with_plain_line_ends(markdown));
    let markdown = literals::with_line_starts_shown(&markdown);
    read(&literals::with_definitions_shown(markdown), true)
}

fn read(markdown: &str, meant: bool) -> Document {
    let (source, urls) = url::hidden(markdown);
    let mut reader = Reader::new(&source, &urls, meant);
    let mut events = Parser::new_ext(&source, OPTIONS).into_offset_iter();
    while let Some((event, range)) = events.next() {
        // A table has no counterpart; its source shows as much.
        if let Event::Start(Tag::Table(_)) = event {
            let mut depth = 1;
            while depth > 0 {
                match events.next() {
                    Some((Event::Start(_), _)) => depth += 1,
                    Some((Event::End(_), _)) => depth -= 1,
                    Some(_) => {}
                    None => break,
                }
            }
            reader.as_it_stands(range);
            continue;
        }
        reader.event(event, range);
    }
    reader.finish()
}

/// Collects what the parser reports.
struct Reader<'s> {
    source: &'s str,
    urls: &'s [String],
    /// Whether it is read as it was meant, not as it is rendered.
    meant: bool,
    blocks: Vec<Placed>,
    /// Spans being read; above the first, those of a style, a link or a picture.
    open: Vec<(Option<Opened>, Vec<Span>)>,
    /// Where the last block ended, and where the one being read began.
    ended: usize,
    began: Option<usize>,
    reached: usize,
    lists: usize,
    /// The list item whose first line has not come yet.
    item: Option<Mark>,
    quotes: usize,
    code: Option<String>,
    /// Whether the line being read is underlined, which only Markdown takes for a heading.
    underlined: bool,
}

/// The mark of a list item.
struct Mark {
    number: Option<u64>,
    depth: usize,
    typed: Option<String>,
}

enum Opened {
    /// With the mark it was typed with.
    Style(Style, &'static str),
    Link(String),
    Picture(String),
    /// Nested deeper than is ever of use.
    Nothing,
}

impl<'s> Reader<'s> {
    fn new(source: &'s str, urls: &'s [String], meant: bool) -> Self {
        Self {
            source,
            urls,
            meant,
            blocks: Vec::new(),
            open: vec![(None, Vec::new())],
            ended: 0,
            began: None,
            reached: 0,
            lists: 0,
            item: None,
            quotes: 0,
            code: None,
            underlined: false,
        }
    }

    fn event(&mut self, event: Event<'_>, range: std::ops::Range<usize>) {
        match event {
            Event::Start(tag) => self.start(tag, range.start),
            Event::End(tag) => self.end(tag, range),
            Event::Text(text) if self.code.is_some() => self.code.get_or_insert_default().push_str(&text),
            Event::Text(text) if self.is_open_break(range.end) => {
                self.reach(&range);
                self.words(&text[..text.len() - 1]);
            }
            Event::Text(_) if self.is_entity(&range) => {
                self.reach(&range);
                let typed = self.source[range].to_owned();
                self.words(&typed);
            }
            Event::Text(text)
            | Event::Html(text)
            | Event::InlineHtml(text)
            | Event::FootnoteReference(text)
            | Event::InlineMath(text)
            | Event::DisplayMath(text) => {
                self.reach(&range);
                self.words(&text);
            }
            Event::Code(code) => {
                self.reach(&range);
                self.code_span(&code, range);
            }
            Event::SoftBreak | Event::HardBreak => {
                self.reach(&(range.start..range.start));
                self.push(Span::Break);
            }
            Event::Rule => self.as_it_stands(range),
            Event::TaskListMarker(_) => {}
        }
    }

    /// Whether an entity was typed, `&lt;` or `&#42;`, which WhatsApp shows as it stands. The blank that editors write does not
    /// count.
    fn is_entity(&self, range: &std::ops::Range<usize>) -> bool {
        let typed = self.source.get(range.clone()).unwrap_or_default();
        self.meant && typed.len() > 2 && typed.starts_with('&') && typed.ends_with(';') && typed != "&nbsp;"
    }

    fn code_span(&mut self, code: &str, range: std::ops::Range<usize>) {
        let source = self.source.get(range).filter(|_| self.meant);
        match source.and_then(|source| code::typed(source, self.quotes, self.lists > 0)) {
            Some(words) => self.words(&words),
            None => self.push(Span::Code(self.with_urls(code))),
        }
    }

    /// Whether words end in a hard line end without effect, since the block ends there: its backslash would be shown.
    fn is_open_break(&self, end: usize) -> bool {
        let (before, after) = self.source.split_at_checked(end).unwrap_or_default();
        after.starts_with('\n') && ends_in_hard_break(before)
    }

    fn start(&mut self, tag: Tag<'_>, at: usize) {
        let opened = match tag {
            Tag::Paragraph | Tag::HtmlBlock => {
                self.began.get_or_insert(at);
                return;
            }
            Tag::Heading { .. } => {
                self.began.get_or_insert(at);
                self.underlined = self.meant && !self.source[at..].trim_start().starts_with('#');
                if self.underlined {
                    return;
                }
                Opened::Style(Style::Bold, "")
            }
            Tag::BlockQuote(_) => {
                self.leaf();
                self.mark_alone();
                self.quotes += 1;
                return;
            }
            Tag::CodeBlock(_) => {
                self.leaf();
                self.mark_alone();
                self.began = Some(at);
                self.code = Some(String::new());
                return;
            }
            Tag::List(_) => {
                self.leaf();
                self.mark_alone();
                self.lists += 1;
                return;
            }
            Tag::Item => {
                self.leaf();
                // As it is written: Markdown would count on from the first.
                let marked = self.source[at..].trim_start();
                let digits = marked.len() - marked.trim_start_matches(|c: char| c.is_ascii_digit()).len();
                self.item = Some(Mark {
                    number: marked[..digits].parse().ok(),
                    depth: self.lists.saturating_sub(1),
                    typed: self.meant.then(|| unlike_whatsapp(marked, digits)).flatten(),
                });
                self.began = Some(at);
                self.reached = at + (self.source.len() - at - marked.len()) + digits + 1;
                return;
            }
            Tag::Emphasis => Opened::Style(Style::Italic, self.typed(at, &["*", "_"])),
            Tag::Strong => Opened::Style(Style::Bold, self.typed(at, &["**", "__"])),
            Tag::Strikethrough => Opened::Style(Style::Strike, self.typed(at, &["~~", "~"])),
            Tag::Link { dest_url, .. } => Opened::Link(self.with_urls(&dest_url)),
            Tag::Image { dest_url, .. } => Opened::Picture(self.with_urls(&dest_url)),
            _ => Opened::Nothing,
        };
        self.began.get_or_insert(at);
        let deep = self.open.len() > MAX_DEPTH && matches!(opened, Opened::Style(..));
        self.open.push((Some(if deep { Opened::Nothing } else { opened }), Vec::new()));
    }

    fn end(&mut self, tag: TagEnd, range: std::ops::Range<usize>) {
        let at = range.end;
        match tag {
            TagEnd::Paragraph | TagEnd::HtmlBlock => self.leaf(),
            TagEnd::Item => {
                self.leaf();
                self.mark_alone();
            }
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
                self.reached = self.source[..at].trim_end().len();
                self.place(Block::Code(code));
            }
            TagEnd::Heading(_) if self.underlined => {
                self.underlined = false;
                let heading = self.source[range].trim_end();
                let line = &heading[heading.trim_end_matches(['-', '=']).len()..];
                self.reached = at - (self.source[..at].len() - self.source[..at].trim_end().len());
                self.push(Span::Break);
                self.words(line);
                self.leaf();
            }
            TagEnd::Heading(_) => {
                self.close();
                self.leaf();
            }
            _ => {
                self.reached = self.reached.max(at);
                self.close();
            }
        }
    }

    /// The mark at `at`.
    fn typed(&self, at: usize, marks: &[&'static str]) -> &'static str {
        marks.iter().find(|mark| self.source[at..].starts_with(**mark)).copied().unwrap_or_default()
    }

    /// Ends a style, a link or a picture.
    fn close(&mut self) {
        let Some((Some(opened), spans)) = self.open.pop_if(|(opened, _)| opened.is_some()) else { return };
        match opened {
            Opened::Style(style, typed) if !spans.is_empty() => self.push(Span::Styled(style, typed, spans)),
            Opened::Link(to) => {
                let shown = plain(&spans);
                self.extend(spans);
                self.address(url::shown(&to), &shown);
            }
            Opened::Picture(to) => {
                let shown = plain(&spans);
                self.extend(spans);
                self.address(Some(&url::without_size(&to)), &shown);
            }
            _ => self.extend(spans),
        }
    }

    /// Writes an address out behind its link text, unless the text says the same.
    fn address(&mut self, address: Option<&str>, words: &str) {
        match address {
            Some(address) if address.is_empty() || address == words => {}
            Some(address) if words.trim().is_empty() => self.push(Span::Url(address.to_owned())),
            Some(address) => {
                self.words(" (");
                self.push(Span::Url(address.to_owned()));
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
            Some(Mark { number, depth, typed }) if self.quotes > 0 => {
                // WhatsApp has no list inside a quote: the marks are words there.
                let plain = || number.map_or_else(|| "- ".to_owned(), |number| format!("{number}. "));
                let mark = typed.unwrap_or_else(plain);
                let mut words = vec![Span::Text("  ".repeat(depth) + &mark)];
                extend(&mut words, spans);
                Block::Quote(words)
            }
            _ if self.quotes > 0 => Block::Quote(spans),
            Some(Mark { number, depth, typed }) => Block::Item { number, depth, spans, typed },
            None => Block::Paragraph(spans),
        };
        self.place(block);
    }

    /// An item that has no words of its own still has its mark.
    fn mark_alone(&mut self) {
        if let Some(Mark { number, depth, typed }) = self.item.take() {
            self.place(Block::Item { number, depth, spans: Vec::new(), typed });
        }
    }

    fn place(&mut self, block: Block) {
        let began = self.began.take().unwrap_or(self.ended);
        let between = self.source.get(self.ended..began).unwrap_or_default();
        let gap = if self.blocks.is_empty() { 0 } else { between.matches('\n').count() };
        self.blocks.push(Placed { gap, block });
        self.ended = self.reached.max(self.ended);
    }

    /// A block that is its own source.
    fn as_it_stands(&mut self, range: std::ops::Range<usize>) {
        self.leaf();
        self.mark_alone();
        self.began.get_or_insert(range.start);
        let source = self.source.get(range.clone()).unwrap_or_default().trim_end();
        self.reached = range.start + source.len();
        self.place(Block::Drawn(self.with_urls(source)));
    }

    fn reach(&mut self, range: &std::ops::Range<usize>) {
        self.began.get_or_insert(range.start);
        self.reached = self.reached.max(range.end);
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

    /// Words, line ends and hidden addresses among them.
    fn words(&mut self, text: &str) {
        for (at, line) in text.split('\n').enumerate() {
            if at > 0 {
                self.push(Span::Break);
            }
            let mut pieces = line.split(url::HIDDEN.0);
            let first = pieces.next().unwrap_or_default();
            let mut spans = vec![Span::Text(first.to_owned())];
            for piece in pieces {
                let (number, rest) = piece.split_once(url::HIDDEN.1).unwrap_or(("", piece));
                let url = number.parse::<usize>().ok().and_then(|at| self.urls.get(at));
                spans.extend(url.cloned().map(Span::Url));
                spans.push(Span::Text(rest.to_owned()));
            }
            self.extend(spans);
        }
    }

    fn with_urls(&self, text: &str) -> String {
        let mut pieces = text.split(url::HIDDEN.0);
        let mut out = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            let (number, rest) = piece.split_once(url::HIDDEN.1).unwrap_or(("", piece));
            out.extend(number.parse::<usize>().ok().and_then(|at| self.urls.get(at)).map(String::as_str));
            out.push_str(rest);
        }
        out
    }

    fn finish(mut self) -> Document {
        self.leaf();
        Document(self.blocks)
    }
}

/// The mark of a list item with the blanks behind it, if WhatsApp would not show it as one: `1)`, `01.`, `+`.
fn unlike_whatsapp(item: &str, digits: usize) -> Option<String> {
    let unlike = item.starts_with('+') || item[digits..].starts_with(')') || digits > 1 && item.starts_with('0');
    let words = item[digits + 1..].trim_start_matches(' ');
    unlike.then(|| item[..item.len() - words.len()].to_owned())
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
