//! Handing a customer's file to a browser without letting it do harm.

use axum::{
    body::Body,
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;

/// The only types a browser may show in place.
const SHOWN: [&str; 10] = [
    "image/jpeg",
    "image/png",
    "image/webp",
    "image/gif",
    "audio/ogg",
    "audio/mpeg",
    "audio/mp4",
    "audio/aac",
    "video/mp4",
    "video/3gpp",
];

/// The file with its type; anything that isn't a plain image, sound or film is for saving only.
pub(crate) fn answer(bytes: &Bytes, mime: &str, filename: Option<&str>) -> Response {
    let essence = mime.split(';').next().unwrap_or_default().trim();
    let shown = SHOWN.contains(&essence);
    let name = filename.map(plain).filter(|name| !name.is_empty());
    let disposition = format!(
        "{}; filename=\"{}\"",
        if shown { "inline" } else { "attachment" },
        name.unwrap_or_else(|| "archivo".into())
    );
    let headers = [
        ("content-type", if shown { mime } else { "application/octet-stream" }),
        ("content-disposition", &disposition),
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", "sandbox; default-src 'none'"),
    ];
    (headers, Body::from(bytes.clone())).into_response()
}

/// A name without anything that could end the header or name a folder.
fn plain(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let safe = |c: char| if c.is_ascii_alphanumeric() || matches!(c, ' ' | '.' | '-' | '_') { c } else { '_' };
    last.chars().map(safe).take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_break_out_of_its_header() {
        assert_eq!(plain("../../etc/\"\r\nx: y\".html"), "___x_ y_.html");
        assert_eq!(plain("recibo nómina.pdf"), "recibo n_mina.pdf");
    }
}
