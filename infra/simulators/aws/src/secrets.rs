//! Secrets Manager, in memory: values with stages, and tokens that make a repeat harmless.

mod calls;
mod secret;

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use domain::Clock as _;
use serde_json::Value;
use simulator_wire::MovableClock;

use self::secret::{Content, Secret};
use crate::{error::ApiError, front::input};

/// The service.
#[derive(Debug)]
pub(crate) struct Secrets {
    secrets: Mutex<BTreeMap<String, Secret>>,
    clock: MovableClock,
}

impl Secrets {
    /// No secrets yet.
    pub(crate) fn new(clock: MovableClock) -> Self {
        Self { secrets: Mutex::default(), clock }
    }

    /// Gives a secret a value; the same value again changes nothing.
    pub(crate) fn put(&self, name: &str, value: &str) {
        let now = self.clock.now();
        let content = Content { text: Some(value.to_owned()), binary: None };
        let mut secrets = self.lock();
        let secret = secrets.entry(name.to_owned()).or_insert_with(|| Secret::new(name, now));
        secret.deleted = None;
        if secret.current().is_none_or(|version| version.content != content) {
            secret.add(uuid::Uuid::new_v4().to_string(), content, &[secret::CURRENT.to_owned()], now);
        }
    }

    /// The names of those that are not deleted.
    pub(crate) fn names(&self) -> Vec<String> {
        self.lock().iter().filter(|(_, secret)| secret.deleted.is_none()).map(|(name, _)| name.clone()).collect()
    }

    /// The current text of one.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        let secrets = self.lock();
        let secret = secrets.get(name).filter(|secret| secret.deleted.is_none())?;
        secret.current()?.content.text.clone()
    }

    /// One API call.
    pub(crate) fn call(&self, operation: &str, body: &[u8]) -> Result<Value, ApiError> {
        match operation {
            "GetSecretValue" => self.get_secret_value(&input(body)?),
            "PutSecretValue" => self.put_secret_value(input(body)?),
            "CreateSecret" => self.create_secret(input(body)?),
            "UpdateSecret" => self.update_secret(input(body)?),
            "UpdateSecretVersionStage" => self.update_secret_version_stage(&input(body)?),
            "DescribeSecret" => self.describe_secret(&input(body)?),
            "DeleteSecret" => self.delete_secret(&input(body)?),
            "RestoreSecret" => self.restore_secret(&input(body)?),
            "ListSecrets" => Ok(self.list_secrets(&input(body)?)),
            _ => Err(ApiError::unknown_operation(operation)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Secret>> {
        let now = self.clock.now();
        let mut secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        secrets.retain(|_, secret| secret.deleted.is_none_or(|at| at > now));
        secrets
    }
}
