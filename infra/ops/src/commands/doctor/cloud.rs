//! What stands at AWS: secret, table, queues, clock, alarms, quota, and whether the functions have the policy of this build.

use platform::SecretError;
use roxmltree::Document;
use serde_json::Value;

use super::Findings;
use crate::{aws_call::texts, stack::Stack};

const QUEUES: [&str; 4] = ["inbound", "history", "outbound", "erasure"];

/// What the app's secret has to have.
const APP_MEMBERS: [&str; 5] = ["app_id", "app_secret", "verify_token", "chatwoot_token", "subject_key"];

/// From when on two clocks are too far apart: AWS refuses five minutes, and so does the bridge with callbacks.
const CLOCK_WARN_SECONDS: i64 = 30;
const CLOCK_FAIL_SECONDS: i64 = 240;

pub(super) async fn look(stack: &Stack, findings: &mut Findings<'_>) -> anyhow::Result<()> {
    secret(stack, findings).await?;
    table(stack, findings).await?;
    for queue in QUEUES {
        queues(stack, queue, findings).await?;
    }
    clock(stack, findings).await?;
    if stack.is_local {
        return Ok(());
    }
    policy(stack, findings).await?;
    alarms(stack, findings).await?;
    quota(stack, findings).await
}

async fn secret(stack: &Stack, findings: &mut Findings<'_>) -> anyhow::Result<()> {
    let (name, page) = (&stack.app_secret, "docs/setup.md");
    match stack.secret_writer().read_lasting(name).await {
        Ok(Some(members)) => {
            let has = |name: &&str| members.get(*name).and_then(Value::as_str).is_some_and(|value| !value.is_empty());
            let lacks: Vec<_> = APP_MEMBERS.iter().filter(|name| !has(name)).copied().collect();
            if lacks.is_empty() {
                return findings.ok("app secret", "all there");
            }
            findings.fail("app secret", &format!("{name} lacks {}", lacks.join(", ")), "put them there", page)
        }
        Ok(None) => findings.fail("app secret", &format!("{name} has no value"), "give it one", page),
        Err(SecretError::Removed) => {
            let (words, page) = (format!("{name} was deleted, and can be had back"), "docs/runbook/stack-again.md");
            findings.fail("app secret", &words, &format!("aws secretsmanager restore-secret --secret-id {name}"), page)
        }
        Err(error) => findings.fail("app secret", &format!("{name}: {error}"), "look at it in Secrets Manager", page),
    }
}

async fn table(stack: &Stack, findings: &mut Findings<'_>) -> anyhow::Result<()> {
    let (name, page) = (stack.named("bridge"), "docs/runbook/restore.md");
    if let Err(error) = stack.aws.dynamodb.describe_table().table_name(&name).send().await {
        let code = error.into_service_error();
        return findings.fail(
            "table",
            &format!("{name}: {code}"),
            "deploy the stack, or name another with --stack",
            page,
        );
    }
    findings.ok("table", &name)?;
    let told = stack.aws.dynamodb.describe_time_to_live().table_name(&name).send().await;
    let status = told.ok().and_then(|told| told.time_to_live_description).and_then(|told| told.time_to_live_status);
    if status.is_some_and(|status| matches!(status.as_str(), "ENABLED" | "ENABLING")) {
        findings.ok("time to live", "on")?;
    } else {
        findings.fail("time to live", "off: nothing past its time goes", "switch it on for expires_at", page)?;
    }
    if stack.is_local {
        return Ok(());
    }
    let told = stack.aws.dynamodb.describe_continuous_backups().table_name(&name).send().await;
    let told = told.ok().and_then(|told| told.continuous_backups_description);
    let Some(recovery) = told.and_then(|told| told.point_in_time_recovery_description) else {
        return findings.warn("recovery", "AWS does not tell", "look at the table's backups", page);
    };
    let on = recovery.point_in_time_recovery_status.is_some_and(|status| status.as_str() == "ENABLED");
    let (days, wanted) = (recovery.recovery_period_in_days, stack.policy.pitr_days);
    match days {
        _ if !on => findings.fail("recovery", "off: a lost table is lost", "deploy the stack again", page),
        Some(days) if days != wanted => {
            let words = format!("reaches back {days} days, and not {wanted} as the policy says");
            findings.fail("recovery", &words, "deploy the stack again: it must stay below deletion_days", page)
        }
        _ => findings.ok("recovery", &format!("reaches back {wanted} days")),
    }
}

