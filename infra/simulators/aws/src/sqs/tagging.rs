//! Tags of queues: kept, never looked at.

use std::collections::BTreeMap;

use domain::Clock as _;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Sqs, name_of, nothing, store::Store};
use crate::error::ApiError;

/// The input of all three calls.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Tagging {
    queue_url: Option<String>,
    #[serde(default)]
    tags: BTreeMap<String, String>,
    #[serde(default)]
    tag_keys: Vec<String>,
}

impl Sqs {
    pub(super) fn tag_queue(&self, input: Tagging) -> Result<Value, ApiError> {
        self.edit_tags(input.queue_url.as_deref(), |tags| tags.extend(input.tags))
    }

    pub(super) fn untag_queue(&self, input: &Tagging) -> Result<Value, ApiError> {
        self.edit_tags(input.queue_url.as_deref(), |tags| tags.retain(|key, _| !input.tag_keys.contains(key)))
    }

    pub(super) fn list_queue_tags(&self, input: &Tagging) -> Result<Value, ApiError> {
        let name = name_of(input.queue_url.as_deref())?;
        Ok(json!({"Tags": self.lock().queue(name)?.tags}))
    }

    fn edit_tags(
        &self,
        url: Option<&str>,
        edit: impl FnOnce(&mut BTreeMap<String, String>),
    ) -> Result<Value, ApiError> {
        let name = name_of(url)?;
        let mut store = self.lock();
        let mut queue = store.queue(name)?.clone();
        edit(&mut queue.tags);
        self.commit(&mut store, vec![Store::described(&queue)], self.clock.now())?;
        Ok(nothing())
    }
}
