use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::Context as _;
use app::HttpFunction as _;
use aws_lambda_events::sqs::SqsEvent;
use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{Response, StatusCode},
};
use domain::{Clock as _, SharedClock, Timestamp};
use local::test_stack::{Batch, TestStack};
use reconcile::Balance;
use retention::RetentionReport;
use serde_json::Value;
use simulator_aws::Lag;
use simulator_chatwoot::{Chatwoot, Inbox};
use simulator_meta::{Meta, Number, Statuses};
use simulator_wire::{Faults, MovableClock, Server};
use texts::Locale;

use crate::stop_after::StopAfter;

/// The channel most stories play on.
pub const CHANNEL: &str = "104857600123456";

/// A second one, of a number that is also on a phone in the shop.
pub const COEXISTENCE_CHANNEL: &str = "104857600654321";

/// Chatwoot's account.
pub const ACCOUNT: i64 = 3;

/// What signs the callbacks of [`CHANNEL`].
pub const CALLBACK_SECRET: &str = "Zk3rQ9tVwXy7LmN2pBcD4fGh";

/// What stands in the path of callbacks that are not signed.
pub const PATH_SECRET: &str = "in-the-path-of-an-older-chatwoot";

const CONFIG: &str = include_str!("world.toml");
const APP_SECRET: &str = "app-secret-of-the-stories";
const TOKEN: &str = "token-of-the-administrator";

/// When every story begins.
const BEGINNING: Timestamp = Timestamp::from_secs(1_795_190_400);

/// What an invocation has.
const INVOCATION: Duration = Duration::from_secs(120);

/// What the daily run has.
const RUN: Duration = Duration::from_secs(900);

/// More rounds than any story needs; a bridge that keeps itself busy ends here.
const ROUNDS: usize = 500;

/// The world.
pub struct World {
    /// The one clock; it stands still unless a story moves it.
    pub clock: MovableClock,
    /// The embedded AWS and the template.
    pub stage: Arc<TestStack>,
    /// WhatsApp.
    pub meta: Meta,
    /// The sales team's side.
    pub chatwoot: Chatwoot,
    forward: Box<forward::Handler>,
    history: Box<history::Handler>,
    send: Box<send::Handler>,
    reconcile: Box<reconcile::Handler>,
    eraser: Box<erasure::Handler>,
    retention: Box<retention::Handler>,
    ledger: Box<ledger::Handler>,
    front: Arc<Server>,
    doors: Arc<Doors>,
}

/// With `STALE_AWS` in the environment every story plays on an AWS that is behind itself.
fn wanted_lag() -> Lag {
    if std::env::var_os("STALE_AWS").is_some() { Lag::LONG } else { Lag::default() }
}

/// What stands behind the front door.
struct Doors {
    stage: Arc<TestStack>,
    webhook: webhook::Handler,
    callback: callback::Handler,
    deletion: deletion::Handler,
    signup: Box<signup::Handler>,
    /// At which await the next request to `signup` is killed; never at 0.
    signup_stops: AtomicUsize,
}

impl World {
    /// Begins a story.
    pub async fn start() -> anyhow::Result<Self> {
        Box::pin(Self::start_in(Locale::Es)).await
    }

    /// Begins a story with agents of this language.
    pub async fn start_in(locale: Locale) -> anyhow::Result<Self> {
        Box::pin(Self::start_on(MovableClock::frozen(BEGINNING), locale)).await
    }

    /// The same on the machine's own time, for functions that run as processes.
    pub async fn start_now() -> anyhow::Result<Self> {
        Box::pin(Self::start_on(MovableClock::running(Duration::ZERO), Locale::Es)).await
    }

    /// Begins a story at that moment.
    pub async fn start_at(moment: Timestamp) -> anyhow::Result<Self> {
        Box::pin(Self::start_on(MovableClock::frozen(moment), Locale::Es)).await
    }

