//! The Graph API: paths, versions, tokens.

mod error;
mod formats;
mod interactive;
mod links;
mod media;
mod messages;
mod oauth;
mod objects;
mod onboarding;
mod parameters;
mod params;
mod recipient;
mod registration;
mod syncs;
mod template;
mod validate;

use std::sync::Arc;

use axum::{
    Json, Router,
    http::{HeaderMap, Method, Uri},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use serde_json::{Value, json};

use self::error::GraphError;
pub use self::error::refusal;
pub(crate) use self::params::form;
use crate::{Number, signup::Access, world::World};

/// The routes of the Graph API.
pub(crate) fn router(world: Arc<World>) -> Router {
    Router::new()
        .route("/{version}/{object}/messages", post(messages::send))
        .route("/{version}/{object}/media", post(media::upload))
        .route("/{version}/{object}/message_templates", get(objects::templates))
        .route("/{version}/debug_token", get(oauth::debug_token))
        .route("/{version}/oauth/access_token", get(oauth::versioned).post(oauth::versioned))
        .route("/oauth/access_token", get(oauth::unversioned).post(oauth::unversioned))
        .route("/{version}/{object}/request_code", post(registration::request_code))
        .route("/{version}/{object}/verify_code", post(registration::verify_code))
        .route("/{version}/{object}/register", post(registration::register))
        .route("/{version}/{object}/deregister", post(registration::deregister))
        .route("/{version}/{object}/smb_app_data", post(syncs::ask))
        .route("/{version}/{object}/phone_numbers", get(onboarding::phone_numbers))
        .route(
            "/{version}/{object}/subscribed_apps",
            get(onboarding::subscribed_apps).post(onboarding::subscribe).delete(onboarding::unsubscribe),
        )
        .route("/{version}/{object}/subscriptions", get(onboarding::subscriptions).post(onboarding::set_subscriptions))
        .route("/{version}/{object}/contact_book", axum::routing::delete(objects::forget_contact))
        .route("/{version}/{object}", get(objects::read).delete(media::delete))
        .route("/media/{id}", get(media::download))
        .method_not_allowed_fallback(unsupported)
        .fallback(unknown_path)
        .with_state(world)
}

/// Whether messages of this type are files.
fn is_file(kind: &str) -> bool {
    matches!(kind, "image" | "video" | "audio" | "document" | "sticker")
}

async fn unknown_path(uri: Uri) -> Response {
    GraphError::new(400, 2500, format!("Unknown path components: {}", uri.path())).into_response()
}

async fn unsupported(method: Method, uri: Uri) -> Response {
    let id = uri.path().split('/').nth(2).unwrap_or_default();
    GraphError::not_visible(method.as_str(), id).into_response()
}

fn ok(body: Value) -> Response {
    Json(body).into_response()
}

fn success() -> Response {
    ok(json!({"success": true}))
}

/// Whether the path starts with a version such as `v25.0`.
fn version(segment: &str) -> Result<(), GraphError> {
    let numbers = segment.strip_prefix('v').and_then(|rest| rest.split_once('.'));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if numbers.is_some_and(|(major, minor)| digits(major) && digits(minor)) {
        Ok(())
    } else {
        Err(GraphError::new(400, 2500, format!("Unknown path components: /{segment}")))
    }
}

/// The bearer token of the call.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get("authorization")?.to_str().ok()?.strip_prefix("Bearer ")
}

/// What the token may use; refused if that is nothing, or if it is dead.
fn access(world: &World, headers: &HeaderMap) -> Result<Access, GraphError> {
    let access = world.state().access(bearer(headers).unwrap_or_default(), world.now());
    access.map_err(GraphError::token)
}

/// The numbers the token may use.
fn authorized(world: &World, headers: &HeaderMap) -> Result<Vec<Number>, GraphError> {
    access(world, headers).map(|access| access.numbers)
}

/// The number a path names, if the token may use it.
fn number(world: &World, headers: &HeaderMap, method: &str, id: &str) -> Result<Number, GraphError> {
    let own = authorized(world, headers)?.into_iter().find(|number| number.phone_number_id == id);
    own.ok_or_else(|| GraphError::not_visible(method, id))
}
