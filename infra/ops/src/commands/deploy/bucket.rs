//! The bucket of a stack's packages: each by its content, so that an older version is still there to go back to.

use anyhow::{Context as _, bail};
use reqwest::Method;

use super::packages::Packages;
use crate::{
    aws_call::{AwsCaller, refusal_of},
    commands::deploy::template::key,
    output::Output,
};

/// AWS's longest name of a bucket.
const LONGEST_NAME: usize = 63;

/// The one region that is not named when a bucket is made.
const FIRST_REGION: &str = "us-east-1";

/// A bucket of one account.
pub(super) struct Bucket<'a> {
    pub(super) caller: &'a AwsCaller,
    pub(super) name: String,
    pub(super) account: &'a str,
}

/// The usual name: no two accounts, regions or stacks share it.
pub(super) fn usual_name(stack: &str, account: &str, region: &str) -> String {
    let end = format!("-packages-{account}-{region}");
    let stack: String = stack.to_ascii_lowercase().chars().take(LONGEST_NAME - end.len().min(LONGEST_NAME)).collect();
    format!("{}{end}", stack.trim_end_matches('-'))
}

impl Bucket<'_> {
    /// Makes it where it is missing.
    pub(super) async fn make(&self) -> anyhow::Result<()> {
        if self.has("").await? {
            return Ok(());
        }
        let region = &self.caller.region;
        let body = if region == FIRST_REGION {
            String::new()
        } else {
            format!(
                "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><LocationConstraint>{region}\
                 </LocationConstraint></CreateBucketConfiguration>"
            )
        };
        match self.caller.s3(Method::PUT, &format!("/{}", self.name), body.into_bytes(), self.account).await {
            Err(error) if refusal_of(&error).is_some_and(|refusal| refusal.code == "BucketAlreadyOwnedByYou") => Ok(()),
            made => made,
        }
    }

    /// Puts the packages there that are not there yet.
    pub(super) async fn upload(&self, packages: &Packages, output: &Output) -> anyhow::Result<()> {
        for (at, (name, zip)) in packages.zips.iter().enumerate() {
            let key = key(name, &zip.sum);
            if !self.has(&key).await? {
                output.step(&format!("putting {name} into {} ({} of {})", self.name, at + 1, packages.zips.len()));
                self.put(&key, zip.bytes.clone()).await?;
            }
        }
        Ok(())
    }

    pub(super) async fn put(&self, key: &str, bytes: Vec<u8>) -> anyhow::Result<()> {
        let put = self.caller.s3(Method::PUT, &format!("/{}/{key}", self.name), bytes, self.account).await;
        put.with_context(|| format!("{key} did not get into {}", self.name))
    }

    /// Where `CloudFormation` finds it, whoever stands for AWS.
    pub(super) fn url(&self, key: &str) -> String {
        format!("https://s3.{}.amazonaws.com/{}/{key}", self.caller.region, self.name)
    }

    async fn has(&self, key: &str) -> anyhow::Result<bool> {
        let path = if key.is_empty() { format!("/{}", self.name) } else { format!("/{}/{key}", self.name) };
        match self.caller.s3(Method::HEAD, &path, Vec::new(), self.account).await {
            Ok(()) => Ok(true),
            Err(error) => match refusal_of(&error).map(|refusal| refusal.status) {
                Some(404) => Ok(false),
                Some(403) => bail!(
                    "the bucket {} is another account's, or these credentials may not use it: let them (docs/ops.md), or \
                     name another with --bucket",
                    self.name
                ),
                _ => Err(error),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_that_s3_takes() {
        assert_eq!(usual_name("lmotos", "123456789012", "us-east-1"), "lmotos-packages-123456789012-us-east-1");
        let long = usual_name(&"Dealer-".repeat(18), "123456789012", "ap-southeast-1");
        assert!(long.len() <= LONGEST_NAME && long.starts_with("dealer-") && !long.contains("--"), "{long}");
    }
}
