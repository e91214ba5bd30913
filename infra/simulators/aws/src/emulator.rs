//! Emulators of AWS that others wrote, started for a test.
//!
//! They come from `PyPI` (`.ci/run` installs them). The tests that need one say so loudly where it is missing, and fail there if
//! `CI` is `true`.

use std::{
    env,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{Response, StatusCode},
    response::IntoResponse as _,
};
use serde_json::Value;
use simulator_wire::{Faults, Server};
use tempfile::TempDir;
use tokio::{net::TcpStream, sync::Mutex, time::timeout};

use crate::{ACCOUNT, proxy::Proxy};

/// A machine that does much else at once may need so long for it.
const LONGEST_START: Duration = Duration::from_secs(120);
const LOOK: Duration = Duration::from_millis(100);

/// Who wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Make {
    /// `ministack`.
    Ministack,
    /// `moto[server]`.
    Moto,
}

/// A running emulator. Dropping it ends it.
#[derive(Debug)]
pub struct Emulator {
    url: String,
    _in_turn: Option<Server>,
    _process: Process,
    _home: TempDir,
}

#[derive(Debug)]
struct Process(Child);

impl Make {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Ministack, Self::Moto];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ministack => "ministack",
            Self::Moto => "moto",
        }
    }

    fn program(self) -> Option<PathBuf> {
        match self {
            Self::Ministack => tool("MINISTACK", "ministack"),
            Self::Moto => tool("MOTO_SERVER", "moto_server"),
        }
    }
}

impl Emulator {
    /// Starts one. `None` where it is not installed.
    pub async fn start(make: Make) -> anyhow::Result<Option<Self>> {
        let Some(program) = make.program() else { return Ok(None) };
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let home = tempfile::tempdir()?;
        let mut command = Command::new(&program);
        command.env_clear().envs(env::var_os("PATH").map(|path| ("PATH", path)));
        command.env("HOME", home.path()).env("TMPDIR", home.path()).env("PYTHONDONTWRITEBYTECODE", "1");
        match make {
            Make::Ministack => {
                // On all interfaces by default, with further ports that two of them cannot share.
                let port = port.to_string();
                command.envs([("BIND_HOST", "127.0.0.1"), ("MINISTACK_HOST", "127.0.0.1"), ("GATEWAY_PORT", &port)]);
                command.envs([("IOT_MTLS_ENABLED", "0"), ("SFTP_ENABLED", "0"), ("LOG_LEVEL", "WARNING")]);
            }
            Make::Moto => {
                command.env("MOTO_ACCOUNT_ID", ACCOUNT).args(["-H", "127.0.0.1", "-p", &port.to_string()]);
            }
        }
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let process = process.with_context(|| format!("{} cannot be started", program.display()))?;
        let mut process = Process(process);
        process.answers(address).await.with_context(|| make.name())?;
        // Its transactions race with themselves.
        let in_turn = if make == Make::Moto { Some(in_turn(address).await?) } else { None };
        let url = in_turn.as_ref().map_or_else(|| format!("http://{address}"), Server::url);
        Ok(Some(Self { url, _in_turn: in_turn, _process: process, _home: home }))
    }

    /// Where all services are spoken to.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Process {
    async fn answers(&mut self, address: SocketAddr) -> anyhow::Result<()> {
        let begun = Instant::now();
        while TcpStream::connect(address).await.is_err() {
            ensure!(self.0.try_wait()?.is_none(), "it ended at once");
            ensure!(begun.elapsed() < LONGEST_START, "it did not listen in time");
            let _ = timeout(LOOK, std::future::pending::<()>()).await;
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A program of Python's: the one that the variable names, on the path, or where `.ci/run` installs it.
pub fn tool(variable: &str, name: &str) -> Option<PathBuf> {
    if let Some(named) = env::var_os(variable) {
        return Some(PathBuf::from(named));
    }
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../target/ci-python/bin");
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).chain([target]).map(|directory| directory.join(name)).find(|program| program.is_file())
}

/// Says that a test was skipped for want of `what`. In CI nothing may be skipped.
///
/// # Panics
///
/// If `CI` is `true`.
pub fn skipped(test: &str, what: &str) {
    assert!(env::var_os("CI").is_none_or(|ci| ci != "true"), "{test}: {what} is missing, and CI must not skip it");
    eprintln!("\n!!! SKIPPED: {test}: {what} is not installed (see docs/local.md, \"Emulators of others\")\n");
}

/// The way to a server that does not bear two requests at once.
struct Turns {
    proxy: Proxy,
    turn: Mutex<()>,
}

async fn in_turn(address: SocketAddr) -> anyhow::Result<Server> {
    let turns = Arc::new(Turns { proxy: Proxy::to(address), turn: Mutex::default() });
    let router = Router::new().fallback(hand_on).with_state(turns);
    Server::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), router, Faults::default()).await
}

async fn hand_on(State(turns): State<Arc<Turns>>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, usize::MAX).await else { return StatusCode::BAD_REQUEST.into_response() };
    // A long poll waits for what another request brings.
    let waits = serde_json::from_slice::<Value>(&body).is_ok_and(|body| body["WaitTimeSeconds"].as_i64() > Some(0));
    let turn = if waits { None } else { Some(turns.turn.lock().await) };
    let answered = turns.proxy.forward(parts, body).await;
    drop(turn);
    answered.unwrap_or_else(|error| (StatusCode::BAD_GATEWAY, error.to_string()).into_response())
}
