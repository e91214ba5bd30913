//! Judges the type of a file by its name and first bytes.

use super::{OCTET_STREAM, is_text};
use crate::names;

const ZIP: &str = "application/zip";

/// The type without parameters, in lower case.
pub fn essence(mime_type: &str) -> String {
    mime_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// The type as Meta spells it, without parameters: browsers and storage services use other names.
fn spelled(mime_type: &str) -> String {
    let essence = essence(mime_type);
    let known = match essence.as_str() {
        "image/jpg" | "image/pjpeg" => "image/jpeg",
        "image/heif" => "image/heic",
        "audio/mp3" | "audio/x-mp3" | "audio/mpeg3" => "audio/mpeg",
        "audio/m4a" | "audio/x-m4a" => "audio/mp4",
        "audio/x-aac" | "audio/aacp" | "audio/x-hx-aac-adts" => "audio/aac",
        "audio/x-wav" | "audio/wave" | "audio/vnd.wave" => "audio/wav",
        "audio/opus" | "application/ogg" => "audio/ogg",
        "video/3gp" => "video/3gpp",
        "video/x-m4v" => "video/mp4",
        "application/x-zip-compressed" | "application/x-zip" => ZIP,
        "application/excel" | "application/x-excel" | "application/x-msexcel" => "application/vnd.ms-excel",
        "application/x-msword" | "application/vnd.ms-word" => "application/msword",
        "application/x-rtf" | "text/rtf" => "application/rtf",
        "" | "binary/octet-stream" | "application/x-download" | "application/force-download" => OCTET_STREAM,
        _ => return essence,
    };
    known.to_owned()
}

/// The declared type of a file. Where that says no more than which program may open it, the file's ending decides: a computer
/// with Excel declares a CSV file as Excel's, and some declare a Word file as a ZIP.
pub fn declared(mime_type: &str, name: &str) -> String {
    let spelled = spelled(mime_type);
    let named = names::type_of(name).filter(|named| is_vague(&spelled, named));
    named.unwrap_or(mime_type).to_owned()
}

/// Whether a declared type is vaguer than the type that the name suggests.
fn is_vague(declared: &str, named: &str) -> bool {
    match declared {
        OCTET_STREAM => true,
        ZIP => names::is_box(named),
        _ if is_old_office(declared) => names::is_box(named) || is_text(named) || named == "application/rtf",
        _ => false,
    }
}

/// Whether it is the type of one of the old Office programs: computers declare many files as such.
fn is_old_office(mime_type: &str) -> bool {
    matches!(mime_type, "application/msword" | "application/vnd.ms-excel" | "application/vnd.ms-powerpoint")
}

/// The type of a file: as it is declared, unless its first bytes show another one. A picture is often declared with a wrong
/// type.
pub fn judged(mime_type: &str, name: &str, head: &[u8]) -> String {
    let found = contents(head);
    let named = names::type_of(name);
    if found == Some(ZIP)
        && let Some(archive) = named.filter(|named| names::is_box(named)).or_else(|| names::renewed(name))
    {
        return archive.to_owned();
    }
    let declared = spelled(mime_type);
    // An ending decides over a vague type, but not against the bytes.
    let bears_out = |named: &&str| !is_old_office(&declared) || (!names::is_box(named) && reads_as_text(head));
    let called = named
        .filter(|named| is_vague(&declared, named))
        .filter(bears_out)
        .map_or_else(|| declared.clone(), str::to_owned);
    match found {
        Some(found) if !may_begin_so(&called, found) && !is_written(&called, head) => found.to_owned(),
        _ => well_formed(&called),
    }
}

/// How files begin, and the types that follow from it.
const MARKS: [(&[u8], &str); 18] = [
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
    (b"#!AMR", "audio/amr"),
    (b"OggS", "audio/ogg"),
    (b"\xff\xfb", "audio/mpeg"),
    (b"\xff\xf3", "audio/mpeg"),
    (b"\xff\xf1", "audio/aac"),
    (b"\xff\xf9", "audio/aac"),
    (b"\x1a\x45\xdf\xa3", "video/webm"),
    (b"%PDF-", "application/pdf"),
    (b"PK\x03\x04", ZIP),
    (b"Rar!\x1a", "application/vnd.rar"),
    (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (b"\x1f\x8b\x08", "application/gzip"),
];

/// The type that a file's first bytes show, if they show one.
fn contents(head: &[u8]) -> Option<&'static str> {
    if head.get(4..8) == Some(b"ftyp") {
        return Some(match head.get(8..12)? {
            b"heic" | b"heix" | b"hevc" | b"hevx" | b"heim" | b"heis" | b"mif1" | b"msf1" => "image/heic",
            b"avif" | b"avis" => "image/avif",
            b"qt  " => "video/quicktime",
            b"M4A " | b"M4B " => "audio/mp4",
            [b'3', b'g', ..] => "video/3gpp",
            _ => "video/mp4",
        });
    }
    if head.starts_with(b"RIFF") {
        return match head.get(8..)? {
            rest if rest.starts_with(b"WEBPVP8") => Some("image/webp"),
            rest if rest.starts_with(b"WAVE") => Some("audio/wav"),
            rest if rest.starts_with(b"AVI ") => Some("video/x-msvideo"),
            _ => None,
        };
    }
    // The versions of ID3 are 2.2, 2.3 and 2.4.
    if head.starts_with(b"ID3") && matches!(head.get(3..5), Some([2..=4, 0])) {
        return Some("audio/mpeg");
    }
    MARKS.iter().find(|(mark, _)| head.starts_with(mark)).map(|(_, of)| *of)
}

/// Whether a file with such a name may begin like this.
fn may_begin_so(called: &str, found: &str) -> bool {
    let one_of = |types: &[&str]| types.contains(&called);
    called == found
        || match found {
            // ZIP archives of many kinds: Office's, OpenDocument's, apps, books.
            ZIP => {
                called.starts_with("application/")
                    && !one_of(&["application/pdf", "application/msword", "application/octet-stream"])
                    && !one_of(&["application/vnd.ms-excel", "application/vnd.ms-powerpoint"])
                    && !is_text(called)
            }
            "video/mp4" | "video/3gpp" => one_of(&["video/mp4", "video/3gpp", "audio/mp4"]),
            "audio/mp4" => called == "video/mp4",
            "audio/ogg" => one_of(&["video/ogg"]),
            "audio/mpeg" | "audio/aac" => one_of(&["audio/aac", "audio/mpeg"]),
            "video/webm" => one_of(&["audio/webm", "video/x-matroska", "audio/x-matroska"]),
            _ => false,
        }
}

/// The type without parameters, if it is one that can be written into a request; otherwise the type that fits any file.
pub fn well_formed(mime_type: &str) -> String {
    let essence = essence(mime_type);
    let token =
        |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b));
    let valid = essence.split_once('/').is_some_and(|(kind, sub)| token(kind) && token(sub));
    if valid { essence } else { OCTET_STREAM.to_owned() }
}

