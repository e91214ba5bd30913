//! Brings a stack up, or up to date: looked at first, shown as a plan, then made, and waited for.
//!
//! Each run looks at what is there, so that the way on after anything, a kill in the middle too, is to run it again.

mod bucket;
mod checks;
mod emulator;
mod packages;
mod plan;
mod template;

use std::{collections::BTreeMap, fmt::Write as _, path::PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use platform::Setting;
use serde_json::{Value, json};

use self::{bucket::Bucket, checks::Account, emulator::Emulator, packages::Packages, plan::Plan};
use crate::{
    commands::app,
    formation::{Failure, Formation, Standing, Wanted, change_set_name},
    output::Output,
    session::Session,
    stack::Stack,
    told::Told,
};

/// The command. With `--app-id`, Meta's app secret and Chatwoot's token come on standard input, a line each, as with `app`.
#[derive(Debug, Args)]
pub(crate) struct Deploy {
    /// Packages that are ready, as `infra/package` writes them; without it they are built.
    #[arg(long, value_name = "DIR")]
    packages: Option<PathBuf>,
    /// A parameter of the template; may be repeated. What is not named stays as the stack has it.
    #[arg(long = "parameter", value_name = "NAME=VALUE", value_parser = parameter)]
    parameters: Vec<(String, String)>,
    /// The app's id (App Dashboard → Settings → Basic); its secret is stored in the same run.
    #[arg(long, value_name = "ID", value_parser = app::digits)]
    app_id: Option<String>,
    /// Another bucket for the packages than the stack's own.
    #[arg(long, value_name = "NAME")]
    bucket: Option<String>,
    /// Goes on although Chatwoot or Meta cannot be asked now, as in an outage. Nothing of `--app-id` is left out.
    #[arg(long, conflicts_with = "app_id")]
    unchecked: bool,
    /// Shows the plan, and changes nothing.
    #[arg(long)]
    dry_run: bool,
}

fn parameter(given: &str) -> Result<(String, String), String> {
    let (name, value) = given.split_once('=').ok_or_else(|| "expected NAME=VALUE".to_owned())?;
    Ok((name.trim().to_owned(), value.to_owned()))
}

/// What became of a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Planned,
    Created,
    Updated,
    Unchanged,
}

/// Everything a run knows before it changes anything.
struct Known<'a> {
    formation: Formation<'a>,
    account: &'a Account,
    emulator: Option<Emulator>,
    before: Option<Standing>,
    packages: &'a Packages,
    parameters: &'a BTreeMap<String, String>,
    output: &'a Output,
}

