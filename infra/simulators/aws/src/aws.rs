//! The whole: what the local runner and the tests hold.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use domain::Clock as _;
use serde_json::Value;
use simulator_wire::{Calls, Faults, MovableClock, Server};

use crate::{
    access::Access,
    dynamo::Dynamo,
    error::ApiError,
    front::{self, Services},
    lag::{Lag, Lagging},
    received::Received,
    secrets::Secrets,
    sqs::{self, Hold, Sqs},
};

/// How to start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The time that queues, TTL and secrets go by.
    pub clock: MovableClock,
    /// Where queues and tables are kept; without it in memory.
    pub data: Option<PathBuf>,
}

/// SQS, DynamoDB and Secrets Manager, running. Dropping it ends it as a killed process would.
#[derive(Debug)]
pub struct Aws {
    url: String,
    clock: MovableClock,
    faults: Faults,
    services: Arc<Services>,
    server: Server,
}

impl Aws {
    /// Starts, with what the data directory holds.
    pub async fn start(settings: Settings) -> anyhow::Result<Self> {
        let Settings { listen, clock, data } = settings;
        if let Some(data) = &data {
            std::fs::create_dir_all(data).with_context(|| format!("cannot make {}", data.display()))?;
        }
        let lagging = Lagging::default();
        let journal = data.as_ref().map(|data| data.join("queues.journal"));
        let sqs = Sqs::open(clock.clone(), journal, lagging.clone())?;
        let dynamo =
            Dynamo::start(data.as_ref().map(|data| data.join("tables.sqlite")), clock.clone(), lagging).await?;
        let services =
            Arc::new(Services { sqs, dynamo, secrets: Secrets::new(clock.clone()), access: Access::default() });
        let faults = Faults::by(clock.clone());
        let server = Server::start(listen, front::router(Arc::clone(&services)), faults.clone()).await?;
        let url = server.url();
        services.sqs.served_at(&url);
        Ok(Self { url, clock, faults, services, server })
    }

    /// Where all services are spoken to, without a trailing slash.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Faults of the line to it; all services share the one path.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// What it was asked, once that is recorded.
    pub fn calls(&self) -> &Calls {
        self.server.calls()
    }

    /// From now on AWS is so far behind itself, by the clock: what counts, indexes and moves of dead letters may be on the real one.
    pub fn lag(&self, lag: Lag) -> anyhow::Result<()> {
        self.services.sqs.lag(lag);
        self.services.dynamo.lag()
    }

    /// From now on a long poll of the API's answers at once, also with nothing: a test whose clock stands still waits for nothing.
    pub fn answer_at_once(&self) {
        self.services.sqs.answer_at_once();
    }

    /// Makes a queue, or sets the attributes of the one that is there; answers its URL.
    pub fn create_queue(&self, name: &str, attributes: BTreeMap<String, String>) -> anyhow::Result<String> {
        self.services
            .sqs
            .ensure_queue(name, attributes)
            .map_err(|error| told(&error))
            .with_context(|| format!("queue {name}"))
    }

    /// Shows messages again that were received and never settled: to be called once at start, when whoever held them ended
    /// with the process before. What a consumer hid on purpose stays hidden.
    pub fn release_received(&self) -> anyhow::Result<()> {
        self.services.sqs.release_received().map_err(|error| told(&error))
    }

    /// The ARN of a queue.
    pub fn queue_arn(&self, name: &str) -> String {
        sqs::arn(name)
    }

    /// The names of all queues.
    pub fn queue_names(&self) -> Vec<String> {
        self.services.sqs.queue_names()
    }

    /// Makes a table from the body of a `CreateTable` call; one that is there is left as it is. A `TimeToLiveSpecification`
    /// in it, as a template has one, is switched on too.
    pub fn create_table(&self, request: Value) -> anyhow::Result<()> {
        self.services.dynamo.create_table(request)
    }

    /// From now on whoever signs with this access key id may only do what the statements of a policy allow, with `*` in their
    /// actions and resources. All others may do everything.
    pub fn restrict(&self, access_key_id: &str, statements: &[Value]) -> anyhow::Result<()> {
        self.services.access.restrict(access_key_id, statements)
    }

