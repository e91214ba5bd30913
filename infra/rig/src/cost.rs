//! What one message of each kind makes AWS do, counted on the functions' own handlers, at list prices.

use std::{fmt::Write as _, fs, time::Duration};

use anyhow::Context as _;
use platform::{Metric, aws::Aws};
use serde_json::Value;
use simulator_meta::Customer;
use simulator_wire::Call;
use stories::{CHANNEL, World};

use crate::functions;

/// List prices in US dollars, us-east-1, November 2026.
mod price {
    /// One invocation.
    pub(super) const INVOCATION: f64 = 0.20 / 1e6;
    /// One GB-second on arm64.
    pub(super) const GB_SECOND: f64 = 0.000_013_333_4;
    /// One request to the HTTP API.
    pub(super) const API: f64 = 1.00 / 1e6;
    /// Its line in the access log, 0.2 KB.
    pub(super) const ACCESS_LOG: f64 = 0.2 * LOG_KB;
    /// One request to a FIFO queue, of at most 64 KB.
    pub(super) const SQS: f64 = 0.50 / 1e6;
    /// One write unit: 1 KB; twice that in a transaction.
    pub(super) const WRITE: f64 = 0.625 / 1e6;
    /// One read unit: 4 KB, strongly consistent.
    pub(super) const READ: f64 = 0.125 / 1e6;
    /// One KB of log.
    pub(super) const LOG_KB: f64 = 0.50 / 1e6;
    /// One secret a month.
    pub(super) const SECRET: f64 = 0.40;
    /// One request for a secret.
    pub(super) const SECRET_READ: f64 = 0.05 / 1e4;
    /// One metric of our own a month.
    pub(super) const METRIC: f64 = 0.30;
    /// One metric of an alarm a month.
    pub(super) const ALARM: f64 = 0.10;
    /// Metrics of our own, and metrics of alarms, that every account has free, each.
    pub(super) const FREE: f64 = 10.0;
}

/// What an answer takes on the way, in seconds; memory is paid for while it is waited for.
mod wait {
    pub(super) const AWS: f64 = 0.006;
    pub(super) const CHATWOOT: f64 = 0.080;
    pub(super) const GRAPH: f64 = 0.350;
    /// What a function needs itself.
    pub(super) const OWN: f64 = 0.005;
}

/// Memory of every function, in GB.
const MEMORY: f64 = 0.125;

/// What a function writes about an invocation, in KB: the line of metrics. Lambda's own three lines are switched off.
const LOG: f64 = 0.4;

/// What one thing that happens costs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cost {
    /// What happened.
    pub what: &'static str,
    /// Requests to the API; each is an invocation.
    pub api: usize,
    /// Batches out of a queue; each is an invocation, a receive and a delete.
    pub batches: usize,
    /// Invocations by the schedule, which go through no queue.
    pub scheduled: usize,
    /// Requests to SQS by the functions.
    pub sqs: usize,
    /// Write units.
    pub writes: usize,
    /// Read units.
    pub reads: usize,
    /// Requests to Secrets Manager.
    pub secrets: usize,
    /// Calls to DynamoDB, SQS and Secrets Manager.
    pub aws: usize,
    /// Calls to Chatwoot.
    pub chatwoot: usize,
    /// Calls to Graph.
    pub graph: usize,
}

impl Cost {
    /// Adds a call to AWS.
    pub(crate) fn add(&mut self, call: &Call) {
        self.aws += 1;
        self.sqs += usize::from(call.target.starts_with("AmazonSQS"));
        self.secrets += usize::from(call.target.starts_with("secretsmanager"));
        let (writes, reads) = units(call);
        self.writes += writes;
        self.reads += reads;
    }

    /// In millionths of a dollar.
    pub fn micros(&self) -> f64 {
        let count = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        let invocations = count(self.api + self.batches + self.scheduled);
        let seconds = invocations * wait::OWN
            + count(self.aws) * wait::AWS
            + count(self.chatwoot) * wait::CHATWOOT
            + count(self.graph) * wait::GRAPH;
        1e6 * (count(self.api) * (price::API + price::ACCESS_LOG)
            + invocations * (price::INVOCATION + LOG * price::LOG_KB)
            + seconds * MEMORY * price::GB_SECOND
            + count(self.sqs + 2 * self.batches) * price::SQS
            + count(self.writes) * price::WRITE
            + count(self.reads) * price::READ
            + count(self.secrets) * price::SECRET_READ)
    }
}

/// Between two messages of a dealer's: what is remembered for a while has to be read again.
const APART: Duration = Duration::from_secs(600);