    async fn start_on(clock: MovableClock, locale: Locale) -> anyhow::Result<Self> {
        let shared: SharedClock = Arc::new(clock.clone());
        let meta = start_meta(shared.clone()).await?;
        let chatwoot = start_chatwoot(shared.clone()).await?;
        meta.faults().move_clock(clock.clone());
        chatwoot.faults().move_clock(clock.clone());
        let stage = Arc::new(TestStack::start(clock.clone(), CONFIG, &meta.url(), &chatwoot.url()).await?);
        stage.aws.lag(wanted_lag())?;
        if clock.pass(Duration::ZERO) {
            stage.aws.answer_at_once();
        }
        let doors = Doors {
            webhook: webhook::Handler::from_env(stage.environment("webhook")?, shared.clone())?,
            callback: callback::Handler::from_env(stage.environment("callback")?, shared.clone())?,
            deletion: deletion::Handler::from_env(stage.environment("deletion")?, shared.clone())?,
            signup: Box::new(Box::pin(signup::Handler::from_env(stage.environment("signup")?, shared.clone())).await?),
            signup_stops: AtomicUsize::new(0),
            stage: stage.clone(),
        };
        let doors = Arc::new(doors);
        let router = Router::new().fallback(enter).with_state(Arc::clone(&doors));
        let front = Arc::new(Server::start(loopback(), router, Faults::default()).await?);
        meta.set_webhook(&format!("{}/webhooks/meta", front.url()));
        meta.set_app_id("100000000000001");
        for (inbox, channel) in [(14, CHANNEL), (15, COEXISTENCE_CHANNEL)] {
            chatwoot.set_callback_url(inbox, &format!("{}/callbacks/chatwoot/{channel}", front.url()));
        }
        let language = match locale {
            Locale::Es => "es",
            Locale::En => "en",
        };
        let environment = |function| stage.environment(function).map(|env| env.with("LOCALE", language));
        Ok(Self {
            forward: Box::new(Box::pin(forward::Handler::from_env(environment("forward")?, shared.clone())).await?),
            history: Box::new(Box::pin(history::Handler::from_env(environment("history")?, shared.clone())).await?),
            send: Box::new(Box::pin(send::Handler::from_env(environment("send")?, shared.clone())).await?),
            reconcile: Box::new(
                Box::pin(reconcile::Handler::from_env(stage.environment("reconcile")?, shared.clone())).await?,
            ),
            eraser: Box::new(Box::pin(erasure::Handler::from_env(environment("erasure")?, shared.clone())).await?),
            ledger: Box::new(ledger::Handler::from_env(environment("ledger")?, shared.clone())?),
            retention: Box::new(Box::pin(retention::Handler::from_env(environment("retention")?, shared)).await?),
            clock,
            stage,
            meta,
            chatwoot,
            front,
            doors,
        })
    }

    /// From now on AWS is behind itself: counts, indexes and moves of dead letters come late.
    pub fn lag(&self) -> anyhow::Result<()> {
        self.stage.aws.lag(Lag::LONG)
    }

    /// Where the API answers.
    pub fn url(&self) -> String {
        self.front.url()
    }

    /// The API itself, to close it or to cut its lines.
    pub fn front(&self) -> &Server {
        &self.front
    }

    /// Moves the clock.
    pub fn pass(&self, time: Duration) {
        self.clock.advance(time);
        self.stage.aws.clock_moved();
    }

    /// Moves the clock, then lets the bridge work.
    pub async fn later(&self, time: Duration) -> anyhow::Result<()> {
        self.pass(time);
        self.work().await
    }

    /// Lets the bridge work until nothing is left that could be done now. What waits for a later time stays.
    pub async fn work(&self) -> anyhow::Result<()> {
        for _ in 0..ROUNDS {
            self.calm().await;
            let forwarded = self.forward_once().await? | self.import_once().await?;
            let sent = self.send_once().await?;
            let erased = self.erase_once().await?;
            if !forwarded && !sent && !erased {
                self.calm().await;
                if !self.forward_once().await?
                    && !self.import_once().await?
                    && !self.send_once().await?
                    && !self.erase_once().await?
                {
                    return Ok(());
                }
            }
        }
        anyhow::bail!("the bridge keeps itself busy")
    }