impl Deploy {
    pub(crate) async fn run(&self, session: &Session) -> anyhow::Result<Told> {
        let given = if self.app_id.is_some() { Some(app::read_secrets()?) } else { None };
        let output = &session.output;
        let mut stack = session.stack().await?;
        if stack.is_local {
            bail!("a local runner brings its stack with it: leave out --local to deploy one to AWS");
        }
        output.step("looking at the account");
        let (caller, name) = (stack.caller.clone(), stack.name.clone());
        let formation = || Formation { caller: &caller, name: &name };
        let account = Account::ask(&caller).await?;
        let emulator = Emulator::ask(&caller).await;
        let before = self.calm(&stack, &formation(), output).await?;
        let deployed = before.as_ref().map(|before| before.parameters.clone()).unwrap_or_default();
        let mut wanted: BTreeMap<_, _> = self.parameters.iter().cloned().collect();
        let packages = self.packages(wanted.get("Architecture").or_else(|| deployed.get("Architecture")), output)?;
        if wanted.get("Architecture").is_some_and(|named| *named != packages.architecture) {
            bail!("the packages are for {}, and not for the Architecture that is named", packages.architecture);
        }
        wanted.insert("Architecture".to_owned(), packages.architecture.clone());
        let usual = usual(&stack);
        let parameters = template::parameters(&packages.template, &wanted, &deployed, &usual)?;
        assume(&mut stack, &parameters)?;
        let mut warnings = checks::quota(&caller, &parameters).await?;
        output.step("asking Chatwoot");
        let tried = if let (Some(app_id), Some(given)) = (&self.app_id, given) {
            checks::chatwoot(&stack).await?;
            Some(app::tried(&stack, app_id, given).await?)
        } else {
            if let Err(error) = checks::chatwoot_and_its_token(&stack).await {
                if !self.unchecked {
                    return Err(error.context("nothing was deployed (--unchecked goes on all the same)"));
                }
                warnings.push(format!("{error:#}"));
            }
            None
        };
        let known = Known {
            formation: formation(),
            account: &account,
            emulator,
            before,
            packages: &packages,
            parameters: &parameters,
            output,
        };
        let (outcome, plan) = Box::pin(self.bring_up(&stack, &known)).await?;
        let after = if outcome == Outcome::Planned { known.before.clone() } else { formation().standing().await? };
        let is_bare = after.as_ref().is_some_and(|after| outcome != Outcome::Planned && !after.protected);
        // Also where the run that made the stack was interrupted.
        if is_bare && emulator.is_none_or(Emulator::protects) {
            formation().protect(true).await?;
        }
        let outputs = after.as_ref().map(|after| after.outputs.clone()).unwrap_or_default();
        stack.answers_at(outputs.get("ApiUrl").map(String::as_str));
        let secret = match (&tried, outcome) {
            (_, Outcome::Planned) => None,
            (Some(tried), _) => {
                output.step("storing the app's secret");
                Some(app::store(&stack, tried).await.context("the stack is there, its secret is not: run this again")?)
            }
            (None, _) => app::stored(&stack).await?,
        };
        output.progress_over();
        Ok(known.told(outcome, &plan, &deployed, &outputs, &warnings, secret))
    }

    /// The stack once nothing is under way, if it can be changed then.
    async fn calm(
        &self,
        stack: &Stack,
        formation: &Formation<'_>,
        output: &Output,
    ) -> anyhow::Result<Option<Standing>> {
        let mut standing = formation.standing().await?;
        if let Some(under_way) = standing.as_ref().filter(|standing| standing.is_under_way()) {
            output.step(&format!("{} is {}: waiting for its end", formation.name, under_way.status));
            standing = formation.settled(None, output, &*stack.clock).await?;
        }
        let name = formation.name;
        let Some(there) = &standing else {
            checks::nothing_kept(stack).await?;
            return Ok(None);
        };
        match there.status.as_str() {
            // A plan that was never carried out.
            "REVIEW_IN_PROGRESS" => {
                checks::nothing_kept(stack).await?;
                Ok(None)
            }
            "ROLLBACK_COMPLETE" | "ROLLBACK_FAILED" | "CREATE_FAILED" => bail!(
                "the first deploy of {name} failed ({}), and nothing can be changed of what is left:\n{}\nMend that, then \
                 `ops destroy --yes`, which lets its empty tables go, and `ops deploy` again \
                 (docs/runbook/stack-again.md)",
                there.status,
                lines(&formation.failures(None).await?)
            ),
            "DELETE_FAILED" => bail!(
                "{name} was to be deleted, and could not be:\n{}\nMend that, then `ops destroy --yes` again",
                lines(&formation.failures(None).await?)
            ),
            "UPDATE_ROLLBACK_FAILED" | "IMPORT_ROLLBACK_FAILED" => bail!(
                "{name} could not go back to what it was:\n{}\nMend that, then `aws cloudformation continue-update-rollback \
                 --stack-name {name}`, and `ops deploy` again (docs/runbook/update-failed.md)",
                lines(&formation.failures(None).await?)
            ),
            _ => Ok(standing),
        }
    }

    fn packages(&self, architecture: Option<&String>, output: &Output) -> anyhow::Result<Packages> {
        if let Some(directory) = &self.packages {
            return Packages::read(directory);
        }
        let architecture = architecture.map_or("arm64", String::as_str);
        output.step(&format!("building the packages for {architecture}"));
        Packages::build(architecture)
    }

