//! Delivers webhooks: in order and one at a time per number, signed, and remembered until they are answered 200.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::Context as _;
use bytes::Bytes;
use domain::{SharedClock, Timestamp};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use crate::{Number, subscriptions::FIELDS, wire};

/// Meta gives up on a callback that takes longer.
pub(crate) const MAX_WAIT: Duration = Duration::from_secs(10);

/// One webhook and what became of it.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The number whose line it goes through.
    pub phone_number_id: String,
    /// The bytes that are signed and posted.
    pub body: Bytes,
    /// Each time it was posted.
    pub attempts: Vec<Attempt>,
    /// Where it goes, if its account has an address of its own.
    own_address: Option<String>,
}

impl Delivery {
    /// Whether it was ever answered 200.
    pub fn acknowledged(&self) -> bool {
        self.attempts.iter().any(|attempt| attempt.status == Some(200))
    }
}

/// One attempt at delivering a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// When it was made.
    pub at: Timestamp,
    /// The HTTP status; nothing if there was no answer.
    pub status: Option<u16>,
}

/// What comes of one attempt: the HTTP status.
pub(crate) type Posted = oneshot::Receiver<anyhow::Result<u16>>;

#[derive(Debug)]
enum Job {
    /// Post the delivery of this index.
    Post(usize, oneshot::Sender<anyhow::Result<u16>>),
    /// Tell when everything before it is done.
    Barrier(oneshot::Sender<()>),
}

/// The lines to the webhook, one per number.
#[derive(Debug)]
pub(crate) struct Postman {
    desk: Arc<Desk>,
    lines: Mutex<Vec<(String, mpsc::UnboundedSender<Job>)>>,
}

/// What the app gets of whom.
#[derive(Debug)]
pub(crate) struct Feeds {
    /// The accounts that the app is subscribed to.
    pub(crate) accounts: BTreeSet<String>,
    /// The fields that are ticked in the app's dashboard.
    pub(crate) fields: Vec<String>,
    /// The accounts with an address of their own.
    pub(crate) overrides: HashMap<String, String>,
}

impl Feeds {
    /// As somebody has them who serves these numbers already.
    fn of(numbers: &[Number]) -> Self {
        Self {
            accounts: numbers.iter().map(|number| number.waba_id.clone()).collect(),
            fields: FIELDS.map(str::to_owned).to_vec(),
            overrides: HashMap::new(),
        }
    }

    /// The app is subscribed to an account; an address of its own is forgotten, as Meta does.
    pub(crate) fn subscribe(&mut self, account: &str) {
        self.accounts.insert(account.to_owned());
        self.overrides.remove(account);
    }

    /// The app is no longer subscribed to an account.
    pub(crate) fn forget(&mut self, account: &str) {
        self.accounts.remove(account);
        self.overrides.remove(account);
    }

    /// Whether a webhook's field is posted. What has no box to tick always is.
    fn ticked(&self, body: &Value) -> bool {
        let field = body["entry"][0]["changes"][0]["field"].as_str().unwrap_or_default();
        !FIELDS.contains(&field) || self.fields.iter().any(|ticked| ticked == field)
    }

    /// Where a webhook goes instead of the app's address; nothing at all if it is not posted.
    fn address(&self, body: &Value) -> Option<Option<String>> {
        let account = body["entry"][0]["id"].as_str().unwrap_or_default();
        (self.accounts.contains(account) && self.ticked(body)).then(|| self.overrides.get(account).cloned())
    }
}

/// What the lines share.
#[derive(Debug)]
struct Desk {
    client: reqwest::Client,
    clock: SharedClock,
    app_secret: Mutex<String>,
    webhook: Mutex<Option<String>>,
    log: Mutex<Vec<Delivery>>,
    feeds: Mutex<Feeds>,
}

impl Postman {
    /// Opens a line for each number; the lines close when the postman is dropped.
    pub(crate) fn start(client: reqwest::Client, clock: SharedClock, app_secret: String, numbers: &[Number]) -> Self {
        let desk = Arc::new(Desk {
            client,
            clock,
            app_secret: Mutex::new(app_secret),
            webhook: Mutex::default(),
            log: Mutex::default(),
            feeds: Mutex::new(Feeds::of(numbers)),
        });
        let postman = Self { desk, lines: Mutex::default() };
        numbers.iter().for_each(|number| postman.open(&number.phone_number_id));
        postman
    }

    /// Opens a line for a number, unless it has one.
    pub(crate) fn open(&self, number: &str) {
        let mut lines = lock(&self.lines);
        if lines.iter().all(|(known, _)| known != number) {
            let (sender, jobs) = mpsc::unbounded_channel();
            tokio::spawn(work(Arc::clone(&self.desk), jobs));
            lines.push((number.to_owned(), sender));
        }
    }

    /// Where webhooks are posted.
    pub(crate) fn webhook(&self) -> Option<String> {
        lock(&self.desk.webhook).clone()
    }

