//! Single steps with one table of `DynamoDB`'s, each of which may be repeated.

use std::time::Duration;

use anyhow::{Context as _, bail};
use aws_sdk_dynamodb::{
    Client,
    types::{PointInTimeRecoverySpecification, TableDescription, TableStatus, TimeToLiveSpecification},
};
use platform::wait_until;
use store::Restore;

use crate::{output::Output, stack::Stack};

/// How often is looked.
pub(super) const FIRST_LOOK: Duration = Duration::from_millis(200);
const LAST_LOOK: Duration = Duration::from_secs(10);

/// How often is tried what is not ready yet: for a quarter of an hour.
const MAX_LOOKS: usize = 96;

/// The attribute by which what is past its end goes.
const ENDS: &str = "expires_at";

/// What a restored table comes back without. Recovery goes on from now.
pub(super) async fn switch_on(stack: &Stack, table: &str) -> anyhow::Result<()> {
    let dynamodb = &stack.aws.dynamodb;
    let restoration = Restore::new(stack.table(), stack.belongings().await?);
    if !restoration.has_time_to_live().await? {
        let ends = TimeToLiveSpecification::builder().enabled(true).attribute_name(ENDS).build()?;
        let asked = dynamodb.update_time_to_live().table_name(table).time_to_live_specification(ends).send().await;
        asked.context("DynamoDB UpdateTimeToLive")?;
    }
    recovery(stack, table, true).await?;
    let is_protected = describe(dynamodb, table).await?.and_then(|table| table.deletion_protection_enabled);
    if is_protected != Some(true) {
        let asked = dynamodb.update_table().table_name(table).deletion_protection_enabled(true).send().await;
        asked.context("DynamoDB UpdateTable")?;
    }
    Ok(())
}

/// Switches its recovery on or off, where it is not so already.
async fn recovery(stack: &Stack, table: &str, on: bool) -> anyhow::Result<()> {
    let dynamodb = &stack.aws.dynamodb;
    let told = dynamodb.describe_continuous_backups().table_name(table).send().await;
    let told = told.context("DynamoDB DescribeContinuousBackups")?.continuous_backups_description;
    let told = told.and_then(|told| told.point_in_time_recovery_description);
    let status = told.as_ref().and_then(|told| told.point_in_time_recovery_status.as_ref());
    let is_on = status.is_some_and(|status| status.as_str() == "ENABLED");
    let days = stack.policy.pitr_days;
    let is_as_wanted =
        on == is_on && (!on || told.as_ref().and_then(|told| told.recovery_period_in_days) == Some(days));
    if is_as_wanted {
        return Ok(());
    }
    let wanted = PointInTimeRecoverySpecification::builder().point_in_time_recovery_enabled(on);
    let wanted = if on { wanted.recovery_period_in_days(days) } else { wanted }.build()?;
    let mut look = FIRST_LOOK;
    for _ in 0..MAX_LOOKS {
        let asked = dynamodb.update_continuous_backups().table_name(table);
        match asked.point_in_time_recovery_specification(wanted.clone()).send().await {
            Ok(_) => return Ok(()),
            Err(error) => {
                let error = error.into_service_error();
                // A table that was just made is not ready for it yet.
                if !error.is_continuous_backups_unavailable_exception() {
                    return Err(error).context("DynamoDB UpdateContinuousBackups");
                }
            }
        }
        pause(stack, &mut look).await;
    }
    bail!("the recovery of {table} cannot be switched yet: run this again")
}

/// Deletes a table without a copy that DynamoDB would keep of it.
pub(in crate::commands) async fn delete(stack: &Stack, table: &str, output: &Output) -> anyhow::Result<()> {
    let dynamodb = &stack.aws.dynamodb;
    let Some(there) = describe(dynamodb, table).await? else { return Ok(()) };
    if there.table_status == Some(TableStatus::Deleting) {
        return Ok(());
    }
    recovery(stack, table, false).await?;
    if there.deletion_protection_enabled == Some(true) {
        let asked = dynamodb.update_table().table_name(table).deletion_protection_enabled(false).send().await;
        asked.context("DynamoDB UpdateTable")?;
        // It is changed for a moment, and cannot be deleted meanwhile.
        until_active(stack, table, output).await?;
    }
    dynamodb.delete_table().table_name(table).send().await.context("DynamoDB DeleteTable")?;
    Ok(())
}

pub(super) async fn describe(dynamodb: &Client, table: &str) -> anyhow::Result<Option<TableDescription>> {
    match dynamodb.describe_table().table_name(table).send().await {
        Ok(told) => Ok(told.table),
        Err(error) => {
            let error = error.into_service_error();
            if error.is_resource_not_found_exception() {
                Ok(None)
            } else {
                Err(error).context("DynamoDB DescribeTable")
            }
        }
    }
}

pub(super) async fn until_active(stack: &Stack, table: &str, output: &Output) -> anyhow::Result<()> {
    let mut look = FIRST_LOOK;
    loop {
        let told = describe(&stack.aws.dynamodb, table).await?.with_context(|| format!("{table} is gone"))?;
        match told.table_status {
            Some(TableStatus::Active) => return Ok(()),
            other => {
                output.progress(&format!("{table} is {}", other.map_or("?".to_owned(), |of| of.as_str().to_owned())));
            }
        }
        pause(stack, &mut look).await;
    }
}

pub(in crate::commands) async fn until_gone(stack: &Stack, table: &str, output: &Output) -> anyhow::Result<()> {
    let mut look = FIRST_LOOK;
    while describe(&stack.aws.dynamodb, table).await?.is_some() {
        output.progress(&format!("{table} is going"));
        pause(stack, &mut look).await;
    }
    Ok(())
}

pub(super) async fn pause(stack: &Stack, look: &mut Duration) {
    wait_until(&*stack.clock, stack.clock.now() + *look).await;
    *look = (*look * 2).min(LAST_LOOK);
}
