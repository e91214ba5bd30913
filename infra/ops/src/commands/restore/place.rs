//! Puts the table back to a time, under its own name, step by step.
//!
//! A table cannot be renamed, so it goes by a backup into the old one's name. Which steps are done is read from what there is: the
//! table beside, its backup, where the table in place came from. So whoever was interrupted runs it again.

use std::fmt::Write as _;

use anyhow::{Context as _, bail, ensure};
use aws_sdk_dynamodb::{
    Client,
    primitives::{DateTime, DateTimeFormat},
    types::{BackupSummary, TableDescription, TableStatus},
};
use serde_json::json;
use store::{LedgerCopy, Reapplied, Restore};

use super::{
    table::{FIRST_LOOK, delete, describe, pause, switch_on, until_active, until_gone},
    traffic,
};
use crate::{commands::retention::Retention, output::Output, session::Session, stack::Stack, told::Told};

/// How often the erased are erased again, until a look finds none.
const MAX_ROUNDS: usize = 5;

/// What is asked for.
pub(super) struct Asked<'a> {
    pub(super) to: DateTime,
    /// Another table with a copy of the ledger.
    pub(super) from: Option<&'a str>,
    pub(super) daily_copy: bool,
    /// Without it only the steps are shown.
    pub(super) act: bool,
}

/// What there is.
#[derive(Debug, Default)]
struct Found {
    /// The table in place.
    table: Option<TableDescription>,
    /// The one it is restored into first.
    beside: Option<TableDescription>,
    /// The backup of that one.
    backup: Option<BackupSummary>,
    /// What is left of runs to another time, or was made twice.
    others: Vec<BackupSummary>,
}

/// What a backup's name tells: the time that was asked for, and the id of the damaged table.
struct Name<'a> {
    to: i64,
    damaged: &'a str,
}

impl<'a> Name<'a> {
    fn read(backup: &'a BackupSummary, table: &str) -> Option<Self> {
        let rest = backup.backup_name.as_deref()?.strip_prefix(table)?.strip_prefix('.')?;
        let (to, damaged) = rest.split_once('.')?;
        Some(Self { to: to.parse().ok()?, damaged })
    }
}

/// The steps, in their order.
const STEPS: [&str; 9] = [
    "hold all functions",
    "restore into a table beside",
    "make a backup of that",
    "copy the ledger of erasures out of the damaged table",
    "delete the damaged table",
    "restore the backup under the table's name",
    "switch on its time to live, its recovery and its protection",
    "erase again whoever was erased since",
    "let all functions go on, wake open requests, delete the copies",
];

/// A time as it is typed.
pub(super) fn time(given: &str) -> Result<DateTime, String> {
    let parsed = DateTime::from_str(given, DateTimeFormat::DateTimeWithOffset);
    parsed.map_err(|_| "expected a time with its zone, such as 2026-11-24T09:00:00Z".to_owned())
}

impl Found {
    async fn look(dynamodb: &Client, table: &str, beside: &str, to: &DateTime) -> anyhow::Result<Self> {
        let backups = dynamodb.list_backups().table_name(beside).send().await.context("DynamoDB ListBackups")?;
        let mut backups = backups.backup_summaries.unwrap_or_default();
        backups.retain(|backup| Name::read(backup, table).is_some());
        let of_this = |backup: &BackupSummary| Name::read(backup, table).is_some_and(|name| name.to == to.secs());
        let backup = backups.iter().rposition(of_this).map(|at| backups.remove(at));
        Ok(Self {
            table: describe(dynamodb, table).await?,
            beside: describe(dynamodb, beside).await?,
            backup,
            others: backups,
        })
    }

    /// Whether the table in place is the one that was put back: AWS says that it was made from the backup, or it has another id than the
    /// damaged one, which is in the backup's name. One emulator tells the one, and another the other. Times would not tell, since they
    /// may be of the same second.
    fn is_in_place(&self) -> bool {
        let (Some(table), Some(backup)) = (&self.table, &self.backup) else { return false };
        let restored = table.restore_summary.as_ref().and_then(|restored| restored.source_backup_arn.as_deref());
        let is_from = restored.is_some() && restored == backup.backup_arn.as_deref();
        let damaged = table.table_name.as_deref().and_then(|of| Name::read(backup, of)).map(|name| name.damaged);
        is_from || table.table_id.as_deref().is_some_and(|id| damaged != Some(id))
    }

