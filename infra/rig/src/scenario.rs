//! What each function is called with when it is measured: something new each time, as it comes in the life of a dealer.

use anyhow::Context as _;
use serde_json::{Value, json};
use testkit::{CHANNEL, World};
use testkit_meta::Customer;

use crate::{Ground, events};

/// A number nobody else has in these scenarios.
const PHONE: &str = "5215555550188";

/// How many customers an agent answers in turn.
const IN_TURN: usize = 8;

/// The events for one function, one after another, and what is to be done after each.
#[derive(Debug)]
pub struct Scenario {
    kind: Kind,
    count: usize,
    batch: Option<(&'static str, local::stage::Batch)>,
}

#[derive(Clone, Debug)]
enum Kind {
    /// Customers write: so many messages in one body.
    Webhook(usize),
    /// What so many customers leave in the queue.
    Forward(usize),
    /// An agent has answered one of these customers: Meta takes only so many messages a minute to one.
    Send,
    /// An agent has answered so many customers at once.
    SendMany(usize),
    /// A customer sends a file of so many bytes.
    FileIn(usize),
    /// An agent sends one.
    FileOut(usize),
    /// The same event again and again.
    Repeated(Value),
}

impl Scenario {
    /// For this function; one that nobody told a story about gets the first of its events.
    pub fn of(function: &str) -> anyhow::Result<Self> {
        Ok(Self::new(match function {
            "webhook" => Kind::Webhook(1),
            "forward" => Kind::Forward(1),
            "send" => Kind::Send,
            _ => {
                let events = events::of(function)?;
                // An answer of an agent's rather than one of the many callbacks that say nothing.
                let telling = events.iter().find(|(name, _)| name == "callback-reply").or(events.first());
                Kind::Repeated(telling.with_context(|| format!("{function} has no event"))?.1.clone())
            }
        }))
    }

    /// Bodies of so many messages for `webhook`.
    pub fn body_of(messages: usize) -> Self {
        Self::new(Kind::Webhook(messages))
    }

    /// Batches for `forward` or `send`, each record of another customer.
    pub fn batch_of(function: &str, customers: usize) -> Self {
        Self::new(if function == "send" { Kind::SendMany(customers) } else { Kind::Forward(customers) })
    }

    /// Files of so many bytes: from a customer for `forward`, from an agent for `send`.
    pub fn file_of(function: &str, bytes: usize) -> Self {
        Self::new(if function == "send" { Kind::FileOut(bytes) } else { Kind::FileIn(bytes) })
    }

    fn new(kind: Kind) -> Self {
        Self { kind, count: 0, batch: None }
    }

    /// The next event.
    pub async fn next(&mut self, ground: &Ground) -> anyhow::Result<String> {
        let world = &ground.world;
        self.count += 1;
        let count = self.count;
        let text = format!("¿Sigue disponible la moto del anuncio {count}?");
        match self.kind.clone() {
            Kind::Repeated(event) => Ok(event.to_string()),
            Kind::Webhook(messages) => {
                let messages: Vec<Value> = (0..messages).map(|at| message(count * 10_000 + at, &text)).collect();
                webhook(ground, &messages)
            }
            Kind::Forward(customers) => {
                for customer in 0..customers {
                    Self::customer(world, customer).writes(&text).await?;
                }
                self.take(world, "forward").await
            }
            Kind::FileIn(bytes) => {
                let file = vec![7; bytes];
                Self::customer(world, 0)
                    .sends_file("document", file, "application/pdf", Some("ficha.pdf"), None)
                    .await?;
                self.take(world, "forward").await
            }
            Kind::Send | Kind::SendMany(_) => {
                let (known, answered) = match self.kind {
                    Kind::SendMany(customers) => (customers, 0..customers),
                    _ => (IN_TURN, count % IN_TURN..count % IN_TURN + 1),
                };
                self.open(world, known).await?;
                for customer in answered {
                    let conversation = world.conversation(&name(customer))?;
                    world.chatwoot.agent("Sofía").replies(conversation, &text).await;
                }
                world.calm().await;
                self.take(world, "send").await
            }
            Kind::FileOut(bytes) => {
                self.open(world, 1).await?;
                let conversation = world.conversation(&name(0))?;
                let file = ("ficha.pdf".to_owned(), "application/pdf".to_owned(), vec![7; bytes]);
                world.chatwoot.agent("Sofía").sends_files(conversation, None, vec![file]).await;
                world.calm().await;
                self.take(world, "send").await
            }
        }
    }

