//! The functions this binary can be. Each runs as a process of its own, on the true runtime.

use app::Error;
use domain::SharedClock;

/// Every linked function by the name of its crate.
pub(crate) const NAMES: [&str; 11] = [
    "webhook",
    "forward",
    "history",
    "callback",
    "send",
    "reconcile",
    "deletion",
    "erasure",
    "retention",
    "ledger",
    "signup",
];

/// Runs one until its process ends.
pub(crate) async fn run(name: &str, clock: SharedClock) -> Result<(), Error> {
    match name {
        "webhook" => webhook::run(clock).await,
        "forward" => forward::run(clock).await,
        "history" => history::run(clock).await,
        "callback" => callback::run(clock).await,
        "send" => send::run(clock).await,
        "reconcile" => reconcile::run(clock).await,
        "deletion" => deletion::run(clock).await,
        "erasure" => erasure::run(clock).await,
        "retention" => retention::run(clock).await,
        "ledger" => ledger::run(clock).await,
        "signup" => signup::run(clock).await,
        other => Err(format!("there is no function {other}").into()),
    }
}
