//! What a file may be sent as (§5), and names and types that are safe to pass on.

use domain::message::MediaKind;

const MIB: u64 = 1024 * 1024;

/// The largest file of any kind, in bytes.
pub const LIMIT: u64 = 100 * MIB;

/// What any file is.
const ANY: &str = "application/octet-stream";

/// How much of its beginning tells what a file is.
pub const HEAD: usize = 64;

/// What a file of this type (see [`canonical`]), size and beginning is sent as. What Meta would refuse as picture, sound or
/// film goes as a document.
pub fn outgoing_kind(mime_type: &str, size: u64, head: &[u8]) -> MediaKind {
    if limit(mime_type).is_none_or(|limit| size > limit) {
        return MediaKind::Document;
    }
    match mime_type {
        "image/jpeg" => MediaKind::Image,
        "image/png" if !is_deep(head) => MediaKind::Image,
        "video/mp4" | "video/3gpp" => MediaKind::Video,
        "audio/aac" | "audio/amr" | "audio/mpeg" | "audio/mp4" => MediaKind::Audio,
        "audio/ogg" if is_mono_opus(head) => MediaKind::Voice,
        _ => MediaKind::Document,
    }
}

/// The most bytes Meta takes of a picture, sound or film of this type; nothing if it takes none.
fn limit(mime_type: &str) -> Option<u64> {
    match mime_type {
        "image/jpeg" | "image/png" => Some(5 * MIB),
        // A sticker's; more than that has no kind of its own either.
        "image/webp" => Some(500 * 1024),
        "video/mp4" | "video/3gpp" | "audio/aac" | "audio/amr" | "audio/mpeg" | "audio/mp4" | "audio/ogg" => {
            Some(16 * MIB)
        }
        _ => None,
    }
}

/// The types to upload it under, the next where Meta refuses the one before. Meta judges an upload by its type alone: under
/// its own a picture of 6 MB is refused before anybody says that it is to be a document.
pub fn upload_types(mime_type: &str, size: u64) -> Vec<String> {
    let own = well_formed(mime_type);
    let any = ANY.to_owned();
    let family = own.split('/').next().unwrap_or_default();
    match (matches!(family, "image" | "audio" | "video"), limit(&own)) {
        _ if own == ANY => vec![any],
        (true, Some(limit)) if size > limit => vec![any],
        (true, None) => vec![any, own],
        _ => vec![own, any],
    }
}

/// Sixteen bits a color; WhatsApp takes eight.
fn is_deep(head: &[u8]) -> bool {
    head.starts_with(b"\x89PNG\r\n\x1a\n") && head.get(24).is_some_and(|bits| *bits > 8)
}

/// The first page of an Ogg file holds one packet, the head of the stream (RFC 7845); Meta takes Opus with one channel only.
fn is_mono_opus(head: &[u8]) -> bool {
    head.starts_with(b"OggS") && head.get(28..36) == Some(b"OpusHead") && head.get(37) == Some(&1)
}

/// Whether words may stand under a file of this kind.
pub fn takes_caption(kind: MediaKind) -> bool {
    matches!(kind, MediaKind::Image | MediaKind::Video | MediaKind::Document)
}

/// The type without parameters, in lower case.
pub fn essence(mime_type: &str) -> String {
    mime_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// The type as Meta spells it, without parameters: browsers and storages have names of their own, and where they know nothing
/// the file's ending does.
pub fn canonical(mime_type: &str, name: &str) -> String {
    let essence = essence(mime_type);
    let known = match essence.as_str() {
        "image/jpg" | "image/pjpeg" => "image/jpeg",
        "audio/mp3" | "audio/x-mp3" | "audio/mpeg3" => "audio/mpeg",
        "audio/m4a" | "audio/x-m4a" => "audio/mp4",
        "audio/x-aac" | "audio/aacp" => "audio/aac",
        "audio/opus" | "application/ogg" => "audio/ogg",
        "video/3gp" => "video/3gpp",
        "" | ANY => of_ending(name).unwrap_or(ANY),
        _ => return essence,
    };
    known.to_owned()
}

/// The type without parameters, if it is one that can be written into a request; otherwise what any file is.
pub fn well_formed(mime_type: &str) -> String {
    let essence = essence(mime_type);
    let token =
        |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b));
    let valid = essence.split_once('/').is_some_and(|(kind, sub)| token(kind) && token(sub));
    if valid { essence } else { ANY.to_owned() }
}

