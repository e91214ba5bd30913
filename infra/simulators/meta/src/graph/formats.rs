//! Which files Meta takes, how large, and as what.

use super::error::GraphError;
use crate::state::Media;

const KB: usize = 1024;
const MB: usize = 1024 * KB;
/// No file is larger than this.
pub(super) const LARGEST: usize = 100 * MB;

const AUDIO: [&str; 6] = ["audio/aac", "audio/mp4", "audio/mpeg", "audio/amr", "audio/ogg", "audio/opus"];
const DOCUMENT: [&str; 8] = [
    "application/vnd.ms-powerpoint",
    "application/msword",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/pdf",
    "text/plain",
    "application/vnd.ms-excel",
];
const IMAGE: [&str; 2] = ["image/jpeg", "image/png"];
const STICKER: &str = "image/webp";
const VIDEO: [&str; 2] = ["video/mp4", "video/3gpp"];

/// Extensions that Meta judges by, and the types they may have.
const EXTENSIONS: [(&str, &[&str]); 23] = [
    ("aac", &["audio/aac"]),
    ("amr", &["audio/amr"]),
    ("mp3", &["audio/mpeg"]),
    ("m4a", &["audio/mp4"]),
    ("ogg", &["audio/ogg"]),
    ("opus", &["audio/opus"]),
    ("jpg", &["image/jpeg"]),
    ("jpeg", &["image/jpeg"]),
    ("png", &["image/png"]),
    ("webp", &["image/webp"]),
    ("gif", &["image/gif"]),
    ("heic", &["image/heic"]),
    ("mp4", &["video/mp4", "audio/mp4"]),
    ("3gp", &["video/3gpp"]),
    ("mov", &["video/quicktime"]),
    ("webm", &["video/webm", "audio/webm"]),
    ("wav", &["audio/wav"]),
    ("zip", &["application/zip"]),
    ("xml", &["application/xml"]),
    ("pdf", &["application/pdf"]),
    ("txt", &["text/plain"]),
    ("docx", &["application/vnd.openxmlformats-officedocument.wordprocessingml.document"]),
    ("xlsx", &["application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"]),
];

/// How files begin, and what they are. A box of Office's is a ZIP.
const MARKS: [(usize, &[u8], &str); 16] = [
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"GIF8", "image/gif"),
    (0, b"BM", "image/bmp"),
    (8, b"WEBP", "image/webp"),
    (8, b"WAVE", "audio/wav"),
    (4, b"ftypheic", "image/heic"),
    (4, b"ftypheix", "image/heic"),
    (4, b"ftypmif1", "image/heic"),
    (4, b"ftypqt  ", "video/quicktime"),
    (0, b"\x1a\x45\xdf\xa3", "video/webm"),
    (0, b"#!AMR", "audio/amr"),
    (0, b"OggS", "audio/ogg"),
    (0, b"%PDF", "application/pdf"),
    (0, b"PK\x03\x04", "application/zip"),
    (0, b"Rar!", "application/vnd.rar"),
];

/// The type without its parameters.
pub(super) fn essence(mime: &str) -> String {
    mime.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Checks an upload against the table of types and sizes; what the bytes are counts as well as what they are called.
pub(super) fn check(mime: &str, filename: &str, bytes: &[u8], size: usize) -> Result<(), GraphError> {
    let mime = essence(mime);
    let limit = limit(&mime).ok_or_else(|| refused(&mime))?;
    let extension = filename.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    let known = EXTENSIONS.iter().find(|(name, _)| extension.as_deref() == Some(*name));
    if let Some((_, types)) = known.filter(|(_, types)| !types.contains(&mime.as_str())) {
        return Err(refused(types[0]));
    }
    if let Some(found) = contents(bytes).filter(|found| !may_hold(&mime, found)) {
        return Err(refused(found));
    }
    if size == 0 {
        return Err(GraphError::parameter("Param file must not be empty."));
    }
    if size > limit {
        return Err(GraphError::media(format!("The file has {size} bytes; files of this type may have {limit}.")));
    }
    Ok(())
}

/// Whether files of this type can be uploaded.
pub(super) fn is_taken(mime: &str) -> bool {
    limit(&essence(mime)).is_some()
}

/// The most bytes of a type; nothing if it cannot be uploaded.
fn limit(mime: &str) -> Option<usize> {
    match mime {
        STICKER => Some(500 * KB),
        _ if IMAGE.contains(&mime) => Some(5 * MB),
        _ if AUDIO.contains(&mime) || VIDEO.contains(&mime) => Some(16 * MB),
        _ if DOCUMENT.contains(&mime) => Some(LARGEST),
        _ => None,
    }
}

/// What the first bytes say, where they say anything.
fn contents(bytes: &[u8]) -> Option<&'static str> {
    let begins = |at: usize, mark| bytes.get(at..).is_some_and(|rest: &[u8]| rest.starts_with(mark));
    let known = MARKS.iter().find(|(at, mark, _)| begins(*at, mark) && (*at != 8 || bytes.starts_with(b"RIFF")));
    let head = &bytes[..bytes.len().min(512)];
    let is_text = || !head.contains(&0) || head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff");
    known.map(|(_, _, mime)| *mime).or_else(|| (!is_text()).then_some("application/octet-stream"))
}

