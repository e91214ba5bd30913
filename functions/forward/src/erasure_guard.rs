//! Keeps an erased person's data from coming back. What was sent before the erasure is dropped, whichever way it comes
//! again. What is newer waits until the erasure is over, and then starts clean.

use std::{borrow::Cow, collections::BTreeMap, time::Duration};

use app::HandlerError;
use domain::{
    AccountId, Author, ConfirmationCode, Content, DrainMarker, Erasure, Identity, InboundTask, KeyedHash, Message,
    PhoneNumberId, RefusalReason, StatusUpdate, Timestamp,
    erasure::RequestSource,
    keyed_hash::{Person, WorkItem},
    mention,
    task::{AccountNotice, NoticeSubject},
};
use queue::{Record, Verdict};
use store::{ErasureCheck, ItemOutcome, ResolvedAliases, Tombstone};
use texts::deletion::{ErasureIntent, erasure_intent};

use crate::{Handler, attempt::Attempt};

/// How long a newer item waits for the end of an erasure. A queue silently drops what is older than 14 days.
const ERASURE_MAX_WAIT: Duration = Duration::from_secs(12 * 86_400);

/// The queue's name in the erasure's records.
const QUEUE_NAME: &str = "inbound";

/// A task the erasure guard has let in. Only the guard makes one.
pub(crate) struct Admitted<'a, T> {
    pub(crate) record: &'a Record,
    pub(crate) task: &'a T,
    /// The aliases that were read to decide.
    pub(crate) aliases: Option<ResolvedAliases>,
    _by_the_guard: (),
}

/// Decides whether a task may come in. A task newer than an erasure underway gives an error that makes it wait.
#[derive(Clone, Copy)]
pub(crate) struct ErasureGuard<'a> {
    pub(crate) handler: &'a Handler,
    pub(crate) record: &'a Record,
}

/// A drain marker came out of its message group: everything older in it is gone.
pub(crate) async fn drain_marker(handler: &Handler, marker: &DrainMarker) -> Verdict {
    match handler.clients.erasures.drain_marker_is_out(&marker.code, QUEUE_NAME, &marker.group).await {
        Ok(()) => Verdict::Done,
        Err(error) => {
            tracing::warn!(%error, "drain marker deferred");
            Verdict::Retry { after: None }
        }
    }
}

impl<'a> ErasureGuard<'a> {
    pub(crate) async fn message(self, message: &'a Message) -> Result<Option<Admitted<'a, Message>>, HandlerError> {
        let (check, aliases) = self.check_message(message).await?;
        self.admit(check, &message.channel, &message.item, message, aliases).await
    }

    pub(crate) async fn status(
        self,
        status: &'a StatusUpdate,
    ) -> Result<Option<Admitted<'a, StatusUpdate>>, HandlerError> {
        let (check, aliases) = self.check_status(status).await?;
        self.admit(check, &status.channel, &status.item, status, aliases).await
    }

