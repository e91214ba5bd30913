//! Brings an agent's file from Chatwoot to Meta. It streams the file, or lets Meta fetch it itself.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use chatwoot::{Chatwoot, ChatwootError, files, listing::ListedFile};
use domain::{Channel, Class, Classify as _, SendFailure, message::MediaKind, outgoing::FileWay, vcard};
use futures_util::{StreamExt as _, TryStreamExt as _, stream, stream::BoxStream};
use reqwest::{Body, header};
use tokio::sync::Semaphore;
use url::Url;
use whatsapp::{
    Graph, GraphError,
    compose::{GraphPayload, MAX_CARDS},
    graph::{Upload, file_timeout},
    media::{self, Way},
    names,
};

use super::voice;

/// One recording is coded at a time: several would compete for the processor and the memory until none is done in time.
static TRANSCODE_PERMIT: Semaphore = Semaphore::const_new(1);

/// The largest file that is read as contact cards; a file with a photo in it is larger, and goes as a document.
const MAX_CARD_FILE_BYTES: u64 = 64 * 1024;

/// Why a file is not at Meta.
#[derive(Debug)]
pub(crate) enum NotUploaded {
    /// It cannot be read, or Meta does not accept it.
    Never(SendFailure),
    /// Chatwoot announced it, but does not have it yet.
    Missing,
    /// Chatwoot's storage cannot deliver it whole at the moment.
    Unwell,
    /// Meta does not accept it under this type.
    WrongType,
    /// It did not arrive within the available time.
    Slow,
    /// Meta cannot accept it now.
    NotNow {
        /// Not before this, if Meta said so.
        after: Option<Duration>,
    },
    /// Meta refused the token.
    Unauthorized,
    /// Meta refused the token, and a newer one is in hand.
    TokenRenewed,
}

impl NotUploaded {
    /// What the agent is told when the file is given up.
    pub(crate) fn failure(&self) -> SendFailure {
        match self {
            Self::Never(failure) => *failure,
            Self::WrongType => SendFailure::FileRefused,
            Self::Slow | Self::NotNow { .. } => SendFailure::FileSlow,
            Self::Unauthorized | Self::TokenRenewed => SendFailure::refused(190),
            Self::Missing | Self::Unwell => SendFailure::FileUnreadable,
        }
    }
}

/// Whether a file holds contact cards, by what Chatwoot says of it.
pub(crate) fn is_cards(file: &ListedFile) -> bool {
    let mime = file.content_type.as_deref().map(media::essence).unwrap_or_default();
    let name = || file.data_url.as_deref().and_then(files::name).unwrap_or_default();
    matches!(mime.as_str(), "text/vcard" | "text/x-vcard" | "text/directory") || name().to_lowercase().ends_with(".vcf")
}

/// A file that is being read from Chatwoot.
struct Opened {
    name: String,
    mime_type: String,
    /// The address its bytes come from, valid for a few minutes; nothing if the bytes are no longer that file's.
    address: Option<Url>,
    size: u64,
    /// Its first bytes, which are also in `bytes`.
    head: Bytes,
    bytes: BoxStream<'static, reqwest::Result<Bytes>>,
    /// Whether Chatwoot's storage broke off the transfer.
    broke_off: Arc<AtomicBool>,
}

/// Uploads a file and gives what the call can send. For a file that stays a file, it also gives how it goes.
pub(crate) async fn upload(
    chatwoot: &Chatwoot,
    channel: &Channel,
    graph: &Graph,
    file: &ListedFile,
    caption: Option<&str>,
) -> Result<(GraphPayload, Option<FileWay>), NotUploaded> {
    if is_cards(file) && file.file_size.is_none_or(|size| size <= MAX_CARD_FILE_BYTES) {
        let cards = cards(chatwoot, file).await?;
        if (1..=MAX_CARDS).contains(&cards.len()) {
            return Ok((GraphPayload::Contacts(cards), None));
        }
    }
    let mut opened = open(chatwoot, file).await?;
    let ways = FileRoutes { chatwoot, channel, graph, file, caption };
    if caption.is_none()
        && voice::is_recording(&opened.name, &opened.mime_type)
        && opened.size <= voice::MAX_RECORDING_BYTES
    {
        let (note, recording) = spoken(opened).await?;
        if let Some(note) = note {
            match ways.send(note).await {
                // The recording can still go in another way.
                Err(NotUploaded::WrongType) => tracing::warn!("voice note refused by Meta; its recording is sent"),
                sent => return sent,
            }
        }
        opened = recording;
    }
    ways.send(opened).await
}

/// What all ways of sending a file need.
struct FileRoutes<'a> {
    chatwoot: &'a Chatwoot,
    channel: &'a Channel,
    graph: &'a Graph,
    file: &'a ListedFile,
    caption: Option<&'a str>,
}