/// A name that stays a name: no path, no control characters, nothing that turns the way it is read, at most 200 bytes, the ending kept.
pub fn safe_name(name: &str) -> Option<String> {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let turns =
        |c: &char| matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let clean: String = last.chars().filter(|c| !c.is_control() && !turns(c)).collect();
    let clean = clean.trim().trim_start_matches('.').to_owned();
    if clean.len() <= 200 {
        return (!clean.is_empty()).then_some(clean);
    }
    let (stem, ending) = clean.rsplit_once('.').filter(|(_, ending)| ending.len() <= 16).unwrap_or((&clean, ""));
    let mut end = 200 - ending.len() - 1;
    while !stem.is_char_boundary(end) {
        end -= 1;
    }
    Some(if ending.is_empty() { stem[..end].to_owned() } else { format!("{}.{ending}", &stem[..end]) })
}

/// Types with the endings Meta judges them by, the usual one first.
const ENDINGS: [(&str, &[&str]); 21] = [
    ("image/jpeg", &["jpg", "jpeg"]),
    ("image/png", &["png"]),
    ("image/webp", &["webp"]),
    ("image/gif", &["gif"]),
    ("video/mp4", &["mp4"]),
    ("video/3gpp", &["3gp", "3gpp"]),
    ("audio/ogg", &["ogg", "opus", "oga"]),
    ("audio/opus", &["ogg", "opus"]),
    ("audio/mpeg", &["mp3"]),
    ("audio/mp4", &["m4a", "mp4"]),
    ("audio/aac", &["aac"]),
    ("audio/amr", &["amr"]),
    ("application/pdf", &["pdf"]),
    ("text/plain", &["txt"]),
    ("application/msword", &["doc"]),
    ("application/vnd.ms-excel", &["xls"]),
    ("application/vnd.ms-powerpoint", &["ppt"]),
    ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", &["docx"]),
    ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", &["xlsx"]),
    ("application/vnd.openxmlformats-officedocument.presentationml.presentation", &["pptx"]),
    ("text/vcard", &["vcf"]),
];

fn endings(mime_type: &str) -> &'static [&'static str] {
    ENDINGS.iter().find(|(known, _)| *known == mime_type).map_or(&[], |(_, endings)| endings)
}

fn of_ending(name: &str) -> Option<&'static str> {
    let ending = name.rsplit_once('.')?.1.to_ascii_lowercase();
    ENDINGS.iter().find(|(_, endings)| endings.contains(&ending.as_str())).map(|(known, _)| *known)
}

/// The usual ending of a file of this type.
pub fn ending(mime_type: &str) -> &'static str {
    endings(&essence(mime_type)).first().copied().unwrap_or("bin")
}

