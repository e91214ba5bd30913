//! Takes a stack down: tells first what goes, what stays, and why.
//!
//! Nothing that is nowhere else is deleted: the template keeps it, and so does this. There is no switch for the rest, only its
//! commands, since nobody can take them back.

use std::{collections::BTreeMap, fmt::Write as _};

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use serde_json::json;

use crate::{
    commands::restore::table::{delete, until_gone},
    formation::{Formation, Resource, Standing},
    output::Output,
    session::Session,
    stack::Stack,
    told::{Exit, NoSuch, Told},
};

/// Why what the template keeps is kept.
const WHY: [(&str, &str); 3] = [
    ("Table", "what was delivered, open requests, receipts, tombstones"),
    ("LedgerCopy", "the copy of requests and tombstones: what a restored table is erased again by"),
    ("AppSecret", "subject_key is in it: without it no row of the table is anybody's"),
];

/// The command.
#[derive(Debug, Args)]
pub(crate) struct Destroy {
    /// Without this nothing is deleted.
    #[arg(long)]
    yes: bool,
    /// Deletes the queues although something waits in them; it is lost.
    #[arg(long)]
    drop_waiting: bool,
    /// Tells the commands that delete what stays. They are run by nobody but you.
    #[arg(long)]
    everything: bool,
}

/// What is there.
struct Found {
    goes: BTreeMap<String, usize>,
    stays: Vec<(Resource, String)>,
    waiting: BTreeMap<String, u64>,
    /// What it was deployed with; nothing tells it any more once it is gone.
    parameters: BTreeMap<String, String>,
}

impl Destroy {
    pub(crate) async fn run(&self, session: &Session) -> anyhow::Result<Told> {
        let (output, stack) = (&session.output, session.stack().await?);
        ensure!(!stack.is_local, "a local runner takes its stack with it when it ends");
        let formation = Formation { caller: &stack.caller, name: &stack.name };
        let Some(mut standing) = formation.standing().await? else {
            return Err(NoSuch(format!("there is no stack {} in {}", stack.name, stack.caller.region)).into());
        };
        // Before anything: what goes meanwhile cannot be asked about any more.
        let mut found = Found::look(&stack, &formation, &standing).await?;
        if standing.is_under_way() {
            output.step(&format!("{} is {}: waiting for its end", stack.name, standing.status));
            let Some(settled) = formation.settled(None, output, &*stack.clock).await? else {
                return Ok(self.told(&stack, &found, true));
            };
            standing = settled;
            found = Found::look(&stack, &formation, &standing).await?;
        }
        if !self.yes {
            return Ok(self.told(&stack, &found, false));
        }
        if !found.waiting.is_empty() && !self.drop_waiting {
            let waits: Vec<_> = found.waiting.iter().map(|(queue, count)| format!("{count} in {queue}")).collect();
            let told = self.told(&stack, &found, false).parts();
            let words = format!(
                "nothing was deleted: {} would be lost with the queues. Take the numbers out of service (`ops channel remove`), \
                 wait until the queues are empty, or say --drop-waiting",
                waits.join(", ")
            );
            return Ok(Told::new(told.0, words).ending(Exit::SomethingWrong));
        }
        if matches!(
            standing.status.as_str(),
            "ROLLBACK_COMPLETE" | "ROLLBACK_FAILED" | "CREATE_FAILED" | "DELETE_FAILED"
        ) {
            found.let_empty_tables_go(&stack, &standing, output).await?;
        }
        output.step(&format!("deleting {}", stack.name));
        if standing.protected {
            formation.protect(false).await?;
        }
        let since = formation.newest_event().await?;
        formation.delete().await?;
        let after = formation.settled(since.as_deref(), output, &*stack.clock).await?;
        if let Some(Standing { status, .. }) = after {
            let failures = formation.failures(since.as_deref()).await?;
            let why: Vec<_> = failures.iter().map(|failure| format!("  {}", failure.in_words())).collect();
            bail!("{} is {status}:\n{}\nMend that, then `ops destroy --yes` again", stack.name, why.join("\n"));
        }
        Ok(self.told(&stack, &found, true))
    }

    fn told(&self, stack: &Stack, found: &Found, done: bool) -> Told {
        let name = &stack.name;
        let stays: Vec<_> =
            found.stays.iter().map(|(of, why)| json!({ "id": of.id, "name": of.physical, "why": why })).collect();
        let json = json!({ "stack": name, "dry_run": !done, "deleted": done, "goes": found.goes, "stays": stays,
            "waiting": found.waiting, "parameters": found.parameters });
        let mut words = if done {
            format!("{name} is gone.\n")
        } else {
            let goes: Vec<_> = found.goes.iter().map(|(kind, count)| format!("{count} × {kind}")).collect();
            format!("would delete {name}: {}. --yes does it.\n", goes.join(", "))
        };
        for (queue, count) in &found.waiting {
            let _ = writeln!(words, "Still waiting in {queue}: {count}, lost with it.");
        }
        words.push_str("What stays, and why:\n");
        for (of, why) in &found.stays {
            let _ = writeln!(words, "  {} ({}): {why}", of.physical, of.id);
        }
        let _ = writeln!(
            words,
            "  {name}/channel/…: the numbers' secrets, never part of the stack; `ops channel remove` takes them"
        );
        let _ = writeln!(
            words,
            "  {name}/signup/…: tokens of links that are under way, never part of the stack; `ops signup revoke` takes them \
             while it stands"
        );
        let _ = writeln!(words, "  {name}-packages-…: the bucket of the packages, to go back to an older version");
        words.push_str(
            "  at Meta the subscription and at Chatwoot the inboxes, unless `ops channel remove` was run before\n",
        );
        words.push_str("The functions' logs go with it; what CloudWatch counted stays for 15 months by itself.\n");
        if !found.parameters.is_empty() {
            words.push_str("It was deployed with these parameters, which no stack remembers any more:\n");
        }
        for (name, value) in &found.parameters {
            let _ = writeln!(words, "  {name}={value}");
        }
        words.push_str("The same name is not simply deployed again: docs/runbook/stack-again.md.\n");
        if self.everything {
            words.push_str(&commands(name));
        }
        Told::new(json, words)
    }
}