    async fn admit<T>(
        self,
        check: ErasureCheck,
        channel: &PhoneNumberId,
        item: &KeyedHash<WorkItem>,
        task: &'a T,
        aliases: Option<ResolvedAliases>,
    ) -> Result<Option<Admitted<'a, T>>, HandlerError> {
        let Self { handler, record } = self;
        match check {
            ErasureCheck::No => return Ok(Some(Admitted { record, task, aliases, _by_the_guard: () })),
            ErasureCheck::Erased(code) => self.drop_erased(channel.as_str(), item, &code).await?,
            ErasureCheck::NotYet(code) => {
                // What was before this task in its group is gone; the drain marker may be behind it.
                handler.clients.erasures.drain_marker_is_out(&code, QUEUE_NAME, &record.group.as_str().into()).await?;
                if handler.clients.clock.now().since(record.sent_at) < ERASURE_MAX_WAIT {
                    return Err(HandlerError::Erasing);
                }
                if let Some(attempt) = Attempt::claim(handler, record, channel.as_str(), item).await? {
                    attempt.write_dead_letter(RefusalReason::ErasureTakesTooLong).await?;
                }
            }
        }
        Ok(None)
    }

    /// In a WhatsApp group two are checked: the group, and who spoke. What an erased person writes there anew makes no
    /// customer of them, and must not keep the group waiting.
    async fn check_message(&self, message: &Message) -> Result<(ErasureCheck, Option<ResolvedAliases>), HandlerError> {
        let (check, aliases) = self.check_person(&message.channel, &message.customer, message.sent_at).await?;
        if !matches!(check, ErasureCheck::Erased(_))
            && let Some(code) = self.confirmed_by(message).await?
        {
            return Ok((ErasureCheck::Erased(code), None));
        }
        let (ErasureCheck::No, Some(speaker)) = (&check, message.speaker()) else { return Ok((check, aliases)) };
        let (of_speaker, _) = self.check_person(&message.channel, &speaker, message.sent_at).await?;
        let check = match of_speaker {
            erased @ ErasureCheck::Erased(_) => erased,
            ErasureCheck::No | ErasureCheck::NotYet(_) => ErasureCheck::No,
        };
        Ok((check, aliases))
    }

    /// Gives the erasure this very message confirmed, if an earlier attempt got so far: the message belonged to what is
    /// erased.
    async fn confirmed_by(&self, message: &Message) -> Result<Option<ConfirmationCode>, HandlerError> {
        let Content::Text { body, .. } = &message.content else { return Ok(None) };
        if message.author != Author::Customer
            || !matches!(erasure_intent(body), Some(ErasureIntent::Confirm | ErasureIntent::Yes))
        {
            return Ok(None);
        }
        let account = self.account_of(&message.channel).await?;
        let clients = &self.handler.clients;
        let aliases = message.customer.aliases(&clients.key);
        let found = clients.tombstones.among(account, aliases.iter().map(|alias| &alias.subject)).await?;
        let before = message.sent_at.as_secs() - 1;
        for tombstone in found.into_values().filter(|tombstone| tombstone.erased_at.as_secs() == before) {
            let entry = clients.erasures.get(&tombstone.code).await?;
            let is_it = |erasure: &Erasure| {
                erasure.source() == RequestSource::Customer && erasure.means_up_to() == Some(tombstone.erased_at)
            };
            if entry.is_some_and(|entry| is_it(&entry.erasure)) {
                return Ok(Some(tombstone.code));
            }
        }
        Ok(None)
    }

    async fn check_person(
        &self,
        channel: &PhoneNumberId,
        customer: &Identity,
        at: Timestamp,
    ) -> Result<(ErasureCheck, Option<ResolvedAliases>), HandlerError> {
        let Some(account) = self.account_of(channel).await? else { return Ok((ErasureCheck::No, None)) };
        let (check, aliases) = self.handler.clients.tombstones.check(account, customer, at).await?;
        Ok((check, Some(aliases)))
    }

    async fn account_of(&self, channel: &PhoneNumberId) -> Result<Option<AccountId>, HandlerError> {
        let channel = self.handler.clients.channels.get(channel).await?;
        Ok(channel.map(|channel| channel.account))
    }

    /// A status is about a message of ours, and may be newer than the erasure of that message.
    async fn check_status(
        &self,
        status: &StatusUpdate,
    ) -> Result<(ErasureCheck, Option<ResolvedAliases>), HandlerError> {
        let (check, aliases) = self.check_person(&status.channel, &status.customer, status.at).await?;
        let check = match check {
            ErasureCheck::No if self.handler.clients.message_links.get(&status.id).await?.is_none() => {
                self.is_of_before(status).await?
            }
            // A tick may be lost, and must not wait.
            ErasureCheck::NotYet(code) => ErasureCheck::Erased(code),
            check => check,
        };
        Ok((check, aliases))
    }

    /// Checks a status of an unknown message to an erased person. One newer than the erasure may be about a message sent to them
    /// as a new customer, if there is such a customer or the status has our reference; then it waits for its message like any
    /// other.
    async fn is_of_before(&self, status: &StatusUpdate) -> Result<ErasureCheck, HandlerError> {
        let aliases = status.customer.aliases(&self.handler.clients.key);
        let account = self.account_of(&status.channel).await?;
        let aliases = aliases.iter().map(|alias| &alias.subject);
        let found = self.handler.clients.tombstones.among(account, aliases).await?;
        let inserted_at = |tombstone: &Tombstone| tombstone.inserted_at.unwrap_or_default().max(tombstone.erased_at);
        let Some(last) = found.into_values().max_by_key(inserted_at) else { return Ok(ErasureCheck::No) };
        let is_newer = status.at.since(inserted_at(&last)) > Duration::ZERO;
        let may_be_new = match account {
            _ if !is_newer => false,
            _ if status.reference.is_some() => true,
            Some(account) => self.handler.clients.customers.find(account, &status.customer).await?.is_some(),
            None => false,
        };
        Ok(if may_be_new { ErasureCheck::No } else { ErasureCheck::Erased(last.code) })
    }

    async fn drop_erased(
        &self,
        channel: &str,
        item: &KeyedHash<WorkItem>,
        code: &ConfirmationCode,
    ) -> Result<(), HandlerError> {
        let Some(attempt) = Attempt::claim(self.handler, self.record, channel, item).await? else { return Ok(()) };
        self.handler.clients.erasures.count_dropped(code).await?;
        attempt.close(ItemOutcome::Refused(RefusalReason::Erased)).await?;
        tracing::info!(channel.id = channel, "item of an erased person dropped");
        Ok(())
    }

    /// A notice is kept as Meta wrote it, in the dead letters; what it says of an erased person is cut out before that.
    /// Gives the record that may be kept.
    pub(crate) async fn notice(self, notice: &AccountNotice) -> Result<Option<Cow<'a, Record>>, HandlerError> {
        let whole = Ok(Some(Cow::Borrowed(self.record)));
        if !matches!(notice.about, NoticeSubject::UnknownField | NoticeSubject::Unreadable) {
            return whole;
        }
        let clients = &self.handler.clients;
        // It may name thousands of people, as a phone app's history does: only those who were erased are looked up.
        let marks = clients.tombstones.marks().await?;
        if marks.is_empty() {
            return whole;
        }
        let named = marks.among(mention::mentioned(&notice.raw, &clients.key));
        if named.is_empty() {
            return whole;
        }
        // For an unknown account, people erased in any account are cut out.
        let account = match &notice.channel {
            Some(channel) => self.account_of(channel).await?,
            None => None,
        };
        let found = clients.tombstones.among(account, &named).await?;
        let newer = |at: Timestamp| notice.at.is_some_and(|notice| notice.as_secs() > at.as_secs());
        // The phone app's history is old by nature, whenever it comes.
        let counts = |at: Timestamp| notice.field == "history" || !newer(at);
        let erased: BTreeMap<KeyedHash<Person>, ConfirmationCode> = found
            .into_iter()
            .filter(|(_, tombstone)| counts(tombstone.erased_at))
            .map(|(subject, tombstone)| (subject, tombstone.code))
            .collect();
        let Some(code) = erased.values().next() else { return whole };
        let theirs = |text: &str| mention::mentioned(text, &clients.key).iter().any(|one| erased.contains_key(one));
        let Some(rest) = mention::without(&notice.raw, &theirs) else {
            self.drop_erased(notice.counted_under(), &notice.item, code).await?;
            return Ok(None);
        };
        let kept = InboundTask::NoticeV1(AccountNotice { raw: rest, ..notice.clone() });
        let mut rest = self.record.clone();
        rest.body = serde_json::to_string(&kept).unwrap_or_default();
        Ok(Some(Cow::Owned(rest)))
    }
}

#[cfg(test)]
mod tests;
