//! Who asks and compares: a caller of one Chatwoot, and whoever takes its callbacks.

use std::{
    env,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, extract::State};
use domain::Timestamp;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use simulator_chatwoot::{Chatwoot, Inbox, Settings};
use simulator_wire::{Faults, MovableClock, Server};

use crate::shape::Shapes;

/// What Rails renders, what its page for errors says, and what has no body.
pub(crate) const JSON: &str = "application/json; charset=utf-8";
pub(crate) const PAGE: &str = "application/json; charset=UTF-8";
pub(crate) const NOTHING: &str = "application/json";

type Told = Arc<Mutex<Vec<Value>>>;

pub(crate) struct Suite {
    base: String,
    token: String,
    account: i64,
    pub(crate) inbox: i64,
    /// Told from every other run.
    pub(crate) mark: String,
    http: Client,
    shapes: Shapes,
    differences: Vec<String>,
    /// What is to be known, and fails nothing.
    remarks: Vec<String>,
    told: Told,
    receiving: Option<Server>,
    simulator: Option<Chatwoot>,
}

impl Suite {
    /// Against the simulator, with a receiver for its callbacks.
    pub(crate) async fn of_the_simulator() -> Self {
        let (told, receiving) = receiver("127.0.0.1:0".parse().unwrap()).await;
        let chatwoot = Chatwoot::start(Settings {
            listen: "127.0.0.1:0".parse().unwrap(),
            clock: Arc::new(MovableClock::frozen(Timestamp::from_millis(1_796_000_000_412))),
            account_id: 1,
            token: "token-of-the-suite".to_owned(),
            inboxes: vec![Inbox {
                id: 2,
                name: "WhatsApp Ventas".to_owned(),
                webhook_url: receiving.url(),
                secret: "secret-of-the-suite".to_owned(),
                lock_to_single_conversation: true,
            }],
        })
        .await
        .unwrap();
        let (base, token) = (chatwoot.url(), "token-of-the-suite".to_owned());
        Self::new(base, token, (1, 2), told, Some(receiving), Some(chatwoot))
    }

    #[expect(clippy::disallowed_methods, reason = "a suite has no configuration of its own")]
    /// Against the Chatwoot that the environment names. Its inbox must be of type API and locked to a single conversation.
    pub(crate) async fn of_the_environment() -> Self {
        let given = |name: &str| env::var(name).unwrap_or_else(|_| panic!("{name} is not set: see docs/local.md"));
        let number = |name: &str| given(name).parse().unwrap_or_else(|_| panic!("{name} is no number"));
        let place = (number("CHATWOOT_ACCOUNT"), number("CHATWOOT_INBOX"));
        let (told, receiving) = match env::var("CHATWOOT_CALLBACKS") {
            Ok(listen) => {
                let (told, receiving) = receiver(listen.parse().unwrap()).await;
                (told, Some(receiving))
            }
            Err(_) => (Told::default(), None),
        };
        Self::new(given("CHATWOOT_URL"), given("CHATWOOT_TOKEN"), place, told, receiving, None)
    }

