//! Lists what waits: why, since when, until when, and the page to read.

use clap::Args;
use domain::{
    Channel, Part, Timestamp,
    channel::{ChannelState, SendHold},
    erasure::ErasureState,
};
use serde_json::json;
use store::{
    Channels, Conversations, ErasureLedger, Imports, OrphanStatuses, Outbox, PendingMedia, ReconcileCursor, Signups,
};

use super::{
    signup::shown,
    status::{QUEUES, Waits},
};
use crate::{
    output::{Column, List},
    session::Session,
    stack::Stack,
    told::{Told, spelled},
};

const COLUMNS: &[Column] = &[("what", 18), ("where", 24), ("since", 20), ("until", 20), ("why", 40)];

/// The command.
#[derive(Debug, Args)]
pub(crate) struct Stuck {}

/// Something that waits.
struct Wait {
    what: &'static str,
    at: String,
    why: String,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    page: &'static str,
}

impl Stuck {
    pub(crate) async fn run(&self, session: &Session) -> anyhow::Result<Told> {
        let stack = session.stack().await?;
        let mut list = session.output.list(COLUMNS);
        for channel in Channels::new(stack.table()).all().await? {
            number(&stack, &channel, &mut list).await?;
            messages(&stack, &channel, &mut list).await?;
            files(&stack, &channel, &mut list).await?;
        }
        erasures(&stack, &mut list).await?;
        signups(&stack, &mut list).await?;
        for queue in QUEUES {
            let dead = Waits::look(&stack, &format!("{queue}-dead-letters.fifo")).await?.all();
            if dead > 0 {
                let why = format!("{dead} could not be handled: `ops dead-letters list --queue {queue}`");
                show(&mut list, Wait::new("dead letters", queue, why, "docs/runbook/dead-letters.md"))?;
            }
        }
        list.end("nothing waits")
    }
}

/// Why nothing goes out over a number, if that is so.
pub(super) fn why_held(channel: &Channel, now: Timestamp) -> Option<&'static str> {
    Some(match channel.hold(now)? {
        SendHold::Paused => "paused by the operator",
        SendHold::Disconnected { .. } => "Meta does not let it send",
        SendHold::Restricted { .. } => "Meta forbids answers for a while",
    })
}

impl Wait {
    fn new(what: &'static str, at: impl Into<String>, why: impl Into<String>, page: &'static str) -> Self {
        Self { what, at: at.into(), why: why.into(), since: None, until: None, page }
    }
}

fn show(list: &mut List<'_>, wait: Wait) -> anyhow::Result<()> {
    let Wait { what, at, why, since, until, page } = wait;
    let json = json!({ "what": what, "where": at, "why": why, "since": since.map(Timestamp::as_secs),
        "until": until.map(Timestamp::as_secs), "page": page });
    let time = |at: Option<Timestamp>| at.map(spelled).unwrap_or_default();
    list.row(&json, &[what.to_owned(), at, time(since), time(until), why])
}

async fn number(stack: &Stack, channel: &Channel, list: &mut List<'_>) -> anyhow::Result<()> {
    let (number, now) = (channel.phone_number_id.to_string(), stack.clock().now());
    if let Some(why) = why_held(channel, now) {
        let until = match channel.state {
            ChannelState::Restricted { until, .. } => Some(until),
            _ => None,
        };
        let since = channel.hold(now).and_then(SendHold::since);
        let wait = Wait::new("number", &number, why, "docs/runbook/channel-down.md");
        show(list, Wait { since, until, ..wait })?;
    }
    if channel.paused_incoming {
        let why = "what customers write is held: `ops channel resume`";
        show(list, Wait::new("number", &number, why, "docs/runbook/waiting.md"))?;
    }
    if let Some(since) = ReconcileCursor::new(stack.table()).blind_since(&channel.phone_number_id).await? {
        let wait = Wait::new("Chatwoot", &number, "its list cannot be had", "docs/runbook/chatwoot-away.md");
        show(list, Wait { since: Some(since), ..wait })?;
    }
    let statuses = OrphanStatuses::new(stack.table()).count(&channel.phone_number_id).await?;
    if statuses > 0 {
        let why = format!("{statuses} tell of messages that are not known yet; each is dropped after a day");
        show(list, Wait::new("statuses", &number, why, "docs/runbook/balance.md"))?;
    }
    let import = Imports::new(stack.table()).progress(&channel.phone_number_id).await?;
    if let Some(import) = import.filter(|import| import.counts.waiting() > 0) {
        let why = format!("{} of {} messages are to come", import.counts.waiting(), import.counts.received);
        let wait = Wait::new("history", &number, why, "docs/runbook/waiting.md");
        show(list, Wait { since: Some(import.transfer.last_at), ..wait })?;
    }
    Ok(())
}

