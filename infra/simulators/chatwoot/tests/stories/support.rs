//! What the stories share: a simulator, somebody who receives its callbacks, and a caller of its API.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use domain::Timestamp;
use reqwest::{Client, Method, multipart};
use serde_json::{Value, json};
use simulator_chatwoot::{Chatwoot, Inbox, Settings};
use simulator_wire::{Faults, MovableClock, Server};

pub(crate) const TOKEN: &str = "token-of-the-bridge";
pub(crate) const SECRET: &str = "Zk3rQ9tVwXy7LmN2pBcD4fGh";
pub(crate) const INBOX: i64 = 14;
pub(crate) const BASE: &str = "/api/v1/accounts/3";
pub(crate) const START: Timestamp = Timestamp::from_millis(1_795_183_200_412);

/// A callback as it came in.
#[derive(Clone, Debug)]
pub(crate) struct Callback {
    pub(crate) headers: HeaderMap,
    pub(crate) raw: String,
    pub(crate) body: Value,
}

impl Callback {
    pub(crate) fn event(&self) -> &str {
        self.body["event"].as_str().unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Receiver {
    got: Arc<Mutex<Vec<Callback>>>,
    answers: Arc<Mutex<VecDeque<u16>>>,
}

impl Receiver {
    pub(crate) fn got(&self) -> Vec<Callback> {
        self.got.lock().unwrap().clone()
    }

    pub(crate) fn about_messages(&self) -> Vec<Callback> {
        self.got().into_iter().filter(|callback| callback.event().starts_with("message_")).collect()
    }

    pub(crate) fn events(&self) -> Vec<String> {
        self.got().iter().map(|callback| callback.event().to_owned()).collect()
    }

    pub(crate) fn clear(&self) {
        self.got.lock().unwrap().clear();
    }

    /// The next callbacks are answered with these; afterwards with 200 again.
    pub(crate) fn will_answer(&self, statuses: &[u16]) {
        self.answers.lock().unwrap().extend(statuses);
    }
}

async fn receive(State(receiver): State<Receiver>, headers: HeaderMap, raw: String) -> StatusCode {
    let body = serde_json::from_str(&raw).unwrap();
    receiver.got.lock().unwrap().push(Callback { headers, raw, body });
    let status = receiver.answers.lock().unwrap().pop_front().unwrap_or(200);
    StatusCode::from_u16(status).unwrap()
}

pub(crate) struct Rig {
    pub(crate) chatwoot: Chatwoot,
    pub(crate) clock: MovableClock,
    pub(crate) receiver: Receiver,
    /// Dropping it would close its port.
    _receiving: Server,
    pub(crate) receiving_faults: Faults,
    pub(crate) http: Client,
    pub(crate) token: String,
}

pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) text: String,
    pub(crate) content_type: String,
    pub(crate) location: Option<String>,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("{} {}", self.status, self.text))
    }
}

impl Rig {
    pub(crate) async fn start() -> Self {
        Self::with(false).await
    }

    pub(crate) async fn with(lock_to_single_conversation: bool) -> Self {
        let clock = MovableClock::frozen(START);
        let receiver = Receiver::default();
        let router = Router::new().fallback(receive).with_state(receiver.clone());
        let receiving_faults = Faults::default();
        let receiving = Server::start(local(), router, receiving_faults.clone()).await.unwrap();
        let inbox = |id, name: &str, webhook_url| Inbox {
            id,
            name: name.to_owned(),
            webhook_url,
            secret: SECRET.to_owned(),
            lock_to_single_conversation,
        };
        let chatwoot = Chatwoot::start(Settings {
            listen: local(),
            clock: Arc::new(clock.clone()),
            account_id: 3,
            token: TOKEN.to_owned(),
            inboxes: vec![
                inbox(INBOX, "WhatsApp Ventas", format!("{}/callbacks", receiving.url())),
                inbox(15, "WhatsApp Taller", String::new()),
            ],
        })
        .await
        .unwrap();
        Self {
            chatwoot,
            clock,
            receiver,
            _receiving: receiving,
            receiving_faults,
            http: client(),
            token: TOKEN.to_owned(),
        }
    }

    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> Reply {
        let response = request.send().await.unwrap();
        let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let (status, content_type, location) =
            (response.status().as_u16(), header("content-type").unwrap_or_default(), header("location"));
        Reply { status, text: response.text().await.unwrap(), content_type, location }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let url = format!("{}{path}", self.chatwoot.url());
        self.http.request(method, url).header("api_access_token", &self.token).header("Accept", "application/json")
    }

    pub(crate) async fn call(&self, method: Method, path: &str, body: Value) -> Reply {
        self.send(self.request(method, &format!("{BASE}{path}")).json(&body)).await
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send(self.request(Method::GET, &format!("{BASE}{path}"))).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Reply {
        self.call(Method::POST, path, body).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Reply {
        self.call(Method::PATCH, path, body).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Reply {
        self.send(self.request(Method::DELETE, &format!("{BASE}{path}"))).await
    }

    /// A call that has to work.
    pub(crate) async fn made(&self, path: &str, body: Value) -> Value {
        let reply = self.post(path, body).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text);
        reply.json()
    }

    pub(crate) async fn contact(&self, name: &str, source_id: &str) -> i64 {
        let body = json!({ "name": name, "identifier": source_id, "inbox_id": INBOX, "source_id": source_id });
        self.made("/contacts", body).await["payload"]["contact"]["id"].as_i64().unwrap()
    }

    /// A contact with a conversation; gives back the conversation, with all callbacks about it out of the way.
    pub(crate) async fn conversation(&self, name: &str) -> i64 {
        let source_id = format!("source-of-{name}");
        let contact = self.contact(name, &source_id).await;
        let body = json!({ "inbox_id": INBOX, "contact_id": contact, "source_id": source_id });
        let id = self.made("/conversations", body).await["id"].as_i64().unwrap();
        self.quiet().await;
        id
    }

    pub(crate) async fn incoming(&self, conversation: i64, text: &str, source_id: &str) -> i64 {
        let body = json!({ "content": text, "message_type": "incoming", "source_id": source_id });
        self.message(conversation, body).await["id"].as_i64().unwrap()
    }

    pub(crate) async fn message(&self, conversation: i64, body: Value) -> Value {
        self.made(&format!("/conversations/{conversation}/messages"), body).await
    }

    pub(crate) async fn status(&self, conversation: i64, message: i64, body: Value) -> Reply {
        self.patch(&format!("/conversations/{conversation}/messages/{message}"), body).await
    }

    pub(crate) async fn form(&self, conversation: i64, form: multipart::Form) -> Reply {
        let path = format!("{BASE}/conversations/{conversation}/messages");
        self.send(self.request(Method::POST, &path).multipart(form)).await
    }

    /// Everything told so far has been told and is forgotten.
    pub(crate) async fn quiet(&self) {
        self.chatwoot.settled().await;
        self.receiver.clear();
    }

    pub(crate) fn advance(&self, secs: u64) {
        self.clock.advance(Duration::from_secs(secs));
    }
}

pub(crate) fn local() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// Plain HTTP, no redirects followed, so that a story sees them.
pub(crate) fn client() -> Client {
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let builder = Client::builder().tls_backend_preconfigured(tls).no_proxy();
    builder.redirect(reqwest::redirect::Policy::none()).build().unwrap()
}
