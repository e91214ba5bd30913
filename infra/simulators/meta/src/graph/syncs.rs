//! `POST /{phone_number_id}/smb_app_data`: a phone is asked for its contact book and its chats, once each.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{Path, State as Shared},
    http::HeaderMap,
    response::{IntoResponse as _, Response},
};
use serde_json::json;

use super::{error::GraphError, ok, onboarding, params::Params};
use crate::world::World;

/// How long after it joined a number can be asked.
const SPAN: Duration = Duration::from_secs(24 * 3600);

pub(super) async fn ask(
    Shared(world): Shared<Arc<World>>,
    Path((version, id)): Path<(String, String)>,
    headers: HeaderMap,
    params: Params,
) -> Response {
    super::version(&version)
        .and_then(|()| accept(&world, &id, &headers, &params))
        .unwrap_or_else(GraphError::into_response)
}

fn accept(world: &World, id: &str, headers: &HeaderMap, params: &Params) -> Result<Response, GraphError> {
    let number = onboarding::managed(world, headers, "POST", id)?;
    params.about_whatsapp()?;
    let sync = params.required("sync_type")?.to_owned();
    if !matches!(sync.as_str(), "history" | "smb_app_state_sync") {
        return Err(GraphError::parameter("Param sync_type must be one of {HISTORY, SMB_APP_STATE_SYNC}"));
    }
    if !number.coexistence {
        return Err(GraphError::parameter("The number is not used in the WhatsApp Business app."));
    }
    let past = {
        let mut state = world.state();
        let now = world.now();
        let line = state.line(id);
        line.sync_calls += 1;
        if line.asked.contains(&sync) {
            let message = "Synchronization request already made for this phone number";
            return Err(GraphError::new(400, 2_593_107, format!("(#2593107) {message}")));
        }
        if line.joined_at.is_none_or(|joined| now > joined + SPAN) {
            let message = "Synchronization request can only be made within 24 hours of onboarding";
            return Err(GraphError::new(400, 2_593_108, format!("(#2593108) {message}")));
        }
        line.asked.insert(sync.clone());
        line.past.clone()
    };
    past.tell(&number, &sync, &world.postman);
    let request = uuid::Uuid::new_v4().simple().to_string();
    Ok(ok(json!({"messaging_product": "whatsapp", "request_id": request})))
}
