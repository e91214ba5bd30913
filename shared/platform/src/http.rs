//! Builds the HTTP clients for Meta and Chatwoot.
//! They use one TLS provider and compiled-in roots, follow no redirects by themselves, and use no proxy.

use std::{sync::Arc, time::Duration};

use reqwest::{Client, ClientBuilder, dns::Resolve, redirect::Policy};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject as _},
};

/// How long it may take to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// A connection that idled longer may have been closed by the other side while the function was frozen.
const IDLE_TIMEOUT: Duration = Duration::from_secs(15);

/// Neither TLS nor the client could be set up: a fault of the build, not of the network.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// TLS.
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
    /// The client.
    #[error("the HTTP client cannot be set up")]
    Client(#[from] reqwest::Error),
    /// The certificates that are to be trusted.
    #[error("CHATWOOT_CA: no certificates in PEM")]
    Authority,
}

/// The clients for outgoing calls.
#[derive(Clone, Debug)]
pub struct Http {
    /// Keeps connections open; to Meta.
    pub kept: Client,
    /// Opens a connection for each call; to Meta.
    pub fresh: Client,
    /// Keeps connections open; to Chatwoot.
    pub private: Client,
    /// Resolves names through the guard it was given: for addresses that others chose. Trusts the same roots as `private`.
    pub guarded: Client,
}

impl Http {
    /// Builds the clients; `guard` decides which addresses a foreign name may lead to. `authority` is in PEM and is trusted for
    /// Chatwoot alone, beside the public ones.
    pub fn new(guard: Arc<dyn Resolve>, authority: Option<&str>) -> Result<Self, ClientError> {
        let public = tls(None)?;
        let kept = builder(&public).pool_idle_timeout(IDLE_TIMEOUT).build()?;
        let own = authority.is_some().then(|| tls(authority)).transpose()?;
        let private = match &own {
            Some(own) => builder(own).pool_idle_timeout(IDLE_TIMEOUT).build()?,
            None => kept.clone(),
        };
        let believed = own.as_ref().unwrap_or(&public);
        Ok(Self {
            kept,
            fresh: builder(&public).pool_max_idle_per_host(0).build()?,
            private,
            guarded: builder(believed).pool_max_idle_per_host(0).dns_resolver(guard).build()?,
        })
    }
}

fn builder(tls: &ClientConfig) -> ClientBuilder {
    Client::builder()
        .tls_backend_preconfigured(tls.clone())
        .connect_timeout(CONNECT_TIMEOUT)
        .redirect(Policy::none())
        .no_proxy()
        .user_agent(concat!("lmotos-bridge/", env!("CARGO_PKG_VERSION")))
}

fn tls(authority: Option<&str>) -> Result<ClientConfig, ClientError> {
    let mut roots = RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    if let Some(authority) = authority {
        // Some ways to set a variable keep a text on one line.
        let pem = authority.replace("\\n", "\n");
        let before = roots.len();
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            roots.add(certificate.map_err(|_| ClientError::Authority)?)?;
        }
        if roots.len() == before {
            return Err(ClientError::Authority);
        }
    }
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
        assert!(Http::new(Arc::new(Nowhere), None).is_ok());
    }

    #[test]
    fn a_private_authority_is_taken_in_one_line_or_in_many() {
        let pem = include_str!("amazon-roots.pem");
        for pem in [pem.to_owned(), pem.replace('\n', "\\n")] {
            assert_eq!(tls(Some(&pem)).map(|_| ()).map_err(|error| error.to_string()), Ok(()));
        }
    }

    #[test]
    fn what_is_no_certificate_is_told_at_start() {
        for wrong in ["", "ca.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            assert!(Http::new(Arc::new(Nowhere), Some(wrong)).is_err(), "{wrong}");
        }
    }
}
