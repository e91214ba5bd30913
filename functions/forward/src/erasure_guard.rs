//! Keeps an erased person's data from coming back. What was sent before the erasure is dropped, whichever way it comes
//! again. What is newer waits until the erasure is over, and then starts clean.

use std::{collections::BTreeMap, time::Duration};

use app::HandlerError;
use domain::{
    AccountId, Author, ConfirmationCode, Content, DrainMarker, Erasure, Identity, InboundTask, KeyedHash, Message,
    PhoneNumberId, RefusalReason, StatusUpdate, Timestamp,
    erasure::RequestSource,
    mention,
    task::{AccountNotice, NoticeSubject},
};
use queue::{Record, Verdict};
use store::{ErasureCheck, ItemOutcome, ResolvedAliases, Tombstone};
use texts::deletion::{ErasureIntent, erasure_intent};

use crate::Handler;

/// How long a newer item waits for the end of an erasure. A queue silently drops what is older than 14 days.
const ERASURE_MAX_WAIT: Duration = Duration::from_secs(12 * 86_400);

/// The queue's name in the erasure's records.
const QUEUE_NAME: &str = "inbound";

/// The erasure guard's decision about a task.
pub(crate) enum Admission {
    /// It may come in; with the aliases that were read to decide.
    Open(Option<ResolvedAliases>),
    /// It is about an erased person, and so is done.
    Shut,
}

impl Handler {
    /// A drain marker came out of its message group: everything older in it is gone.
    pub(crate) async fn drain_marker(&self, marker: &DrainMarker) -> Verdict {
        match self.clients.erasures.drain_marker_is_out(&marker.code, QUEUE_NAME, &marker.group).await {
            Ok(()) => Verdict::Done,
            Err(error) => {
                tracing::warn!(%error, "a mark of an erasure has to wait");
                Verdict::Retry { after: None }
            }
        }
    }

    /// Decides whether a task may come in. A task newer than an erasure underway gives an error that makes it wait.
    pub(crate) async fn admit(&self, record: &Record, task: &InboundTask) -> Result<Admission, HandlerError> {
        let (barred, known) = match task {
            InboundTask::MessageV1(message) => self.check_message(message).await?,
            InboundTask::StatusV1(status) => self.check_status(status).await?,
            InboundTask::NoticeV1(notice) => {
                let is_erased = self.notice_is_erased(record, notice).await?;
                return Ok(if is_erased { Admission::Shut } else { Admission::Open(None) });
            }
            InboundTask::FileV1(_) | InboundTask::ProbeV1(_) => (ErasureCheck::No, None),
        };
        match barred {
            ErasureCheck::No => return Ok(Admission::Open(known)),
            ErasureCheck::Erased(code) => self.drop_erased(record, task, &code).await?,
            ErasureCheck::NotYet(code) => {
                // What was before this task in its group is gone; the drain marker may be behind it.
                self.clients.erasures.drain_marker_is_out(&code, QUEUE_NAME, &record.group).await?;
                if self.clients.clock.now().since(record.sent_at) < ERASURE_MAX_WAIT {
                    return Err(HandlerError::Erasing);
                }
                let claimed = self.claim(record, task.channel(), task.item()).await?;
                if let Some(before) = claimed {
                    self.write_dead_letter(
                        record,
                        task.channel(),
                        Some(&before.held),
                        RefusalReason::ErasureTakesTooLong,
                    )
                    .await?;
                }
            }
        }
        Ok(Admission::Shut)
    }

    /// In a WhatsApp group two are checked: the group, and who spoke. What an erased person writes there anew makes no
    /// customer of them, and must not keep the group waiting.
    async fn check_message(&self, message: &Message) -> Result<(ErasureCheck, Option<ResolvedAliases>), HandlerError> {
        let (barred, known) = self.check_person(message.channel.as_str(), &message.customer, message.sent_at).await?;
        if !matches!(barred, ErasureCheck::Erased(_))
            && let Some(code) = self.confirmed_by(message).await?
        {
            return Ok((ErasureCheck::Erased(code), None));
        }
        let (ErasureCheck::No, Some(speaker)) = (&barred, message.speaker()) else { return Ok((barred, known)) };
        let (of_speaker, _) = self.check_person(message.channel.as_str(), &speaker, message.sent_at).await?;
        let barred = match of_speaker {
            erased @ ErasureCheck::Erased(_) => erased,
            ErasureCheck::No | ErasureCheck::NotYet(_) => ErasureCheck::No,
        };
        Ok((barred, known))
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
        let account = self.account_of(message.channel.as_str()).await?;
        let aliases = message.customer.aliases(&self.clients.key);
        let buried = self.clients.tombstones.among(account, aliases.iter().map(|alias| &alias.subject)).await?;
        let before = message.sent_at.as_secs() - 1;
        for tombstone in buried.into_values().filter(|tombstone| tombstone.erased_at.as_secs() == before) {
            let entry = self.clients.erasures.get(&tombstone.code).await?;
            let is_it = |erasure: &Erasure| {
                erasure.door == RequestSource::Customer && erasure.means_up_to == Some(tombstone.erased_at)
            };
            if entry.is_some_and(|entry| is_it(&entry.erasure)) {
                return Ok(Some(tombstone.code));
            }
        }
        Ok(None)
    }

