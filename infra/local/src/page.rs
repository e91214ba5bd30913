//! The page and its parts: files of this build, and the runbook's pages beside it.

use std::path::PathBuf;

use axum::{
    Json, Router,
    extract::Path,
    http::{
        StatusCode,
        header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE},
    },
    response::{IntoResponse as _, Response},
    routing::get,
};
use serde_json::json;

/// Everything comes from this port, and nothing from elsewhere.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; \
                      media-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'";

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// What the page is made of: name, type, content.
const PARTS: [(&str, &str, &str); 10] = [
    ("page.css", "text/css; charset=utf-8", include_str!("page/page.css")),
    ("page.js", SCRIPT, include_str!("page/page.js")),
    ("status.js", SCRIPT, include_str!("page/status.js")),
    ("shared.js", SCRIPT, include_str!("page/shared.js")),
    ("texts.js", SCRIPT, include_str!("page/texts.js")),
    ("markdown.js", SCRIPT, include_str!("page/markdown.js")),
    ("whatsapp.js", SCRIPT, include_str!("page/whatsapp.js")),
    ("picker.js", SCRIPT, include_str!("page/picker.js")),
    ("chats.js", SCRIPT, include_str!("page/chats.js")),
    ("operation.js", SCRIPT, include_str!("page/operation.js")),
];

/// Where the runbook is in the tree that this runner was built from.
const RUNBOOK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/runbook");

/// `GET /`: with both chats, or with the operation alone.
pub(crate) fn start(chats: bool) -> Response {
    let page = if chats { include_str!("page/page.html") } else { include_str!("page/status.html") };
    show("text/html; charset=utf-8", page)
}

/// The routes of the parts, below `/_local`.
pub(crate) fn router() -> Router {
    Router::new().route("/page/{part}", get(part)).route("/docs/runbook/{page}", get(runbook))
}

async fn part(Path(name): Path<String>) -> Response {
    match PARTS.iter().find(|(known, _, _)| *known == name) {
        Some((_, kind, content)) => show(kind, content),
        None => missing("the page has no such part"),
    }
}

async fn runbook(Path(name): Path<String>) -> Response {
    let plain =
        name.strip_suffix(".md").is_some_and(|stem| stem.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'));
    let read = if plain { tokio::fs::read_to_string(PathBuf::from(RUNBOOK).join(&name)).await.ok() } else { None };
    match read {
        Some(text) => ([(CONTENT_TYPE, "text/markdown; charset=utf-8")], text).into_response(),
        None => missing("docs/runbook has no such page here"),
    }
}

fn missing(why: &str) -> Response {
    (StatusCode::NOT_FOUND, Json(json!({ "error": why }))).into_response()
}

fn show(kind: &'static str, content: &'static str) -> Response {
    // A newer build is seen at the next look.
    ([(CONTENT_TYPE, kind), (CONTENT_SECURITY_POLICY, POLICY), (CACHE_CONTROL, "no-cache")], content).into_response()
}
