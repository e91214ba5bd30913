//! The runner's own routes under `/_local`: time, schedules, queues, the balance sheet.

use std::{path::PathBuf, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, State},
    http::StatusCode,
    routing::{get, post},
};
use domain::Clock as _;
use serde::Deserialize;
use serde_json::{Value, json};
use testkit_aws::Aws;
use testkit_wire::MovableClock;
use tokio::sync::Mutex;

use crate::{balance::Balance, file_clock, schedule::Schedules};

pub(crate) type Answer = (StatusCode, Json<Value>);

/// What the routes work on.
#[derive(Debug)]
pub(crate) struct Control {
    pub(crate) aws: Arc<Aws>,
    pub(crate) balance: Balance,
    pub(crate) clock: MovableClock,
    pub(crate) clock_file: PathBuf,
    pub(crate) schedules: Arc<Schedules>,
    /// One move of the clock at a time.
    pub(crate) moving: Mutex<()>,
}

/// The routes, to be nested at `/_local`.
pub(crate) fn router(control: Arc<Control>) -> Router {
    Router::new()
        .route("/clock", post(clock))
        .route("/run/{name}", post(run))
        .route("/queues", get(queues))
        .route("/balance", get(balance))
        .route("/deletion", post(deletion))
        .with_state(control)
}

#[derive(Deserialize)]
struct Move {
    advance_seconds: u64,
}

async fn clock(State(control): State<Arc<Control>>, body: Bytes) -> Answer {
    let Ok(Move { advance_seconds }) = serde_json::from_slice(&body) else {
        return refused(StatusCode::BAD_REQUEST, "expected {\"advance_seconds\": N} with N of 0 or more");
    };
    match control.advance(Duration::from_secs(advance_seconds)).await {
        Ok(()) => (StatusCode::OK, Json(json!({ "now": control.clock.now().as_secs() }))),
        Err(error) => refused(StatusCode::INTERNAL_SERVER_ERROR, &format!("the clock could not be moved: {error:#}")),
    }
}

impl Control {
    async fn advance(&self, by: Duration) -> anyhow::Result<()> {
        let _moving = self.moving.lock().await;
        if !by.is_zero() {
            // The functions follow the file, everything else the clock itself.
            file_clock::write_offset(&self.clock_file, self.clock.offset().saturating_add(by))?;
            self.aws.advance(by);
        }
        self.aws.sweep_ttl()?;
        self.schedules.fire_due();
        Ok(())
    }
}

async fn run(State(control): State<Arc<Control>>, Path(name): Path<String>) -> Answer {
    match control.schedules.run_now(&name).await {
        None => refused(StatusCode::NOT_FOUND, &format!("this build has no schedule called {name}")),
        Some(Ok(_)) => (StatusCode::OK, Json(json!({ "ran": name }))),
        Some(Err(failure)) => refused(StatusCode::INTERNAL_SERVER_ERROR, &format!("{name} failed: {failure}")),
    }
}

async fn queues(State(control): State<Arc<Control>>) -> Json<Value> {
    Json(control.aws.dump_queues())
}

async fn balance(State(control): State<Arc<Control>>) -> Answer {
    match control.balance.read(control.clock.now()).await {
        Ok(sheets) => (StatusCode::OK, Json(sheets)),
        Err(error) => {
            refused(StatusCode::INTERNAL_SERVER_ERROR, &format!("the balance sheet cannot be read: {error:#}"))
        }
    }
}

/// Any other path below `/_local`.
pub(crate) async fn unknown() -> Answer {
    refused(StatusCode::NOT_FOUND, "the local runner has no such route")
}

async fn deletion() -> Answer {
    refused(StatusCode::NOT_IMPLEMENTED, "erasure is not part of this build")
}

fn refused(status: StatusCode, why: &str) -> Answer {
    (status, Json(json!({ "error": why })))
}
