//! What a runner does first that was started again on the data of one before: whoever was at work then is gone with it.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use simulator_aws::Aws;
use simulator_wire::MovableClock;
use store::{Claims, Table};

use crate::{channels, template::Template};

/// Shows messages again that functions had in hand, and forgives those functions their end: it was no crash of theirs.
pub(crate) async fn take_up_work(aws: &Aws, template: &Template, clock: &MovableClock) -> anyhow::Result<()> {
    let clients = channels::clients(aws.url()).context("the AWS clients cannot be made")?;
    for table in template.tables.iter().take(1) {
        let table = Table::new(clients.dynamodb.clone(), table.name.clone(), Arc::new(clock.clone()), Duration::ZERO);
        Claims::new(table).forgive_restart().await.context("open claims cannot be excused")?;
    }
    aws.release_received()
}
