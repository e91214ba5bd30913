//! What is past its end and still in the table. DynamoDB deletes such items within days; the policy does not wait for it.

use bridge::BridgeError;

use crate::{Report, Retention};

/// Pages of a megabyte that a run reads; the rest is read tomorrow, from there.
const PAGES: usize = 2_000;

/// Where it goes on.
const SWEEP: &str = "overdue";

impl Retention {
    pub(crate) async fn purge(&self, report: &mut Report) -> Result<(), BridgeError> {
        let now = self.clients.clock.now();
        let from = self.belongings.mark(SWEEP).await?;
        let (keys, next) = self.belongings.overdue(now, from.clone(), PAGES).await?;
        self.belongings.delete(&keys).await?;
        report.purged += keys.len() as u64;
        // The proof: the same look finds nothing more.
        let (left, _) = self.belongings.overdue(now, from, PAGES).await?;
        report.overdue += left.len() as u64;
        Ok(self.belongings.set_mark(SWEEP, next.as_ref()).await?)
    }
}
