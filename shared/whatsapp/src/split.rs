//! Cutting a long text into messages WhatsApp takes: at a paragraph, else a line, a sentence, a word, else anywhere.

/// The longest text Meta takes (§4.2), in UTF-16 units: whichever way Meta counts, it is not longer.
pub const TEXT_LIMIT: usize = 4096;

/// The longest caption (§4.2), counted the same way.
pub const CAPTION_LIMIT: usize = 1024;

/// The length as Meta may count it.
pub fn length(text: &str) -> usize {
    text.encode_utf16().count()
}

/// Cuts `text` into pieces of at most `limit` UTF-16 units. White space at a cut is dropped, everything else kept.
pub fn split(text: &str, limit: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text.trim();
    while length(rest) > limit {
        let fits = prefix(rest, limit);
        let cut = boundary(fits, rest);
        let (piece, tail) = rest.split_at(cut);
        pieces.push(piece.trim_end());
        rest = tail.trim_start();
    }
    if !rest.is_empty() {
        pieces.push(rest);
    }
    pieces
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
    let sentence = fits
        .char_indices()
        .zip(fits.chars().skip(1))
        .filter(|((_, c), next)| matches!(c, '.' | '!' | '?' | '…') && next.is_whitespace())
        .map(|((at, c), _)| at + c.len_utf8())
        .last();
    let word = fits.rfind(char::is_whitespace).filter(|at| *at > 0);
    // What fits may end exactly where a word does.
    let whole = rest[fits.len()..].starts_with(char::is_whitespace).then_some(fits.len());
    let paragraph = fits.rfind("\n\n").filter(late);
    let line = fits.rfind('\n').filter(late);
    paragraph.or(line).or(sentence.filter(late)).or(whole).or(word).unwrap_or_else(|| between_characters(fits, rest))
}

/// With no white space at all, at least a joined emoji or an accent stays whole.
fn between_characters(fits: &str, rest: &str) -> usize {
    let joins =
        |c: char| matches!(c, '\u{200d}' | '\u{fe0e}' | '\u{fe0f}' | '\u{300}'..='\u{36f}' | '\u{1f3fb}'..='\u{1f3ff}');
    let whole = |cut: &usize| {
        !rest[*cut..].chars().next().is_some_and(joins) && !rest[..*cut].ends_with('\u{200d}') && *cut > 0
    };
    // A run of nothing but joiners is cut wherever.
    let starts = fits.char_indices().rev().map(|(at, _)| at).take(16);
    std::iter::once(fits.len()).chain(starts).find(whole).unwrap_or(fits.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn nothing_is_lost_and_every_piece_fits(text in "([a-zñ🏍️👩‍👩‍👧é.!? \n]{0,12}){0,40}", limit in 8usize..64) {
            let pieces = split(&text, limit);
            let solid = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            prop_assert_eq!(solid(&pieces.concat()), solid(&text));
            for piece in pieces {
                prop_assert!(!piece.is_empty() && length(piece) <= limit, "{:?}", piece);
                prop_assert_eq!(piece.trim(), piece);
            }
        }
    }

    #[test]
    fn it_cuts_where_a_person_would() {
        assert_eq!(split("Uno dos tres.\n\nCuatro cinco", 20), ["Uno dos tres.", "Cuatro cinco"]);
        assert_eq!(split("Hola, soy Ana. Quiero una moto", 20), ["Hola, soy Ana.", "Quiero una moto"]);
        assert_eq!(split("motocicleta roja", 12), ["motocicleta", "roja"]);
        assert_eq!(split("   ", 12), Vec::<&str>::new());
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
    }
}
