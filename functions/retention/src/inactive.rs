//! Opens erasures for customers whose retention time in Chatwoot is over. Nothing was said in any of their conversations
//! for the days of the policy, and by the table no message came or went.

use std::time::Duration;

use app::{Activity, HandlerError};
use chatwoot::{
    Chatwoot, ChatwootError,
    erasing::{CONVERSATIONS_PER_PAGE, ConversationAge, ConversationPage},
};
use domain::{Channel, SyncRequest, Timestamp, erasure::RequestSource};
use store::DataSubject;

use crate::{Handler, MAX_CHATWOOT_FAILURES, legal_holds::LegalHolds, run::RetentionRun};

/// How many are asked for a day and channel, however often the run comes: Chatwoot deletes in the background, and has to
/// bear it.
pub const MAX_REQUESTS_PER_DAY: u64 = 500;

const DAY: Duration = Duration::from_secs(86_400);

/// Which list of conversations is gone through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum List {
    /// Conversations that were not touched in all that time.
    Quiet,
    /// All conversations. A label or another change makes one recent for Chatwoot, as its import does, and says nothing
    /// about the customer it is with. The list is long: what today's time does not suffice for comes the days after.
    All,
}

/// What a list is gone through for.
struct At<'a> {
    chatwoot: &'a Chatwoot,
    channel: &'a Channel,
    holds: &'a LegalHolds,
    since: Timestamp,
    /// How many erasures were asked for today.
    asked: u64,
}

/// What is to be done about a customer.
enum Judged {
    Active,
    Held,
    Unclear,
    Over(Box<DataSubject>),
}

impl At<'_> {
    async fn page(&self, list: List, page: u32) -> Result<ConversationPage, ChatwootError> {
        match list {
            // Chatwoot compares with the beginning of a day; we compare the hour.
            List::Quiet => self.chatwoot.inactive(self.channel.inbox, self.since + DAY, page).await,
            List::All => self.chatwoot.every(self.channel.inbox, page).await,
        }
    }
}

impl Handler {
    pub(crate) async fn inactive(
        &self,
        chatwoot: &Chatwoot,
        channel: &Channel,
        legal_holds: &LegalHolds,
        run: &mut RetentionRun,
    ) -> Result<(), HandlerError> {
        let now = self.clients.clock.now();
        if !legal_holds.is_known(channel.account) {
            tracing::warn!(account = %channel.account, "what a label keeps is not known; nobody there is erased by time");
            run.unjudged(1);
            return Ok(());
        }
        let asked = self.sweeps.asked(&channel.phone_number_id, now.day()).await?;
        let mut at = At { chatwoot, channel, holds: legal_holds, since: now - self.kept_for, asked };
        for list in [List::Quiet, List::All] {
            self.walk(list, &mut at, run).await?;
        }
        Ok(())
    }

    /// Goes from the last page to the first, since deletions leave no gap then; from where the last run had to stop.
    async fn walk(&self, list: List, at: &mut At<'_>, run: &mut RetentionRun) -> Result<(), HandlerError> {
        let cursor = format!("{list:?}#{}", at.channel.phone_number_id);
        let total = self.total(list, at, run).await?;
        let last = total.div_ceil(CONVERSATIONS_PER_PAGE).max(1);
        let stopped_at = if run.dry { None } else { self.sweeps.cursor(&cursor).await? };
        let from = stopped_at.unwrap_or(last).clamp(1, last);
        let (mut failures, mut left) = (0, total);
        for page in (1..=from).rev().chain((from + 1..=last).rev()) {
            if run.is_over() {
                if list == List::Quiet {
                    tracing::warn!(conversations = left, "there is no time left for the rest of a list");
                    run.unjudged(left.into());
                }
                if run.dry {
                    return Ok(());
                }
                return Ok(self.sweeps.set_cursor(&cursor, Some(&page)).await?);
            }
            match at.page(list, page).await {
                Ok(listed) => {
                    failures = 0;
                    for row in &listed.rows {
                        left = left.saturating_sub(1);
                        self.see(list, row, at, run).await?;
                    }
                }
                Err(error) => {
                    failures += 1;
                    tracing::warn!(%error, page, list = ?list, "Chatwoot does not show a page of a list");
                    run.unjudged(1);
                    if failures >= MAX_CHATWOOT_FAILURES || matches!(error, ChatwootError::Unauthorized) {
                        return Err(error.into());
                    }
                }
            }
        }
        if !run.dry {
            self.sweeps.set_cursor(&cursor, None::<&u32>).await?;
        }
        Ok(())
    }

