//! What the local runner reads out of `infra/template.yaml`: the one truth about routes, queues, table, schedules and
//! limits.

use std::{collections::BTreeMap, fmt::Display, str::FromStr, time::Duration};

use anyhow::{Context as _, anyhow, bail, ensure};
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::{Value as Json, json};
use serde_yaml_ng::Value as Yaml;

use crate::{
    alarms::Alarm,
    cloudwatch::MetricId,
    intrinsics::{Resolver, plain},
};

pub(crate) const TEXT: &str = include_str!("../../template.yaml");

/// The part of the template that matters on one machine.
#[derive(Debug)]
pub(crate) struct Template {
    pub(crate) functions: Vec<Function>,
    pub(crate) queues: Vec<Queue>,
    pub(crate) tables: Vec<Table>,
    /// What is evaluated, in tests and for the operation view.
    pub(crate) alarms: Vec<Alarm>,
    /// The metrics that the dashboard shows.
    pub(crate) dashboard: Vec<MetricId>,
    /// What the operator is told.
    pub(crate) outputs: BTreeMap<String, String>,
}

/// What the runner does not run, and why nothing is missing without it. Any other type is an error: somebody has to decide.
const NOT_RUN: [(&str, &str); 8] = [
    ("AWS::Serverless::HttpApi", "the gateway reads the functions' routes"),
    ("AWS::SecretsManager::Secret", "the configuration fills it"),
    ("AWS::Logs::LogGroup", "logs go to standard error"),
    ("AWS::ApiGatewayV2::DomainName", "the gateway has its own address"),
    ("AWS::ApiGatewayV2::ApiMapping", "the same"),
    ("AWS::SNS::Topic", "mail"),
    ("AWS::SNS::Subscription", "mail"),
    ("AWS::Budgets::Budget", "costs nothing here"),
];

/// A Lambda function with all its triggers.
#[derive(Debug)]
pub(crate) struct Function {
    /// The name of its crate, and of its child process.
    pub(crate) name: String,
    /// What Lambda calls it.
    pub(crate) full_name: String,
    pub(crate) timeout: Duration,
    pub(crate) memory_mb: u64,
    pub(crate) log_group: String,
    pub(crate) environment: BTreeMap<String, String>,
    /// The ARN of its role, and what that may do.
    pub(crate) role: String,
    pub(crate) statements: Vec<Json>,
    pub(crate) routes: Vec<Route>,
    pub(crate) mappings: Vec<Mapping>,
    pub(crate) schedules: Vec<Rate>,
}

/// A route of the HTTP API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) method: String,
    pub(crate) path: String,
}

/// An event source mapping: a queue whose batches go to the function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mapping {
    pub(crate) queue: String,
    pub(crate) batch_size: usize,
    pub(crate) maximum_concurrency: usize,
    pub(crate) reports_item_failures: bool,
}

/// A schedule at a fixed rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate(pub(crate) Duration);

/// A queue and its attributes as `CreateQueue` wants them.
#[derive(Debug)]
pub(crate) struct Queue {
    pub(crate) name: String,
    pub(crate) attributes: BTreeMap<String, String>,
}

/// A table and the body of its `CreateTable`, with the time to live, which the embedded AWS takes in the same call.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) name: String,
    pub(crate) create: Json,
}

/// What only the machine knows and the template's parameters and references need.
pub(crate) struct Surroundings {
    pub(crate) aws_url: String,
    pub(crate) api_url: String,
    pub(crate) parameters: BTreeMap<String, String>,
}

impl Template {
    /// Reads the template of this build.
    pub(crate) fn read(surroundings: &Surroundings) -> anyhow::Result<Self> {
        Self::parse(TEXT, surroundings).context("infra/template.yaml")
    }

