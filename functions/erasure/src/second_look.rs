//! The second look, before a receipt is written: what is late is seen by now, and nothing rests on one look.
//!
//! SQS counts what a queue holds a minute and more late, and an index follows its table after a moment. Both say "nothing" too
//! early at times. So whatever was found clear is looked at once more a while later.

use std::time::Duration;

use app::BridgeError;
use domain::erasure::{InvalidTransition, Place, State};
use queue::Verdict;
use store::{ErasureEntry, Target};

use crate::{Came, Eraser};

/// What AWS shows late it shows by then. AWS says a minute for counts at rest, and less for an index.
const SETTLES: Duration = Duration::from_secs(180);

impl Eraser {
    /// Looks at the table and at the dead letters once more. Nothing if both are clear for good.
    pub(crate) async fn look_again(
        &self,
        entry: &mut ErasureEntry,
        target: &mut Target,
    ) -> Result<Option<Verdict>, BridgeError> {
        let (place, came) = self.second_look(entry, target).await;
        if let Err(error) = &came {
            tracing::warn!(%error, erasure = %entry.erasure.code, place = place.word(), "the second look did not go through");
        }
        let now = self.clients.clock.now();
        let mut next = entry.erasure.clone();
        if matches!(came, Ok(Came::Clear)) {
            // The receipt tells of this look, and counts what it found.
            for place in [Place::Table, Place::DeadLetters] {
                next = next.clear(place, now).unwrap_or_else(|InvalidTransition| entry.erasure.clone());
            }
            *entry = self.save(entry, next).await?;
            return Ok(None);
        }
        next = next.wait(place, now).unwrap_or_else(|InvalidTransition| entry.erasure.clone());
        if let (Ok(Came::NotBefore(then)), State::Waiting { wake_at, .. } | State::Failed { wake_at, .. }) =
            (came, &mut next.state)
        {
            *wake_at = then;
        }
        *entry = self.save(entry, next).await?;
        Ok(Some(self.put_off(&entry.erasure)))
    }

    async fn second_look(&self, entry: &mut ErasureEntry, target: &mut Target) -> (Place, Result<Came, BridgeError>) {
        let cleared = |place| entry.erasure.cleared.get(&place).map(|cleared| cleared.at);
        // Once the table is behind them nothing of theirs is written any more, and what was deleted last is not shown any more.
        let before = [Place::InboundQueue, Place::OutboundQueue, Place::DeadLetters, Place::Chatwoot, Place::Table];
        let then = before.into_iter().filter_map(cleared).max().unwrap_or_default() + SETTLES;
        let table = cleared(Place::Table);
        if then > self.clients.clock.now() {
            return (Place::Table, Ok(Came::NotBefore(then)));
        }
        match self.is_left_in_table(entry, target).await {
            Ok(false) => {}
            Ok(true) => return (Place::Table, Ok(Came::Later)),
            Err(error) => return (Place::Table, Err(error)),
        }
        // Whoever is quiet for so long has no letter there.
        if target.quiet_since.is_some() {
            return (Place::DeadLetters, Ok(Came::Clear));
        }
        (Place::DeadLetters, self.clear_dead_letters(entry, target, table).await)
    }

    /// Whether the table has anything of theirs after all. If it leads to more, every place is looked into again; if not, it goes.
    async fn is_left_in_table(&self, entry: &mut ErasureEntry, target: &mut Target) -> Result<bool, BridgeError> {
        let keys = self.belongings.late_keys(target).await?;
        if keys.is_empty() {
            return Ok(false);
        }
        tracing::warn!(erasure = %entry.erasure.code, items = keys.len(), "an index showed items of somebody's late");
        let known = target.clone();
        self.belongings.gather_late(target).await?;
        if leads_further(&known, target) {
            self.look_everywhere_again(entry, target).await?;
            return Ok(true);
        }
        let so_far = usize::try_from(target.deleted).unwrap_or(usize::MAX);
        self.note(entry, Place::Table, so_far.saturating_add(keys.len())).await?;
        target.deleted += keys.len() as u64;
        self.clients.erasures.set_target(&entry.erasure.code, target).await?;
        self.belongings.delete_late(&keys).await?;
        if known.media != target.media {
            let mut erasure = entry.erasure.clone();
            erasure.cleared.remove(&Place::MetaMedia);
            *entry = self.save(entry, erasure).await?;
        }
        Ok(true)
    }

    /// Whether the table shows more of them by now than when the queues were looked into.
    pub(crate) async fn is_more_by_now(&self, target: &mut Target) -> Result<bool, BridgeError> {
        let known = target.clone();
        self.belongings.gather_late(target).await?;
        Ok(leads_further(&known, target) || self.belongings.groups(target).await?.len() > target.probed_groups)
    }

    /// The table stays clear once it was: what is newer comes in by then, and is not barred a second time. From then on only what
    /// names their customers is theirs ([`Erasure::holds_back`](domain::Erasure::holds_back)).
    pub(crate) async fn look_everywhere_again(
        &self,
        entry: &mut ErasureEntry,
        target: &mut Target,
    ) -> Result<Came, BridgeError> {
        let mut erasure = entry.erasure.clone();
        for place in [Place::Chatwoot, Place::MetaMedia] {
            erasure.cleared.remove(&place);
        }
        *entry = self.save(entry, erasure).await?;
        self.look_into_queues_again(entry, target).await
    }
}

/// Whether what is known by now is somewhere else as well.
fn leads_further(known: &Target, now: &Target) -> bool {
    known.customers != now.customers
        || known.aliases != now.aliases
        || known.contacts != now.contacts
        || known.conversations != now.conversations
}
