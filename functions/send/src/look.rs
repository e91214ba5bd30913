//! One look at a conversation: what agents wrote since the last settled message, in order, against what the outbox knows.
//! Lost, doubled and swapped callbacks, and the Retry button, all come down to this.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use app::BridgeError;
use chatwoot::{Chatwoot, ChatwootError, listing::Listed};
use domain::{
    Channel, Locale, MessageId, Outcome, Outgoing, Part, Timestamp, outgoing::Nature, template::Fault, words::Trouble,
};
use platform::Metric;
use store::{Conversation, Entry, Found, Reach};

use crate::{
    Looked, Seen, Send, Task, brake as brakes,
    dispatch::With,
    plan::{self, plan},
    receipts::heard,
    repair::correct,
    template::Sort,
    turn::Turn,
};

/// An agent message first seen later than this is not sent by itself.
pub(crate) const LATE: Duration = Duration::from_secs(3600);

/// How far two machines' clocks may differ where a hint is weighed against a look.
const SKEW: Duration = Duration::from_millis(250);

/// A message may show up in the list after one with a higher id: its transaction took longer. What is younger than this is
/// looked at again.
const UNSETTLED: Duration = Duration::from_secs(600);

/// How long a failed message may be retried: Chatwoot offers it for a day.
pub(crate) const RETRIABLE: Duration = Duration::from_secs(25 * 3600);

/// How often the function may end without a word with the same message in hand.
const DEATHS: u32 = 3;

/// A message and its place in the outbox, if it has or needs one.
pub(crate) struct Row {
    pub(crate) message: Listed,
    pub(crate) entry: Option<Entry>,
    /// Whether the table does not know it like this yet.
    pub(crate) is_news: bool,
    /// Whether a later message has left: this one takes up nothing by itself any more.
    is_overtaken: bool,
}

impl Send {
    pub(crate) async fn look(&self, task: &Task<'_>) -> Result<Seen, BridgeError> {
        let hint = &task.hint;
        let Some(channel) = self.clients.channels.get(&hint.channel).await? else {
            tracing::error!(channel.id = %hint.channel, "a hint names a channel that does not exist");
            return Ok(Seen::all());
        };
        let channel = match channel.hold(self.clients.clock.now()) {
            // The number may be connected again since this was read.
            Some(_) => self.clients.channels.look_again(&hint.channel).await?.unwrap_or(channel),
            None => channel,
        };
        let known = self.clients.conversations.get(hint.account, hint.conversation).await?;
        let looked_at = known.as_ref().and_then(|known| known.looked_at);
        let only_looks = task.picked.is_empty() && hint.resolved_at.is_none();
        if only_looks && looked_at.is_some_and(|at| at > task.hinted_at + SKEW) {
            self.metrics.count(Metric::Coalesced);
            return Ok(Seen::all());
        }
        if known.is_none() && task.only_resolves {
            // Nothing of it was ever ours to tick.
            return Ok(Seen::all());
        }
        let chatwoot = self.clients.chatwoot(channel.account).await?;
        let (conversation, erased) = match known {
            Some(known) if known.customer.is_some() => {
                let erased = self.is_erased(channel.account, known.customer.as_ref(), None).await?;
                (known, erased)
            }
            known => match self.adopt(task, &chatwoot, &channel, known).await? {
                Some(adopted) => adopted,
                None => return Ok(Seen::all()),
            },
        };
        self.bring_up_to_date(task, &chatwoot, &channel, &conversation, erased).await
    }

