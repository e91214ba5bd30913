//! Writes metrics in CloudWatch's embedded format.
//! That is one JSON line an invocation, counts only, never a person. CloudWatch keeps what an alarm or the dashboard reads
//! ([`Metric::PUBLISHED`]); the other counts stand in the line, where they cost nothing.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use domain::{SharedClock, Timestamp};
use serde_json::{Map, Value, json};

/// Where CloudWatch keeps the metrics.
pub const NAMESPACE: &str = "LMotosBridge";

/// Hears every line. Only a test sets it: what ships has nobody who listens.
pub static LISTENER: OnceLock<fn(&Value)> = OnceLock::new();

/// The unit of every metric.
pub const UNIT: &str = "Count";

/// The dimensions of a metric. Two stacks of an account never mix; the function stands in the line.
pub const DIMENSIONS: [&str; 1] = ["Stack"];

/// The metric of prices, written on lines of its own: its name, and what it counts.
pub const PRICED: (&str, &str) = (
    "Priced",
    "Messages by what Meta charges them as, on lines of their own. `Rate` is `regular` (charged), or the reason why it is free; \
     `Status` is `sent` when Meta announced it, `delivered` when it counted. CloudWatch keeps what is charged and counted.",
);

/// Its dimensions.
pub const PRICED_DIMENSIONS: [&str; 2] = ["Stack", "Category"];

/// The rate and the status that Meta's bill is made of.
const BILLED: (&str, &str) = ("regular", "delivered");

domain::documented! {
    /// The metrics. The comments say what is counted; when an alarm is due is the template's to say.
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
        /// Batches of `forward` and `send` that gave back a task older than fifteen minutes.
        Late,
        /// Requests refused at the door (4xx).
        Rejected,
        /// Of these, what was not signed by the secret in hand, or not in time.
        SignatureRefused,
        /// Tasks put into the dead letters; in `send` also messages given up because they stop it each time.
        Poisoned,
        /// Sends that may have gone out: no answer came.
        Uncertain,
        /// Messages that have been uncertain for more than fifteen minutes; every look.
        Unconfirmed,
        /// Sync requests that cost no sync of their own.
        Coalesced,
        /// Events about an account, a number or a template.
        AccountEvent,
        /// Of these, what the operator has to look at: quality or tier falling, a violation, a ban that was announced.
        AccountTrouble,
        /// Tokens that Chatwoot or Graph refused; every round of `reconcile`.
        TokenRefused,
        /// Numbers whose token ends within two weeks; every round of `reconcile`.
        TokenEnding,
        /// Numbers that cannot send: when they stopped, and in every round of `reconcile`, also 0.
        ChannelDown,
        /// Numbers that can send again.
        ChannelUp,
        /// Parts that began to wait for a number that cannot send.
        Held,
        /// Parts that have waited for a number for more than an hour; every look.
        HeldLong,
        /// Conversations in which a rule, a bot or a macro kept the bridge busy by itself.
        Braked,
        /// Times that a message had to wait because more would have been too fast for its person or its number.
        Paced,
        /// Items the ledger cannot account for; every round of `reconcile`, also 0.
        Difference,
        /// Items that are not settled yet; every round of `reconcile`, also 0.
        Waiting,
        /// Customers' files that are still to be fetched; every round of `reconcile`, also 0.
        FilesMissing,
        /// Rounds of `reconcile` that went through for every number.
        ReconcileRound,
        /// Messages of phones' histories that were written into Chatwoot.
        HistoryWritten,
        /// Messages of phones' histories that were refused: too old, erased, without a side, or about another one.
        HistoryRefused,
        /// Messages of phones' histories that are not settled yet; every round of `reconcile` during an import.
        HistoryWaiting,
        /// Numbers that their owners connected.
        SignupDone,
        /// Signups that have stood still for two hours though there is more to do; every round of `signup`, also 0.
        SignupStanding,
        /// Signups of a number that belongs to another account.
        SignupConflict,
        /// Numbers whose token ends within a week; every round of `reconcile`.
        TokenEndingSoon,
        /// Requests for erasure that were opened.
        ErasureAsked,
        /// Requests for erasure that are done.
        Erased,
        /// Requests for erasure that are open; every run of `retention`, also 0.
        ErasureOpen,
        /// Open requests for erasure on a day of warning.
        ErasureWarning,
        /// Requests for erasure that are open after the promised days; every day again.
        ErasureBreach,
        /// Conversations whose time to be kept is over, as far as the run of `retention` got.
        RetentionDue,
        /// Of these, what the label `conservar` keeps; every run of `retention`, also 0.
        RetentionHeld,
        /// Runs of `retention` that Chatwoot or AWS kept from a part of their work; every run, also 0.
        RetentionTrouble,
        /// Runs of `retention` that did all of their work.
        RetentionRound,
        /// Copies of the ledger of erasures that were made whole.
        LedgerRound,
        /// What is there after its time and neither held nor being erased, and what could not be judged; every run of
        /// `retention`, also 0.
        Overdue,
    }
}

