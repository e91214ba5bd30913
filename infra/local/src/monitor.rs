//! Watches the stack as CloudWatch does, and evaluates the template's alarms on what was told.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use domain::{Clock as _, Timestamp};
use serde_json::{Value, json};
use simulator_wire::MovableClock;
use tokio::time::timeout;

use crate::{
    alarms::Alarm,
    cloud::Cloud,
    cloudwatch::{CloudWatch, MetricId},
    intrinsics::STACK,
    stop::Stopped,
};

/// How often the queues are looked at; CloudWatch does it each minute.
const LOOK: Duration = Duration::from_secs(10);
/// What SQS received as often as this is left out of the age of a queue's oldest message.
const RECEIVES_THAT_COUNT: u64 = 3;

/// The metrics of the stack. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Monitor {
    told: Arc<Mutex<Told>>,
    clock: MovableClock,
}

#[derive(Debug)]
struct Told {
    data: CloudWatch,
    /// Since when time has gone by at its own pace: silence before that means nothing.
    steady_since: Timestamp,
}

impl Monitor {
    /// Knows nothing yet.
    pub(crate) fn new(clock: MovableClock) -> Self {
        let told = Told { data: CloudWatch::default(), steady_since: clock.now() };
        Self { told: Arc::new(Mutex::new(told)), clock }
    }

    /// Reads a line of a function's log.
    pub(crate) fn read_line(&self, line: &str) {
        self.told().data.read_line(line);
    }

    /// What Lambda tells of an invocation: whether it failed.
    pub(crate) fn ended(&self, function: &str, well: bool) {
        let errors = MetricId::new("AWS/Lambda", "Errors", &[("FunctionName", function)]);
        self.put(errors, f64::from(u8::from(!well)));
    }

    /// And how long it took.
    pub(crate) fn lasted(&self, function: &str, took: Duration) {
        let duration = MetricId::new("AWS/Lambda", "Duration", &[("FunctionName", function)]);
        self.put(duration, took.as_secs_f64() * 1_000.0);
    }

    /// What API Gateway tells of a request.
    pub(crate) fn answered(&self, status: u16) {
        self.put(MetricId::new("AWS/ApiGateway", "5xx", &[("ApiId", STACK)]), f64::from(u8::from(status >= 500)));
    }

    /// The clock was moved: nobody was silent in between.
    pub(crate) fn jumped(&self) {
        self.told().steady_since = self.clock.now();
    }

    /// Looks at the queues.
    pub(crate) fn look(&self, cloud: &Cloud) {
        let now = self.clock.now();
        let dump = cloud.dump_queues().unwrap_or_default();
        for queue in dump["queues"].as_array().into_iter().flatten() {
            let name = [("QueueName", queue["name"].as_str().unwrap_or_default())];
            let states = ["waiting", "delayed", "in_flight"].into_iter().filter_map(|state| queue[state].as_array());
            let counts = |message: &&Value| message["receive_count"].as_u64().is_some_and(|n| n <= RECEIVES_THAT_COUNT);
            let oldest = states.flatten().filter(counts).filter_map(|message| message["sent_at"].as_i64()).min();
            let age = oldest.map_or(0.0, |at| now.since(Timestamp::from_millis(at)).as_secs_f64());
            let visible = queue["waiting"].as_array().map_or(0, Vec::len);
            self.put(MetricId::new("AWS/SQS", "ApproximateAgeOfOldestMessage", &name), age);
            let visible = f64::from(u32::try_from(visible).unwrap_or(u32::MAX));
            self.put(MetricId::new("AWS/SQS", "ApproximateNumberOfMessagesVisible", &name), visible);
        }
    }

    /// Looks at the queues as time goes by, and forgets what no alarm reads any more.
    pub(crate) async fn keep(self, cloud: Arc<Cloud>, alarms: Vec<Alarm>, mut stopped: Stopped) {
        let longest = alarms.iter().map(Alarm::looks_back).max().unwrap_or_default();
        while timeout(LOOK, stopped.wait()).await.is_err() {
            self.look(&cloud);
            let now = self.clock.now();
            self.told().data.forget_before(now - longest);
        }
    }

