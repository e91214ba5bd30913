//! One look at a conversation: what agents wrote since the last settled message, in order, against what the outbox knows.
//! Lost, doubled and swapped callbacks, and the Retry button, all come down to this.

use std::{collections::HashMap, time::Duration};

use bridge::{BridgeError, tell};
use chatwoot::{Chatwoot, ChatwootError, Party, listing::Listed};
use domain::{
    Channel, ConversationId, CustomerId, Identity, Locale, MessageId, Outcome, Outgoing, Part, Timestamp, WaId,
    outgoing::{Mark, Nature},
    pacing::Pair,
    words::Trouble,
};
use platform::Metric;
use store::{Conversation, Entry, Found, Reach};

use crate::{
    Looked, Send, Task,
    dispatch::With,
    plan::{self, plan},
    receipts::heard,
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
const RETRIABLE: Duration = Duration::from_secs(25 * 3600);

/// How often the function may end without a word with the same message in hand.
const DEATHS: u32 = 3;

/// A message and its place in the outbox, if it has or needs one.
pub(crate) struct Row {
    pub(crate) message: Listed,
    pub(crate) entry: Option<Entry>,
}

impl Send {
    pub(crate) async fn look(&self, task: &Task<'_>) -> Result<Looked, BridgeError> {
        let hint = &task.hint;
        let Some(channel) = self.clients.channels.get(&hint.channel).await? else {
            tracing::error!(channel.id = %hint.channel, "a hint names a channel that does not exist");
            return Ok(Looked::UpToDate);
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
            return Ok(Looked::UpToDate);
        }
        let chatwoot = self.clients.chatwoot(channel.account).await?;
        let (conversation, erased) = match known {
            Some(known) if known.customer.is_some() => {
                let erased = self.is_erased(known.customer.as_ref(), None).await?;
                (known, erased)
            }
            known => match self.adopt(task, &chatwoot, &channel, known).await? {
                Some(adopted) => adopted,
                None => return Ok(Looked::UpToDate),
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
    ) -> Result<Looked, BridgeError> {
        let listed_at = self.clients.clock.now();
        let oldest = conversation.known_since - LATE;
        let listed = match chatwoot.messages(conversation.conversation, conversation.settled, oldest).await {
            Err(ChatwootError::Gone) => return Ok(Looked::UpToDate),
            listed => listed?,
        };
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
        let with =
            With { chatwoot, channel, conversation, customer, thread: thread.as_ref(), erased, until: task.until };
        let mut turn = Turn::begin(task, conversation);
        let mut untold = None;
        for at in 0..rows.len() {
            let looked = self.row(task, &with, &mut turn, &mut rows[at], listed_at).await;
            if !matches!(looked, Ok(Looked::UpToDate)) {
                task.due.note(task, &with, &rows, listed_at);
                if let Err(error) = self.pass_on_commands(task, conversation, &rows, listed_at).await {
                    tracing::warn!(%error, "commands are passed on by the next look");
                }
                self.register(&rows[at..]).await?;
                // Whatever becomes of this hint, there will be another.
                self.clients
                    .rounds
                    .watch(&channel.phone_number_id, conversation.account, conversation.conversation)
                    .await?;
                return looked;
            }
            // An agent who cannot be told must not stop what comes after.
            if let Err(error) = self.show_row(&with, &mut rows[at], listed_at).await {
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
        Ok(Looked::UpToDate)
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
        if entry.outgoing.is_retried(row.message.is_sent(), listed_at) {
            let retried = |outgoing: &Outgoing| {
                outgoing.is_retried(true, listed_at).then(|| outgoing.clone().retried(self.clients.clock.now()))
            };
            let changed = self.clients.outbox.change(entry.account, entry.conversation, entry.message, retried).await?;
            *entry = changed.unwrap_or_else(|| entry.clone());
        }
        if entry.is_new() && row.message.quotes() != (None, None) {
            entry.outgoing.quote = self.quote(with, &row.message).await?;
        }
        if entry.is_new() && entry.outgoing.next_part().is_none() {
            // Written down first, or the mark would not be known as ours and Retry would have nothing to go by.
            let (Ok(known) | Err(known)) = self.clients.outbox.save(entry.clone()).await?;
            *entry = known;
        }
        let picked = match self.sort(task, with, &row.message, entry).await? {
            Sort::Later(after) => return Ok(Looked::Soon { after }),
            Sort::Plain => {
                if entry.outgoing.nature == Nature::Unsorted {
                    entry.outgoing.nature = Nature::Plain;
                }
                None
            }
            Sort::Template(picked) => {
                // Also what a look before the callback refused as words.
                if entry.outgoing.nature != Nature::Template && entry.outgoing.is_untried() {
                    entry.outgoing = entry.outgoing.clone().as_template();
                }
                picked
            }
        };
        if !task.suspect || entry.outgoing.next_part().is_none() {
            return self.drive(with, turn, &row.message, picked.as_ref(), entry).await;
        }
        self.begin_suspect(entry).await?;
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
        let changed = self.clients.outbox.change(entry.account, entry.conversation, entry.message, alive).await?;
        if let Some(changed) = changed {
            *entry = changed;
        }
        Ok(())
    }

    async fn show_row(&self, with: &With<'_>, row: &mut Row, listed_at: Timestamp) -> Result<(), BridgeError> {
        let Some(entry) = row.entry.as_mut().filter(|_| row.message.is_for_customer()) else { return Ok(()) };
        self.show(with, entry).await?;
        correct(self, with, &row.message, entry, listed_at).await
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
        let mut entries: HashMap<MessageId, Entry> = entries.into_iter().map(|entry| (entry.message, entry)).collect();
        let locale = self.clients.locale;
        let row = |message: Listed| {
            let known = entries.remove(&message.id);
            let new = || {
                let written_at = message.created_at().unwrap_or(listed_at);
                // Agents' messages from before the bridge looked after the conversation are not ours to judge.
                let ours = message.is_for_customer() && written_at >= conversation.known_since - LATE;
                let outgoing =
                    ours.then(|| first_sight(&message, task, locale, listed_at.since(written_at), listed_at))?;
                Some(Entry::new(account, id, message.id, conversation.customer.clone(), outgoing))
            };
            let entry = known.or_else(new);
            Row { message, entry }
        };
        Ok(listed.into_iter().map(row).collect())
    }

    /// Writes down what was seen but not reached, so that it does not count as late when its turn comes.
    async fn register(&self, rows: &[Row]) -> Result<(), BridgeError> {
        for entry in rows.iter().filter_map(|row| row.entry.as_ref()).filter(|entry| entry.is_new()) {
            // Somebody else's entry is as good.
            let _ = self.clients.outbox.save(entry.clone()).await?;
        }
        Ok(())
    }

    /// Meets a conversation the bridge did not make: begun by an agent, merged, or older than the bridge. It is resolved by
    /// our own id, then the phone; never by guessing.
    pub(crate) async fn adopt(
        &self,
        task: &Task<'_>,
        chatwoot: &Chatwoot,
        channel: &Channel,
        known: Option<Conversation>,
    ) -> Result<Option<(Conversation, bool)>, BridgeError> {
        let Some(party) = chatwoot.party(task.hint.conversation).await? else { return Ok(None) };
        if party.inbox.is_some_and(|inbox| inbox != channel.inbox) {
            tracing::warn!(channel.id = %channel.phone_number_id, "a hint names a conversation of another inbox");
            return Ok(None);
        }
        let (customer, erased) = self.customer(channel, task.hint.conversation, &party).await?;
        let now = self.clients.clock.now();
        let known = known.unwrap_or(Conversation {
            account: task.hint.account,
            conversation: task.hint.conversation,
            channel: channel.phone_number_id.clone(),
            customer: None,
            // As far as the bridge has been looking after the channel, what agents wrote is ours to send, or to say why not.
            known_since: channel.since.unwrap_or(now).max(now - RETRIABLE),
            settled: None,
            looked_at: None,
            told_to_wait_at: None,
            pair: Pair::default(),
            seen: None,
            heard: None,
            ticked: None,
            resolved_at: None,
        });
        let adopted = Conversation { customer, ..known };
        self.clients.conversations.adopt(&adopted).await?;
        Ok(Some((adopted, erased)))
    }

    /// Whose conversation it is, and whether they are being erased, or were, and have not written again since.
    async fn customer(
        &self,
        channel: &Channel,
        conversation: ConversationId,
        party: &Party,
    ) -> Result<(Option<CustomerId>, bool), BridgeError> {
        let customers = &self.clients.customers;
        let known = self.known(channel, party).await?;
        let erased = self.is_erased(known.as_ref(), party.contact.as_ref()).await?;
        let contact = party.contact.as_ref().filter(|_| known.is_none() && !erased);
        let Some((contact, phone)) = contact.and_then(|contact| Some((contact, contact.phone_number.as_deref()?)))
        else {
            return Ok((known, erased));
        };
        // Nobody we know: an agent begins. What they answer belongs into this conversation.
        let identity = by_phone(phone);
        let customer = customers.identify(channel.account, &identity, self.clients.clock.now()).await?;
        customers.touch(&customer, &channel.phone_number_id, &identity, None, None).await?;
        self.clients.conversations.bind(customers, &customer, channel, contact.id, conversation).await?;
        Ok((Some(customer), false))
    }

    async fn known(&self, channel: &Channel, party: &Party) -> Result<Option<CustomerId>, BridgeError> {
        let customers = &self.clients.customers;
        let Some(contact) = &party.contact else { return Ok(None) };
        for id in [&party.source_id, &contact.identifier].into_iter().flatten() {
            let customer = CustomerId::new(id);
            if customers.is_ours(&customer).await? {
                return Ok(Some(customer));
            }
        }
        let Some(phone) = &contact.phone_number else { return Ok(None) };
        Ok(customers.find(channel.account, &by_phone(phone)).await?)
    }
}

fn by_phone(phone: &str) -> Identity {
    Identity { phone: Some(WaId::new(phone.trim_start_matches('+'))), ..Identity::default() }
}

/// A failed callback of Chatwoot's marks a message failed that is with the customer, or puts its own words over ours; the
/// truth goes back onto it.
async fn correct(
    send: &Send,
    with: &With<'_>,
    message: &Listed,
    entry: &mut Entry,
    listed_at: Timestamp,
) -> Result<(), BridgeError> {
    let marked_since = entry.outgoing.shown_at > listed_at;
    let parts = entry.outgoing.parts.len();
    let (wrong, shown) = match entry.outgoing.outcome() {
        Outcome::Underway => (false, Mark::Sent),
        Outcome::Out(_) => (true, Mark::Failed),
        Outcome::Trouble { trouble, accepted } => {
            let ours = trouble.say_partly(send.clients.locale, accepted, parts);
            (message.error().is_some_and(|words| words != ours), Mark::Sent)
        }
    };
    if message.is_failed() && wrong && !marked_since {
        let wrongly_shown = Outgoing { shown, ..entry.outgoing.clone() };
        if let Some(told) = tell(&send.clients, with.chatwoot, &entry.clone().with(wrongly_shown)).await? {
            *entry = told;
        }
    }
    Ok(())
}

fn first_sight(message: &Listed, task: &Task<'_>, locale: Locale, late: Duration, now: Timestamp) -> Outgoing {
    let template = task.picked.iter().any(|(id, _)| *id == message.id);
    let parts = if template { 1 } else { plan(message, locale).len() };
    let mut outgoing = Outgoing::new(now, parts);
    if template {
        outgoing = outgoing.as_template();
    }
    let trouble = if parts == 0 { Some(plan::nothing(message)) } else { (late > LATE).then_some(Trouble::SeenTooLate) };
    if let Some(trouble) = trouble {
        outgoing.parts[0] = Part::Failed { attempt: 0, trouble };
    }
    outgoing
}

impl Row {
    /// Whether something may have to be sent for it.
    fn is_open(&self) -> bool {
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
