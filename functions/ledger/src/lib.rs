//! Copies the ledger of erasures out of the table every day, so that it outlives the table.
//! It only reads the table. What it writes names no person: codes, keyed hashes, times, ids in Chatwoot and at Meta.

use std::time::Duration;

use app::{Base, Function, HandlerError, ScheduledFunction, StartError};
use domain::{HashKey, SharedClock, Timestamp};
use platform::{AppSecrets, Environment, Metric, Metrics, Setting};
use store::{DataInventory, LedgerCopied, LedgerCopy, Restore};

/// The function's settings and clients.
#[derive(Debug)]
pub struct Handler {
    base: Base,
    app_secret: String,
    copy: LedgerCopy,
}

/// Serves invocations until the process ends.
pub async fn run(clock: SharedClock) -> Result<(), app::Error> {
    app::run_scheduled(Handler::from_env(Environment::process(), clock)?).await
}

impl Function for Handler {
    fn metrics(&self) -> &Metrics {
        &self.base.metrics
    }
}

impl ScheduledFunction for Handler {
    type Report = LedgerCopied;

    async fn run(&self, _until: Timestamp) -> Result<LedgerCopied, HandlerError> {
        self.handle().await
    }
}

impl Handler {
    /// Reads the settings.
    pub fn from_env(env: Environment, clock: SharedClock) -> Result<Self, StartError> {
        let (base, app_secret, copy) = env.read(|env| {
            // It writes nothing about a customer.
            let base = Base::read(env, "ledger", clock, Duration::ZERO);
            (base, env.text(Setting::AppSecret), env.text(Setting::LedgerTableName))
        })?;
        Ok(Self { copy: LedgerCopy::new(base.table.named(copy)), base, app_secret })
    }

    /// Makes one copy.
    pub async fn handle(&self) -> Result<LedgerCopied, HandlerError> {
        let key = HashKey::new(self.base.secrets.get::<AppSecrets>(&self.app_secret).await?.subject_key);
        let table = &self.base.table;
        let exported = Restore::new(table.clone(), DataInventory::new(table.clone(), key)).export().await?;
        let copied = self.copy.keep(&exported).await?;
        tracing::info!(
            written = copied.written,
            unchanged = copied.unchanged,
            dropped = copied.dropped,
            "the ledger of erasures is copied"
        );
        self.base.metrics.count(Metric::LedgerRound);
        self.base.metrics.emit();
        Ok(copied)
    }
}
