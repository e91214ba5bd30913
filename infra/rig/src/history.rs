//! The import of a phone's past: what it asks of Chatwoot and of AWS, and how long it takes at its rate.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use domain::{Clock as _, PhoneNumberId};
use serde_json::{Value, json};
use stories::{CHANNEL, World};

use crate::{BenchStack, Process, cost::Cost, measure::Spread};

/// How many people stand in a chunk.
const PEOPLE_A_CHUNK: usize = 200;

/// How far the clock is moved when nothing can be done.
const STEP: Duration = Duration::from_secs(15);

/// Longer than any import here takes on its clock.
const MAX_TIME: Duration = Duration::from_secs(48 * 3600);

/// Longer than any import here takes on the machine's clock.
const MAX_WAIT: Duration = Duration::from_secs(3600);

/// So many requests a minute that the rate holds nothing up.
const UNHELD_RATE: &str = "60000000";

/// So many live messages are measured without an import beside them.
const ALONE: usize = 100;

/// A day in seconds.
const DAY: i64 = 86_400;

/// A phone's past: so many people with so many messages each.
#[derive(Clone, Copy, Debug)]
pub struct Past {
    /// People.
    pub people: usize,
    /// Messages of each.
    pub each: usize,
}

impl Past {
    /// All messages.
    pub fn messages(self) -> usize {
        self.people * self.each
    }

    /// Its bodies. A third of the people have messages in one phase, a third in two, a third in all. The first says that it is
    /// whole, so that nothing has to wait for longer.
    pub fn bodies(self, now: i64) -> Vec<Value> {
        let mut bodies = Vec::new();
        for phase in 0..3_usize {
            let groups: Vec<usize> = (0..self.people).step_by(PEOPLE_A_CHUNK).collect();
            for (order, from) in groups.into_iter().enumerate() {
                let people = from..self.people.min(from + PEOPLE_A_CHUNK);
                let threads: Vec<Value> = people.filter_map(|person| self.thread(person, phase, now)).collect();
                let metadata = json!({ "phase": phase, "chunk_order": order + 1, "progress": 100 });
                bodies.push(body(&json!([{ "metadata": metadata, "threads": threads }])));
            }
        }
        bodies
    }

    /// What a person has in a phase.
    fn thread(self, person: usize, phase: usize, now: i64) -> Option<Value> {
        let phases = person % 3 + 1;
        if phase >= phases {
            return None;
        }
        let places = self.each * phase / phases..self.each * (phase + 1) / phases;
        let phone = format!("521556{person:07}");
        let message = |at: usize| {
            let ago = i64::try_from(phase).ok()? * 60 * DAY + i64::try_from(at).ok()? * 3_000 + 2 * DAY;
            let from = if at.is_multiple_of(2) { phone.as_str() } else { "525555550100" };
            Some(json!({
                "from": from, "id": format!("wamid.HBgNNTIxNTU2MDAwMDAwOBUCABEYFDN{person:07}{at:05}"),
                "timestamp": (now - ago).to_string(), "type": "text",
                "text": { "body": format!("¿Sigue disponible la moto del anuncio? La vi el lunes en la tienda del centro, {at}") },
                "history_context": { "status": "READ" },
            }))
        };
        let messages: Vec<Value> = places.filter_map(message).collect();
        Some(json!({ "id": phone, "context": { "wa_id": phone }, "messages": messages }))
    }
}

/// Meta's body of these chunks.
fn body(history: &Value) -> Value {
    let value = json!({
        "messaging_product": "whatsapp",
        "metadata": { "display_phone_number": "525555550100", "phone_number_id": CHANNEL },
        "history": history,
    });
    let entry = json!({ "id": "109876543210987", "changes": [{ "field": "history", "value": value }] });
    json!({ "object": "whatsapp_business_account", "entry": [entry] })
}

/// A body of so many messages in chats of ten each.
pub fn large_body(messages: usize, first: usize, now: i64) -> Value {
    let thread = |chat: usize| {
        let phone = format!("521557{:07}", first + chat);
        let message = |at: usize| {
            json!({
                "from": phone, "id": format!("wamid.HBgNNTIxNTU3MDAwMDAwOBUCABEYFDN{:09}{at:03}", first + chat),
                "timestamp": (now - 9 * DAY).to_string(), "type": "text",
                "text": { "body": "¿Sigue disponible la moto del anuncio? La vi el lunes en la tienda del centro" },
                "history_context": { "status": "READ" },
            })
        };
        let messages: Vec<Value> = (0..10).map(message).collect();
        json!({ "id": phone, "context": { "wa_id": phone }, "messages": messages })
    };
    let threads: Vec<Value> = (0..messages / 10).map(thread).collect();
    body(&json!([{ "metadata": { "phase": 1, "chunk_order": 1, "progress": 60 }, "threads": threads }]))
}

/// What an import came to, on a clock that is moved: real time is that of the machine, and no figure.
#[derive(Clone, Debug, Default)]
pub struct Import {
    /// Messages.
    pub messages: usize,
    /// What it needed, but for what `webhook` did. Its `chatwoot` is all that Chatwoot was asked.
    pub cost: Cost,
    /// The most requests to Chatwoot within a minute.
    pub most_a_minute: usize,
    /// From the first request to Chatwoot to the last.
    pub took: Duration,
    /// The same if its requests had followed one another at the rate.
    pub floor: Duration,
    /// Whom Chatwoot told of it.
    pub told: usize,
}

