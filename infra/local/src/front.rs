//! The paths of the runner's ports: the template's API, the page, and the runner's own routes.

use std::sync::Arc;

use axum::{
    Router,
    http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE},
    middleware,
    response::IntoResponse,
    routing::get,
};

use crate::{
    control::{self, Control},
    gateway::{self, Gateway},
    guard,
    simulators::Simulators,
};

/// Everything is in the page itself, and nothing else may come in.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; \
                      img-src 'self' data:; media-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'";

/// The API of the template, and nothing of the runner's own.
pub(crate) fn api(gateway: Arc<Gateway>) -> Router {
    Router::new().fallback(gateway::handle).with_state(gateway)
}

/// The page and the routes below `/_local`, for this machine only.
pub(crate) fn control(simulators: &Simulators, control: Arc<Control>) -> Router {
    let page = if simulators.both() { include_str!("page.html") } else { include_str!("status.html") };
    let routes = control::router(control).merge(simulators.control()).fallback(control::unknown);
    Router::new()
        .route("/", get(async move || show(page)))
        .nest("/_local", routes)
        .layer(middleware::from_fn(guard::this_machine))
}

fn show(page: &'static str) -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/html; charset=utf-8"), (CONTENT_SECURITY_POLICY, POLICY)], page)
}
