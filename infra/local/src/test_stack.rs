//! The stack without its processes: the embedded AWS as the template wants it, events as the front and the event source
//! mappings make them. Story tests work on it with the functions' own handlers in one process, and say when each works.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use anyhow::{Context as _, anyhow};
use axum::http::request::Parts;
use domain::Clock as _;
use platform::Environment;
use serde_json::Value;
use simulator_aws::{Aws, Received};
use simulator_wire::MovableClock;

use crate::{
    balance::Balance,
    channels,
    config::Config,
    event::{self, Circumstances},
    intrinsics::REGION,
    poller, resources,
    routes::Routes,
    template::{Function, Mapping, Surroundings, Template},
};

/// The stack.
#[derive(Debug)]
pub struct TestStack {
    /// The embedded AWS.
    pub aws: Aws,
    /// What `GET /_local/balance` reads.
    pub balance: Balance,
    clock: MovableClock,
    template: Template,
    routes: Routes,
}

/// Messages taken out of a queue for its function.
#[derive(Debug)]
pub struct Batch {
    queue: String,
    messages: Vec<Received>,
    reports_item_failures: bool,
    /// The event as Lambda gets it.
    pub event: Value,
}

impl TestStack {
    /// Sets the stack up for the configuration in `config`, between these two addresses.
    pub async fn start(clock: MovableClock, config: &str, meta_url: &str, chatwoot_url: &str) -> anyhow::Result<Self> {
        let config = Config::parse(config)?;
        let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
        let aws = Aws::start(simulator_aws::Settings { listen: any_port, clock: clock.clone(), data: None }).await?;
        let mut parameters = BTreeMap::from([
            ("ChatwootUrl".to_owned(), chatwoot_url.to_owned()),
            ("GraphUrl".to_owned(), meta_url.to_owned()),
        ]);
        parameters.extend(config.signup.parameters(meta_url));
        let template = Template::read(&Surroundings {
            aws_url: aws.url().to_owned(),
            api_url: "http://127.0.0.1".to_owned(),
            parameters,
        })?;
        resources::create(&aws, &template)?;
        resources::restrict(&aws, &template)?;
        resources::put_secrets(&aws, &template, &config)?;
        channels::put(aws.url(), &template, &config, Arc::new(clock.clone())).await?;
        let routes = Routes::new(&template);
        let balance = channels::balance(aws.url(), &template, Arc::new(clock.clone()))?;
        Ok(Self { aws, balance, clock, template, routes })
    }

    /// The environment of a function.
    pub fn environment(&self, function: &str) -> anyhow::Result<Environment> {
        Ok(Environment::given(self.variables(function)?))
    }

    /// The variables of that environment, for a process.
    pub fn variables(&self, function: &str) -> anyhow::Result<BTreeMap<String, String>> {
        let mut variables = self.function(function)?.environment.clone();
        variables.extend(self.credentials(function));
        Ok(variables)
    }

    /// The memory the template gives a function, in MB.
    pub fn memory_mb(&self, function: &str) -> anyhow::Result<u64> {
        Ok(self.function(function)?.memory_mb)
    }

    /// The name of the app's secret.
    pub fn app_secret(&self) -> anyhow::Result<&str> {
        let named = self.template.functions.iter().find_map(|function| function.environment.get("APP_SECRET"));
        named.map(String::as_str).context("no function has the app's secret")
    }

    /// The statements of a function's role.
    pub fn statements(&self, function: &str) -> anyhow::Result<&[Value]> {
        Ok(&self.function(function)?.statements)
    }

    /// The names of all functions.
    pub fn functions(&self) -> impl Iterator<Item = &str> {
        self.template.functions.iter().map(|function| function.name.as_str())
    }

    fn function(&self, name: &str) -> anyhow::Result<&Function> {
        self.template.functions.iter().find(|known| known.name == name).ok_or_else(|| anyhow!("no such function"))
    }

    /// The name of a channel's secret.
    pub fn channel_secret(&self, phone_number_id: &str) -> anyhow::Result<String> {
        resources::channel_secret(&self.template, phone_number_id)
    }

    /// What leads the AWS clients here as somebody who may do everything.
    pub fn operator(&self) -> Environment {
        Environment::given(self.credentials("operator"))
    }

    /// The AWS settings of a process that acts as `who`.
    pub fn credentials(&self, who: &str) -> [(String, String); 4] {
        [
            ("AWS_REGION", REGION),
            ("AWS_ACCESS_KEY_ID", who),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AWS_ENDPOINT_URL", self.aws.url()),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
    }

    /// The function an HTTP request belongs to, and the event API Gateway makes of it.
    pub fn request(&self, parts: &Parts, body: &[u8]) -> Option<(&str, Value)> {
        let found = self.routes.find(parts.method.as_str(), parts.uri.path())?;
        let circumstances =
            Circumstances { source: [127, 0, 0, 1].into(), at: self.clock.now(), request_id: "test".to_owned() };
        let event = event::from_request(parts, body, &found, &circumstances);
        Some((found.function, event))
    }

    /// The next batch for a function, if there is one.
    pub async fn batch(&self, function: &str) -> anyhow::Result<Option<Batch>> {
        let mapping = self.mapping(function)?;
        let messages = self.aws.receive(&mapping.queue, mapping.batch_size, std::time::Duration::ZERO).await;
        if messages.is_empty() {
            return Ok(None);
        }
        let event = poller::event(&messages, &self.aws.queue_arn(&mapping.queue));
        let reports_item_failures = mapping.reports_item_failures;
        Ok(Some(Batch { queue: mapping.queue.clone(), messages, reports_item_failures, event }))
    }

    /// Takes out of the queue what the function's answer leaves done.
    pub fn settle(&self, batch: &Batch, answer: &Value) {
        let answer = answer.to_string();
        let done = poller::done(&batch.messages, answer.as_bytes(), batch.reports_item_failures);
        for message in done.into_iter().flatten() {
            self.aws.delete(&batch.queue, &message.receipt_handle);
        }
    }

    /// The template's alarms, to be evaluated.
    pub fn alarms(&self) -> &[crate::alarms::Alarm] {
        &self.template.alarms
    }

    /// The name of the table.
    pub fn table(&self) -> anyhow::Result<&str> {
        self.template.tables.first().map(|table| table.name.as_str()).context("there is no table")
    }

    fn mapping(&self, function: &str) -> anyhow::Result<&Mapping> {
        self.function(function)?.mappings.first().context("the function has no queue")
    }
}
