//! A client of any service of an embedded AWS.

macro_rules! client {
    ($sdk:ident, $aws:expr) => {
        $sdk::Client::from_conf(
            $sdk::Config::builder()
                .behavior_version($sdk::config::BehaviorVersion::latest())
                .region($sdk::config::Region::new("us-east-1"))
                .credentials_provider($sdk::config::Credentials::new("anyone", "anything", None, None, "test"))
                .retry_config($sdk::config::retry::RetryConfig::disabled())
                .http_client(aws_smithy_http_client::Builder::new().build_http())
                .endpoint_url($aws.url())
                .build(),
        )
    };
}

pub(crate) use client;