async fn queues(stack: &Stack, queue: &str, findings: &mut Findings<'_>) -> anyhow::Result<()> {
    let page = "docs/runbook/dead-letters.md";
    for (end, is_dead) in [(format!("{queue}.fifo"), false), (format!("{queue}-dead-letters.fifo"), true)] {
        let check = format!("queue {}", end.trim_end_matches(".fifo"));
        let url = match stack.queue_url(&end).await {
            Ok(url) => url,
            Err(error) => {
                findings.fail(&check, &format!("{error:#}"), "deploy the stack, or name another with --stack", page)?;
                continue;
            }
        };
        let asked = stack.aws.sqs.get_queue_attributes().queue_url(url).attribute_names("All".into()).send().await;
        let attributes = match asked {
            Ok(told) => told.attributes.unwrap_or_default(),
            Err(error) => {
                let words = format!("it does not tell its attributes ({})", error.into_service_error());
                findings.fail(&check, &words, "let these credentials read it", "docs/ops.md")?;
                continue;
            }
        };
        let number = |name: &str| {
            attributes.iter().find(|(key, _)| key.as_str() == name).and_then(|(_, value)| value.parse::<u64>().ok())
        };
        let holds = number("ApproximateNumberOfMessages").unwrap_or_default()
            + number("ApproximateNumberOfMessagesNotVisible").unwrap_or_default();
        let (keeps, wanted) = (number("MessageRetentionPeriod"), u64::from(stack.policy.queue_days) * 86_400);
        if keeps != Some(wanted) {
            let words =
                format!("keeps messages {} s, and not {wanted} s as the policy says", keeps.unwrap_or_default());
            findings.warn(&check, &words, "deploy the stack again", "docs/configuration.md")?;
        }
        if is_dead && holds > 0 {
            findings.warn(&check, &format!("{holds} dead letters"), "read why, and put them back", page)?;
        } else {
            findings.ok(&check, &format!("{holds} messages"))?;
        }
    }
    Ok(())
}

async fn clock(stack: &Stack, findings: &mut Findings<'_>) -> anyhow::Result<()> {
    let Some(off) = stack.caller.clock_off().await else {
        return findings.warn("clock", "nobody tells the time", "compare this machine's clock", "docs/ops.md");
    };
    let (words, next) = (format!("this machine is {off} s off"), "set its clock: signatures go by it");
    match off.abs() {
        0..CLOCK_WARN_SECONDS => findings.ok("clock", "right"),
        CLOCK_WARN_SECONDS..CLOCK_FAIL_SECONDS => findings.warn("clock", &words, next, "docs/ops.md"),
        _ => findings.fail("clock", &words, next, "docs/ops.md"),
    }
}

/// What the functions were deployed with, against the policy this build has.
async fn policy(stack: &Stack, findings: &mut Findings<'_>) -> anyhow::Result<()> {
    let (check, page) = ("policy", "docs/configuration.md");
    let path = format!("/2015-03-31/functions/{}/configuration", stack.named("retention"));
    let deployed = match stack.caller.get("lambda", &path).await {
        Ok(deployed) => deployed,
        Err(error) => return findings.warn(check, &format!("{error:#}"), "is the stack deployed?", page),
    };
    let told = &deployed["Environment"]["Variables"];
    let policy = &stack.policy;
    let warn_days = policy.warn_days.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let wanted = [
        ("RETENTION_DAYS", policy.retention_days.to_string()),
        ("DELETION_DAYS", policy.deletion_days.to_string()),
        ("CONFIRM_HOURS", policy.confirm_hours.to_string()),
        ("WARN_DAYS", warn_days),
        ("LOCALE", policy.locale.clone()),
    ];
    // A number is a text at AWS, and may be none at an emulator.
    let is = |name: &str| told[name].as_str().map_or_else(|| told[name].to_string(), str::to_owned);
    let differs: Vec<_> = wanted.iter().filter(|(name, value)| is(name) != *value).collect();
    if differs.is_empty() {
        return findings.ok(check, "the functions have that of infra/policy.toml");
    }
    let words: Vec<_> = differs.iter().map(|(name, value)| format!("{name} is {}, not {value}", told[*name])).collect();
    findings.fail(check, &words.join("; "), "deploy the stack again", page)
}