/// Whether it begins as a text does: no control bytes, unless it declares two bytes a letter.
pub(super) fn reads_as_text(head: &[u8]) -> bool {
    let wide = head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff");
    wide || !has_controls(head)
}

fn has_controls(head: &[u8]) -> bool {
    head.iter().any(|b| *b < 0x20 && !matches!(b, b'\t' | b'\n' | b'\r' | 0x0c | 0x1b))
}

/// Whether a file declared as a text is one, in whichever encoding. A file that is not a text soon has other bytes.
fn is_written(called: &str, head: &[u8]) -> bool {
    let whole = str::from_utf8(head).map_or_else(|error| error.error_len().is_none(), |_| true);
    is_text(called) && !has_controls(head) && whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_what_its_first_bytes_say() {
        for (called, name, head, expected) in [
            ("image/jpeg", "IMG_1.jpg", &b"\0\0\0\x18ftypheic"[..], "image/heic"),
            ("image/jpeg", "IMG_1.jpg", b"RIFF\x24\0\0\0WEBPVP8 ", "image/webp"),
            ("image/png", "a.png", b"\xff\xd8\xff\xe0", "image/jpeg"),
            ("", "a.pdf", b"PK\x03\x04", "application/zip"),
            ("", "a.xlsx", b"PK\x03\x04", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
            ("application/octet-stream", "a", b"%PDF-1.7", "application/pdf"),
            ("video/mp4", "a.mp4", b"\0\0\0\x14ftypqt  ", "video/quicktime"),
            ("audio/mp4", "a.m4a", b"\0\0\0\x14ftyp3gp4", "audio/mp4"),
            ("audio/webm", "a.webm", b"\x1a\x45\xdf\xa3", "audio/webm"),
            ("image/jpeg", "a.jpg", b"what nobody knows", "image/jpeg"),
            ("application/octet-stream", "a", b"RIFF\x24\0\0\0WAVEfmt ", "audio/wav"),
            ("video/mp4", "a.mp4", b"RIFF\x24\0\0\0AVI LIST", "video/x-msvideo"),
            ("application/octet-stream", "a", b"ID3\x04\0\0", "audio/mpeg"),
            ("text/plain", "a.txt", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "application/pdf"),
        ] {
            assert_eq!(judged(called, name, head), expected, "{called} {name}");
        }
    }

    #[test]
    fn an_ending_says_more_than_a_vague_type_unless_the_bytes_speak_against_it() {
        const DOCX: &str = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
        const XLSX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
        const EXCEL: &str = "application/vnd.ms-excel";
        const WORD: &str = "application/msword";
        const RTF: &str = "application/rtf";
        let (zip, old, text, rtf) =
            (&b"PK\x03\x04\x14\0"[..], &b"\xd0\xcf\x11\xe0\xa1\xb1"[..], &b"a;b\r\n"[..], &b"{\\rtf1\\ansi"[..]);
        for (declared, name, head, expected) in [
            (EXCEL, "lista.csv", text, "text/csv"),
            (EXCEL, "lista.txt", text, "text/plain"),
            (EXCEL, "lista.csv", old, EXCEL),
            (EXCEL, "lista.xls", old, EXCEL),
            (EXCEL, "lista.xls", text, EXCEL),
            (EXCEL, "precios.xlsx", zip, XLSX),
            (EXCEL, "precios.xlsx", old, EXCEL),
            (EXCEL, "precios.xls", zip, XLSX),
            (WORD, "contrato.docx", zip, DOCX),
            (WORD, "contrato.docx", old, WORD),
            (WORD, "contrato.doc", old, WORD),
            (WORD, "contrato.rtf", rtf, RTF),
            (ZIP, "contrato.docx", zip, DOCX),
            (ZIP, "fotos.zip", zip, ZIP),
            ("application/x-zip-compressed", "precios.xlsx", zip, XLSX),
            ("text/plain", "contrato.docx", zip, DOCX),
            (DOCX, "contrato", zip, DOCX),
            (OCTET_STREAM, "lista.csv", text, "text/csv"),
            (OCTET_STREAM, "precios.xlsx", zip, XLSX),
            (OCTET_STREAM, "contrato.docx", zip, DOCX),
            (OCTET_STREAM, "contrato.doc", old, WORD),
            (OCTET_STREAM, "contrato.rtf", rtf, RTF),
            (OCTET_STREAM, "hoja.ods", zip, "application/vnd.oasis.opendocument.spreadsheet"),
            (OCTET_STREAM, "fotos.zip", zip, ZIP),
            ("application/pdf", "factura.pdf", zip, ZIP),
        ] {
            assert_eq!(judged(declared, name, head), expected, "{declared} {name}");
        }
        // Where the bytes are not available, the ending decides.
        for (declared, name, expected) in [
            (EXCEL, "lista.csv", "text/csv"),
            (EXCEL, "precios.xlsx", XLSX),
            (EXCEL, "precios.xls", EXCEL),
            (EXCEL, "foto.jpg", EXCEL),
            (WORD, "contrato.docx", DOCX),
            (WORD, "contrato.rtf", RTF),
            (ZIP, "contrato.docx", DOCX),
            (ZIP, "lista.csv", ZIP),
            (OCTET_STREAM, "lista.csv", "text/csv"),
            ("application/pdf", "precios.xlsx", "application/pdf"),
        ] {
            assert_eq!(super::declared(declared, name), expected, "{declared} {name}");
        }
    }

    #[test]
    fn a_type_has_one_name() {
        assert_eq!(spelled("Audio/MP3; x=1"), "audio/mpeg");
        assert_eq!(spelled("audio/x-m4a"), "audio/mp4");
        assert_eq!(judged("application/octet-stream", "Foto.JPG", b"x"), "image/jpeg");
        assert_eq!(judged("", "lista", b"x"), OCTET_STREAM);
        assert_eq!(judged("text/csv", "a.jpg", b"x"), "text/csv");
    }

    #[test]
    fn a_type_that_is_none_is_any_files() {
        assert_eq!(well_formed("Audio/OGG; codecs=opus"), "audio/ogg");
        assert_eq!(well_formed("application/vnd.ms-excel; name=a b"), "application/vnd.ms-excel");
        for none in ["", "jpeg", "image/", "image/a b", "a/b/c", "imagen/ñ"] {
            assert_eq!(well_formed(none), "application/octet-stream", "{none}");
        }
    }
}
