//! TLS in front of a server of this process, with an authority of its own.

use std::{collections::BTreeMap, net::SocketAddr, path::Path, sync::Arc};

use anyhow::Context as _;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{PrivateKeyDer, pem::PemObject as _},
};
use tempfile::NamedTempFile;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

/// The line, open until it is dropped.
#[derive(Debug)]
pub struct Tls {
    address: SocketAddr,
    authority: NamedTempFile,
    work: JoinHandle<()>,
}

impl Tls {
    /// Opens it in front of the server at `url`.
    pub async fn in_front_of(url: &str) -> anyhow::Result<Self> {
        let behind: SocketAddr = url.strip_prefix("http://").context("an odd address")?.parse()?;
        let (config, pem) = identity()?;
        let authority = NamedTempFile::new()?;
        std::fs::write(authority.path(), pem)?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let work = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(carry(acceptor.clone(), stream, behind));
            }
        });
        Ok(Self { address, authority, work })
    }

    /// Where it is, without a trailing slash.
    pub fn url(&self) -> String {
        format!("https://localhost:{}", self.address.port())
    }

    /// The file with the authority's certificate, in PEM.
    pub fn authority(&self) -> &Path {
        self.authority.path()
    }

    /// Leads the AWS clients of an environment through it; whom they are to trust is another thing.
    pub fn lead(&self, variables: &mut BTreeMap<String, String>) {
        variables.insert("AWS_ENDPOINT_URL".to_owned(), self.url());
        // Queues are named by their addresses.
        for value in variables.values_mut() {
            if let Some((_, path)) = value.strip_prefix("http://").and_then(|rest| rest.split_once("/000000000000/")) {
                *value = format!("{}/000000000000/{path}", self.url());
            }
        }
    }
}

impl Drop for Tls {
    fn drop(&mut self) {
        self.work.abort();
    }
}

async fn carry(acceptor: TlsAcceptor, stream: TcpStream, behind: SocketAddr) {
    let _ = stream.set_nodelay(true);
    let (Ok(mut inner), Ok(mut outer)) = (acceptor.accept(stream).await, TcpStream::connect(behind).await) else {
        return;
    };
    let _ = outer.set_nodelay(true);
    // Either side may hang up when it likes.
    let _ = copy_bidirectional(&mut inner, &mut outer).await;
}

fn identity() -> anyhow::Result<(ServerConfig, String)> {
    let mut authority = CertificateParams::new(Vec::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // A name of its own, or OpenSSL takes what it signs for self-signed.
    authority.distinguished_name.push(DnType::CommonName, "Authority of the rig");
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(vec!["localhost".to_owned()])?.signed_by(&key, &authority)?;
    let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes())?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)?;
    Ok((config, authority.pem()))
}
