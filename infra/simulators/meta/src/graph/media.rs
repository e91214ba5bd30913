//! Files: uploading, finding, downloading, deleting.

use std::{collections::HashMap, sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{Path, Query, Request, State as Shared},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
};
use bytes::{Bytes, BytesMut};
use futures_util::stream;
use serde_json::json;

use super::{error::GraphError, formats, ok, success};
use crate::{Number, state::Media, world::World};

const UPLOAD_LIVES: Duration = Duration::from_secs(30 * 24 * 3600);
const URL_LIVES: Duration = Duration::from_secs(5 * 60);
const CHUNK: usize = 64 * 1024;

/// The parts of an upload.
#[derive(Default)]
struct Form {
    product: Option<String>,
    kind: Option<String>,
    file: Option<File>,
}

struct File {
    name: String,
    content_type: Option<String>,
    bytes: Bytes,
    /// Counted to the end, also where the bytes are no longer kept.
    size: usize,
}

pub(super) async fn upload(
    Shared(world): Shared<Arc<World>>,
    Path((version, object)): Path<(String, String)>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    // Read to the end before anything is refused: the caller is still sending.
    let form = form(&parts.headers, body).await;
    match store(&world, &version, &object, &parts.headers, form) {
        Ok(id) => ok(json!({"id": id})),
        Err(error) => error.into_response(),
    }
}

fn store(
    world: &World,
    version: &str,
    object: &str,
    headers: &HeaderMap,
    form: Result<Form, multer::Error>,
) -> Result<String, GraphError> {
    super::version(version)?;
    let number = super::number(world, headers, "POST", object)?;
    let form = form.map_err(|_| GraphError::parameter("The body is not a multipart form."))?;
    if form.product.as_deref() != Some("whatsapp") {
        return Err(GraphError::new(400, 100, "(#100) The parameter messaging_product is required."));
    }
    let file = form.file.ok_or_else(|| GraphError::new(400, 100, "(#100) The parameter file is required."))?;
    let kind = form.kind.ok_or_else(|| GraphError::new(400, 100, "(#100) The parameter type is required."))?;
    let part = file.content_type.unwrap_or_else(|| kind.clone());
    if formats::essence(&part) != formats::essence(&kind) {
        return Err(GraphError::parameter(format!("Param type is '{kind}', received file of type '{part}'.")));
    }
    formats::check(&kind, &file.name, &file.bytes, file.size)?;
    let gone_at = world.now() + UPLOAD_LIVES;
    Ok(world.keep(&number.phone_number_id, file.bytes, &kind, Some(&file.name), gone_at, true))
}

async fn form(headers: &HeaderMap, body: Body) -> Result<Form, multer::Error> {
    let content_type = headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let boundary = multer::parse_boundary(content_type)?;
    let mut parts = multer::Multipart::new(body.into_data_stream(), boundary);
    let mut form = Form::default();
    while let Some(mut field) = parts.next_field().await? {
        match (field.name(), field.file_name().map(str::to_owned)) {
            (Some("messaging_product"), _) => form.product = Some(field.text().await?),
            (Some("type"), _) => form.kind = Some(field.text().await?),
            // Without a file name it is a text field, and Meta asks for the file.
            (Some("file"), Some(name)) => {
                let content_type = field.content_type().map(ToString::to_string);
                let (mut bytes, mut size) = (BytesMut::new(), 0);
                while let Some(chunk) = field.chunk().await? {
                    size += chunk.len();
                    if size <= formats::LARGEST {
                        bytes.extend_from_slice(&chunk);
                    }
                }
                form.file = Some(File { name, content_type, bytes: bytes.freeze(), size });
            }
            _ => while field.chunk().await?.is_some() {},
        }
    }
    Ok(form)
}

/// A file that these numbers' account can see.
fn visible(world: &World, numbers: &[Number], method: &str, id: &str) -> Result<Media, GraphError> {
    let state = world.state();
    let media = state.media.get(id).filter(|media| media.gone_at > world.now()).filter(|media| {
        let owner = state.number(&media.number);
        owner.is_some_and(|owner| numbers.iter().any(|number| number.waba_id == owner.waba_id))
    });
    media.cloned().ok_or_else(|| GraphError::not_visible(method, id))
}

/// What `GET /{media_id}` answers.
pub(super) fn describe(
    world: &World,
    numbers: &[Number],
    id: &str,
    query: &HashMap<String, String>,
) -> Result<Response, GraphError> {
    let media = visible(world, numbers, "GET", id)?;
    if query.get("phone_number_id").is_some_and(|number| *number != media.number) {
        return Err(GraphError::not_visible("GET", id));
    }
    let mut described = json!({
        "messaging_product": "whatsapp", "id": id, "mime_type": media.mime, "file_size": media.bytes.len(),
        "url": world.media_url(id, "getMedia", world.now() + URL_LIVES),
    });
    if world.state().rules.digests {
        described["sha256"] = hex::encode(media.sha256).into();
    }
    Ok(ok(described))
}

pub(super) async fn delete(
    Shared(world): Shared<Arc<World>>,
    Path((version, id)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let deleted = super::version(&version)
        .and_then(|()| super::authorized(&world, &headers))
        .and_then(|numbers| visible(&world, &numbers, "DELETE", &id));
    if let Err(error) = deleted {
        return error.into_response();
    }
    let now = world.now();
    if let Some(media) = world.state().media.get_mut(&id) {
        media.gone_at = now;
    }
    success()
}

pub(super) async fn download(
    Shared(world): Shared<Arc<World>>,
    Path(id): Path<String>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    let ext = query.get("ext").map(String::as_str).unwrap_or_default();
    let genuine = query.get("hash").is_some_and(|hash| *hash == world.media_hash(&id, ext));
    let fresh = ext.parse::<i64>().is_ok_and(|ext| world.now().as_secs() < ext);
    let media = super::authorized(&world, &headers).and_then(|numbers| visible(&world, &numbers, "GET", &id));
    match media {
        Ok(media) if genuine && fresh => stream_out(&media.mime, media.bytes),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

fn stream_out(mime: &str, mut bytes: Bytes) -> Response {
    let length = bytes.len();
    let chunks = std::iter::from_fn(move || {
        let chunk = bytes.split_to(CHUNK.min(bytes.len()));
        (!chunk.is_empty()).then_some(Ok::<_, std::convert::Infallible>(chunk))
    });
    let headers = [("content-type", mime.to_owned()), ("content-length", length.to_string())];
    (headers, Body::from_stream(stream::iter(chunks))).into_response()
}
