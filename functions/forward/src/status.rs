//! Statuses: how far our messages came. They come in any order, twice, and before the send result is stored; the end is the
//! same. A status that carries our reference settles a send nobody heard back from.

use bridge::{BridgeError, tell};
use domain::{
    AccountId, Author, ConversationId, Delivery, Hint, MessageId, OutboundTask, Outcome, Outgoing, Part, Reference,
    StatusUpdate,
};
use platform::Metric;
use queue::Letter;
use store::{Entry, Fate, Link, Met};

use crate::Forward;

/// The part of a message that a status is about.
struct About {
    account: AccountId,
    conversation: ConversationId,
    message: MessageId,
    part: usize,
    attempt: Option<u32>,
}

impl Forward {
    pub(crate) async fn status(&self, status: &StatusUpdate) -> Result<(), BridgeError> {
        let channel = status.channel.as_str();
        let Some(known) = self.clients.channels.get(&status.channel).await? else {
            tracing::warn!(channel.id = channel, "a status came for a number that is not ours");
            self.clients.counters.count(channel, &status.item, Fate::Refused("unknown_channel")).await?;
            return Ok(());
        };
        let news = match self.about(status, known.account).await? {
            Some(about) => self.apply(status, &about).await?,
            // Kept for a day; whoever stores the message will find it.
            None => true,
        };
        let fate = if news { Fate::Done } else { Fate::Duplicate };
        if !news {
            self.metrics.count(Metric::Duplicate);
        }
        self.clients.counters.count(channel, &status.item, fate).await?;
        Ok(())
    }

    async fn about(&self, status: &StatusUpdate, account: AccountId) -> Result<Option<About>, BridgeError> {
        let reference = status.reference.as_deref().and_then(Reference::parse).filter(|r| r.account == account);
        if let Some(Reference { account, conversation, message, part, attempt }) = reference
            && self.clients.outbox.get(account, conversation, message).await?.is_some()
        {
            return Ok(Some(About { account, conversation, message, part, attempt: Some(attempt) }));
        }
        match self.clients.links.met(&status.id, status.delivery).await? {
            Met::Known(link) => Ok(link.part.map(|(part, attempt)| About {
                account: link.account,
                conversation: link.conversation,
                message: link.message,
                part,
                attempt: Some(attempt),
            })),
            Met::Unknown => Ok(None),
        }
    }

    /// Moves the part forward and tells the agent. Tells whether that was news.
    async fn apply(&self, status: &StatusUpdate, about: &About) -> Result<bool, BridgeError> {
        let Some((entry, news)) = self.move_forward(status, about).await? else { return Ok(false) };
        let chatwoot = self.clients.chatwoot(about.account).await?;
        let told = tell(&self.clients, &chatwoot, &entry).await?;
        if news {
            self.learn(status, &entry).await?;
        }
        if let Outcome::Trouble { .. } = entry.outgoing.outcome() {
            // The agent may press Retry from now on, and that callback may be lost.
            self.clients.rounds.watch(&status.channel, about.account, about.conversation).await?;
        }
        // Also when this is no news: whoever wrote the news down may not have lived to give the hint.
        if entry.outgoing.next_part().is_some() {
            self.hint(status, about).await?;
        }
        Ok(news || told.is_some())
    }

    async fn move_forward(&self, status: &StatusUpdate, about: &About) -> Result<Option<(Entry, bool)>, BridgeError> {
        let outbox = &self.clients.outbox;
        let mut entry = outbox.get(about.account, about.conversation, about.message).await?;
        for _ in 0..8 {
            let Some(current) = entry else { return Ok(None) };
            let Some(part) = current.outgoing.parts.get(about.part) else { return Ok(None) };
            let reported = part.reported(about.attempt, &status.id, status.delivery);
            if reported == *part {
                return Ok(Some((current, false)));
            }
            let link = link(&current, about, &reported, part);
            let mut outgoing: Outgoing = current.outgoing.clone();
            outgoing.parts[about.part] = reported;
            let link = link.as_ref().map(|link| (&self.clients.links, link));
            match outbox.save_linked(current.with(outgoing), link).await? {
                Ok(saved) => return Ok(Some((saved, true))),
                Err(theirs) => entry = Some(theirs),
            }
        }
        Err(store::StoreError::Contended.into())
    }

    /// An uncertain part held up those behind it; now they can go.
    async fn hint(&self, status: &StatusUpdate, about: &About) -> Result<(), BridgeError> {
        let task = OutboundTask::HintV1(Hint {
            channel: status.channel.clone(),
            account: about.account,
            conversation: about.conversation,
            template: None,
        });
        self.outbound.send(Letter::new(task.group(), status.item.as_str(), &task)?).await?;
        Ok(())
    }
}

/// The status is the first to say under which id Meta has the part: from now on quotes and statuses may go by it.
fn link(entry: &Entry, about: &About, reported: &Part, before: &Part) -> Option<Link> {
    let Part::Accepted { wamid, attempt, .. } = reported else { return None };
    if matches!(before, Part::Accepted { .. }) {
        return None;
    }
    Some(Link {
        wamid: wamid.clone(),
        customer: entry.customer.clone()?,
        account: about.account,
        conversation: about.conversation,
        message: about.message,
        author: Author::Business,
        part: Some((about.part, *attempt)),
        early: None::<Delivery>,
    })
}
