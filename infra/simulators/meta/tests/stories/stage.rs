//! A stage: the double, a clock, and a stand-in for the bridge that takes webhooks and sends.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};

use anyhow::Context as _;
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use domain::Timestamp;
use serde_json::{Value, json};
use simulator_meta::{Meta, Number, Settings, Statuses};
use simulator_wire::{Faults, MovableClock, Server};

pub(crate) const NUMBER: &str = "104857600123456";
pub(crate) const CLOUD_NUMBER: &str = "104857600654321";
pub(crate) const TOKEN: &str = "token-one";
pub(crate) const CLOUD_TOKEN: &str = "token-two";
pub(crate) const WABA: &str = "109876543210987";
pub(crate) const SECRET: &str = "app-secret";
pub(crate) const ANA: &str = "5215555550123";
pub(crate) const NOW: i64 = 1_795_190_400;

/// The webhooks that came, and how they are answered.
#[derive(Default)]
pub(crate) struct Inbox {
    pub(crate) posts: Mutex<Vec<(HeaderMap, Bytes)>>,
    /// 0 stands for 200.
    status: AtomicU16,
}

pub(crate) struct Stage {
    pub(crate) meta: Meta,
    pub(crate) clock: MovableClock,
    pub(crate) http: reqwest::Client,
    inbox: Arc<Inbox>,
    _webhook: Server,
}

impl Stage {
    pub(crate) async fn open(statuses: Statuses) -> anyhow::Result<Self> {
        let clock = MovableClock::frozen(Timestamp::from_secs(NOW));
        let number = |id: &str, display: &str, token: &str, coexistence| Number {
            phone_number_id: id.into(),
            waba_id: WABA.into(),
            display_phone_number: display.into(),
            access_token: token.into(),
            coexistence,
        };
        let meta = Meta::start(Settings {
            listen: ([127, 0, 0, 1], 0).into(),
            clock: Arc::new(clock.clone()),
            app_secret: SECRET.into(),
            numbers: vec![
                number(NUMBER, "525555550100", TOKEN, true),
                number(CLOUD_NUMBER, "525555550101", CLOUD_TOKEN, false),
            ],
            statuses,
        })
        .await?;
        let inbox = Arc::new(Inbox::default());
        let router = Router::new().route("/webhooks/meta", post(take)).with_state(Arc::clone(&inbox));
        let webhook = Server::start(([127, 0, 0, 1], 0).into(), router, Faults::default()).await?;
        meta.set_webhook(&format!("{}/webhooks/meta", webhook.url()));
        Ok(Self { meta, clock, http: client()?, inbox, _webhook: webhook })
    }

    pub(crate) fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }

    /// How the stand-in answers webhooks from now on.
    pub(crate) fn answer_webhooks(&self, status: u16) {
        self.inbox.status.store(status, Ordering::SeqCst);
    }

    pub(crate) fn posts(&self) -> Vec<(HeaderMap, Bytes)> {
        self.inbox.posts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The `value` of every webhook that came.
    pub(crate) fn values(&self) -> anyhow::Result<Vec<Value>> {
        let parse = |(_, body): &(HeaderMap, Bytes)| {
            let body: Value = serde_json::from_slice(body)?;
            Ok(body["entry"][0]["changes"][0]["value"].clone())
        };
        self.posts().iter().map(parse).collect()
    }

    /// The statuses that came, each as `status` or `status code`.
    pub(crate) async fn statuses(&self) -> anyhow::Result<Vec<String>> {
        self.meta.settled().await;
        let values = self.values()?;
        let statuses = values.iter().filter_map(|value| value.get("statuses")).map(|statuses| {
            let status = statuses[0]["status"].as_str().unwrap_or_default();
            statuses[0]["errors"][0]["code"].as_u64().map_or(status.into(), |code| format!("{status} {code}"))
        });
        Ok(statuses.collect())
    }

    pub(crate) fn graph(&self, path: &str) -> String {
        format!("{}/v25.0/{path}", self.meta.url())
    }

    /// Sends any body to `/messages` of the first number.
    pub(crate) async fn send(&self, body: Value) -> anyhow::Result<(u16, Value)> {
        let url = self.graph(&format!("{NUMBER}/messages"));
        answer(self.http.post(url).bearer_auth(TOKEN).json(&body)).await
    }

    pub(crate) async fn send_text(&self, to: &str, text: &str) -> anyhow::Result<(u16, Value)> {
        self.send(text_to(to, text)).await
    }

    /// Sends a text that must be accepted; its id.
    pub(crate) async fn sent(&self, to: &str, text: &str) -> anyhow::Result<String> {
        let (status, answer) = self.send_text(to, text).await?;
        anyhow::ensure!(status == 200, "{answer}");
        Ok(answer["messages"][0]["id"].as_str().context("no id")?.into())
    }
}

pub(crate) fn text_to(to: &str, text: &str) -> Value {
    json!({"messaging_product": "whatsapp", "to": to, "type": "text", "text": {"body": text}})
}

pub(crate) fn code(answer: &Value) -> u64 {
    answer["error"]["code"].as_u64().unwrap_or_default()
}

pub(crate) async fn answer(request: reqwest::RequestBuilder) -> anyhow::Result<(u16, Value)> {
    let response = request.send().await?;
    let status = response.status().as_u16();
    Ok((status, serde_json::from_slice(&response.bytes().await?).unwrap_or_default()))
}

fn client() -> anyhow::Result<reqwest::Client> {
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    Ok(reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .tls_backend_preconfigured(tls)
        .build()?)
}

async fn take(State(inbox): State<Arc<Inbox>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    inbox.posts.lock().unwrap_or_else(PoisonError::into_inner).push((headers, body));
    StatusCode::from_u16(inbox.status.load(Ordering::SeqCst)).unwrap_or(StatusCode::OK)
}