    /// Waits until both outside worlds have posted what they had to post.
    pub async fn calm(&self) {
        self.chatwoot.settled().await;
        self.meta.settled().await;
    }

    /// When an invocation that begins now ends.
    fn end(&self) -> Timestamp {
        self.clock.now() + INVOCATION
    }

    /// One batch through `forward`; tells whether there was one.
    pub async fn forward_once(&self) -> anyhow::Result<bool> {
        let Some(batch) = self.stage.batch("forward").await? else { return Ok(false) };
        let answer = Box::pin(app::work_off(&*self.forward, event(&batch)?, self.end())).await;
        self.stage.settle(&batch, &serde_json::to_value(answer)?);
        Ok(true)
    }

    /// One batch through `history`; tells whether there was one.
    pub async fn import_once(&self) -> anyhow::Result<bool> {
        let Some(batch) = self.stage.batch("history").await? else { return Ok(false) };
        let answer = Box::pin(app::work_off(&*self.history, event(&batch)?, self.end())).await;
        self.stage.settle(&batch, &serde_json::to_value(answer)?);
        Ok(true)
    }

    /// The same, killed at its `awaits`-th await. Tells whether it was.
    pub async fn import_killed(&self, awaits: usize) -> anyhow::Result<bool> {
        let batch = self.stage.batch("history").await?.context("there is nothing to import")?;
        let work = StopAfter::new(app::work_off(&*self.history, event(&batch)?, self.end()), awaits);
        let Some(answer) = work.await else {
            arrived().await;
            return Ok(true);
        };
        self.stage.settle(&batch, &serde_json::to_value(answer)?);
        Ok(false)
    }

    /// One batch through `send`; tells whether there was one.
    pub async fn send_once(&self) -> anyhow::Result<bool> {
        self.send_within(INVOCATION).await
    }

    /// The same, with so much time left.
    pub async fn send_within(&self, left: Duration) -> anyhow::Result<bool> {
        let Some(batch) = self.stage.batch("send").await? else { return Ok(false) };
        let answer = Box::pin(app::work_off(&*self.send, event(&batch)?, self.clock.now() + left)).await;
        self.stage.settle(&batch, &serde_json::to_value(answer)?);
        Ok(true)
    }

    /// One batch through `forward`, killed at its `awaits`-th await. Tells whether it was: a batch that ended before is
    /// settled as usual.
    pub async fn forward_killed(&self, awaits: usize) -> anyhow::Result<bool> {
        let batch = self.stage.batch("forward").await?.context("there is nothing to forward")?;
        let work = StopAfter::new(app::work_off(&*self.forward, event(&batch)?, self.end()), awaits);
        let Some(answer) = work.await else {
            arrived().await;
            return Ok(true);
        };
        self.stage.settle(&batch, &serde_json::to_value(answer)?);
        Ok(false)
    }

    /// The same with `send`.
    pub async fn send_killed(&self, awaits: usize) -> anyhow::Result<bool> {
        let batch = self.stage.batch("send").await?.context("there is nothing to send")?;
        let work = StopAfter::new(app::work_off(&*self.send, event(&batch)?, self.end()), awaits);
        let Some(answer) = work.await else {
            arrived().await;
            return Ok(true);
        };
        self.stage.settle(&batch, &serde_json::to_value(answer)?);
        Ok(false)
    }

    /// One batch through `erasure`; tells whether there was one.
    pub async fn erase_once(&self) -> anyhow::Result<bool> {
        let Some(batch) = self.stage.batch("erasure").await? else { return Ok(false) };
        let answer = Box::pin(app::work_off(&*self.eraser, event(&batch)?, self.end())).await;
        self.stage.settle(&batch, &serde_json::to_value(answer)?);
        Ok(true)
    }

