//! Deletes items that are past their end and still in the table. DynamoDB deletes such items within days; the policy does
//! not wait for it.

use app::HandlerError;

use crate::{Handler, run::RetentionRun};

/// The name of the cursor where the next run goes on.
const EXPIRED_CURSOR: &str = "overdue";

impl Handler {
    /// Deletes page by page, from where the last run had to stop. An item that is written anew meanwhile stays.
    pub(crate) async fn purge(&self, run: &mut RetentionRun) -> Result<(), HandlerError> {
        let until = run.share(2);
        let mut from = if run.dry { None } else { self.sweeps.cursor(EXPIRED_CURSOR).await? };
        loop {
            let page = self.sweeps.expired(from).await?;
            let mut left = page.endless;
            if run.dry {
                left += page.expired.len() as u64;
            } else {
                self.sweeps.delete_expired(&page.expired).await?;
                run.report.purged += page.expired.len() as u64;
            }
            run.report.expired += left;
            run.report.overdue += left;
            from = page.next;
            let out_of_time = self.clients.clock.now() >= until;
            if from.is_none() || out_of_time && !run.dry {
                break;
            }
        }
        if run.dry {
            return Ok(());
        }
        if from.is_some() {
            // What was not checked is not known to be clean.
            run.unjudged(1);
        }
        Ok(self.sweeps.set_cursor(EXPIRED_CURSOR, from.as_ref()).await?)
    }
}
