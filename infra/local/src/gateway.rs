//! The front: every path that is not the runner's own belongs to the HTTP API of the template.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    extract::{ConnectInfo, Request, State},
    http::{Response, StatusCode},
};
use domain::SharedClock;
use futures_util::StreamExt as _;
use tokio::time::timeout;

use crate::{
    answer,
    environments::{Failure, Functions},
    event::{self, Circumstances},
    monitor::Monitor,
    routes::Routes,
};

/// The largest request API Gateway takes.
const LARGEST_REQUEST: usize = 10 * 1024 * 1024;
/// What of a refused body is still read, so that the caller hears the refusal and not a cut line.
const LARGEST_REFUSED: usize = 64 * 1024 * 1024;
/// The longest API Gateway waits for a function.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// The HTTP API.
#[derive(Debug)]
pub(crate) struct Gateway {
    routes: Routes,
    functions: Functions,
    clock: SharedClock,
    monitor: Monitor,
    requests: AtomicU64,
}

impl Gateway {
    /// In front of `functions`.
    pub(crate) fn new(routes: Routes, functions: Functions, clock: SharedClock, monitor: Monitor) -> Self {
        Self { routes, functions, clock, monitor, requests: AtomicU64::new(0) }
    }
}

/// Answers one API request.
pub(crate) async fn handle(
    State(gateway): State<Arc<Gateway>>,
    ConnectInfo(source): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let found = gateway.routes.find(parts.method.as_str(), parts.uri.path());
    let body = match read(body).await {
        Read::Whole(body) => body,
        Read::TooLarge => return answer::empty(StatusCode::PAYLOAD_TOO_LARGE),
        Read::Broken => return answer::empty(StatusCode::BAD_REQUEST),
    };
    let Some(found) = found else { return answer::message(StatusCode::NOT_FOUND, "Not Found") };
    let Some(function) = gateway.functions.get(found.function) else {
        return answer::message(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable");
    };
    let number = gateway.requests.fetch_add(1, Ordering::Relaxed) + 1;
    let circumstances =
        Circumstances { source: source.ip(), at: gateway.clock.now(), request_id: format!("local-{number}") };
    let event = event::from_request(&parts, &body, &found, &circumstances).to_string();
    // A task of its own: the function goes on when the caller hangs up.
    let function = Arc::clone(function);
    let invocation = tokio::spawn(async move { function.invoke_once(Bytes::from(event)).await });
    let outcome = match timeout(LONGEST_WAIT, invocation).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => Err(Failure::Stopping),
        Err(_) => Err(Failure::TimedOut),
    };
    if let Err(failure) = &outcome {
        tracing::warn!(route = found.key, %failure, "an API request failed");
    }
    let answer = answer::from_outcome(&outcome);
    gateway.monitor.answered(answer.status().as_u16());
    answer
}

enum Read {
    Whole(Vec<u8>),
    TooLarge,
    Broken,
}

async fn read(body: Body) -> Read {
    let mut chunks = body.into_data_stream();
    let (mut whole, mut length) = (Vec::new(), 0_usize);
    while let Some(chunk) = chunks.next().await {
        let Ok(chunk) = chunk else { return Read::Broken };
        length += chunk.len();
        if length <= LARGEST_REQUEST {
            whole.extend_from_slice(&chunk);
        } else if length > LARGEST_REFUSED {
            break;
        } else {
            whole.clear();
        }
    }
    if length > LARGEST_REQUEST { Read::TooLarge } else { Read::Whole(whole) }
}
