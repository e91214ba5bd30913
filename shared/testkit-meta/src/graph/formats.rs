//! Which files Meta takes, how large, and as what.

use super::error::GraphError;
use crate::state::Media;

const KB: usize = 1024;
const MB: usize = 1024 * KB;
/// No file is larger than this.
pub(super) const LARGEST: usize = 100 * MB;

const AUDIO: [&str; 6] = ["audio/aac", "audio/amr", "audio/mpeg", "audio/mp4", "audio/ogg", "audio/opus"];
const IMAGE: [&str; 2] = ["image/jpeg", "image/png"];
const STICKER: &str = "image/webp";
const VIDEO: [&str; 2] = ["video/mp4", "video/3gpp"];

/// Extensions that Meta judges by, and the types they may have.
const EXTENSIONS: [(&str, &[&str]); 17] = [
    ("aac", &["audio/aac"]),
    ("amr", &["audio/amr"]),
    ("mp3", &["audio/mpeg"]),
    ("m4a", &["audio/mp4"]),
    ("ogg", &["audio/ogg"]),
    ("opus", &["audio/ogg", "audio/opus"]),
    ("jpg", &["image/jpeg"]),
    ("jpeg", &["image/jpeg"]),
    ("png", &["image/png"]),
    ("webp", &["image/webp"]),
    ("gif", &["image/gif"]),
    ("mp4", &["video/mp4", "audio/mp4"]),
    ("3gp", &["video/3gpp"]),
    ("webm", &["video/webm", "audio/webm"]),
    ("pdf", &["application/pdf"]),
    ("txt", &["text/plain"]),
    ("docx", &["application/vnd.openxmlformats-officedocument.wordprocessingml.document"]),
];

/// The type without its parameters.
pub(super) fn essence(mime: &str) -> String {
    mime.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Checks an upload against the table of types and sizes.
pub(super) fn check(mime: &str, filename: &str, size: usize) -> Result<(), GraphError> {
    let mime = essence(mime);
    let family = mime.split_once('/').filter(|(family, kind)| !family.is_empty() && !kind.is_empty());
    let limit = match family {
        Some(_) if mime == STICKER => 500 * KB,
        Some(("audio", _)) if AUDIO.contains(&mime.as_str()) => 16 * MB,
        Some(("video", _)) if VIDEO.contains(&mime.as_str()) => 16 * MB,
        Some(("image", _)) if IMAGE.contains(&mime.as_str()) => 5 * MB,
        None | Some(("audio" | "video" | "image", _)) => return Err(refused(&mime)),
        Some(_) => LARGEST,
    };
    let extension = filename.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    let known = EXTENSIONS.iter().find(|(name, _)| extension.as_deref() == Some(*name));
    if mime != "application/octet-stream" && known.is_some_and(|(_, types)| !types.contains(&mime.as_str())) {
        return Err(refused(known.map_or(mime.as_str(), |(_, types)| types[0])));
    }
    if size == 0 {
        return Err(GraphError::parameter("Param file must not be empty."));
    }
    if size > limit {
        return Err(GraphError::media(format!("The file has {size} bytes; files of this type may have {limit}.")));
    }
    Ok(())
}

fn refused(mime: &str) -> GraphError {
    GraphError::new(
        400,
        100,
        format!(
            "(#100) Param file must be a file with one of the following types: {}, {}, {}, {STICKER}, or a document's. \
             Received file of type '{mime}'.",
            AUDIO.join(", "),
            IMAGE.join(", "),
            VIDEO.join(", ")
        ),
    )
}

/// Whether a file can be sent as this kind; Meta finds out only after it has accepted the message.
pub(super) fn fits(kind: &str, media: &Media, voice: bool) -> bool {
    let mime = essence(&media.mime);
    let mime = mime.as_str();
    match kind {
        "image" => IMAGE.contains(&mime),
        "video" => VIDEO.contains(&mime),
        "sticker" => mime == STICKER && (media.bytes.len() <= 100 * KB || is_animated(&media.bytes)),
        "audio" => {
            AUDIO.contains(&mime)
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
        assert!(check("image/jpeg", "foto.jpg", 5 * MB).is_ok());
        assert!(check("image/jpeg", "foto.jpg", 5 * MB + 1).is_err());
        assert!(check("audio/ogg; codecs=opus", "nota.ogg", 16 * MB).is_ok());
        assert!(check("audio/webm", "nota.webm", 10).is_err());
        assert!(check("video/quicktime", "clip.mov", 10).is_err());
        assert!(check("application/pdf", "cotización.pdf", LARGEST).is_ok());
        assert!(check("application/pdf", "cotización.pdf", LARGEST + 1).is_err());
        assert!(check("text/csv", "precios.csv", 10).is_ok());
        assert!(check("image/png", "foto.jpg", 10).is_err(), "the extension says otherwise");
        assert!(check("nonsense", "x", 10).is_err());
    }
}
