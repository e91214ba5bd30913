//! What stands between `ops` and an emulator: it counts calls, refuses some, and kills whoever has made enough of them.

use std::{
    process::Child,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{Response, StatusCode},
    response::IntoResponse as _,
};
use simulator_wire::{Faults, Server};

/// The way to an emulator.
pub(crate) struct Between {
    server: Server,
    state: Arc<Inner>,
}

struct Inner {
    target: String,
    client: reqwest::Client,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    calls: Vec<String>,
    forbidden: Option<String>,
    doomed: Option<(usize, Arc<Mutex<Child>>)>,
}

impl Between {
    pub(crate) async fn start(target: &str) -> Self {
        let client = platform::http::Http::new(Arc::new(chatwoot::files::PublicOnly), None).unwrap().kept;
        let state = Arc::new(Inner { target: target.to_owned(), client, seen: Mutex::default() });
        let router = Router::new().fallback(hand_on).with_state(Arc::clone(&state));
        let server = Server::start(([127, 0, 0, 1], 0).into(), router, Faults::default()).await.unwrap();
        Self { server, state }
    }

    pub(crate) fn url(&self) -> String {
        self.server.url()
    }

    /// What was called since the last look.
    pub(crate) fn calls(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().calls)
    }

    /// Refuses calls that name this, as of credentials that may not do it.
    pub(crate) fn forbid(&self, part: Option<&str>) {
        self.lock().forbidden = part.map(str::to_owned);
    }

    /// Kills a process once that many calls of it have come, and gives it no answer to the last one.
    pub(crate) fn kill_after(&self, calls: usize, process: &Arc<Mutex<Child>>) {
        self.lock().doomed = Some((calls, Arc::clone(process)));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.state.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn hand_on(State(inner): State<Arc<Inner>>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let path = parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    let text = String::from_utf8_lossy(&body[..body.len().min(4096)]).into_owned();
    let target = parts.headers.get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let action = text.strip_prefix("Action=").and_then(|rest| rest.split('&').next()).unwrap_or(target);
    let call = format!("{} {path} {action}", parts.method);
    {
        let mut seen = inner.seen.lock().unwrap();
        seen.calls.push(call.clone());
        if seen.forbidden.as_ref().is_some_and(|part| call.contains(part.as_str())) {
            let denied = "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>User: \
                          arn:aws:iam::000000000000:user/operator is not authorized to perform this</Message></Error></ErrorResponse>";
            return (StatusCode::FORBIDDEN, denied).into_response();
        }
    }
    let mut forwarded = inner.client.request(parts.method, format!("{}{path}", inner.target));
    for (name, value) in parts.headers.iter().filter(|(name, _)| *name != "host" && *name != "content-length") {
        forwarded = forwarded.header(name, value);
    }
    let answer = forwarded.body(body).send().await;
    let doomed = {
        let mut seen = inner.seen.lock().unwrap();
        match &mut seen.doomed {
            Some((left, process)) if *left <= 1 => {
                let process = Arc::clone(process);
                seen.doomed = None;
                Some(process)
            }
            Some((left, _)) => {
                *left -= 1;
                None
            }
            None => None,
        }
    };
    if let Some(process) = doomed {
        let _ = process.lock().unwrap().kill();
    }
    let Ok(answer) = answer else { return StatusCode::BAD_GATEWAY.into_response() };
    let mut response = Response::builder().status(answer.status());
    for (name, value) in answer.headers().iter().filter(|(name, _)| *name != "transfer-encoding") {
        response = response.header(name, value);
    }
    response.body(Body::from(answer.bytes().await.unwrap_or_default())).unwrap()
}
