//! Finds the operator's AWS credentials as the AWS CLI does: environment, profile, SSO, process, instance.

use anyhow::{Context as _, anyhow};
use aws_config::{BehaviorVersion, Region};
use platform::aws::ProvideCredentials as _;
use platform::{Environment, Setting};

use crate::session::Reached;

/// The settings by which the functions' own code reaches AWS.
pub(crate) async fn settings(target: &Reached) -> anyhow::Result<Vec<(Setting, String)>> {
    let process = Environment::process();
    let bundle = process.optional(Setting::AwsCaBundle);
    let http = process.read(|env| platform::aws::http_client(env, None, bundle.as_deref()));
    let http = http.context("AWS cannot be reached")?;
    let mut loader = aws_config::defaults(BehaviorVersion::latest()).http_client(http);
    if let Some(profile) = &target.profile {
        loader = loader.profile_name(profile);
    }
    if let Some(region) = &target.region {
        loader = loader.region(Region::new(region.clone()));
    }
    let config = Box::pin(loader.load()).await;
    let provider = config.credentials_provider().ok_or_else(|| anyhow!("AWS credentials are needed"))?;
    let credentials = provider.provide_credentials().await.context(
        "AWS credentials are needed: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile (--profile; `aws sso login` \
         where it is one of SSO)",
    )?;
    let region = config.region().context("the AWS region is needed: --region, AWS_REGION, or the profile's")?;
    let mut settings = vec![
        (Setting::AwsRegion, region.to_string()),
        (Setting::AwsAccessKeyId, credentials.access_key_id().to_owned()),
        (Setting::AwsSecretAccessKey, credentials.secret_access_key().to_owned()),
    ];
    settings.extend(credentials.session_token().map(|token| (Setting::AwsSessionToken, token.to_owned())));
    settings.extend(config.endpoint_url().map(|url| (Setting::AwsEndpointUrl, url.to_owned())));
    settings.extend(bundle.map(|bundle| (Setting::AwsCaBundle, bundle)));
    Ok(settings)
}
