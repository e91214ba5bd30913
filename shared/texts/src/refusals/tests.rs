//! Checks that every code has its sentence.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

fn text(code: i64, locale: Locale) -> String {
    super::text(code, Clue::default(), locale)
}

/// The table, line by line; codes of one line, or of lines that call for the same step, share a sentence.
const TABLE: &[(&[i64], Refusal)] = &[
    (&[0, 3, 10, 190, 200, 210, 299, 131_005], Refusal::Disconnected),
    (&[1, 2, 131_000, 131_016, 131_057, 133_004, 2_494_100], Refusal::MetaUnwell),
    (&[100, 131_009], Refusal::OurFault),
    (&[131_008], Refusal::Incomplete),
    (&[33], Refusal::NotThere),
    (&[4, 80_007, 130_429, 131_056], Refusal::TooFast),
    (&[368], Refusal::Blocked),
    (&[613, 138_013, 131_044, 138_000, 138_018], Refusal::Calls),
    (&[130_472], Refusal::MarketingExperiment),
    (&[130_497], Refusal::Country),
    (&[131_020, 131_041, 131_059, 131_201, 131_215], Refusal::Group),
    (&[131_021], Refusal::OwnNumber),
    (&[131_026], Refusal::Undeliverable),
    (&[131_030], Refusal::NotAllowed),
    (&[131_031], Refusal::Locked),
    (&[131_037], Refusal::DisplayName),
    (&[131_042], Refusal::Payment),
    (&[131_045, 133_010], Refusal::Unregistered),
    (&[131_047], Refusal::Window),
    (&[131_048], Refusal::Spam),
    (&[131_049], Refusal::Marketing),
    (&[131_050], Refusal::Stopped),
    (&[131_051], Refusal::Kind),
    (&[131_052], Refusal::InboundFile),
    (&[131_053], Refusal::File),
    (&[131_055], Refusal::Method),
    (&[131_060], Refusal::InboundUnavailable),
    (&[131_062], Refusal::PhoneNeeded),
    (&[131_063], Refusal::MarketingOff),
    (&[131_064], Refusal::Classification),
    (&[132_000, 132_008, 132_012, 132_018, 135_000], Refusal::TemplateParameters),
    (&[132_001], Refusal::TemplateMissing),
    (&[132_005], Refusal::TemplateTooLong),
    (&[132_007], Refusal::TemplatePolicy),
    (&[132_015, 132_016], Refusal::TemplatePaused),
    (&[132_068, 132_069, 139_000, 139_004], Refusal::Flow),
    (&[133_000], Refusal::Deregistration),
    (&[133_005], Refusal::Pin),
    (&[133_006], Refusal::Verify),
    (&[133_008, 133_009], Refusal::PinTooOften),
    (&[133_015], Refusal::RecentlyDeleted),
    (&[133_016], Refusal::RegisterLimit),
    (&[134_011], Refusal::PaymentTerms),
    (&[137_000], Refusal::IdentityChanged),
    (&[139_100, 139_103], Refusal::BlockList),
    (&[147_001, 147_005], Refusal::Username),
    (&[2_388_001, 2_388_999], Refusal::Management),
    (&[2_593_107, 2_593_108], Refusal::Sync),
    (&[2_593_109], Refusal::HistoryDeclined),
];

#[test]
fn every_code_of_the_table_has_its_own_or_a_shared_sentence() {
    let mut by_sentence = BTreeMap::<String, BTreeSet<Refusal>>::new();
    for (codes, refusal) in TABLE {
        for code in *codes {
            assert_eq!(Refusal::of(*code), *refusal, "{code}");
            for locale in [Locale::Es, Locale::En] {
                by_sentence.entry(text(*code, locale)).or_default().insert(*refusal);
            }
        }
    }
    assert_eq!(by_sentence.len(), 2 * TABLE.len());
    assert!(by_sentence.values().all(|refusals| refusals.len() == 1), "{by_sentence:?}");
}

#[test]
fn every_sentence_says_what_happened_and_what_to_do_next() {
    // What happened, then the step: after a semicolon, or in a sentence of its own.
    for (codes, _) in TABLE {
        for locale in [Locale::Es, Locale::En] {
            let said = text(codes[0], locale);
            let (_, words) = said.split_once(": ").unwrap();
            let steps: Vec<&str> = words.split(['.', ';']).filter(|part| !part.trim().is_empty()).collect();
            assert!(steps.len() >= 2, "{said}");
        }
    }
}

#[test]
fn a_clue_decides_the_words() {
    let said = |code, details| super::text(code, Clue::read(details), Locale::Es);
    let weblink = "Downloading media from weblink failed with http code 403, status message Forbidden";
    assert!(said(131_053, weblink).contains("respondió 403") && !said(131_053, weblink).contains("formato"));
    assert!(said(131_053, "Unsupported type").contains("formato"));
    assert!(said(131_009, "Parameter value is not valid: text.body").contains("no aceptó el texto (text.body)"));
    assert!(said(100, "Param image['link'] is not a URL").contains("el enlace (image.link)"));
    assert!(said(131_008, "Required parameter is missing: caption").contains("falta el texto del archivo"));
    let header = "header: Format mismatch, expected IMAGE, received UNKNOWN";
    assert!(said(132_012, header).contains("el encabezado (header)"));
    assert!(said(132_000, "Parameter name 'modelo' does not exist").contains("el campo «modelo»"));
    // An unrelated parameter changes nothing.
    assert_eq!(said(131_047, "text: 403"), text(131_047, Locale::Es));
    for code in [100, 131_008, 131_009, 132_012, 132_005] {
        let english = super::text(code, Clue::read("header: no"), Locale::En);
        assert!(english.contains("the header (header)") && english.contains("; "), "{english}");
    }
}

#[test]
fn a_code_nobody_knows_is_shown() {
    assert!(!text(NO_CODE, Locale::Es).contains("código"));
    for code in [-2, 7, 131_998, 999_999] {
        assert!(text(code, Locale::Es).contains(&format!("código {code}")));
        assert!(text(code, Locale::En).contains(&format!("code {code}")));
    }
}
