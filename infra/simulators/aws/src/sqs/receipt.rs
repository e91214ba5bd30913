//! Receipt handles: which message of which queue, and which receive of it.

use base64::{Engine as _, prelude::BASE64_STANDARD};

use super::fault;
use crate::error::ApiError;

/// Writes a handle.
pub(crate) fn write(queue: &str, order: u64, receipt: &str) -> String {
    BASE64_STANDARD.encode(format!("{queue}\n{order}\n{receipt}"))
}

/// Reads a handle that was issued for this queue.
pub(crate) fn read(queue: &str, handle: Option<&str>) -> Result<(u64, String), ApiError> {
    let handle = handle.ok_or_else(|| fault::missing("ReceiptHandle"))?;
    parse(queue, handle).ok_or_else(|| fault::receipt(handle))
}

fn parse(queue: &str, handle: &str) -> Option<(u64, String)> {
    let text = String::from_utf8(BASE64_STANDARD.decode(handle).ok()?).ok()?;
    let mut parts = text.split('\n');
    if parts.next()? != queue {
        return None;
    }
    Some((parts.next()?.parse().ok()?, parts.next()?.to_owned()))
}
