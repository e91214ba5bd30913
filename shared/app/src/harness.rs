//! Runs a function on Lambda. There is one harness for queues, one for the API, and one for schedules.

use std::fmt;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use domain::Timestamp;
use lambda_http::{
    Body, Request, Response,
    aws_lambda_events::apigw::ApiGatewayV2httpResponse,
    http::{HeaderValue, StatusCode, header::CACHE_CONTROL},
};
use lambda_runtime::{Context, LambdaEvent, service_fn};
use platform::{Metric, Metrics};
use queue::{Drained, LATE};
use serde::{Deserialize, Serialize, de::IgnoredAny};
use serde_json::{Value, value::RawValue};
use tracing::{Instrument as _, field::Empty};

use crate::{HandlerError, Refusal};

pub use lambda_runtime::Error;

/// The largest body that is taken. Meta sends up to 3 MB; base64 of 4 MiB still fits Lambda's 6 MB.
const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;

/// What all functions have.
pub trait Function: fmt::Debug {
    /// What it counts.
    fn metrics(&self) -> &Metrics;

    /// Loads what the first event needs, and opens the connections.
    fn warm_up(&self) -> impl Future<Output = ()> {
        async {}
    }
}

/// A function that works off a queue.
pub trait QueueFunction: Function {
    /// Whether a task that is returned for long is a sign of an outage.
    const COUNTS_LATE: bool = true;

    /// Works off one batch. The invocation ends at `until`.
    fn drain(&self, batch: SqsEvent, until: Timestamp) -> impl Future<Output = Drained>;
}

/// A function behind the API.
pub trait HttpFunction: Function {
    /// Who notices a request that could not be answered, and what they do.
    const NEXT: &'static str;

    /// Whether it takes events that do not pass the API.
    const TAKES_COMMANDS: bool = false;

    /// Answers one request.
    fn respond(&self, request: &Request) -> impl Future<Output = Result<Response<Body>, HandlerError>>;

    /// Answers an event that did not pass the API.
    fn command(&self, _command: Value) -> impl Future<Output = Result<Value, Error>> {
        async { Err(Error::from("only requests of the API are taken")) }
    }
}

/// A function that a schedule starts.
pub trait ScheduledFunction: Function {
    /// What a run reports.
    type Report: Serialize;

    /// Makes one run, which has to end at `until`.
    fn run(&self, until: Timestamp) -> impl Future<Output = Result<Self::Report, HandlerError>>;
}

/// Serves batches until the process ends.
pub async fn run_sqs(function: impl QueueFunction) -> Result<(), Error> {
    let function = &function;
    function.warm_up().await;
    lambda_runtime::run(service_fn(async |event: LambdaEvent<SqsEvent>| {
        Ok::<_, Error>(Box::pin(work_off(function, event.payload, end(&event.context))).await)
    }))
    .await
}

/// Works off one batch and counts what became of it.
pub async fn work_off<F: QueueFunction>(function: &F, batch: SqsEvent, until: Timestamp) -> SqsBatchResponse {
    let drained = function.drain(batch, until).await;
    let metrics = function.metrics();
    metrics.add(Metric::Retried, drained.retried);
    metrics.add(Metric::Poisoned, drained.poisoned);
    if F::COUNTS_LATE && drained.has_waited(LATE, metrics.now()) {
        metrics.count(Metric::Late);
    }
    metrics.emit();
    drained.response
}

/// Serves requests until the process ends.
pub async fn run_http<F: HttpFunction>(function: F) -> Result<(), Error> {
    let function = &function;
    function.warm_up().await;
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Box<RawValue>>| {
        Box::pin(invoke(function, event.payload.get())).await
    }))
    .await
}

/// Answers one request, or refuses it. What is logged meanwhile names the item, once a function has recorded its `trace`.
pub async fn answer<F: HttpFunction>(function: &F, request: Request) -> Response<Body> {
    answer_one(function, request).instrument(tracing::info_span!("request", trace = Empty)).await
}

async fn answer_one<F: HttpFunction>(function: &F, request: Request) -> Response<Body> {
    let answered = if request.body().len() > MAX_BODY_BYTES {
        Err(Refusal::TooLarge.into())
    } else {
        function.respond(&request).await
    };
    let mut response = answered.unwrap_or_else(|error| {
        let status = error.status();
        if status.is_server_error() {
            tracing::error!(%error, next = F::NEXT, "a request could not be answered");
        } else {
            tracing::debug!(%error, "a request is refused");
        }
        empty(status)
    });
    // What leads nowhere today may lead somewhere tomorrow.
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if response.status().is_client_error() {
        function.metrics().count(Metric::Rejected);
    }
    function.metrics().emit();
    response
}

