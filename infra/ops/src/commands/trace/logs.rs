//! Finds what the functions logged about an item.

use std::collections::BTreeSet;

use anyhow::Context as _;
use domain::Timestamp;
use serde_json::{Value, json};

use super::Step;
use crate::{aws_call::refusal_of, session::Session, stack::Stack};

/// The functions that handle items.
const FUNCTIONS: [&str; 6] = ["webhook", "forward", "history", "callback", "send", "erasure"];

/// How many items are looked for; a conversation of years has more than anybody reads.
const MAX_TRACES: usize = 50;

/// The lines about these items, as steps.
pub(super) async fn of(stack: &Stack, session: &Session, traces: &BTreeSet<String>) -> anyhow::Result<Vec<Step>> {
    let mut steps = Vec::new();
    for trace in traces.iter().take(MAX_TRACES) {
        session.output.progress(&format!("reading the logs of {trace}"));
        if stack.is_local {
            let told = session.runner(&format!("/_local/log?trace={trace}")).await?;
            steps.extend(told["lines"].as_array().into_iter().flatten().map(|line| step(trace, line)));
            continue;
        }
        for function in FUNCTIONS {
            steps.extend(in_the_cloud(stack, function, trace).await?);
        }
    }
    session.output.progress_over();
    Ok(steps)
}

async fn in_the_cloud(stack: &Stack, function: &str, trace: &str) -> anyhow::Result<Vec<Step>> {
    let group = format!("/aws/lambda/{}", stack.named(function));
    let (mut steps, mut next) = (Vec::new(), Value::Null);
    loop {
        let mut asked = json!({ "logGroupName": group, "filterPattern": format!("{{ $.span.trace = \"{trace}\" }}") });
        if !next.is_null() {
            asked["nextToken"] = next;
        }
        let told = match stack.caller.target("logs", "Logs_20140328.FilterLogEvents", &asked).await {
            Ok(told) => told,
            // A function that has never run has no log.
            Err(error) if refusal_of(&error).is_some_and(|refusal| refusal.code == "ResourceNotFoundException") => {
                break;
            }
            Err(error) => return Err(error).context(group),
        };
        for event in told["events"].as_array().into_iter().flatten() {
            let Some(mut line) = event["message"].as_str().and_then(|line| serde_json::from_str::<Value>(line).ok())
            else {
                continue;
            };
            line["at"] = event["timestamp"].clone();
            line["function"] = json!(function);
            steps.push(step(trace, &line));
        }
        next = told["nextToken"].clone();
        if next.is_null() {
            break;
        }
    }
    Ok(steps)
}

fn step(trace: &str, line: &Value) -> Step {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let fields = &line["fields"];
    let mut words = format!("{}: {}", text(&line["function"]), text(&fields["message"]));
    if let Some(error) = fields["error"].as_str() {
        words.extend([" (", error, ")"]);
    }
    Step {
        at: line["at"].as_i64().map(Timestamp::from_millis),
        words,
        conversation: None,
        message: None,
        wamid: None,
        trace: trace.to_owned(),
    }
}