/// Whether alarms are there, and reach somebody.
async fn alarms(stack: &Stack, findings: &mut Findings<'_>) -> anyhow::Result<()> {
    const MONITORING: &str = "2010-08-01";
    let page = "docs/runbook/README.md";
    let prefix = format!("{}-", stack.name);
    let asked = stack.caller.query("monitoring", MONITORING, "DescribeAlarms", &[("AlarmNamePrefix", &prefix)]).await;
    let text = match asked {
        Ok(text) => text,
        Err(error) => return findings.warn("alarms", &format!("{error:#}"), "look at CloudWatch's alarms", page),
    };
    let Ok(document) = Document::parse(&text) else {
        return findings.warn("alarms", "CloudWatch's answer cannot be read", "look at its alarms", page);
    };
    let alarms = texts(&document, "AlarmArn").count();
    if alarms == 0 {
        return findings.warn("alarms", "there are none", "deploy the stack with AlarmEmail", page);
    }
    let members = document.descendants().filter(|node| node.tag_name().name() == "AlarmActions");
    let topics = members.flat_map(|actions| actions.descendants().filter_map(|node| node.text()));
    let mut topics: Vec<_> = topics.map(str::trim).filter(|arn| arn.contains(":sns:")).map(str::to_owned).collect();
    topics.sort();
    topics.dedup();
    let red =
        document.descendants().filter(|node| node.tag_name().name() == "StateValue" && node.text() == Some("ALARM"));
    match red.count() {
        0 => findings.ok("alarms", &format!("{alarms}, none is red"))?,
        red => findings.warn("alarms", &format!("{red} of {alarms} are red"), "each names its page", page)?,
    }
    if topics.is_empty() {
        return findings.warn("alarm mail", "the alarms tell nobody", "deploy the stack with AlarmEmail", page);
    }
    for topic in topics {
        let asked = stack.caller.query("sns", "2010-03-31", "ListSubscriptionsByTopic", &[("TopicArn", &topic)]).await;
        let text = asked.unwrap_or_default();
        let arns: Vec<_> = Document::parse(&text)
            .map(|document| texts(&document, "SubscriptionArn").map(str::to_owned).collect())
            .unwrap_or_default();
        let confirmed = arns.iter().filter(|arn| arn.starts_with("arn:")).count();
        let told = match (confirmed, arns.len()) {
            (0, 0) => findings.warn("alarm mail", "nobody gets the alarms", "deploy the stack with AlarmEmail", page),
            (0, _) => findings.fail("alarm mail", "not confirmed", "follow the link in the mail from AWS", page),
            (confirmed, _) => findings.ok("alarm mail", &format!("{confirmed} confirmed")),
        };
        told?;
    }
    Ok(())
}

async fn quota(stack: &Stack, findings: &mut Findings<'_>) -> anyhow::Result<()> {
    let (check, page) = ("quota", "docs/configuration.md");
    let told = match stack.caller.get("lambda", "/2016-08-19/account-settings/").await {
        Ok(told) => told,
        Err(error) => return findings.warn(check, &format!("{error:#}"), "look at Service Quotas", page),
    };
    match told["AccountLimit"]["ConcurrentExecutions"].as_u64() {
        Some(limit) if limit < 100 => {
            let words = format!("the account may run {limit} functions at once");
            findings.warn(check, &words, "ask AWS for 1,000 before the first busy day", page)
        }
        Some(limit) => findings.ok(check, &format!("{limit} functions at once")),
        None => findings.warn(check, "Lambda does not tell", "look at Service Quotas", page),
    }
}
