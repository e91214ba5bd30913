//! Records each look at a person's data: who, what, when, why.

use anyhow::{Context as _, ensure};
use platform::Setting;
use roxmltree::Document;
use store::{AccessLog, Look};

use crate::{aws_call::texts, stack::Stack};

/// The longest reason that is kept.
const LONGEST_WHY: usize = 200;

/// Reads the reason of a look; it is kept, so it has to say something, and to be short.
pub(crate) fn why(given: &str) -> Result<String, String> {
    let given = given.trim();
    if given.is_empty() || given.chars().count() > LONGEST_WHY {
        return Err(format!("say why, in 1 to {LONGEST_WHY} letters and without a customer's name or number"));
    }
    Ok(given.to_owned())
}

/// Records a look before anything is shown; where it cannot be recorded, nothing is.
pub(crate) async fn record(stack: &Stack, command: &str, subject: String, why: &str) -> anyhow::Result<()> {
    let look = Look {
        who: who(stack).await?,
        command: command.to_owned(),
        subject,
        why: why.to_owned(),
        at: stack.clock().now(),
    };
    let log = AccessLog::new(stack.table(), stack.key().await?);
    log.record(&look).await.context("the look could not be recorded, so nothing is shown")
}

/// Who has these credentials: as AWS names them, else by the id of their access key.
async fn who(stack: &Stack) -> anyhow::Result<String> {
    if stack.is_local {
        return Ok("local".to_owned());
    }
    if let Ok(text) = stack.caller.query("sts", "2011-06-15", "GetCallerIdentity", &[]).await
        && let Ok(document) = Document::parse(&text)
        && let Some(arn) = texts(&document, "Arn").next()
    {
        return Ok(arn.to_owned());
    }
    let id = stack.setting(Setting::AwsAccessKeyId).unwrap_or_default();
    ensure!(!id.is_empty(), "AWS does not say who you are, and every look at a person's data is recorded");
    Ok(id)
}