    /// One batch through `erasure`, killed at its `awaits`-th await. Tells whether it was.
    pub async fn erase_killed(&self, awaits: usize) -> anyhow::Result<bool> {
        let batch = self.stage.batch("erasure").await?.context("there is nothing to erase")?;
        let work = StopAfter::new(app::work_off(&*self.eraser, event(&batch)?, self.end()), awaits);
        let Some(answer) = work.await else {
            arrived().await;
            return Ok(true);
        };
        self.stage.settle(&batch, &serde_json::to_value(answer)?);
        Ok(false)
    }

    /// The operator's word to `deletion`.
    pub async fn operator(&self, word: Value) -> anyhow::Result<Value> {
        Box::pin(self.doors.deletion.command(word)).await.map_err(|error| anyhow::anyhow!("{error}"))
    }

    /// The daily run of `retention`.
    pub async fn retention(&self) -> anyhow::Result<RetentionReport> {
        self.retention_within(RUN).await
    }

    /// The same, with so much time left.
    pub async fn retention_within(&self, left: Duration) -> anyhow::Result<RetentionReport> {
        Ok(Box::pin(self.retention.handle(left)).await?)
    }

    /// The daily run, killed at its `awaits`-th await. Tells whether it was.
    pub async fn retention_killed(&self, awaits: usize) -> bool {
        let killed = StopAfter::new(self.retention.handle(RUN), awaits).await.is_none();
        if killed {
            arrived().await;
        }
        killed
    }

    /// What the daily run would do.
    pub async fn retention_dry_run(&self) -> anyhow::Result<RetentionReport> {
        Ok(Box::pin(self.retention.dry_run()).await?)
    }

    /// The daily copy of the ledger.
    pub async fn ledger(&self) -> anyhow::Result<()> {
        Box::pin(self.ledger.handle()).await?;
        Ok(())
    }

    /// One round of `signup`.
    pub async fn signup_round(&self) -> anyhow::Result<signup::RoundReport> {
        Ok(Box::pin(self.doors.signup.round(self.clock.now() + INVOCATION)).await?)
    }

    /// The same, killed at its `awaits`-th await. Tells whether it was.
    pub async fn signup_round_killed(&self, awaits: usize) -> bool {
        let killed = StopAfter::new(self.doors.signup.round(self.clock.now() + INVOCATION), awaits).await.is_none();
        if killed {
            arrived().await;
        }
        killed
    }

    /// The next request to `signup` is killed at its `awaits`-th await.
    pub fn kill_signup(&self, awaits: usize) {
        self.doors.signup_stops.store(awaits, Ordering::Relaxed);
    }

    /// One round of `reconcile`.
    pub async fn reconcile(&self) -> anyhow::Result<Balance> {
        Ok(Box::pin(self.reconcile.handle()).await?)
    }

    /// The dead letters of a queue: reason and body.
    pub fn dead_letters(&self, queue: &str) -> Vec<(String, String)> {
        let dump = self.stage.aws.dump_queues();
        let queues = dump["queues"].as_array().into_iter().flatten();
        let dead =
            queues.filter(|shown| shown["name"].as_str().is_some_and(|name| name.contains(&format!("{queue}-dead"))));
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        dead.flat_map(|shown| shown["waiting"].as_array().into_iter().flatten())
            .map(|letter| (text(&letter["message_attributes"]["reason"]["StringValue"]), text(&letter["body"])))
            .collect()
    }

    /// What is in a queue, in any state.
    pub fn queued(&self, queue: &str) -> usize {
        let dump = self.stage.aws.dump_queues();
        let queues = dump["queues"].as_array().into_iter().flatten();
        let one =
            queues.filter(|shown| shown["name"].as_str().is_some_and(|name| name.ends_with(&format!("{queue}.fifo"))));
        let count = |shown: &Value, state: &str| shown[state].as_array().map_or(0, Vec::len);
        one.map(|shown| ["waiting", "delayed", "in_flight"].iter().map(|state| count(shown, state)).sum::<usize>())
            .sum()
    }

