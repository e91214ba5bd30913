//! Builds the three AWS clients.
//! They share one HTTP stack, with ring for TLS and Amazon's own roots compiled in. Everything else comes from the environment
//! Lambda provides (§5 of the project's `performance.md`, which is not part of this repository).

use std::time::Duration;

use aws_smithy_http_client::{
    Builder,
    tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode},
};

pub use aws_sdk_sqs::config::{Credentials, ProvideCredentials};

use crate::{ConfigError, Environment, Setting};

/// AWS answers in milliseconds; a call that takes this long is repeated, and then given up. Without a limit, a call that hangs
/// would last until Lambda kills all work of the batch.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(3);
const OPERATION_TIMEOUT: Duration = Duration::from_secs(9);

/// The clients; each function takes those it needs.
#[derive(Clone, Debug)]
pub struct Aws {
    /// The state table.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// The queues.
    pub sqs: aws_sdk_sqs::Client,
    /// The secrets.
    pub secrets: aws_sdk_secretsmanager::Client,
}

impl Aws {
    /// The clients alone, for a tool.
    pub fn from_env(env: Environment) -> Result<Self, ConfigError> {
        env.read(Self::read)
    }

    /// From Lambda's own environment: region, keys, session token, and an endpoint if one is set.
    pub fn read(env: &mut Environment) -> Self {
        let region = env.text(Setting::AwsRegion);
        let key = env.text(Setting::AwsAccessKeyId);
        let secret = env.text(Setting::AwsSecretAccessKey);
        let token = env.optional(Setting::AwsSessionToken);
        let endpoint = env.optional(Setting::AwsEndpointUrl);
        let bundle = env.optional(Setting::AwsCaBundle);
        let http = http_client(env, endpoint.as_deref(), bundle.as_deref());
        // Each SDK crate has a builder type of its own with the same methods.
        macro_rules! client {
            ($sdk:ident) => {{
                use $sdk::config::{
                    BehaviorVersion, Config, Credentials, Region, StalledStreamProtectionConfig, timeout::TimeoutConfig,
                };
                let credentials = Credentials::new(&key, &secret, token.clone(), None, "environment");
                let mut config = Config::builder()
                    .behavior_version(BehaviorVersion::latest())
                    .region(Region::new(region.clone()))
                    .credentials_provider(credentials)
                    .http_client(http.clone())
                    // Each attempt has a timeout of its own, far below what this protection would wait for.
                    .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
                let patience = TimeoutConfig::builder()
                    .connect_timeout(CONNECT_TIMEOUT)
                    .operation_attempt_timeout(ATTEMPT_TIMEOUT)
                    .operation_timeout(OPERATION_TIMEOUT);
                config.set_timeout_config(Some(patience.build()));
                config.set_endpoint_url(endpoint.clone());
                $sdk::Client::from_conf(config.build())
            }};
        }
        Self {
            dynamodb: client!(aws_sdk_dynamodb),
            sqs: client!(aws_sdk_sqs),
            secrets: client!(aws_sdk_secretsmanager),
        }
    }
}

/// The HTTP client below them. Certificates that cannot be read stay with the environment.
pub fn http_client(
    env: &mut Environment,
    endpoint: Option<&str>,
    bundle: Option<&str>,
) -> aws_sdk_sqs::config::SharedHttpClient {
    if endpoint.is_some_and(|endpoint| endpoint.starts_with("http://")) {
        return Builder::new().build_http();
    }
    let mut roots = TrustStore::empty().with_pem_certificate(include_str!("amazon-roots.pem"));
    match bundle.map(std::fs::read).transpose() {
        Ok(pem) => roots = pem.into_iter().fold(roots, TrustStore::with_pem_certificate),
        Err(error) => env.fault(Setting::AwsCaBundle, &error),
    }
    match TlsContext::builder().with_trust_store(roots).build() {
        Ok(tls) => Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).tls_context(tls).build_https(),
        Err(error) => {
            env.fault(Setting::AwsCaBundle, &error);
            Builder::new().build_http()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amazons_roots_are_accepted_by_the_tls_library() {
        // Building the client parses every certificate; a bad one would stop each function at its first call.
        let read = Environment::given([]).read(|env| http_client(env, None, None));
        assert!(read.is_ok());
        assert_eq!(include_str!("amazon-roots.pem").matches("BEGIN CERTIFICATE").count(), 4);
    }
}
