//! Shows in one look how the bridge stands: queues, numbers, erasures.

use anyhow::Context as _;
use aws_sdk_dynamodb::error::DisplayErrorContext;
use clap::Args;
use domain::Timestamp;
use serde_json::json;
use store::{Channels, ErasureLedger, Imports, ReconcileCursor, Side, Silences};

use super::stuck::why_held;
use crate::{
    session::Session,
    stack::Stack,
    told::{Exit, Told, spelled},
};

/// The queues, as the flow goes.
pub(crate) const QUEUES: [&str; 4] = ["inbound", "history", "outbound", "erasure"];

/// The command.
#[derive(Debug, Args)]
pub(crate) struct Status {}

impl Status {
    pub(crate) async fn run(&self, session: &Session) -> anyhow::Result<Told> {
        let stack = session.stack().await?;
        let now = stack.clock().now();
        let (mut words, mut is_well) = (Vec::new(), true);
        let mut queues = Vec::new();
        for queue in QUEUES {
            let waits = Waits::look(&stack, &format!("{queue}.fifo")).await?;
            let dead = Waits::look(&stack, &format!("{queue}-dead-letters.fifo")).await?.all();
            is_well &= dead == 0;
            words.push(format!(
                "queue {queue:<9} {:>6} waiting, {:>3} in hand, {:>3} delayed, {dead} dead letters",
                waits.visible, waits.in_hand, waits.delayed
            ));
            queues.push(json!({ "queue": queue, "waiting": waits.visible, "in_hand": waits.in_hand,
                "delayed": waits.delayed, "dead_letters": dead }));
        }
        let (cursor, imports) = (ReconcileCursor::new(stack.table()), Imports::new(stack.table()));
        let mut numbers = Vec::new();
        for channel in Channels::new(stack.table()).all().await? {
            let number = &channel.phone_number_id;
            let (round, blind) = (cursor.completed_at(number).await?, cursor.blind_since(number).await?);
            let held = why_held(&channel, now);
            let import = imports.progress(number).await?.map(|progress| progress.counts.waiting());
            is_well &= held.is_none() && blind.is_none();
            let mut line = format!("number {number} {}", channel.state.word());
            line.extend(held.map(|held| format!(", held: {held}")));
            line.extend(blind.map(|since| format!(", Chatwoot has not answered since {}", spelled(since))));
            line.extend(round.map(|at| format!(", last round {}", spelled(at))));
            line.extend(import.filter(|left| *left > 0).map(|left| format!(", {left} of its history to come")));
            words.push(line);
            numbers.push(json!({ "phone_number_id": number, "state": channel.state.word(), "held": held,
                "blind_since": blind.map(Timestamp::as_secs), "round_at": round.map(Timestamp::as_secs),
                "history_waiting": import }));
        }
        let (silences, mut sides) = (Silences::new(stack.table()), Vec::new());
        for side in Side::ALL {
            let since = silences.since(side).await?;
            is_well &= since.is_none();
            words.extend(since.map(|at| {
                format!("{} has not answered since {}; it is tried every few seconds", side.word(), spelled(at))
            }));
            sides.push(json!({ "side": side.word(), "silent_since": since.map(Timestamp::as_secs) }));
        }
        let (open, breached) = erasures(&stack).await?;
        is_well &= breached == 0;
        words.push(format!("erasures: {open} open, {breached} past their days"));
        let json = json!({ "queues": queues, "numbers": numbers, "sides": sides, "erasures": { "open": open, "breached": breached } });
        let told = Told::new(json, words.join("\n"));
        Ok(if is_well { told } else { told.ending(Exit::SomethingWrong) })
    }
}

async fn erasures(stack: &Stack) -> anyhow::Result<(usize, usize)> {
    let ledger = ErasureLedger::new(stack.table());
    let codes = ledger.open_codes().await?;
    let mut breached = 0;
    for code in &codes {
        breached += usize::from(ledger.get(code).await?.is_some_and(|entry| entry.erasure.breached_at().is_some()));
    }
    Ok((codes.len(), breached))
}

/// What SQS counts in a queue, within about a minute.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Waits {
    pub(crate) visible: u64,
    pub(crate) in_hand: u64,
    pub(crate) delayed: u64,
}

impl Waits {
    pub(crate) async fn look(stack: &Stack, queue: &str) -> anyhow::Result<Self> {
        let url = stack.queue_url(queue).await?;
        let asked = stack.aws.sqs.get_queue_attributes().queue_url(url).attribute_names("All".into()).send().await;
        let asked = asked.map_err(|error| anyhow::anyhow!("{}", DisplayErrorContext(error)));
        let told = asked.with_context(|| format!("{queue} does not tell what it holds"))?;
        let count = |name: &str| {
            let attributes = told.attributes.iter().flatten();
            let found = attributes.into_iter().find(|(known, _)| known.as_str() == name);
            found.and_then(|(_, value)| value.parse().ok()).unwrap_or_default()
        };
        Ok(Self {
            visible: count("ApproximateNumberOfMessages"),
            in_hand: count("ApproximateNumberOfMessagesNotVisible"),
            delayed: count("ApproximateNumberOfMessagesDelayed"),
        })
    }

    pub(crate) fn all(self) -> u64 {
        self.visible + self.in_hand + self.delayed
    }
}
