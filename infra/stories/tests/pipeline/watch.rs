//! Watches a story as CloudWatch does: it reads the metric lines, samples the queues every minute and evaluates the template's
//! alarms.

use std::{cell::RefCell, collections::BTreeSet, time::Duration};

use domain::{Clock as _, Timestamp};
use local::cloudwatch::{CloudWatch, MetricId};
use serde_json::Value;
use stories::World;

use crate::fixtures::MINUTE;

/// What SQS counts as often as this is left out of the age of a queue's oldest message.
const RECEIVES_THAT_COUNT: u64 = 3;

thread_local! {
    /// The metric lines of this thread: a story has one of its own.
    static LINES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

fn hear(line: &Value) {
    LINES.with_borrow_mut(|lines| lines.push(line.to_string()));
}

/// Somebody who watches.
pub(crate) struct Watch<'w> {
    pub(crate) world: &'w World,
    data: RefCell<CloudWatch>,
    fired: RefCell<BTreeSet<String>>,
}

impl<'w> Watch<'w> {
    /// Begins on a day on which all is well.
    pub(crate) async fn over(world: &'w World) -> Self {
        platform::metrics::LISTENER.get_or_init(|| hear);
        LINES.take();
        let watch = Self { world, data: RefCell::default(), fired: RefCell::default() };
        watch.retains().await;
        watch.copies().await;
        watch.works(6 * MINUTE).await;
        assert_eq!(watch.fired(), [""; 0], "all is well in the beginning");
        watch
    }

    fn now(&self) -> Timestamp {
        self.world.clock.now()
    }

    /// Time passes, and the functions do not work.
    pub(crate) fn passes(&self, time: Duration, step: Duration) {
        let mut left = time;
        while !left.is_zero() {
            self.world.pass(step.min(left));
            left = left.saturating_sub(step);
            self.looks();
        }
    }

    /// Time passes, the functions work, and `reconcile` makes its rounds.
    pub(crate) async fn works(&self, time: Duration) {
        for minute in 0..time.as_secs() / 60 {
            if minute % 5 == 0 {
                self.reconciles().await;
            }
            self.world.work().await.unwrap();
            self.passes(MINUTE, MINUTE);
        }
    }

    /// A round of `reconcile`, as Lambda measures it.
    pub(crate) async fn reconciles(&self) {
        let ended = self.world.reconcile().await;
        self.ended("reconcile", ended.is_ok());
    }

    /// The daily run, as Lambda measures it.
    pub(crate) async fn retains(&self) {
        let ended = self.world.retention().await;
        self.ended("retention", ended.is_ok());
    }

    /// The daily copy of the ledger.
    pub(crate) async fn copies(&self) {
        let ended = self.world.ledger().await;
        self.ended("ledger", ended.is_ok());
    }

    fn ended(&self, function: &str, well: bool) {
        let name = format!("lmotos-{function}");
        self.put(MetricId::new("AWS/Lambda", "Errors", &[("FunctionName", &name)]), f64::from(u8::from(!well)));
    }

    /// AWS lets a function not begin: it counts that for the function, and once more for the account.
    pub(crate) fn throttled(&self, function: &str) {
        let name = format!("lmotos-{function}");
        self.put(MetricId::new("AWS/Lambda", "Throttles", &[("FunctionName", &name)]), 1.0);
        self.put(MetricId::new("AWS/Lambda", "Throttles", &[]), 1.0);
    }

    /// A webhook of Meta's, as API Gateway and Lambda measure it.
    pub(crate) async fn posts(&self, body: &[u8]) -> u16 {
        let begun = self.now();
        let status = self.world.meta.post(body).await.unwrap();
        let took = self.now().since(begun).as_secs_f64() * 1_000.0;
        self.put(MetricId::new("AWS/Lambda", "Duration", &[("FunctionName", "lmotos-webhook")]), took);
        self.put(MetricId::new("AWS/ApiGateway", "5xx", &[("ApiId", "lmotos")]), f64::from(u8::from(status >= 500)));
        status
    }

    fn put(&self, metric: MetricId, value: f64) {
        self.data.borrow_mut().put(metric, self.now(), value);
    }

    /// Takes what was told and measured since the last look, and evaluates every alarm.
    fn looks(&self) {
        for line in LINES.take() {
            self.data.borrow_mut().read_line(&line);
        }
        let now = self.now();
        // What is sampled at the end of a minute belongs to it.
        let within = now - Duration::from_millis(1);
        let dump = self.world.stage.aws.dump_queues();
        for queue in dump["queues"].as_array().into_iter().flatten() {
            let name = [("QueueName", queue["name"].as_str().unwrap())];
            let states = ["waiting", "delayed", "in_flight"].into_iter().filter_map(|state| queue[state].as_array());
            let counted = states.flatten().filter(|one| one["receive_count"].as_u64().unwrap() <= RECEIVES_THAT_COUNT);
            let oldest = counted.filter_map(|one| one["sent_at"].as_i64()).min();
            let age = oldest.map_or(0.0, |at| now.since(Timestamp::from_millis(at)).as_secs_f64());
            let visible = u32::try_from(queue["waiting"].as_array().unwrap().len()).unwrap();
            let mut data = self.data.borrow_mut();
            data.put(MetricId::new("AWS/SQS", "ApproximateAgeOfOldestMessage", &name), within, age);
            data.put(MetricId::new("AWS/SQS", "ApproximateNumberOfMessagesVisible", &name), within, visible.into());
        }
        let on = self.on();
        self.fired.borrow_mut().extend(on);
    }

    /// The alarms that are on now.
    pub(crate) fn on(&self) -> BTreeSet<String> {
        let (data, now) = (self.data.borrow(), self.now());
        let alarms = self.world.stage.alarms().iter();
        alarms.filter(|alarm| alarm.fires(&data, now)).map(|alarm| alarm.id.clone()).collect()
    }

    /// The alarms that were on at any time.
    pub(crate) fn fired(&self) -> Vec<String> {
        self.fired.borrow().iter().cloned().collect()
    }
}