    /// What the app gets of whom; never held across a wait.
    pub(crate) fn feeds(&self) -> MutexGuard<'_, Feeds> {
        lock(&self.desk.feeds)
    }

    /// Whether this is the app's secret.
    pub(crate) fn is_app_secret(&self, secret: &str) -> bool {
        *lock(&self.desk.app_secret) == secret
    }

    pub(crate) fn app_secret(&self) -> String {
        lock(&self.desk.app_secret).clone()
    }

    pub(crate) fn set_webhook(&self, url: &str) {
        *lock(&self.desk.webhook) = Some(url.to_owned());
    }

    pub(crate) fn set_app_secret(&self, secret: &str) {
        secret.clone_into(&mut lock(&self.desk.app_secret));
    }

    pub(crate) fn sign(&self, body: &[u8]) -> String {
        wire::sign(&lock(&self.desk.app_secret), body)
    }

    pub(crate) fn deliveries(&self) -> Vec<Delivery> {
        lock(&self.desk.log).clone()
    }

    /// Queues a webhook in Meta's style of writing. Of an account that the app is not subscribed to, and of a field that is not
    /// ticked, it hears nothing, now or later.
    pub(crate) fn queue(&self, phone_number_id: &str, body: &Value) -> Posted {
        match self.feeds().address(body) {
            Some(own) => self.log(phone_number_id, wire::encode(body), own),
            None => nothing(),
        }
    }

    /// The same without its envelope: the bare `value`.
    pub(crate) fn queue_bare(&self, phone_number_id: &str, body: &Value) -> Posted {
        match self.feeds().address(body) {
            Some(own) => self.log(phone_number_id, wire::encode(&body["entry"][0]["changes"][0]["value"]), own),
            None => nothing(),
        }
    }

    /// Queues what is the app's business, whoever it is subscribed to.
    pub(crate) fn queue_for_app(&self, phone_number_id: &str, body: &Value) -> Posted {
        if !self.feeds().ticked(body) {
            return nothing();
        }
        self.log(phone_number_id, wire::encode(body), None)
    }

    /// Queues these very bytes; a number that isn't ours uses the first line.
    pub(crate) fn queue_raw(&self, phone_number_id: &str, body: Bytes) -> Posted {
        self.log(phone_number_id, body, None)
    }

    fn log(&self, phone_number_id: &str, body: Bytes, own_address: Option<String>) -> Posted {
        let mut log = lock(&self.desk.log);
        log.push(Delivery { phone_number_id: phone_number_id.into(), body, attempts: Vec::new(), own_address });
        // Still under the lock, so that the log and the line have the same order.
        self.enqueue(phone_number_id, log.len() - 1)
    }

    /// Posts everything again that was posted and not answered 200, in its order.
    pub(crate) async fn redeliver(&self) -> anyhow::Result<()> {
        self.settled().await;
        let unacknowledged: Vec<_> = {
            let log = lock(&self.desk.log);
            let open = log.iter().enumerate().filter(|(_, delivery)| !delivery.acknowledged());
            open.map(|(index, delivery)| (index, delivery.phone_number_id.clone())).collect()
        };
        let posted: Vec<_> = unacknowledged.iter().map(|(index, number)| self.enqueue(number, *index)).collect();
        let mut refused = 0;
        for answer in posted {
            refused += usize::from(!matches!(answer.await, Ok(Ok(200))));
        }
        anyhow::ensure!(refused == 0, "{refused} of {} webhooks were not acknowledged", unacknowledged.len());
        Ok(())
    }

    /// Waits until every webhook queued so far was posted.
    pub(crate) async fn settled(&self) {
        let lines = lock(&self.lines).clone();
        for (_, line) in &lines {
            let (done, reached) = oneshot::channel();
            let _ = line.send(Job::Barrier(done));
            let _ = reached.await;
        }
    }

    fn enqueue(&self, phone_number_id: &str, index: usize) -> Posted {
        let (reply, posted) = oneshot::channel();
        let lines = lock(&self.lines);
        let own = lines.iter().find(|(number, _)| number == phone_number_id);
        if let Some((_, line)) = own.or(lines.first()) {
            let _ = line.send(Job::Post(index, reply));
        }
        posted
    }
}

/// What comes of a webhook that is not posted: Meta owes nobody anything.
fn nothing() -> Posted {
    let (reply, posted) = oneshot::channel();
    let _ = reply.send(Ok(200));
    posted
}

/// The status of an attempt, also when its line is gone.
pub(crate) async fn outcome(posted: Posted) -> anyhow::Result<u16> {
    posted.await.context("the simulation has ended")?
}

async fn work(desk: Arc<Desk>, mut jobs: mpsc::UnboundedReceiver<Job>) {
    while let Some(job) = jobs.recv().await {
        match job {
            Job::Post(index, reply) => {
                let result = desk.post(index).await;
                if let Err(error) = &result {
                    tracing::debug!(error = %error, "webhook not delivered");
                }
                let _ = reply.send(result);
            }
            Job::Barrier(done) => {
                let _ = done.send(());
            }
        }
    }
}

impl Desk {
    async fn post(&self, index: usize) -> anyhow::Result<u16> {
        let (body, own) = {
            let log = lock(&self.log);
            log.get(index).map(|delivery| (delivery.body.clone(), delivery.own_address.clone())).unwrap_or_default()
        };
        let at = self.clock.now();
        let status = self.send(body, own).await;
        if let Some(delivery) = lock(&self.log).get_mut(index) {
            delivery.attempts.push(Attempt { at, status: status.as_ref().ok().copied() });
        }
        status
    }

    async fn send(&self, body: Bytes, own: Option<String>) -> anyhow::Result<u16> {
        let url = own.or_else(|| lock(&self.webhook).clone()).context("no webhook is set")?;
        let signature = wire::sign(&lock(&self.app_secret), &body);
        let request = self.client.post(url).header("content-type", "application/json");
        let request = request.header("user-agent", "facebookexternalua").header("x-hub-signature-256", signature);
        let response = request.body(body).timeout(MAX_WAIT).send().await.context("the webhook did not answer")?;
        let status = response.status().as_u16();
        // Read to the end, so that the connection can be used again.
        let _ = response.bytes().await;
        Ok(status)
    }
}

/// A client for plain HTTP that needs no TLS provider installed in the process.
pub(crate) fn client() -> anyhow::Result<reqwest::Client> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let redirect = reqwest::redirect::Policy::none();
    Ok(reqwest::Client::builder().no_proxy().redirect(redirect).tls_backend_preconfigured(tls).build()?)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