impl Metric {
    /// What CloudWatch keeps, and is paid for: an alarm or the dashboard of the template reads it.
    pub const PUBLISHED: &[Self] = &[
        Self::Received,
        Self::Forwarded,
        Self::Sent,
        Self::Late,
        Self::SignatureRefused,
        Self::Uncertain,
        Self::Unconfirmed,
        Self::AccountTrouble,
        Self::TokenRefused,
        Self::TokenEnding,
        Self::ChannelDown,
        Self::HeldLong,
        Self::Braked,
        Self::Difference,
        Self::FilesMissing,
        Self::HistoryWaiting,
        Self::ReconcileRound,
        Self::SignupStanding,
        Self::SignupConflict,
        Self::TokenEndingSoon,
        Self::ErasureAsked,
        Self::Erased,
        Self::ErasureWarning,
        Self::ErasureBreach,
        Self::RetentionRound,
        Self::LedgerRound,
        Self::Overdue,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::DOCUMENTED[self as usize].0
    }
}

/// Whether CloudWatch keeps a metric, by its place.
const IS_PUBLISHED: [bool; Metric::DOCUMENTED.len()] = {
    let mut kept = [false; Metric::DOCUMENTED.len()];
    let mut at = 0;
    while at < Metric::PUBLISHED.len() {
        kept[Metric::PUBLISHED[at] as usize] = true;
        at += 1;
    }
    kept
};

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
    clock: SharedClock,
    counts: [AtomicU64; Metric::DOCUMENTED.len()],
    /// Written even if it is zero.
    measured: [AtomicBool; Metric::DOCUMENTED.len()],
    priced: Mutex<BTreeMap<Priced, u64>>,
}

impl Metrics {
    /// All zero.
    pub fn new(function: &'static str, stack: String, clock: SharedClock) -> Self {
        let counts = [const { AtomicU64::new(0) }; Metric::DOCUMENTED.len()];
        let measured = [const { AtomicBool::new(false) }; Metric::DOCUMENTED.len()];
        Self { function, stack, clock, counts, measured, priced: Mutex::default() }
    }

    /// The time by which it counts.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
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
    pub fn emit(&self) {
        let now = self.clock.now();
        for line in self.line(now).into_iter().chain(self.price_lines(now)) {
            if let Some(listen) = LISTENER.get() {
                listen(&line);
            }
            eprintln!("{line}");
        }
    }

    fn price_lines(&self, now: Timestamp) -> Vec<Value> {
        let priced = std::mem::take(&mut *self.priced.lock().unwrap_or_else(PoisonError::into_inner));
        let line = |(priced, count): (Priced, u64)| {
            let mut line = json!({
                "Function": self.function, "Stack": self.stack, "Priced": count, "Category": priced.category,
                "Rate": priced.rate, "Status": priced.status, "billable": priced.billable, "channel.id": priced.channel,
            });
            if (priced.rate, priced.status) == BILLED {
                line["_aws"] = directive(now, &PRICED_DIMENSIONS, &[PRICED.0]);
            }
            line
        };
        priced.into_iter().map(line).collect()
    }

