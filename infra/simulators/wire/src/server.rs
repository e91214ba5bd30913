use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use axum::{
    Router,
    body::{Body, Bytes},
    http::{Request, Response},
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpSocket},
    sync::watch,
    task::{JoinHandle, JoinSet},
};
// `oneshot` drives the router without a listening wrapper of axum's, so that a connection can be cut.
use tower_service::Service as _;

use crate::{Call, Calls, Effect, Faults};

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 1024;

/// An HTTP/1.1 server on loopback that can misbehave.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    router: Router,
    faults: Faults,
    calls: Calls,
    serving: Mutex<Option<Serving>>,
    /// Keeps the port from others while nobody listens.
    kept: Mutex<Option<TcpSocket>>,
}

/// What listens, until its sender is gone.
#[derive(Debug)]
struct Serving {
    _stop: watch::Sender<()>,
    listens: JoinHandle<()>,
}

/// Cutting the line is an error of the connection, not of the exchange.
#[derive(Debug)]
struct Cut;

impl std::fmt::Display for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the line was cut on purpose")
    }
}

impl std::error::Error for Cut {}

impl Server {
    /// Listens on `address` (port 0 takes a free one) and serves `router`, with `faults` applied before it.
    pub async fn start(address: SocketAddr, router: Router, faults: Faults) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
        let address = listener.local_addr()?;
        let (serving, kept) = (Mutex::default(), Mutex::default());
        let server = Self { address, router, faults, calls: Calls::default(), serving, kept };
        server.serve(listener);
        Ok(server)
    }

    /// Where it listens, as a base URL without a trailing slash.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it was asked, once that is recorded.
    pub fn calls(&self) -> &Calls {
        &self.calls
    }

    /// Closes the port and every open connection: from now on connections are refused, as when the service is down.
    pub async fn refuse(&self) {
        let serving = lock(&self.serving).take();
        let Some(Serving { _stop: stop, listens }) = serving else { return };
        drop(stop);
        let _ = listens.await;
        // Bound and not listening, it refuses, and nobody else is given the port.
        *lock(&self.kept) = bound(self.address).ok();
    }

    /// The same, without waiting until it is so.
    pub fn close(&self) {
        lock(&self.serving).take();
    }

    /// Opens the same port again.
    pub fn accept(&self) -> anyhow::Result<()> {
        let kept = lock(&self.kept).take();
        let socket = kept.map_or_else(|| bound(self.address), Ok).context("the port was taken meanwhile")?;
        self.serve(socket.listen(BACKLOG)?);
        Ok(())
    }

    fn serve(&self, listener: TcpListener) {
        let (stop, stopped) = watch::channel(());
        let work = Work { router: self.router.clone(), faults: self.faults.clone(), calls: self.calls.clone() };
        let listens = tokio::spawn(accept_loop(listener, work, stopped));
        *lock(&self.serving) = Some(Serving { _stop: stop, listens });
    }
}

fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

fn bound(address: SocketAddr) -> std::io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// What every connection works with.
#[derive(Clone)]
struct Work {
    router: Router,
    faults: Faults,
    calls: Calls,
}

async fn accept_loop(listener: TcpListener, work: Work, mut stopped: watch::Receiver<()>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = stopped.changed() => {
                drop(listener);
                return connections.shutdown().await;
            }
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                let _ = stream.set_nodelay(true);
                let work = work.clone();
                connections.spawn(async move {
                    let service = hyper::service::service_fn(move |request: Request<hyper::body::Incoming>| {
                        noted(work.clone(), request.map(Body::new))
                    });
                    // A cut line ends here as an error, which is what was asked for.
                    let _ = hyper::server::conn::http1::Builder::new()
                        .timer(TokioTimer::new())
                        .serve_connection(TokioIo::new(stream), service)
                        .with_upgrades()
                        .await;
                });
            }
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
}

async fn noted(work: Work, request: Request<Body>) -> Result<Response<Body>, Cut> {
    let Work { router, faults, calls } = work;
    let (wanted, bodies) = calls.wanted();
    if !wanted {
        return exchange(router, faults, request).await;
    }
    let mut call = begun(&request);
    let request = if bodies {
        let (parts, body) = request.into_parts();
        call.body = axum::body::to_bytes(body, usize::MAX).await.map_err(|_| Cut)?;
        Request::from_parts(parts, Body::from(call.body.clone()))
    } else {
        request
    };
    let answer = exchange(router, faults, request).await;
    call.ended = Instant::now();
    calls.add(call);
    answer
}

fn begun(request: &Request<Body>) -> Call {
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let now = Instant::now();
    Call {
        method: request.method().to_string(),
        path: request.uri().path().to_owned(),
        target: header("x-amz-target").to_owned(),
        bytes: header("content-length").parse().unwrap_or_default(),
        body: Bytes::new(),
        began: now,
        ended: now,
    }
}

async fn exchange(router: Router, faults: Faults, request: Request<Body>) -> Result<Response<Body>, Cut> {
    let operation = request.headers().get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let path = format!("{}{operation}", request.uri().path());
    match faults.take(request.method().as_str(), &path) {
        None => Ok(answer(router, request).await),
        Some(Effect::DropBefore) => {
            drain(request).await;
            Err(Cut)
        }
        Some(Effect::DropAfter) => {
            answer(router, request).await;
            Err(Cut)
        }
        Some(Effect::HangBefore) => std::future::pending().await,
        Some(Effect::HangAfter) => {
            answer(router, request).await;
            std::future::pending().await
        }
        Some(Effect::Slow { millis }) => {
            let response = answer(router, request).await;
            pause(Duration::from_millis(millis)).await;
            Ok(response)
        }
        Some(Effect::Late { millis }) => {
            let response = answer(router, request).await;
            faults.late(millis);
            Ok(response)
        }
        Some(Effect::Answer { status, content_type, body }) => {
            drain(request).await;
            Ok(canned(status, &[content_type_is(content_type)], body))
        }
        Some(Effect::AnswerWith { status, headers, body }) => {
            drain(request).await;
            Ok(canned(status, &headers, body))
        }
        Some(Effect::AnswerAfter { status, content_type, body }) => {
            answer(router, request).await;
            Ok(canned(status, &[content_type_is(content_type)], body))
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "being slow is what was asked for")]
async fn pause(time: Duration) {
    tokio::time::sleep(time).await;
}

async fn answer(mut router: Router, request: Request<Body>) -> Response<Body> {
    match router.call(request).await {
        Ok(response) => response,
        Err(never) => {
            let never: Infallible = never;
            match never {}
        }
    }
}

/// Reads the body to its end, so that the caller has certainly sent all of it.
async fn drain(request: Request<Body>) {
    let _ = axum::body::to_bytes(request.into_body(), usize::MAX).await;
}

fn content_type_is(content_type: String) -> (String, String) {
    ("content-type".to_owned(), content_type)
}

fn canned(status: u16, headers: &[(String, String)], body: String) -> Response<Body> {
    let builder =
        headers.iter().fold(Response::builder().status(status), |builder, (name, value)| builder.header(name, value));
    builder.body(Body::from(body)).unwrap_or_else(|_| Response::new(Body::empty()))
}
