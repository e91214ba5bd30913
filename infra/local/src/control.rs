//! The runner's own routes under `/_local`: time, schedules, queues, balance, and what is to be watched.

use std::{path::PathBuf, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, Query, State},
    http::StatusCode,
    routing::{get, post},
};
use domain::Clock as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use simulator_wire::MovableClock;
use tokio::sync::Mutex;

use crate::{
    alarms::Alarm,
    balance::Balance,
    cloud::Cloud,
    environments::{Failure, Functions},
    file_clock,
    flow::{Flow, Leads},
    log_book::LogBook,
    monitor::Monitor,
    schedule::Schedules,
    signups::{Links, Wanted},
    watch::Watch,
};

pub(crate) type Answer = (StatusCode, Json<Value>);

/// What the routes work on.
#[derive(Debug)]
pub(crate) struct Control {
    pub(crate) cloud: Arc<Cloud>,
    pub(crate) balance: Balance,
    pub(crate) watch: Watch,
    pub(crate) links: Links,
    pub(crate) flow: Flow,
    pub(crate) leads: Vec<Leads>,
    pub(crate) monitor: Monitor,
    pub(crate) log: LogBook,
    pub(crate) alarms: Vec<Alarm>,
    pub(crate) clock: MovableClock,
    pub(crate) clock_file: PathBuf,
    pub(crate) functions: Functions,
    pub(crate) schedules: Arc<Schedules>,
    pub(crate) whereabouts: Whereabouts,
    /// One move of the clock at a time.
    pub(crate) moving: Mutex<()>,
}

/// Where everything is, for `ops --local`. Its time is added when it is asked for.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Whereabouts {
    /// The stack's name.
    pub(crate) stack: &'static str,
    /// How its AWS is reached.
    pub(crate) aws: AwsAccess,
    /// The table.
    pub(crate) table: String,
    /// The queues, dead letters too.
    pub(crate) queues: Vec<String>,
    /// Base of Graph.
    pub(crate) graph_url: String,
    /// Version of Graph.
    pub(crate) graph_version: String,
    /// Base of Chatwoot.
    pub(crate) chatwoot_url: String,
    /// Where the API answers.
    pub(crate) api_url: String,
}

/// How the AWS below is reached. The credentials open nothing else.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct AwsAccess {
    /// Where all services are spoken to.
    pub(crate) endpoint: String,
    /// The region.
    pub(crate) region: &'static str,
    /// Any will do.
    pub(crate) access_key_id: &'static str,
    /// Any will do.
    pub(crate) secret_access_key: &'static str,
}

/// The routes, to be nested at `/_local`.
pub(crate) fn router(control: Arc<Control>) -> Router {
    Router::new()
        .route("/clock", post(clock))
        .route("/run/{name}", post(run))
        .route("/queues", get(queues))
        .route("/balance", get(balance))
        .route("/flow", get(flow))
        .route("/log", get(log))
        .route("/erasures", get(erasures))
        .route("/alarms", get(alarms))
        .route("/deletion", post(deletion))
        .route("/signup", post(signup))
        .route("/stack", get(stack))
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
            self.monitor.look(&self.cloud);
            // The functions follow the file, everything else the clock itself.
            file_clock::write_offset(&self.clock_file, self.clock.offset().saturating_add(by))?;
            self.cloud.advance(by).await;
            self.monitor.jumped();
            self.monitor.look(&self.cloud);
        }
        self.cloud.sweep_ttl().await?;
        self.schedules.fire_due();
        Ok(())
    }
}

async fn run(State(control): State<Arc<Control>>, Path(name): Path<String>) -> Answer {
    match control.schedules.run_now(&name).await {
        None => refused(StatusCode::NOT_FOUND, &format!("this build has no schedule called {name}")),
        Some(Ok(answer)) => {
            let report: Value = serde_json::from_slice(&answer).unwrap_or_default();
            (StatusCode::OK, Json(json!({ "ran": name, "report": report })))
        }
        Some(Err(failure)) => refused(StatusCode::INTERNAL_SERVER_ERROR, &format!("{name} failed: {failure}")),
    }
}

async fn queues(State(control): State<Arc<Control>>) -> Answer {
    match control.cloud.dump_queues() {
        Some(dump) => (StatusCode::OK, Json(dump)),
        None => refused(StatusCode::NOT_FOUND, "only the embedded AWS shows its queues without a receive"),
    }
}