impl Found {
    async fn look(stack: &Stack, formation: &Formation<'_>, standing: &Standing) -> anyhow::Result<Self> {
        let template = formation.template().await.unwrap_or_default();
        let parameters = standing.parameters.clone();
        let mut found = Self { goes: BTreeMap::new(), stays: Vec::new(), waiting: BTreeMap::new(), parameters };
        let resources = match formation.resources().await {
            // It went in this moment.
            Err(_) if standing.is_under_way() => Vec::new(),
            resources => resources?,
        };
        for resource in resources {
            let kept = WHY.iter().find(|(id, _)| *id == resource.id);
            let policy = template["Resources"][&resource.id]["DeletionPolicy"].as_str().unwrap_or_default().to_owned();
            // A version goes with its function, whatever its policy.
            if let Some((_, why)) = kept.filter(|_| template.is_null() || policy.starts_with("Retain")) {
                found.stays.push((resource, (*why).to_owned()));
                continue;
            }
            if resource.kind == "AWS::SQS::Queue" {
                let waits = waits(stack, &resource.physical).await?;
                let queue = resource.physical.rsplit('/').next().unwrap_or_default().to_owned();
                found.waiting.extend((waits > 0).then_some((queue, waits)));
            }
            *found.goes.entry(resource.kind).or_default() += 1;
        }
        Ok(found)
    }

    /// Of a first deploy that failed: its tables are protected and empty, and in the way of the next one. `CloudFormation` keeps them
    /// whenever a stack is deleted, so they go before.
    async fn let_empty_tables_go(&mut self, stack: &Stack, standing: &Standing, output: &Output) -> anyhow::Result<()> {
        // One that could not be made is another stack's.
        let is_own = |of: &Resource| of.kind == "AWS::DynamoDB::Table" && of.status != "CREATE_FAILED";
        let mut empty = Vec::new();
        for (table, _) in self.stays.iter().filter(|(of, _)| is_own(of)) {
            let name = &table.physical;
            let holds = match stack.aws.dynamodb.scan().table_name(name).limit(1).consistent_read(true).send().await {
                Ok(told) => told.count,
                Err(error) => match error.into_service_error() {
                    error if error.is_resource_not_found_exception() => 0,
                    error => return Err(error).with_context(|| format!("{name} cannot be read: nothing was deleted")),
                },
            };
            if holds > 0 && standing.status == "DELETE_FAILED" {
                // It was in service: its tables stay.
                return Ok(());
            }
            ensure!(
                holds == 0,
                "{name} is not empty, so this was not only a first deploy that failed: nothing was deleted \
                 (docs/runbook/stack-again.md)"
            );
            empty.push(name.clone());
        }
        for name in &empty {
            output.step(&format!("deleting {name}, which is empty"));
            let gone = delete(stack, name, output).await;
            gone.with_context(|| format!("{name} is empty and cannot be deleted"))?;
            until_gone(stack, name, output).await?;
            *self.goes.entry("AWS::DynamoDB::Table".to_owned()).or_default() += 1;
        }
        self.stays.retain(|(of, _)| !empty.contains(&of.physical));
        Ok(())
    }
}

/// How many messages a queue has, whatever their state; none in one that is gone.
async fn waits(stack: &Stack, url: &str) -> anyhow::Result<u64> {
    let asked = stack.aws.sqs.get_queue_attributes().queue_url(url).attribute_names("All".into()).send().await;
    let attributes = match asked {
        Ok(told) => told.attributes.unwrap_or_default(),
        Err(error) => {
            let error = error.into_service_error();
            if error.is_queue_does_not_exist() {
                return Ok(0);
            }
            return Err(error).context("a queue does not tell how much waits in it");
        }
    };
    let names = ["", "NotVisible", "Delayed"].map(|state| format!("ApproximateNumberOfMessages{state}"));
    let number = |name: &String| attributes.iter().find(|(key, _)| key.as_str() == name)?.1.parse::<u64>().ok();
    Ok(names.iter().filter_map(number).sum())
}

/// What would delete the rest.
fn commands(name: &str) -> String {
    format!(
        "\nWhat follows deletes the rest for good, with every open request for erasure and every receipt. Export receipts first; \
         nobody can take it back. `ops` runs none of it:\n\
         \x20 for T in bridge ledger; do\n\
         \x20   aws dynamodb update-table --table-name {name}-$T --no-deletion-protection-enabled\n\
         \x20   aws dynamodb delete-table --table-name {name}-$T\n\
         \x20 done\n\
         \x20 aws secretsmanager delete-secret --secret-id {name}/app --recovery-window-in-days 30\n\
         \x20 aws secretsmanager list-secrets --filters Key=name,Values={name}/channel/,{name}/signup/ --query SecretList[].Name\n\
         \x20 aws s3 ls | grep {name}-packages-   # then: aws s3 rb --force s3://<that bucket>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_resource_that_is_kept_has_a_reason() {
        let template = include_str!("../../../template.yaml");
        let kept = template.matches("DeletionPolicy: RetainExceptOnCreate").count();
        assert_eq!(kept, WHY.len());
        for (id, _) in WHY {
            assert!(template.contains(&format!("\n  {id}:\n")), "{id}");
        }
    }
}