    async fn check_person(
        &self,
        channel: &str,
        customer: &Identity,
        at: Timestamp,
    ) -> Result<(ErasureCheck, Option<ResolvedAliases>), HandlerError> {
        let Some(account) = self.account_of(channel).await? else { return Ok((ErasureCheck::No, None)) };
        let (barred, known) = self.clients.tombstones.check(account, customer, at).await?;
        Ok((barred, Some(known)))
    }

    async fn account_of(&self, channel: &str) -> Result<Option<AccountId>, HandlerError> {
        let channel = self.clients.channels.get(&PhoneNumberId::new(channel)).await?;
        Ok(channel.map(|channel| channel.account))
    }

    /// A status is about a message of ours, and may be newer than the erasure of that message.
    async fn check_status(
        &self,
        status: &StatusUpdate,
    ) -> Result<(ErasureCheck, Option<ResolvedAliases>), HandlerError> {
        let (barred, known) = self.check_person(status.channel.as_str(), &status.customer, status.at).await?;
        let barred = match barred {
            ErasureCheck::No if self.clients.message_links.get(&status.id).await?.is_none() => {
                self.is_of_before(status).await?
            }
            // A tick may be lost, and must not wait.
            ErasureCheck::NotYet(code) => ErasureCheck::Erased(code),
            barred => barred,
        };
        Ok((barred, known))
    }

    /// Checks a status of an unknown message to an erased person. One newer than the erasure may be about a message sent to them
    /// as a new customer, if there is such a customer or the status has our reference; then it waits for its message like any
    /// other.
    async fn is_of_before(&self, status: &StatusUpdate) -> Result<ErasureCheck, HandlerError> {
        let aliases = status.customer.aliases(&self.clients.key);
        let account = self.account_of(status.channel.as_str()).await?;
        let aliases = aliases.iter().map(|alias| &alias.subject);
        let buried = self.clients.tombstones.among(account, aliases).await?;
        let buried_at = |tombstone: &Tombstone| tombstone.buried_at.unwrap_or_default().max(tombstone.erased_at);
        let Some(last) = buried.into_values().max_by_key(buried_at) else { return Ok(ErasureCheck::No) };
        let is_newer = status.at.since(buried_at(&last)) > Duration::ZERO;
        let may_be_new = match account {
            _ if !is_newer => false,
            _ if status.reference.is_some() => true,
            Some(account) => self.clients.customers.find(account, &status.customer).await?.is_some(),
            None => false,
        };
        Ok(if may_be_new { ErasureCheck::No } else { ErasureCheck::Erased(last.code) })
    }

    async fn drop_erased(
        &self,
        record: &Record,
        task: &InboundTask,
        code: &ConfirmationCode,
    ) -> Result<(), HandlerError> {
        let channel = task.channel();
        let Some(before) = self.claim(record, channel, task.item()).await? else { return Ok(()) };
        self.clients.erasures.count_dropped(code).await?;
        self.clients.ledger.close(channel, &before.held, ItemOutcome::Refused(RefusalReason::Erased)).await?;
        tracing::info!(channel.id = channel, "an item of somebody erased is dropped");
        Ok(())
    }

    /// A notice is kept as Meta wrote it, in the dead letters; what it says of an erased person is cut out before that.
    async fn notice_is_erased(&self, record: &Record, notice: &AccountNotice) -> Result<bool, HandlerError> {
        if !matches!(notice.about, NoticeSubject::UnknownField | NoticeSubject::Unreadable) {
            return Ok(false);
        }
        // It may name thousands of people, as a phone app's history does: only those who were erased are looked up.
        let marks = self.clients.tombstones.marks().await?;
        if marks.is_empty() {
            return Ok(false);
        }
        let named = marks.among(mention::mentioned(&notice.raw, &self.clients.key));
        if named.is_empty() {
            return Ok(false);
        }
        // For an unknown account, people erased in any account are cut out.
        let account = match &notice.channel {
            Some(channel) => self.account_of(channel.as_str()).await?,
            None => None,
        };
        let buried = self.clients.tombstones.among(account, &named).await?;
        let newer = |at: Timestamp| notice.at.is_some_and(|notice| notice.as_secs() > at.as_secs());
        // The phone app's history is old by nature, whenever it comes.
        let counts = |at: Timestamp| notice.field == "history" || !newer(at);
        let erased: BTreeMap<KeyedHash, ConfirmationCode> = buried
            .into_iter()
            .filter(|(_, tombstone)| counts(tombstone.erased_at))
            .map(|(subject, tombstone)| (subject, tombstone.code))
            .collect();
        let Some(code) = erased.values().next() else { return Ok(false) };
        let theirs =
            |text: &str| mention::mentioned(text, &self.clients.key).iter().any(|one| erased.contains_key(one));
        let task = InboundTask::NoticeV1(notice.clone());
        let Some(rest) = mention::without(&notice.raw, &theirs) else {
            return self.drop_erased(record, &task, code).await.map(|()| true);
        };
        let kept = InboundTask::NoticeV1(AccountNotice { raw: rest, ..notice.clone() });
        let mut rest = record.clone();
        rest.body = serde_json::to_string(&kept).unwrap_or_default();
        self.notice(&rest, notice).await.map(|()| true)
    }
}