/// Counts every kind, each some minutes after the one before.
pub async fn all() -> anyhow::Result<Vec<Cost>> {
    let world = World::start().await?;
    let ana = world.meta.customer("Ana", "5215555550123");
    let sofia = world.chatwoot.agent("Sofía");
    // Known to both sides.
    ana.writes("¡Hola!").await?;
    world.work().await?;
    let conversation = world.conversation("Ana")?;
    sofia.replies(conversation, "Buenos días").await;
    world.work().await?;
    world.stage.aws.calls().record_bodies();
    world.meta.server().calls().record();
    world.chatwoot.server().calls().record();
    world.front().calls().record();
    let mut owned = owned(&world).await?;
    take(&world);

    let mut costs = Vec::new();
    world.pass(APART);
    ana.writes("¿Tienen la 250?").await?;
    costs.push(worked(&world, "a customer's text", &mut owned).await?);
    world.pass(APART);
    ana.sends_file("image", vec![7; 200_000], "image/jpeg", None, None).await?;
    costs.push(worked(&world, "a customer's photo", &mut owned).await?);
    let (first, second) = (world.meta.customer("Luz", "5215555550124"), world.meta.customer("Eva", "5215555550125"));
    world.pass(APART);
    first.writes("¡Hola!").await?;
    costs.push(worked(&world, "a new customer's first text", &mut owned).await?);
    second.writes("¡Hola!").await?;
    worked(&world, "", &mut owned).await?;
    world.pass(APART);
    sofia.replies(conversation, "Sí, en azul y en negro").await;
    costs.push(worked(&world, "an agent's answer", &mut owned).await?);
    let file = ("ficha.pdf".to_owned(), "application/pdf".to_owned(), vec![7; 200_000]);
    world.pass(APART);
    sofia.sends_files(conversation, Some("La ficha"), vec![file]).await;
    costs.push(worked(&world, "an agent's text with a file", &mut owned).await?);
    for (what, status) in [("status: sent", "sent"), ("status: delivered", "delivered"), ("status: read", "read")] {
        world.pass(APART);
        report(&ana, status).await?;
        costs.push(worked(&world, what, &mut owned).await?);
    }
    world.pass(APART);
    sofia.notes(conversation, "Llamar el lunes").await;
    costs.push(worked(&world, "an agent's private note", &mut owned).await?);
    // An hour later nobody is active any more.
    world.pass(Duration::from_secs(3_600));
    world.reconcile().await?;
    worked(&world, "", &mut owned).await?;
    world.pass(Duration::from_secs(300));
    world.reconcile().await?;
    let mut round = worked(&world, "a round of `reconcile`, two channels", &mut owned).await?;
    round.scheduled = 1;
    costs.push(round);
    Ok(costs)
}

async fn report(customer: &Customer, status: &str) -> anyhow::Result<()> {
    let bubbles = customer.at(CHANNEL).phone();
    let last = bubbles.iter().rev().find(|bubble| bubble.from_business);
    let last = last.ok_or_else(|| anyhow::anyhow!("nothing was sent"))?;
    customer.status(&last.wamid, status, None).await;
    Ok(())
}

/// Lets the bridge work, and counts what that took.
async fn worked(world: &World, what: &'static str, owned: &mut usize) -> anyhow::Result<Cost> {
    let mut cost = Cost { what, ..Cost::default() };
    loop {
        world.calm().await;
        let (forwarded, sent) = (world.forward_once().await?, world.send_once().await?);
        cost.batches += usize::from(forwarded) + usize::from(sent);
        if !forwarded && !sent {
            break;
        }
    }
    let (aws, meta, chatwoot, front) = take(world);
    cost.api = front.len();
    cost.graph = meta.len();
    cost.chatwoot = chatwoot.len();
    for call in &aws {
        cost.add(call);
    }
    // Each item of somebody's stands in the index `customer`, once, whatever becomes of it.
    let now = self::owned(world).await?;
    cost.writes += now.saturating_sub(*owned);
    *owned = now;
    Ok(cost)
}

/// Items in the table that belong to somebody.
async fn owned(world: &World) -> anyhow::Result<usize> {
    let aws = Aws::from_env(world.stage.operator()).context("the AWS clients cannot be made")?;
    let request = aws.dynamodb.scan().table_name(world.stage.table()?).filter_expression("attribute_exists(customer)");
    let count = request.send().await?.count;
    // This one is nobody's cost.
    world.stage.aws.calls().take();
    Ok(usize::try_from(count)?)
}

type Taken = (Vec<Call>, Vec<Call>, Vec<Call>, Vec<Call>);

fn take(world: &World) -> Taken {
    (
        world.stage.aws.calls().take(),
        world.meta.server().calls().take(),
        world.chatwoot.server().calls().take(),
        world.front().calls().take(),
    )
}