    async fn bring_up(&self, stack: &Stack, known: &Known<'_>) -> anyhow::Result<(Outcome, Plan)> {
        let Known { formation, packages, parameters, output, .. } = known;
        let name = self
            .bucket
            .clone()
            .unwrap_or_else(|| bucket::usual_name(formation.name, &known.account.id, &formation.caller.region));
        let mut template = template::complete(packages, &name, parameters)?;
        if let Some(emulator) = known.emulator {
            emulator.fit(&mut template);
        }
        let is_new = known.before.is_none();
        let deployed = if is_new { Value::Null } else { formation.template().await? };
        match &known.before {
            Some(before) if before.parameters == **parameters && deployed == template => {
                return Ok((Outcome::Unchanged, Plan::default()));
            }
            None if self.dry_run => return Ok((Outcome::Planned, Plan::of_new(&template))),
            _ => {}
        }
        let bucket = Bucket { caller: formation.caller, name, account: &known.account.id };
        output.step(&format!("looking for the bucket {}", bucket.name));
        bucket.make().await?;
        let text = template.to_string();
        let digest = packages::digest(text.as_bytes());
        let key = format!("template-{digest}.json");
        bucket.put(&key, text.into_bytes()).await?;
        if !self.dry_run {
            bucket.upload(packages, output).await?;
        }
        output.step("asking what would change");
        let of_both = packages::digest(format!("{digest}{parameters:?}{}", stack.clock.now().as_millis()).as_bytes());
        let change_set = change_set_name(&of_both);
        let wanted = Wanted { is_new, template_url: &bucket.url(&key), parameters };
        let by_change_set = known.emulator.is_none_or(Emulator::has_change_sets);
        let plan = match &known.before {
            _ if by_change_set => {
                if !is_new {
                    formation.forget_all().await?;
                }
                Plan(formation.plan(&change_set, &wanted, &*stack.clock).await?)
            }
            Some(before) => Plan::between((&deployed, &before.parameters), (&template, parameters)),
            None => Plan::of_new(&template),
        };
        if plan.0.is_empty() && !is_new {
            return Ok((Outcome::Unchanged, plan));
        }
        let lost = plan.replaces(&template::IRREPLACEABLE);
        if by_change_set && (self.dry_run || !lost.is_empty()) {
            formation.forget(&change_set).await?;
        }
        if !lost.is_empty() {
            bail!(
                "this would make {} anew, and what is in it would be left behind: refused (docs/upgrade.md, The template)",
                lost.join(", ")
            );
        }
        if self.dry_run {
            return Ok((Outcome::Planned, plan));
        }
        output.step(&format!("changing {} ({})", formation.name, plan.counts()));
        let since = formation.newest_event().await?;
        if by_change_set {
            formation.execute(&change_set).await?;
        } else {
            formation.put(&wanted).await?;
        }
        let after = formation.settled(since.as_deref(), output, &*stack.clock).await?;
        match after {
            Some(after) if after.is_good() => Ok((if is_new { Outcome::Created } else { Outcome::Updated }, plan)),
            after => {
                let status = after.map_or("gone".to_owned(), |after| after.status);
                let why = lines(&formation.failures(since.as_deref()).await?);
                let next = match status.as_str() {
                    "UPDATE_ROLLBACK_COMPLETE" => "Everything is as it was before. Mend that, then `ops deploy` again",
                    "UPDATE_ROLLBACK_FAILED" => "Mend that; `ops deploy` again says what else to do",
                    _ => "Mend that, then `ops destroy --yes`, which lets its empty tables go, and `ops deploy` again",
                };
                bail!("{} is {status}:\n{why}\n{next} (docs/runbook/update-failed.md)", formation.name)
            }
        }
    }
}