impl FileRoutes<'_> {
    /// Tries the ways to send an opened file, the best first, until Meta has it or its address.
    async fn send(&self, opened: Opened) -> Result<(GraphPayload, Option<FileWay>), NotUploaded> {
        let name = names::fitting(&opened.name, &opened.mime_type);
        let (mime_type, size, address) = (opened.mime_type.clone(), opened.size, opened.address.clone());
        let ways = media::ways(&mime_type, size, &opened.head);
        let caption = || self.caption.map(str::to_owned);
        let (mut in_hand, mut refused) = (Some(opened), false);
        for way in ways {
            match way {
                Way::Upload { mime_type, kind } => {
                    let opened = match in_hand.take() {
                        Some(opened) => opened,
                        None => open(self.chatwoot, self.file).await?,
                    };
                    // A caption must not get lost because a file turns out to be audio.
                    let wordless = caption().is_some() && !media::takes_caption(kind);
                    let kind = if wordless { MediaKind::Document } else { kind };
                    match post(self.channel, self.graph, opened, mime_type).await {
                        Ok(id) => {
                            let payload = GraphPayload::File { kind, id, caption: caption(), filename: Some(name) };
                            return Ok((payload, Some(FileWay::Uploaded { kind })));
                        }
                        Err(NotUploaded::WrongType) => refused = true,
                        Err(other) => return Err(other),
                    }
                }
                Way::Link => {
                    if let Some(url) = address.clone().filter(|url| self.graph.can_fetch(url)) {
                        let why = match media::too_heavy(&mime_type, size) {
                            Some(kind) => FileWay::LinkedHeavy { kind },
                            None if refused || media::is_taken(&mime_type) => FileWay::LinkedOdd,
                            None => FileWay::LinkedType,
                        };
                        return Ok((GraphPayload::Link { url, caption: caption(), filename: name }, Some(why)));
                    }
                }
            }
        }
        Err(if refused {
            NotUploaded::WrongType
        } else {
            let heavy = media::too_heavy(&mime_type, size);
            NotUploaded::Never(heavy.map_or(SendFailure::FileKind, |kind| SendFailure::FileHeavy { kind }))
        })
    }
}

/// The same for a file that belongs to no message.
pub(crate) async fn upload_address(
    chatwoot: &Chatwoot,
    channel: &Channel,
    graph: &Graph,
    url: &str,
) -> Result<GraphPayload, NotUploaded> {
    let file = ListedFile { data_url: Some(url.to_owned()), content_type: None, file_size: None, file_type: None };
    upload(chatwoot, channel, graph, &file, None).await.map(|(payload, _)| payload)
}

/// Chatwoot gives a file's address on another origin than the bridge is configured for: the operator has to correct that.
pub(crate) fn elsewhere() -> NotUploaded {
    let (error, cause) = (ChatwootError::Elsewhere, app::ORIGINS_DIFFER);
    tracing::error!(%error, cause, page = app::REFUSALS_PAGE, "agents' files cannot be read");
    NotUploaded::Never(SendFailure::FileElsewhere)
}

/// Opens a file, reads its beginning, and checks what can be checked before Meta is called.
async fn open(chatwoot: &Chatwoot, file: &ListedFile) -> Result<Opened, NotUploaded> {
    // Chatwoot gives a file's address once the file is attached.
    let url = file.data_url.as_deref().filter(|url| !url.trim().is_empty()).ok_or(NotUploaded::Missing)?;
    let response = match chatwoot.file(url, file_timeout(media::MAX_MEDIA_BYTES)).await {
        Ok(response) => response,
        // Chatwoot announces files before its storage has them, and a storage that does not allow listing forbids what is not
        // there.
        Err(ChatwootError::Gone | ChatwootError::Unauthorized | ChatwootError::Unwell(403)) => {
            return Err(NotUploaded::Missing);
        }
        Err(ChatwootError::Elsewhere) => return Err(elsewhere()),
        Err(ChatwootError::Forbidden | ChatwootError::Refused(_)) => {
            return Err(NotUploaded::Never(SendFailure::FileUnreadable));
        }
        Err(error) => {
            tracing::warn!(%error, "agent's file cannot be read now");
            return Err(NotUploaded::Unwell);
        }
    };
    let header = |name| response.headers().get(name).and_then(|value: &header::HeaderValue| value.to_str().ok());
    let size: Option<u64> = header(header::CONTENT_LENGTH).and_then(|size| size.parse().ok());
    let name = files::name(url).and_then(|name| names::safe(&name));
    let called = file.content_type.as_deref().or_else(|| header(header::CONTENT_TYPE)).unwrap_or_default().to_owned();
    let address = Some(response.url().clone());
    let Some(size) = size.or(file.file_size) else { return Err(NotUploaded::Unwell) };
    if size > media::MAX_MEDIA_BYTES {
        return Err(NotUploaded::Never(SendFailure::FileTooLarge));
    }
    if file.file_size.is_some_and(|announced| announced != size) {
        tracing::warn!("agent's file is not as long as Chatwoot says");
        return Err(NotUploaded::Unwell);
    }
    if size == 0 {
        return Err(NotUploaded::Never(SendFailure::FileEmpty));
    }
    let broke_off = Arc::new(AtomicBool::new(false));
    let is_broken = Arc::clone(&broke_off);
    let bytes = response.bytes_stream().map(move |chunk| {
        is_broken.fetch_or(chunk.is_err(), Ordering::SeqCst);
        chunk.map_err(reqwest::Error::without_url)
    });
    let (head, bytes) = peek(bytes.boxed()).await.map_err(|error| {
        tracing::warn!(%error, "agent's file broke off at its beginning");
        NotUploaded::Unwell
    })?;
    let mime_type = media::judged(&called, name.as_deref().unwrap_or_default(), &head);
    let name = name.unwrap_or_else(|| format!("archivo.{}", names::ending(&mime_type)));
    Ok(Opened { name, mime_type, address, size, head, bytes, broke_off })
}