    /// Whether there is nothing left to do: the table was made after that time, and no copies are left.
    fn is_over(&self, to: &DateTime) -> bool {
        let made = self.table.as_ref().and_then(|table| table.creation_date_time);
        self.beside.is_none()
            && self.backup.is_none()
            && self.others.is_empty()
            && made.is_some_and(|made| made.secs() > to.secs())
    }

    /// How many steps are done.
    fn done(&self, is_stopped: bool) -> usize {
        match (&self.table, &self.beside, &self.backup) {
            _ if self.is_in_place() => 6,
            (None, _, Some(_)) => 5,
            (Some(_), _, Some(_)) => 3,
            (Some(_), Some(_), None) => 2,
            _ => usize::from(is_stopped),
        }
    }
}

impl Asked<'_> {
    pub(super) async fn run(&self, session: &Session) -> anyhow::Result<Told> {
        let (output, stack) = (&session.output, session.deployed().await?);
        ensure!(!stack.is_local, "a local runner's table has no recovery");
        let dynamodb = &stack.aws.dynamodb;
        let (table, beside) = (stack.named("bridge"), stack.named("bridge-restored"));
        let found = Found::look(dynamodb, &table, &beside, &self.to).await?;
        if found.is_over(&self.to) {
            // Whoever was interrupted at the very end.
            if self.act {
                traffic::go_on(&stack).await?;
            }
            return Ok(self.over(&stack));
        }
        self.possible(&stack, &found, &table, &beside).await?;
        if !self.act {
            let done = found.done(traffic::is_stopped(&stack).await);
            return Ok(self.told(&stack, done, None, ""));
        }
        output.step("holding all functions");
        let under_hold = async {
            traffic::stop(&stack).await?;
            let mut found = found;
            if !found.is_in_place() {
                found = self.put_in_place(&stack, found, &table, &beside, output).await?;
            }
            until_active(&stack, &table, output).await?;
            output.step("switching on time to live, recovery and protection");
            switch_on(&stack, &table).await?;
            let applied = self.erase_again(&stack, output).await?;
            output.step("letting all functions go on");
            traffic::go_on(&stack).await?;
            anyhow::Ok((found, applied))
        };
        let (found, applied) = Box::pin(under_hold).await.context(
            "functions are held, and stay so until this has come to its end: mend what follows, then run it again with the \
             same time (docs/runbook/restore.md)",
        )?;
        output.step("waking open requests");
        let woken = Box::pin(Retention::now().run(session)).await;
        output.step("deleting the copies");
        clear(&stack, &found, &beside, output).await?;
        output.progress_over();
        let next = match woken {
            Ok(_) => String::new(),
            Err(error) => format!("Open requests were not woken ({error:#}): `ops retention --yes` does it.\n"),
        };
        Ok(self.told(&stack, STEPS.len(), Some(applied), &next))
    }

    /// Whether that time can be had, before anything is held.
    async fn possible(&self, stack: &Stack, found: &Found, table: &str, beside: &str) -> anyhow::Result<()> {
        let page = "docs/runbook/restore.md";
        if self.daily_copy {
            let kept = LedgerCopy::new(stack.table().named(self.ledger(stack))).read().await;
            let kept = kept.with_context(|| format!("the copy of the ledger in {}", self.ledger(stack)))?;
            ensure!(
                !kept.is_empty(),
                "the copy of the ledger in {} is empty: by it whoever was erased would come back. Name another with --from",
                self.ledger(stack)
            );
        }
        if let (None, Some(other)) = (&found.backup, found.others.iter().find_map(|other| Name::read(other, table))) {
            bail!(
                "a restore to another time ({}) was begun: finish that one with --to, or delete its backup of {beside} ({page})",
                shown(&DateTime::from_secs(other.to))
            );
        }
        if let Some(begun) = found.beside.as_ref().and_then(|beside| beside.restore_summary.as_ref()) {
            let at = begun.restore_date_time;
            // No table can be put back to a time after its restore began; an emulator that says so has not kept what was asked.
            let made = found.beside.as_ref().and_then(|beside| beside.creation_date_time);
            let is_told = made.is_none_or(|made| at.secs() < made.secs());
            ensure!(
                !is_told || at.secs() == self.to.secs(),
                "{beside} is of a restore to another time ({}) that was begun: finish that one with --to, or delete {beside} \
                 ({page})",
                shown(&at)
            );
            return Ok(());
        }
        if found.backup.is_some() {
            return Ok(());
        }
        if found.table.is_none() {
            bail!(
                "there is no table {table}: if it was deleted by hand, its backup is the way ({page}, stack-again.md)"
            );
        }
        let told = stack.aws.dynamodb.describe_continuous_backups().table_name(table).send().await;
        let told = told.context("DynamoDB DescribeContinuousBackups")?.continuous_backups_description;
        let Some(recovery) = told.and_then(|told| told.point_in_time_recovery_description) else { return Ok(()) };
        let earliest = recovery.earliest_restorable_date_time;
        let latest = recovery.latest_restorable_date_time;
        if earliest.is_none_or(|earliest| earliest.secs() <= self.to.secs())
            && latest.is_none_or(|latest| latest.secs() >= self.to.secs())
        {
            return Ok(());
        }
        let edge = |edge: Option<DateTime>| edge.map_or_else(|| "?".to_owned(), |edge| shown(&edge));
        bail!("{table} can be put back to a time from {} to {} ({page})", edge(earliest), edge(latest))
    }

    async fn put_in_place(
        &self,
        stack: &Stack,
        mut found: Found,
        table: &str,
        beside: &str,
        output: &Output,
    ) -> anyhow::Result<Found> {
        let dynamodb = &stack.aws.dynamodb;
        if found.backup.is_none() {
            if found.beside.is_none() {
                output.step(&format!("restoring {table} to {} into {beside}", shown(&self.to)));
                let asked = dynamodb.restore_table_to_point_in_time().source_table_name(table);
                let asked = asked.target_table_name(beside).restore_date_time(self.to).send().await;
                asked.context("DynamoDB RestoreTableToPointInTime")?;
            }
            until_active(stack, beside, output).await?;
            output.step(&format!("making a backup of {beside}"));
            let damaged = found.table.as_ref().and_then(|table| table.table_id.as_deref());
            let name = format!("{table}.{}.{}", self.to.secs(), damaged.unwrap_or("unnamed"));
            let made = dynamodb.create_backup().table_name(beside).backup_name(name).send().await;
            made.context("DynamoDB CreateBackup")?;
        }
        let mut look = FIRST_LOOK;
        loop {
            found = Found::look(dynamodb, table, beside, &self.to).await?;
            let status = found.backup.as_ref().and_then(|backup| backup.backup_status.as_ref());
            match status.map(aws_sdk_dynamodb::types::BackupStatus::as_str) {
                Some("AVAILABLE") => break,
                Some("DELETED") => bail!("the backup of {beside} is gone: delete {beside}, then run this again"),
                _ => pause(stack, &mut look).await,
            }
        }
        let backup = found.backup.as_ref().and_then(|backup| backup.backup_arn.clone()).unwrap_or_default();
        let is_going =
            |found: &Found| found.table.as_ref().is_some_and(|table| table.table_status == Some(TableStatus::Deleting));
        if found.table.is_some() && !is_going(&found) {
            self.copy_ledger(stack, table, output).await?;
            output.step(&format!("deleting the damaged {table}"));
            delete(stack, table, output).await?;
        }
        until_gone(stack, table, output).await?;
        output.step(&format!("restoring {table} out of the backup"));
        let asked = dynamodb.restore_table_from_backup().target_table_name(table).backup_arn(&backup).send().await;
        asked.context("DynamoDB RestoreTableFromBackup")?;
        until_active(stack, table, output).await?;
        Found::look(dynamodb, table, beside, &self.to).await
    }

    /// The last thing the damaged table is asked for: what was erased and asked since the daily copy.
    async fn copy_ledger(&self, stack: &Stack, table: &str, output: &Output) -> anyhow::Result<()> {
        if self.daily_copy {
            return Ok(());
        }
        output.step("copying the ledger of erasures");
        let copied = async {
            let exported = Restore::new(stack.table(), stack.belongings().await?).export().await?;
            anyhow::Ok(LedgerCopy::new(stack.table().named(self.ledger(stack))).keep(&exported).await?)
        };
        copied.await.map(drop).with_context(|| {
            format!(
                "the ledger of erasures cannot be copied out of {table}, which was not touched. --daily-copy goes on by the \
                 last daily copy; what was asked since has to be asked again"
            )
        })
    }

    fn ledger(&self, stack: &Stack) -> String {
        self.from.map_or_else(|| stack.ledger(), str::to_owned)
    }

    async fn erase_again(&self, stack: &Stack, output: &Output) -> anyhow::Result<Reapplied> {
        output.step("erasing again whoever was erased since");
        let kept = LedgerCopy::new(stack.table().named(self.ledger(stack))).read().await;
        let kept = kept.with_context(|| format!("the copy of the ledger in {}", self.ledger(stack)))?;
        let restoration = Restore::new(stack.table(), stack.belongings().await?);
        let mut whole = Reapplied::default();
        for _ in 0..MAX_ROUNDS {
            let round = restoration.apply(&kept, false).await?;
            let is_clean = round.customers == 0 && round.items == 0;
            whole =
                Reapplied { customers: whole.customers + round.customers, items: whole.items + round.items, ..round };
            if is_clean {
                return Ok(whole);
            }
        }
        bail!(
            "somebody who was erased is still there after {MAX_ROUNDS} rounds: run this again; functions stay held meanwhile"
        )
    }

    fn over(&self, stack: &Stack) -> Told {
        let table = stack.named("bridge");
        let steps: Vec<_> = STEPS.iter().map(|step| json!({ "step": step, "done": true })).collect();
        let json =
            json!({ "dry_run": !self.act, "table": table, "to": shown(&self.to), "steps": steps, "applied": null });
        let words = format!(
            "Nothing to do: the {table} there is was made after {}. It was put back already, or did not exist yet.",
            shown(&self.to)
        );
        Told::new(json, words)
    }

    fn told(&self, stack: &Stack, done: usize, applied: Option<Reapplied>, next: &str) -> Told {
        let steps: Vec<_> =
            STEPS.iter().enumerate().map(|(at, step)| json!({ "step": step, "done": at < done })).collect();
        let json = json!({ "dry_run": !self.act, "table": stack.named("bridge"), "to": shown(&self.to), "steps": steps,
            "applied": applied });
        let mut words = if self.act {
            format!("{} is as it was at {}, without whom was erased since.\n", stack.named("bridge"), shown(&self.to))
        } else {
            format!("would put {} back to {}; --yes does it:\n", stack.named("bridge"), shown(&self.to))
        };
        if let Some(applied) = applied {
            let _ = write!(
                words,
                "{} requests, {} tombstones, {} customers erased again with {} items.\n{next}Look at `Overdue` and `Difference`.",
                applied.requests, applied.tombstones, applied.customers, applied.items
            );
        } else {
            for (at, step) in STEPS.iter().enumerate() {
                let _ = writeln!(words, "  {} {step}", if at < done { "done " } else { "to do" });
            }
            words.push_str(
                "Messages wait meanwhile, as long as it takes: minutes for a small table, hours for a large one.",
            );
        }
        Told::new(json, words)
    }
}

/// Neither copy has an end of its own.
async fn clear(stack: &Stack, found: &Found, beside: &str, output: &Output) -> anyhow::Result<()> {
    delete(stack, beside, output).await?;
    until_gone(stack, beside, output).await?;
    // Last: as long as it is there, the table in place is known for what it is.
    for backup in found.others.iter().chain(&found.backup).filter_map(|backup| backup.backup_arn.clone()) {
        let asked = stack.aws.dynamodb.delete_backup().backup_arn(backup).send().await;
        asked.context("DynamoDB DeleteBackup")?;
    }
    Ok(())
}

fn shown(at: &DateTime) -> String {
    at.fmt(DateTimeFormat::DateTime).unwrap_or_else(|_| at.secs().to_string())
}
