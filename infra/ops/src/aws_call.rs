//! Calls the services of AWS that only the operator needs: `CloudFormation`, CloudWatch, SNS, Lambda.
//!
//! Five calls of four services: signed here, they need no SDK of their own each.

use std::time::SystemTime;

use anyhow::{Context as _, anyhow};
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use domain::{Clock as _, SystemClock};
use platform::{Setting, aws::Credentials};
use reqwest::{Client, Method};
use roxmltree::Document;
use serde_json::Value;
use url::Url;

/// How long an answer may take.
const CALL_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);

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

    async fn call(&self, service: &str, method: Method, path: &str, body: String) -> anyhow::Result<String> {
        let usual = || format!("https://{service}.{}.amazonaws.com", self.region);
        let base = self.endpoint.clone().unwrap_or_else(usual);
        let url: Url = format!("{}{path}", base.trim_end_matches('/')).parse()?;
        let host = url.host_str().unwrap_or_default().to_owned();
        let host = url.port().map_or_else(|| host.clone(), |port| format!("{host}:{port}"));
        let identity = self.credentials.clone().into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(service)
            .time(now())
            .settings(SigningSettings::default())
            .build()?
            .into();
        let form = "application/x-www-form-urlencoded; charset=utf-8";
        let mut headers = vec![("host", host.as_str())];
        if method == Method::POST {
            headers.push(("content-type", form));
        }
        let signable = SignableRequest::new(
            method.as_str(),
            url.as_str(),
            headers.clone().into_iter(),
            SignableBody::Bytes(body.as_bytes()),
        )?;
        let (signed, _) = sign(signable, &parameters)?.into_parts();
        let mut request = self.client.request(method, url).timeout(CALL_TIMEOUT);
        for (name, value) in headers.into_iter().filter(|(name, _)| *name != "host") {
            request = request.header(name, value);
        }
        for (name, value) in signed.headers() {
            request = request.header(name, value);
        }
        let answer = request.body(body).send().await.map_err(|error| anyhow!(error.without_url()))?;
        let status = answer.status();
        let text = answer.text().await?;
        if status.is_success() { Ok(text) } else { Err(anyhow!("HTTP status {}: {}", status.as_u16(), refusal(&text))) }
    }
}

#[expect(clippy::disallowed_methods, reason = "a signature goes by the machine's time, whatever the runner's is")]
fn now() -> SystemTime {
    SystemTime::now()
}

/// The code and the message of a refusal, of XML or of JSON.
fn refusal(text: &str) -> String {
    if let Ok(document) = Document::parse(text) {
        let find = |name| texts(&document, name).next().unwrap_or_default().to_owned();
        return format!("{} {}", find("Code"), find("Message")).trim().to_owned();
    }
    let json: Value = serde_json::from_str(text).unwrap_or_default();
    let said = ["message", "Message", "__type"].into_iter().find_map(|name| json[name].as_str());
    said.unwrap_or("what answered is not AWS").to_owned()
}

/// The texts of all elements of that name.
pub(crate) fn texts<'d>(document: &'d Document<'_>, name: &'static str) -> impl Iterator<Item = &'d str> {
    document.descendants().filter(move |node| node.tag_name().name() == name).filter_map(|node| node.text())
}
