//! Holds every function of the stack, and lets them go on.
//!
//! Meta repeats for seven days and the queues keep fourteen: nothing is lost meanwhile. `reconcile` finds what Chatwoot told.

use anyhow::Context as _;
use reqwest::Method;

use crate::{aws_call::refusal_of, formation::Formation, stack::Stack};

const FUNCTIONS: [&str; 11] = [
    "webhook",
    "forward",
    "history",
    "callback",
    "send",
    "reconcile",
    "deletion",
    "erasure",
    "retention",
    "ledger",
    "signup",
];

/// Nothing runs any more.
pub(super) async fn stop(stack: &Stack) -> anyhow::Result<()> {
    for function in FUNCTIONS {
        set(stack, function, Some(0)).await?;
    }
    Ok(())
}

/// As the template has it: places are kept only where `ReservedConcurrency` asks for them.
pub(super) async fn go_on(stack: &Stack) -> anyhow::Result<()> {
    let formation = Formation { caller: &stack.caller, name: &stack.name };
    let standing = formation.standing().await?;
    let each = standing.and_then(|standing| standing.parameters.get("ReservedConcurrency")?.parse::<u64>().ok());
    for function in FUNCTIONS {
        let kept = match (each.unwrap_or_default(), function) {
            (0, _) => None,
            (each, "webhook" | "callback") => Some(each),
            (_, "reconcile" | "retention") => Some(1),
            _ => None,
        };
        set(stack, function, kept).await?;
    }
    Ok(())
}

/// Whether all of them are held.
pub(super) async fn is_stopped(stack: &Stack) -> bool {
    let path = path(stack, FUNCTIONS[0]).replace("2017-10-31", "2019-09-30");
    let told = stack.caller.get("lambda", &path).await;
    told.is_ok_and(|told| told["ReservedConcurrentExecutions"].as_u64() == Some(0))
}

async fn set(stack: &Stack, function: &str, places: Option<u64>) -> anyhow::Result<()> {
    let path = path(stack, function);
    let asked = match places {
        Some(places) => {
            let body = format!("{{\"ReservedConcurrentExecutions\":{places}}}");
            stack.caller.change("lambda", Method::PUT, &path, &body).await
        }
        None => stack.caller.change("lambda", Method::DELETE, &path, "").await,
    };
    match asked {
        // A stack that is older than this function.
        Err(error) if refusal_of(&error).is_some_and(|refusal| refusal.status == 404) => Ok(()),
        asked => asked.with_context(|| format!("{} cannot be held, or let go on", stack.named(function))),
    }
}

fn path(stack: &Stack, function: &str) -> String {
    format!("/2017-10-31/functions/{}/concurrency", stack.named(function))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_of_the_template_is_held() {
        let template = include_str!("../../../../template.yaml");
        let names =
            template.lines().filter_map(|line| line.trim().strip_prefix("FunctionName: !Sub ${AWS::StackName}-"));
        let mut names: Vec<_> = names.collect();
        let mut held = FUNCTIONS.to_vec();
        names.sort_unstable();
        held.sort_unstable();
        assert_eq!(names, held);
    }
}
