//! Files: their bytes, the URL that never expires, and the one behind it that does.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Path, State as Handed},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use futures_util::stream;
use serde_json::json;
use url::Url;
use uuid::Uuid;

use crate::{
    auth::Caller,
    errors::{Answer, Refusal},
    params::{Params, Upload},
    rows::{Attachment, Blob, Message},
    shared::Shared,
    state::State,
    wire::AttachmentData,
};

/// How files are served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FileMode {
    /// A redirect, then the bytes.
    #[default]
    Normal,
    /// The first URL answers 404, as with a wrong `FRONTEND_URL`.
    Missing,
    /// Half of the bytes, a pause of this length, then the other half.
    Slow(Duration),
    /// The length that is announced is ten bytes more than what comes.
    WrongLength,
    /// The redirect leads to a URL that has expired already.
    Expired,
    /// Messages name the file without its URL, as long as it is not attached.
    NoAddress,
    /// The storage takes nothing: whoever writes a file gets a 500.
    Broken,
}

const LIFETIME: Duration = Duration::from_secs(300);

pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/rails/active_storage/blobs/redirect/{signed}/{filename}", get(redirect))
        .route("/rails/active_storage/disk/{token}/{filename}", get(disk))
        .route("/api/v1/accounts/{account}/upload", post(upload))
}

/// The kind of a file, from the content type of its part.
pub(crate) fn file_type(content_type: &str) -> &'static str {
    match content_type {
        "image/jpeg" | "image/jpg" | "image/png" | "image/gif" | "image/bmp" | "image/webp" => "image",
        "video/ogg" | "video/mp4" | "video/webm" | "video/quicktime" => "video",
        audio if audio.starts_with("audio/") => "audio",
        _ => "file",
    }
}

impl State {
    /// Keeps the bytes under a signed id.
    pub(crate) fn store_blob(&mut self, upload: Upload) -> String {
        let signed = format!("{}--{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        let opus =
            upload.bytes.starts_with(b"OggS") && upload.bytes.windows(8).take(64).any(|part| part == b"OpusHead");
        let content_type = if opus { "audio/opus".to_owned() } else { upload.content_type };
        let blob = Blob { filename: sanitized(&upload.filename), content_type, bytes: upload.bytes };
        self.blobs.insert(signed.clone(), blob);
        signed
    }

    /// A new attachment of a stored blob; nothing if there is no such blob.
    pub(crate) fn attach(&mut self, blob: String, declared: Option<&str>) -> Option<Attachment> {
        let stored = &self.blobs.get(&blob)?.content_type;
        let file_type = file_type(declared.unwrap_or(stored));
        Some(Attachment { id: self.next_id("attachment"), file_type, blob })
    }

    pub(crate) fn attachments_data(&self, message: &Message, older: bool) -> Vec<AttachmentData> {
        message
            .attachments
            .iter()
            .filter_map(|attachment| self.attachment_data(message.id, attachment, older))
            .collect()
    }

    fn attachment_data(&self, message: i64, attachment: &Attachment, older: bool) -> Option<AttachmentData> {
        let blob = self.blobs.get(&attachment.blob)?;
        let mut url = self.file_url("blobs/redirect", &attachment.blob, &blob.filename);
        if let Some(origin) = self.strays.get(&blob.filename) {
            url = url.replacen(&self.base_url, origin, 1);
        }
        let audio = attachment.file_type == "audio";
        if audio {
            url.push_str("?disposition=inline");
        }
        if self.file_mode == FileMode::NoAddress {
            url.clear();
        }
        let thumb = if attachment.file_type == "image" { url.clone() } else { String::new() };
        Some(AttachmentData {
            id: attachment.id,
            message_id: message,
            file_type: attachment.file_type,
            account_id: self.account_id,
            extension: blob.filename.rsplit_once('.').map(|(_, extension)| extension.to_owned()),
            content_type: (!older).then(|| blob.content_type.clone()),
            data_url: url,
            thumb_url: thumb,
            file_size: blob.bytes.len(),
            width: None,
            height: None,
            transcribed_text: audio.then_some(""),
        })
    }

    fn file_url(&self, kind: &str, key: &str, filename: &str) -> String {
        let path = format!("{}/rails/active_storage/{kind}/{key}", self.base_url);
        let Ok(mut url) = Url::parse(&path) else { return path };
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.push(filename);
        }
        url.into()
    }
}

