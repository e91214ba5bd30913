//! What a file may be sent as (§5), and names and types that are safe to pass on.

use domain::message::MediaKind;

const MIB: u64 = 1024 * 1024;

/// The largest file of any kind, in bytes.
pub const LIMIT: u64 = 100 * MIB;

/// What a file of this type and size is sent as. What Meta would refuse as picture, sound or film goes as a document.
pub fn outgoing_kind(mime_type: &str, size: u64) -> MediaKind {
    let essence = essence(mime_type);
    match essence.as_str() {
        "image/jpeg" | "image/png" if size <= 5 * MIB => MediaKind::Image,
        "video/mp4" | "video/3gpp" if size <= 16 * MIB => MediaKind::Video,
        "audio/aac" | "audio/amr" | "audio/mpeg" | "audio/mp4" if size <= 16 * MIB => MediaKind::Audio,
        _ => MediaKind::Document,
    }
}

/// Whether words may stand under a file of this kind.
pub fn takes_caption(kind: MediaKind) -> bool {
    matches!(kind, MediaKind::Image | MediaKind::Video | MediaKind::Document)
}

/// The type without parameters, in lower case.
pub fn essence(mime_type: &str) -> String {
    mime_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// The type without parameters, if it is one that can be written into a request; otherwise what any file is.
pub fn well_formed(mime_type: &str) -> String {
    let essence = essence(mime_type);
    let token =
        |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b));
    let valid = essence.split_once('/').is_some_and(|(kind, sub)| token(kind) && token(sub));
    if valid { essence } else { "application/octet-stream".to_owned() }
}

/// A name that stays a name: no path, no control characters, at most 200 bytes, the ending kept.
pub fn safe_name(name: &str) -> Option<String> {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let clean: String = last.chars().filter(|c| !c.is_control() && !matches!(c, '\u{202a}'..='\u{202e}')).collect();
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

/// The usual ending of a file of this type.
pub fn ending(mime_type: &str) -> &'static str {
    match essence(mime_type).as_str() {
        "image/jpeg" => "jpg",
        "image/png" => "png",
        "image/webp" => "webp",
        "image/gif" => "gif",
        "video/mp4" => "mp4",
        "video/3gpp" => "3gp",
        "audio/ogg" | "audio/opus" => "ogg",
        "audio/mpeg" => "mp3",
        "audio/mp4" => "m4a",
        "audio/aac" => "aac",
        "audio/amr" => "amr",
        "application/pdf" => "pdf",
        "text/plain" => "txt",
        _ => "bin",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_meta_would_refuse_goes_as_a_document() {
        assert_eq!(outgoing_kind("image/jpeg", MIB), MediaKind::Image);
        assert_eq!(outgoing_kind("image/jpeg", 6 * MIB), MediaKind::Document);
        assert_eq!(outgoing_kind("image/webp", 1), MediaKind::Document);
        assert_eq!(outgoing_kind("audio/webm;codecs=opus", 1), MediaKind::Document);
        assert_eq!(outgoing_kind("Audio/MPEG; x=1", 1), MediaKind::Audio);
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
        assert_eq!(safe_name("..\\"), None);
        let long = safe_name(&format!("{}.pdf", "ñ".repeat(300))).unwrap();
        assert!(long.len() <= 200 && long.ends_with("ñ.pdf"));
    }
}
