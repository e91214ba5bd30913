//! Lets only this machine use the control routes: no other host, no foreign page, no proxy.
//!
//! A name that is made to lead here for a moment (DNS rebinding) is no loopback host, and a page of another origin says which one it
//! is. A tunnel or a proxy in front shows itself by its headers.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use axum::{
    Json,
    body::Body,
    extract::{ConnectInfo, Request},
    http::{
        HeaderMap, HeaderName, StatusCode,
        header::{FORWARDED, HOST, ORIGIN, VIA},
        uri::Authority,
    },
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use serde_json::json;
use url::{Host, Url};

/// What a browser says of where a request comes from; `none` is a person at the address bar.
const FETCHED_FROM: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Headers by which a proxy shows itself, beside `Forwarded` and `Via`: as they begin.
const FORWARDING: [&str; 9] = [
    "x-forwarded",
    "x-real-",
    "x-original-",
    "x-client-ip",
    "x-cluster-client-ip",
    "true-client-ip",
    "client-ip",
    "cf-",
    "x-envoy-",
];

/// Refuses what is not this machine's own.
pub(crate) async fn this_machine(ConnectInfo(peer): ConnectInfo<SocketAddr>, request: Request, next: Next) -> Response {
    match refusal(peer, &request) {
        None => next.run(request).await,
        Some(why) => (StatusCode::FORBIDDEN, Json(json!({ "error": why }))).into_response(),
    }
}

/// Whether a base URL leads to this machine, by what it says: a name may lead anywhere.
pub(crate) fn leads_here(base: &str) -> bool {
    match Url::parse(base).ok().as_ref().and_then(Url::host) {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        None => false,
    }
}

fn refusal(peer: SocketAddr, request: &Request<Body>) -> Option<&'static str> {
    if !peer.ip().to_canonical().is_loopback() {
        return Some("the control routes answer this machine only");
    }
    if request.headers().keys().any(is_forwarding) {
        return Some("the control routes answer no proxy");
    }
    let Some(host) = asked_host(request) else {
        return Some("the control routes answer loopback hosts only");
    };
    if is_foreign(request.headers(), &host) {
        return Some("the control routes answer no foreign page");
    }
    None
}

fn is_forwarding(name: &HeaderName) -> bool {
    [FORWARDED, VIA].contains(name) || FORWARDING.iter().any(|start| name.as_str().starts_with(start))
}

/// The one host that is asked for, if it is a loopback host.
fn asked_host(request: &Request<Body>) -> Option<Authority> {
    let mut named = request.headers().get_all(HOST).iter();
    let header = named.next().map(|value| Authority::try_from(value.as_bytes()));
    if named.next().is_some() {
        return None;
    }
    let header = header.transpose().ok()?;
    // A request line may name a host of its own, and then both must be one.
    let line = request.uri().authority().cloned();
    let host = match (header, line) {
        (Some(header), Some(line)) if header == line => header,
        (Some(host), None) | (None, Some(host)) => host,
        _ => return None,
    };
    is_loopback(&host).then_some(host)
}

fn is_loopback(host: &Authority) -> bool {
    let name = host.host();
    let port = host.as_str().strip_prefix(name);
    let port_is_one = port == Some("") || host.port_u16().is_some();
    let address = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let loopback = match address {
        Some(address) => address.parse::<Ipv6Addr>().is_ok_and(|address| address.is_loopback()),
        None => {
            name.eq_ignore_ascii_case("localhost")
                || name.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
        }
    };
    // What stands before the host is somebody's name, and no part of a `Host`.
    loopback && port_is_one
}

