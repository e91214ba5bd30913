//! Calls the services of AWS that only the operator needs: `CloudFormation`, CloudWatch, S3, SNS, Lambda, STS.
//!
//! A few calls of each: signed here, they need no SDK of their own each.

use std::time::{Duration, SystemTime};

use anyhow::{Context as _, anyhow};
use aws_sigv4::{
    http_request::{
        PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
        UriPathNormalizationMode, sign,
    },
    sign::v4,
};
use domain::{Clock as _, SystemClock};
use platform::{Setting, aws::Credentials};
use reqwest::{Client, Method};
use roxmltree::Document;
use serde_json::Value;
use url::Url;

/// How long an answer may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a package may take to its bucket, over a slow line.
const UPLOAD_TIMEOUT: Duration = Duration::from_secs(600);

/// What AWS refused.
#[derive(Debug, thiserror::Error)]
#[error("HTTP status {status}: {code} {message}{}", self.hint())]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    /// AWS's word for it, such as `ValidationError`; empty where none came.
    pub(crate) code: String,
    pub(crate) message: String,
}

impl Refusal {
    /// Whether the credentials are good, and may not do this.
    pub(crate) fn is_forbidden(&self) -> bool {
        self.status == 403 || self.code.starts_with("AccessDenied") || self.code.starts_with("UnauthorizedOperation")
    }

    fn hint(&self) -> &'static str {
        let expired = ["ExpiredToken", "InvalidClientTokenId", "UnrecognizedClient", "SignatureDoesNotMatch"];
        if expired.iter().any(|code| self.code.starts_with(code)) {
            "; AWS does not accept these credentials: look at --profile, or sign in again (`aws sso login`)"
        } else if self.is_forbidden() {
            "; these credentials may not do that: docs/ops.md says what has to be allowed"
        } else {
            ""
        }
    }
}

/// What AWS refused, if that is what an error is about.
pub(crate) fn refusal_of(error: &anyhow::Error) -> Option<&Refusal> {
    error.downcast_ref::<Refusal>()
}

/// Signs and makes calls.
#[derive(Clone, Debug)]
pub(crate) struct AwsCaller {
    pub(crate) client: Client,
    pub(crate) region: String,
    pub(crate) credentials: Credentials,
    pub(crate) endpoint: Option<String>,
}

impl AwsCaller {
    /// With the credentials and the endpoint that the settings have.
    pub(crate) fn new(client: Client, settings: &[(Setting, String)]) -> Self {
        let of =
            |wanted: Setting| settings.iter().find(|(setting, _)| *setting == wanted).map(|(_, value)| value.clone());
        let (key, secret) = (of(Setting::AwsAccessKeyId), of(Setting::AwsSecretAccessKey));
        let (key, secret) = (key.unwrap_or_default(), secret.unwrap_or_default());
        Self {
            client,
            region: of(Setting::AwsRegion).unwrap_or_default(),
            credentials: Credentials::new(key, secret, of(Setting::AwsSessionToken), None, "operator"),
            endpoint: of(Setting::AwsEndpointUrl),
        }
    }

    /// By how many seconds this machine's clock is ahead of AWS's, if that tells the time.
    pub(crate) async fn clock_off(&self) -> Option<i64> {
        let usual = || format!("https://dynamodb.{}.amazonaws.com", self.region);
        let answer = self.client.get(self.endpoint.clone().unwrap_or_else(usual)).timeout(CALL_TIMEOUT).send().await;
        let told = answer.ok()?.headers().get(reqwest::header::DATE)?.to_str().ok()?.to_owned();
        let told = httpdate::parse_http_date(&told).ok()?.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs();
        Some(SystemClock.now().as_secs() - i64::try_from(told).ok()?)
    }

    /// A call of the query protocol; the answer is XML.
    pub(crate) async fn query(
        &self,
        service: &str,
        version: &str,
        action: &str,
        parameters: &[(&str, &str)],
    ) -> anyhow::Result<String> {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("Action", action).append_pair("Version", version).extend_pairs(parameters);
        let answer = self.call(service, Method::POST, "/", form.finish()).await;
        answer.with_context(|| format!("{service} {action}"))
    }

    /// A call that reads JSON.
    pub(crate) async fn get(&self, service: &str, path: &str) -> anyhow::Result<Value> {
        let text =
            self.call(service, Method::GET, path, String::new()).await.with_context(|| format!("{service} {path}"))?;
        serde_json::from_str(&text).with_context(|| format!("{service} {path}: no JSON"))
    }

