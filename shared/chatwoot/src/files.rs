//! Reads an agent's file. Its address comes from a message, so it may only lead to Chatwoot itself, and from there to Chatwoot
//! again or to a public address: nothing else may make the bridge call inside a network.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use reqwest::{
    Client, Response,
    dns::{Addrs, Name, Resolve, Resolving},
    header::LOCATION,
};
use url::{Host, Url};

use crate::ChatwootError;

/// Chatwoot redirects to its storage once; a proxy may add a step or two.
const MAX_REDIRECTS: usize = 5;

/// How long a storage may take until it begins to answer; the bytes may take longer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Opens the file at `url`. `guarded` resolves names by [`PublicOnly`]; `limit` is for the whole transfer.
pub(crate) async fn open(
    own: &Client,
    guarded: &Client,
    base: &Url,
    url: &str,
    limit: Duration,
) -> Result<Response, ChatwootError> {
    let mut url: Url = url.parse().map_err(|_| ChatwootError::Forbidden)?;
    if url.origin() != base.origin() {
        return Err(ChatwootError::Elsewhere);
    }
    for _ in 0..=MAX_REDIRECTS {
        let client = if url.origin() == base.origin() { own } else { guard(&url, guarded)? };
        let answer = tokio::time::timeout(ANSWER_TIMEOUT, client.get(url.clone()).timeout(limit).send());
        let response = answer.await.map_err(|_| ChatwootError::NoAnswer(None))?.map_err(ChatwootError::of)?;
        if !response.status().is_redirection() {
            return if response.status().is_success() {
                Ok(response)
            } else {
                Err(ChatwootError::status(response.status()))
            };
        }
        let to =
            response.headers().get(LOCATION).and_then(|to| to.to_str().ok()).ok_or(ChatwootError::NoAnswer(None))?;
        url = follow(&url, to)?;
    }
    Err(ChatwootError::Forbidden)
}

/// Where a redirect leads. A request over TLS is never redirected to one without.
fn follow(from: &Url, to: &str) -> Result<Url, ChatwootError> {
    let to = from.join(to).map_err(|_| ChatwootError::Forbidden)?;
    if from.scheme() == "https" && to.scheme() != "https" { Err(ChatwootError::Forbidden) } else { Ok(to) }
}

/// A numeric address does not pass the resolver, so it is checked here.
fn guard<'c>(url: &Url, guarded: &'c Client) -> Result<&'c Client, ChatwootError> {
    let allowed = matches!(url.scheme(), "http" | "https")
        && match url.host() {
            Some(Host::Ipv4(ip)) => is_public(ip.into()),
            Some(Host::Ipv6(ip)) => is_public(ip.into()),
            Some(Host::Domain(_)) => true,
            None => false,
        };
    if allowed { Ok(guarded) } else { Err(ChatwootError::Forbidden) }
}

/// A name resolves to no public address.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the name has no public address")]
pub(crate) struct NotPublic;

/// Resolves names and keeps only public addresses.
#[derive(Clone, Copy, Debug)]
pub struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<SocketAddr> = found.filter(|address| is_public(address.ip())).collect();
            if public.is_empty() {
                return Err(NotPublic.into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => ip.to_ipv4().map_or_else(|| is_public_v6(ip), is_public_v4),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let shared = a == 100 && (64..128).contains(&b);
    let protocol = a == 192 && b == 0 && c == 0;
    let benchmark = a == 198 && (18..20).contains(&b);
    let reserved = a == 0 || a >= 240;
    !(ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_documentation()
        || ip.is_multicast()
        || shared
        || protocol
        || benchmark
        || reserved)
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    let [a, b, ..] = ip.segments();
    // Of the routed range (2000::/3), leave out documentation, 6to4 and Teredo: the last two embed any IPv4 address.
    (a & 0xe000) == 0x2000 && !(a == 0x2001 && (b == 0xdb8 || b == 0)) && a != 0x2002
}

/// The name of a file, from the last part of its address (§2.5).
pub fn name(url: &str) -> Option<String> {
    let url: Url = url.parse().ok()?;
    // A plus is a plus in a path, and a space only in a form.
    let form = format!("name={}", url.path_segments()?.next_back()?.replace('+', "%2B").replace('&', "%26"));
    let name = url::form_urlencoded::parse(form.as_bytes()).next()?.1.into_owned();
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_address_of_a_network_of_our_own_is_public() {
        for inside in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "198.18.0.1",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "2001:db8::1",
            "2002:7f00:1::",
            "64:ff9b::a00:1",
        ] {
            assert!(!is_public(inside.parse().unwrap()), "{inside}");
        }
        for outside in ["1.1.1.1", "157.240.1.1", "2a03:2880:f12f::1", "2606:4700::1111"] {
            assert!(is_public(outside.parse().unwrap()), "{outside}");
        }
    }

    #[test]
    fn a_redirect_never_leads_from_tls_to_plain_text() {
        let follows = |from: &str, to| follow(&from.parse().unwrap(), to).is_ok();
        assert!(follows("https://chat.example/a", "https://storage.example/b"));
        assert!(follows("https://chat.example/a", "/b"));
        assert!(follows("http://127.0.0.1:3000/a", "https://storage.example/b"));
        for to in ["http://chat.example/a", "http://storage.example/b", "ftp://storage.example/b"] {
            assert!(!follows("https://chat.example/a", to), "{to}");
        }
    }

    #[test]
    fn a_name_is_the_last_part_of_the_address_decoded() {
        let base = "https://chat.example/rails/active_storage/blobs/redirect/abc--def";
        assert_eq!(name(&format!("{base}/cotizaci%C3%B3n%20a+b.pdf")).as_deref(), Some("cotización a+b.pdf"));
        assert_eq!(name(&format!("{base}/")), None);
    }
}