/// Write and read units of a call to DynamoDB. Every item here is below 1 KB.
fn units(call: &Call) -> (usize, usize) {
    let Some(operation) = call.target.strip_prefix("DynamoDB_20120810.") else { return (0, 0) };
    let body: Value = serde_json::from_slice(&call.body).unwrap_or_default();
    match operation {
        // A conversation goes to another place in the index `activity`: it is taken out and put in.
        "UpdateItem" if moves(&body) => (3, 0),
        "PutItem" | "UpdateItem" | "DeleteItem" => (1, 0),
        "TransactWriteItems" => (2 * body["TransactItems"].as_array().map_or(0, Vec::len), 0),
        "BatchGetItem" => {
            let tables = body["RequestItems"].as_object().into_iter().flatten();
            (0, tables.map(|(_, table)| table["Keys"].as_array().map_or(0, Vec::len)).sum())
        }
        _ => (0, 1),
    }
}

/// Whether an update moves a conversation in the index of the last activity.
fn moves(update: &Value) -> bool {
    let starts = |value: &Value, with: &str| value.as_str().is_some_and(|text| text.contains(with));
    starts(&update["Key"]["pk"]["S"], "conversation#") && starts(&update["UpdateExpression"], "active_at = :")
}

/// The table of the document.
pub fn table(costs: &[Cost]) -> String {
    let mut table =
        "| what happens | API | batches | SQS | writes | reads | secrets | Chatwoot | Graph | US$ a million |\n\
                     | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n"
            .to_owned();
    for cost in costs {
        let _ = writeln!(
            table,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {:.1} |",
            cost.what,
            cost.api,
            cost.batches + cost.scheduled,
            cost.sqs,
            cost.writes,
            cost.reads,
            cost.secrets,
            cost.chatwoot,
            cost.graph,
            cost.micros()
        );
    }
    table
}

/// What a dealer's month is made of.
mod dealer {
    /// Customers' messages, and how many of them are photos.
    pub(super) const MESSAGES: (u32, u32) = (3_000, 300);
    /// Answers, and how many of them are files.
    pub(super) const ANSWERS: (u32, u32) = (2_500, 250);
    /// Rounds of `reconcile`: every five minutes.
    pub(super) const ROUNDS: u32 = 8_640;
    /// What messages are charged as, each kind a metric: service, utility and marketing.
    pub(super) const PRICES: u32 = 3;
    /// Hours of a month.
    pub(super) const HOURS: u32 = 720;
    /// Days of a month.
    pub(super) const DAYS: u32 = 30;
    /// Hours of a month in which there is some trouble.
    pub(super) const TROUBLE: u32 = 24;
}

/// Pollers that Lambda keeps at a queue's door, each asking every 20 seconds.
const POLLERS: usize = 5;

/// A month of empty receives by one poller.
const RECEIVES: usize = 30 * 86_400 / 20;