async fn balance(State(control): State<Arc<Control>>) -> Answer {
    match control.balance.read(control.clock.now()).await {
        Ok(sheets) => (StatusCode::OK, Json(sheets)),
        Err(error) => {
            refused(StatusCode::INTERNAL_SERVER_ERROR, &format!("the balance sheet cannot be read: {error:#}"))
        }
    }
}

async fn flow(State(control): State<Arc<Control>>) -> Json<Value> {
    Json(control.flow.show(&control.leads))
}

#[derive(Deserialize)]
struct Followed {
    trace: Option<String>,
}

async fn log(State(control): State<Arc<Control>>, Query(followed): Query<Followed>) -> Json<Value> {
    Json(json!({ "lines": control.log.of(followed.trace.as_deref()) }))
}

async fn erasures(State(control): State<Arc<Control>>) -> Answer {
    match control.watch.erasures(control.clock.now()).await {
        Ok(mut erasures) => {
            for erasure in &mut erasures {
                let code = erasure["code"].as_str().unwrap_or_default();
                erasure["page"] = json!(format!("{}/deletion/{code}", control.whereabouts.api_url));
            }
            (StatusCode::OK, Json(json!({ "erasures": erasures })))
        }
        Err(error) => refused(StatusCode::INTERNAL_SERVER_ERROR, &format!("the erasures cannot be read: {error:#}")),
    }
}

async fn signup(State(control): State<Arc<Control>>, body: Bytes) -> Answer {
    let Ok(wanted) = serde_json::from_slice::<Wanted>(&body) else {
        return refused(
            StatusCode::BAD_REQUEST,
            r#"expected {"account": N, "mode": "coexistence" or "cloud", "reconnect": ID, "lang": "es" or "en"}, all optional"#,
        );
    };
    match control.links.make(wanted).await {
        Ok((id, url)) => (StatusCode::OK, Json(json!({ "id": id, "url": url }))),
        Err(error) => refused(StatusCode::INTERNAL_SERVER_ERROR, &format!("no link could be made: {error:#}")),
    }
}

async fn alarms(State(control): State<Arc<Control>>) -> Answer {
    let alarms = control.monitor.judge(&control.alarms);
    match control.watch.channels().await {
        Ok(channels) => (StatusCode::OK, Json(json!({ "alarms": alarms, "channels": channels }))),
        Err(error) => refused(StatusCode::INTERNAL_SERVER_ERROR, &format!("the channels cannot be read: {error:#}")),
    }
}

async fn stack(State(control): State<Arc<Control>>) -> Json<Value> {
    let mut told = json!(control.whereabouts);
    told["now"] = json!(control.clock.now().as_millis());
    Json(told)
}

/// Any other path below `/_local`.
pub(crate) async fn unknown() -> Answer {
    refused(StatusCode::NOT_FOUND, "the local runner has no such route")
}

/// What the operator does in the cloud by invoking the function.
async fn deletion(State(control): State<Arc<Control>>, body: Bytes) -> Answer {
    const EXPECTED: &str = "expected {\"phone\": \"+52…\"} or {\"user_id\": \"MX.…\"}, or {\"receipt\": code}";
    let Ok(asked) = serde_json::from_slice::<Value>(&body) else { return refused(StatusCode::BAD_REQUEST, EXPECTED) };
    let one_of = |asked: &Value| {
        let members = asked.as_object().filter(|members| members.len() == 1)?;
        members
            .iter()
            .all(|(name, value)| ["phone", "user_id", "receipt"].contains(&name.as_str()) && value.is_string())
            .then_some(())
    };
    if one_of(&asked).is_none() {
        return refused(StatusCode::BAD_REQUEST, EXPECTED);
    }
    let Some(function) = control.functions.get("deletion").map(Arc::clone) else {
        return refused(StatusCode::NOT_FOUND, "this build has no function deletion");
    };
    match function.invoke_once(body).await {
        Ok(answer) => match serde_json::from_slice(&answer) {
            Ok(answer) => (StatusCode::OK, Json(answer)),
            Err(_) => refused(StatusCode::INTERNAL_SERVER_ERROR, "the function's answer cannot be read"),
        },
        // The function's own word: the phone is none, there is no receipt yet.
        Err(Failure::Function(why)) => refused(StatusCode::BAD_REQUEST, &why),
        Err(failure) => refused(StatusCode::INTERNAL_SERVER_ERROR, &failure.to_string()),
    }
}

fn refused(status: StatusCode, why: &str) -> Answer {
    (status, Json(json!({ "error": why })))
}