    /// What Chatwoot's agents read in a contact's newest conversation, one line a message.
    pub fn agent_reads(&self, contact: &str) -> Vec<String> {
        let Some(conversation) = self.chatwoot.conversation_of(contact) else { return Vec::new() };
        let line = |message: simulator_chatwoot::MessageView| {
            let who = match message.message_type.as_str() {
                _ if message.private => "note",
                "incoming" => contact,
                "activity" => "system",
                _ => "agent",
            };
            let mut line = format!("{who}: {}", message.content);
            for file in &message.attachments {
                line.extend([" [", file.filename.as_str(), "]"]);
            }
            if who == "agent" {
                line.push_str(match message.status.as_str() {
                    "delivered" => " ✓✓",
                    "read" => " ✓✓ read",
                    "failed" => " ✗",
                    _ => " ✓",
                });
            }
            if let Some(error) = &message.external_error {
                line.extend([" ", error.as_str()]);
            }
            line
        };
        self.chatwoot.messages(conversation).into_iter().map(line).collect()
    }

    /// The conversation with a contact.
    pub fn conversation(&self, contact: &str) -> anyhow::Result<i64> {
        self.chatwoot.conversation_of(contact).context("there is no conversation with that contact")
    }
}

/// What somebody who died had just asked for has arrived, and is done as far as it will be.
async fn arrived() {
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
}

fn event(batch: &Batch) -> anyhow::Result<SqsEvent> {
    Ok(serde_json::from_value(batch.event.clone())?)
}

fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

async fn start_meta(clock: SharedClock) -> anyhow::Result<Meta> {
    let number = |id: &str, display: &str, coexistence| Number {
        phone_number_id: id.to_owned(),
        waba_id: "109876543210987".to_owned(),
        display_phone_number: display.to_owned(),
        access_token: format!("token-of-{id}"),
        coexistence,
    };
    let numbers = vec![number(CHANNEL, "525555550100", false), number(COEXISTENCE_CHANNEL, "525555550101", true)];
    let settings = simulator_meta::Settings {
        listen: loopback(),
        clock,
        app_secret: APP_SECRET.to_owned(),
        numbers,
        statuses: Statuses::Manual,
    };
    Meta::start(settings).await
}

async fn start_chatwoot(clock: SharedClock) -> anyhow::Result<Chatwoot> {
    let inbox = |id, name: &str, secret: &str| Inbox {
        id,
        name: name.to_owned(),
        webhook_url: String::new(),
        secret: secret.to_owned(),
        lock_to_single_conversation: true,
    };
    let inboxes =
        vec![inbox(14, "WhatsApp Ventas", CALLBACK_SECRET), inbox(15, "WhatsApp Taller", "secret-of-the-workshop")];
    let settings = simulator_chatwoot::Settings {
        listen: loopback(),
        clock,
        account_id: ACCOUNT,
        token: TOKEN.to_owned(),
        inboxes,
    };
    Chatwoot::start(settings).await
}

/// Through the same events as in the cloud: request to event, event to request, handler, response.
async fn enter(State(doors): State<Arc<Doors>>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let answered = async {
        let body = axum::body::to_bytes(body, usize::MAX).await?;
        let Some((function, event)) = doors.stage.request(&parts, &body) else {
            return Ok(empty(StatusCode::NOT_FOUND));
        };
        let request = lambda_http::request::from_str(&event.to_string())?;
        let response = match function {
            "webhook" => app::answer(&doors.webhook, request).await,
            "deletion" => Box::pin(app::answer(&doors.deletion, request)).await,
            "signup" => {
                let stop = doors.signup_stops.swap(0, Ordering::Relaxed);
                if stop > 0 {
                    let killed = StopAfter::new(app::answer(&*doors.signup, request), stop).await;
                    let Some(response) = killed else {
                        arrived().await;
                        return Ok(empty(StatusCode::BAD_GATEWAY));
                    };
                    response
                } else {
                    Box::pin(app::answer(&*doors.signup, request)).await
                }
            }
            _ => app::answer(&doors.callback, request).await,
        };
        Ok::<_, anyhow::Error>(response.map(|body| Body::from(body.to_vec())))
    };
    answered.await.unwrap_or_else(|_| empty(StatusCode::INTERNAL_SERVER_ERROR))
}

fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}