/// The name to upload a file under: its own, with an ending that fits the type. The customer reads the one in the message.
pub fn upload_name(name: &str, mime_type: &str) -> String {
    let endings = endings(mime_type);
    let (stem, own) = name.rsplit_once('.').unwrap_or((name, ""));
    let fits = endings.is_empty() || endings.iter().any(|ending| own.eq_ignore_ascii_case(ending));
    match endings.first() {
        // As any file, it must not be judged by its ending either.
        _ if mime_type == ANY => format!("{name}.bin"),
        Some(ending) if !fits => format!("{stem}.{ending}"),
        _ => name.to_owned(),
    }
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

    fn kind(mime_type: &str, size: u64, head: &[u8]) -> MediaKind {
        outgoing_kind(&canonical(mime_type, ""), size, head)
    }

    #[test]
    fn metas_table_holds_to_the_byte() {
        for (mime, limit, expected) in [
            ("image/jpeg", 5 * MIB, MediaKind::Image),
            ("image/png", 5 * MIB, MediaKind::Image),
            ("video/mp4", 16 * MIB, MediaKind::Video),
            ("video/3gpp", 16 * MIB, MediaKind::Video),
            ("audio/aac", 16 * MIB, MediaKind::Audio),
            ("audio/amr", 16 * MIB, MediaKind::Audio),
            ("audio/mpeg", 16 * MIB, MediaKind::Audio),
            ("audio/mp4", 16 * MIB, MediaKind::Audio),
        ] {
            assert_eq!(kind(mime, limit, &[]), expected, "{mime}");
            assert_eq!(kind(mime, limit + 1, &[]), MediaKind::Document, "{mime}");
            assert_eq!(upload_types(mime, limit), [mime, ANY]);
            assert_eq!(upload_types(mime, limit + 1), [ANY], "{mime}: its own type is refused for its size");
        }
        for other in ["image/gif", "image/heic", "audio/webm", "audio/wav", "video/quicktime", "video/webm"] {
            assert_eq!(
                (kind(other, 1, &[]), upload_types(other, 1)),
                (MediaKind::Document, vec![ANY.into(), other.into()])
            );
        }
        assert_eq!((kind("image/webp", 1, &[]), upload_types("image/webp", 1).len()), (MediaKind::Document, 2));
        assert_eq!(upload_types("application/zip", 50 * MIB), ["application/zip", ANY]);
        assert_eq!(upload_types("nonsense", 1), [ANY]);
    }

    #[test]
    fn only_opus_with_one_channel_is_a_voice_note() {
        assert_eq!(kind("audio/opus", 1, &opus(1)), MediaKind::Voice);
        assert_eq!(kind("audio/ogg; codecs=opus", 16 * MIB, &opus(1)), MediaKind::Voice);
        assert_eq!(kind("audio/ogg", 16 * MIB + 1, &opus(1)), MediaKind::Document);
        for head in [opus(2), b"OggS".to_vec(), b"OggS\x01vorbis".repeat(9), Vec::new()] {
            assert_eq!(kind("audio/ogg", 1, &head), MediaKind::Document);
        }
    }

    #[test]
    fn a_picture_of_sixteen_bits_is_a_document() {
        let png = |bits: u8| [b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x01\0\0\0\x01".as_slice(), &[bits, 2]].concat();
        assert_eq!(kind("image/png", 1, &png(8)), MediaKind::Image);
        assert_eq!(kind("image/png", 1, &png(16)), MediaKind::Document);
    }

    #[test]
    fn a_type_has_one_name() {
        assert_eq!(canonical("Audio/MP3; x=1", ""), "audio/mpeg");
        assert_eq!(canonical("audio/x-m4a", "a.m4a"), "audio/mp4");
        assert_eq!(canonical("application/octet-stream", "Foto.JPG"), "image/jpeg");
        assert_eq!(canonical("", "lista"), ANY);
        assert_eq!(canonical("text/csv", "a.jpg"), "text/csv");
    }

    #[test]
    fn an_upload_ends_as_its_type_does() {
        for (name, mime, expected) in [
            ("foto.jpg", "image/png", "foto.png"),
            ("foto.JPEG", "image/jpeg", "foto.JPEG"),
            ("foto", "image/jpeg", "foto.jpg"),
            ("precios.csv", "text/csv", "precios.csv"),
            ("moto.gif", ANY, "moto.gif.bin"),
        ] {
            assert_eq!(upload_name(name, mime), expected);
        }
    }

    #[test]
    fn a_type_that_is_none_is_any_files() {
        assert_eq!(well_formed("Audio/OGG; codecs=opus"), "audio/ogg");
        assert_eq!(well_formed("application/vnd.ms-excel; name=a b"), "application/vnd.ms-excel");
        for none in ["", "jpeg", "image/", "image/a b", "a/b/c", "imagen/ñ"] {
            assert_eq!(well_formed(none), "application/octet-stream", "{none}");
        }
    }

    #[test]
    fn a_hostile_name_is_only_a_name() {
        assert_eq!(safe_name("../../etc/passwd").as_deref(), Some("passwd"));
        assert_eq!(safe_name("recibo_nómina_oct 2026.pdf").as_deref(), Some("recibo_nómina_oct 2026.pdf"));
        assert_eq!(safe_name("gnp\u{202e}fdp.exe").as_deref(), Some("gnpfdp.exe"));
        assert_eq!(safe_name("a\u{2067}b\u{200f}\u{61c}\u{2028}\r\n.pdf").as_deref(), Some("ab.pdf"));
        assert_eq!(safe_name("C:\\fotos\\moto ñandú.jpg").as_deref(), Some("moto ñandú.jpg"));
        assert_eq!(safe_name("..\\"), None);
        let long = safe_name(&format!("{}.pdf", "ñ".repeat(300))).unwrap();
        assert!(long.len() <= 200 && long.ends_with("ñ.pdf"));
    }
}
