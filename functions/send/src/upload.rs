//! An agent's file from Chatwoot to Meta, streamed.

use bridge::{BridgeError, Clients};
use chatwoot::{Chatwoot, ChatwootError, files, listing::File};
use domain::{Channel, Class, Classify as _, words::Trouble};
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
    /// Meta cannot take it now.
    NotNow,
    /// Meta refused the token.
    Unauthorized,
    /// Chatwoot or a store is not well.
    Later(BridgeError),
}

impl NotUploaded {
    /// What the agent is told when it is given up.
    pub(crate) fn trouble(&self) -> Trouble {
        match self {
            Self::Never(trouble) => *trouble,
            Self::Unauthorized => Trouble::Refused { code: 190 },
            Self::Missing | Self::NotNow | Self::Later(_) => Trouble::FileUnreadable,
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
        Err(error) => return Err(NotUploaded::Later(error.into())),
    };
    let header = |name| response.headers().get(name).and_then(|value: &header::HeaderValue| value.to_str().ok());
    let size: Option<u64> = header(header::CONTENT_LENGTH).and_then(|size| size.parse().ok());
    let mime_type =
        file.content_type.as_deref().or_else(|| header(header::CONTENT_TYPE)).unwrap_or("application/octet-stream");
    let mime_type = media::essence(mime_type);
    let Some(size) = size.or(file.file_size).filter(|size| *size <= media::LIMIT) else {
        return Err(NotUploaded::Never(Trouble::Refused { code: 131_053 }));
    };
    let kind = media::outgoing_kind(&mime_type, size);
    let name = files::name(url).and_then(|name| media::safe_name(&name));
    let name = name.unwrap_or_else(|| format!("archivo.{}", media::ending(&mime_type)));
    let bytes = response.bytes_stream().map(|chunk| chunk.map_err(reqwest::Error::without_url));
    let upload = Upload { filename: name.clone(), mime_type, size, body: Body::wrap_stream(bytes) };
    match clients.graph.upload(&channel.phone_number_id, token, upload).await {
        Ok(id) => Ok(Piece::File { kind, id, caption: caption.map(str::to_owned), filename: Some(name) }),
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
