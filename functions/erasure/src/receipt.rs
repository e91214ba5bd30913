//! Closes an erasure and signs its receipt.

use domain::erasure::Receipt;
use platform::Metric;
use store::StoreError;

use crate::{run::Stop, second_check::Checked};

/// Closes an erasure that was cleared and checked. One that is not clear everywhere is refused, and neither counted nor told.
pub(crate) async fn finish(checked: Checked<'_>) -> Result<(), Stop> {
    let mut run = checked.into_run();
    let done = run.entry.erasure.clone().finish(run.now()).map_err(Stop::Refused)?;
    let handler = run.handler;
    let clients = &handler.clients;
    clients.erasures.forget_drain_markers(run.code()).await?;
    // The receipt is given out as it is signed today for as long as it is kept, whatever texts and keys come later.
    if let Some(receipt) = Receipt::of(&done) {
        let signed = receipt.sign(&clients.key).map_err(StoreError::from)?;
        clients.erasures.set_receipt(run.code(), &signed).await?;
    }
    run.save(done).await?;
    handler.metrics.count(Metric::Erased);
    let late = run.entry.erasure.breached_at().is_some();
    tracing::info!(erasure = %run.code(), late, "an erasure is done");
    Ok(())
}
