//! All paths of the one port: the page, the runner's own routes, and the template's API for everything else.

use std::sync::Arc;

use axum::{
    Router,
    http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE},
    response::IntoResponse,
    routing::get,
};

use crate::{
    control::{self, Control},
    gateway::{self, Gateway},
    simulators::Simulators,
};

/// Everything is in the page itself, and nothing else may come in.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; \
                      img-src 'self' data:; media-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'";

/// The router.
pub(crate) fn router(simulators: &Simulators, gateway: Arc<Gateway>, control: Arc<Control>) -> Router {
    let page = if simulators.both() { include_str!("page.html") } else { include_str!("status.html") };
    Router::new()
        .route("/", get(async move || show(page)))
        .fallback(gateway::handle)
        .with_state(gateway)
        .nest("/_local", control::router(control).merge(simulators.control()).fallback(control::unknown))
}

fn show(page: &'static str) -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/html; charset=utf-8"), (CONTENT_SECURITY_POLICY, POLICY)], page)
}
