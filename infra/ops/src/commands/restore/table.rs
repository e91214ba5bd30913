//! Single steps with one table of `DynamoDB`'s, each of which may be repeated.

use std::time::Duration;

use anyhow::Context as _;
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
    let recovery = PointInTimeRecoverySpecification::builder().point_in_time_recovery_enabled(true);
    let recovery = recovery.recovery_period_in_days(stack.policy.pitr_days).build()?;
    let asked = dynamodb.update_continuous_backups().table_name(table);
    let asked = asked.point_in_time_recovery_specification(recovery).send().await;
    asked.context("DynamoDB UpdateContinuousBackups")?;
    let is_protected = describe(dynamodb, table).await?.and_then(|table| table.deletion_protection_enabled);
    if is_protected != Some(true) {
        let asked = dynamodb.update_table().table_name(table).deletion_protection_enabled(true).send().await;
        asked.context("DynamoDB UpdateTable")?;
    }
    Ok(())
}

/// Deletes a table without a copy that DynamoDB would keep of it.
pub(super) async fn delete(stack: &Stack, table: &str) -> anyhow::Result<()> {
    let dynamodb = &stack.aws.dynamodb;
    let Some(there) = describe(dynamodb, table).await? else { return Ok(()) };
    if there.table_status == Some(TableStatus::Deleting) {
        return Ok(());
    }
    let off = PointInTimeRecoverySpecification::builder().point_in_time_recovery_enabled(false).build()?;
    let asked = dynamodb.update_continuous_backups().table_name(table).point_in_time_recovery_specification(off);
    asked.send().await.context("DynamoDB UpdateContinuousBackups")?;
    if there.deletion_protection_enabled == Some(true) {
        let asked = dynamodb.update_table().table_name(table).deletion_protection_enabled(false).send().await;
        asked.context("DynamoDB UpdateTable")?;
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

pub(super) async fn until_gone(stack: &Stack, table: &str, output: &Output) -> anyhow::Result<()> {
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
