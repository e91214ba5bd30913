//! What every handler holds, and the layer around all of them: throttle, log, error pages as HTML.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State as Handed},
    http::{HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use domain::Timestamp;
use serde::Serialize;

use crate::{
    attachments, contacts, conversations, definitions, errors::Refusal, inboxes, messages, public_api, state::State,
};

/// The log keeps this many.
const MAX_LOGGED: usize = 20_000;

/// One call that the simulator answered. Calls that a fault swallowed before the work are not in the log.
#[derive(Clone, Debug, Serialize)]
pub struct RequestLog {
    /// The HTTP method.
    pub method: String,
    /// The path with its query.
    pub path: String,
    /// The status of the answer.
    pub status: u16,
    /// When it came.
    pub at: Timestamp,
}

#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    log: Mutex<VecDeque<RequestLog>>,
}

impl Shared {
    pub(crate) fn new(state: State) -> Self {
        Self { state: Mutex::new(state), log: Mutex::default() }
    }

    /// The state as of now: deletions that are due have happened.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.sweep();
        state
    }

    pub(crate) fn requests(&self) -> Vec<RequestLog> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    fn record(&self, entry: RequestLog) {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        if log.len() == MAX_LOGGED {
            log.pop_front();
        }
        log.push_back(entry);
    }
}

/// Every route of the simulator.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    let account = inboxes::routes()
        .merge(contacts::routes())
        .merge(conversations::routes())
        .merge(messages::routes())
        .merge(definitions::routes());
    Router::new()
        .nest("/api/v1/accounts/{account}", account)
        .merge(attachments::routes())
        .merge(public_api::routes())
        .fallback(|| async { Refusal::no_route() })
        .method_not_allowed_fallback(|| async { Refusal::no_route() })
        .layer(axum::extract::DefaultBodyLimit::disable())
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), around))
        .with_state(shared)
}

async fn around(Handed(shared): Handed<Arc<Shared>>, request: Request, next: Next) -> Response {
    let method = request.method().to_string();
    let path = request.uri().path_and_query().map(ToString::to_string).unwrap_or_default();
    let accept = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let wants_json = accept.contains("json");
    let (admitted, at) = {
        let mut state = shared.lock();
        let (limit, now) = (state.limits.requests_per_minute, state.now());
        let admitted = limit.is_none_or(|limit| state.throttles.admit("requests", limit, Duration::from_secs(60), now));
        (admitted, now)
    };
    let mut response = if admitted { next.run(request).await } else { Refusal::throttled().into_response() };
    name_the_kind(&mut response);
    shared.record(RequestLog { method, path, status: response.status().as_u16(), at });
    if !wants_json && response.status() == StatusCode::INTERNAL_SERVER_ERROR {
        return error_page(response.status());
    }
    response
}

/// JSON says its letters, and what has no body calls itself JSON, unless it may not have one.
fn name_the_kind(response: &mut Response) {
    if response.status() == StatusCode::NO_CONTENT {
        return;
    }
    let kind = response.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    let named = match kind {
        None => HeaderValue::from_static("application/json"),
        Some(b"application/json") => HeaderValue::from_static("application/json; charset=utf-8"),
        Some(_) => return,
    };
    response.headers_mut().insert(header::CONTENT_TYPE, named);
}

/// What comes instead of JSON for callers who did not ask for JSON.
fn error_page(status: StatusCode) -> Response {
    let page =
        "<!DOCTYPE html>\n<html><head><title>Lo sentimos, algo salió mal (500)</title></head><body></body></html>\n";
    (status, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], Body::from(page)).into_response()
}
