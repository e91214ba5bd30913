//! Markdown as Chatwoot shows it, with `~~strike~~`. Reading it is left to `pulldown-cmark`; writing is checked by reading it again.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::{
    Block, DEEPEST, Document, Placed, Span, Style, compare,
    escape::{self, Caution},
    push_text, url, with_plain_line_ends,
};

/// How a block is written; the first way that reads as what was meant is taken.
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

/// Writes a document; nothing if it would be read as something else.
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

/// Writes a document with all caution.
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
            Span::Styled(style, inner) => {
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
            Block::Drawn(source) => out.push_str(source),
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

/// A line below a list or a quote would go on with it, unless an empty one stands between.
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
                let pad = if code.starts_with(['`', ' ']) || code.ends_with(['`', ' ']) { " " } else { "" };
                out.extend([mark.as_str(), pad, code, pad, &mark]);
            }
            Span::Styled(style, inner) => {
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

/// Around the number of an address that is kept from the parser: nothing in an address is a mark. Neither occurs in any text.
const HIDDEN: (char, char) = ('\u{fdd0}', '\u{fdd1}');

/// Reads Markdown.
pub(super) fn parse(markdown: &str) -> Document {
    let markdown = with_plain_line_ends(markdown);
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
