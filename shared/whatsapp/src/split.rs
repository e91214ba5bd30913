//! Cuts a long text into messages that WhatsApp accepts. It cuts at a paragraph, else at a line, a sentence, a word, else
//! anywhere.

use markup::{Open, looks, open_at, trimmed_lines};
use unicode_segmentation::GraphemeCursor;

/// The longest text Meta takes (§4.2), in UTF-16 units: whichever way Meta counts, it is not longer.
pub const TEXT_LIMIT: usize = 4096;

/// The longest caption (§4.2), counted the same way.
pub const CAPTION_LIMIT: usize = 1024;

/// The length as Meta may count it.
pub fn length(text: &str) -> usize {
    text.encode_utf16().count()
}

/// A limit below this leaves no room for marks.
const LEAST_MARKED: usize = 64;

/// How many positions are tried for a cut that breaks nothing.
const MAX_CUTS: usize = 24;

/// Cuts `text` into pieces of at most `limit` UTF-16 units. White space at a cut is dropped, except the blanks in front of a
/// line; so are blank lines at the start and white space at the end. Everything else is kept. A mark that is open at a cut is
/// closed there and opened again, so that no piece looks different from the whole.
pub fn split(text: &str, limit: usize) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut rest = trimmed_lines(text).to_owned();
    while length(&rest) > limit {
        let (piece, tail) = cut(&rest, limit);
        pieces.push(piece);
        rest = tail;
    }
    if !rest.is_empty() {
        pieces.push(rest);
    }
    pieces
}

/// The first piece, and the rest.
fn cut(rest: &str, limit: usize) -> (String, String) {
    let tears_nothing = |at: usize| {
        let (piece, tail) = marked(rest, at);
        let fits = !piece.is_empty() && length(&piece) <= limit && tail.len() < rest.len();
        (fits && looks_the_same(rest, at, &piece, &tail)).then_some((piece, tail))
    };
    if limit >= LEAST_MARKED
        && let Some(cut) = places(rest, limit).find_map(tears_nothing)
    {
        return cut;
    }
    let at = boundary(prefix(rest, limit), rest);
    // Of more blanks than fit, none can stay.
    let bare = if rest[..at].trim().is_empty() { rest.trim_start() } else { rest };
    let (piece, indent, tail) = halves(bare, boundary(prefix(bare, limit), bare));
    (piece.to_owned(), format!("{indent}{tail}"))
}

/// Where to cut, the best position first: each next one leaves more room for marks. The last resort is any word.
fn places(rest: &str, limit: usize) -> impl Iterator<Item = usize> {
    let best = boundary(prefix(rest, limit), rest);
    let before = move |at: &usize| {
        let room = length(rest[..*at].trim_end()).saturating_sub(1);
        (room > limit / 2).then(|| boundary(prefix(rest, room), rest))
    };
    let words = prefix(rest, limit).char_indices().rev().filter(|(at, c)| *at > 0 && c.is_whitespace());
    std::iter::successors(Some(best), before).take(MAX_CUTS).chain(words.map(|(at, _)| at).take(MAX_CUTS))
}

/// Both halves, with what is open at the cut closed and opened again.
fn marked(rest: &str, at: usize) -> (String, String) {
    let Open { closes, reopens } = open_at(rest, at);
    let (piece, indent, tail) = halves(rest, at);
    (format!("{piece}{closes}"), format!("{reopens}{indent}{tail}"))
}

/// Both halves without the white space between them, and what of that stands in front of a line.
fn halves(rest: &str, at: usize) -> (&str, &str, &str) {
    let (piece, tail) = (rest[..at].trim_end(), rest[at..].trim_start());
    let blanks = &rest[piece.len()..rest.len() - tail.len()];
    (piece, blanks.rsplit_once('\n').map_or("", |(_, indent)| indent), tail)
}

/// Whether the halves look as the whole did. Marks end with their line, except those of code: the text after that line is
/// unaffected.
fn looks_the_same(rest: &str, at: usize, piece: &str, tail: &str) -> bool {
    let in_code = piece.ends_with("```");
    let end = if in_code { None } else { rest[at..].trim_start().find('\n') };
    let untouched = end.map_or(0, |end| rest[at..].trim_start().len() - end);
    let whole = looks(&rest[..rest.len() - untouched]);
    let (first, second) = (looks(piece), looks(&tail[..tail.len() - untouched]));
    whole.len() == first.len() + second.len() && whole.starts_with(&first) && whole.ends_with(&second)
}

