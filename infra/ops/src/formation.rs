//! A stack of `CloudFormation`'s: how it is, what would change, what happens to it until it settles.
//!
//! A change is a change set first, so that it can be read before it is made. Nothing here is remembered on this machine: whoever
//! was interrupted asks again.

mod reasons;
mod xml;

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context as _, bail};
use domain::Clock;
use platform::wait_until;
use roxmltree::Document;
use serde_json::Value;

pub(crate) use self::reasons::{Failure, Reason};
use self::xml::{child, members, pairs};
use crate::{
    aws_call::{AwsCaller, refusal_of, texts},
    output::Output,
};

const VERSION: &str = "2010-05-15";

/// How often is looked: soon at first, since what is small is over soon.
const FIRST_LOOK: Duration = Duration::from_millis(200);
const LAST_LOOK: Duration = Duration::from_secs(5);

/// How often is looked for the beginning of something.
const MAX_LOOKS_BEFORE: usize = 50;

/// What the names of change sets of `ops` begin with.
const OURS: &str = "ops-";

/// A stack, as `CloudFormation` knows it.
pub(crate) struct Formation<'a> {
    pub(crate) caller: &'a AwsCaller,
    pub(crate) name: &'a str,
}

/// How a stack is.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    /// `CREATE_COMPLETE` and the like.
    pub(crate) status: String,
    pub(crate) parameters: BTreeMap<String, String>,
    pub(crate) outputs: BTreeMap<String, String>,
    pub(crate) protected: bool,
}

/// One resource of a stack.
#[derive(Clone, Debug)]
pub(crate) struct Resource {
    pub(crate) id: String,
    pub(crate) kind: String,
    /// Its name, or its address.
    pub(crate) physical: String,
    /// `CREATE_COMPLETE` and the like.
    pub(crate) status: String,
}

/// What a change set would do to a resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Change {
    pub(crate) action: Action,
    pub(crate) id: String,
    pub(crate) kind: String,
}

/// What becomes of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Action {
    Added,
    Changed,
    /// Made anew, and the old one taken away.
    Replaced,
    Removed,
}

/// What is asked of `CloudFormation`.
pub(crate) struct Wanted<'a> {
    pub(crate) is_new: bool,
    pub(crate) template_url: &'a str,
    pub(crate) parameters: &'a BTreeMap<String, String>,
}

impl Wanted<'_> {
    fn asked(&self) -> Vec<(String, &str)> {
        let mut asked: Vec<(String, &str)> = vec![
            ("TemplateURL".to_owned(), self.template_url),
            ("Capabilities.member.1".to_owned(), "CAPABILITY_IAM"),
            ("Tags.member.1.Key".to_owned(), "project"),
            ("Tags.member.1.Value".to_owned(), "lmotos"),
        ];
        for (at, (key, value)) in self.parameters.iter().enumerate() {
            asked.push((format!("Parameters.member.{}.ParameterKey", at + 1), key));
            asked.push((format!("Parameters.member.{}.ParameterValue", at + 1), value));
        }
        asked
    }
}

impl Standing {
    pub(crate) fn is_under_way(&self) -> bool {
        self.status.ends_with("_IN_PROGRESS") && self.status != "REVIEW_IN_PROGRESS"
    }

    /// Whether it is as somebody wanted it.
    pub(crate) fn is_good(&self) -> bool {
        matches!(self.status.as_str(), "CREATE_COMPLETE" | "UPDATE_COMPLETE" | "IMPORT_COMPLETE")
    }
}