/// Whether a page of another origin asks. A request that names no origin is no page's, or one that only loads.
fn is_foreign(headers: &HeaderMap, host: &Authority) -> bool {
    let own = |origin: &axum::http::HeaderValue| {
        let origin = origin.to_str().ok().and_then(|origin| Url::parse(origin).ok());
        let here = Url::parse(&format!("http://{host}")).ok();
        origin.zip(here).is_some_and(|(origin, here)| origin.origin() == here.origin())
    };
    let loaded = |from: &axum::http::HeaderValue| !matches!(from.as_bytes(), b"same-origin" | b"none");
    // A link on another page leads to ours like any link; it may look at nothing.
    let is_page = headers.get("sec-fetch-mode").is_some_and(|mode| mode == "navigate");
    !headers.get_all(ORIGIN).iter().all(own) || (!is_page && headers.get_all(FETCHED_FROM).iter().any(loaded))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: &str = "127.0.0.1:8080";

    fn refused_from(peer: &str, uri: &str, headers: &[(&str, &str)]) -> bool {
        let mut request = Request::post(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        refusal(peer.parse().unwrap(), &request.body(Body::empty()).unwrap()).is_some()
    }

    fn refused(headers: &[(&str, &str)]) -> bool {
        refused_from("127.0.0.1:5000", "/_local/clock", headers)
    }

    #[test]
    fn loopback_hosts_are_answered_and_no_others() {
        let own = ["localhost", "LocalHost:1", HERE, "127.0.0.1", "127.9.8.7:80", "[::1]", "[::1]:8080"];
        for host in own {
            assert!(!refused(&[("host", host)]), "{host}");
        }
        let foreign = [
            "",
            "evil.example",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "localhost.",
            "evil.example:8080",
            "0.0.0.0",
            "10.0.0.1",
            "[::]",
            "[::2]",
            "[fe80::1]",
            "[::ffff:10.0.0.1]",
            "127.1",
            "0x7f.0.0.1",
            "2130706433",
            "me@127.0.0.1",
            "127.0.0.1:x",
            "127.0.0.1:",
            "127.0.0.1:99999",
            "::1",
        ];
        for host in foreign {
            assert!(refused(&[("host", host)]), "{host}");
        }
        assert!(refused(&[]), "no host");
        assert!(refused(&[("host", HERE), ("host", HERE)]), "two hosts");
        assert!(refused_from("127.0.0.1:5", "http://evil.example/_local/clock", &[("host", HERE)]));
        assert!(refused_from("127.0.0.1:5", "http://evil.example/_local/clock", &[]));
        assert!(!refused_from("[::1]:5", "/", &[("host", HERE)]));
        assert!(refused_from("192.168.1.7:5", "/", &[("host", HERE)]), "another machine");
    }

    #[test]
    fn foreign_pages_are_refused() {
        let from = |origin: &str| refused(&[("host", HERE), ("origin", origin)]);
        assert!(!from("http://127.0.0.1:8080"));
        for origin in [
            "null",
            "",
            "http://evil.example",
            "http://127.0.0.1:3000",
            "https://127.0.0.1:8080",
            "http://localhost:8080",
        ] {
            assert!(from(origin), "{origin}");
        }
        assert!(!refused(&[("host", "localhost"), ("origin", "http://localhost:80")]));
        assert!(refused(&[("host", HERE), ("origin", "http://127.0.0.1:8080"), ("origin", "http://evil.example")]));
        let loaded =
            |site: &str, mode: &str| refused(&[("host", HERE), ("sec-fetch-site", site), ("sec-fetch-mode", mode)]);
        assert!(loaded("cross-site", "no-cors") && loaded("same-site", "cors"));
        assert!(!loaded("same-origin", "cors") && !loaded("none", "navigate") && !loaded("cross-site", "navigate"));
    }

    #[test]
    fn proxies_are_refused() {
        for name in [
            "Forwarded",
            "Via",
            "X-Forwarded-For",
            "X-Forwarded-Host",
            "X-Forwarded-Proto",
            "X-Forwarded-Whatever",
            "X-Real-IP",
            "X-Original-Host",
            "CF-Connecting-IP",
            "True-Client-IP",
        ] {
            assert!(refused(&[("host", HERE), (name, "")]), "{name}");
        }
    }

    #[test]
    fn an_address_says_whether_it_leads_here() {
        for here in [
            "http://127.0.0.1:3000",
            "http://localhost",
            "https://LOCALHOST:1",
            "http://[::1]:3000",
            "http://127.2.3.4",
        ] {
            assert!(leads_here(here), "{here}");
        }
        for elsewhere in [
            "https://graph.facebook.com",
            "http://127.0.0.1@evil.example",
            "http://chatwoot:3000",
            "http://10.0.0.7",
            "http://localhost.evil.example",
            "http://0.0.0.0:1",
            "http://[::2]",
            "nonsense",
        ] {
            assert!(!leads_here(elsewhere), "{elsewhere}");
        }
    }
}
