//! A double of CloudWatch: it keeps metrics, and aggregates them.
//! They come as lines of the embedded format, as in the cloud, and as what AWS measures of its own services.

use std::{collections::BTreeMap, fmt, time::Duration};

use domain::Timestamp;
use serde_json::Value;

/// A metric by its namespace, name and dimensions.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MetricId {
    /// Whose it is.
    pub namespace: String,
    /// What it is called.
    pub name: String,
    /// What it is about.
    pub dimensions: BTreeMap<String, String>,
}

impl MetricId {
    /// A metric.
    pub fn new(namespace: &str, name: &str, dimensions: &[(&str, &str)]) -> Self {
        let dimensions = dimensions.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self { namespace: namespace.to_owned(), name: name.to_owned(), dimensions }
    }
}

/// How the samples of a period become one value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Statistic {
    /// All of them together.
    Sum,
    /// The highest.
    Maximum,
    /// The lowest.
    Minimum,
    /// How many there are.
    SampleCount,
    /// The value that so many in a hundred do not pass.
    Percentile(f64),
}

impl Statistic {
    /// By CloudWatch's word for it.
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "Sum" => Self::Sum,
            "Maximum" => Self::Maximum,
            "Minimum" => Self::Minimum,
            "SampleCount" => Self::SampleCount,
            _ => Self::Percentile(word.strip_prefix('p')?.parse().ok()?),
        })
    }

    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a few samples"
    )]
    fn of(self, mut samples: Vec<f64>) -> Option<f64> {
        samples.sort_by(f64::total_cmp);
        let last = samples.len().checked_sub(1)?;
        Some(match self {
            Self::Sum => samples.iter().sum(),
            Self::Maximum => samples[last],
            Self::Minimum => samples[0],
            Self::SampleCount => samples.len() as f64,
            Self::Percentile(percent) => samples[(last as f64 * percent / 100.0).ceil() as usize],
        })
    }
}

/// As people say it.
impl fmt::Display for Statistic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sum => f.write_str("sum"),
            Self::Maximum => f.write_str("highest"),
            Self::Minimum => f.write_str("lowest"),
            Self::SampleCount => f.write_str("samples"),
            Self::Percentile(percent) => write!(f, "p{percent}"),
        }
    }
}

/// All metrics.
#[derive(Clone, Debug, Default)]
pub struct CloudWatch {
    samples: BTreeMap<MetricId, Vec<(Timestamp, f64)>>,
}

impl CloudWatch {
    /// Keeps a sample.
    pub fn put(&mut self, metric: MetricId, at: Timestamp, value: f64) {
        self.samples.entry(metric).or_default().push((at, value));
    }

    /// Forgets what is older.
    pub fn forget_before(&mut self, at: Timestamp) {
        for samples in self.samples.values_mut() {
            samples.retain(|(told, _)| *told >= at);
        }
    }

    /// Keeps what a line of a log says in the embedded format. A line that says nothing in it is none.
    pub fn read_line(&mut self, line: &str) {
        let Ok(line) = serde_json::from_str::<Value>(line) else { return };
        let at = Timestamp::from_millis(line["_aws"]["Timestamp"].as_i64().unwrap_or_default());
        for told in line["_aws"]["CloudWatchMetrics"].as_array().into_iter().flatten() {
            let namespace = told["Namespace"].as_str().unwrap_or_default();
            for set in told["Dimensions"].as_array().into_iter().flatten() {
                let names = set.as_array().into_iter().flatten().filter_map(Value::as_str);
                let dimensions: Vec<_> = names.map(|name| (name, line[name].as_str().unwrap_or_default())).collect();
                for name in told["Metrics"].as_array().into_iter().flatten().filter_map(|one| one["Name"].as_str()) {
                    if let Some(value) = line[name].as_f64() {
                        self.put(MetricId::new(namespace, name, &dimensions), at, value);
                    }
                }
            }
        }
    }

    /// The value of each of the last `count` periods before `end`, the oldest first.
    pub fn series(
        &self,
        metric: &MetricId,
        statistic: Statistic,
        period: Duration,
        count: u32,
        end: Timestamp,
    ) -> Vec<Option<f64>> {
        let samples = self.samples.get(metric).map_or(&[][..], Vec::as_slice);
        let value = |back: u32| {
            let (from, to) = (end - period * back, end - period * (back - 1));
            let inside = samples.iter().filter(|(at, _)| (from..to).contains(at)).map(|(_, value)| *value);
            statistic.of(inside.collect())
        };
        (1..=count).rev().map(value).collect()
    }
}
