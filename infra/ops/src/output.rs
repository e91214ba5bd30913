//! Shows answers, lists and progress: words that fit the terminal, or JSON.

use std::{
    fmt::Write as _,
    io::{self, IsTerminal as _, Write as _},
};

use anyhow::Context as _;
use serde_json::Value;

use crate::told::{Exit, Told};

/// The width where no terminal tells its own.
const USUAL_WIDTH: usize = 80;

/// The narrowest a column gets.
const NARROWEST: usize = 4;

/// What stands between two columns.
const GAP: &str = "  ";

/// Where answers go.
#[derive(Debug)]
pub(crate) struct Output {
    json: bool,
    /// Whether somebody watches standard error.
    watched: bool,
}

/// A column of a list: its title, and how many letters its cells have as a rule. The last column has what is left.
pub(crate) type Column = (&'static str, usize);

/// A list that is shown row by row, as its rows come.
#[derive(Debug)]
pub(crate) struct List<'o> {
    output: &'o Output,
    columns: &'static [Column],
    widths: Vec<usize>,
    rows: usize,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Self { json, watched: io::stderr().is_terminal() }
    }

    /// Whether somebody watches.
    pub(crate) fn is_watched(&self) -> bool {
        self.watched
    }

    /// Shows what a command came to.
    pub(crate) fn tell(&self, told: Told) -> anyhow::Result<Exit> {
        match told {
            Told::Answer { json, words, exit } => {
                let text = if self.json { json.to_string() } else { words };
                line(text.trim_end())?;
                Ok(exit)
            }
            Told::Shown(exit) => Ok(exit),
        }
    }

    /// Says on a terminal what is being done. Elsewhere nobody watches.
    pub(crate) fn progress(&self, doing: &str) {
        if self.watched {
            let _ = write!(io::stderr().lock(), "\r\x1b[2K{doing} …");
        }
    }

    /// Begins a step of long work: progress on a terminal, a plain line of standard error elsewhere.
    pub(crate) fn step(&self, doing: &str) {
        if self.watched {
            self.progress(doing);
        } else {
            let _ = writeln!(io::stderr().lock(), "{doing}");
        }
    }

    /// Says something beside the answer.
    pub(crate) fn remark(&self, text: &str) {
        self.progress_over();
        let _ = writeln!(io::stderr().lock(), "{text}");
    }

    /// Takes the last progress away.
    pub(crate) fn progress_over(&self) {
        if self.watched {
            let _ = write!(io::stderr().lock(), "\r\x1b[2K");
        }
    }

    /// Begins a list.
    pub(crate) fn list(&self, columns: &'static [Column]) -> List<'_> {
        List { output: self, columns, widths: widths(columns, width()), rows: 0 }
    }
}

/// Says why something did not work.
pub(crate) fn complain(error: &anyhow::Error) {
    let _ = writeln!(io::stderr().lock(), "{error:#}");
}

fn line(text: &str) -> anyhow::Result<()> {
    writeln!(io::stdout().lock(), "{text}").context("standard output is closed")
}

impl List<'_> {
    /// Shows one row, as JSON or as cells.
    pub(crate) fn row(&mut self, json: &Value, cells: &[String]) -> anyhow::Result<()> {
        self.rows += 1;
        if self.output.json {
            let before = if self.rows == 1 { "[" } else { "," };
            return line(&format!("{before}{json}"));
        }
        if self.rows == 1 {
            let titles: Vec<_> = self.columns.iter().map(|(title, _)| (*title).to_owned()).collect();
            line(&laid_out(&titles, &self.widths))?;
        }
        line(&laid_out(cells, &self.widths))
    }

    /// Shows one row, as JSON or as a paragraph whose further lines are indented.
    pub(crate) fn paragraph(&mut self, json: &Value, text: &str, indent: usize) -> anyhow::Result<()> {
        self.output.progress_over();
        if self.output.json {
            return self.row(json, &[]);
        }
        self.rows += 1;
        line(&wrapped(text, width(), indent))
    }

    /// Ends the list; `none` says in words that it is empty.
    pub(crate) fn end(self, none: &str) -> anyhow::Result<Told> {
        match (self.output.json, self.rows) {
            (true, 0) => line("[]")?,
            (true, _) => line("]")?,
            (false, 0) => line(none)?,
            (false, _) => {}
        }
        Ok(Told::Shown(Exit::Done))
    }
}

/// The width of the terminal, if there is one.
fn width() -> usize {
    if !io::stdout().is_terminal() {
        return USUAL_WIDTH;
    }
    terminal_size::terminal_size().map_or(USUAL_WIDTH, |(width, _)| usize::from(width.0))
}

/// As much as each column wants, or less where all do not fit: the widest gives first. The last one gets what is left.
fn widths(columns: &[Column], within: usize) -> Vec<usize> {
    let mut widths: Vec<usize> = columns.iter().map(|(title, width)| (*width).max(title.chars().count())).collect();
    let gaps = GAP.len() * columns.len().saturating_sub(1);
    while widths.iter().sum::<usize>() + gaps > within {
        let Some(widest) = widths.iter_mut().max().filter(|widest| **widest > NARROWEST) else { break };
        *widest -= 1;
    }
    let left = within.saturating_sub(widths.iter().sum::<usize>() + gaps);
    if let Some(last) = widths.last_mut() {
        *last += left;
    }
    widths
}

/// Breaks a text into lines of that width; a word that is longer stays whole.
fn wrapped(text: &str, within: usize, indent: usize) -> String {
    let (mut lines, mut at) = (String::new(), 0);
    for word in text.split(' ') {
        let length = word.chars().count();
        if at > indent && at + 1 + length > within {
            lines.push('\n');
            lines.extend(std::iter::repeat_n(' ', indent));
            at = indent;
        } else if at > 0 {
            lines.push(' ');
            at += 1;
        }
        lines.push_str(word);
        at += length;
    }
    lines
}

fn laid_out(cells: &[String], widths: &[usize]) -> String {
    let mut line = String::new();
    for (at, (cell, width)) in cells.iter().zip(widths).enumerate() {
        if at > 0 {
            line.push_str(GAP);
        }
        // What a person named may hold anything; a row stays a row.
        let clean: String = cell.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
        if clean.chars().count() > *width {
            line.extend(clean.chars().take(width.saturating_sub(1)).chain(['…']));
        } else {
            let _ = write!(line, "{clean:<width$}");
        }
    }
    line.truncate(line.trim_end().len());
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 3] = [("number", 15), ("state", 30), ("why", 60)];

    #[test]
    fn a_table_fits_the_terminal_whatever_its_width() {
        for within in [20, 40, 80, 200] {
            let widths = widths(&COLUMNS, within);
            let row = laid_out(&["1".repeat(300), "ñ".repeat(300), "z".repeat(300)], &widths);
            assert_eq!(row.chars().count(), within, "{row}");
        }
    }

    #[test]
    fn a_paragraph_is_broken_between_words() {
        let text = "FAIL  number 5255: its token ended → take another one (docs/ops.md)";
        let lines = wrapped(text, 30, 6);
        assert_eq!(lines, "FAIL  number 5255: its token\n      ended → take another one\n      (docs/ops.md)");
    }

    #[test]
    fn what_fits_is_not_cut_and_a_row_stays_a_row() {
        let row = laid_out(&["104857600123456".to_owned(), "a\nb".to_owned(), String::new()], &widths(&COLUMNS, 80));
        assert_eq!(row, "104857600123456  a b");
    }
}
