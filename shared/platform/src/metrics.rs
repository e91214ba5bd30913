//! Writes metrics in CloudWatch's embedded format.
//! That is one JSON line an invocation, counts only, never a person.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use domain::Timestamp;
use serde_json::{Map, Value, json};

/// The metrics.
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
    /// Records returned to their queue.
    Retried,
    /// Requests that an endpoint refused.
    Rejected,
    /// Records that were dead-lettered.
    Poisoned,
    /// Sends to which no answer came back.
    Uncertain,
    /// Sync requests that cost no call, since a later listing had covered them.
    Coalesced,
    /// Events about an account, a number or a template.
    AccountEvent,
    /// Numbers that can no longer send.
    ChannelDown,
    /// Numbers that can send again.
    ChannelUp,
    /// Parts that began to wait for a number that cannot send.
    Held,
    /// Conversations in which something kept the bridge busy by itself.
    Braked,
    /// Times that a message had to wait because of a rate limit.
    Paced,
    /// Items whose outcome the item ledger does not know.
    Difference,
    /// Items that are not settled yet.
    Waiting,
    /// Pending files: customers' files that are still to be fetched.
    FilesMissing,
    /// Erasures that were requested.
    ErasureAsked,
    /// Erasures that are done.
    Erased,
    /// Erasures that are open.
    ErasureOpen,
    /// Erasures that are open on a day of warning.
    ErasureWarning,
    /// Erasures that are open after the promised days.
    ErasureBreach,
    /// Customers whose retention is over.
    RetentionDue,
    /// Customers whose retention is over and who are kept by a label.
    RetentionHeld,
    /// Runs of `retention` that could not do a part of their work.
    RetentionTrouble,
    /// Data that is overdue: still there after its time.
    Overdue,
}

const ALL: [Metric; 27] = [
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
    Metric::Braked,
    Metric::Paced,
    Metric::Difference,
    Metric::Waiting,
    Metric::FilesMissing,
    Metric::ErasureAsked,
    Metric::Erased,
    Metric::ErasureOpen,
    Metric::ErasureWarning,
    Metric::ErasureBreach,
    Metric::RetentionDue,
    Metric::RetentionHeld,
    Metric::RetentionTrouble,
    Metric::Overdue,
];

impl Metric {
    /// All metrics.
    pub const ALL: &[Metric] = &ALL;
}

/// How a message is charged. Each label is one of a few known words, so that no sender can create metrics by inventing some.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Priced {
    /// The number it was sent from; a property of the line, no dimension.
    pub channel: String,
    /// Meta's category.
    pub category: &'static str,
    /// Charged, or the reason why it is free.
    pub rate: &'static str,
    /// `sent` when Meta announced it, `delivered` when it counted.
    pub status: &'static str,
    /// Meta's older field for whether it costs something.
    pub billable: Option<bool>,
}

/// The counts of one invocation.
#[derive(Debug)]
pub struct Metrics {
    function: &'static str,
    stack: String,
    counts: [AtomicU64; ALL.len()],
    /// Written even if it is zero.
    measured: [AtomicBool; ALL.len()],
    priced: Mutex<BTreeMap<Priced, u64>>,
}

impl Metrics {
    /// All zero.
    pub fn new(function: &'static str, stack: String) -> Self {
        Self { function, stack, counts: Default::default(), measured: Default::default(), priced: Mutex::default() }
    }

    /// Counts one.
    pub fn count(&self, metric: Metric) {
        self.add(metric, 1);
    }

    /// Counts several.
    pub fn add(&self, metric: Metric, by: usize) {
        self.counts[metric as usize].fetch_add(by as u64, Ordering::Relaxed);
    }

    /// Sets how many there are, and writes it even if there are none.
    pub fn measure(&self, metric: Metric, value: u64) {
        self.counts[metric as usize].store(value, Ordering::Relaxed);
        self.measured[metric as usize].store(true, Ordering::Relaxed);
    }

    /// Counts a message by how it is charged.
    pub fn price(&self, priced: Priced) {
        *self.priced.lock().unwrap_or_else(PoisonError::into_inner).entry(priced).or_default() += 1;
    }

    /// Writes the lines for what was counted since the last ones, and starts over. Without counts it writes nothing.
    pub fn emit(&self, now: Timestamp) {
        for line in self.line(now).into_iter().chain(self.price_lines(now)) {
            eprintln!("{line}");
        }
    }

    fn price_lines(&self, now: Timestamp) -> Vec<Value> {
        let priced = std::mem::take(&mut *self.priced.lock().unwrap_or_else(PoisonError::into_inner));
        let line = |(priced, count): (Priced, u64)| {
            json!({
                "_aws": {
                    "Timestamp": now.as_millis(),
                    "CloudWatchMetrics": [{
                        "Namespace": "LMotosBridge",
                        "Dimensions": [["Function", "Stack", "Category", "Rate", "Status"]],
                        "Metrics": [{ "Name": "Priced", "Unit": "Count" }],
                    }],
                },
                "Function": self.function, "Stack": self.stack, "Priced": count, "Category": priced.category,
                "Rate": priced.rate, "Status": priced.status, "billable": priced.billable, "channel.id": priced.channel,
            })
        };
        priced.into_iter().map(line).collect()
    }

    fn line(&self, now: Timestamp) -> Option<Value> {
        let counted: Vec<(String, u64)> = ALL
            .iter()
            .filter_map(|metric| {
                let at = *metric as usize;
                let measured = self.measured[at].swap(false, Ordering::Relaxed);
                let count = self.counts[at].swap(0, Ordering::Relaxed);
                (count > 0 || measured).then(|| (format!("{metric:?}"), count))
            })
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
                "CloudWatchMetrics": [{ "Namespace": "LMotosBridge", "Dimensions": [["Function", "Stack"]], "Metrics": names }],
            }),
        );
        line.insert("Function".to_owned(), json!(self.function));
        line.insert("Stack".to_owned(), json!(self.stack));
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

    #[test]
    fn what_is_measured_is_told_also_when_it_is_nothing() {
        let metrics = Metrics::new("reconcile", "test".into());
        metrics.measure(Metric::Difference, 0);
        assert_eq!(metrics.line(Timestamp::from_secs(1)).unwrap()["Difference"], json!(0));
        assert!(metrics.line(Timestamp::from_secs(2)).is_none());
    }

    #[test]
    fn messages_are_counted_by_what_they_are_charged_as() {
        let metrics = Metrics::new("forward", "test".into());
        let priced = |status| Priced {
            channel: "104857600123456".into(),
            category: "service",
            rate: "regular",
            status,
            billable: Some(true),
        };
        for status in ["sent", "delivered", "delivered"] {
            metrics.price(priced(status));
        }
        let lines = metrics.price_lines(Timestamp::from_secs(1));
        let told: Vec<_> = lines.iter().map(|line| (line["Status"].as_str(), line["Priced"].as_u64())).collect();
        assert_eq!(told, [(Some("delivered"), Some(2)), (Some("sent"), Some(1))]);
        let dimensions = &lines[0]["_aws"]["CloudWatchMetrics"][0]["Dimensions"][0];
        assert!(!dimensions.to_string().contains("channel"), "{dimensions}");
        assert!(metrics.price_lines(Timestamp::from_secs(2)).is_empty());
    }
}
