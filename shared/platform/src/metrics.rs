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

/// Where CloudWatch keeps the metrics.
pub const NAMESPACE: &str = "LMotosBridge";

/// The unit of every metric.
pub const UNIT: &str = "Count";

/// The dimensions of a metric. Two stacks of an account never mix.
pub const DIMENSIONS: [&str; 2] = ["Function", "Stack"];

/// The metric of prices, written on lines of its own: its name, and what it counts.
pub const PRICED: (&str, &str) = (
    "Priced",
    "Messages by what Meta charges them as. `Rate` is charged, or the reason why it is free; `Status` is `sent` when Meta announced \
     it, `delivered` when it counted. Lines of their own.",
);

/// Its dimensions.
pub const PRICED_DIMENSIONS: [&str; 5] = ["Function", "Stack", "Category", "Rate", "Status"];

domain::documented! {
    /// The metrics. The comments say what is counted and, where an operator has to act, when an alarm is due and its page.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Metric {
        /// Items taken from Meta.
        Received,
        /// Messages, late files and deletions that reached Chatwoot.
        Forwarded,
        /// Items already handled, and echoes of what the bridge sent.
        Duplicate,
        /// Parts that Meta accepted.
        Sent,
        /// Tasks given back to their queue.
        Retried,
        /// Requests refused at the door (4xx).
        ///
        /// many by `callback` → runbook/refusals.md
        Rejected,
        /// Tasks put into the dead letters; in `send` also messages given up because they stop it each time.
        ///
        /// above 0 → runbook/dead-letters.md
        Poisoned,
        /// Sends that may have gone out: no answer came.
        Uncertain,
        /// Sync requests that cost no sync of their own.
        Coalesced,
        /// Events about an account, a number or a template.
        AccountEvent,
        /// Numbers that can no longer send.
        ///
        /// above 0 → runbook/channel-down.md
        ChannelDown,
        /// Numbers that can send again.
        ChannelUp,
        /// Parts that began to wait for a number that cannot send.
        ///
        /// above 0 → runbook/channel-down.md
        Held,
        /// Conversations in which a rule, a bot or a macro kept the bridge busy by itself.
        ///
        /// above 0 → runbook/loops.md
        Braked,
        /// Times that a message had to wait because more would have been too fast for its person or its number.
        Paced,
        /// Items the ledger cannot account for; every round of `reconcile`, also 0.
        ///
        /// not 0 → runbook/balance.md
        Difference,
        /// Items that are not settled yet; every round of `reconcile`, also 0.
        ///
        /// high for hours → runbook/balance.md
        Waiting,
        /// Customers' files that are still to be fetched; every round of `reconcile`, also 0.
        ///
        /// growing → runbook/balance.md
        FilesMissing,
        /// Requests for erasure that were opened.
        ErasureAsked,
        /// Requests for erasure that are done.
        Erased,
        /// Requests for erasure that are open; every run of `retention`, also 0.
        ErasureOpen,
        /// Open requests for erasure on a day of warning.
        ///
        /// above 0 → runbook/erasure.md
        ErasureWarning,
        /// Requests for erasure that are open after the promised days; every day again.
        ///
        /// above 0 → runbook/erasure.md
        ErasureBreach,
        /// Conversations whose time to be kept is over, as far as the run of `retention` got.
        RetentionDue,
        /// Of these, what the label `conservar` keeps; every run of `retention`, also 0.
        RetentionHeld,
        /// Runs of `retention` that Chatwoot or AWS kept from a part of their work; every run, also 0.
        ///
        /// above 0 → runbook/refusals.md
        RetentionTrouble,
        /// What is there after its time and neither held nor being erased, and what could not be judged; every run of
        /// `retention`, also 0.
        ///
        /// above 0 → runbook/erasure.md
        Overdue,
    }
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
    counts: [AtomicU64; Metric::DOCUMENTED.len()],
    /// Written even if it is zero.
    measured: [AtomicBool; Metric::DOCUMENTED.len()],
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
                        "Namespace": NAMESPACE,
                        "Dimensions": [PRICED_DIMENSIONS],
                        "Metrics": [{ "Name": PRICED.0, "Unit": UNIT }],
                    }],
                },
                "Function": self.function, "Stack": self.stack, "Priced": count, "Category": priced.category,
                "Rate": priced.rate, "Status": priced.status, "billable": priced.billable, "channel.id": priced.channel,
            })
        };
        priced.into_iter().map(line).collect()
    }

    fn line(&self, now: Timestamp) -> Option<Value> {
        let counted: Vec<(&str, u64)> = Metric::DOCUMENTED
            .iter()
            .enumerate()
            .filter_map(|(at, (name, _))| {
                let measured = self.measured[at].swap(false, Ordering::Relaxed);
                let count = self.counts[at].swap(0, Ordering::Relaxed);
                (count > 0 || measured).then_some((*name, count))
            })
            .collect();
        if counted.is_empty() {
            return None;
        }
        let names: Vec<Value> = counted.iter().map(|(name, _)| json!({ "Name": name, "Unit": UNIT })).collect();
        let mut line = Map::new();
        line.insert(
            "_aws".to_owned(),
            json!({
                "Timestamp": now.as_millis(),
                "CloudWatchMetrics": [{ "Namespace": NAMESPACE, "Dimensions": [DIMENSIONS], "Metrics": names }],
            }),
        );
        line.insert("Function".to_owned(), json!(self.function));
        line.insert("Stack".to_owned(), json!(self.stack));
        line.extend(counted.into_iter().map(|(name, count)| (name.to_owned(), json!(count))));
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