/// Imports this past with the functions' own handlers, at the rate of the policy.
pub async fn import(past: Past) -> anyhow::Result<Import> {
    let world = World::start().await?;
    let _agent = world.chatwoot.agent("Sofía");
    for body in past.bodies(world.clock.now().as_secs()) {
        ensure!(world.meta.post(body.to_string().as_bytes()).await? == 200, "a chunk was refused");
    }
    world.stage.aws.calls().record_bodies();
    let mut import = Import { messages: past.messages(), ..Import::default() };
    let mut times: Vec<domain::Timestamp> = Vec::new();
    let until = world.clock.now() + MAX_TIME;
    world.chatwoot.server().calls().record();
    while world.queued("history") > 0 {
        ensure!(world.clock.now() < until, "the import does not end");
        while world.import_once().await? {
            import.cost.batches += 1;
            for call in world.stage.aws.calls().take() {
                import.cost.add(&call);
            }
            let asked = world.chatwoot.server().calls().take().len();
            import.cost.chatwoot += asked;
            times.extend(std::iter::repeat_n(world.clock.now(), asked));
        }
        world.calm().await;
        world.pass(STEP);
    }
    let progress = store::Imports::new(table(&world)?).progress(&PhoneNumberId::new(CHANNEL)).await?;
    let counts = progress.context("nothing was imported")?.counts;
    let all = i64::try_from(past.messages())?;
    ensure!((counts.written, counts.waiting()) == (all, 0), "not all is written: {counts:?}");
    if let (Some(first), Some(last)) = (times.first(), times.last()) {
        import.took = last.since(*first);
    }
    let logged: Vec<domain::Timestamp> = world.chatwoot.requests().iter().map(|request| request.at).collect();
    let minute = Duration::from_secs(60);
    let mut end = 0;
    for (at, time) in logged.iter().enumerate() {
        while end < logged.len() && logged[end].since(*time) < minute {
            end += 1;
        }
        import.most_a_minute = import.most_a_minute.max(end - at);
    }
    import.floor = minute * u32::try_from(import.cost.chatwoot)? / per_minute(&world)?;
    import.told = world.chatwoot.notifications().len();
    Ok(import)
}

fn per_minute(world: &World) -> anyhow::Result<u32> {
    let variables = world.stage.variables("history")?;
    Ok(variables.get("HISTORY_PER_MINUTE").context("there is no rate")?.parse()?)
}

fn table(world: &World) -> anyhow::Result<store::Table> {
    let aws = platform::aws::Aws::from_env(world.stage.operator()).context("the AWS clients cannot be made")?;
    let clock: domain::SharedClock = std::sync::Arc::new(world.clock.clone());
    Ok(store::Table::new(aws.dynamodb, world.stage.table()?.to_owned(), clock, Duration::ZERO))
}

/// What a process needed for an import, and what live messages beside it took.
#[derive(Clone, Debug, Default)]
pub struct Load {
    /// Messages.
    pub messages: usize,
    /// Batches it was called with.
    pub batches: usize,
    /// Processor time of the process.
    pub cpu: Duration,
    /// The most memory it had resident, in KiB.
    pub peak_kib: u64,
    /// Live messages through `forward` before the import.
    pub alone: Spread,
    /// The same while slices were written.
    pub beside: Spread,
}

/// Imports this past with the process of `history`, as fast as it goes, and lets a customer write meanwhile.
pub async fn load(past: Past, program: &str) -> anyhow::Result<Load> {
    let ground = BenchStack::start().await?;
    let world = &ground.world;
    let writer = world.meta.customer("Ana", "5215555550123");
    let live = async |count: usize| -> anyhow::Result<Duration> {
        let began = Instant::now();
        writer.writes(&format!("¿Hay alguien? {count}")).await?;
        while world.forward_once().await? {}
        Ok(began.elapsed())
    };
    let mut alone = Vec::with_capacity(ALONE);
    for count in 0..ALONE {
        alone.push(live(count).await?);
    }
    for body in past.bodies(world.clock.now().as_secs()) {
        ensure!(world.meta.post(body.to_string().as_bytes()).await? == 200, "a chunk was refused");
    }
    let mut variables = ground.variables("history")?;
    variables.insert("HISTORY_PER_MINUTE".to_owned(), UNHELD_RATE.to_owned());
    let mut process = Process::start(&[program], &variables, std::process::Stdio::null()).await?;
    let before = process.processor()?;
    let (mut beside, mut batches) = (Vec::new(), 0);
    let until = Instant::now() + MAX_WAIT;
    while world.queued("history") > 0 {
        ensure!(Instant::now() < until, "the import does not end");
        let Some(batch) = world.stage.batch("history").await? else {
            look_again().await;
            continue;
        };
        batches += 1;
        let writing = !world.chatwoot.contacts().is_empty() && batches % 4 == 0;
        let (outcome, lag) = tokio::join!(process.call(batch.event.to_string()), async {
            if writing { live(ALONE + batches).await.map(Some) } else { Ok(None) }
        });
        beside.extend(lag?);
        let answer = outcome?.answer.map_err(|report| anyhow::anyhow!("{}", String::from_utf8_lossy(&report)))?;
        world.stage.settle(&batch, &serde_json::from_slice(&answer)?);
    }
    process.ready().await?;
    let load = Load {
        messages: past.messages(),
        batches,
        cpu: process.processor()?.saturating_sub(before),
        peak_kib: process.peak_kib()?,
        alone: Spread::of(alone),
        beside: Spread::of(beside),
    };
    process.terminate().await?;
    Ok(load)
}

#[expect(clippy::disallowed_methods, reason = "what is measured is real time")]
async fn look_again() {
    tokio::time::sleep(Duration::from_millis(20)).await;
}

/// Calls to SQS among these that send messages.
pub fn sends(calls: &[(&'static str, simulator_wire::Call)]) -> usize {
    calls.iter().filter(|(_, call)| call.target == "AmazonSQS.SendMessageBatch").count()
}
