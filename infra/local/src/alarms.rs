//! Reads the template's alarms and evaluates them as CloudWatch does.
//!
//! AWS's rules (*Configuring how CloudWatch alarms treat missing data*): more periods are looked at than the alarm names. If enough
//! of them have data, the latest of these decide, however old. Otherwise all data there is counts, and what is missing to the number
//! is taken as the alarm says.

use std::time::Duration;

use anyhow::{Context as _, anyhow, bail, ensure};
use domain::Timestamp;
use serde::Deserialize;
use serde_json::Value as Json;

use crate::{
    cloudwatch::{CloudWatch, MetricId, Statistic},
    intrinsics::plain,
};

/// How many periods more than it names an alarm looks at. AWS's own example looks at five for an alarm of three.
const LOOKED_AT_BEYOND: u32 = 2;

/// An alarm of the template.
#[derive(Clone, Debug)]
pub struct Alarm {
    /// What the template calls it.
    pub id: String,
    /// What people are told.
    pub description: String,
    /// The metric it reads; an alarm is paid for by it.
    pub metric: MetricId,
    statistic: Statistic,
    period: Duration,
    periods: u32,
    datapoints: usize,
    comparison: Comparison,
    threshold: f64,
    missing_breaches: bool,
}

#[derive(Clone, Copy, Debug, Deserialize)]
enum Comparison {
    #[serde(rename = "GreaterThanThreshold")]
    Greater,
    #[serde(rename = "GreaterThanOrEqualToThreshold")]
    AtLeast,
    #[serde(rename = "LessThanThreshold")]
    Less,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Properties {
    alarm_description: String,
    namespace: String,
    metric_name: String,
    #[serde(default)]
    dimensions: Vec<Dimension>,
    statistic: Option<String>,
    extended_statistic: Option<String>,
    period: u64,
    evaluation_periods: u32,
    datapoints_to_alarm: usize,
    comparison_operator: Comparison,
    threshold: f64,
    treat_missing_data: String,
    alarm_actions: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Dimension {
    name: String,
    value: Json,
}

impl Alarm {
    /// Reads one from its resolved properties. Metric math is not known here, nor to other emulators: an alarm of three metrics
    /// costs what three alarms cost, and says less.
    pub(crate) fn read(id: &str, properties: Json) -> anyhow::Result<Self> {
        let given: Properties = serde_json::from_value(properties)?;
        ensure!(!given.alarm_actions.is_empty(), "it tells nobody");
        let missing_breaches = match given.treat_missing_data.as_str() {
            "breaching" => true,
            "notBreaching" => false,
            other => bail!("an alarm here says what missing data means, not {other}"),
        };
        let word = given.statistic.or(given.extended_statistic).context("Statistic is missing")?;
        let statistic = Statistic::parse(&word).ok_or_else(|| anyhow!("the statistic {word} is not known here"))?;
        let dimensions = given.dimensions.into_iter().map(|one| (one.name, plain(&one.value))).collect();
        let metric = MetricId { namespace: given.namespace, name: given.metric_name, dimensions };
        let period = given.period;
        ensure!(period >= 60 && period.is_multiple_of(60), "a high resolution costs three times as much");
        let longest = if period < 3_600 { 86_400 } else { 604_800 };
        ensure!(period * u64::from(given.evaluation_periods) <= longest, "AWS looks no further back than {longest} s");
        ensure!(given.datapoints_to_alarm <= given.evaluation_periods as usize, "more datapoints than periods");
        ensure!(given.alarm_description.chars().count() <= 1_024, "the description is too long");
        Ok(Self {
            id: id.to_owned(),
            description: given.alarm_description,
            metric,
            statistic,
            period: Duration::from_secs(period),
            periods: given.evaluation_periods,
            datapoints: given.datapoints_to_alarm,
            comparison: given.comparison_operator,
            threshold: given.threshold,
            missing_breaches,
        })
    }

    /// The page of the runbook that the description names.
    pub fn page(&self) -> Option<&str> {
        self.description.split_whitespace().find_map(|word| word.strip_prefix("docs/runbook/"))
    }

    /// When it fires, in words.
    pub fn condition(&self) -> String {
        let sign = match self.comparison {
            Comparison::Greater => ">",
            Comparison::AtLeast => "≥",
            Comparison::Less => "<",
        };
        let minutes = self.period.as_secs() / 60;
        let missing = if self.missing_breaches { "; silence counts" } else { "" };
        let Self { metric, statistic, datapoints, periods, threshold, .. } = self;
        let name = &metric.name;
        format!("{statistic} of `{name}` {sign} {threshold}, {datapoints} of {periods} × {minutes} min{missing}")
    }

    /// Whether it is in alarm at that moment.
    pub fn fires(&self, data: &CloudWatch, now: Timestamp) -> bool {
        let count = self.periods + LOOKED_AT_BEYOND;
        // Whole minutes: the one that is not over has no value yet.
        let end = Timestamp::from_secs(now.as_secs() / 60 * 60);
        let values: Vec<f64> =
            data.series(&self.metric, self.statistic, self.period, count, end).into_iter().flatten().collect();
        let needed = self.periods as usize;
        let latest = &values[values.len().saturating_sub(needed)..];
        let missing = if self.missing_breaches { needed - latest.len() } else { 0 };
        latest.iter().filter(|value| self.breaches(**value)).count() + missing >= self.datapoints
    }

    /// Whether it is in alarm only because nothing was told.
    pub fn is_silent(&self, data: &CloudWatch, now: Timestamp) -> bool {
        let told = Self { missing_breaches: false, ..self.clone() };
        self.missing_breaches && self.fires(data, now) && !told.fires(data, now)
    }

    /// How long ago something may have been told that it reads.
    pub fn looks_back(&self) -> Duration {
        self.period * (self.periods + LOOKED_AT_BEYOND)
    }

    fn breaches(&self, value: f64) -> bool {
        match self.comparison {
            Comparison::Greater => value > self.threshold,
            Comparison::AtLeast => value >= self.threshold,
            Comparison::Less => value < self.threshold,
        }
    }
}

#[cfg(test)]
#[path = "alarms_tests.rs"]
mod tests;
