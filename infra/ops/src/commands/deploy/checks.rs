//! Looks at account and both sides before anything is changed.

use std::collections::BTreeMap;

use ::app::onboarding::chatwoot_words;
use anyhow::{Context as _, bail, ensure};
use chatwoot::version::{TESTED_VERSION, VersionStanding, standing};
use roxmltree::Document;
use serde_json::Value;

use crate::{
    aws_call::{AwsCaller, texts},
    commands::app,
    stack::Stack,
};

/// What AWS leaves of an account without a reservation.
const UNRESERVED: u64 = 100;

/// How many functions at once are few for a busy day.
const FEW: u64 = 100;

/// Whose account it is.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) id: String,
}

impl Account {
    pub(super) async fn ask(caller: &AwsCaller) -> anyhow::Result<Self> {
        let text = caller.query("sts", "2011-06-15", "GetCallerIdentity", &[]).await?;
        let document = Document::parse(&text).context("what answered is not AWS")?;
        let id = texts(&document, "Account").next().context("AWS does not tell whose account this is")?.to_owned();
        Ok(Self { id })
    }
}

/// Whether the account may run what is asked for. What ought to be looked at is told.
pub(super) async fn quota(caller: &AwsCaller, parameters: &BTreeMap<String, String>) -> anyhow::Result<Vec<String>> {
    let told = match caller.get("lambda", "/2016-08-19/account-settings/").await {
        Ok(told) => told,
        Err(error) => return Ok(vec![format!("how many functions may run at once is not told ({error:#})")]),
    };
    let Some(limit) = told["AccountLimit"]["ConcurrentExecutions"].as_u64() else { return Ok(Vec::new()) };
    let number = |name: &str| parameters.get(name).and_then(|value| value.parse::<u64>().ok()).unwrap_or_default();
    let reserved = match number("ReservedConcurrency") {
        0 => 0,
        // `webhook` and `callback`, and one for each of two schedules.
        each => 2 * each + 2,
    };
    ensure!(
        reserved == 0 || reserved + UNRESERVED <= limit,
        "the account may run {limit} functions at once: {reserved} of ReservedConcurrency and {UNRESERVED} that AWS leaves \
         to all others are more. Deploy with --parameter ReservedConcurrency=0, or ask AWS for 1,000 \
         (docs/configuration.md)"
    );
    let batches = number("ForwardConcurrency") + number("SendConcurrency");
    Ok(match limit {
        limit if batches >= limit => vec![format!(
            "the account may run {limit} functions at once, and ForwardConcurrency and SendConcurrency take {batches}: \
             nothing is left for webhooks (docs/configuration.md)"
        )],
        limit if limit < FEW => vec![format!(
            "the account may run {limit} functions at once: ask AWS for 1,000 before the first busy day \
             (docs/configuration.md)"
        )],
        _ => Vec::new(),
    })
}

/// Whether Chatwoot answers, and as Chatwoot.
pub(super) async fn chatwoot(stack: &Stack) -> anyhow::Result<()> {
    match app::chatwoot(stack, String::new().into())?.version().await {
        Ok(told) if standing(&told) == VersionStanding::Unreadable => {
            bail!("Chatwoot says version {told:?}, which cannot be read; {TESTED_VERSION} was tested")
        }
        Ok(_) => Ok(()),
        Err(error) => bail!("{}: is ChatwootUrl right? (docs/setup.md)", chatwoot_words(&error)),
    }
}

/// The same, and whether the token that is stored still is an administrator's.
pub(super) async fn chatwoot_and_its_token(stack: &Stack) -> anyhow::Result<()> {
    chatwoot(stack).await?;
    let stored = stack.secret_writer().read_lasting(&stack.app_secret).await;
    // Before the first deploy there is none.
    let Some(stored) = stored.with_context(|| stack.app_secret.clone())? else { return Ok(()) };
    let token = stored.get("chatwoot_token").and_then(Value::as_str).filter(|token| !token.is_empty());
    let Some(token) = token else { return Ok(()) };
    app::ask_chatwoot(stack, &token.to_owned().into()).await
}

/// A stack that was deleted leaves its table and its secret behind, and a new one cannot make them again.
pub(super) async fn nothing_kept(stack: &Stack) -> anyhow::Result<()> {
    for table in ["bridge", "ledger"].map(|end| stack.named(end)) {
        if stack.aws.dynamodb.describe_table().table_name(&table).send().await.is_ok() {
            bail!(
                "the table {table} of an earlier stack {} is still there, on purpose. Take it into the new stack, or deploy \
                 under another name with --stack (docs/runbook/stack-again.md)",
                stack.name
            );
        }
    }
    Ok(())
}