    /// Gives the length of a list; any page states it.
    async fn total(&self, list: List, at: &At<'_>, run: &RetentionRun) -> Result<u32, HandlerError> {
        let mut page = 1;
        loop {
            match at.page(list, page).await {
                Ok(listed) => return Ok(listed.total),
                Err(error) if page >= MAX_CHATWOOT_FAILURES || run.is_over() => return Err(error.into()),
                Err(_) => page += 1,
            }
        }
    }

    /// Judges one conversation. What is wrong with it is counted, and stops no other.
    async fn see(
        &self,
        list: List,
        row: &ConversationAge,
        at: &mut At<'_>,
        run: &mut RetentionRun,
    ) -> Result<(), HandlerError> {
        let account = at.channel.account;
        let Some(said_at) = row.said_at else {
            if run.meets(account, row.id) {
                tracing::warn!(account = %account, conversation = %row.id, "a conversation has no time to be judged by");
                run.unjudged(1);
            }
            return Ok(());
        };
        let listed_before = list == List::All && row.active_at.is_some_and(|active| active < at.since);
        if said_at >= at.since || listed_before || run.open.contains(&(account, row.id)) || !run.meets(account, row.id)
        {
            return Ok(());
        }
        if at.holds.has(account, row) {
            run.due(account, row.id, said_at, true);
            return Ok(());
        }
        if row.contact.is_none() {
            tracing::warn!(account = %account, conversation = %row.id, "an old conversation is nobody's");
            run.unjudged(1);
            return Ok(());
        }
        // From here on a conversation costs calls.
        if at.asked >= MAX_REQUESTS_PER_DAY && !run.dry {
            run.report.overdue += 1;
            return Ok(());
        }
        if run.is_over() {
            run.unjudged(1);
            return Ok(());
        }
        match self.judge(row, at).await {
            Ok(Judged::Active) => {}
            Ok(Judged::Unclear) => run.unjudged(1),
            Ok(Judged::Held) => run.due(account, row.id, said_at, true),
            Ok(Judged::Over(target)) => {
                run.due(account, row.id, said_at, false);
                if run.dry {
                    run.report.overdue += 1;
                } else {
                    self.ask_for(*target, at, run).await?;
                }
            }
            Err(error) if error.is_unauthorized() => return Err(error),
            Err(error) => {
                tracing::warn!(%error, account = %account, conversation = %row.id, "an old conversation could not be judged");
                run.unjudged(1);
            }
        }
        Ok(())
    }

    async fn judge(&self, row: &ConversationAge, at: &At<'_>) -> Result<Judged, HandlerError> {
        let sync = SyncRequest::new(at.channel.phone_number_id.clone(), at.channel.account, row.id);
        let Some(mut target) = app::resolve_data_subject(&self.clients, at.chatwoot, &sync).await? else {
            // It was deleted since it was listed.
            return Ok(Judged::Active);
        };
        target.only = Some(at.channel.account);
        // A phone leads to other dealers' customers, too.
        target.phones.clear();
        target.contacts.extend(row.contact.as_ref().map(|contact| (at.channel.account, contact.id)));
        let mut all = target.clone();
        self.inventory.gather(&mut all).await?;
        let mut activity: Activity = app::activity(at.chatwoot, &all, at.since).await?;
        activity.add(row);
        if activity.last.is_some_and(|last| last >= at.since) {
            return Ok(Judged::Active);
        }
        if activity.kept || at.holds.keeps(&all) {
            return Ok(Judged::Held);
        }
        if activity.unclear {
            return Ok(Judged::Unclear);
        }
        target.quiet_since = activity.last;
        Ok(Judged::Over(Box::new(target)))
    }

    async fn ask_for(&self, subject: DataSubject, at: &mut At<'_>, run: &mut RetentionRun) -> Result<(), HandlerError> {
        let now = self.clients.clock.now();
        let asked = self.ask(RequestSource::Retention, subject, now).await?;
        if asked.is_new {
            run.report.asked += 1;
            at.asked = self.sweeps.count_asked(&at.channel.phone_number_id, now.day()).await?;
        } else if asked.entry.erasure.is_closed() {
            // The earlier erasure was not enough.
            run.report.overdue += 1;
        }
        Ok(())
    }
}
