//! What the customer sees of an agent who reads and types: blue ticks once there is an answer, or nothing more to answer, and
//! that somebody is typing. Niceties: each is tried once and briefly, after all messages, and what fails is no error.

use std::{
    sync::{Mutex, PoisonError, atomic::Ordering},
    time::Duration,
};

use bridge::BridgeError;
use chatwoot::listing::Listed;
use domain::{Channel, Class, Classify as _, MessageId, Part, Timestamp, Typing, Wamid, window};
use futures_util::future::join_all;
use store::{Conversation, Heard};
use tokio::time::{Instant, timeout, timeout_at};

use crate::{Send, Task, dispatch::With, look::Row};

/// What all ticks of a batch together may take: the next messages of a conversation wait behind them.
const TICKS: Duration = Duration::from_secs(2);

/// What looking for what to tick may take, where somebody types.
const TYPING: Duration = Duration::from_secs(5);

/// Meta shows typing for 25 s; one that is told of later than this may have ended long ago.
const STALE: Duration = Duration::from_secs(20);

/// After a call that was not answered in time none is made for so long.
const REST: Duration = Duration::from_secs(60);

/// Ticks that are due.
#[derive(Debug, Default)]
pub(crate) struct Due(Mutex<Vec<Tick>>);

#[derive(Debug)]
struct Tick {
    channel: Channel,
    conversation: Conversation,
    message: MessageId,
    wamid: Wamid,
}

impl Due {
    /// Notes what a look found worth ticking: what the customer had written before an answer that is out, or before the
    /// conversation was resolved.
    pub(crate) fn note(&self, task: &Task<'_>, with: &With<'_>, rows: &[Row], now: Timestamp) {
        if !with.channel.shows_read(now) {
            return;
        }
        let out = |row: &&Row| row.message.is_answer() && row.parts().iter().any(|part| part.wamid().is_some());
        let answer = rows.iter().rev().find(out).map(|row| row.message.id);
        let resolved_at = task.hint.resolved_at;
        if answer.is_none() && resolved_at.is_none() {
            return;
        }
        let seen = |heard: &Heard| {
            answer.is_some_and(|answer| heard.message < answer) || resolved_at.is_some_and(|at| heard.at <= at)
        };
        let listed = rows.iter().rev().filter_map(|row| heard(&row.message));
        let last = listed.chain(with.conversation.heard.clone()).find(seen);
        let Some(last) = last.filter(|last| with.conversation.ticked < Some(last.message)) else { return };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Tick {
            channel: with.channel.clone(),
            conversation: with.conversation.clone(),
            message: last.message,
            wamid: last.wamid,
        });
    }

    fn take(self) -> Vec<Tick> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the customer said with a message, if Meta has an id of it.
pub(crate) fn heard(message: &Listed) -> Option<Heard> {
    Some(Heard { message: message.id, wamid: message.heard()?, at: message.created_at()? })
}

impl Send {
    /// Ticks what is due, all at once.
    pub(crate) async fn tick(&self, due: Due, until: Instant) {
        let ticks = due.take();
        let until = until.min(Instant::now() + TICKS);
        let all = join_all(ticks.iter().map(|due| async {
            self.mark_read(&due.channel, &due.conversation, due.message, &due.wamid, false).await;
        }));
        if timeout_at(until, all).await.is_err() {
            self.rest();
        }
    }

    /// Shows that an agent is typing, unless it is too late for that or the customer has nothing unanswered to look at.
    pub(crate) async fn typing(&self, typing: &Typing) {
        match timeout(TYPING, self.show_typing(typing)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::info!(%error, "that an agent is typing was not shown"),
            Err(_) => self.rest(),
        }
    }

    async fn show_typing(&self, typing: &Typing) -> Result<(), BridgeError> {
        let now = self.clients.clock.now();
        let channel = self.clients.channels.get(&typing.channel).await?;
        let Some(channel) = channel.filter(|channel| channel.shows_typing(now)) else { return Ok(()) };
        if now.since(typing.at) > STALE || self.rests(now) {
            return Ok(());
        }
        let known = self.clients.conversations.get(typing.account, typing.conversation).await?;
        let Some(conversation) = known.filter(|known| known.channel == channel.phone_number_id) else { return Ok(()) };
        let chatwoot = self.clients.chatwoot(channel.account).await?;
        // The newest page is enough; what is older is in the table.
        let listed = chatwoot.messages(typing.conversation, None, now).await?;
        let written_since = |message: &Listed| {
            message.is_for_customer() && message.created_at().is_some_and(|at| at.as_secs() >= typing.at.as_secs())
        };
        if listed.iter().any(written_since) {
            return Ok(());
        }
        let last = listed.iter().rev().find_map(heard).or(conversation.heard.clone());
        // Where nothing may be written any more, nothing is about to come.
        let Some(last) = last.filter(|last| now.since(last.at) < window::OPEN_FOR) else { return Ok(()) };
        self.mark_read(&channel, &conversation, last.message, &last.wamid, true).await;
        Ok(())
    }

    /// One call, and a note that it was made whatever came of it: the next answer ticks this message, too.
    async fn mark_read(
        &self,
        channel: &Channel,
        conversation: &Conversation,
        message: MessageId,
        wamid: &Wamid,
        typing: bool,
    ) {
        if self.rests(self.clients.clock.now()) {
            return;
        }
        let Ok(token) = self.clients.token(channel).await else { return };
        if let Err(error) = self.clients.graph.mark_read(&channel.phone_number_id, &token, wamid, typing).await {
            tracing::info!(%error, channel.id = %channel.phone_number_id, "a message was not shown as read");
            if matches!(error.class(), Class::Transient { .. }) {
                self.rest();
            }
        }
        if conversation.ticked < Some(message)
            && let Err(error) = self.clients.conversations.ticked(conversation, message).await
        {
            tracing::info!(%error, "a tick was not noted; it is made once more");
        }
    }

    fn rest(&self) {
        let until = self.clients.clock.now() + REST;
        self.receipts_rest_until.store(until.as_millis(), Ordering::Relaxed);
    }

    fn rests(&self, now: Timestamp) -> bool {
        now.as_millis() < self.receipts_rest_until.load(Ordering::Relaxed)
    }
}

impl Row {
    fn parts(&self) -> &[Part] {
        self.entry.as_ref().map_or(&[], |entry| &entry.outgoing.parts)
    }
}
