//! Makes file names safe and readable, with an ending that fits the type.

mod endings;

use self::endings::{BOXES, ENDINGS, OTHERS};
use crate::media::{essence, is_text};

fn endings(mime_type: &str) -> &'static [&'static str] {
    let known = if mime_type == "text/xml" { "application/xml" } else { mime_type };
    ENDINGS.iter().find(|(of, _)| *of == known).map_or(&[], |(_, endings)| endings)
}

/// The text after the last point, in lower case.
fn own(name: &str) -> Option<String> {
    name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase())
}

/// The type that a name suggests.
pub(crate) fn type_of(name: &str) -> Option<&'static str> {
    let own = own(name)?;
    let known = ENDINGS.iter().find(|(_, endings)| endings.contains(&own.as_str())).map(|(of, _)| *of);
    known.or_else(|| BOXES.iter().chain(&OTHERS).find(|(ending, _)| *ending == own).map(|(_, of)| *of))
}

/// Whether files of this type are ZIP archives under another name, like those of today's office programs.
pub(crate) fn is_box(mime_type: &str) -> bool {
    BOXES.iter().any(|(_, of)| *of == mime_type)
}

/// The type of today's office program instead of the older one that a name suggests.
pub(crate) fn renewed(name: &str) -> Option<&'static str> {
    let own = own(name).filter(|own| matches!(own.as_str(), "doc" | "xls" | "ppt"))?;
    type_of(&format!("{own}.{own}x"))
}

/// The usual ending of a file of this type.
pub fn ending(mime_type: &str) -> &'static str {
    endings(&essence(mime_type)).first().copied().unwrap_or("bin")
}

/// The name with an ending that fits the type: an ending of another known type is replaced; a name without an ending gets one.
/// An unknown type leaves the name as it is.
pub fn fitting(name: &str, mime_type: &str) -> String {
    let mime_type = essence(mime_type);
    let (endings, own) = (endings(&mime_type), own(name));
    let Some(usual) = endings.first() else { return name.to_owned() };
    let speaks_of = type_of(name);
    let fits = own.as_deref().is_some_and(|own| endings.contains(&own));
    // A text may have any ending of a text file: .csv, .log, .ini.
    let is_named = own.as_deref().is_some_and(|own| {
        (1..=5).contains(&own.len())
            && own.bytes().all(|b| b.is_ascii_alphanumeric())
            && own.bytes().any(|b| b.is_ascii_alphabetic())
    });
    let is_texts = is_text(&mime_type) && speaks_of.map_or(is_named, is_text);
    match speaks_of {
        _ if fits || is_texts => name.to_owned(),
        Some(_) => name.rsplit_once('.').map_or_else(|| name.to_owned(), |(stem, _)| format!("{stem}.{usual}")),
        None => format!("{}.{usual}", name.trim_end_matches('.')),
    }
}

/// The name to upload a file under as this type. Meta judges by its ending; the customer reads the name in the message.
pub fn for_upload(name: &str, mime_type: &str) -> String {
    let fitting = fitting(name, mime_type);
    let endings = endings(mime_type);
    let fits = own(&fitting).is_some_and(|own| endings.contains(&own.as_str()));
    match endings.first() {
        Some(usual) if !fits => format!("{fitting}.{usual}"),
        _ => fitting,
    }
}

