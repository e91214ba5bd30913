//! A stub of Lambda's Runtime API, 2018-06-01, for one process: hands out one event after another and notes when what happened.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context as _;
use axum::{
    Router,
    body::Body,
    extract::{DefaultBodyLimit, Path, State},
    http::StatusCode,
    response::Response,
    routing::{get, post},
};
use bytes::Bytes;
use domain::{Clock as _, SystemClock};
use simulator_wire::{Faults, Server};
use tokio::sync::{Mutex, mpsc};

/// The largest answer of a function.
const LARGEST_ANSWER: usize = 6 * 1024 * 1024;

/// What a function has for an event.
const DEADLINE: Duration = Duration::from_secs(120);

/// The stub.
#[derive(Debug)]
pub struct RuntimeApi {
    server: Server,
    events: mpsc::UnboundedSender<Bytes>,
    heard: mpsc::UnboundedReceiver<Heard>,
}

/// What the process said.
#[derive(Clone, Debug)]
pub enum Heard {
    /// It asks for its next event.
    Next(Instant),
    /// It answered.
    Answer(Instant, Bytes),
    /// It reports that the event failed, or that it cannot start: the body of the report.
    Failure(Instant, Bytes),
}

#[derive(Debug)]
struct Desk {
    events: Mutex<mpsc::UnboundedReceiver<Bytes>>,
    heard: mpsc::UnboundedSender<Heard>,
    last: AtomicU64,
}

impl RuntimeApi {
    /// Starts it on a free port.
    pub async fn start() -> anyhow::Result<Self> {
        let (events, waiting) = mpsc::unbounded_channel();
        let (says, heard) = mpsc::unbounded_channel();
        let desk = Desk { events: Mutex::new(waiting), heard: says, last: AtomicU64::new(0) };
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(failure))
            .route("/2018-06-01/runtime/init/error", post(failure))
            .layer(DefaultBodyLimit::max(LARGEST_ANSWER))
            .with_state(Arc::new(desk));
        let server = Server::start(SocketAddr::from(([127, 0, 0, 1], 0)), router, Faults::default()).await?;
        Ok(Self { server, events, heard })
    }

    /// What `AWS_LAMBDA_RUNTIME_API` is to be.
    pub fn address(&self) -> String {
        self.server.address().to_string()
    }

    /// Puts an event down for the process to take.
    pub fn offer(&self, event: Bytes) {
        // The stub holds the other end as long as it lives.
        let _ = self.events.send(event);
    }

    /// What the process says next.
    pub async fn hear(&mut self) -> anyhow::Result<Heard> {
        self.heard.recv().await.context("the stub of the Runtime API is gone")
    }
}

async fn next(State(desk): State<Arc<Desk>>) -> Response {
    let _ = desk.heard.send(Heard::Next(Instant::now()));
    // A process that dies while it waits takes no event along: the call ends with its connection.
    let Some(event) = desk.events.lock().await.recv().await else { return std::future::pending().await };
    let id = desk.last.fetch_add(1, Ordering::Relaxed) + 1;
    Response::builder()
        .header("content-type", "application/json")
        .header("lambda-runtime-aws-request-id", format!("00000000-0000-4000-8000-{id:012x}"))
        .header("lambda-runtime-deadline-ms", (SystemClock.now() + DEADLINE).as_millis())
        .header("lambda-runtime-invoked-function-arn", "arn:aws:lambda:us-east-1:000000000000:function:rig")
        .header("lambda-runtime-trace-id", "Root=1-00000000-000000000000000000000000;Sampled=0")
        .body(Body::from(event))
        .unwrap_or_default()
}

async fn response(State(desk): State<Arc<Desk>>, Path(_): Path<String>, body: Bytes) -> StatusCode {
    let _ = desk.heard.send(Heard::Answer(Instant::now(), body));
    StatusCode::ACCEPTED
}

async fn failure(State(desk): State<Arc<Desk>>, body: Bytes) -> StatusCode {
    let _ = desk.heard.send(Heard::Failure(Instant::now(), body));
    StatusCode::ACCEPTED
}
