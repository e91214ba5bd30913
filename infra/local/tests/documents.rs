//! The documents keep their form: short, narrow, linked, and decisions that can be looked up.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// The widest line of prose. Tables, commands and headings may be wider.
const COLUMNS: usize = 110;

/// How many words a decision may have.
const WORDS: usize = 80;

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned()
}

/// All documents, as path and text.
fn documents() -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![top().join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "md") {
                found.insert(path.clone(), fs::read_to_string(&path).unwrap());
            }
        }
    }
    let readme = top().join("README.md");
    found.insert(readme.clone(), fs::read_to_string(&readme).unwrap());
    found
}

/// The lines that are prose, with their numbers.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    text.lines().enumerate().filter_map(move |(at, line)| {
        let start = line.trim_start();
        fenced ^= start.starts_with("```");
        let excepted = fenced || ["|", "#", "```", "<!--", "!["].iter().any(|mark| start.starts_with(mark));
        (!excepted).then_some((at + 1, line))
    })
}

#[test]
fn documents_are_narrow() {
    let mut wide = Vec::new();
    for (path, text) in documents() {
        wide.extend(
            prose(&text)
                .filter(|(_, line)| line.chars().count() > COLUMNS)
                .map(|(at, _)| format!("{}:{at}", path.display())),
        );
    }
    assert!(wide.is_empty(), "wider than {COLUMNS} columns:\n{}", wide.join("\n"));
}

#[test]
fn documents_speak_plainly() {
    let mut found = Vec::new();
    for (path, text) in documents() {
        for (at, line) in text.lines().enumerate() {
            // What the bridge itself writes is quoted as it is.
            let prose: String = line.split('`').step_by(2).collect();
            let mut words = prose.split(|letter: char| !letter.is_alphabetic()).map(str::to_lowercase);
            if words.any(|word| ["somebody", "nobody", "whoever", "whom"].contains(&word.as_str())) {
                found.push(format!("{}:{}", path.display(), at + 1));
            }
        }
    }
    assert!(found.is_empty(), "say who it is:\n{}", found.join("\n"));
}

#[test]
fn documents_link_to_what_is_there() {
    let mut lost = Vec::new();
    for (path, text) in documents() {
        // Not in code.
        let prose: String = text.split('`').step_by(2).collect();
        for target in prose.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = target.split('#').next().unwrap();
            let elsewhere = file.is_empty() || file.contains("://") || file.contains(' ');
            if !elsewhere && !path.parent().unwrap().join(file).exists() {
                lost.push(format!("{}: {target}", path.display()));
            }
        }
    }
    assert!(lost.is_empty(), "{}", lost.join("\n"));
}

#[test]
fn the_readme_is_read_in_one_go() {
    assert!(documents()[&top().join("README.md")].lines().count() <= 120);
}

#[test]
fn each_decision_is_short_and_in_the_index() {
    let folder = top().join("docs/decisions");
    let mut decisions = BTreeMap::new();
    for (path, text) in documents() {
        let area = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if path.parent() != Some(&folder) || area == "README" {
            continue;
        }
        for entry in text.split("\n## ").skip(1) {
            let (heading, body) = entry.split_once('\n').unwrap();
            let (number, title) = heading.split_once(" · ").unwrap();
            let parts: Vec<_> = body.split("**").skip(1).step_by(2).collect();
            assert_eq!(parts, ["Context.", "Decision.", "Consequence."], "{heading}");
            let words = body.split_whitespace().count() - parts.len();
            assert!(words <= WORDS, "{heading}: {words} words");
            let number: u32 = number.parse().unwrap();
            assert!(decisions.insert(number, (title.to_owned(), area.clone())).is_none(), "two are {number}");
        }
    }
    let index = fs::read_to_string(folder.join("README.md")).unwrap();
    let rows: Vec<_> = index.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    assert_eq!(rows.len(), decisions.len(), "the index has a row for each decision");
    for (row, (number, (title, area))) in rows.into_iter().zip(decisions) {
        assert!(row.starts_with(&format!("| {number} | [{title}]({area}.md#{number}--")), "{number} {title}: {row}");
        assert!(row.contains(&format!(" | {area} | ")), "{row}");
    }
}
