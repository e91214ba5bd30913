//! Files that Meta fetches itself, from an address in the message.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use serde_json::Value;

use super::formats;
use crate::world::World;

/// Meta does not wait longer for a file.
const MAX_WAIT: Duration = Duration::from_secs(20);

/// What the header of a template can be.
const FILES: [&str; 3] = ["image", "video", "document"];

/// What was found at an address.
#[derive(Debug)]
pub(super) struct Linked {
    pub(super) mime: String,
    pub(super) bytes: Bytes,
}

/// The file behind a message's address, or what Meta says of it later. Only this machine is looked at: what lies elsewhere
/// is believed unseen. Meta follows no redirects that could be relied on, so none is followed here.
pub(super) async fn fetch(world: &World, body: &Value) -> Option<Result<Linked, String>> {
    let (kind, link) = named(body)?;
    let link: reqwest::Url = link.parse().ok()?;
    if !matches!(link.host_str(), Some("127.0.0.1" | "localhost" | "[::1]")) {
        return None;
    }
    Some(open(world, kind, link).await)
}

/// The address in a message, or in the header of a template, and the kind of file that is to be there.
fn named<'a>(body: &'a Value) -> Option<(&'a str, &'a str)> {
    let kind = body["type"].as_str()?;
    if super::is_file(kind) {
        return Some((kind, body[kind]["link"].as_str()?));
    }
    let components = body["template"]["components"].as_array()?.iter();
    let is_header = |part: &&Value| part["type"].as_str().is_some_and(|kind| kind.eq_ignore_ascii_case("header"));
    let mut parameters = components.filter(is_header).filter_map(|header| header["parameters"].as_array()).flatten();
    let linked = |one: &'a Value| FILES.into_iter().find_map(|kind| Some((kind, one[kind]["link"].as_str()?)));
    parameters.find_map(linked)
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
