//! Metrics in CloudWatch's embedded format: one JSON line an invocation, counts only, never a person.

use std::sync::atomic::{AtomicU64, Ordering};

use domain::Timestamp;
use serde_json::{Map, Value, json};

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// Items taken from Meta.
    Received,
    /// Items that reached Chatwoot.
    Forwarded,
    /// Items already handled.
    Duplicate,
    /// Parts that Meta accepted.
    Sent,
    /// Records given back to their queue.
    Retried,
    /// Requests refused at the door.
    Rejected,
    /// Records put into the dead letters.
    Poisoned,
    /// Sends nobody heard back from.
    Uncertain,
    /// Hints that cost no call, since a listing had come after them.
    Coalesced,
    /// Events about an account, a number or a template.
    AccountEvent,
    /// Numbers that can no longer send.
    ChannelDown,
    /// Numbers that can send again.
    ChannelUp,
    /// Parts that began to wait for a number that cannot send.
    Held,
}

const ALL: [Metric; 13] = [
    Metric::Received,
    Metric::Forwarded,
    Metric::Duplicate,
    Metric::Sent,
    Metric::Retried,
    Metric::Rejected,
    Metric::Poisoned,
    Metric::Uncertain,
    Metric::Coalesced,
    Metric::AccountEvent,
    Metric::ChannelDown,
    Metric::ChannelUp,
    Metric::Held,
];

/// The counts of one invocation.
#[derive(Debug)]
pub struct Metrics {
    function: &'static str,
    stage: String,
    counts: [AtomicU64; ALL.len()],
}

impl Metrics {
    /// All zero.
    pub fn new(function: &'static str, stage: String) -> Self {
        Self { function, stage, counts: Default::default() }
    }

    /// Counts one.
    pub fn count(&self, metric: Metric) {
        self.add(metric, 1);
    }

    /// Counts several.
    pub fn add(&self, metric: Metric, by: usize) {
        self.counts[metric as usize].fetch_add(by as u64, Ordering::Relaxed);
    }

    /// Writes the line for what was counted since the last one, and starts over. Nothing counted, nothing written.
    pub fn emit(&self, now: Timestamp) {
        if let Some(line) = self.line(now) {
            eprintln!("{line}");
        }
    }

    fn line(&self, now: Timestamp) -> Option<Value> {
        let counted: Vec<(String, u64)> = ALL
            .iter()
            .map(|metric| (format!("{metric:?}"), self.counts[*metric as usize].swap(0, Ordering::Relaxed)))
            .filter(|(_, count)| *count > 0)
            .collect();
        if counted.is_empty() {
            return None;
        }
        let names: Vec<Value> = counted.iter().map(|(name, _)| json!({ "Name": name, "Unit": "Count" })).collect();
        let mut line = Map::new();
        line.insert(
            "_aws".to_owned(),
            json!({
                "Timestamp": now.as_millis(),
                "CloudWatchMetrics": [{ "Namespace": "LMotosBridge", "Dimensions": [["Function", "Stage"]], "Metrics": names }],
            }),
        );
        line.insert("Function".to_owned(), json!(self.function));
        line.insert("Stage".to_owned(), json!(self.stage));
        line.extend(counted.into_iter().map(|(name, count)| (name, json!(count))));
        Some(Value::Object(line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_what_was_counted_once() {
        let metrics = Metrics::new("forward", "test".into());
        metrics.count(Metric::Forwarded);
        metrics.add(Metric::Retried, 2);
        let line = metrics.line(Timestamp::from_secs(1)).unwrap();
        assert_eq!(
            (&line["Forwarded"], &line["Retried"], &line["Function"]),
            (&json!(1), &json!(2), &json!("forward"))
        );
        assert_eq!(line["_aws"]["CloudWatchMetrics"][0]["Metrics"].as_array().unwrap().len(), 2);
        assert!(metrics.line(Timestamp::from_secs(2)).is_none());
    }
}