impl Known<'_> {
    fn told(
        &self,
        outcome: Outcome,
        plan: &Plan,
        before: &BTreeMap<String, String>,
        outputs: &BTreeMap<String, String>,
        warnings: &[String],
        secret: Option<Told>,
    ) -> Told {
        let name = self.formation.name;
        let (app, next) = match secret {
            Some(told) => told.parts(),
            None => (Value::Null, String::new()),
        };
        let differs = self.parameters.iter().filter(|(name, value)| before.get(*name) != Some(*value));
        let differs: BTreeMap<_, _> = differs.collect();
        let left_out = self.emulator.map(Emulator::lacks).unwrap_or_default();
        let word = match outcome {
            Outcome::Planned => "planned",
            Outcome::Created => "created",
            Outcome::Updated => "updated",
            Outcome::Unchanged => "unchanged",
        };
        let json = json!({ "stack": name, "account": self.account.id, "region": self.formation.caller.region,
            "state": word, "plan": plan.json(), "parameters": differs, "warnings": warnings, "outputs": outputs,
            "left_out": left_out.iter().map(|(kind, why)| json!({ "type": kind, "why": why })).collect::<Vec<_>>(),
            "app": app });
        let (account, region) = (&self.account.id, &self.formation.caller.region);
        let mut words = match outcome {
            Outcome::Planned => format!("would change {name} in {account}, {region}:\n{}", plan.words()),
            Outcome::Created => format!("{name} is there, in {account}, {region}: {}.\n", plan.counts()),
            Outcome::Updated => format!("{name} is up to date: {}.\n{}", plan.counts(), plan.words()),
            Outcome::Unchanged => format!("{name} is as it was: nothing to change.\n"),
        };
        for (kind, why) in left_out {
            let _ = writeln!(words, "Left out for the emulator: {kind} ({why}).");
        }
        for warning in warnings {
            let _ = writeln!(words, "Look at this, too: {warning}");
        }
        if outcome == Outcome::Planned {
            words.push_str("Nothing was changed. Without --dry-run it is done.\n");
        } else if let Some(target) = outputs.get("DomainTarget") {
            let _ = writeln!(words, "Your own name has to point (CNAME) to {target}.");
        }
        if !next.is_empty() {
            words.push('\n');
            words.push_str(&next);
        } else if outcome != Outcome::Planned {
            words.push_str("Next: `ops app --app-id ID` stores the app's secret, and says what to enter at Meta.\n");
        }
        Told::new(json, words)
    }
}

/// What is known of parameters that neither the command line nor the stack has: what stands in this machine's environment.
fn usual(stack: &Stack) -> BTreeMap<&'static str, String> {
    let settings = [
        ("ChatwootUrl", Setting::ChatwootUrl),
        ("ChatwootCa", Setting::ChatwootCa),
        ("GraphUrl", Setting::GraphUrl),
        ("GraphVersion", Setting::GraphVersion),
    ];
    let told = settings.into_iter().filter_map(|(name, setting)| Some((name, stack.told(setting)?)));
    told.map(|(name, value)| (name, value.trim_end_matches('/').to_owned())).collect()
}

/// What is checked is what will be deployed.
fn assume(stack: &mut Stack, parameters: &BTreeMap<String, String>) -> anyhow::Result<()> {
    let settings = [
        ("ChatwootUrl", Setting::ChatwootUrl),
        ("ChatwootCa", Setting::ChatwootCa),
        ("GraphUrl", Setting::GraphUrl),
        ("GraphVersion", Setting::GraphVersion),
        ("KmsKey", Setting::KmsKey),
    ];
    let named = settings.into_iter().filter_map(|(name, setting)| Some((setting, parameters.get(name)?.clone())));
    stack.assume(named.filter(|(_, value)| !value.is_empty()).collect())
}

fn lines(failures: &[Failure]) -> String {
    if failures.is_empty() {
        return "  CloudFormation does not tell why: look at the stack's events".to_owned();
    }
    failures.iter().map(|failure| format!("  {}", failure.in_words())).collect::<Vec<_>>().join("\n")
}
