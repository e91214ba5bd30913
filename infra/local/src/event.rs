//! An HTTP request as the JSON event API Gateway makes of it (payload format 2.0).

use std::{collections::BTreeMap, net::IpAddr};

use axum::http::{HeaderMap, request::Parts};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use domain::Timestamp;
use serde_json::{Map, Value, json};

use crate::{calendar, intrinsics::ACCOUNT, routes::Match};

/// What API Gateway knows of a request beside the request itself.
pub(crate) struct Circumstances {
    pub(crate) source: IpAddr,
    pub(crate) at: Timestamp,
    pub(crate) request_id: String,
}

/// The event for a request that took the route `found`.
pub(crate) fn from_request(parts: &Parts, body: &[u8], found: &Match<'_>, circumstances: &Circumstances) -> Value {
    let query = parts.uri.query().unwrap_or_default();
    let host = text(&parts.headers, "host").unwrap_or_default();
    let mut event = json!({
        "version": "2.0",
        "routeKey": found.key,
        "rawPath": parts.uri.path(),
        "rawQueryString": query,
        "headers": headers(parts, circumstances),
        "requestContext": {
            "accountId": ACCOUNT,
            "apiId": "local",
            "domainName": host,
            "domainPrefix": "local",
            "http": {
                "method": parts.method.as_str(),
                "path": parts.uri.path(),
                "protocol": "HTTP/1.1",
                "sourceIp": circumstances.source.to_string(),
                "userAgent": text(&parts.headers, "user-agent").unwrap_or_default(),
            },
            "requestId": circumstances.request_id,
            "routeKey": found.key,
            "stage": "$default",
            "time": calendar::log_time(circumstances.at),
            "timeEpoch": circumstances.at.as_millis(),
        },
        "isBase64Encoded": false,
    });
    let cookies: Vec<&str> = parts
        .headers
        .get_all("cookie")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split("; "))
        .collect();
    if !cookies.is_empty() {
        event["cookies"] = json!(cookies);
    }
    if !query.is_empty() {
        event["queryStringParameters"] = json!(joined(url::form_urlencoded::parse(query.as_bytes())));
    }
    if !found.parameters.is_empty() {
        event["pathParameters"] = json!(found.parameters);
    }
    if !body.is_empty() {
        let as_text = std::str::from_utf8(body).ok().filter(|_| is_text(&parts.headers));
        event["isBase64Encoded"] = as_text.is_none().into();
        event["body"] = as_text.map_or_else(|| STANDARD.encode(body), str::to_owned).into();
    }
    event
}

fn headers(parts: &Parts, circumstances: &Circumstances) -> Value {
    let sent = parts
        .headers
        .iter()
        .filter(|(name, _)| *name != "cookie")
        .map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value.as_bytes())));
    let mut headers: Map<String, Value> = joined(sent).into_iter().map(|(name, value)| (name, value.into())).collect();
    for (name, value) in
        [("x-forwarded-for", circumstances.source.to_string()), ("x-forwarded-proto", "http".to_owned())]
    {
        headers.entry(name).or_insert_with(|| value.into());
    }
    headers.into()
}

/// One entry a name; values of the same name are joined by commas.
fn joined<K: AsRef<str>, V: AsRef<str>>(pairs: impl Iterator<Item = (K, V)>) -> BTreeMap<String, String> {
    let mut joined: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in pairs {
        joined
            .entry(name.as_ref().to_owned())
            .and_modify(|known| {
                known.push(',');
                known.push_str(value.as_ref());
            })
            .or_insert_with(|| value.as_ref().to_owned());
    }
    joined
}

/// What API Gateway does not encode.
fn is_text(headers: &HeaderMap) -> bool {
    let Some(kind) = text(headers, "content-type") else { return true };
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind.starts_with("text/")
        || matches!(kind.as_str(), "application/json" | "application/javascript" | "application/xml")
        || kind.ends_with("+json")
        || kind.ends_with("+xml")
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn event(request: axum::http::request::Builder, body: &[u8]) -> Value {
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let parameters = BTreeMap::from([("number".to_owned(), "100".to_owned())]);
        let found = Match { function: "callback", key: "POST /callbacks/{number}".into(), parameters };
        let circumstances = Circumstances {
            source: IpAddr::from([127, 0, 0, 1]),
            at: Timestamp::from_millis(1_795_346_110_250),
            request_id: "r-1".into(),
        };
        from_request(&parts, body, &found, &circumstances)
    }

    #[test]
    fn a_signed_post_arrives_byte_for_byte() {
        let request = Request::post("/callbacks/100?x=a%20b&x=c&empty=")
            .header("Host", "127.0.0.1:8080")
            .header("Content-Type", "application/json; charset=utf-8")
            .header("X-Signature", "sha256=00")
            .header("X-Many", "1")
            .header("X-Many", "2")
            .header("Cookie", "a=1; b=2");
        let event = event(request, "{\"text\":\"\\u00f1 ñ\"}".as_bytes());
        assert_eq!(event["body"], "{\"text\":\"\\u00f1 ñ\"}");
        assert_eq!(event["isBase64Encoded"], false);
        assert_eq!(event["rawQueryString"], "x=a%20b&x=c&empty=");
        assert_eq!(event["queryStringParameters"], json!({ "x": "a b,c", "empty": "" }));
        assert_eq!(event["headers"]["x-signature"], "sha256=00");
        assert_eq!(event["headers"]["x-many"], "1,2");
        assert_eq!(event["cookies"], json!(["a=1", "b=2"]));
        assert_eq!(event["pathParameters"]["number"], "100");
        assert_eq!(event["requestContext"]["http"]["sourceIp"], "127.0.0.1");
        assert_eq!(event["requestContext"]["timeEpoch"], 1_795_346_110_250_i64);
        assert_eq!(event["requestContext"]["time"], "22/Nov/2026:11:15:10 +0000");
    }

    #[test]
    fn what_is_no_text_is_encoded() {
        let form =
            event(Request::post("/callbacks/100").header("content-type", "application/x-www-form-urlencoded"), b"a=1");
        assert_eq!((&form["isBase64Encoded"], &form["body"]), (&json!(true), &json!("YT0x")));
        let broken = event(Request::post("/callbacks/100").header("content-type", "application/json"), &[0xff, 0x00]);
        assert_eq!((&broken["isBase64Encoded"], &broken["body"]), (&json!(true), &json!("/wA=")));
    }

    #[test]
    fn what_is_not_there_is_absent() {
        let event = event(Request::get("/callbacks/100"), b"");
        for absent in ["body", "cookies", "queryStringParameters"] {
            assert!(event.get(absent).is_none(), "{absent}");
        }
    }
}
