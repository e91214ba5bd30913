//! The contract with Graph: one suite of calls, against the simulator always and against a test number on demand.
//!
//! What it expects is what Meta's documents say and what was seen of its answers: status, members, codes. Nothing reads Meta's
//! sentences. `docs/local.md` says how to run it against your own test number.
#![expect(clippy::unwrap_used, reason = "a suite that cannot ask has failed")]

use std::{env, sync::Arc};

use domain::Timestamp;
use reqwest::{
    Client, Method, RequestBuilder,
    multipart::{Form, Part},
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use simulator_meta::{Meta, Number, Rules, Settings, Statuses};
use simulator_wire::MovableClock;

struct Suite {
    base: String,
    token: String,
    number: String,
    account: String,
    /// Who gets the one message; nobody, if it is empty.
    recipient: String,
    http: Client,
    differences: Vec<String>,
    _simulator: Option<Meta>,
}

impl Suite {
    async fn of_the_simulator() -> Self {
        let (number, account, token) = ("104857600123456", "109876543210987", "token-of-the-suite");
        let simulator = Meta::start(Settings {
            listen: ([127, 0, 0, 1], 0).into(),
            clock: Arc::new(MovableClock::frozen(Timestamp::from_secs(1_796_000_000))),
            app_secret: "app-secret".into(),
            numbers: vec![Number {
                phone_number_id: number.into(),
                waba_id: account.into(),
                display_phone_number: "525555550100".into(),
                access_token: token.into(),
                coexistence: false,
            }],
            statuses: Statuses::Manual,
        })
        .await
        .unwrap();
        // A real recipient has written to the number; that is not this suite's matter.
        simulator.set_rules(Rules { window: false, ..Rules::default() });
        simulator.customer("Ximena", "5215555550123");
        simulator.set_templates(
            account,
            vec![json!({
                "id": "1", "name": "hello_world", "language": "en_US", "status": "APPROVED", "category": "UTILITY",
                "components": [{ "type": "BODY", "text": "Hello World" }],
            })],
        );
        Self {
            base: format!("{}/v25.0", simulator.url()),
            token: token.into(),
            number: number.into(),
            account: account.into(),
            recipient: "5215555550123".into(),
            http: client(),
            differences: Vec::new(),
            _simulator: Some(simulator),
        }
    }

    #[expect(clippy::disallowed_methods, reason = "a suite has no configuration of its own")]
    fn of_the_environment() -> Self {
        let given = |name: &str| env::var(name).unwrap_or_else(|_| panic!("{name} is not set: see docs/local.md"));
        let or = |name: &str, usual: &str| env::var(name).unwrap_or_else(|_| usual.to_owned());
        Self {
            base: format!("{}/{}", or("GRAPH_URL", "https://graph.facebook.com"), or("GRAPH_VERSION", "v25.0")),
            token: given("GRAPH_TOKEN"),
            number: given("GRAPH_PHONE_NUMBER_ID"),
            account: given("GRAPH_WABA_ID"),
            recipient: or("GRAPH_RECIPIENT", ""),
            http: client(),
            differences: Vec::new(),
            _simulator: None,
        }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}/{path}", self.base)).bearer_auth(&self.token)
    }

    async fn answer(&mut self, what: &str, request: RequestBuilder, status: u16) -> Value {
        let response = request.send().await.unwrap();
        let got = response.status().as_u16();
        let body: Value = response.json().await.unwrap_or_default();
        self.holds(what, got == status, &format!("{got} instead of {status}: {body}"));
        body
    }

    fn holds(&mut self, what: &str, holds: bool, why: &str) {
        if !holds {
            self.differences.push(format!("{what}: {why}"));
        }
    }

    /// Each of these is there, and a text.
    fn texts(&mut self, what: &str, body: &Value, members: &[&str]) {
        for member in members {
            self.holds(what, body[*member].is_string(), &format!("{member} is {}", body[*member]));
        }
    }

    /// An error's envelope, and one of these codes.
    fn refused(&mut self, what: &str, body: &Value, codes: &[i64]) {
        let error = &body["error"];
        self.texts(what, error, &["message", "type", "fbtrace_id"]);
        let known = error["code"].as_i64().is_some_and(|code| codes.contains(&code));
        self.holds(what, known, &format!("code {} instead of {codes:?}", error["code"]));
    }

    async fn everything(mut self) {
        self.number_is_read().await;
        self.templates_are_listed().await;
        self.a_file_comes_and_goes().await;
        self.other_types_are_refused().await;
        self.messages_are_refused_and_taken().await;
        let found = &self.differences;
        assert!(found.is_empty(), "{} differences:\n{}", found.len(), found.join("\n"));
    }

    async fn number_is_read(&mut self) {
        let path = format!("{}?fields=display_phone_number,verified_name,status,throughput,platform_type", self.number);
        let number = self.answer("the number", self.request(Method::GET, &path), 200).await;
        self.texts("the number", &number, &["id", "display_phone_number", "verified_name", "status", "platform_type"]);
        self.texts("its throughput", &number["throughput"], &["level"]);
        let stranger = self.http.get(format!("{}/{}", self.base, self.number)).bearer_auth("nobody's");
        let refused = self.answer("a wrong token", stranger, 401).await;
        self.refused("a wrong token", &refused, &[190]);
        let nothing = self.answer("an unknown id", self.request(Method::GET, "1"), 400).await;
        self.refused("an unknown id", &nothing, &[100]);
        self.holds("an unknown id", nothing["error"]["error_subcode"] == 33, "no subcode 33");
    }

    async fn templates_are_listed(&mut self) {
        let path = format!("{}/message_templates?limit=1", self.account);
        let list = self.answer("the templates", self.request(Method::GET, &path), 200).await;
        let first = &list["data"][0];
        self.texts("a template", first, &["id", "name", "language", "status", "category"]);
        self.holds("a template", first["components"].is_array(), "it has no components");
        self.texts("the page", &list["paging"]["cursors"], &["before", "after"]);
    }

    async fn a_file_comes_and_goes(&mut self) {
        let bytes = b"%PDF-1.4\n%%EOF\n".to_vec();
        let sum = hex::encode(Sha256::digest(&bytes));
        let part = Part::bytes(bytes.clone()).file_name("lista.pdf").mime_str("application/pdf").unwrap();
        let form = Form::new().text("messaging_product", "whatsapp").text("type", "application/pdf").part("file", part);
        let upload = self.request(Method::POST, &format!("{}/media", self.number)).multipart(form);
        let uploaded = self.answer("an upload", upload, 200).await;
        self.texts("an upload", &uploaded, &["id"]);
        let id = uploaded["id"].as_str().unwrap_or("0").to_owned();
        let file = self.answer("a file", self.request(Method::GET, &id), 200).await;
        self.texts("a file", &file, &["id", "url", "mime_type", "sha256", "messaging_product"]);
        self.holds("a file", file["sha256"] == sum, "its sum is not hex of SHA-256");
        if let Some(url) = file["url"].as_str() {
            let got = self.http.get(url).bearer_auth(&self.token).send().await.unwrap().bytes().await.unwrap();
            self.holds("a download", got == bytes, "other bytes");
        }
        let gone = self.answer("a deletion", self.request(Method::DELETE, &id), 200).await;
        self.holds("a deletion", gone["success"] == true, "no success");
        let after = self.answer("a deleted file", self.request(Method::GET, &id), 400).await;
        self.refused("a deleted file", &after, &[100]);
    }

    /// Nineteen types are taken, and what neither its type, its name nor its bytes make one of them is not.
    async fn other_types_are_refused(&mut self) {
        let path = format!("{}/media", self.number);
        for (mime, name, bytes) in [
            ("application/zip", "fotos.zip", &b"PK\x03\x04\x14\0\0\0"[..]),
            ("application/xml", "factura.xml", b"<?xml version=\"1.0\"?><a/>"),
            ("application/octet-stream", "datos.bin", b"\0\x01\x02\x03"),
            ("image/gif", "moto.gif", b"GIF89a\x01\0\x01\0\0\0\0;"),
            ("text/plain", "fotos.zip", b"PK\x03\x04\x14\0\0\0"),
        ] {
            let part = Part::bytes(bytes).file_name(name).mime_str(mime).unwrap();
            let form = Form::new().text("messaging_product", "whatsapp").text("type", mime).part("file", part);
            let upload = self.request(Method::POST, &path).multipart(form);
            let what = format!("{name} as {mime}");
            let refused = self.answer(&what, upload, 400).await;
            self.refused(&what, &refused, &[100]);
        }
    }

    async fn messages_are_refused_and_taken(&mut self) {
        let path = format!("{}/messages", self.number);
        let text =
            |to: &str| json!({ "messaging_product": "whatsapp", "to": to, "type": "text", "text": { "body": "hola" } });
        let nobody = json!({ "messaging_product": "whatsapp", "type": "text", "text": { "body": "hola" } });
        let refused = self.answer("to nobody", self.request(Method::POST, &path).json(&nobody), 400).await;
        self.refused("to nobody", &refused, &[100, 131_008, 131_009]);
        let unknown = json!({
            "messaging_product": "whatsapp", "to": "5215555550123", "type": "template",
            "template": { "name": "no_such_template", "language": { "code": "es_MX" } },
        });
        let refused = self.answer("an unknown template", self.request(Method::POST, &path).json(&unknown), 404).await;
        self.refused("an unknown template", &refused, &[132_001]);
        if self.recipient.is_empty() {
            return;
        }
        let sent = self.request(Method::POST, &path).json(&text(&self.recipient));
        let sent = self.answer("a text", sent, 200).await;
        self.holds("a text", sent["messaging_product"] == "whatsapp", "no product");
        self.texts("a text", &sent["contacts"][0], &["input"]);
        let id = sent["messages"][0]["id"].as_str().unwrap_or_default();
        self.holds("a text", id.starts_with("wamid."), "its id is no wamid");
    }
}

fn client() -> Client {
    let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Client::builder().tls_backend_preconfigured(tls).build().unwrap()
}

#[tokio::test]
async fn the_simulator_answers_as_graph_does() {
    Suite::of_the_simulator().await.everything().await;
}

#[tokio::test]
#[ignore = "needs a test number: GRAPH_TOKEN, GRAPH_PHONE_NUMBER_ID, GRAPH_WABA_ID, GRAPH_RECIPIENT (docs/local.md)"]
async fn a_test_number_answers_as_graph_does() {
    Suite::of_the_environment().everything().await;
}
