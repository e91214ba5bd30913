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
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().canonicalize().unwrap()
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

/// The anchors of a document's headings, as GitHub makes them.
fn anchors(text: &str) -> Vec<String> {
    let mut anchors: Vec<String> = Vec::new();
    for heading in text.lines().filter(|line| line.starts_with('#')) {
        let letters = heading.trim_start_matches('#').trim().to_lowercase();
        let letters = letters.chars().filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
        let slug: String = letters.map(|letter| if letter == ' ' { '-' } else { letter }).collect();
        let before = anchors.iter().filter(|known| **known == slug).count();
        anchors.push(if before == 0 { slug } else { format!("{slug}-{before}") });
    }
    anchors
}

#[test]
fn an_anchor_is_made_of_the_whole_heading() {
    let made = anchors("## 12 · `a_b` is *kept*, twice\n### Ñu/x\n## Same\n# Same\n");
    assert_eq!(made, ["12--a_b-is-kept-twice", "ñux", "same", "same-1"]);
}

#[test]
fn the_reference_is_current() {
    let page = local::reference::page().unwrap();
    let now = documents().remove(&top().join("docs/reference.md")).unwrap_or_default();
    assert!(now == page, "docs/reference.md is old; run: cargo run -p rig -- reference --write");
}

#[test]
fn documents_link_to_what_is_there() {
    let mut lost = Vec::new();
    let documents = documents();
    for (path, text) in &documents {
        // Not in code.
        let prose: String = text.split('`').step_by(2).collect();
        for target in prose.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            if file.contains("://") || file.contains(' ') {
                continue;
            }
            let file = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            let there = file.exists() && {
                let of = || documents.get(&file.canonicalize().unwrap()).map(|text| anchors(text));
                anchor.is_empty() || of().is_some_and(|anchors| anchors.iter().any(|known| known == anchor))
            };
            if !there {
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
        let anchor = &anchors(&format!("## {number} · {title}"))[0];
        assert!(row.starts_with(&format!("| {number} | [{title}]({area}.md#{anchor}) |")), "{number} {title}: {row}");
        assert!(row.contains(&format!(" | {area} | ")), "{row}");
    }
}