    pub(crate) fn parse(text: &str, surroundings: &Surroundings) -> anyhow::Result<Self> {
        let yaml: Yaml = serde_yaml_ng::from_str(text)?;
        let resolver = Resolver {
            resources: &yaml["Resources"],
            mappings: &yaml["Mappings"],
            conditions: &yaml["Conditions"],
            parameters: parameters(&yaml, &surroundings.parameters)?,
            aws_url: surroundings.aws_url.clone(),
            api_url: surroundings.api_url.clone(),
        };
        let globals = resolver.resolve(&yaml["Globals"]["Function"]).context("Globals.Function")?;
        let (functions, queues, tables, alarms, dashboard) = Default::default();
        let mut template = Self { functions, queues, tables, alarms, dashboard, outputs: BTreeMap::new() };
        for (name, output) in yaml["Outputs"].as_mapping().into_iter().flatten() {
            let name = name.as_str().unwrap_or_default();
            if !resolver.is_wanted(output).with_context(|| format!("Outputs.{name}"))? {
                continue;
            }
            let value = resolver.resolve(&output["Value"]).with_context(|| format!("Outputs.{name}"))?;
            template.outputs.insert(name.to_owned(), plain(&value));
        }
        let mut roles = BTreeMap::new();
        for (id, resource) in yaml["Resources"].as_mapping().into_iter().flatten() {
            let id = id.as_str().unwrap_or_default();
            if !resolver.is_wanted(resource).with_context(|| id.to_owned())? {
                continue;
            }
            let properties = || resolver.resolve(&resource["Properties"]).with_context(|| id.to_owned());
            match resource["Type"].as_str().unwrap_or_default() {
                "AWS::Serverless::Function" => {
                    let binary = resource["Metadata"]["BuildProperties"]["Binary"].as_str();
                    let name = binary.ok_or_else(|| anyhow!("{id}: Metadata.BuildProperties.Binary is missing"))?;
                    let function = Function::from_properties(name, resolver.name(id)?, properties()?, &globals);
                    template.functions.push(function.with_context(|| id.to_owned())?);
                }
                "AWS::SQS::Queue" => template.queues.push(Queue::from_properties(resolver.name(id)?, &properties()?)),
                "AWS::DynamoDB::Table" => {
                    template.tables.push(Table::from_properties(resolver.name(id)?, &properties()?));
                }
                "AWS::IAM::Role" => {
                    roles.insert(resolver.attribute(id, "Arn")?, statements(&properties()?));
                }
                "AWS::CloudWatch::Alarm" => {
                    template.alarms.push(Alarm::read(id, properties()?).with_context(|| id.to_owned())?);
                }
                "AWS::CloudWatch::Dashboard" => {
                    let body = plain(&properties()?["DashboardBody"]);
                    template.dashboard.extend(shown(&serde_json::from_str(&body).with_context(|| id.to_owned())?));
                }
                known if NOT_RUN.iter().any(|(kind, _)| *kind == known) => {}
                other => bail!("{id}: the local runner does not know {other}"),
            }
        }
        for function in &mut template.functions {
            let role =
                roles.get(&function.role).ok_or_else(|| anyhow!("{}: there is no role of its own", function.name))?;
            function.statements.clone_from(role);
        }
        template.check()?;
        Ok(template)
    }

    fn check(&self) -> anyhow::Result<()> {
        for function in &self.functions {
            for mapping in &function.mappings {
                let queue = self.queues.iter().find(|queue| queue.name == mapping.queue);
                let queue = queue.ok_or_else(|| anyhow!("{}: there is no queue {}", function.name, mapping.queue))?;
                let visible: u64 =
                    queue.attributes.get("VisibilityTimeout").map_or(Ok(30), |seconds| seconds.parse())?;
                // CreateEventSourceMapping refuses it.
                ensure!(
                    visible >= function.timeout.as_secs(),
                    "{}: the visibility timeout of {} is shorter than the function's time-out",
                    function.name,
                    queue.name
                );
            }
        }
        Ok(())
    }
}

/// All statements of a role's policies.
fn statements(role: &Json) -> Vec<Json> {
    let policies = role["Policies"].as_array().into_iter().flatten();
    policies.filter_map(|policy| policy["PolicyDocument"]["Statement"].as_array()).flatten().cloned().collect()
}

/// The metrics on a dashboard: namespace, name, then dimensions by name and value.
fn shown(body: &Json) -> Vec<MetricId> {
    let widgets = body["widgets"].as_array().into_iter().flatten();
    let metrics = widgets.filter_map(|widget| widget["properties"]["metrics"].as_array()).flatten();
    let metric = |parts: &Json| {
        let words: Vec<&str> = parts.as_array().into_iter().flatten().filter_map(Json::as_str).collect();
        let [namespace, name, dimensions @ ..] = words.as_slice() else { return None };
        let dimensions: Vec<(&str, &str)> =
            dimensions.as_chunks().0.iter().map(|[name, value]| (*name, *value)).collect();
        Some(MetricId::new(namespace, name, &dimensions))
    };
    metrics.filter_map(metric).collect()
}

