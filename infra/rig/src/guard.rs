//! The guard over instruction counts: figures in the repository, and what was counted now.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::PathBuf};

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::{cost, functions, instructions::Instructions};

/// How far from its figure a count may be, in percent: above is a loss, and below is a gain to write down, or something that is not
/// measured any more.
const APART: u64 = 10;

/// Counts by function.
pub type Counts = BTreeMap<String, Instructions>;

/// Where the figures are.
pub fn file() -> PathBuf {
    functions::top().join("infra/rig/instructions.json")
}

/// The figures of the repository.
pub fn accepted() -> anyhow::Result<Counts> {
    let path = file();
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let figures: BTreeMap<String, Value> = serde_json::from_str(&text)?;
    let read = |(name, figure): (String, Value)| {
        let of = |key: &str| figure[key].as_u64().with_context(|| format!("{name}.{key}"));
        let (start, alone, first, warm) = (of("start")?, of("alone")?, of("first")?, of("warm")?);
        let calls = of("calls")?;
        Ok((name, Instructions { start, alone, first, warm, calls }))
    };
    figures.into_iter().map(read).collect()
}

/// Makes these the figures of the repository, and of its document.
pub fn accept(counts: &Counts) -> anyhow::Result<()> {
    let figures: BTreeMap<&str, Value> = counts
        .iter()
        .map(|(name, one)| {
            let Instructions { start, alone, first, warm, calls } = one;
            let figure = json!({ "start": start, "alone": alone, "first": first, "warm": warm, "calls": calls });
            (name.as_str(), figure)
        })
        .collect();
    fs::write(file(), serde_json::to_string_pretty(&figures)? + "\n")?;
    let path = functions::top().join(DOCUMENT);
    Ok(fs::write(&path, document(&fs::read_to_string(&path)?, counts)?)?)
}

const DOCUMENT: &str = "docs/performance.md";
const BEGIN: &str = "<!-- counted: cargo run -p rig -- guard --accept -->\n";
const END: &str = "<!-- counted: end -->";

/// The document with these figures in the place of those it had.
fn document(text: &str, counts: &Counts) -> anyhow::Result<String> {
    cost::put(text, (BEGIN, END), &table(counts)).context("docs/performance.md has no place for the table")
}

/// What is not as it is accepted, one line each. A function without figures is not, and neither are figures without a function.
pub fn differences(accepted: &Counts, counted: &Counts) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, now) in counted {
        let Some(then) = accepted.get(name) else {
            lines.push(format!("{name} has no figures yet"));
            continue;
        };
        let pairs = [
            ("start", then.start, now.start),
            ("start that can call nobody", then.alone, now.alone),
            ("first call", then.first, now.first),
            ("warm call", then.warm, now.warm),
        ];
        for (what, then, now) in pairs {
            let apart = then * APART / 100;
            if now > then + apart {
                lines.push(format!("{name}: a {what} needs {now} instructions, {then} are accepted"));
            } else if now < then - apart {
                lines.push(format!(
                    "{name}: a {what} needs only {now} instructions, {then} are accepted: if it still does all it did, accept it"
                ));
            }
        }
        if now.calls != then.calls {
            lines.push(format!("{name}: {} calls out in the warm calls, {} are accepted", now.calls, then.calls));
        }
    }
    for name in accepted.keys().filter(|name| !counted.contains_key(*name)) {
        lines.push(format!("there is no {name} any more"));
    }
    lines
}

/// Whether there is nothing to tell of this function.
pub fn is_as_accepted(name: &str, counted: Instructions) -> anyhow::Result<bool> {
    let mut accepted = accepted()?;
    accepted.retain(|known, _| known == name);
    Ok(differences(&accepted, &Counts::from([(name.to_owned(), counted)])).is_empty())
}

/// All counts as a table, in millions.
pub fn table(counts: &Counts) -> String {
    let mut table = "| function | start | of that alone | first call | warm call | calls out |\n\
                     | --- | --- | --- | --- | --- | --- |\n"
        .to_owned();
    for (name, one) in counts {
        let millions = |count: u64| format!("{}.{:02}", count / 1_000_000, count % 1_000_000 / 10_000);
        let (start, alone) = (millions(one.start), millions(one.alone));
        let (first, warm) = (millions(one.first), millions(one.warm));
        let calls = format!("{}.{}", one.calls / 10, one.calls % 10);
        // A string takes everything.
        let _ = writeln!(table, "| `{name}` | {start} | {alone} | {first} | {warm} | {calls} |");
    }
    table
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn counts(name: &str, start: u64, warm: u64) -> Counts {
        Counts::from([(name.to_owned(), Instructions { start, alone: 1, first: 1, warm, calls: 7 })])
    }

    #[test]
    fn a_tenth_is_let_through_and_not_more_in_either_direction() {
        let accepted = counts("send", 1_000, 2_000);
        for (start, warm) in [(1_100, 2_200), (900, 1_800)] {
            assert_eq!(differences(&accepted, &counts("send", start, warm)), Vec::<String>::new());
        }
        assert_eq!(
            differences(&accepted, &counts("send", 1_101, 1_799)),
            [
                "send: a start needs 1101 instructions, 1000 are accepted",
                "send: a warm call needs only 1799 instructions, 2000 are accepted: if it still does all it did, accept it"
            ]
        );
    }

    #[test]
    fn calls_out_are_counted_exactly() {
        let accepted = counts("send", 1_000, 2_000);
        let mut more = accepted.clone();
        for one in more.values_mut() {
            one.calls = 8;
        }
        assert_eq!(differences(&accepted, &more), ["send: 8 calls out in the warm calls, 7 are accepted"]);
    }

    #[test]
    fn nobody_slips_past() {
        let lines = differences(&counts("send", 1, 1), &counts("history", 1, 1));
        assert_eq!(lines, ["history has no figures yet", "there is no send any more"]);
    }

    #[test]
    fn every_function_has_its_figures() {
        let names: BTreeSet<String> = accepted().unwrap().into_keys().collect();
        let counted = functions::counted().unwrap().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, counted, "run: cargo run -p rig -- guard --accept");
    }

    #[test]
    fn the_document_tells_the_figures() {
        let text = fs::read_to_string(functions::top().join(DOCUMENT)).unwrap();
        let now = document(&text, &accepted().unwrap()).unwrap();
        assert!(now == text, "docs/performance.md is old; run: cargo run -p rig -- guard --accept");
    }
}
