//! Explains why Meta gave up a file that it had accepted.

use crate::Locale;
use domain::{message::MediaKind, outgoing::FileWay};

/// What to do about a file with a problem.
const ODD: (&str, &str) = (
    "puede estar dañado o no ser de verdad del tipo que dice su nombre. Ábrelo, guárdalo otra vez y adjúntalo de nuevo.",
    "it may be damaged, or not really of the type its name says. Open it, save it anew and attach it again.",
);

/// What happened and what to do, for the agent.
pub(super) fn failed(way: FileWay, http: Option<u16>, locale: Locale) -> String {
    let (es, en) = match way {
        FileWay::Uploaded { kind } => uploaded(kind, http),
        FileWay::LinkedHeavy { kind } => heavy(kind, http),
        FileWay::LinkedType => {
            let (es, en) = match http {
                Some(_) => fetched("descargarlo", http),
                None => ("tampoco lo tomó de Chatwoot".into(), "Meta did not take it from Chatwoot either".into()),
            };
            (
                format!(
                    "WhatsApp no acepta archivos de este tipo subidos, y {es}; envíalo como PDF, Word, Excel, PowerPoint, texto, JPG, PNG, MP4 o MP3, o manda un enlace."
                ),
                format!(
                    "WhatsApp takes no uploads of this type, and {en}; send it as PDF, Word, Excel, PowerPoint, text, JPG, PNG, MP4 or MP3, or send a link."
                ),
            )
        }
        FileWay::LinkedOdd => {
            let (es, en) = match http {
                Some(_) => fetched("descargarlo", http),
                None => ("tampoco lo tomó de Chatwoot".into(), "did not take it from Chatwoot either".into()),
            };
            let (do_es, do_en) = ODD;
            (
                format!("WhatsApp no aceptó este archivo subido, y {es}; {do_es}"),
                format!("WhatsApp did not take the upload of this file, and {en}; {do_en}"),
            )
        }
    };
    match locale {
        Locale::Es => format!("No entregado: {es}"),
        Locale::En => format!("Not delivered: {en}"),
    }
}

fn uploaded(kind: MediaKind, http: Option<u16>) -> (String, String) {
    if let Some(status) = http {
        return (
            format!(
                "WhatsApp no pudo descargar el archivo en su propio almacén (HTTP {status}); pulsa Reintentar, o adjúntalo otra vez."
            ),
            format!(
                "WhatsApp could not download the file from its own storage (HTTP {status}); press Retry, or attach it again."
            ),
        );
    }
    let (es, en) = match kind {
        MediaKind::Image | MediaKind::Sticker => (
            "WhatsApp no pudo procesar la imagen: puede estar dañada o tener colores que no admite (CMYK); guárdala otra vez en RGB y adjúntala de nuevo.",
            "WhatsApp could not process the picture: it may be damaged, or in colors that it does not take (CMYK); save it anew in RGB and attach it again.",
        ),
        MediaKind::Video => (
            "WhatsApp no pudo procesar el video: está dañado o sus códecs no son H.264 con audio AAC; guárdalo otra vez con esos códecs y adjúntalo de nuevo.",
            "WhatsApp could not process the video: it is damaged, or its codecs are not H.264 with AAC audio; save it anew with these codecs and attach it again.",
        ),
        MediaKind::Audio | MediaKind::Voice => (
            "WhatsApp no pudo procesar el audio: está dañado o usa un códec que no admite; guárdalo otra vez como MP3 y adjúntalo de nuevo.",
            "WhatsApp could not process the audio: it is damaged, or in a codec that it does not take; save it anew as MP3 and attach it again.",
        ),
        MediaKind::Document => {
            let (es, en) = ODD;
            return (
                format!("WhatsApp no aceptó este archivo; {es}"),
                format!("WhatsApp did not take this file; {en}"),
            );
        }
    };
    (es.to_owned(), en.to_owned())
}

fn heavy(kind: MediaKind, http: Option<u16>) -> (String, String) {
    let (what_es, download, do_es) = match kind {
        MediaKind::Image => ("la imagen pesa más de 5 MB", "descargarla", "hazla más pequeña o ponla en un PDF."),
        MediaKind::Sticker => ("la imagen WEBP pesa más de 500 KB", "descargarla", "envíala como JPG."),
        MediaKind::Video => ("el video pesa más de 16 MB", "descargarlo", "recórtalo o manda un enlace."),
        MediaKind::Audio | MediaKind::Voice => {
            ("el audio pesa más de 16 MB", "descargarlo", "recórtalo o manda un enlace.")
        }
        MediaKind::Document => ("el archivo pesa demasiado", "descargarlo", "hazlo más pequeño o manda un enlace."),
    };
    let (what_en, do_en) = match kind {
        MediaKind::Image => ("the picture is larger than 5 MB", "make it smaller, or put it into a PDF."),
        MediaKind::Sticker => ("the WEBP picture is larger than 500 KB", "send it as JPG."),
        MediaKind::Video => ("the video is larger than 16 MB", "cut it or send a link."),
        MediaKind::Audio | MediaKind::Voice => ("the recording is larger than 16 MB", "cut it or send a link."),
        MediaKind::Document => ("the file is too large", "make it smaller or send a link."),
    };
    let (es, en) = fetched(download, http);
    (format!("{what_es} y {es}; {do_es}"), format!("{what_en} and {en}; {do_en}"))
}

/// Says that Meta could not fetch a file from its address.
fn fetched(download: &str, http: Option<u16>) -> (String, String) {
    let (es, en) = (format!("Meta no pudo {download} de Chatwoot"), "Meta could not download it from Chatwoot");
    match http {
        Some(status) => (format!("{es} (respondió {status})"), format!("{en} (it answered {status})")),
        None => (es, en.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(way: FileWay, http: Option<u16>) -> String {
        failed(way, http, Locale::Es)
    }

    #[test]
    fn each_sentence_is_true_of_its_file() {
        let kinds = [MediaKind::Image, MediaKind::Video, MediaKind::Audio, MediaKind::Document, MediaKind::Sticker];
        let heavy = |kind| FileWay::LinkedHeavy { kind };
        let uploaded = |kind| FileWay::Uploaded { kind };
        let ways = kinds.iter().flat_map(|kind| [heavy(*kind), uploaded(*kind)]);
        for way in ways.chain([FileWay::LinkedType, FileWay::LinkedOdd]) {
            for (locale, starts) in [(Locale::Es, "No entregado: "), (Locale::En, "Not delivered: ")] {
                for http in [None, Some(403)] {
                    let said = failed(way, http, locale);
                    assert!(said.starts_with(starts) && said.contains("; ") && said.ends_with('.'), "{said}");
                    assert_eq!(said.contains("403"), http.is_some(), "{said}");
                    assert!(http.is_none() || !said.contains("formato"), "{said}");
                }
            }
        }
        assert_eq!(
            text(heavy(MediaKind::Image), None),
            "No entregado: la imagen pesa más de 5 MB y Meta no pudo descargarla de Chatwoot; hazla más pequeña o ponla en un PDF."
        );
        let codec = text(uploaded(MediaKind::Video), None);
        assert!(codec.contains("H.264") && !codec.contains("MP4"), "{codec}");
        assert!(text(FileWay::LinkedType, None).contains("no acepta archivos de este tipo"));
        assert!(text(FileWay::LinkedType, Some(403)).contains("Meta no pudo descargarlo de Chatwoot (respondió 403)"));
    }
}
