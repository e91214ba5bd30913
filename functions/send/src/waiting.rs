//! Parts that wait: for Meta, for a file, for a number that cannot send. They are certainly not sent, and the agent hears of
//! it once.

use std::time::Duration;

use app::BridgeError;
use chatwoot::NewMessage;
use domain::{Part, Timestamp, channel::Hold, outgoing::Awaited, words::Line};
use platform::Metric;
use store::Entry;

use crate::{
    Looked, Send,
    dispatch::{FILE_MISSING, With},
    turn::Turn,
};

/// When the agent is told that sending waits.
const TELL_AFTER: Duration = Duration::from_secs(300);

/// How far the clocks of the two sides may be apart.
const UNSURE: Duration = Duration::from_secs(600);

impl Send {
    /// Certainly not sent, and to be tried again. The agent hears of it once it takes long.
    pub(crate) async fn wait(
        &self,
        with: &With<'_>,
        turn: &mut Turn,
        entry: &mut Entry,
        at: usize,
        after: Option<Duration>,
    ) -> Result<Looked, BridgeError> {
        let now = self.clients.clock.now();
        let since = self.hold(entry, at, Awaited::Meta).await?;
        if turn.told_to_wait_at.is_some() {
            return Ok(Looked::Waits { after, at_most: None });
        }
        let waited = now.since(since);
        if waited < TELL_AFTER {
            return Ok(Looked::Waits { after, at_most: Some(TELL_AFTER.saturating_sub(waited)) });
        }
        self.tell_to_wait(with, turn, since, &Line::SendingWaits.say(self.clients.locale)).await?;
        Ok(Looked::Waits { after, at_most: None })
    }

    /// The number cannot send: the part waits for it, and the agent hears of it at once.
    pub(crate) async fn hold_back(
        &self,
        with: &With<'_>,
        turn: &mut Turn,
        entry: &mut Entry,
        at: usize,
        hold: Hold,
    ) -> Result<Looked, BridgeError> {
        if !matches!(entry.outgoing.parts[at], Part::Waiting { .. }) {
            self.metrics.count(Metric::Held);
        }
        let waiting_since = self.hold(entry, at, Awaited::Meta).await?;
        // A note from before the number went down was about something else.
        if turn.told_to_wait_at.is_none_or(|told| hold.since().is_some_and(|since| told < since)) {
            let since = hold.since().unwrap_or(waiting_since);
            self.tell_to_wait(with, turn, since, &hold.say(self.clients.locale)).await?;
        }
        Ok(Looked::Held)
    }

    /// Why messages have to wait, if Meta refused one since the channel was last read for a reason that has a state of its own.
    pub(crate) async fn held_meanwhile(&self, with: &With<'_>) -> Result<Option<Hold>, BridgeError> {
        let channel = self.clients.channels.look_again(&with.channel.phone_number_id).await?;
        Ok(channel.and_then(|channel| channel.hold(self.clients.clock.now())))
    }

    /// The file is not there yet, which is nothing WhatsApp could be blamed for. The agent hears of that once it takes long.
    pub(crate) async fn wait_for_file(
        &self,
        with: &With<'_>,
        turn: &mut Turn,
        entry: &mut Entry,
        at: usize,
    ) -> Result<Looked, BridgeError> {
        let since = self.hold(entry, at, Awaited::File).await?;
        let waited = self.clients.clock.now().since(since);
        let told = turn.told_to_wait_at.is_some();
        if !told && waited >= TELL_AFTER {
            self.tell_to_wait(with, turn, since, &Line::FileAwaited.say(self.clients.locale)).await?;
        }
        // Then, and at the end of its time, the agent has to be told.
        let next = if told || waited >= TELL_AFTER { FILE_MISSING } else { TELL_AFTER };
        Ok(Looked::Waits { after: None, at_most: next.checked_sub(waited) })
    }

    /// Writes down that a part waits; gives since when. A file has a time of its own: a number that was down does not count.
    async fn hold(&self, entry: &mut Entry, at: usize, awaited: Awaited) -> Result<Timestamp, BridgeError> {
        let part = &entry.outgoing.parts[at];
        let since = match awaited {
            Awaited::Meta => part.waiting_since(),
            Awaited::File => part.without_file_since(),
        };
        let since = since.unwrap_or(self.clients.clock.now());
        let waiting = Part::Waiting { attempt: part.attempt(), since, awaited };
        if waiting != *part {
            self.put(entry, at, waiting).await?;
        }
        Ok(since)
    }

    /// One note, when trouble has lasted. It bears the time since when, by which it is found if its answer was lost.
    async fn tell_to_wait(
        &self,
        with: &With<'_>,
        turn: &mut Turn,
        since: Timestamp,
        content: &str,
    ) -> Result<(), BridgeError> {
        self.note(with, &format!("lmotos:wait:{}", since.as_millis()), since, content).await?;
        self.clients.conversations.told_to_wait(with.conversation).await?;
        turn.told_to_wait_at = Some(self.clients.clock.now());
        Ok(())
    }

    /// What waited has failed, as the message itself says: the next time is news again.
    pub(crate) async fn waited_in_vain(&self, with: &With<'_>, turn: &mut Turn) -> Result<(), BridgeError> {
        if turn.told_to_wait_at.take().is_some() {
            self.clients.conversations.waits_no_more(with.conversation).await?;
        }
        Ok(())
    }

    /// Something went out. If the agent had been told that it waits, they are told that it is over, once. What is out is out,
    /// whatever becomes of that.
    pub(crate) async fn goes_on(&self, with: &With<'_>, turn: &mut Turn, end: Line) {
        let Some(told_at) = turn.told_to_wait_at else { return };
        let source = format!("lmotos:goes-on:{}", told_at.as_millis());
        let content = end.say(self.clients.locale);
        let told = async {
            self.note(with, &source, told_at, &content).await?;
            Ok::<_, BridgeError>(self.clients.conversations.waits_no_more(with.conversation).await?)
        };
        match told.await {
            Ok(()) => turn.told_to_wait_at = None,
            Err(error) => tracing::warn!(%error, "an agent is told only later that sending goes on"),
        }
    }

    /// A private note, unless it is there already.
    async fn note(&self, with: &With<'_>, source: &str, since: Timestamp, content: &str) -> Result<(), BridgeError> {
        let conversation = with.conversation.conversation;
        let listed = with.chatwoot.messages(conversation, with.conversation.settled, since - UNSURE).await?;
        if !listed.iter().any(|listed| listed.source_id.as_deref() == Some(source)) {
            let note = NewMessage { content, private: true, source_id: Some(source), ..NewMessage::default() };
            with.chatwoot.create_message(conversation, note).await?;
        }
        Ok(())
    }
}
