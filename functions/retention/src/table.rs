//! What is past its end and still in the table. DynamoDB deletes such items within days; the policy does not wait for it.

use app::BridgeError;

use crate::{Retention, run::Run};

/// Where it goes on.
const SWEEP: &str = "overdue";

impl Retention {
    /// Page by page, from where the last run had to stop. What somebody writes anew meanwhile lives.
    pub(crate) async fn purge(&self, run: &mut Run) -> Result<(), BridgeError> {
        let until = run.share(2);
        let mut from = if run.dry { None } else { self.sweeps.mark(SWEEP).await? };
        loop {
            let page = self.sweeps.overdue(from).await?;
            let mut left = page.endless;
            if run.dry {
                left += page.expired.len() as u64;
            } else {
                self.sweeps.bury(&page.expired).await?;
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
            // What nobody looked at is not known to be clean.
            run.unjudged(1);
        }
        Ok(self.sweeps.set_mark(SWEEP, from.as_ref()).await?)
    }
}
