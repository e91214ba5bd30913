//! What the stories about agents' messages begin with: a customer who has written, an agent who answers, and what may go
//! wrong at Meta in between.

use std::time::Duration;

use simulator_chatwoot::{Agent, MessageView};
use simulator_meta::Customer;
use simulator_wire::{Effect, Fault};
use stories::{ACCOUNT, World};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// Begins every mark on a message of which nobody knows whether it went out.
pub(crate) const UNCONFIRMED: &str = "Sin confirmar: ";

/// A world in which Ana has written and Sofía can answer her.
pub(crate) struct OpenChat {
    pub(crate) world: World,
    pub(crate) ana: Customer,
    pub(crate) sofia: Agent,
    pub(crate) conversation: i64,
}

impl OpenChat {
    pub(crate) async fn open() -> Self {
        let world = World::start().await.unwrap();
        let ana = world.meta.customer("Ana", "5215555550123");
        ana.writes("hola").await.unwrap();
        world.work().await.unwrap();
        let conversation = world.conversation("Ana").unwrap();
        let sofia = world.chatwoot.agent("Sofía");
        Self { world, ana, sofia, conversation }
    }

    /// Sofía writes, and the bridge works.
    pub(crate) async fn says(&self, text: &str) -> i64 {
        let message = self.sofia.replies(self.conversation, text).await;
        self.world.work().await.unwrap();
        message
    }

    /// A second later Sofía presses Retry, and the bridge works.
    pub(crate) async fn retries(&self, message: i64) {
        self.world.pass(Duration::from_secs(1));
        self.sofia.retries(self.conversation, message).await;
        self.world.work().await.unwrap();
    }

    /// Time passes, and the bridge works.
    pub(crate) async fn later(&self, time: Duration) {
        self.world.later(time).await.unwrap();
    }

    /// A round of `reconcile`, and the bridge works.
    pub(crate) async fn reconciles(&self) {
        self.world.reconcile().await.unwrap();
        self.world.work().await.unwrap();
    }

    pub(crate) fn message(&self, id: i64) -> MessageView {
        self.world.chatwoot.messages(self.conversation).into_iter().find(|message| message.id == id).unwrap()
    }

    /// The last message with this text.
    pub(crate) fn message_of(&self, text: &str) -> MessageView {
        let messages = self.world.chatwoot.messages(self.conversation).into_iter();
        messages.filter(|message| message.content == text).last().unwrap()
    }

    /// The tick, or the red words, that Sofía sees on a message.
    pub(crate) fn mark(&self, id: i64) -> String {
        let message = self.message(id);
        message.external_error.filter(|_| message.status == "failed").unwrap_or(message.status)
    }

    /// The notes in the conversation.
    pub(crate) fn notes(&self) -> Vec<String> {
        let messages = self.world.chatwoot.messages(self.conversation).into_iter();
        messages.filter(|message| message.private).map(|message| message.content).collect()
    }

    /// Graph answers again.
    pub(crate) fn meta_is_back(&self) {
        self.world.meta.server().accept().unwrap();
    }

    /// A call to Chatwoot's API as an agent bot or an automation makes it.
    pub(crate) async fn calls_chatwoot(&self, path: &str, body: &serde_json::Value) -> u16 {
        let token = self.world.chatwoot.token("Bot", simulator_chatwoot::Role::Administrator);
        let headers = [("api_access_token", token.as_str()), ("content-type", "application/json")];
        let path = format!("/api/v1/accounts/{ACCOUNT}{path}");
        post(&self.world.chatwoot.url(), &path, &headers, body.to_string().as_bytes()).await
    }

    /// What happens to the next `times` sends at Meta.
    pub(crate) fn meta_will(&self, effect: Effect, times: u32) {
        self.meta_will_at("/messages", effect, times);
    }

    /// The same for what is posted elsewhere.
    pub(crate) fn meta_will_at(&self, path: &str, effect: Effect, times: u32) {
        self.world.meta.faults().add(at(path, effect, Some(times)));
    }
}

/// A fault at every `POST` whose path contains `path`.
pub(crate) fn at(path: &str, effect: Effect, times: Option<u32>) -> Fault {
    Fault { method: Some("POST".to_owned()), path: path.to_owned(), skip: 0, times, effect }
}

/// Meta's own envelope: certainly not sent.
pub(crate) fn refuses(status: u16, code: i64) -> Effect {
    let body = format!(r#"{{"error":{{"message":"(#{code}) no","type":"OAuthException","code":{code}}}}}"#);
    Effect::Answer { status, content_type: "application/json".to_owned(), body }
}

/// A proxy's page: nobody knows.
pub(crate) fn proxy_page(status: u16) -> Effect {
    Effect::Answer { status, content_type: "text/html".to_owned(), body: "<html>Bad gateway</html>".to_owned() }
}

/// A file as an agent drops it into the chat.
pub(crate) fn file(name: &str, mime: &str, bytes: &[u8]) -> simulator_chatwoot::File {
    (name.to_owned(), mime.to_owned(), bytes.to_vec())
}

/// A plain `POST`; the status of the answer.
pub(crate) async fn post(base: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> u16 {
    call("POST", base, path, headers, body).await.0
}

/// A plain call; status and body of the answer.
pub(crate) async fn call(method: &str, base: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> (u16, String) {
    let (status, _, body) = exchange(method, base, path, headers, body).await;
    (status, body)
}

/// The same, with the lines of the head.
pub(crate) async fn exchange(
    method: &str,
    base: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> (u16, String, String) {
    let host = base.strip_prefix("http://").unwrap();
    let headers: String = headers.iter().map(|(name, value)| [name, ": ", value, "\r\n"].concat()).collect();
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n"
    );
    let mut stream = tokio::net::TcpStream::connect(host).await.unwrap();
    stream.write_all(&[head.as_bytes(), body].concat()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), head.to_owned(), body.to_owned())
}