/// The longest start of `text` that fits, never half a character.
fn prefix(text: &str, limit: usize) -> &str {
    let mut units = 0;
    let end = text.char_indices().find(|(_, c)| {
        units += c.len_utf16();
        units > limit
    });
    end.map_or(text, |(at, _)| &text[..at])
}

/// Where to cut: the last good boundary in the second half of what fits, the best kind first.
fn boundary(fits: &str, rest: &str) -> usize {
    let late = |at: &usize| *at >= fits.len() / 2 && *at > 0;
    let word = fits.rfind(char::is_whitespace).filter(|at| *at > 0);
    // The text that fits may end exactly where a word does.
    let whole = rest[fits.len()..].starts_with(char::is_whitespace).then_some(fits.len());
    let paragraph = fits.rfind("\n\n").filter(late);
    let line = fits.rfind('\n').filter(late);
    let sentence = sentence_end(fits).filter(late);
    paragraph.or(line).or(sentence).or(whole).or(word).unwrap_or_else(|| between_characters(fits, rest))
}

/// Where the last sentence ends, including closing characters after its point.
fn sentence_end(fits: &str) -> Option<usize> {
    let ends = |at: &usize| {
        let closers = |c: char| matches!(c, '"' | '\'' | '»' | '”' | '’' | ')' | ']' | '*' | '_' | '~');
        fits[..*at].trim_end_matches(closers).ends_with(['.', '!', '?', '…', '。', '！', '？'])
    };
    fits.char_indices().rev().filter(|(_, c)| c.is_whitespace()).map(|(at, _)| at).find(ends)
}

