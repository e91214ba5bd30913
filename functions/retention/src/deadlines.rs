//! Checks the deadlines of the open requests every day. It warns on the policy's days, records breaches, and queues a task
//! for each request that is due. Queues forget after fourteen days; this does not.

use app::HandlerError;
use platform::Metric;
use store::ErasureEntry;
use uuid::Uuid;

use crate::{Handler, run::RetentionRun};

impl Handler {
    pub(crate) async fn wake_open(&self, run: &mut RetentionRun) -> Result<(), HandlerError> {
        for entry in self.clients.erasures.all_open().await? {
            // A request that cannot be checked holds up no other.
            let looked = self.wake_one(entry, run).await;
            run.keep(looked);
        }
        Ok(())
    }

    async fn wake_one(&self, entry: ErasureEntry, run: &mut RetentionRun) -> Result<(), HandlerError> {
        let now = self.clients.clock.now();
        let subject = self.clients.erasures.data_subject(entry.erasure.code()).await?.unwrap_or_default();
        run.open.extend(subject.conversations.iter().map(|(account, id, _)| (*account, *id)));
        let entry = if run.dry { entry } else { self.at(entry, run).await? };
        let erasure = &entry.erasure;
        if erasure.is_closed() {
            return Ok(());
        }
        run.report.open += 1;
        run.report.breached += u64::from(erasure.breached_at().is_some());
        if run.dry {
            return Ok(());
        }
        if erasure.breached_at().is_some() {
            self.clients.metrics.count(Metric::ErasureBreach);
            tracing::error!(erasure = %erasure.code(), state = ?erasure.state(), "an erasure is not done within the promised days");
        }
        // Also one that a worker has in hand: if that worker lives, it has the claim; if it crashed, the request would be
        // left alone.
        if erasure.wake_at().is_some_and(|at| at <= now) {
            self.erasures.send(app::erasure_message(erasure, Uuid::new_v4())?).await?;
        }
        Ok(())
    }

    /// Gives the request with the changes that time makes, after the warnings that are due. What an agent's request becomes
    /// when its time to be withdrawn is over is for `erasure` to decide, which reads the label first.
    async fn at(&self, entry: ErasureEntry, run: &mut RetentionRun) -> Result<ErasureEntry, HandlerError> {
        let now = self.clients.clock.now();
        let mut erasure = entry.erasure.clone();
        let warned = erasure.warn(now, self.requests.deadlines());
        erasure = if erasure.is_underway() { erasure.at(now) } else { erasure };
        erasure.note_breach(now);
        if erasure == entry.erasure {
            return Ok(entry);
        }
        let saved = match self.clients.erasures.save(&entry, erasure).await? {
            Ok(saved) => saved,
            // A writer in between knows better; the warning comes tomorrow.
            Err(theirs) => return Ok(theirs),
        };
        // Only what is stored is reported, or tomorrow reports it once more.
        for day in warned {
            run.report.warned += 1;
            let (erasure, left) = (&saved.erasure, saved.erasure.days_left(now));
            tracing::warn!(erasure = %erasure.code(), state = ?erasure.state(), day, days_left = left, "an erasure is still open");
        }
        Ok(saved)
    }
}
