//! Cleans the names that people and phones give, so that they may be shown.

use unicode_segmentation::UnicodeSegmentation as _;

/// A name on one line, without characters that change the direction of the text around it. `None` if nothing of it is visible.
pub fn clean(text: &str) -> Option<String> {
    if !text.chars().any(shows) {
        return None;
    }
    let line = text.chars().filter(|c| !is_dropped(*c)).map(|c| if c.is_control() || breaks(c) { ' ' } else { c });
    let line: String = line.collect();
    let line = line.trim_matches(|c: char| c.is_whitespace() || is_blank(c));
    (!line.is_empty()).then(|| line.to_owned())
}

/// Whether a reader sees anything of it: spaces, controls, marks without a letter and characters without a form show nothing.
pub fn shows(c: char) -> bool {
    !(is_invisible(c) || is_mark(c))
}

/// Spaces, and characters without a form of their own.
pub fn is_invisible(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || is_blank(c)
        || is_dropped(c)
        || matches!(
            c,
            '\u{34f}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{200c}' | '\u{200d}'
                | '\u{fe00}'..='\u{fe0f}' | '\u{fff0}'..='\u{fffb}' | '\u{13430}'..='\u{1343f}'
                | '\u{1bca0}'..='\u{1bca3}' | '\u{1d159}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}'
        )
}

/// Letters and patterns that are drawn as nothing.
fn is_blank(c: char) -> bool {
    matches!(c, '\u{115f}' | '\u{1160}' | '\u{2800}' | '\u{3164}' | '\u{ffa0}')
}

/// Characters that change the direction of text, and those that only say where a word may be broken.
fn is_dropped(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}'
    )
}

fn breaks(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}')
}

/// Whether it only changes the letter before it. A skin tone is visible alone.
fn is_mark(c: char) -> bool {
    if c.is_ascii() || matches!(c, '\u{1f3fb}'..='\u{1f3ff}') {
        return false;
    }
    let pair: String = ['a', c].into_iter().collect();
    pair.graphemes(true).count() == 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_shows_nothing_is_no_name() {
        for nothing in [
            "",
            " ",
            "\u{2800}",
            "\u{3164}\u{3164}",
            "\u{ffa0}",
            "\u{200b}",
            "\u{ad}",
            "\u{200e}",
            "\u{202e}",
            "\u{2800} \u{200d}\u{fe0f}\t",
            "\u{301}\u{308}",
            "\u{20dd}",
            "\u{93e}",
            "\u{e0041}",
            "\n\r\u{0}\u{85}\u{2028}",
        ] {
            assert_eq!(clean(nothing), None, "{nothing:?}");
        }
    }

    #[test]
    fn what_shows_something_stays_as_it_is_written() {
        for name in ["Ana", "Ñandú", "José", "👩🏽‍🔧", "❤️", "1️⃣", "Ana María", ".", "नमस्ते", "می‌خواهم", "🏽", "~"]
        {
            assert_eq!(clean(name).as_deref(), Some(name));
        }
    }

    #[test]
    fn what_turns_words_around_is_taken_out_and_a_name_is_one_line() {
        assert_eq!(clean("\u{202e}anA\u{202c}").as_deref(), Some("anA"));
        assert_eq!(clean("\u{2067}Ana\u{2069}\u{200f}\u{61c}").as_deref(), Some("Ana"));
        assert_eq!(clean(" \u{2800}Ana\nMaría\u{3164} ").as_deref(), Some("Ana María"));
        assert_eq!(clean("A\u{200b}na\u{ad}").as_deref(), Some("Ana"));
    }

    proptest! {
        #[test]
        fn a_clean_name_is_clean_and_seen(text in "[\u{0}-\u{ffff}🏍️👩🏽]{0,12}") {
            if let Some(name) = clean(&text) {
                prop_assert!(name.chars().any(shows), "{:?}", name);
                prop_assert!(!name.chars().any(|c| c.is_control() || is_dropped(c)), "{:?}", name);
                prop_assert_eq!(clean(&name), Some(name.clone()));
            }
        }
    }
}