    async fn bring_up_to_date(
        &self,
        task: &Task<'_>,
        chatwoot: &Chatwoot,
        channel: &Channel,
        conversation: &Conversation,
        erased: bool,
    ) -> Result<Seen, BridgeError> {
        let listed_at = self.clients.clock.now();
        let oldest = conversation.known_since - LATE;
        let listed = match chatwoot.messages(conversation.conversation, conversation.settled, oldest).await {
            Err(ChatwootError::Gone) => return Ok(Seen::all()),
            listed => listed?,
        };
        let listed = listed.into_iter().map(Listed::with_link).collect();
        // Read after the list: whatever the list shows of our own doing stands in the outbox by now.
        let mut rows = self.rows(task, conversation, listed, listed_at).await?;
        let mut customer = conversation.customer.as_ref();
        let mut thread = None;
        if let Some(known) = customer.filter(|_| rows.iter().any(Row::is_open)) {
            match self.clients.customers.reach(channel.account, known, &channel.phone_number_id).await? {
                Reach::At(found) => thread = Some(*found),
                Reach::Unheard => {}
                // The number was given to somebody else since, and nothing else leads to them.
                Reach::Lost => customer = None,
            }
        }
        let with = With {
            chatwoot,
            channel,
            conversation,
            customer,
            thread: thread.as_ref(),
            erased,
            until: task.batch.until,
        };
        self.link_surveys(task, &with, &mut rows).await?;
        let mut turn = Turn::begin(task, conversation);
        let mut untold = None;
        for at in 0..rows.len() {
            if brakes::is_one_too_many(&rows, at) {
                self.brake_row(&with, &mut rows[at]).await?;
            }
            let looked = self.row(task, &with, &mut turn, &mut rows[at], listed_at).await;
            if !matches!(looked, Ok(Looked::UpToDate)) {
                task.due.note(task, &with, &rows, listed_at);
                if let Err(error) = self.pass_on_commands(task, conversation, &rows, listed_at).await {
                    tracing::warn!(%error, "commands are passed on by the next look");
                }
                self.sort_last(&with, &mut rows[at + 1..]).await;
                self.register(&rows[at..]).await?;
                if let Err(error) = self.repair(task, &with, &rows, listed_at).await {
                    tracing::warn!(%error, "red messages that are none are mended by the next look");
                }
                // Whatever becomes of this hint, there will be another.
                self.clients
                    .rounds
                    .watch(&channel.phone_number_id, conversation.account, conversation.conversation)
                    .await?;
                return Ok(Seen { looked: looked?, needed: needed(task, &rows[at..]) });
            }
            // An agent who cannot be told must not stop what comes after.
            if let Err(error) = self.show_row(task, &with, &mut rows[at], listed_at).await {
                untold.get_or_insert(error);
            }
        }
        task.due.note(task, &with, &rows, listed_at);
        self.pass_on_commands(task, conversation, &rows, listed_at).await?;
        if untold.is_some() || rows.iter().any(|row| row.is_retriable(listed_at) || row.is_unfinished()) {
            self.clients
                .rounds
                .watch(&channel.phone_number_id, conversation.account, conversation.conversation)
                .await?;
        }
        self.repair(task, &with, &rows, listed_at).await?;
        if let Some(error) = untold {
            return Err(error);
        }
        let settled: Vec<_> = rows.iter().take_while(|row| row.is_settled(listed_at)).collect();
        let found = Found {
            settled: settled.last().map(|row| row.message.id),
            seen: rows.last().map(|row| row.message.id),
            heard: settled.iter().rev().find_map(|row| heard(&row.message)),
        };
        self.clients.conversations.looked(conversation, listed_at, &found).await?;
        Ok(Seen::all())
    }