/// Worked examples from the same counts: one dealer, and a thousand on one installation. Nothing if a kind is missing.
pub fn examples(costs: &[Cost]) -> anyhow::Result<String> {
    let of = |what: &str| {
        let found = costs.iter().find(|cost| cost.what == what);
        found.map(Cost::micros).ok_or_else(|| anyhow::anyhow!("nothing was counted for {what}"))
    };
    let (text, photo) = (of("a customer's text")?, of("a customer's photo")?);
    let (answer, file) = (of("an agent's answer")?, of("an agent's text with a file")?);
    let statuses = [of("status: sent")?, of("status: delivered")?, of("status: read")?];
    let round = of("a round of `reconcile`, two channels")?;
    let (messages, photos) = dealer::MESSAGES;
    let (answers, files) = dealer::ANSWERS;
    let sum = |parts: &[(u32, f64)]| parts.iter().map(|(count, micros)| f64::from(*count) * micros / 1e6).sum::<f64>();
    let received = sum(&[(messages - photos, text), (photos, photo)]);
    let answered = sum(&[(answers - files, answer), (files, file)]);
    let told = sum(&statuses.map(|micros| (answers, micros)));
    let rounds = sum(&[(dealer::ROUNDS, round)]);
    let queues = queues()?;
    #[expect(clippy::cast_precision_loss, reason = "far below")]
    let receives = (queues * POLLERS * RECEIVES) as f64 * price::SQS;
    let alarms = local::reference::alarms()?.len();
    let alarms = f64::from(u32::try_from(alarms)?);
    let (metrics, shown) = (metrics(), local::reference::dashboard()?.len());
    let charged = |count: f64, each: f64| (count - price::FREE).max(0.0) * each;
    let (measured, alarmed) = (charged(metrics, price::METRIC), charged(alarms, price::ALARM));
    anyhow::ensure!(measured + alarmed < MOST, "watching costs {:.2} a month", measured + alarmed);
    let secrets = 2.0 * price::SECRET;
    let one = received + answered + told + rounds + receives + secrets + measured + alarmed;
    let traffic = 1_000.0 * (received + answered + told);
    // A round of two channels, so a channel costs half of it; a little less, since some of it is there once.
    let many_rounds = 1_000.0 * rounds / 2.0;
    let many_secrets = 1_001.0 * price::SECRET;
    let thousand = traffic + many_rounds + many_secrets + measured + alarmed;
    Ok(format!(
        "## One dealer\n\n\
         {messages} messages of customers and {answers} answers a month, a tenth of them files, each answer with three statuses:\n\n\
         | | US$ a month |\n| --- | --- |\n\
         | customers' messages, {texts} × {text:.1} and {photos} × {photo:.1} millionths | {received:.2} |\n\
         | answers, {plain} × {answer:.1} and {files} × {file:.1} | {answered:.2} |\n\
         | their statuses, {answers} × {sent:.1}, {delivered:.1} and {read:.1} | {told:.2} |\n\
         | `reconcile`, {count} rounds × {round:.1} | {rounds:.2} |\n\
         | empty receives: {queues} queues, {POLLERS} pollers each, every 20 s | {receives:.2} |\n\
         | two secrets (the app's, the channel's) | {secrets:.2} |\n\
         | metrics of our own: as many hours as {metrics:.1} that are told in each, ten free, {price:.2} each | {measured:.2} |\n\
         | alarms: {alarms:.0}, ten free, {alarm:.2} each | {alarmed:.2} |\n\
         | the dashboard, {shown} of the 50 metrics that are free | 0.00 |\n\
         | **all** | **{one:.2}** |\n\n\
         ## A thousand dealers on one installation\n\n\
         | | US$ a month |\n| --- | --- |\n\
         | messages, answers, statuses: a thousand times as above | {traffic:.0} |\n\
         | `reconcile`: a thousand channels in each of {count} rounds, {half:.1} millionths each at the most | {many_rounds:.0} |\n\
         | empty receives: fewer, since the queues are busy | < {receives:.0} |\n\
         | 1001 secrets | {many_secrets:.0} |\n\
         | metrics and alarms: their number does not grow with the channels | {watched:.0} |\n\
         | **all, {each:.2} a dealer** | **{thousand:.0}** |\n",
        texts = messages - photos,
        plain = answers - files,
        sent = statuses[0],
        delivered = statuses[1],
        read = statuses[2],
        count = dealer::ROUNDS,
        price = price::METRIC,
        alarm = price::ALARM,
        watched = measured + alarmed,
        half = round / 2.0,
        each = thousand / 1_000.0,
    ))
}

/// Queues that a function is fed from.
fn queues() -> anyhow::Result<usize> {
    let template = fs::read_to_string(functions::top().join("infra/template.yaml"))?;
    Ok(template.lines().filter(|line| line.trim() == "Type: SQS").count())
}

/// What watching may cost a dealer, in US$ a month.
const MOST: f64 = 5.0;

/// How many metrics told in every hour of a month ours come to. CloudWatch charges by the hour in which one is told.
fn metrics() -> f64 {
    let hours = |metric: &Metric| match metric {
        Metric::Received
        | Metric::Forwarded
        | Metric::Sent
        | Metric::Difference
        | Metric::FilesMissing
        | Metric::ChannelDown
        | Metric::SignupStanding
        | Metric::ReconcileRound => dealer::HOURS,
        Metric::Overdue
        | Metric::RetentionRound
        | Metric::LedgerRound
        | Metric::ErasureWarning
        | Metric::ErasureBreach => dealer::DAYS,
        _ => dealer::TROUBLE,
    };
    let told = Metric::PUBLISHED.iter().map(hours).sum::<u32>() + dealer::PRICES * dealer::HOURS;
    f64::from(told) / f64::from(dealer::HOURS)
}

const BEGIN: &str = "<!-- counted: cargo run -p rig -- cost --write -->\n";
const END: &str = "<!-- counted: end -->";
const EXAMPLES: &str = "<!-- examples: from the same counts -->\n";
const EXAMPLES_END: &str = "<!-- examples: end -->";

/// The document with this table and these examples in the places of those it had.
pub fn document(text: &str, costs: &[Cost]) -> anyhow::Result<String> {
    let text = put(text, (BEGIN, END), &table(costs)).context("docs/cost.md has no place for the table")?;
    put(&text, (EXAMPLES, EXAMPLES_END), &examples(costs)?).context("docs/cost.md has no place for the examples")
}

/// The text with something new between these two marks; nothing if they are not there.
pub(crate) fn put(text: &str, (begin, end): (&str, &str), new: &str) -> Option<String> {
    let (before, rest) = text.split_once(begin)?;
    let (_, after) = rest.split_once(end)?;
    Some(format!("{before}{begin}{new}{end}{after}"))
}
