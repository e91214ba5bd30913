//! The HTTP clients for Meta and Chatwoot: one TLS provider, compiled-in roots, no redirects behind our back, no proxy.

use std::{sync::Arc, time::Duration};

use reqwest::{Client, dns::Resolve, redirect::Policy};
use rustls::{ClientConfig, RootCertStore, crypto::ring};

/// How long it may take to connect.
const CONNECT: Duration = Duration::from_secs(3);

/// A connection that idled longer may have been closed by the other side while the function was frozen.
const IDLE: Duration = Duration::from_secs(15);

/// Neither TLS nor the client could be set up: a fault of the build, not of the network.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// TLS.
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
    /// The client.
    #[error("the HTTP client cannot be set up")]
    Client(#[from] reqwest::Error),
}

/// The ways we call out.
#[derive(Clone, Debug)]
pub struct Http {
    /// Keeps connections open.
    pub kept: Client,
    /// A connection for each call.
    pub fresh: Client,
    /// Looks names up by the guard it was given: for addresses that somebody else chose.
    pub guarded: Client,
}

impl Http {
    /// Sets them up; `guard` decides which addresses a foreign name may lead to.
    pub fn new(guard: Arc<dyn Resolve>) -> Result<Self, ClientError> {
        let tls = tls()?;
        let builder = || {
            Client::builder()
                .tls_backend_preconfigured(tls.clone())
                .connect_timeout(CONNECT)
                .redirect(Policy::none())
                .no_proxy()
                .user_agent(concat!("lmotos-bridge/", env!("CARGO_PKG_VERSION")))
        };
        Ok(Self {
            kept: builder().pool_idle_timeout(IDLE).build()?,
            fresh: builder().pool_max_idle_per_host(0).build()?,
            guarded: builder().pool_max_idle_per_host(0).dns_resolver(guard).build()?,
        })
    }
}

fn tls() -> Result<ClientConfig, rustls::Error> {
    let mut roots = RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Nowhere;

    impl Resolve for Nowhere {
        fn resolve(&self, _: reqwest::dns::Name) -> reqwest::dns::Resolving {
            Box::pin(async { Err("no name leads anywhere".into()) })
        }
    }

    #[test]
    fn the_clients_can_be_built() {
        assert!(Http::new(Arc::new(Nowhere)).is_ok());
    }
}