/// Agents' messages that are neither sent nor failed.
async fn messages(stack: &Stack, channel: &Channel, list: &mut List<'_>) -> anyhow::Result<()> {
    let (outbox, conversations) = (Outbox::new(stack.table()), Conversations::new(stack.table()));
    for (account, conversation) in ReconcileCursor::new(stack.table()).watched(&channel.phone_number_id).await? {
        let Some(known) = conversations.get(account, conversation).await? else { continue };
        for entry in outbox.after(account, conversation, known.settled).await? {
            let Some((why, since, page)) = entry.outgoing.parts().iter().find_map(waits) else { continue };
            let at = format!("conversation {conversation}, message {}", entry.message);
            let since = since.unwrap_or(entry.outgoing.asked_at());
            show(list, Wait { since: Some(since), ..Wait::new("message", at, why, page) })?;
        }
    }
    Ok(())
}

/// Why a part waits, since when, and the page; nothing if it does not.
fn waits(part: &Part) -> Option<(&'static str, Option<Timestamp>, &'static str)> {
    use domain::outgoing::Awaited;
    match part {
        Part::Planned { .. } => Some(("its turn, or what is before it", None, "docs/runbook/waiting.md")),
        Part::Sending { since, .. } => Some(("its call has not ended", *since, "docs/runbook/waiting.md")),
        Part::Waiting { since, awaited, .. } => Some((
            match awaited {
                Awaited::Meta => "Meta did not take it; tried again by itself",
                Awaited::File => "Chatwoot did not give its file; tried again by itself",
                Awaited::Upload => "Meta did not take its file; tried again by itself",
            },
            Some(*since),
            "docs/runbook/waiting.md",
        )),
        Part::Uncertain { .. } => Some(("it may have been sent; the agent decides", None, "docs/runbook/uncertain.md")),
        Part::Accepted { .. } | Part::Failed { .. } => None,
    }
}

async fn files(stack: &Stack, channel: &Channel, list: &mut List<'_>) -> anyhow::Result<()> {
    for file in PendingMedia::new(stack.table()).all(&channel.phone_number_id).await? {
        let at = format!("conversation {}, message {}", file.conversation, file.placeholder);
        let why = format!("Meta did not give it, {} times; asked for again", file.tries);
        let wait = Wait::new("file", at, why, "docs/runbook/files-missing.md");
        show(list, Wait { since: Some(file.sent_at), until: Some(file.next_at), ..wait })?;
    }
    Ok(())
}

async fn erasures(stack: &Stack, list: &mut List<'_>) -> anyhow::Result<()> {
    let ledger = ErasureLedger::new(stack.table());
    for code in ledger.open_codes().await? {
        let Some(entry) = ledger.get(&code).await? else { continue };
        let (why, since, until) = match entry.erasure.state() {
            ErasureState::Received { until } => ("it can still be withdrawn".to_owned(), None, Some(until)),
            ErasureState::Waiting { location, since, wake_at, .. }
            | ErasureState::Failed { location, since, wake_at, .. } => {
                (format!("{} does not take it, or is not empty", location.word()), Some(since), Some(wake_at))
            }
            ErasureState::Confirmed { .. }
            | ErasureState::Erasing { .. }
            | ErasureState::Done { .. }
            | ErasureState::Withdrawn { .. } => continue,
        };
        let wait = Wait::new("erasure", code.to_string(), why, "docs/runbook/erasure.md");
        show(list, Wait { since, until, ..wait })?;
    }
    Ok(())
}

async fn signups(stack: &Stack, list: &mut List<'_>) -> anyhow::Result<()> {
    for signup in Signups::new(stack.table()).all().await? {
        let shown = shown(&signup, stack.clock().now());
        if let Some(why) = shown["reason"].as_str().filter(|_| signup.is_underway()) {
            show(list, Wait::new("signup", signup.id.to_string(), why, "docs/runbook/signup.md"))?;
        }
    }
    Ok(())
}