    /// Every alarm: its state (`ok`, `alarm`, or `unknown` where too little time has gone by to tell), words and page.
    pub(crate) fn judge(&self, alarms: &[Alarm]) -> Vec<Value> {
        let now = self.clock.now();
        let told = self.told();
        let state = |alarm: &Alarm| match alarm.fires(&told.data, now) {
            false => "ok",
            true if alarm.is_silent(&told.data, now) && now.since(told.steady_since) < alarm.looks_back() => "unknown",
            true => "alarm",
        };
        let shown = |alarm: &Alarm| {
            let (es, en) = words(&alarm.description);
            json!({ "name": alarm.id, "state": state(alarm), "es": es, "en": en, "condition": alarm.condition(),
                "page": alarm.page() })
        };
        alarms.iter().map(shown).collect()
    }

    fn put(&self, metric: MetricId, value: f64) {
        let now = self.clock.now();
        self.told().data.put(metric, now, value);
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A description in Spanish and in English, without its page.
fn words(description: &str) -> (&str, &str) {
    let said = description.split("docs/runbook/").next().unwrap_or_default().trim();
    let (es, en) = said.split_once("EN:").unwrap_or((said, said));
    (es.trim().trim_start_matches("ES:").trim(), en.trim())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::{Surroundings, Template};

    fn alarms() -> Vec<Alarm> {
        let url = |name: &str| (name.to_owned(), "http://127.0.0.1:9".to_owned());
        let parameters = ["ChatwootUrl", "GraphUrl"].map(url).into();
        let surroundings = Surroundings { aws_url: String::new(), api_url: String::new(), parameters };
        Template::read(&surroundings).unwrap().alarms
    }

    fn state(monitor: &Monitor, name: &str) -> String {
        let judged = monitor.judge(&alarms());
        judged.iter().find(|alarm| alarm["name"] == name).unwrap()["state"].as_str().unwrap().to_owned()
    }

    #[test]
    fn silence_counts_from_when_time_goes_by_at_its_own_pace() {
        let clock = MovableClock::frozen(Timestamp::from_secs(1_800_000_000));
        let monitor = Monitor::new(clock.clone());
        assert_eq!(state(&monitor, "ReconcileSilentAlarm"), "unknown");
        clock.advance(Duration::from_secs(86_400));
        monitor.jumped();
        assert_eq!(state(&monitor, "ReconcileSilentAlarm"), "unknown");
        clock.advance(Duration::from_secs(3_600));
        assert_eq!(state(&monitor, "ReconcileSilentAlarm"), "alarm");
    }

    #[test]
    fn what_aws_tells_of_its_services_reaches_the_alarms() {
        let clock = MovableClock::frozen(Timestamp::from_secs(1_800_000_000));
        let monitor = Monitor::new(clock.clone());
        monitor.ended("lmotos-send", false);
        monitor.answered(503);
        let told = ["SendErrorsAlarm", "ServerErrorsAlarm"];
        for name in told {
            assert_eq!(state(&monitor, name), "ok", "{name}: its minute is not over");
        }
        clock.advance(Duration::from_secs(60));
        for name in told {
            assert_eq!(state(&monitor, name), "alarm", "{name}");
        }
        for _ in 0..2 {
            assert_eq!(state(&monitor, "WebhookSlowAlarm"), "ok");
            monitor.lasted("lmotos-webhook", Duration::from_millis(1_001));
            clock.advance(Duration::from_secs(300));
        }
        assert_eq!(state(&monitor, "WebhookSlowAlarm"), "alarm");
    }

    #[test]
    fn an_alarm_speaks_both_languages() {
        for alarm in alarms() {
            let (es, en) = words(&alarm.description);
            assert!(es.len() > 10 && en.len() > 10 && es != en, "{alarm:?}");
            assert!(!es.contains("EN:") && !en.contains("docs/"), "{alarm:?}");
        }
    }
}
