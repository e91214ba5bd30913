//! Reading Markdown as Chatwoot's editor writes it; the parsing is `pulldown-cmark`'s.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::{Block, DEEPEST, Document, Placed, Span, Style, ends_in_hard_break, push_text, url, with_plain_line_ends};

/// Around the number of an address that is kept from the parser: nothing in an address is a mark. Neither occurs in any text.
const HIDDEN: (char, char) = ('\u{fdd0}', '\u{fdd1}');

/// Reads Markdown.
pub(super) fn parse(markdown: &str) -> Document {
    let markdown = without_open_breaks(&with_plain_line_ends(markdown));
    let (source, urls) = hide_urls(&markdown);
    let options = Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TABLES;
    let mut reader = Reader::new(&source, &urls);
    let mut events = Parser::new_ext(&source, options).into_offset_iter();
    while let Some((event, range)) = events.next() {
        // A table has no counterpart; its source says as much.
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

/// A hard line end before an empty line breaks nothing; its backslash would be shown.
fn without_open_breaks(markdown: &str) -> String {
    let mut lines = markdown.split('\n').peekable();
    let mut out = String::with_capacity(markdown.len());
    while let Some(line) = lines.next() {
        let open = lines.peek().is_some_and(|next| next.trim().is_empty()) && ends_in_hard_break(line);
        out.push_str(if open { &line[..line.len() - 1] } else { line });
        if lines.peek().is_some() {
            out.push('\n');
        }
    }
    out
}

fn hide_urls(text: &str) -> (String, Vec<String>) {
    let (mut out, mut urls, mut at) = (String::new(), Vec::new(), 0);
    if text.contains(HIDDEN.0) {
        return (text.to_owned(), urls);
    }
    while let Some(c) = text[at..].chars().next() {
        // In a link the address is the parser's.
        let bare = !text[..at].ends_with('<') && !text[..at].ends_with("](");
        if let Some(found) = url::at(text, at).filter(|_| bare && url::may_start(c)) {
            out.push(HIDDEN.0);
            out.push_str(&urls.len().to_string());
            out.push(HIDDEN.1);
            urls.push(found.to_owned());
            at += found.len();
        } else {
            out.push(c);
            at += c.len_utf8();
        }
    }
    (out, urls)
}

/// What the parser tells, put together.
struct Reader<'s> {
    source: &'s str,
    urls: &'s [String],
    blocks: Vec<Placed>,
    /// Spans being read; above the first, those of a style, a link or a picture.
    open: Vec<(Option<Opened>, Vec<Span>)>,
    /// Where the last block ended, and where the one being read began.
    ended: usize,
    began: Option<usize>,
    reached: usize,
    lists: Vec<Option<u64>>,
    /// The list item whose first line is still to come.
    item: Option<(Option<u64>, usize)>,
    quotes: usize,
    code: Option<String>,
}

enum Opened {
    Style(Style),
    Link(String),
    Picture(String),
    /// Nested deeper than anybody looks.
    Nothing,
}

impl<'s> Reader<'s> {
    fn new(source: &'s str, urls: &'s [String]) -> Self {
        Self {
            source,
            urls,
            blocks: Vec::new(),
            open: vec![(None, Vec::new())],
            ended: 0,
            began: None,
            reached: 0,
            lists: Vec::new(),
            item: None,
            quotes: 0,
            code: None,
        }
    }

    fn event(&mut self, event: Event<'_>, range: std::ops::Range<usize>) {
        match event {
            Event::Start(tag) => self.start(tag, range.start),
            Event::End(tag) => self.end(tag, range.end),
            Event::Text(text) if self.code.is_some() => self.code.get_or_insert_default().push_str(&text),
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
                let code = self.with_urls(&code);
                self.push(Span::Code(code));
            }
            Event::SoftBreak | Event::HardBreak => {
                self.reach(&(range.start..range.start));
                self.push(Span::Break);
            }
            Event::Rule => self.as_it_stands(range),
            Event::TaskListMarker(_) => {}
        }
    }

    fn start(&mut self, tag: Tag<'_>, at: usize) {
        let opened = match tag {
            Tag::Paragraph | Tag::HtmlBlock => {
                self.began.get_or_insert(at);
                return;
            }
            Tag::Heading { .. } => {
                self.began.get_or_insert(at);
                Opened::Style(Style::Bold)
            }
            Tag::BlockQuote(_) => {
                self.leaf();
                self.quotes += 1;
                return;
            }
            Tag::CodeBlock(_) => {
                self.leaf();
                self.began = Some(at);
                self.code = Some(String::new());
                return;
            }
            Tag::List(first) => {
                self.leaf();
                self.lists.push(first);
                return;
            }
            Tag::Item => {
                self.leaf();
                self.item = Some((self.lists.last().copied().flatten(), self.lists.len().saturating_sub(1)));
                if let Some(Some(number)) = self.lists.last_mut() {
                    *number += 1;
                }
                self.began = Some(at);
                return;
            }
            Tag::Emphasis => Opened::Style(Style::Italic),
            Tag::Strong => Opened::Style(Style::Bold),
            Tag::Strikethrough => Opened::Style(Style::Strike),
            Tag::Link { dest_url, .. } => Opened::Link(self.with_urls(&dest_url)),
            Tag::Image { dest_url, .. } => Opened::Picture(self.with_urls(&dest_url)),
            _ => Opened::Nothing,
        };
        self.began.get_or_insert(at);
        let deep = self.open.len() > DEEPEST && matches!(opened, Opened::Style(_));
        self.open.push((Some(if deep { Opened::Nothing } else { opened }), Vec::new()));
    }

    fn end(&mut self, tag: TagEnd, at: usize) {
        match tag {
            TagEnd::Paragraph | TagEnd::HtmlBlock | TagEnd::Item => self.leaf(),
            TagEnd::BlockQuote(_) => {
                self.leaf();
                self.quotes = self.quotes.saturating_sub(1);
            }
            TagEnd::List(_) => {
                self.leaf();
                self.lists.pop();
            }
            TagEnd::CodeBlock => {
                let code = self.code.take().unwrap_or_default();
                let code = self.with_urls(code.strip_suffix('\n').unwrap_or(&code));
                self.reached = self.source[..at].trim_end().len();
                self.item = None;
                self.place(Block::Code(code));
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

    /// Ends a style, a link or a picture.
    fn close(&mut self) {
        let Some((Some(opened), spans)) = self.open.pop_if(|(opened, _)| opened.is_some()) else { return };
        match opened {
            Opened::Style(style) if !spans.is_empty() => self.push(Span::Styled(style, spans)),
            Opened::Link(to) => {
                let shown = plain(&spans);
                let same = to == shown || to.strip_prefix("mailto:").is_some_and(|mail| mail == shown);
                self.extend(spans);
                if !same && !to.is_empty() {
                    self.words(" (");
                    self.push(Span::Url(to));
                    self.words(")");
                }
            }
            Opened::Picture(to) if !to.is_empty() => self.push(Span::Url(to)),
            _ => self.extend(spans),
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
            _ if self.quotes > 0 => Block::Quote(spans),
            Some((number, depth)) => Block::Item { number, depth, spans },
            None => Block::Paragraph(spans),
        };
        self.place(block);
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
        self.began.get_or_insert(range.start);
        let source = self.source.get(range.clone()).unwrap_or_default().trim_end();
        self.reached = range.start + source.len();
        self.item = None;
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
        for span in more {
            match (span, self.open.last_mut()) {
                (Span::Text(text), Some((_, spans))) => push_text(spans, &text),
                (span, Some((_, spans))) => spans.push(span),
                (_, None) => {}
            }
        }
    }

    /// Words, line ends and hidden addresses among them.
    fn words(&mut self, text: &str) {
        for (at, line) in text.split('\n').enumerate() {
            if at > 0 {
                self.push(Span::Break);
            }
            let mut pieces = line.split(HIDDEN.0);
            let first = pieces.next().unwrap_or_default();
            let mut spans = vec![Span::Text(first.to_owned())];
            for piece in pieces {
                let (number, rest) = piece.split_once(HIDDEN.1).unwrap_or(("", piece));
                let url = number.parse::<usize>().ok().and_then(|at| self.urls.get(at));
                spans.extend(url.cloned().map(Span::Url));
                spans.push(Span::Text(rest.to_owned()));
            }
            self.extend(spans);
        }
    }

    fn with_urls(&self, text: &str) -> String {
        let mut pieces = text.split(HIDDEN.0);
        let mut out = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            let (number, rest) = piece.split_once(HIDDEN.1).unwrap_or(("", piece));
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

fn plain(spans: &[Span]) -> String {
    let text = |span: &Span| match span {
        Span::Text(text) | Span::Url(text) | Span::Code(text) => text.clone(),
        Span::Styled(_, inner) => plain(inner),
        Span::Break => " ".to_owned(),
    };
    spans.iter().map(text).collect()
}
