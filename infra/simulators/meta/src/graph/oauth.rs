//! Tokens: a code is exchanged for one, and the app asks what one is good for.

use std::{collections::HashMap, sync::Arc, time::Duration};

use axum::{
    extract::{Path, Query, State as Shared},
    http::HeaderMap,
    response::{IntoResponse as _, Response},
};
use serde_json::json;

use super::{error::GraphError, ok, params::Params};
use crate::{
    prospect,
    signup::{CodeRefusal, TokenKind},
    world::World,
};

/// How long data may be read for, by a token that ends.
const DATA_ACCESS: Duration = Duration::from_secs(90 * 24 * 3600);

/// `/oauth/access_token` of a version.
pub(super) async fn versioned(
    Shared(world): Shared<Arc<World>>,
    Path(version): Path<String>,
    params: Params,
) -> Response {
    super::version(&version).and_then(|()| exchange(&world, &params)).unwrap_or_else(GraphError::into_response)
}

/// The same without a version.
pub(super) async fn unversioned(Shared(world): Shared<Arc<World>>, params: Params) -> Response {
    exchange(&world, &params).unwrap_or_else(GraphError::into_response)
}

fn exchange(world: &World, params: &Params) -> Result<Response, GraphError> {
    let (app, secret) = (params.required("client_id")?, params.required("client_secret")?);
    let mut state = world.state();
    if state.subscriptions.app_id.as_deref().is_some_and(|own| own != app) {
        let message = "Error validating application. Cannot get application info due to a system error.";
        return Err(GraphError::new(400, 101, message));
    }
    if !world.postman.is_app_secret(secret) {
        return Err(GraphError::new(400, 1, "Error validating client secret."));
    }
    let exchanged = state.exchange(params.required("code")?, params.get("redirect_uri"), world.now());
    let (token, lives) = exchanged.map_err(|refusal| match refusal {
        CodeRefusal::Unknown => GraphError::new(400, 100, "Invalid verification code format."),
        CodeRefusal::TooOld => GraphError::coded(36_007, "This authorization code has expired."),
        CodeRefusal::OtherRedirect => GraphError::coded(
            36_008,
            "Error validating verification code. Please make sure your redirect_uri is identical to the one you used in \
             the OAuth dialog request",
        ),
        CodeRefusal::Used => GraphError::coded(36_009, "This authorization code has been used."),
    })?;
    let mut answer = json!({"access_token": token, "token_type": "bearer"});
    if let Some(lives) = lives {
        answer["expires_in"] = lives.into();
    }
    Ok(ok(answer))
}

/// `GET /debug_token`: what a token is good for. Only the app itself may ask.
pub(super) async fn debug_token(
    Shared(world): Shared<Arc<World>>,
    Path(version): Path<String>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    let app = super::version(&version).and_then(|()| app(&world, &headers, &query));
    let app = match app {
        Ok(app) => app,
        Err(error) => return error.into_response(),
    };
    let Some(token) = query.get("input_token").filter(|token| !token.is_empty()) else {
        return GraphError::new(400, 100, "(#100) The parameter input_token is required").into_response();
    };
    let state = world.state();
    let now = world.now();
    let access = match state.access(token, now) {
        Ok(access) => access,
        Err(subcode) => {
            let message = "The session has been invalidated because the user changed the password.";
            let error = json!({"code": 190, "subcode": subcode.unwrap_or(460), "message": message});
            return ok(json!({"data": {"app_id": app, "is_valid": false, "error": error, "scopes": []}}));
        }
    };
    let facts = access.facts;
    let grant = state.signup.grants.get(token);
    let (kind, user) = match (state.signup.rules.token_kind, grant) {
        (TokenKind::User, Some(grant)) => ("USER", grant.person.as_str()),
        _ => ("SYSTEM_USER", prospect::SYSTEM_USER),
    };
    let issued_at = grant.map_or(now, |grant| grant.issued_at);
    let data_ends = facts.expires_at.map_or(0, |_| (issued_at + DATA_ACCESS).as_secs());
    let mut data = json!({
        "app_id": facts.app_id.clone().unwrap_or(app), "type": kind, "application": "LMotos",
        "data_access_expires_at": data_ends, "expires_at": facts.expires_at.unwrap_or(0), "is_valid": true,
        "issued_at": issued_at.as_secs(), "scopes": facts.scopes, "user_id": user,
    });
    if facts.granular {
        let granular = facts.scopes.iter().filter(|scope| scope.starts_with("whatsapp_"));
        data["granular_scopes"] =
            granular.map(|scope| json!({"scope": scope, "target_ids": access.accounts})).collect();
    }
    ok(json!({ "data": data }))
}

/// The app whose own token this is, `id|secret`, in the header or as `access_token`.
pub(super) fn app(world: &World, headers: &HeaderMap, query: &HashMap<String, String>) -> Result<String, GraphError> {
    let token = super::bearer(headers).or_else(|| query.get("access_token").map(String::as_str)).unwrap_or_default();
    let (id, secret) = token.split_once('|').ok_or_else(|| GraphError::token(None))?;
    let own = world.state().subscriptions.app_id.clone();
    if !world.postman.is_app_secret(secret) || own.is_some_and(|own| own != id) {
        return Err(GraphError::new(400, 1, "Error validating client secret."));
    }
    Ok(id.to_owned())
}