    async fn row(
        &self,
        task: &Task<'_>,
        with: &With<'_>,
        turn: &mut Turn,
        row: &mut Row,
        listed_at: Timestamp,
    ) -> Result<Looked, BridgeError> {
        let Some(entry) = &mut row.entry else { return Ok(Looked::UpToDate) };
        if !row.message.is_for_customer() {
            return Ok(Looked::UpToDate);
        }
        let (sent, tagged) = (row.message.is_sent(), row.message.is_tagged());
        if entry.outgoing.is_retried(sent, tagged, listed_at) {
            let retried = |outgoing: &Outgoing| {
                let still = outgoing.is_retried(sent, tagged, listed_at);
                still.then(|| outgoing.clone().retried(self.clients.clock.now()))
            };
            *entry = self.clients.outbox.change(entry, retried).await?.unwrap_or_else(|| entry.clone());
        }
        let unquoted = entry.outgoing.quote.is_none() && entry.outgoing.is_untried();
        let may_go = entry.is_new() || entry.outgoing.next_part().is_some();
        if unquoted && may_go && row.message.quotes() != (None, None) {
            entry.outgoing.quote = self.quote(with, &row.message).await?;
        }
        if entry.is_new() && entry.outgoing.next_part().is_none() {
            // Written down first, or the mark would not be known as ours and Retry would have nothing to go by.
            let (Ok(known) | Err(known)) = self.clients.outbox.save(entry.clone()).await?;
            *entry = known;
        }
        let picked = match self.sort(task, with, &row.message, entry).await? {
            Sort::Later(after) => return Ok(Looked::Soon { after }),
            Sort::Untold => {
                let fault = if entry.outgoing.is_retried_untried() { Fault::MayBeOne } else { Fault::Untold };
                self.never(entry, Trouble::Template { fault }).await?;
                None
            }
            Sort::Plain => {
                // What is not sent now may turn out to be a template.
                if entry.outgoing.nature == Nature::Unsorted && entry.outgoing.next_part().is_some() {
                    entry.outgoing.nature = Nature::Plain;
                }
                None
            }
            Sort::Template(picked) => {
                // Also what a look before the callback refused as words, or for want of values.
                let young = picked.is_some() && !row.is_overtaken && is_young(task, &row.message, listed_at);
                entry.outgoing = entry.outgoing.clone().picked(young);
                picked
            }
        };
        if !self.asked_no_more(with, &row.message, entry).await? {
            // It would be sent and stay red. As it is, the agent's Retry sends it.
            self.never(entry, Trouble::Template { fault: Fault::Untold }).await?;
        }
        if !task.suspect || entry.outgoing.next_part().is_none() {
            return self.drive(with, turn, &row.message, picked.as_ref(), entry).await;
        }
        let sorted = entry.outgoing.nature;
        self.begin_suspect(entry).await?;
        if entry.outgoing.nature != sorted {
            // Somebody else wrote it down as something else.
            return Ok(Looked::Soon { after: Duration::from_secs(1) });
        }
        let looked = self.drive(with, turn, &row.message, picked.as_ref(), entry).await;
        self.acquit(entry).await?;
        looked
    }

    /// An earlier look may have died of this very message: it is counted, and at last given up in words, so that what comes after
    /// goes on.
    async fn begin_suspect(&self, entry: &mut Entry) -> Result<(), BridgeError> {
        let deaths = entry.outgoing.deaths;
        if deaths >= DEATHS {
            return self.give_up(entry).await;
        }
        let (Ok(known) | Err(known)) = self
            .clients
            .outbox
            .save(entry.clone().with(Outgoing { deaths: deaths + 1, ..entry.outgoing.clone() }))
            .await?;
        *entry = known;
        Ok(())
    }

    async fn acquit(&self, entry: &mut Entry) -> Result<(), BridgeError> {
        let alive = |outgoing: &Outgoing| (outgoing.deaths > 0).then(|| Outgoing { deaths: 0, ..outgoing.clone() });
        if let Some(changed) = self.clients.outbox.change(entry, alive).await? {
            *entry = changed;
        }
        Ok(())
    }

    async fn show_row(
        &self,
        task: &Task<'_>,
        with: &With<'_>,
        row: &mut Row,
        listed_at: Timestamp,
    ) -> Result<(), BridgeError> {
        let Some(entry) = row.entry.as_mut().filter(|_| row.message.is_for_customer()) else { return Ok(()) };
        self.show(with, &row.message, entry).await?;
        correct(self, task, with, &row.message, entry, listed_at).await
    }

    /// What the outbox knows of the listed messages, and new entries for agents' messages it does not know.
    async fn rows(
        &self,
        task: &Task<'_>,
        conversation: &Conversation,
        listed: Vec<Listed>,
        listed_at: Timestamp,
    ) -> Result<Vec<Row>, BridgeError> {
        let (account, id) = (conversation.account, conversation.conversation);
        let after = listed.first().map(|message| MessageId(message.id.0 - 1));
        let entries =
            if listed.is_empty() { Vec::new() } else { self.clients.outbox.after(account, id, after).await? };
        let left = entries.iter().filter(|entry| !entry.outgoing.is_untried()).map(|entry| entry.message).max();
        let mut entries: HashMap<MessageId, Entry> = entries.into_iter().map(|entry| (entry.message, entry)).collect();
        let locale = self.clients.locale;
        let row = |message: Listed| {
            let is_overtaken = left > Some(message.id);
            let known = entries.remove(&message.id);
            let before = known.as_ref().map(|known| known.outgoing.clone());
            let new = || {
                let written_at = message.created_at().unwrap_or(listed_at);
                // Agents' messages from before the bridge looked after the conversation are not ours to judge.
                let ours = message.is_for_customer() && written_at >= conversation.known_since - LATE;
                let outgoing = ours.then(|| {
                    first_sight(&message, task, locale, !task.saw_in_time(written_at, listed_at), listed_at)
                })?;
                Some(Entry::new(account, id, message.id, conversation.customer.clone(), outgoing))
            };
            let mut entry = known.or_else(new);
            if let Some(entry) = &mut entry {
                let young = !is_overtaken && is_young(task, &message, listed_at);
                entry.outgoing = told(task, &message, entry.outgoing.clone(), young);
            }
            let is_news = entry.as_ref().map(|entry| &entry.outgoing) != before.as_ref();
            Row { message, entry, is_news, is_overtaken }
        };
        Ok(listed.into_iter().map(row).collect())
    }

