//! What each function is called with when it is measured: something new each time, as it comes in the life of a dealer.

use std::collections::BTreeSet;

use anyhow::Context as _;
use serde_json::{Value, json};
use simulator_meta::Customer;
use stories::{CHANNEL, World};

use crate::{BenchStack, events};

/// So many customers write what stands in a large body: one customer's messages would go through the queue one after another.
const WRITERS: usize = 50;

/// How many customers an agent answers in turn.
const IN_TURN: usize = 8;

/// The events for one function, one after another, and what is to be done after each.
#[derive(Debug)]
pub struct Scenario {
    kind: Kind,
    count: usize,
    batch: Option<local::test_stack::Batch>,
}

#[derive(Clone, Debug)]
enum Kind {
    /// Customers write: so many messages in one body.
    Webhook(usize),
    /// What so many known customers leave in the queue.
    Forward(usize),
    /// The first text of somebody unknown, each time.
    Newcomer,
    /// An agent has answered one of these customers: Meta takes only so many messages a minute to one.
    Send,
    /// An agent has answered so many customers at once.
    SendMany(usize),
    /// A customer sends a file of so many bytes.
    FileIn(usize),
    /// An agent sends one.
    FileOut(usize),
    /// A person with a conversation asks to be forgotten, somebody else each time.
    Erase,
    /// The same event again and again, and the name of its file.
    Repeated(String, Value),
}

impl Scenario {
    /// For this function; one that nobody told a story about gets the first of its events, and what is called like an event gets that.
    pub fn of(function: &str) -> anyhow::Result<Self> {
        Ok(Self::new(match function {
            "webhook" => Kind::Webhook(1),
            "forward" => Kind::Forward(1),
            "send" => Kind::Send,
            "erasure" => Kind::Erase,
            _ => {
                let events = events::of(function)?;
                // An answer of an agent's rather than one of the many callbacks that say nothing.
                let telling = events.iter().find(|(name, _)| name == "callback-reply").or(events.first());
                let (name, event) = telling.with_context(|| format!("{function} has no event"))?;
                Kind::Repeated(name.clone(), event.clone())
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

    /// First texts of new customers for `forward`.
    pub fn newcomers() -> Self {
        Self::new(Kind::Newcomer)
    }

    /// Files of so many bytes: from a customer for `forward`, from an agent for `send`.
    pub fn file_of(function: &str, bytes: usize) -> Self {
        Self::new(if function == "send" { Kind::FileOut(bytes) } else { Kind::FileIn(bytes) })
    }

    fn new(kind: Kind) -> Self {
        Self { kind, count: 0, batch: None }
    }

    /// The next event.
    pub async fn next(&mut self, ground: &BenchStack) -> anyhow::Result<String> {
        let world = &ground.world;
        self.count += 1;
        let count = self.count;
        let text = format!("¿Sigue disponible la moto del anuncio {count}?");
        match self.kind.clone() {
            Kind::Repeated(_, event) => Ok(event.to_string()),
            Kind::Webhook(messages) => {
                let messages: Vec<Value> = (0..messages).map(|at| message(count * 10_000 + at, &text)).collect();
                webhook(ground, &messages)
            }
            Kind::Forward(customers) => {
                self.open(world, customers).await?;
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
            Kind::Newcomer => {
                Self::customer(world, count).writes(&text).await?;
                self.take(world, "forward").await
            }
            Kind::Erase => {
                let customer = Self::customer(world, count);
                customer.writes(&text).await?;
                world.work().await?;
                let asked = world.operator(json!({ "phone": phone(count) })).await?;
                let code = asked["code"].as_str().context("the operator got no code")?;
                // Others whose marks are through meanwhile stay in somebody's hand.
                loop {
                    let event = self.take(world, "erasure").await?;
                    if event.contains(code) {
                        return Ok(event);
                    }
                }
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
        world.meta.customer(&name(at), &phone(at))
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

    async fn take(&mut self, world: &World, function: &str) -> anyhow::Result<String> {
        let batch = world.stage.batch(function).await?;
        let batch = batch.ok_or_else(|| anyhow::anyhow!("there is nothing for {function}"))?;
        let event = batch.event.to_string();
        self.batch = Some(batch);
        Ok(event)
    }

    /// Does with the answer what Lambda would, once it is the one that was to be expected: what failed early is cheap, and no figure.
    pub async fn settle(&mut self, ground: &BenchStack, answer: &[u8]) -> anyhow::Result<()> {
        let answer: Value = serde_json::from_slice(answer)?;
        match &self.kind {
            // Everything is sealed, and the marks are on their way through the queues: the letter comes back when they are through.
            Kind::Erase => {
                let back = answer["batchItemFailures"].as_array().map_or(0, Vec::len);
                anyhow::ensure!(back == 1, "an erasure did not wait for its marks: {answer}");
            }
            Kind::Repeated(name, _) => {
                if let Some(fault) = events::fault(name, &answer) {
                    anyhow::bail!(fault);
                }
            }
            _ => {
                if let Some(fault) = events::fault("an event of the life of a dealer", &answer) {
                    anyhow::bail!(fault);
                }
            }
        }
        if let Some(batch) = self.batch.take() {
            ground.world.stage.settle(&batch, &answer);
        }
        ground.world.calm().await;
        Ok(())
    }
}

fn phone(customer: usize) -> String {
    format!("5215555{customer:06}")
}

fn name(customer: usize) -> String {
    format!("Cliente {customer}")
}

/// A text message as Meta writes it, of about 0.5 KB with its envelope; neighbors in number are of different customers.
pub fn message(number: usize, text: &str) -> Value {
    json!({
        "from": writer(number),
        "id": format!("wamid.HBgNNTIxNTU1NTU1MDE4OBUCABIYFDNB{number:020}AA=="),
        "timestamp": (1_795_190_400 + number).to_string(),
        "type": "text",
        "text": { "body": text },
    })
}

/// Who wrote the message of this number. Nobody else has these phones.
fn writer(number: usize) -> String {
    format!("52155555590{:02}", number % WRITERS)
}

/// Meta's body with these messages.
pub fn body(messages: &[Value]) -> String {
    let writers: BTreeSet<&str> = messages.iter().filter_map(|message| message["from"].as_str()).collect();
    let contacts: Vec<Value> =
        writers.into_iter().map(|writer| json!({ "profile": { "name": "Ana" }, "wa_id": writer })).collect();
    let body = json!({
        "object": "whatsapp_business_account",
        "entry": [{
            "id": "109876543210987",
            "changes": [{
                "field": "messages",
                "value": {
                    "messaging_product": "whatsapp",
                    "metadata": { "display_phone_number": "525555550100", "phone_number_id": CHANNEL },
                    "contacts": contacts,
                    "messages": messages,
                },
            }],
        }],
    });
    body.to_string()
}

/// Meta's post of these messages as an event of the HTTP API.
pub fn webhook(ground: &BenchStack, messages: &[Value]) -> anyhow::Result<String> {
    post(ground, &body(messages))
}

/// Meta's post of this body as an event of the HTTP API.
pub fn post(ground: &BenchStack, body: &str) -> anyhow::Result<String> {
    let request = axum::http::Request::post("/webhooks/meta")
        .header("host", "abcdef1234.execute-api.us-east-1.amazonaws.com")
        .header("user-agent", "facebookexternalua")
        .header("content-type", "application/json")
        .header("x-hub-signature-256", ground.world.meta.sign(body.as_bytes()));
    let (parts, ()) = request.body(())?.into_parts();
    let event = ground.world.stage.request(&parts, body.as_bytes());
    Ok(event.context("the template has no such route")?.1.to_string())
}
