//! Does work before the first event.
//! Lambda gives a start a whole processor, and an event afterwards a fourteenth of it (at 128 MB): a TLS handshake costs nothing
//! noticeable here and a period of 20 ms there.

use std::time::Duration;

use tokio::time::timeout;

/// Lambda ends a start after ten seconds, and an event waits for most starts.
const WARM_UP_TIMEOUT: Duration = Duration::from_secs(2);

/// Does `work`, whose outcome does not matter: what it did not load is fetched by the first event that needs it.
pub async fn warm_up(work: impl Future) {
    if timeout(WARM_UP_TIMEOUT, work).await.is_err() {
        tracing::warn!("a start went on without the connections it wanted to open");
    }
}