/// Whether a file of this type may begin like that.
fn may_hold(mime: &str, found: &str) -> bool {
    match found {
        "application/octet-stream" => mime != "text/plain",
        "application/zip" => mime.starts_with("application/vnd.openxmlformats"),
        "audio/ogg" => mime == "audio/ogg" || mime == "audio/opus",
        // Two letters, which a text may begin with, too.
        "image/bmp" => mime == "text/plain",
        found => mime == found,
    }
}

fn refused(mime: &str) -> GraphError {
    let types = [&AUDIO[..], &DOCUMENT[..], &IMAGE[..], &[STICKER], &VIDEO[..]].concat().join(", ");
    GraphError::new(
        400,
        100,
        format!(
            "(#100) Param file must be a file with one of the following types: {types}. Received file of type '{mime}'."
        ),
    )
}

/// Why Meta does not send a file that it fetched from an address itself, if so. As a document it takes any type.
pub(super) fn unfit(kind: &str, mime: &str, size: usize) -> Option<String> {
    let mime = essence(mime);
    let (fits, limit) = match kind {
        "image" => (IMAGE.contains(&mime.as_str()), 5 * MB),
        "video" => (VIDEO.contains(&mime.as_str()), 16 * MB),
        "audio" => (AUDIO.contains(&mime.as_str()) && mime != "audio/opus", 16 * MB),
        "sticker" => (mime == STICKER, 500 * KB),
        _ => (true, LARGEST),
    };
    match (fits, size <= limit) {
        (true, true) => None,
        (false, _) => Some(format!("Unsupported {kind} mime type {mime}.")),
        (_, false) => Some(format!("The file has {size} bytes; {limit} are allowed.")),
    }
}

/// Whether a file can be sent as this kind; Meta finds out only after it has accepted the message. It takes `audio/opus` in and does
/// not send it.
pub(super) fn fits(kind: &str, media: &Media, voice: bool) -> bool {
    let mime = essence(&media.mime);
    let mime = mime.as_str();
    match kind {
        "image" => IMAGE.contains(&mime),
        "video" => VIDEO.contains(&mime),
        "sticker" => mime == STICKER && (media.bytes.len() <= 100 * KB || is_animated(&media.bytes)),
        "audio" => {
            AUDIO.contains(&mime)
                && mime != "audio/opus"
                && !is_vorbis(&media.bytes)
                && !is_stereo(&media.bytes)
                && (!voice || mime == "audio/ogg")
        }
        _ => true,
    }
}

/// An Ogg file that holds Vorbis; browsers make them, WhatsApp plays only Opus.
fn is_vorbis(bytes: &[u8]) -> bool {
    bytes.starts_with(b"OggS") && contains(bytes, b"\x01vorbis")
}

/// Opus with more than one channel; WhatsApp plays only mono.
fn is_stereo(bytes: &[u8]) -> bool {
    bytes.starts_with(b"OggS")
        && bytes.get(28..36) == Some(b"OpusHead")
        && bytes.get(37).is_some_and(|channels| *channels != 1)
}

fn is_animated(bytes: &[u8]) -> bool {
    contains(bytes, b"ANIM")
}

/// Looks into the first bytes, where headers are.
fn contains(bytes: &[u8], mark: &[u8]) -> bool {
    bytes.windows(mark.len()).take(256).any(|window| window == mark)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_types_and_sizes_holds() {
        let check = |mime, name, size| check(mime, name, b"x", size);
        assert!(check("image/jpeg", "foto.jpg", 5 * MB).is_ok());
        assert!(check("image/jpeg", "foto.jpg", 5 * MB + 1).is_err());
        assert!(check("audio/ogg; codecs=opus", "nota.ogg", 16 * MB).is_ok());
        for refused in ["audio/webm", "video/quicktime", "image/gif", "image/heic", "text/csv", "application/xml"] {
            assert!(check(refused, "x", 10).is_err(), "{refused}");
        }
        for refused in ["application/zip", "application/octet-stream", "nonsense"] {
            assert!(check(refused, "x", 10).is_err(), "{refused}");
        }
        assert!(check("application/pdf", "cotización.pdf", LARGEST).is_ok());
        assert!(check("application/pdf", "cotización.pdf", LARGEST + 1).is_err());
        assert!(check("text/plain", "precios.csv", 10).is_ok());
        assert!(check("text/plain", "factura.xml", 10).is_err(), "the extension says otherwise");
        assert!(check("image/png", "foto.jpg", 10).is_err(), "the extension says otherwise");
    }

    #[test]
    fn what_the_bytes_are_counts() {
        let check = |mime, bytes| check(mime, "x", bytes, 20);
        assert!(check("image/jpeg", b"\x89PNG\r\n\x1a\n").is_err());
        assert!(check("image/jpeg", b"\0\0\0\x18ftypheic").is_err());
        assert!(check("text/plain", b"PK\x03\x04").is_err());
        assert!(check("text/plain", b"MZ\0\0").is_err());
        assert!(check(DOCUMENT[2], b"PK\x03\x04").is_ok());
        assert!(check("text/plain", b"<?xml version=\"1.0\"?>").is_ok());
    }
}
