//! The paths of the runner's ports: the template's API, the page, and the runner's own routes.

use std::sync::Arc;

use axum::{Router, middleware, routing::get};

use crate::{
    control::{self, Control},
    gateway::{self, Gateway},
    guard, page,
    simulators::Simulators,
};

/// The API of the template, and nothing of the runner's own.
pub(crate) fn api(gateway: Arc<Gateway>) -> Router {
    Router::new().fallback(gateway::handle).with_state(gateway)
}

/// The page and the routes below `/_local`, for this machine only.
pub(crate) fn control(simulators: &Simulators, control: Arc<Control>) -> Router {
    let chats = simulators.both();
    let routes = control::router(control).merge(simulators.control()).merge(page::router());
    Router::new()
        .route("/", get(async move || page::start(chats)))
        .nest("/_local", routes.fallback(control::unknown))
        .layer(middleware::from_fn(guard::this_machine))
}