    /// Writes down what was seen but not reached, so that it does not count as late when its turn comes, and so that nothing
    /// callbacks told of it is asked for again.
    async fn register(&self, rows: &[Row]) -> Result<(), BridgeError> {
        for entry in rows.iter().filter(|row| row.is_news).filter_map(|row| row.entry.as_ref()) {
            // Somebody else's entry is as good.
            let _ = self.clients.outbox.save(entry.clone()).await?;
        }
        Ok(())
    }
}

impl Seen {
    /// There is nothing left to do.
    fn all() -> Self {
        Self { looked: Looked::UpToDate, needed: BTreeSet::new() }
    }
}

/// The templates that still have to go out.
fn needed(task: &Task<'_>, rows: &[Row]) -> BTreeSet<MessageId> {
    let waits = |row: &&Row| row.entry.as_ref().is_some_and(|entry| entry.outgoing.next_part().is_some());
    let picked = |id: &MessageId| task.picked.iter().any(|(picked, _)| picked == id);
    rows.iter().filter(waits).map(|row| row.message.id).filter(picked).collect()
}

/// Whether a message may still be sent by itself.
pub(crate) fn is_young(task: &Task<'_>, message: &Listed, now: Timestamp) -> bool {
    message.created_at().is_none_or(|at| task.saw_in_time(at, now))
}

/// The message as the callbacks of this batch tell of it: whether it is a template. `young`: what was given up may go out by itself.
fn told(task: &Task<'_>, message: &Listed, outgoing: Outgoing, young: bool) -> Outgoing {
    if task.picked.iter().any(|(id, _)| *id == message.id) {
        return outgoing.picked(young);
    }
    match outgoing.nature {
        Nature::Unsorted if task.messages.contains(&message.id) => outgoing.plain(young),
        Nature::Unsorted | Nature::Plain | Nature::Template => outgoing,
    }
}

fn first_sight(message: &Listed, task: &Task<'_>, locale: Locale, late: bool, now: Timestamp) -> Outgoing {
    let template = task.picked.iter().any(|(id, _)| *id == message.id);
    let parts = if template { 1 } else { plan(message, locale).len() };
    let mut outgoing = Outgoing::new(now, parts);
    if template {
        outgoing = outgoing.as_template();
    }
    let trouble = if parts == 0 { Some(plan::nothing(message)) } else { late.then_some(Trouble::SeenTooLate) };
    if let Some(trouble) = trouble {
        outgoing.parts[0] = Part::Failed { attempt: 0, trouble };
    }
    outgoing
}

impl Row {
    /// Whether something may have to be sent for it.
    pub(crate) fn is_open(&self) -> bool {
        self.message.is_for_customer() && self.entry.as_ref().is_some_and(|entry| !entry.outgoing.is_settled())
    }

    fn is_settled(&self, now: Timestamp) -> bool {
        let young = self.message.created_at().is_none_or(|at| now.since(at) < UNSETTLED);
        !young
            && !self.is_retriable(now)
            && self.entry.as_ref().is_none_or(|entry| !self.message.is_for_customer() || is_closed(entry))
    }

    /// Whether the agent does not see yet what became of it.
    fn is_unfinished(&self) -> bool {
        self.message.is_for_customer() && self.entry.as_ref().is_some_and(|entry| !is_closed(entry))
    }

    fn is_retriable(&self, now: Timestamp) -> bool {
        let Some(entry) = &self.entry else { return false };
        let troubled = matches!(entry.outgoing.outcome(), Outcome::Trouble { .. });
        troubled && self.message.is_for_customer() && now.since(entry.outgoing.shown_at) < RETRIABLE
    }
}

fn is_closed(entry: &Entry) -> bool {
    entry.outgoing.untold().is_none() && !matches!(entry.outgoing.outcome(), Outcome::Underway)
}
