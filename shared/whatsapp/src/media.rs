//! Chooses how a file goes to Meta (§5). The choice depends on its type, its size and its first bytes.

use domain::message::MediaKind;

mod judged;

use self::judged::reads_as_text;
pub use self::judged::{declared, essence, judged, well_formed};

const MIB: u64 = 1024 * 1024;

/// The largest file of any kind, in bytes.
pub const MAX_MEDIA_BYTES: u64 = 100 * MIB;

/// The type that fits any file.
pub(crate) const OCTET_STREAM: &str = "application/octet-stream";

/// How many of the first bytes tell what a file is.
pub const HEAD_BYTES: usize = 512;

/// A way to send a file to Meta.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// It is uploaded. Meta accepts nineteen types and no others; `application/octet-stream` is not one of them.
    Upload {
        /// The type it is uploaded as.
        mime_type: String,
        /// What it is shown as.
        kind: MediaKind,
    },
    /// Meta fetches it from its address, as a document. That way Meta accepts any type.
    Link,
}

/// The ways for a file of this type (see [`judged`]), size and beginning, the best first. A file that Meta would refuse as
/// picture, sound or film goes as a document.
pub fn ways(mime_type: &str, size: u64, head: &[u8]) -> Vec<Way> {
    let upload = |mime_type: &str, kind| Way::Upload { mime_type: mime_type.to_owned(), kind };
    let reads = reads_as_text(head);
    let mut ways = Vec::new();
    match limit(mime_type) {
        Some(limit) if size <= limit && (mime_type != TEXT_PLAIN || reads) => {
            ways.push(upload(mime_type, outgoing_kind(mime_type, head)));
        }
        None if reads && size <= MAX_MEDIA_BYTES && (is_text(mime_type) || mime_type == OCTET_STREAM) => {
            ways.push(upload(TEXT_PLAIN, MediaKind::Document));
        }
        _ => {}
    }
    ways.push(Way::Link);
    ways
}

/// The kind of a file that is too large for Meta as that kind, where that is the reason why it cannot be uploaded.
pub fn too_heavy(mime_type: &str, size: u64) -> Option<MediaKind> {
    let kind = match mime_type.split_once('/')? {
        ("image", "webp") => MediaKind::Sticker,
        ("image", _) => MediaKind::Image,
        ("video", _) => MediaKind::Video,
        ("audio", _) => MediaKind::Audio,
        _ => return None,
    };
    limit(mime_type).is_some_and(|limit| size > limit).then_some(kind)
}

/// Whether Meta accepts uploads of this type.
pub fn is_taken(mime_type: &str) -> bool {
    limit(mime_type).is_some()
}

/// How a file of a type that can be uploaded is shown.
fn outgoing_kind(mime_type: &str, head: &[u8]) -> MediaKind {
    match mime_type {
        "image/jpeg" => MediaKind::Image,
        "image/png" if !is_deep(head) => MediaKind::Image,
        "video/mp4" | "video/3gpp" => MediaKind::Video,
        "audio/aac" | "audio/amr" | "audio/mpeg" | "audio/mp4" => MediaKind::Audio,
        "audio/ogg" if is_mono_opus(head) => MediaKind::Voice,
        _ => MediaKind::Document,
    }
}

const TEXT_PLAIN: &str = "text/plain";

/// The most bytes Meta accepts in an upload of this type; `None` if it accepts none.
fn limit(mime_type: &str) -> Option<u64> {
    match mime_type {
        "image/jpeg" | "image/png" => Some(5 * MIB),
        // The limit of a sticker; a larger WebP file has no other kind either.
        "image/webp" => Some(500 * 1024),
        "video/mp4" | "video/3gpp" | "audio/aac" | "audio/amr" | "audio/mpeg" | "audio/mp4" | "audio/ogg" => {
            Some(16 * MIB)
        }
        TEXT_PLAIN
        | "application/pdf"
        | "application/msword"
        | "application/vnd.ms-excel"
        | "application/vnd.ms-powerpoint"
        | "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
        | "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
        | "application/vnd.openxmlformats-officedocument.presentationml.presentation" => Some(MAX_MEDIA_BYTES),
        _ => None,
    }
}

/// Whether files of this type are texts, which Meta accepts as plain text.
pub(crate) fn is_text(mime_type: &str) -> bool {
    let sub = mime_type.strip_prefix("application/").unwrap_or_default();
    // Rich text shown as plain text would be full of marks.
    (mime_type.starts_with("text/") && !mime_type.ends_with("rtf"))
        || mime_type.ends_with("+xml")
        || mime_type.ends_with("+json")
        || matches!(
            sub,
            "csv" | "json" | "javascript" | "sql" | "toml" | "x-ndjson" | "x-sh" | "x-yaml" | "xml" | "yaml"
        )
}

/// Sixteen bits per color; WhatsApp accepts eight.
fn is_deep(head: &[u8]) -> bool {
    head.starts_with(b"\x89PNG\r\n\x1a\n") && head.get(24).is_some_and(|bits| *bits > 8)
}

/// The first page of an Ogg file holds one packet, the head of the stream (RFC 7845); Meta accepts Opus with one channel only.
fn is_mono_opus(head: &[u8]) -> bool {
    head.starts_with(b"OggS") && head.get(28..36) == Some(b"OpusHead") && head.get(37) == Some(&1)
}

