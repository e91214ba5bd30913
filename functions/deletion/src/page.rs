//! Shows the public page of a request. It says how far the request is, in words, and nothing about any person.

use domain::{ConfirmationCode, erasure::PublicState};
use maud::{DOCTYPE, PreEscaped, html};
use texts::{
    Locale,
    deletion::{PageText, explain, heading},
};

/// The page's own style: it loads nothing.
const STYLE: &str = "
:root { color-scheme: light dark; }
body { margin: 0; font: 1.125rem/1.6 system-ui, sans-serif; color: #1b1b1b; background: #ffffff; }
main, nav { max-width: 34rem; margin: 0 auto; padding: 1rem 1.25rem; }
h1 { font-size: 1.75rem; line-height: 1.25; }
code { overflow-wrap: anywhere; }
a { color: #0b4f9e; }
@media (prefers-color-scheme: dark) { body { color: #f2f2f2; background: #161616; } a { color: #9ecbff; } }
";

/// Whether JSON is asked for, and not a page: by weight, and where the weights are equal by what is named first.
pub(crate) fn wants_json(accept: &str) -> bool {
    let named = |kind: &str| ranked(accept).into_iter().position(|one| one == kind);
    match (named("application/json"), named("text/html")) {
        (Some(json), Some(html)) => json < html,
        (json, _) => json.is_some(),
    }
}

/// Gives what a header names, the most wanted first; what has weight zero is not wanted at all.
fn ranked(header: &str) -> Vec<&str> {
    let mut ranked: Vec<(u16, &str)> = header
        .split(',')
        .map(|one| {
            let mut parts = one.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default();
            let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
            (weight.map_or(1000, thousandths), name)
        })
        .filter(|(weight, _)| *weight > 0)
        .collect();
    ranked.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
    ranked.into_iter().map(|(_, name)| name).collect()
}

/// Gives a weight between 0 and 1 with at most three decimals, in thousandths; one that cannot be read counts in full.
fn thousandths(weight: &str) -> u16 {
    let (whole, decimals) = weight.split_once('.').unwrap_or((weight, ""));
    match (whole, format!("{decimals:0<3}").parse()) {
        ("0", Ok(part)) if decimals.len() <= 3 => part,
        _ => 1000,
    }
}

/// Gives the language: the one that was asked for, the first of the browser's that we have, or the dealer's.
pub(crate) fn language(wished: Option<&str>, accepted: &str, usual: Locale) -> Locale {
    let spoken = |tag: &str| tag.split(['-', ';']).next().unwrap_or_default().trim().to_ascii_lowercase().parse().ok();
    wished.and_then(spoken).or_else(|| ranked(accepted).into_iter().find_map(spoken)).unwrap_or(usual)
}

/// Composes the page.
pub(crate) fn compose(code: &ConfirmationCode, shown: PublicState, days: u64, promised: u32, locale: Locale) -> String {
    let (lang, other) = match locale {
        Locale::Es => ("es", "en"),
        Locale::En => ("en", "es"),
    };
    let (heading, words) = (heading(shown, locale), explain(shown, locale, days, promised));
    let [title, label, outside, switch] =
        [PageText::Title, PageText::Code, PageText::Outside, PageText::Other].map(|text| text.text(locale));
    let page = html! {
        (DOCTYPE)
        html lang=(lang) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="robots" content="noindex, nofollow";
                title { (heading) " · " (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    h1 { (heading) }
                    p { (words) }
                    p { (outside) }
                    p { (label) ": " code translate="no" { (code.as_str()) } }
                }
                nav aria-label="Idioma / Language" {
                    a href={ "?lang=" (other) } hreflang=(other) lang=(other) { (switch) }
                }
            }
        }
    };
    page.into_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_for_json_gets_it_and_a_browser_a_page_in_its_language() {
        assert!(wants_json("application/json"));
        assert!(wants_json("application/json; charset=utf-8, */*"));
        assert!(!wants_json("text/html,application/xhtml+xml,*/*;q=0.8"));
        assert!(!wants_json("text/html, application/json"));
        assert!(!wants_json("*/*"));
        assert!(wants_json("text/html;q=0.5, application/json;q=0.9"));
        assert!(!wants_json("application/json;q=0.1, text/html"));
        assert!(!wants_json("application/json;q=0, */*"));
        assert_eq!(language(None, "es;q=0.3, en;q=0.8", Locale::Es), Locale::En);
        assert_eq!(language(None, "en;q=0, es", Locale::En), Locale::Es);
        assert_eq!(language(None, "en-US,en;q=0.9,es;q=0.8", Locale::Es), Locale::En);
        assert_eq!(language(None, "de-DE, es;q=0.5", Locale::En), Locale::Es);
        assert_eq!(language(Some("es"), "en", Locale::En), Locale::Es);
        assert_eq!(language(Some("<b>"), "de", Locale::Es), Locale::Es);
    }

    /// What an accessibility checker looks for on a page of plain text.
    #[test]
    fn the_page_can_be_read_by_everybody() {
        for (locale, lang) in [(Locale::Es, "es"), (Locale::En, "en")] {
            for shown in [
                PublicState::Received,
                PublicState::Waiting,
                PublicState::Erasing,
                PublicState::Done,
                PublicState::Failed,
            ] {
                let page = compose(&ConfirmationCode::new("ab12"), shown, 3, 30, locale);
                assert!(page.starts_with("<!DOCTYPE html>") && page.contains(&format!("<html lang=\"{lang}\">")));
                for once in ["<title>", "<main>", "<h1>", "name=\"viewport\"", "<nav aria-label="] {
                    assert_eq!(page.matches(once).count(), 1, "{once}");
                }
                for never in
                    ["user-scalable=no", "maximum-scale", "<img", "<script", "http:", "https:", "outline:", "<table"]
                {
                    assert!(!page.contains(never), "{never}");
                }
            }
        }
        for (ink, paper) in [("1b1b1b", "ffffff"), ("0b4f9e", "ffffff"), ("f2f2f2", "161616"), ("9ecbff", "161616")] {
            assert!(contrast(ink, paper) >= 7.0, "{ink} on {paper}");
        }
    }

    /// WCAG's contrast ratio of two colors.
    fn contrast(one: &str, other: &str) -> f64 {
        let luminance = |color: &str| {
            let channel = |at: usize| {
                let value = f64::from(u8::from_str_radix(&color[at..at + 2], 16).unwrap()) / 255.0;
                if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
            };
            0.2126 * channel(0) + 0.7152 * channel(2) + 0.0722 * channel(4)
        };
        let (one, other) = (luminance(one), luminance(other));
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }
}