    /// A call of a service that names its action in a header, and speaks JSON.
    pub(crate) async fn target(&self, service: &str, target: &str, body: &Value) -> anyhow::Result<Value> {
        let headers = [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", target)];
        let called =
            self.signed(service, Method::POST, "/", &headers, body.to_string().into_bytes(), CALL_TIMEOUT).await;
        let text = called.with_context(|| format!("{service} {target}"))?;
        serde_json::from_str(&text).with_context(|| format!("{service} {target}: no JSON"))
    }

    /// A call that changes something by JSON, or by nothing but its path.
    pub(crate) async fn change(&self, service: &str, method: Method, path: &str, body: &str) -> anyhow::Result<()> {
        let said = format!("{service} {method} {path}");
        self.call(service, method, path, body.to_owned()).await.map(drop).context(said)
    }

    /// A call of S3's: `path` is the bucket and what is in it. No other account's bucket is taken for one's own.
    pub(crate) async fn s3(&self, method: Method, path: &str, body: Vec<u8>, owner: &str) -> anyhow::Result<()> {
        let said = format!("s3 {method} {path}");
        let owner = [("x-amz-expected-bucket-owner", owner)];
        // The bucket does not belong to anybody before it is made.
        let headers = if method == Method::PUT && path.matches('/').count() == 1 { &owner[..0] } else { &owner };
        self.signed("s3", method, path, headers, body, UPLOAD_TIMEOUT).await.map(drop).context(said)
    }

    /// Whether somebody on this machine stands for AWS, and answers that path.
    pub(crate) async fn emulator_answers(&self, path: &str) -> bool {
        let Some(base) = self.endpoint.as_ref().and_then(|url| url.parse::<Url>().ok()) else { return false };
        let is_here = matches!(base.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
        let Ok(url) = base.join(path) else { return false };
        is_here
            && self.client.get(url).timeout(CALL_TIMEOUT).send().await.is_ok_and(|answer| answer.status().is_success())
    }

    async fn call(&self, service: &str, method: Method, path: &str, body: String) -> anyhow::Result<String> {
        let form = [("content-type", "application/x-www-form-urlencoded; charset=utf-8")];
        let json = [("content-type", "application/json")];
        let headers = match (&method, path) {
            (&Method::POST, "/") => &form[..],
            (&Method::GET | &Method::DELETE, _) => &[],
            _ => &json,
        };
        self.signed(service, method, path, headers, body.into_bytes(), CALL_TIMEOUT).await
    }

    async fn signed(
        &self,
        service: &str,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
        timeout: Duration,
    ) -> anyhow::Result<String> {
        let usual = || format!("https://{service}.{}.amazonaws.com", self.region);
        let base = self.endpoint.clone().unwrap_or_else(usual);
        let url: Url = format!("{}{path}", base.trim_end_matches('/')).parse()?;
        let host = url.host_str().unwrap_or_default().to_owned();
        let host = url.port().map_or_else(|| host.clone(), |port| format!("{host}:{port}"));
        let identity = self.credentials.clone().into();
        let mut settings = SigningSettings::default();
        if service == "s3" {
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
            settings.percent_encoding_mode = PercentEncodingMode::Single;
            settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        }
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(service)
            .time(now())
            .settings(settings)
            .build()?
            .into();
        let all = [("host", host.as_str())].into_iter().chain(headers.iter().copied());
        let signable = SignableRequest::new(method.as_str(), url.as_str(), all, SignableBody::Bytes(&body))?;
        let (signed, _) = sign(signable, &parameters)?.into_parts();
        let mut request = self.client.request(method, url).timeout(timeout);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        for (name, value) in signed.headers() {
            request = request.header(name, value);
        }
        let answer = request.body(body).send().await.map_err(|error| anyhow!(error.without_url()))?;
        let status = answer.status();
        let text = answer.text().await?;
        if status.is_success() { Ok(text) } else { Err(refusal(status.as_u16(), &text).into()) }
    }
}

#[expect(clippy::disallowed_methods, reason = "a signature goes by the machine's time, whatever the runner's is")]
fn now() -> SystemTime {
    SystemTime::now()
}

/// The code and the message of a refusal, of XML or of JSON.
fn refusal(status: u16, text: &str) -> Refusal {
    if let Ok(document) = Document::parse(text) {
        let find = |name| texts(&document, name).next().unwrap_or_default().trim().to_owned();
        return Refusal { status, code: find("Code"), message: find("Message") };
    }
    let json: Value = serde_json::from_str(text).unwrap_or_default();
    let said = |names: &[&str]| names.iter().find_map(|name| json[*name].as_str()).unwrap_or_default().to_owned();
    let (code, message) = (said(&["__type", "Code"]), said(&["message", "Message"]));
    let nothing = code.is_empty() && message.is_empty() && !text.is_empty();
    Refusal { status, code, message: if nothing { "what answered is not AWS".to_owned() } else { message } }
}

/// The texts of all elements of that name.
pub(crate) fn texts<'d>(document: &'d Document<'_>, name: &'static str) -> impl Iterator<Item = &'d str> {
    document.descendants().filter(move |node| node.tag_name().name() == name).filter_map(|node| node.text())
}