/// A response without a body.
pub fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = status;
    response
}

/// Makes runs until the process ends.
pub async fn run_scheduled(function: impl ScheduledFunction) -> Result<(), Error> {
    let function = &function;
    function.warm_up().await;
    lambda_runtime::run(service_fn(async |event: LambdaEvent<IgnoredAny>| {
        Ok::<_, Error>(Box::pin(function.run(end(&event.context))).await?)
    }))
    .await
}

/// When Lambda ends the invocation.
fn end(context: &Context) -> Timestamp {
    Timestamp::from_millis(i64::try_from(context.deadline).unwrap_or(i64::MAX))
}

#[derive(Serialize)]
#[serde(untagged)]
enum Answer {
    Request(Box<ApiGatewayV2httpResponse>),
    Command(Value),
}

async fn invoke<F: HttpFunction>(function: &F, event: &str) -> Result<Answer, Error> {
    if F::TAKES_COMMANDS && !is_request(event) {
        let answered = function.command(serde_json::from_str(event)?).await;
        function.metrics().emit();
        return answered.map(Answer::Command);
    }
    let (parts, body) = answer(function, lambda_http::request::from_str(event)?).await.into_parts();
    let mut response = ApiGatewayV2httpResponse::default();
    response.status_code = parts.status.as_u16().into();
    response.headers = parts.headers;
    response.body = Some(body).filter(|body| !matches!(body, Body::Empty));
    Ok(Answer::Request(Box::new(response)))
}

/// Whether an event is a request of the API.
fn is_request(event: &str) -> bool {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Event {
        #[serde(default)]
        request_context: Option<IgnoredAny>,
    }
    serde_json::from_str::<Event>(event).is_ok_and(|event| event.request_context.is_some())
}

#[cfg(test)]
mod tests {
    use domain::SystemClock;
    use platform::SecretError;
    use serde_json::json;

    use super::*;

    #[derive(Debug)]
    struct Double(Metrics);

    impl Function for Double {
        fn metrics(&self) -> &Metrics {
            &self.0
        }
    }

    impl HttpFunction for Double {
        const NEXT: &'static str = "the test asks again";
        const TAKES_COMMANDS: bool = true;

        async fn respond(&self, request: &Request) -> Result<Response<Body>, HandlerError> {
            match request.uri().path() {
                "/unknown" => Err(Refusal::Unknown.into()),
                "/broken" => Err(SecretError::Unavailable.into()),
                _ => Ok(Response::new(Body::Text("found".into()))),
            }
        }

        async fn command(&self, command: Value) -> Result<Value, Error> {
            Ok(json!({ "did": command }))
        }
    }

    async fn answered(event: Value) -> Value {
        let double = Double(Metrics::new("double", "test".into(), SystemClock.shared()));
        serde_json::to_value(invoke(&double, &event.to_string()).await.unwrap()).unwrap()
    }

    async fn posted(path: &str, bytes: usize) -> Value {
        let http =
            json!({ "method": "POST", "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "" });
        answered(json!({
            "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": "", "isBase64Encoded": false,
            "headers": { "host": "api.example.com" }, "body": "x".repeat(bytes),
            "requestContext": { "stage": "$default", "http": http, "timeEpoch": 0 },
        }))
        .await
    }

    #[tokio::test]
    async fn a_request_is_answered_by_its_function_or_with_the_status_of_its_error() {
        for (path, bytes, status, body) in [
            ("/known", 1, 200, json!("found")),
            ("/known", MAX_BODY_BYTES, 200, json!("found")),
            ("/known", MAX_BODY_BYTES + 1, 413, Value::Null),
            ("/unknown", 1, 404, Value::Null),
            ("/broken", 1, 500, Value::Null),
        ] {
            let answer = posted(path, bytes).await;
            assert_eq!((&answer["statusCode"], &answer["body"]), (&json!(status), &body), "{path} {bytes}");
            assert_eq!(answer["headers"]["cache-control"], "no-store", "nobody keeps an answer");
            assert_eq!(answer["isBase64Encoded"], false);
        }
    }

    #[tokio::test]
    async fn what_does_not_pass_the_api_is_a_command() {
        assert_eq!(answered(json!({ "phone": "5215555550123" })).await, json!({ "did": { "phone": "5215555550123" } }));
    }
}
