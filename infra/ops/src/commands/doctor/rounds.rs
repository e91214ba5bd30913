//! When the schedules last came to their end.

use std::time::Duration;

use app::Clients;
use domain::Timestamp;
use store::TableSweep;

use super::Findings;
use crate::stack::Stack;

/// A round of `reconcile` is due every five minutes, a run of `retention` every day.
const RECONCILE_LATE: Duration = Duration::from_secs(20 * 60);
const RETENTION_LATE: Duration = Duration::from_secs(26 * 3600);

const PAGE: &str = "docs/runbook/README.md";

pub(super) async fn look(stack: &Stack, clients: &Clients, findings: &mut Findings<'_>) -> anyhow::Result<()> {
    let now = clients.clock.now();
    let mut oldest = None::<Timestamp>;
    let channels = clients.channels.all().await?;
    for channel in &channels {
        let ended = clients.cursor.completed_at(&channel.phone_number_id).await?;
        // A channel of a minute ago has had no round.
        let at = ended.or(channel.since).unwrap_or_default();
        oldest = Some(oldest.map_or(at, |oldest| oldest.min(at)));
    }
    if let Some(oldest) = oldest {
        one("reconcile", now.since(oldest), RECONCILE_LATE, findings)?;
    }
    let ended = TableSweep::new(stack.table()).ended_at(retention::CHANNEL_CURSOR).await?;
    let young = channels.iter().filter_map(|channel| channel.since).min();
    match (ended, young) {
        (Some(at), _) => one("retention", now.since(at), RETENTION_LATE, findings),
        (None, Some(since)) if now.since(since) > RETENTION_LATE => {
            findings.fail("retention", "no whole run is on record", "read its log, or `ops retention --yes`", PAGE)
        }
        (None, _) => findings.ok("retention", "its first run is not due yet"),
    }
}

fn one(name: &str, ago: Duration, late: Duration, findings: &mut Findings<'_>) -> anyhow::Result<()> {
    let minutes = ago.as_secs() / 60;
    let words = if minutes < 180 { format!("{minutes} minutes ago") } else { format!("{} hours ago", minutes / 60) };
    if ago <= late {
        return findings.ok(name, &format!("its last round was {words}, or is not due yet"));
    }
    findings.fail(name, &format!("its last whole round was {words}"), "read its log", PAGE)
}
