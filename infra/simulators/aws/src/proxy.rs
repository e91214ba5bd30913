//! Hands a request on to a server on loopback, over connections that are kept.

use std::{
    net::SocketAddr,
    sync::{Mutex, PoisonError},
};

use axum::{
    body::Body,
    http::{Request, Response, request::Parts},
};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// The way to one server.
#[derive(Debug)]
pub(crate) struct Proxy {
    address: SocketAddr,
    idle: Mutex<Vec<SendRequest<Full<Bytes>>>>,
}

impl Proxy {
    /// The way to the server at `address`.
    pub(crate) fn to(address: SocketAddr) -> Self {
        Self { address, idle: Mutex::default() }
    }

    /// Hands the request on and the answer back.
    pub(crate) async fn forward(&self, parts: Parts, body: Bytes) -> anyhow::Result<Response<Body>> {
        let mut connection = match self.pooled().await {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        let request = Request::from_parts(parts, Full::new(body));
        let (parts, body) = connection.send_request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        self.lock().push(connection);
        Ok(Response::from_parts(parts, Body::from(body)))
    }

    /// Closes the connections that are kept.
    pub(crate) fn close(&self) {
        self.lock().clear();
    }

    async fn pooled(&self) -> Option<SendRequest<Full<Bytes>>> {
        loop {
            let mut connection = self.lock().pop()?;
            if connection.ready().await.is_ok() {
                return Some(connection);
            }
        }
    }

    async fn connect(&self) -> anyhow::Result<SendRequest<Full<Bytes>>> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(async move {
            // Its end is seen by whoever wants to send next.
            let _ = connection.await;
        });
        sender.ready().await?;
        Ok(sender)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<SendRequest<Full<Bytes>>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