/// With no white space at all, at least what is seen as one character stays whole: a flag, a family, a letter with its accents.
fn between_characters(fits: &str, rest: &str) -> usize {
    let mut at = GraphemeCursor::new(fits.len(), rest.len(), true);
    let whole = matches!(at.is_boundary(rest, 0), Ok(true));
    let before = if whole { Some(fits.len()) } else { at.prev_boundary(rest, 0).ok().flatten() };
    // A character longer than a whole message is cut anywhere.
    before.filter(|at| *at > 0).unwrap_or(fits.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn solid(text: &str) -> String {
        text.chars().filter(|c| !c.is_whitespace()).collect()
    }

    /// Text as it comes out of an agent's Markdown.
    fn written() -> impl Strategy<Value = String> {
        const WORDS: &[&str] = &[
            "moto",
            "precio",
            "25,000.00",
            "¿cuándo?",
            "ñandú",
            "🏍️",
            "👩\u{200d}👩\u{200d}👧",
            "🇲🇽",
            "https://lmotos.mx/a_b?c=*d*",
            "5*3",
            "fin.",
            "(sí)",
            "-",
            ">",
            "1.",
            "a_b_c",
            "`x`",
        ];
        let words = prop::collection::vec(prop::sample::select(WORDS), 1..14).prop_map(|words| words.join(" "));
        let span = (words, prop::sample::select(vec!["", "**", "_", "~~", "**_"])).prop_map(|(words, mark)| {
            let back: String = mark.chars().rev().collect();
            format!("{mark}{words}{back}")
        });
        let line = prop::collection::vec(span, 1..5).prop_map(|spans| spans.join(" "));
        let block = (line, prop::sample::select(vec!["", "", "> ", "- ", "1. "]))
            .prop_map(|(line, lead)| format!("{lead}{line}"));
        let code = prop::collection::vec(prop::sample::select(WORDS), 1..30)
            .prop_flat_map(|words| (Just(words), prop::sample::select(vec!["\n", "\n  ", "\n\t", " "])))
            .prop_map(|(words, end)| format!("```\n{}\n```", words.join(end).replace('`', "")));
        let any = prop_oneof![6 => block, 1 => code];
        prop::collection::vec(any, 1..8).prop_map(|blocks| markup::to_whatsapp(&blocks.join("\n\n")))
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

        #[test]
        fn nothing_is_lost_and_every_piece_fits(text in "([a-zñ🏍️👩‍👩‍👧é.!? \n]{0,12}){0,40}", limit in 8usize..64) {
            let pieces = split(&text, limit);
            prop_assert_eq!(solid(&pieces.concat()), solid(&text));
            for piece in pieces {
                prop_assert!(!piece.is_empty() && length(&piece) <= limit, "{:?}", piece);
                prop_assert_eq!(trimmed_lines(&piece), piece.as_str());
            }
        }

        #[test]
        fn no_span_is_torn(text in written(), limit in 80usize..400) {
            let pieces = split(&text, limit);
            for piece in &pieces {
                prop_assert!(!piece.is_empty() && length(piece) <= limit, "{:?}", piece);
            }
            let after: Vec<_> = pieces.iter().flat_map(|piece| looks(piece)).collect();
            prop_assert_eq!(after, looks(&text), "{:#?}", pieces);
        }

        #[test]
        fn whatever_stands_there_every_piece_fits_and_no_letter_is_lost(text in "[ab *_~`>\n🇲🇽é\u{301}\u{200d}.]{0,300}", limit in 64usize..100) {
            let pieces = split(&text, limit);
            let unmarked = |text: &str| solid(text).replace(['*', '_', '~', '`', '>'], "");
            prop_assert_eq!(unmarked(&pieces.concat()), unmarked(&text));
            for piece in pieces {
                prop_assert!(!piece.is_empty() && length(&piece) <= limit, "{:?}", piece);
            }
        }
    }

    #[test]
    fn it_cuts_where_a_person_would() {
        assert_eq!(split("Uno dos tres.\n\nCuatro cinco", 20), ["Uno dos tres.", "Cuatro cinco"]);
        assert_eq!(split("Hola, soy Ana. Quiero una moto", 20), ["Hola, soy Ana.", "Quiero una moto"]);
        assert_eq!(split("motocicleta roja", 12), ["motocicleta", "roja"]);
        assert_eq!(split("   ", 12), Vec::<String>::new());
        assert_eq!(split("\n \n    $25,000\n   -$3,000 \n", 80), ["    $25,000\n   -$3,000"]);
        assert_eq!(split("  uno dos\n tres", 12), ["  uno dos", " tres"]);
        assert_eq!(split(&format!("{}uno", " ".repeat(20)), 12), ["uno"]);
    }

    #[test]
    fn a_text_at_the_limit_stays_whole() {
        let text = "a".repeat(TEXT_LIMIT);
        assert_eq!(split(&text, TEXT_LIMIT).len(), 1);
        assert_eq!(split(&format!("{text}b"), TEXT_LIMIT).len(), 2);
    }

    #[test]
    fn an_emoji_is_not_torn() {
        let family = "👩\u{200d}👩\u{200d}👧";
        assert_eq!(split(&family.repeat(3), 12), [family; 3]);
        for whole in [
            "🇲🇽",
            "1\u{fe0f}\u{20e3}",
            "e\u{301}\u{323}",
            "👋🏽",
            "🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}",
            "ก็",
            "한",
        ] {
            for limit in length(whole)..64 {
                let pieces = split(&whole.repeat(40), limit);
                assert!(pieces.iter().all(|piece| piece.replace(whole, "").is_empty()), "{whole} {limit}");
            }
        }
    }

    #[test]
    fn what_is_open_where_it_is_cut_is_closed_and_opened_again() {
        let bold = format!("*{}*", "palabra ".repeat(20).trim());
        let pieces = split(&bold, 100);
        assert!(pieces.iter().all(|piece| piece.starts_with("*palabra") && piece.ends_with("palabra*")), "{pieces:?}");
        let code = format!("```\n{}\n```", "uno dos\n".repeat(20).trim());
        let pieces = split(&code, 100);
        assert!(
            pieces.len() > 1 && pieces.iter().all(|piece| piece.starts_with("```\nuno") && piece.ends_with("dos\n```")),
            "{pieces:?}"
        );
        let code = format!("```\nsi:\n{}\n```", "    uno dos\n".repeat(20).trim_end());
        let pieces = split(&code, 100);
        assert!(pieces[1..].iter().all(|piece| piece.starts_with("```\n    uno dos\n")), "{pieces:?}");
        let list = format!("- motos\n{}", "  - roja de 250 cc\n".repeat(20).trim_end());
        let pieces = split(&list, 100);
        assert!(pieces[1..].iter().all(|piece| piece.starts_with("  - roja")), "{pieces:?}");
        let quote = format!("> {}", "cita ".repeat(30).trim());
        assert!(split(&quote, 100).iter().all(|piece| piece.starts_with("> cita")));
    }

    #[test]
    fn a_sentence_ends_behind_what_closes_it() {
        let text = format!("{} (Eso *dijo.*) Y ahora sigue otra frase larga", "a".repeat(50));
        assert_eq!(split(&text, 80)[1], "Y ahora sigue otra frase larga");
    }
}