/// Characters that a storage service would not like.
fn sanitized(filename: &str) -> String {
    let name = filename
        .trim()
        .replace(['/', '\\', '?', '%', '*', ':', '|', '"', '<', '>', '\0', '\r', '\n', '\t', ';', '\''], "-");
    if name.is_empty() { "file".to_owned() } else { name }
}

async fn redirect(Handed(shared): Handed<Arc<Shared>>, Path((signed, _)): Path<(String, String)>) -> Answer {
    let mut state = shared.lock();
    let language = state.language;
    let filename = state.blobs.get(&signed).map(|blob| blob.filename.clone());
    let filename =
        filename.filter(|_| state.file_mode != FileMode::Missing).ok_or_else(|| Refusal::not_found(language))?;
    let token = Uuid::new_v4().simple().to_string();
    let now = state.now();
    let until = if state.file_mode == FileMode::Expired { now } else { now + LIFETIME };
    state.disk_tokens.retain(|_, (_, until)| *until > now);
    state.disk_tokens.insert(token.clone(), (signed, until));
    let location = state.file_url("disk", &token, &filename);
    Ok((StatusCode::FOUND, [(header::LOCATION, location)]).into_response())
}

async fn disk(Handed(shared): Handed<Arc<Shared>>, Path((token, _)): Path<(String, String)>) -> Answer {
    let (blob, mode) = {
        let state = shared.lock();
        let valid = state.disk_tokens.get(&token).filter(|(_, until)| *until > state.now());
        let blob = valid.and_then(|(signed, _)| state.blobs.get(signed)).cloned();
        (blob.ok_or_else(Refusal::empty_not_found)?, state.file_mode)
    };
    Ok(served(blob, mode))
}

fn served(blob: Blob, mode: FileMode) -> Response {
    let length = blob.bytes.len();
    let (announced, body) = match mode {
        FileMode::Slow(pause) => (length, slow(blob.bytes, pause)),
        FileMode::WrongLength => (length + 10, cut_short(blob.bytes)),
        FileMode::Normal | FileMode::Missing | FileMode::Expired | FileMode::NoAddress | FileMode::Broken => {
            (length, Body::from(blob.bytes))
        }
    };
    let disposition = format!("inline; filename=\"{}\"", blob.filename.replace(|letter: char| !letter.is_ascii(), "?"));
    let headers = [
        (header::CONTENT_TYPE, blob.content_type),
        (header::CONTENT_LENGTH, announced.to_string()),
        (header::CONTENT_DISPOSITION, disposition),
    ];
    (headers, body).into_response()
}

/// Gives the server a turn to send what there is before it finds out that no more comes.
fn cut_short(bytes: Bytes) -> Body {
    Body::from_stream(stream::unfold(Some(bytes), |bytes| async {
        if bytes.is_none() {
            tokio::task::yield_now().await;
        }
        Some((Ok::<_, std::io::Error>(bytes?), None))
    }))
}

#[expect(clippy::disallowed_methods, reason = "a slow storage service is what this stages, and only when asked to")]
fn slow(bytes: Bytes, pause: Duration) -> Body {
    let half = bytes.len() / 2;
    let halves = [(Duration::ZERO, bytes.slice(..half)), (pause, bytes.slice(half..))];
    Body::from_stream(stream::unfold(halves.into_iter(), |mut halves| async {
        let (pause, bytes) = halves.next()?;
        tokio::time::sleep(pause).await;
        Some((Ok::<_, std::io::Error>(bytes), halves))
    }))
}

async fn upload(Handed(shared): Handed<Arc<Shared>>, _: Caller, mut params: Params) -> Answer {
    let mut state = shared.lock();
    let (limit, now) = (state.limits.uploads_per_hour, state.now());
    if !state.throttles.admit("upload", limit, Duration::from_secs(3600), now) {
        return Err(Refusal::throttled());
    }
    let Some(file) = params.files.pop() else {
        return Err(Refusal::unprocessable(state.language.say("No hay ningún archivo", "No file or URL provided")));
    };
    let signed = state.store_blob(file);
    let filename = state.blobs.get(&signed).map(|blob| blob.filename.clone()).unwrap_or_default();
    let file_url = state.file_url("blobs/redirect", &signed, &filename);
    Ok(axum::Json(json!({ "file_url": file_url, "blob_id": signed })).into_response())
}