impl Formation<'_> {
    /// How it is; nothing where there is none.
    pub(crate) async fn standing(&self) -> anyhow::Result<Option<Standing>> {
        let text = match self.ask("DescribeStacks", &[]).await {
            Ok(text) => text,
            Err(error) if is_missing(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        let document = read(&text)?;
        let Some(stack) = members(document.root_element(), "Stacks").next() else { return Ok(None) };
        let standing = Standing {
            status: child(stack, "StackStatus"),
            parameters: pairs(stack, "Parameters", "ParameterKey", "ParameterValue"),
            outputs: pairs(stack, "Outputs", "OutputKey", "OutputValue"),
            protected: child(stack, "EnableTerminationProtection") == "true",
        };
        Ok(if standing.status == "DELETE_COMPLETE" { None } else { Some(standing) })
    }

    /// The template it was deployed with, as it was sent.
    pub(crate) async fn template(&self) -> anyhow::Result<Value> {
        let text = self.ask("GetTemplate", &[("TemplateStage", "Original")]).await?;
        let document = read(&text)?;
        let body = texts(&document, "TemplateBody").collect::<String>();
        // What was deployed by SAM is YAML, and differs in any case.
        Ok(serde_json::from_str(&body).unwrap_or_default())
    }

    /// What is there of it, without what went already.
    pub(crate) async fn resources(&self) -> anyhow::Result<Vec<Resource>> {
        let mut found = Vec::new();
        let mut next = None::<String>;
        loop {
            let more: Vec<_> = next.iter().map(|token| ("NextToken", token.as_str())).collect();
            let text = self.ask("ListStackResources", &more).await?;
            let document = read(&text)?;
            found.extend(members(document.root_element(), "StackResourceSummaries").map(|one| Resource {
                id: child(one, "LogicalResourceId"),
                kind: child(one, "ResourceType"),
                physical: child(one, "PhysicalResourceId"),
                status: child(one, "ResourceStatus"),
            }));
            next = texts(&document, "NextToken").next().map(str::to_owned);
            if next.is_none() {
                // What an emulator passed over has no kind.
                found.retain(|one| !one.kind.is_empty() && one.status != "DELETE_COMPLETE");
                return Ok(found);
            }
        }
    }

    /// Makes a change set, and says what it would do; nothing where nothing differs.
    pub(crate) async fn plan(&self, name: &str, wanted: &Wanted<'_>, clock: &dyn Clock) -> anyhow::Result<Vec<Change>> {
        let kind = if wanted.is_new { "CREATE" } else { "UPDATE" };
        let mut asked = wanted.asked();
        asked.extend([("ChangeSetName".to_owned(), name), ("ChangeSetType".to_owned(), kind)]);
        let asked: Vec<_> = asked.iter().map(|(key, value)| (key.as_str(), *value)).collect();
        if let Err(error) = self.ask("CreateChangeSet", &asked).await {
            let is_empty = refusal_of(&error).is_some_and(|refusal| refusal.message.contains("No updates are to be"));
            return if is_empty { Ok(Vec::new()) } else { Err(error) };
        }
        let mut look = FIRST_LOOK;
        loop {
            let text = self.ask("DescribeChangeSet", &[("ChangeSetName", name)]).await?;
            let document = read(&text)?;
            let result = document.root_element();
            let told = result.first_element_child().unwrap_or(result);
            match child(told, "Status").as_str() {
                "FAILED" => {
                    let reason = child(told, "StatusReason");
                    let is_empty = reason.contains("didn't contain changes") || reason.contains("No updates are to be");
                    self.forget(name).await?;
                    if is_empty {
                        return Ok(Vec::new());
                    }
                    bail!("CloudFormation does not take the change: {}", Reason::of(&reason).in_words());
                }
                "CREATE_PENDING" | "CREATE_IN_PROGRESS" => {
                    wait_until(clock, clock.now() + look).await;
                    look = (look * 2).min(LAST_LOOK);
                }
                _ => break,
            }
        }
        self.changes(name).await
    }

    async fn changes(&self, name: &str) -> anyhow::Result<Vec<Change>> {
        let mut changes = Vec::new();
        let mut next = None::<String>;
        loop {
            let mut asked = vec![("ChangeSetName", name)];
            asked.extend(next.iter().map(|token| ("NextToken", token.as_str())));
            let text = self.ask("DescribeChangeSet", &asked).await?;
            let document = read(&text)?;
            let nodes = document.descendants().filter(|node| node.tag_name().name() == "ResourceChange");
            changes.extend(nodes.map(|node| Change {
                action: match (child(node, "Action").as_str(), child(node, "Replacement").as_str()) {
                    ("Add" | "Import", _) => Action::Added,
                    ("Remove", _) => Action::Removed,
                    // `Conditional` is no more than that CloudFormation does not know yet; our names forbid it to make such a
                    // resource twice.
                    (_, "True") => Action::Replaced,
                    _ => Action::Changed,
                },
                id: child(node, "LogicalResourceId"),
                kind: child(node, "ResourceType"),
            }));
            next = texts(&document, "NextToken").next().map(str::to_owned);
            if next.is_none() {
                changes.sort();
                return Ok(changes);
            }
        }
    }

    /// Takes a change set away.
    pub(crate) async fn forget(&self, name: &str) -> anyhow::Result<()> {
        self.ask("DeleteChangeSet", &[("ChangeSetName", name)]).await.map(drop)
    }

    /// Takes away what interrupted runs left.
    pub(crate) async fn forget_all(&self) -> anyhow::Result<()> {
        let text = self.ask("ListChangeSets", &[]).await?;
        let document = read(&text)?;
        for summary in members(document.root_element(), "Summaries") {
            let (name, of) = (child(summary, "ChangeSetName"), child(summary, "StackName"));
            if name.starts_with(OURS) && (of.is_empty() || of == self.name) {
                // One that was carried out cannot be deleted, and goes by itself.
                let _ = self.forget(&name).await;
            }
        }
        Ok(())
    }

    /// Makes the change without a change set, for an emulator that has none worth the name.
    pub(crate) async fn put(&self, wanted: &Wanted<'_>) -> anyhow::Result<()> {
        let asked = wanted.asked();
        let asked: Vec<_> = asked.iter().map(|(key, value)| (key.as_str(), *value)).collect();
        self.ask(if wanted.is_new { "CreateStack" } else { "UpdateStack" }, &asked).await.map(drop)
    }

    /// Makes the change.
    pub(crate) async fn execute(&self, name: &str) -> anyhow::Result<()> {
        self.ask("ExecuteChangeSet", &[("ChangeSetName", name)]).await.map(drop)
    }

    pub(crate) async fn protect(&self, on: bool) -> anyhow::Result<()> {
        let on = if on { "true" } else { "false" };
        self.ask("UpdateTerminationProtection", &[("EnableTerminationProtection", on)]).await.map(drop)
    }

    pub(crate) async fn delete(&self) -> anyhow::Result<()> {
        self.ask("DeleteStack", &[]).await.map(drop)
    }

    /// The newest event, before something begins.
    pub(crate) async fn newest_event(&self) -> anyhow::Result<Option<String>> {
        match self.ask("DescribeStackEvents", &[]).await {
            Ok(text) => Ok(texts(&read(&text)?, "EventId").next().map(str::to_owned)),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Waits until nothing is under way any more, and shows how far it is. Nothing is there afterwards where it was deleted.
    pub(crate) async fn settled(
        &self,
        since: Option<&str>,
        output: &Output,
        clock: &dyn Clock,
    ) -> anyhow::Result<Option<Standing>> {
        let mut look = FIRST_LOOK;
        // What was asked for begins a moment later; until then the stack stands as before.
        for _ in 0..MAX_LOOKS_BEFORE {
            if since.is_none() || self.newest_event().await?.as_deref() != since {
                break;
            }
            wait_until(clock, clock.now() + FIRST_LOOK).await;
        }
        loop {
            let Some(standing) = self.standing().await? else { return Ok(None) };
            if !standing.is_under_way() {
                output.progress_over();
                return Ok(Some(standing));
            }
            if output.is_watched() {
                let events = self.events(since).await.unwrap_or_default();
                let done = events.iter().filter(|event| event.status.ends_with("_COMPLETE")).count();
                let last = events.first().map(|event| format!(", {} {}", event.id, event.status)).unwrap_or_default();
                output.progress(&format!("{}: {done} steps done{last}", standing.status));
            }
            wait_until(clock, clock.now() + look).await;
            look = (look * 2).min(LAST_LOOK);
        }
    }

    /// What failed since that event, the first first. What was only stopped because of it is left out.
    pub(crate) async fn failures(&self, since: Option<&str>) -> anyhow::Result<Vec<Failure>> {
        let mut failures: Vec<_> = self.events(since).await?.into_iter().filter(Failure::is_own).collect();
        failures.reverse();
        failures.truncate(5);
        Ok(failures)
    }

    /// Events since that one, the newest first.
    async fn events(&self, since: Option<&str>) -> anyhow::Result<Vec<Failure>> {
        let mut events = Vec::new();
        let mut next = None::<String>;
        loop {
            let more: Vec<_> = next.iter().map(|token| ("NextToken", token.as_str())).collect();
            let text = self.ask("DescribeStackEvents", &more).await?;
            let document = read(&text)?;
            for event in members(document.root_element(), "StackEvents") {
                if since.is_some_and(|since| child(event, "EventId") == since) {
                    return Ok(events);
                }
                events.push(Failure {
                    id: child(event, "LogicalResourceId"),
                    kind: child(event, "ResourceType"),
                    status: child(event, "ResourceStatus"),
                    reason: child(event, "ResourceStatusReason"),
                });
            }
            next = texts(&document, "NextToken").next().map(str::to_owned);
            if next.is_none() {
                return Ok(events);
            }
        }
    }

    async fn ask(&self, action: &str, parameters: &[(&str, &str)]) -> anyhow::Result<String> {
        let all: Vec<_> = [("StackName", self.name)].into_iter().chain(parameters.iter().copied()).collect();
        self.caller.query("cloudformation", VERSION, action, &all).await
    }
}

/// A name for a change set, by what it is about.
pub(crate) fn change_set_name(digest: &str) -> String {
    format!("{OURS}{}", &digest[..digest.len().min(32)])
}

fn is_missing(error: &anyhow::Error) -> bool {
    refusal_of(error).is_some_and(|refusal| refusal.message.contains("does not exist"))
}

fn read(text: &str) -> anyhow::Result<Document<'_>> {
    Document::parse(text).context("what answered is not CloudFormation")
}