/// The beginning of a stream, and the whole stream.
async fn peek(
    mut bytes: BoxStream<'static, reqwest::Result<Bytes>>,
) -> reqwest::Result<(Bytes, BoxStream<'static, reqwest::Result<Bytes>>)> {
    let mut head = BytesMut::new();
    while head.len() < media::HEAD_BYTES {
        match bytes.next().await {
            Some(chunk) => head.extend_from_slice(&chunk?),
            None => break,
        }
    }
    let head = head.freeze();
    let whole = stream::iter([Ok(head.clone())]).chain(bytes);
    Ok((head, whole.boxed()))
}

async fn post(
    channel: &Channel,
    graph: &Graph,
    opened: Opened,
    mime_type: String,
) -> Result<domain::MediaId, NotUploaded> {
    let filename = names::for_upload(&opened.name, &mime_type);
    let upload = Upload { filename, mime_type, size: opened.size, body: Body::wrap_stream(opened.bytes) };
    match graph.upload(&channel.phone_number_id, upload).await {
        Ok(id) => Ok(id),
        Err(_) if opened.broke_off.load(Ordering::SeqCst) => {
            tracing::warn!("agent's file broke off on its way out of Chatwoot");
            Err(NotUploaded::Unwell)
        }
        Err(GraphError::TokenRenewed) => Err(NotUploaded::TokenRenewed),
        Err(error) if error.is_unauthorized() => Err(NotUploaded::Unauthorized),
        // A proxy's page, not Meta's envelope: the file is too large for it, and will be the next time.
        Err(GraphError::NoAnswer { status: Some(413), .. }) => Err(NotUploaded::WrongType),
        Err(error) if error.class() == Class::Permanent => Err(match error.code() {
            Some(code) if error.is_of_account() => {
                NotUploaded::Never(SendFailure::Refused { code, clue: error.clue() })
            }
            // Any other refusal of an upload is about the file itself; there may be another way for it.
            _ => NotUploaded::WrongType,
        }),
        Err(error) => {
            tracing::warn!(%error, "file not uploaded; it is tried again");
            let after = if let Class::Transient { after } = error.class() { after } else { None };
            Err(NotUploaded::NotNow { after })
        }
    }
}

/// Gives a recording as a voice note, if it can be made one, and the recording itself.
async fn spoken(opened: Opened) -> Result<(Option<Opened>, Opened), NotUploaded> {
    // Held until the work is over, even if its caller has stopped waiting.
    let permit = TRANSCODE_PERMIT.acquire().await;
    let (name, mime_type, address) = (opened.name, opened.mime_type, opened.address);
    let mp3 = whole(opened.bytes).await?;
    let coded = mp3.clone();
    // Coding takes the processor for seconds, and other conversations go on meanwhile.
    let coding = move || {
        let _permit = permit;
        voice::note(&coded)
    };
    let note = tokio::task::spawn_blocking(coding).await.ok().flatten();
    if note.is_none() {
        tracing::warn!("recording not made a voice note; it is sent as it is");
    }
    let note = note.map(|note| in_hand(name.replace(".mp3", ".ogg"), "audio/ogg".to_owned(), note.into()));
    Ok((note, Opened { address, ..in_hand(name, mime_type, mp3) }))
}

/// A small file that is in memory.
fn in_hand(name: String, mime_type: String, bytes: Bytes) -> Opened {
    Opened {
        name,
        mime_type,
        address: None,
        size: bytes.len() as u64,
        head: bytes.slice(..media::HEAD_BYTES.min(bytes.len())),
        bytes: stream::iter([Ok(bytes)]).boxed(),
        broke_off: Arc::default(),
    }
}

async fn whole(bytes: BoxStream<'static, reqwest::Result<Bytes>>) -> Result<Bytes, NotUploaded> {
    let chunks: Vec<Bytes> = bytes.try_collect().await.map_err(|_| NotUploaded::Unwell)?;
    Ok(chunks.concat().into())
}

/// The contact cards in a file; none if the file is too large, or no card can be read in it.
async fn cards(chatwoot: &Chatwoot, file: &ListedFile) -> Result<Vec<domain::message::Card>, NotUploaded> {
    let opened = open(chatwoot, file).await?;
    if opened.size > MAX_CARD_FILE_BYTES {
        return Ok(Vec::new());
    }
    Ok(vcard::parse(&String::from_utf8_lossy(&whole(opened.bytes).await?)))
}