    fn customer(world: &World, at: usize) -> Customer {
        world.meta.customer(&name(at), &format!("52155555502{at:02}"))
    }

    /// Lets everybody write once, so that there are conversations to answer in.
    async fn open(&self, world: &World, customers: usize) -> anyhow::Result<()> {
        if self.count > 1 {
            return Ok(());
        }
        for customer in 0..customers {
            Self::customer(world, customer).writes("¡Hola!").await?;
        }
        world.work().await
    }

    async fn take(&mut self, world: &World, function: &'static str) -> anyhow::Result<String> {
        let batch = world.stage.batch(function).await?;
        let batch = batch.ok_or_else(|| anyhow::anyhow!("there is nothing for {function}"))?;
        let event = batch.event.to_string();
        self.batch = Some((function, batch));
        Ok(event)
    }

    /// Does with the answer what Lambda would.
    pub async fn settle(&mut self, ground: &Ground, answer: &[u8]) -> anyhow::Result<()> {
        let answer: Value = serde_json::from_slice(answer)?;
        if let Some((function, batch)) = self.batch.take() {
            let failed = answer["batchItemFailures"].as_array().is_some_and(|failures| !failures.is_empty());
            anyhow::ensure!(!failed, "{function} gave its record back: {answer}");
            ground.world.stage.settle(&batch, &answer);
        } else if let Some(status) = answer["statusCode"].as_i64() {
            anyhow::ensure!(status == 200, "the answer is {status}");
        }
        ground.world.calm().await;
        Ok(())
    }
}

fn name(customer: usize) -> String {
    format!("Cliente {customer}")
}

/// A text message as Meta writes it, of about 0.5 KB with its envelope.
pub fn message(number: usize, text: &str) -> Value {
    json!({
        "from": PHONE,
        "id": format!("wamid.HBgNNTIxNTU1NTU1MDE4OBUCABIYFDNB{number:020}AA=="),
        "timestamp": (1_795_190_400 + number).to_string(),
        "type": "text",
        "text": { "body": text },
    })
}

/// Meta's body with these messages.
pub fn body(messages: &[Value]) -> String {
    let body = json!({
        "object": "whatsapp_business_account",
        "entry": [{
            "id": "109876543210987",
            "changes": [{
                "field": "messages",
                "value": {
                    "messaging_product": "whatsapp",
                    "metadata": { "display_phone_number": "525555550100", "phone_number_id": CHANNEL },
                    "contacts": [{ "profile": { "name": "Ana" }, "wa_id": PHONE }],
                    "messages": messages,
                },
            }],
        }],
    });
    body.to_string()
}

/// Meta's post of these messages as an event of the HTTP API.
pub fn webhook(ground: &Ground, messages: &[Value]) -> anyhow::Result<String> {
    let body = body(messages);
    let request = axum::http::Request::post("/webhooks/meta")
        .header("host", "abcdef1234.execute-api.us-east-1.amazonaws.com")
        .header("user-agent", "facebookexternalua")
        .header("content-type", "application/json")
        .header("x-hub-signature-256", ground.world.meta.sign(body.as_bytes()));
    let (parts, ()) = request.body(())?.into_parts();
    let event = ground.world.stage.request(&parts, body.as_bytes());
    Ok(event.context("the template has no such route")?.1.to_string())
}