    fn new(
        base: String,
        token: String,
        (account, inbox): (i64, i64),
        told: Told,
        receiving: Option<Server>,
        simulator: Option<Chatwoot>,
    ) -> Self {
        let mark = uuid::Uuid::new_v4().as_u128() % 10_000_000;
        let tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() })
            .with_no_client_auth();
        let http = Client::builder().tls_backend_preconfigured(tls).timeout(Duration::from_secs(30)).build().unwrap();
        let mark = format!("{mark:07}");
        let shapes = Shapes::read();
        Self {
            base,
            token,
            account,
            inbox,
            mark,
            http,
            shapes,
            differences: Vec::new(),
            remarks: Vec::new(),
            told,
            receiving,
            simulator,
        }
    }

    pub(crate) async fn get(&mut self, path: &str, status: u16, kind: &str, shape: &str) -> Value {
        self.call(Method::GET, path, Value::Null, (status, kind, shape)).await
    }

    pub(crate) async fn post(&mut self, path: &str, body: Value, answer: (u16, &str, &str)) -> Value {
        self.call(Method::POST, path, body, answer).await
    }

    /// One call; what is unlike the expected answer is noted, and the rest goes on. An empty name is an answer without a body.
    pub(crate) async fn call(&mut self, method: Method, path: &str, body: Value, answer: (u16, &str, &str)) -> Value {
        let url = match path.strip_prefix("//") {
            Some(outside) => format!("{}/{outside}", self.base),
            None => format!("{}/api/v1/accounts/{}{path}", self.base, self.account),
        };
        let mut request = self.http.request(method.clone(), url).header("api_access_token", &self.token);
        if !body.is_null() {
            request = request.json(&body);
        }
        self.send(&format!("{method} {path}"), request, answer).await
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}/api/v1/accounts/{}{path}", self.base, self.account))
    }

    /// The same outside of accounts.
    pub(crate) fn outside(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}/{path}", self.base))
    }

    pub(crate) fn signed(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.request(method, path).header("api_access_token", &self.token)
    }

    pub(crate) async fn send(
        &mut self,
        what: &str,
        request: reqwest::RequestBuilder,
        (status, kind, shape): (u16, &str, &str),
    ) -> Value {
        let response = request.header("Accept", "application/json").send().await.unwrap();
        let got = response.status().as_u16();
        let got_kind = response.headers().get("content-type").map(|kind| kind.to_str().unwrap().to_owned());
        let text = response.text().await.unwrap();
        if got != status {
            self.differences.push(format!("{what}: {got} instead of {status}: {text:.300}"));
        } else if got_kind.as_deref().unwrap_or_default() != kind {
            self.differences.push(format!("{what}: content type {got_kind:?} instead of {kind}"));
        }
        if shape.is_empty() {
            if !text.is_empty() && got == status {
                self.differences.push(format!("{what}: a body where none belongs: {text:.300}"));
            }
            return Value::Null;
        }
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        if got == status {
            let found = self.shapes.differences(shape, &body);
            self.differences.extend(found.into_iter().map(|difference| format!("{what}: {difference}")));
        }
        body
    }

    /// Another version of a real one is worth a line, but no difference: what it answers decides.
    pub(crate) fn is_of_version(&mut self, version: &Value) {
        if self.simulator.is_some() {
            self.is("the version", version, &json!(simulator_chatwoot::VERSION));
        } else if version != simulator_chatwoot::VERSION {
            self.remarks.push(format!("This Chatwoot is {version}; {} was recorded.", simulator_chatwoot::VERSION));
        }
    }

    /// A value that has to be this one.
    pub(crate) fn is(&mut self, what: &str, got: &Value, expected: &Value) {
        if got != expected {
            self.differences.push(format!("{what}: {got} instead of {expected}"));
        }
    }

    /// Points the inbox's callbacks at the receiver, where there is one and it is not the simulator's already.
    pub(crate) async fn listen(&mut self) {
        let (Some(receiving), None) = (&self.receiving, &self.simulator) else { return };
        let (path, url) = (format!("/inboxes/{}", self.inbox), receiving.url());
        let body = json!({ "channel": { "webhook_url": url } });
        self.call(Method::PATCH, &path, body, (200, JSON, "inbox")).await;
    }

    #[expect(clippy::disallowed_methods, reason = "a real Chatwoot says nowhere when its background work is done")]
    /// Waits until deletions and callbacks are through: a real Chatwoot does both in the background.
    pub(crate) async fn settle(&self) {
        match &self.simulator {
            Some(chatwoot) => chatwoot.settled().await,
            None => tokio::time::sleep(Duration::from_secs(6)).await,
        }
    }

    /// The callbacks so far.
    pub(crate) fn told(&self) -> Option<Vec<Value>> {
        self.receiving.as_ref().map(|_| self.told.lock().unwrap().clone())
    }

    /// Compares a callback with a shape.
    pub(crate) fn compare(&mut self, what: &str, shape: &str, body: &Value) {
        let found = self.shapes.differences(shape, body);
        self.differences.extend(found.into_iter().map(|difference| format!("{what}: {difference}")));
    }

    pub(crate) fn missing(&mut self, what: &str) {
        self.differences.push(format!("{what}: no such callback came"));
    }

    /// The end: nothing may be unlike.
    #[track_caller]
    pub(crate) fn agrees(self) {
        self.remarks.iter().for_each(|remark| eprintln!("{remark}"));
        assert!(
            self.differences.is_empty(),
            "{}\n{} differences:\n{}",
            self.remarks.join("\n"),
            self.differences.len(),
            self.differences.join("\n")
        );
    }
}

async fn receiver(listen: SocketAddr) -> (Told, Server) {
    async fn take(State(told): State<Told>, body: String) {
        told.lock().unwrap().push(serde_json::from_str(&body).unwrap());
    }
    let told = Told::default();
    let router = Router::new().fallback(take).with_state(Arc::clone(&told));
    let server = Server::start(listen, router, Faults::default()).await.unwrap();
    (told, server)
}