    fn line(&self, now: Timestamp) -> Option<Value> {
        let (mut line, mut kept) = (Map::new(), Vec::new());
        for (at, (name, _)) in Metric::DOCUMENTED.iter().enumerate() {
            let measured = self.measured[at].swap(false, Ordering::Relaxed);
            let count = self.counts[at].swap(0, Ordering::Relaxed);
            if count > 0 || measured {
                line.insert((*name).to_owned(), json!(count));
                kept.extend(IS_PUBLISHED[at].then_some(*name));
            }
        }
        if line.is_empty() {
            return None;
        }
        if !kept.is_empty() {
            line.insert("_aws".to_owned(), directive(now, &DIMENSIONS, &kept));
        }
        line.insert("Function".to_owned(), json!(self.function));
        line.insert("Stack".to_owned(), json!(self.stack));
        Some(Value::Object(line))
    }
}

/// What tells CloudWatch which members of a line are metrics.
fn directive(now: Timestamp, dimensions: &[&str], names: &[&str]) -> Value {
    let metrics: Vec<Value> = names.iter().map(|name| json!({ "Name": name, "Unit": UNIT })).collect();
    json!({
        "Timestamp": now.as_millis(),
        "CloudWatchMetrics": [{ "Namespace": NAMESPACE, "Dimensions": [dimensions], "Metrics": metrics }],
    })
}

#[cfg(test)]
mod tests {
    use domain::SystemClock;

    use super::*;

    #[test]
    fn a_line_tells_what_was_counted_once() {
        let metrics = Metrics::new("forward", "test".into(), SystemClock.shared());
        metrics.count(Metric::Forwarded);
        metrics.add(Metric::Retried, 2);
        let line = metrics.line(Timestamp::from_secs(1)).unwrap();
        assert_eq!(
            (&line["Forwarded"], &line["Retried"], &line["Function"]),
            (&json!(1), &json!(2), &json!("forward"))
        );
        let told = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(
            told["Metrics"],
            json!([{ "Name": "Forwarded", "Unit": "Count" }]),
            "the other stands in the line only"
        );
        assert_eq!(told["Dimensions"], json!([["Stack"]]));
        assert!(metrics.line(Timestamp::from_secs(2)).is_none());
    }

    #[test]
    fn what_no_alarm_reads_stands_in_the_line_and_costs_nothing() {
        let metrics = Metrics::new("send", "test".into(), SystemClock.shared());
        metrics.count(Metric::Paced);
        let line = metrics.line(Timestamp::from_secs(1)).unwrap();
        assert_eq!(line, json!({ "Function": "send", "Stack": "test", "Paced": 1 }));
    }

    #[test]
    fn what_is_measured_is_told_also_when_it_is_nothing() {
        let metrics = Metrics::new("reconcile", "test".into(), SystemClock.shared());
        metrics.measure(Metric::Difference, 0);
        assert_eq!(metrics.line(Timestamp::from_secs(1)).unwrap()["Difference"], json!(0));
        assert!(metrics.line(Timestamp::from_secs(2)).is_none());
    }

    #[test]
    fn messages_are_counted_by_what_they_are_charged_as() {
        let metrics = Metrics::new("forward", "test".into(), SystemClock.shared());
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
        assert_eq!(lines[0]["_aws"]["CloudWatchMetrics"][0]["Dimensions"], json!([["Stack", "Category"]]));
        assert!(lines[1].get("_aws").is_none(), "what was only announced is no metric: {}", lines[1]);
        assert!(metrics.price_lines(Timestamp::from_secs(2)).is_empty());
    }
}
