//! The alarms by themselves: that CloudWatch's rules are kept, and that alarms, pages, metrics and prices belong together.

use std::{collections::BTreeSet, fs, path::Path};

use platform::Metric;
use serde_json::json;

use super::*;
use crate::{
    cloudwatch::MetricId,
    reference::{alarms, dashboard},
};

const START: i64 = 1_800_000_000;

fn id() -> MetricId {
    MetricId::new("N", "M", &[("Stack", "s")])
}

/// An alarm of three periods of five minutes.
fn alarm(of: usize, missing: &str) -> Alarm {
    let properties = json!({
        "AlarmDescription": "docs/runbook/x.md", "Namespace": "N", "MetricName": "M", "AlarmActions": ["topic"],
        "Dimensions": [{ "Name": "Stack", "Value": "s" }], "Statistic": "Sum", "Period": 300, "EvaluationPeriods": 3,
        "DatapointsToAlarm": of, "ComparisonOperator": "GreaterThanThreshold", "Threshold": 0, "TreatMissingData": missing,
    });
    Alarm::read("X", properties).unwrap()
}

/// What AWS's page draws: `X` breaches, `0` does not, `-` is missing; the newest at the right.
fn fires(alarm: &Alarm, drawn: &str) -> bool {
    let (mut data, end) = (CloudWatch::default(), Timestamp::from_secs(START));
    for (back, sign) in (1..).zip(drawn.chars().rev()) {
        let at = end - Duration::from_secs(300) * back;
        match sign {
            'X' => data.put(id(), at, 1.0),
            '0' => data.put(id(), at, 0.0),
            _ => {}
        }
    }
    alarm.fires(&data, end)
}

#[test]
fn missing_data_counts_as_in_the_tables_of_aws() {
    // Its two tables: three of three, then two of three.
    for (of, drawn, missing_breaches, missing_does_not) in [
        (3, "0-X-X", false, false),
        (3, "----0", false, false),
        (3, "-----", true, false),
        (3, "0XX-X", true, true),
        (3, "--X--", true, false),
        (2, "0-X-X", true, true),
        (2, "00X0X", true, true),
        (2, "0-X--", true, false),
        (2, "----0", true, false),
        (2, "---X-", true, false),
    ] {
        assert_eq!(fires(&alarm(of, "breaching"), drawn), missing_breaches, "{of}: {drawn}, breaching");
        assert_eq!(fires(&alarm(of, "notBreaching"), drawn), missing_does_not, "{of}: {drawn}, notBreaching");
    }
}

#[test]
fn as_many_datapoints_as_it_names_are_enough() {
    assert!(fires(&alarm(2, "notBreaching"), "X0X"));
    assert!(!fires(&alarm(2, "notBreaching"), "X00"));
    assert!(!fires(&alarm(2, "notBreaching"), "XX000"), "only the last three count when none is missing");
}

#[test]
fn a_line_of_the_log_becomes_its_metrics() {
    let mut data = CloudWatch::default();
    data.read_line("not of ours");
    data.read_line(r#"{"Paced":3,"Stack":"s"}"#);
    data.read_line(&format!(
        r#"{{"_aws":{{"Timestamp":{START}000,"CloudWatchMetrics":[{{"Namespace":"N","Dimensions":[["Stack"]],"Metrics":[{{"Name":"M"}}]}}]}},"Stack":"s","M":4,"Paced":1}}"#
    ));
    let series =
        |metric| data.series(&metric, Statistic::Sum, Duration::from_secs(60), 1, Timestamp::from_secs(START + 60));
    assert_eq!(series(id()), [Some(4.0)]);
    assert_eq!(series(MetricId::new("N", "Paced", &[("Stack", "s")])), [None]);
}

fn own(metric: &MetricId) -> Option<&str> {
    (metric.namespace == platform::metrics::NAMESPACE).then_some(metric.name.as_str())
}

#[test]
fn what_cloudwatch_keeps_is_what_an_alarm_or_the_dashboard_reads() {
    let alarms = alarms().unwrap();
    let dashboard = dashboard().unwrap();
    let read: BTreeSet<&str> = alarms.iter().map(|alarm| &alarm.metric).chain(&dashboard).filter_map(own).collect();
    let kept: BTreeSet<&str> = Metric::PUBLISHED.iter().map(|metric| metric.name()).collect();
    assert_eq!(read, kept, "a metric that is not read costs, and one that is not kept is never seen");
    for metric in alarms.iter().map(|alarm| &alarm.metric).chain(&dashboard) {
        if metric.namespace == platform::metrics::NAMESPACE {
            assert_eq!(metric.dimensions.keys().collect::<Vec<_>>(), ["Stack"], "{metric:?}");
        }
    }
    assert!(dashboard.len() <= 50, "{} metrics: a dashboard of more is not free", dashboard.len());
}

#[test]
fn each_function_is_watched_for_errors_and_each_queue_for_its_age() {
    let alarms = alarms().unwrap();
    let watched = |name: &str, dimension: &str| -> BTreeSet<String> {
        let metrics = alarms.iter().map(|alarm| &alarm.metric).filter(|metric| metric.name == name);
        metrics.filter_map(|metric| metric.dimensions.get(dimension).cloned()).collect()
    };
    let functions: BTreeSet<_> = crate::functions::NAMES.iter().map(|name| format!("lmotos-{name}")).collect();
    assert_eq!(watched("Errors", "FunctionName"), functions);
    let aged = watched("ApproximateAgeOfOldestMessage", "QueueName");
    assert_eq!(aged, ["inbound", "outbound", "erasure"].map(|name| format!("lmotos-{name}.fifo")).into());
    let dead = watched("ApproximateNumberOfMessagesVisible", "QueueName");
    // An import is judged by what it has not settled: its slices are given back many times, which their age does not tell.
    assert!(alarms.iter().any(|alarm| alarm.metric.name == "HistoryWaiting"));
    assert_eq!(
        dead,
        ["inbound", "history", "outbound", "erasure"].map(|name| format!("lmotos-{name}-dead-letters.fifo")).into()
    );
}

#[test]
fn every_alarm_has_its_page_and_every_page_its_alarms() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/runbook");
    let alarms = alarms().unwrap();
    for alarm in &alarms {
        assert!(alarm.description.starts_with("ES: ") && alarm.description.contains(" EN: "), "{}", alarm.description);
        let page = alarm.page().unwrap_or_default();
        assert!(folder.join(page).is_file(), "{}: there is no page {page:?}", alarm.id);
    }
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let (name, text) = (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(&path).unwrap());
        if name == "README.md" {
            continue;
        }
        let theirs: Vec<_> =
            alarms.iter().filter(|alarm| alarm.page() == Some(&name)).map(|alarm| format!("`{}`", alarm.id)).collect();
        let paragraphs = text.split("\n\n").map(|paragraph| paragraph.replace('\n', " "));
        let line = paragraphs
            .into_iter()
            .find(|paragraph| paragraph.starts_with("**Alarms:** ") || paragraph.starts_with("**No alarm"));
        let line = line.unwrap_or_else(|| panic!("{name} does not say which alarms lead to it"));
        let told: Vec<_> = line
            .strip_prefix("**Alarms:** ")
            .into_iter()
            .flat_map(|ids| ids.trim_end_matches('.').split(", "))
            .collect();
        assert_eq!(told, theirs, "{name}");
        assert!(text.contains("**What it means.**") || theirs.is_empty(), "{name} does not say what it means");
    }
}