/// The given parameters; where one is not given, its default.
fn parameters(yaml: &Yaml, given: &BTreeMap<String, String>) -> anyhow::Result<BTreeMap<String, String>> {
    let mut parameters = BTreeMap::new();
    for (name, declared) in yaml["Parameters"].as_mapping().into_iter().flatten() {
        let name = name.as_str().unwrap_or_default();
        let value = match (given.get(name), declared.get("Default")) {
            (Some(value), _) => value.clone(),
            (None, Some(default)) => plain(&serde_json::to_value(default)?),
            (None, None) => bail!("the local runner has no value for the parameter {name}"),
        };
        parameters.insert(name.to_owned(), value);
    }
    Ok(parameters)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct FunctionProperties {
    #[serde(default = "three_seconds")]
    timeout: u64,
    #[serde(default = "smallest", deserialize_with = "number")]
    memory_size: u64,
    role: String,
    logging_config: Option<LoggingConfig>,
    environment: Option<Environment>,
    #[serde(default)]
    events: BTreeMap<String, Event>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct LoggingConfig {
    log_group: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Environment {
    #[serde(default)]
    variables: BTreeMap<String, Json>,
}

#[derive(Deserialize)]
#[serde(tag = "Type", content = "Properties")]
enum Event {
    HttpApi {
        #[serde(rename = "Method")]
        method: String,
        #[serde(rename = "Path")]
        path: String,
    },
    #[serde(rename = "SQS")]
    Sqs(Source),
    Schedule {
        #[serde(rename = "Schedule")]
        schedule: String,
    },
    ScheduleV2 {
        #[serde(rename = "ScheduleExpression")]
        schedule: String,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Source {
    queue: String,
    #[serde(default = "ten")]
    batch_size: usize,
    #[serde(default)]
    function_response_types: Vec<String>,
    scaling_config: Option<ScalingConfig>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ScalingConfig {
    #[serde(deserialize_with = "number")]
    maximum_concurrency: usize,
}

/// A number, also where it came by a parameter, which is text.
fn number<'de, T: FromStr<Err: Display>, D: Deserializer<'de>>(given: D) -> Result<T, D::Error> {
    plain(&Json::deserialize(given)?).parse().map_err(D::Error::custom)
}

const fn three_seconds() -> u64 {
    3
}

const fn smallest() -> u64 {
    128
}

const fn ten() -> usize {
    10
}

impl Function {
    fn from_properties(name: &str, full_name: String, own: Json, globals: &Json) -> anyhow::Result<Self> {
        let mut merged = globals.clone();
        merge(&mut merged, own);
        let properties: FunctionProperties = serde_json::from_value(merged)?;
        let mut function = Self {
            name: name.to_owned(),
            log_group: properties.logging_config.and_then(|logging| logging.log_group).unwrap_or_default(),
            full_name,
            role: properties.role,
            statements: Vec::new(),
            timeout: Duration::from_secs(properties.timeout),
            memory_mb: properties.memory_size,
            environment: properties
                .environment
                .unwrap_or_default()
                .variables
                .into_iter()
                .map(|(k, v)| (k, plain(&v)))
                .collect(),
            routes: Vec::new(),
            mappings: Vec::new(),
            schedules: Vec::new(),
        };
        for (id, event) in properties.events {
            match event {
                Event::HttpApi { method, path } => function.routes.push(Route { method: method.to_uppercase(), path }),
                Event::Sqs(source) => function.mappings.push(Mapping {
                    queue: source.queue.rsplit(':').next().unwrap_or_default().to_owned(),
                    batch_size: source.batch_size,
                    maximum_concurrency: source
                        .scaling_config
                        .map_or(usize::MAX, |scaling| scaling.maximum_concurrency),
                    reports_item_failures: source
                        .function_response_types
                        .iter()
                        .any(|kind| kind == "ReportBatchItemFailures"),
                }),
                Event::Schedule { schedule } | Event::ScheduleV2 { schedule } => {
                    function.schedules.push(Rate::parse(&schedule).with_context(|| id)?);
                }
            }
        }
        Ok(function)
    }
}

/// Lays `over` upon `base`, maps key by key, as SAM does with its globals.
fn merge(base: &mut Json, over: Json) {
    match (base, over) {
        (Json::Object(base), Json::Object(over)) => {
            for (key, value) in over {
                merge(base.entry(key).or_insert(Json::Null), value);
            }
        }
        (base, over) => *base = over,
    }
}

impl Rate {
    fn parse(expression: &str) -> anyhow::Result<Self> {
        let inner = expression.strip_prefix("rate(").and_then(|rest| rest.strip_suffix(')'));
        let Some((count, unit)) = inner.and_then(|inner| inner.split_once(' ')) else {
            bail!("the local runner knows rate(…) only, not {expression}");
        };
        let count: u64 = count.parse().with_context(|| expression.to_owned())?;
        // EventBridge insists on the singular for one and the plural for more.
        let seconds = match (count, unit) {
            (1, "minute") | (2.., "minutes") => 60,
            (1, "hour") | (2.., "hours") => 3_600,
            (1, "day") | (2.., "days") => 86_400,
            _ => bail!("{expression} is not a rate"),
        };
        Ok(Self(Duration::from_secs(count * seconds)))
    }
}

impl Queue {
    fn from_properties(name: String, properties: &Json) -> Self {
        let attributes = properties
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(key, _)| !matches!(key.as_str(), "QueueName" | "Tags"));
        Self { name, attributes: attributes.map(|(key, value)| (key.clone(), plain(value))).collect() }
    }
}

impl Table {
    fn from_properties(name: String, properties: &Json) -> Self {
        let mut create = json!({ "TableName": name });
        for key in
            ["AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "BillingMode", "TimeToLiveSpecification"]
        {
            if let Some(value) = properties.get(key) {
                create[key] = value.clone();
            }
        }
        Self { name, create }
    }
}

#[cfg(test)]
#[path = "template_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "template_deploy_tests.rs"]
mod deploy_tests;
