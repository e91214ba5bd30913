//! An agent's file from Chatwoot to Meta, streamed.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use bridge::Clients;
use chatwoot::{Chatwoot, ChatwootError, files, listing::File};
use domain::{Channel, Class, Classify as _, message::MediaKind, words::Trouble};
use futures_util::StreamExt as _;
use reqwest::{Body, header};
use secrecy::SecretString;
use whatsapp::{
    compose::Piece,
    graph::{Upload, file_timeout},
    media,
};

/// Why a file is not at Meta.
#[derive(Debug)]
pub(crate) enum NotUploaded {
    /// It cannot be read, or Meta does not take it.
    Never(Trouble),
    /// Chatwoot announced it, but does not have it yet.
    Missing,
    /// Chatwoot's storage does not give it out whole just now.
    Unwell,
    /// Meta cannot take it now.
    NotNow,
    /// Meta refused the token.
    Unauthorized,
}

impl NotUploaded {
    /// What the agent is told when it is given up.
    pub(crate) fn trouble(&self) -> Trouble {
        match self {
            Self::Never(trouble) => *trouble,
            Self::Unauthorized => Trouble::Refused { code: 190 },
            Self::Missing | Self::Unwell | Self::NotNow => Trouble::FileUnreadable,
        }
    }
}

/// Uploads a file; what comes back can be sent.
pub(crate) async fn upload(
    clients: &Clients,
    chatwoot: &Chatwoot,
    channel: &Channel,
    token: &SecretString,
    file: &File,
    caption: Option<&str>,
) -> Result<Piece, NotUploaded> {
    let url = file.data_url.as_deref().unwrap_or_default();
    let response = match chatwoot.file(url, file_timeout(media::LIMIT)).await {
        Ok(response) => response,
        // Chatwoot announces files before its storage has them.
        Err(ChatwootError::Gone) => return Err(NotUploaded::Missing),
        Err(ChatwootError::Forbidden | ChatwootError::Refused(_) | ChatwootError::Unauthorized) => {
            return Err(NotUploaded::Never(Trouble::FileUnreadable));
        }
        Err(error) => {
            tracing::warn!(%error, "an agent's file cannot be read just now");
            return Err(NotUploaded::Unwell);
        }
    };
    let header = |name| response.headers().get(name).and_then(|value: &header::HeaderValue| value.to_str().ok());
    let size: Option<u64> = header(header::CONTENT_LENGTH).and_then(|size| size.parse().ok());
    let mime_type =
        file.content_type.as_deref().or_else(|| header(header::CONTENT_TYPE)).unwrap_or("application/octet-stream");
    let mime_type = media::essence(mime_type);
    let Some(size) = size.or(file.file_size) else { return Err(NotUploaded::Unwell) };
    if size > media::LIMIT {
        return Err(NotUploaded::Never(Trouble::FileTooLarge));
    }
    if file.file_size.is_some_and(|announced| announced != size) {
        tracing::warn!("an agent's file is not as long as Chatwoot says");
        return Err(NotUploaded::Unwell);
    }
    let kind = match media::outgoing_kind(&mime_type, size) {
        // Words must not get lost because a file turns out to be a sound.
        kind if caption.is_some() && !media::takes_caption(kind) => MediaKind::Document,
        kind => kind,
    };
    let name = files::name(url).and_then(|name| media::safe_name(&name));
    let name = name.unwrap_or_else(|| format!("archivo.{}", media::ending(&mime_type)));
    let broke_off = Arc::new(AtomicBool::new(false));
    let mark = Arc::clone(&broke_off);
    let bytes = response.bytes_stream().map(move |chunk| {
        mark.fetch_or(chunk.is_err(), Ordering::SeqCst);
        chunk.map_err(reqwest::Error::without_url)
    });
    let upload = Upload { filename: name.clone(), mime_type, size, body: Body::wrap_stream(bytes) };
    match clients.graph.upload(&channel.phone_number_id, token, upload).await {
        Ok(id) => Ok(Piece::File { kind, id, caption: caption.map(str::to_owned), filename: Some(name) }),
        Err(_) if broke_off.load(Ordering::SeqCst) => {
            tracing::warn!("an agent's file broke off on its way out of Chatwoot");
            Err(NotUploaded::Unwell)
        }
        Err(error) if error.is_unauthorized() => Err(NotUploaded::Unauthorized),
        Err(error) if error.class() == Class::Permanent => {
            // Of an upload, "invalid parameter" means the file itself; the agent is told what to do about that.
            let code = error.code().filter(|code| *code != 100).unwrap_or(131_053);
            Err(NotUploaded::Never(Trouble::Refused { code }))
        }
        Err(error) => {
            tracing::warn!(%error, "a file could not be uploaded; it is tried again");
            Err(NotUploaded::NotNow)
        }
    }
}
