//! Keeps the last lines of the functions' logs, so that an item can be followed.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use domain::Clock as _;
use serde_json::{Value, json};
use simulator_wire::MovableClock;

/// How many lines are kept.
const MAX_LINES: usize = 10_000;

/// The last lines. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct LogBook {
    lines: Arc<Mutex<VecDeque<Value>>>,
    clock: MovableClock,
}

impl LogBook {
    pub(crate) fn new(clock: MovableClock) -> Self {
        Self { lines: Arc::default(), clock }
    }

    /// Keeps a line of a function, if it is one of ours and names an item.
    pub(crate) fn read_line(&self, function: &str, line: &str) {
        let Ok(line) = serde_json::from_str::<Value>(line) else { return };
        let Some(trace) = line["span"]["trace"].as_str().filter(|trace| !trace.is_empty()) else { return };
        let kept = json!({ "at": self.clock.now().as_millis(), "function": function, "trace": trace,
            "level": line["level"], "fields": line["fields"] });
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == MAX_LINES {
            lines.pop_front();
        }
        lines.push_back(kept);
    }

    /// The lines of an item, the first one first; without one, all.
    pub(crate) fn of(&self, trace: Option<&str>) -> Vec<Value> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().filter(|line| trace.is_none_or(|trace| line["trace"] == trace)).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use domain::Timestamp;

    use super::*;

    #[test]
    fn the_lines_of_an_item_are_found_and_others_are_not_kept() {
        let book = LogBook::new(MovableClock::frozen(Timestamp::from_secs(1)));
        for trace in ["5b1f", "3/17", "5b1f"] {
            book.read_line(
                "forward",
                &format!(r#"{{"level":"WARN","fields":{{"message":"x"}},"span":{{"trace":"{trace}"}}}}"#),
            );
        }
        book.read_line("forward", r#"{"level":"WARN","fields":{"message":"of no item"}}"#);
        book.read_line("forward", "no line of ours");
        assert_eq!((book.of(Some("5b1f")).len(), book.of(None).len(), book.of(Some("c0de")).len()), (2, 3, 0));
        for _ in 0..MAX_LINES {
            book.read_line("send", r#"{"span":{"trace":"3/18"}}"#);
        }
        assert_eq!(book.of(None).len(), MAX_LINES);
    }
}
