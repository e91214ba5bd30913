//! Streams a file from Graph into Chatwoot. It is never held in memory. Its checksum is computed on the way, and the last
//! bytes go out only when it is right, so that a damaged file never becomes a message.

pub(crate) mod pending;

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, Ordering},
};

use app::HandlerError;
use bytes::Bytes;
use chatwoot::Attachment;
use domain::{
    Channel,
    message::{Digest, Media},
};
use futures_util::{Stream, StreamExt as _, stream};
use reqwest::{Body, header::CONTENT_LENGTH};
use sha2::{Digest as _, Sha256};
use whatsapp::{GraphError, graph::file_timeout, media, names};

use crate::Handler;

/// A file about to be uploaded, and whether it turned out damaged or broke off on Meta's side.
pub(crate) struct Fetched {
    pub(crate) attachment: Attachment,
    pub(crate) broken: Broken,
}

/// Set by the stream when the fault was not Chatwoot's.
#[derive(Clone, Default)]
pub(crate) struct Broken(Arc<Fault>);

#[derive(Default)]
struct Fault {
    set: AtomicBool,
    /// The digest of a file whose length is what Meta says but whose digest is not the webhook's, where Meta gives no other
    /// digest.
    doubtful: OnceLock<Digest>,
}

impl Broken {
    pub(crate) fn is_set(&self) -> bool {
        self.0.set.load(Ordering::SeqCst)
    }

    fn set(&self) {
        self.0.set.store(true, Ordering::SeqCst);
    }

    /// Gives the file's digest where only the webhook's digest contradicts it: if a second fetch gives the same, the
    /// webhook is wrong.
    pub(crate) fn doubted(&self) -> Option<Digest> {
        self.0.doubtful.get().cloned()
    }
}

impl Handler {
    /// Opens a customer's file at Meta.
    pub(crate) async fn fetch(&self, channel: &Channel, file: &Media) -> Result<Fetched, HandlerError> {
        let graph = self.clients.graph(channel).await?;
        let located = graph.locate(&file.id, &channel.phone_number_id).await?;
        let response = graph.open(&located).await?;
        let announced =
            response.headers().get(CONTENT_LENGTH).and_then(|n| n.to_str().ok()).and_then(|n| n.parse().ok());
        let size: Option<u64> = announced.or(located.size);
        let declared =
            file.mime_type.clone().or(located.mime_type).unwrap_or_else(|| "application/octet-stream".to_owned());
        let name = file.filename.as_deref().and_then(names::safe);
        // Phones and computers declare a type that says little for many files: the name may say more.
        let mime_type = name.as_deref().map_or(declared.clone(), |name| media::declared(&declared, name));
        let filename = name.map_or_else(
            || format!("{}.{}", whatsapp::compose::word(file.kind), names::ending(&mime_type)),
            |name| names::fitting(&name, &mime_type),
        );
        // The webhook's digest may be wrong; what Meta says of the file itself counts as well.
        let expected = Expected { size, told: file.sha256.clone(), own: located.sha256 };
        let broken = Broken::default();
        let bytes = response.bytes_stream().map(|chunk| chunk.map_err(reqwest::Error::without_url));
        let checked = checked(bytes, expected, broken.clone());
        let attachment = Attachment {
            filename,
            mime_type,
            size,
            body: Body::wrap_stream(checked),
            limit: file_timeout(size.unwrap_or(media::MAX_MEDIA_BYTES)),
        };
        Ok(Fetched { attachment, broken })
    }
}

/// The length and digests a file has to have.
#[derive(Clone)]
struct Expected {
    size: Option<u64>,
    /// The webhook's digest.
    told: Option<Digest>,
    /// Meta's own digest of the file.
    own: Option<Digest>,
}

/// Passes the bytes on; the last chunk is held back until length and checksum are known to be right.
fn checked<E: Into<Box<dyn std::error::Error + Send + Sync>> + Send + 'static>(
    bytes: impl Stream<Item = Result<Bytes, E>> + Send + 'static,
    expected: Expected,
    broken: Broken,
) -> impl Stream<Item = Result<Bytes, Box<dyn std::error::Error + Send + Sync>>> + Send {
    struct State<S> {
        bytes: std::pin::Pin<Box<S>>,
        hash: Sha256,
        seen: u64,
        held: Option<Bytes>,
        over: bool,
    }
    let start = State { bytes: Box::pin(bytes), hash: Sha256::new(), seen: 0, held: None, over: false };
    stream::unfold(start, move |mut state| {
        let (expected, broken) = (expected.clone(), broken.clone());
        async move {
            if state.over {
                return None;
            }
            loop {
                match state.bytes.next().await {
                    Some(Ok(chunk)) => {
                        state.hash.update(&chunk);
                        state.seen += chunk.len() as u64;
                        if let Some(before) = state.held.replace(chunk) {
                            return Some((Ok(before), state));
                        }
                    }
                    Some(Err(error)) => {
                        broken.set();
                        state.over = true;
                        return Some((Err(error.into()), state));
                    }
                    None => {
                        state.over = true;
                        let digest = Digest(hex::encode(std::mem::take(&mut state.hash).finalize()));
                        let whole = expected.size.is_none_or(|size| state.seen == size);
                        let mut known = expected.told.iter().chain(&expected.own).peekable();
                        if !whole || (known.peek().is_some() && !known.any(|known| *known == digest)) {
                            if whole && expected.own.is_none() {
                                let _ = broken.0.doubtful.set(digest);
                            }
                            broken.set();
                            return Some((Err(Box::new(GraphError::Checksum).into()), state));
                        }
                        return state.held.take().map(|last| (Ok(last), state));
                    }
                }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    async fn through(chunks: &[&'static [u8]], size: impl Into<Option<u64>>, expected: &[&str]) -> (Vec<u8>, bool) {
        let broken = Broken::default();
        let chunks: Vec<Result<Bytes, io::Error>> = chunks.iter().map(|chunk| Ok(Bytes::from_static(chunk))).collect();
        let mut digests = expected.iter().map(|&digest| Digest(digest.to_owned()));
        let expected = Expected { size: size.into(), told: digests.next(), own: digests.next() };
        let stream = checked(stream::iter(chunks), expected, broken.clone());
        let out: Vec<_> = stream.collect().await;
        let sent = out.iter().flatten().flat_map(|chunk| chunk.to_vec()).collect();
        assert_eq!(out.iter().any(Result::is_err), broken.is_set());
        (sent, broken.is_set())
    }

    /// SHA-256 of `abcdef`.
    const DIGEST: &str = "bef57ec7f53a6d40beb640a780a639c83bc29ac8a9816f1fc6c5c6dcd93c4721";

    #[tokio::test]
    async fn what_is_right_goes_through_whole() {
        assert_eq!(through(&[b"ab", b"cd", b"ef"], 6, &[DIGEST]).await, (b"abcdef".to_vec(), false));
        assert_eq!(through(&[b"abc", b"def"], 6, &["of another file", DIGEST]).await, (b"abcdef".to_vec(), false));
        assert_eq!(through(&[], 0, &[]).await, (Vec::new(), false));
        assert_eq!(through(&[b"ab", b"cd"], None, &[]).await, (b"abcd".to_vec(), false));
    }

    #[tokio::test]
    async fn what_is_damaged_or_short_never_becomes_whole() {
        assert_eq!(through(&[b"ab", b"cd", b"eg"], 6, &[DIGEST]).await, (b"abcd".to_vec(), true));
        assert_eq!(through(&[b"ab", b"cd"], 6, &[]).await, (b"ab".to_vec(), true));
    }
}
