//! Files that Meta fetches itself, from an address in the message.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use serde_json::Value;

use super::formats;
use crate::world::World;

/// Meta does not wait longer for a file.
const MAX_WAIT: Duration = Duration::from_secs(20);

/// What was found at an address.
#[derive(Debug)]
pub(super) struct Linked {
    pub(super) mime: String,
    pub(super) bytes: Bytes,
}

/// The file behind a message's address, or what Meta says of it later. Only this machine is looked at: what lies elsewhere
/// is believed unseen. Meta follows no redirects that could be relied on, so none is followed here.
pub(super) async fn fetch(world: &World, body: &Value) -> Option<Result<Linked, String>> {
    let kind = body["type"].as_str().filter(|kind| super::is_file(kind))?;
    let link: reqwest::Url = body[kind]["link"].as_str()?.parse().ok()?;
    if !matches!(link.host_str(), Some("127.0.0.1" | "localhost" | "[::1]")) {
        return None;
    }
    Some(open(world, kind, link).await)
}

async fn open(world: &World, kind: &str, link: reqwest::Url) -> Result<Linked, String> {
    let answer = world.fetcher.get(link).timeout(MAX_WAIT).send().await;
    let response = answer.map_err(|_| "Downloading media from weblink failed.".to_owned())?;
    let status = response.status().as_u16();
    if status != 200 {
        return Err(format!("Downloading media from weblink failed with http code {status}."));
    }
    let mime = response.headers().get("content-type").and_then(|mime| mime.to_str().ok()).unwrap_or_default();
    let mime = mime.to_owned();
    let (mut chunks, mut bytes) = (response.bytes_stream(), BytesMut::new());
    while let Some(chunk) = chunks.next().await {
        bytes.extend_from_slice(&chunk.map_err(|_| "Downloading media from weblink failed.".to_owned())?);
        if bytes.len() > formats::LARGEST {
            break;
        }
    }
    if world.state().rules.linked_types && !formats::is_taken(&mime) {
        return Err("Unsupported media type.".to_owned());
    }
    match formats::unfit(kind, &mime, bytes.len()) {
        None => Ok(Linked { mime, bytes: bytes.freeze() }),
        Some(details) => Err(details),
    }
}
