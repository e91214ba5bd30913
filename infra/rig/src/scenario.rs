//! What each function is called with when it is measured: something new each time, as it comes in the life of a dealer.

use serde_json::{Value, json};
use testkit::{CHANNEL, World};

use crate::{Ground, events};

/// A number nobody else has in these scenarios.
const PHONE: &str = "5215555550188";

/// The events for one function, one after another, and what is to be done after each.
#[derive(Debug)]
pub struct Scenario {
    kind: Kind,
    count: usize,
    batch: Option<(&'static str, local::stage::Batch)>,
}

#[derive(Debug)]
enum Kind {
    /// A customer writes.
    Webhook,
    /// What that leaves in the queue.
    Forward,
    /// An agent has answered.
    Send,
    /// The same event again and again.
    Repeated(Value),
}

impl Scenario {
    /// For this function; one that nobody told a story about gets the first of its events.
    pub fn of(function: &str) -> anyhow::Result<Self> {
        let kind = match function {
            "webhook" => Kind::Webhook,
            "forward" => Kind::Forward,
            "send" => Kind::Send,
            _ => {
                let events = events::of(function)?;
                let first = events.into_iter().next();
                Kind::Repeated(first.ok_or_else(|| anyhow::anyhow!("{function} has no event"))?.1)
            }
        };
        Ok(Self { kind, count: 0, batch: None })
    }

    /// The next event.
    pub async fn next(&mut self, ground: &Ground) -> anyhow::Result<String> {
        let world = &ground.world;
        self.count += 1;
        let text = format!("¿Sigue disponible la moto del anuncio {}?", self.count);
        Ok(match &self.kind {
            Kind::Repeated(event) => event.to_string(),
            Kind::Webhook => webhook(ground, &[message(self.count, &text)])?,
            Kind::Forward => {
                world.meta.customer("Ana", PHONE).writes(&text).await?;
                self.take(world, "forward").await?
            }
            Kind::Send => {
                if self.count == 1 {
                    world.meta.customer("Ana", PHONE).writes("¡Hola!").await?;
                    world.work().await?;
                }
                let conversation = world.conversation("Ana")?;
                world.chatwoot.agent("Sofía").replies(conversation, &text).await;
                world.calm().await;
                self.take(world, "send").await?
            }
        })
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

/// Meta's post of these messages as an event of the HTTP API.
pub fn webhook(ground: &Ground, messages: &[Value]) -> anyhow::Result<String> {
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
    let body = body.to_string();
    let request = axum::http::Request::post("/webhooks/meta")
        .header("host", "abcdef1234.execute-api.us-east-1.amazonaws.com")
        .header("user-agent", "facebookexternalua")
        .header("content-type", "application/json")
        .header("x-hub-signature-256", ground.world.meta.sign(body.as_bytes()));
    let (parts, ()) = request.body(())?.into_parts();
    let event = ground.world.stage.request(&parts, body.as_bytes());
    Ok(event.ok_or_else(|| anyhow::anyhow!("the template has no such route"))?.1.to_string())
}
