//! The guard over instruction counts: figures in the repository, and what was counted now.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::PathBuf};

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::{functions, instructions::Instructions};

/// How much more than its figure a count may be, in percent.
const MORE: u64 = 10;

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
        let counts = Instructions { start: of("start")?, first: of("first")?, warm: of("warm")? };
        Ok((name, counts))
    };
    figures.into_iter().map(read).collect()
}

/// Makes these the figures of the repository.
pub fn accept(counts: &Counts) -> anyhow::Result<()> {
    let figures: BTreeMap<&str, Value> = counts
        .iter()
        .map(|(name, one)| (name.as_str(), json!({ "start": one.start, "first": one.first, "warm": one.warm })))
        .collect();
    Ok(fs::write(file(), serde_json::to_string_pretty(&figures)? + "\n")?)
}

/// What is too much, one line each. A function without figures is too much as well, and so are figures without a function.
pub fn excess(accepted: &Counts, counted: &Counts) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, now) in counted {
        let Some(then) = accepted.get(name) else {
            lines.push(format!("{name} has no figures yet"));
            continue;
        };
        for (what, then, now) in [("start", then.start, now.start), ("a warm call", then.warm, now.warm)] {
            if now > then + then * MORE / 100 {
                lines.push(format!("{name}: {what} needs {now} instructions, {then} are accepted"));
            }
        }
    }
    for name in accepted.keys().filter(|name| !counted.contains_key(*name)) {
        lines.push(format!("there is no {name} any more"));
    }
    lines
}

/// All counts as a table, in millions.
pub fn table(counts: &Counts) -> String {
    let mut table = "| function | start | first call | warm call |\n| --- | --- | --- | --- |\n".to_owned();
    for (name, one) in counts {
        let millions = |count: u64| format!("{}.{:02}", count / 1_000_000, count % 1_000_000 / 10_000);
        let (start, first, warm) = (millions(one.start), millions(one.first), millions(one.warm));
        // A string takes everything.
        let _ = writeln!(table, "| `{name}` | {start} | {first} | {warm} |");
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(name: &str, start: u64, warm: u64) -> Counts {
        Counts::from([(name.to_owned(), Instructions { start, first: 1, warm })])
    }

    #[test]
    fn a_tenth_more_is_let_through_and_not_more() {
        let accepted = counts("send", 1_000, 2_000);
        assert_eq!(excess(&accepted, &counts("send", 1_100, 2_200)), Vec::<String>::new());
        assert_eq!(
            excess(&accepted, &counts("send", 1_101, 2_201)),
            [
                "send: start needs 1101 instructions, 1000 are accepted",
                "send: a warm call needs 2201 instructions, 2000 are accepted"
            ]
        );
        assert_eq!(excess(&accepted, &counts("send", 1, 1)), Vec::<String>::new());
    }

    #[test]
    fn nobody_slips_past() {
        let lines = excess(&counts("send", 1, 1), &counts("history", 1, 1));
        assert_eq!(lines, ["history has no figures yet", "there is no send any more"]);
    }

    #[test]
    fn every_function_has_its_figures() {
        let names: Vec<String> = accepted().unwrap().into_keys().collect();
        assert_eq!(names, functions::names().unwrap(), "run: cargo run -p rig -- guard --accept");
    }
}
