//! What all batches share: one to ten entries with ids of their own, each with an outcome of its own.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::fault;
use crate::error::ApiError;

/// Refuses a batch as a whole.
pub(crate) fn check<'a>(ids: impl Iterator<Item = &'a str>) -> Result<(), ApiError> {
    let ids: Vec<&str> = ids.collect();
    if ids.is_empty() {
        return Err(fault::batch_empty());
    }
    if ids.len() > 10 {
        return Err(fault::batch_too_many(ids.len()));
    }
    let mut seen = HashSet::new();
    for id in ids {
        let taken =
            !id.is_empty() && id.len() <= 80 && id.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
        if !taken {
            return Err(fault::batch_id());
        }
        if !seen.insert(id) {
            return Err(fault::batch_not_distinct(id));
        }
    }
    Ok(())
}

/// The answer: what went well and what did not.
pub(crate) fn answer<'a>(outcomes: impl Iterator<Item = (&'a str, Result<Value, ApiError>)>) -> Value {
    let mut successful = Vec::new();
    let mut failed = Vec::new();
    for (id, outcome) in outcomes {
        match outcome {
            Ok(mut entry) => {
                entry["Id"] = json!(id);
                successful.push(entry);
            }
            Err(error) => failed.push(json!({
                "Id": id,
                "SenderFault": error.status < 500,
                "Code": error.code(),
                "Message": error.message,
            })),
        }
    }
    let mut answer = json!({"Successful": successful});
    if !failed.is_empty() {
        answer["Failed"] = json!(failed);
    }
    answer
}
