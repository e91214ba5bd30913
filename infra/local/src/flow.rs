//! Counts what each function takes and finishes, and what it counts itself.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use serde::Serialize;
use serde_json::{Value, json};

use crate::template::Template;

/// What went through the functions since the start. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flow(Arc<Mutex<BTreeMap<String, Step>>>);

/// What went through one function.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Step {
    /// Requests, messages and timers handed to it.
    pub(crate) taken: u64,
    /// Of these, what it was done with; the rest is given back, failed, or still in hand.
    pub(crate) done: u64,
    /// What it counted.
    pub(crate) metrics: BTreeMap<String, Count>,
}

/// A metric of a function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Count {
    /// All of it together.
    pub(crate) sum: u64,
    /// What was told last.
    pub(crate) last: u64,
}

impl Flow {
    /// So much was handed to a function.
    pub(crate) fn took(&self, function: &str, count: usize) {
        self.step(function, |step| step.taken += count as u64);
    }

    /// With so much it is done.
    pub(crate) fn finished(&self, function: &str, count: usize) {
        self.step(function, |step| step.done += count as u64);
    }

    /// Reads a line of a function's log. Only one with counts says something here, whether CloudWatch keeps them or not.
    pub(crate) fn read_line(&self, line: &str) {
        let Ok(Value::Object(line)) = serde_json::from_str::<Value>(line) else { return };
        let text = |member: &str| line.get(member).and_then(Value::as_str);
        let Some((function, _)) = text("Function").zip(text("Stack")) else { return };
        let counts = line.iter().filter_map(|(name, value)| Some((name, value.as_u64()?)));
        self.step(function, |step| {
            for (name, value) in counts {
                let count = step.metrics.entry(name.clone()).or_default();
                (count.sum, count.last) = (count.sum + value, value);
            }
        });
    }

    /// Every function with what leads to it and what went through.
    pub(crate) fn show(&self, template: &[Leads]) -> Value {
        let steps = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |name: &str| steps.get(name).cloned().unwrap_or_default();
        let functions: Vec<Value> = template
            .iter()
            .map(|leads| {
                let mut shown = json!(of(&leads.name));
                shown["name"] = json!(leads.name);
                shown["queues"] = json!(leads.queues);
                shown["routes"] = json!(leads.routes);
                shown["every_seconds"] = json!(leads.every_seconds);
                shown
            })
            .collect();
        json!({ "functions": functions })
    }

    fn step(&self, function: &str, change: impl FnOnce(&mut Step)) {
        let mut steps = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(steps.entry(function.to_owned()).or_default());
    }
}

/// What leads to a function.
#[derive(Clone, Debug)]
pub(crate) struct Leads {
    name: String,
    queues: Vec<String>,
    routes: Vec<String>,
    every_seconds: Option<u64>,
}

impl Leads {
    /// All functions of the template.
    pub(crate) fn all(template: &Template) -> Vec<Self> {
        let of = |function: &crate::template::Function| Self {
            name: function.name.clone(),
            queues: function.mappings.iter().map(|mapping| mapping.queue.clone()).collect(),
            routes: function.routes.iter().map(|route| format!("{} {}", route.method, route.path)).collect(),
            every_seconds: function.schedules.first().map(|rate| rate.0.as_secs()),
        };
        template.functions.iter().map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_metrics_is_counted_and_any_other_is_not() {
        let flow = Flow::default();
        let line = |sent: u64, waiting: u64| {
            json!({ "_aws": { "Timestamp": 1, "CloudWatchMetrics": [] }, "Function": "send", "Stack": "lmotos",
                "Sent": sent, "Waiting": waiting })
        };
        // CloudWatch keeps nothing of the last one.
        let counted = json!({ "Function": "send", "Stack": "lmotos", "Retried": 1 });
        for line in [line(2, 7), line(1, 0), counted].map(|line| line.to_string()) {
            flow.read_line(&line);
        }
        for other in ["", "{", r#"{"Stack":"lmotos","Sent":9}"#, r#"{"Function":"send","Sent":9}"#, "\"Stack\""] {
            flow.read_line(other);
        }
        flow.took("send", 3);
        flow.finished("send", 2);
        let step = flow.0.lock().unwrap()["send"].clone();
        assert_eq!((step.taken, step.done), (3, 2));
        assert_eq!(step.metrics["Retried"], Count { sum: 1, last: 1 });
        assert_eq!(step.metrics["Sent"], Count { sum: 3, last: 1 });
        assert_eq!(step.metrics["Waiting"], Count { sum: 7, last: 0 });
    }
}