/// A safe file name: no path, no control characters, nothing that changes the direction of the text, at most 200 bytes, the
/// ending kept. Percent encoding by a browser or a storage service is decoded.
pub fn safe(name: &str) -> Option<String> {
    let name = decoded(name);
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

/// Decodes percent signs, where the result is a text; a sign that encodes nothing stays.
fn decoded(name: &str) -> String {
    let form = format!("name={}", name.replace('+', "%2B").replace('&', "%26"));
    let read = url::form_urlencoded::parse(form.as_bytes()).next().map(|(_, value)| value.into_owned());
    read.filter(|read| !read.contains('\u{fffd}')).unwrap_or_else(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::OCTET_STREAM;

    const DOCX: &str = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";

    #[test]
    fn an_ending_fits_its_type() {
        for (name, mime, expected) in [
            ("foto.jpg", "image/png", "foto.png"),
            ("foto.JPEG", "image/jpeg", "foto.JPEG"),
            ("foto.jfif", "image/jpeg", "foto.jpg"),
            ("foto", "image/jpeg", "foto.jpg"),
            ("nota.opus", "audio/ogg; codecs=opus", "nota.ogg"),
            ("nota.oga", "audio/ogg", "nota.ogg"),
            ("factura", "application/pdf", "factura.pdf"),
            ("reporte.2026", "application/pdf", "reporte.2026.pdf"),
            ("moto.v1.mp4", "video/mp4", "moto.v1.mp4"),
            ("contrato.doc", DOCX, "contrato.docx"),
            ("factura.xml", "text/plain", "factura.xml"),
            ("factura.xml", "text/xml", "factura.xml"),
            ("config.ini", "text/plain", "config.ini"),
            ("precios.2026", "text/plain", "precios.2026.txt"),
            ("precios", "text/csv", "precios.csv"),
            ("moto.stl", "model/stl", "moto.stl"),
            ("lista", OCTET_STREAM, "lista"),
        ] {
            assert_eq!(fitting(name, mime), expected, "{name}");
        }
    }

    #[test]
    fn archives_under_a_name_of_their_own_are_known() {
        assert!(BOXES.iter().all(|(ending, of)| type_of(&format!("a.{ending}")) == Some(of) && is_box(of)));
        assert_eq!((renewed("a.DOC"), renewed("a.docx"), renewed("doc")), (Some(DOCX), None, None));
        assert!(!is_box("application/zip") && !is_box("application/msword"));
    }

    #[test]
    fn an_upload_ends_as_its_type_does() {
        assert_eq!(for_upload("factura.xml", "text/plain"), "factura.xml.txt");
        assert_eq!(for_upload("foto.jpg", "image/png"), "foto.png");
        assert_eq!(for_upload("lista.txt", "text/plain"), "lista.txt");
    }

    #[test]
    fn a_hostile_name_is_only_a_name() {
        assert_eq!(safe("../../etc/passwd").as_deref(), Some("passwd"));
        assert_eq!(safe("..%2F..%2Fetc%2Fpasswd").as_deref(), Some("passwd"));
        assert_eq!(safe("recibo_nómina_oct 2026.pdf").as_deref(), Some("recibo_nómina_oct 2026.pdf"));
        assert_eq!(safe("gnp\u{202e}fdp.exe").as_deref(), Some("gnpfdp.exe"));
        assert_eq!(safe("a\u{2067}b\u{200f}\u{61c}\u{2028}\r\n.pdf").as_deref(), Some("ab.pdf"));
        assert_eq!(safe("C:\\fotos\\moto ñandú.jpg").as_deref(), Some("moto ñandú.jpg"));
        assert_eq!(safe("..\\"), None);
        let long = safe(&format!("{}.pdf", "ñ".repeat(300))).unwrap();
        assert!(long.len() <= 200 && long.ends_with("ñ.pdf"));
    }

    #[test]
    fn percent_signs_are_read_where_they_spell_something() {
        for (name, expected) in [
            ("cotizaci%C3%B3n%20final.pdf", "cotización final.pdf"),
            ("a+b & c=d.pdf", "a+b & c=d.pdf"),
            ("100%.pdf", "100%.pdf"),
            ("descuento 50%25.pdf", "descuento 50%.pdf"),
            ("mal%FF.pdf", "mal%FF.pdf"),
            ("fin%0D%0A.pdf", "fin.pdf"),
        ] {
            assert_eq!(safe(name).as_deref(), Some(expected));
        }
    }
}
