use std::sync::Arc;
use axum::Router;
use crate::world::World;
pub(crate) fn router(_: Arc<World>) -> Router { Router::new() }