/// Whether a file of this kind may have a caption.
pub fn takes_caption(kind: MediaKind) -> bool {
    matches!(kind, MediaKind::Image | MediaKind::Video | MediaKind::Document)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first page of an Ogg file with Opus, by its number of channels.
    fn opus(channels: u8) -> Vec<u8> {
        let mut head = b"OggS".to_vec();
        head.resize(28, 0);
        head.extend(b"OpusHead\x01");
        head.push(channels);
        head
    }

    fn first(mime_type: &str, size: u64, head: &[u8]) -> Way {
        ways(&judged(mime_type, "", head), size, head).remove(0)
    }

    fn upload(mime_type: &str, kind: MediaKind) -> Way {
        Way::Upload { mime_type: mime_type.to_owned(), kind }
    }

    #[test]
    fn metas_table_holds_to_the_byte() {
        for (mime, limit, kind) in [
            ("image/jpeg", 5 * MIB, MediaKind::Image),
            ("image/png", 5 * MIB, MediaKind::Image),
            ("video/mp4", 16 * MIB, MediaKind::Video),
            ("video/3gpp", 16 * MIB, MediaKind::Video),
            ("audio/aac", 16 * MIB, MediaKind::Audio),
            ("audio/amr", 16 * MIB, MediaKind::Audio),
            ("audio/mpeg", 16 * MIB, MediaKind::Audio),
            ("audio/mp4", 16 * MIB, MediaKind::Audio),
            ("application/pdf", MAX_MEDIA_BYTES, MediaKind::Document),
            ("text/plain", MAX_MEDIA_BYTES, MediaKind::Document),
        ] {
            assert_eq!(ways(mime, limit, b"x"), [upload(mime, kind), Way::Link], "{mime}");
            assert_eq!(ways(mime, limit + 1, b"x"), [Way::Link], "{mime}");
        }
        for other in
            ["image/gif", "image/heic", "audio/webm", "audio/wav", "video/quicktime", "application/zip", OCTET_STREAM]
        {
            assert_eq!(ways(other, 1, b"\0"), [Way::Link], "{other}");
        }
        assert_eq!(first("image/webp", 500 * 1024, b"x"), upload("image/webp", MediaKind::Document));
        assert_eq!(first("nonsense", 1, b"\0"), Way::Link);
        assert_eq!(too_heavy("image/jpeg", 5 * MIB + 1), Some(MediaKind::Image));
        assert_eq!((too_heavy("image/jpeg", 5 * MIB), too_heavy("image/heic", MAX_MEDIA_BYTES)), (None, None));
    }

    #[test]
    fn texts_of_all_kinds_are_plain_ones() {
        let text = upload(TEXT_PLAIN, MediaKind::Document);
        for mime in ["text/csv", "text/xml", "application/xml", "application/json", "image/svg+xml", "text/html", ""] {
            assert_eq!(first(mime, 900, "¡año!\r\n".as_bytes()), text, "{mime}");
        }
        assert_eq!(first("text/csv", 900, b"\xff\xfea\0b\0"), text);
        for (mime, head) in [("text/csv", &b"PK\x03\x04"[..]), ("text/plain", b"MZ\0\0"), ("", b"\x7fELF\x01")] {
            assert_eq!(first(mime, 900, head), Way::Link, "{mime}");
        }
    }

    #[test]
    fn a_text_stays_one_whatever_its_first_letters_are() {
        let text = upload(TEXT_PLAIN, MediaKind::Document);
        for head in
            ["Modelo: WAVE 110", "Moto    AVI 125", "ID3 usados", "GIF89a es un formato", "OggS", "%PDF- no", "#!AMR"]
        {
            assert_eq!(judged("text/plain", "lista.txt", head.as_bytes()), "text/plain", "{head}");
            assert_eq!(judged("", "lista.csv", head.as_bytes()), "text/csv", "{head}");
            assert_eq!(first("text/plain", 900, head.as_bytes()), text, "{head}");
        }
        // A name without an ending does not make a sound of it either.
        assert_eq!(judged("", "lista", b"Modelo: WAVE 110"), OCTET_STREAM);
        assert_eq!(judged("text/plain", "a.txt", b"GIF89a\x01\0\x01\0"), "image/gif");
    }

    #[test]
    fn only_opus_with_one_channel_is_a_voice_note() {
        let voice = upload("audio/ogg", MediaKind::Voice);
        assert_eq!(first("audio/opus", 1, &opus(1)), voice);
        assert_eq!(first("audio/ogg; codecs=opus", 16 * MIB, &opus(1)), voice);
        for head in [opus(2), b"OggS".to_vec(), b"OggS\x01vorbis".repeat(9), Vec::new()] {
            assert_eq!(first("audio/ogg", 1, &head), upload("audio/ogg", MediaKind::Document));
        }
    }

    #[test]
    fn a_picture_of_sixteen_bits_is_a_document() {
        let png = |bits: u8| [b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x01\0\0\0\x01".as_slice(), &[bits, 2]].concat();
        assert_eq!(first("image/png", 1, &png(8)), upload("image/png", MediaKind::Image));
        assert_eq!(first("image/png", 1, &png(16)), upload("image/png", MediaKind::Document));
    }
}