    /// Whether that access key id may do this.
    pub fn allows(&self, access_key_id: &str, action: &str, resource: &str) -> bool {
        self.services.access.allows(access_key_id, action, resource)
    }

    /// What that access key id did so far, if it is restricted: actions, and on what.
    pub fn used(&self, access_key_id: &str) -> BTreeSet<(String, String)> {
        self.services.access.used(access_key_id)
    }

    /// Gives a secret a value, which becomes its current one.
    pub fn put_secret(&self, name: &str, value: &str) {
        self.services.secrets.put(name, value);
    }

    /// The names of the secrets there are; one that is deleted is none.
    pub fn secret_names(&self) -> Vec<String> {
        self.services.secrets.names()
    }

    /// The current text of a secret; nothing where there is none.
    pub fn secret(&self, name: &str) -> Option<String> {
        self.services.secrets.text(name)
    }

    /// Every message of every queue, raw.
    pub fn dump_queues(&self) -> Value {
        self.services.sqs.dump()
    }

    /// Receives up to `max` messages as Lambda's event source mapping does; waits up to `wait` of real time for the first.
    /// A queue that is not there has none.
    pub async fn receive(&self, queue: &str, max: usize, wait: Duration) -> Vec<Received> {
        let handed = self.services.sqs.receive(queue, max, None, wait).await.unwrap_or_else(|error| {
            tracing::warn!(queue, error = error.message, "nothing can be received");
            Vec::new()
        });
        handed.into_iter().map(Received::from).collect()
    }

    /// The same, in hand until the hold is dropped: moving the clock by [`Aws::advance`] takes nothing from their visibility
    /// timeout.
    pub async fn take(&self, queue: &str, max: usize, wait: Duration) -> (Vec<Received>, Hold) {
        let (handed, hold) = self.services.sqs.take(queue, max, wait).await.unwrap_or_else(|error| {
            tracing::warn!(queue, error = error.message, "nothing can be received");
            (Vec::new(), self.services.sqs.in_hand.take(queue, &[]))
        });
        (handed.into_iter().map(Received::from).collect(), hold)
    }

    /// Deletes a received message. A handle whose time is over deletes nothing, as on AWS.
    pub fn delete(&self, queue: &str, receipt_handle: &str) {
        if let Err(error) = self.services.sqs.delete(queue, Some(receipt_handle)) {
            tracing::warn!(queue, error = error.message, "a message was not deleted");
        }
    }

    /// Hides a received message for `timeout` from now; zero shows it at once.
    pub fn change_visibility(&self, queue: &str, receipt_handle: &str, timeout: Duration) {
        if let Err(error) = self.services.sqs.change_visibility(queue, Some(receipt_handle), timeout) {
            tracing::warn!(queue, error = error.message, "a message's visibility was not changed");
        }
    }

    /// Moves the clock, and everything that goes by it.
    pub fn advance(&self, by: Duration) {
        if let Err(error) = self.services.sqs.advance(by) {
            tracing::warn!(error = error.message, "the queues did not follow the clock");
        }
    }

    /// The clock was moved: what is past its retention goes, and waiting receives look again.
    pub fn clock_moved(&self) {
        if let Err(error) = self.services.sqs.clock_moved() {
            tracing::warn!(error = error.message, "messages past their retention were not removed");
        }
    }

    /// Deletes items past their TTL; answers how many. On AWS that takes up to two days, so nothing here does it by itself.
    pub fn sweep_ttl(&self) -> anyhow::Result<usize> {
        self.services.dynamo.sweep(self.clock.now())
    }

    /// Ends in order: no call is answered any more, and what was deleted is in no file any more.
    pub async fn close(&self) -> anyhow::Result<()> {
        self.server.close();
        // Both are closed, whatever becomes of the other.
        let queues = self.services.sqs.close();
        self.services.dynamo.close().await.and(queues)
    }
}

fn told(error: &ApiError) -> anyhow::Error {
    anyhow::anyhow!("{}: {}", error.code(), error.message)
}
