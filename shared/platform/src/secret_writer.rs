//! Writes secrets into Secrets Manager: what is there already stays, and a repeat changes nothing.

use aws_sdk_secretsmanager::{Client, error::ProvideErrorMetadata as _};
use serde_json::{Map, Value};

use crate::SecretError;

/// How long a removed secret can be had back.
const RECOVERY_DAYS: i64 = 7;

/// Writes secrets. Nothing is cached.
#[derive(Clone, Debug)]
pub struct SecretWriter {
    client: Client,
    /// What a new secret is encrypted with; without it, AWS's own key.
    key: Option<String>,
}

impl SecretWriter {
    /// With the rights of this client.
    pub fn new(client: Client) -> Self {
        Self { client, key: None }
    }

    /// New secrets are encrypted with this key of the operator's.
    #[must_use]
    pub fn encrypting(self, key: Option<String>) -> Self {
        Self { key, ..self }
    }

    /// The members of a secret; nothing where there is none, it has no value, or it was removed.
    pub async fn read(&self, name: &str) -> Result<Option<Map<String, Value>>, SecretError> {
        match self.read_lasting(name).await {
            Err(SecretError::Removed) => Ok(None),
            read => read,
        }
    }

    /// The same for a secret whose value is nowhere else: that it was removed is an error, since a new value would be no help.
    pub async fn read_lasting(&self, name: &str) -> Result<Option<Map<String, Value>>, SecretError> {
        let answer = match self.client.get_secret_value().secret_id(name).send().await {
            Ok(answer) => answer,
            Err(error) if error.code() == Some("ResourceNotFoundException") => return Ok(None),
            Err(error) if error.code() == Some("InvalidRequestException") => return Err(SecretError::Removed),
            Err(error) => return Err(refused(error.code())),
        };
        let text = answer.secret_string.unwrap_or_default();
        // One that was made without a value.
        if text.trim().is_empty() {
            return Ok(None);
        }
        serde_json::from_str(&text).map(Some).map_err(|_| SecretError::Unreadable)
    }

    /// Gives a secret this value, and makes it where there is none. One that was removed comes back.
    pub async fn write(&self, name: &str, members: &Map<String, Value>) -> Result<(), SecretError> {
        let text = Value::from(members.clone()).to_string();
        let put = async || self.client.put_secret_value().secret_id(name).secret_string(text.clone()).send().await;
        match put().await {
            Ok(_) => Ok(()),
            Err(error) if error.code() == Some("ResourceNotFoundException") => {
                let made = self.client.create_secret().name(name).secret_string(text.clone());
                let made = made.set_kms_key_id(self.key.clone()).send().await;
                made.map(|_| ()).map_err(|error| refused(error.code()))
            }
            Err(error) if error.code() == Some("InvalidRequestException") => {
                let back = self.client.restore_secret().secret_id(name).send().await;
                back.map_err(|error| refused(error.code()))?;
                put().await.map(|_| ()).map_err(|error| refused(error.code()))
            }
            Err(error) => Err(refused(error.code())),
        }
    }

    /// Removes a secret for good: a copy of what stands elsewhere. One that is not there is gone.
    pub async fn forget(&self, name: &str) -> Result<(), SecretError> {
        let removed = self.client.delete_secret().secret_id(name).force_delete_without_recovery(true).send().await;
        match removed {
            Ok(_) => Ok(()),
            Err(error) if matches!(error.code(), Some("ResourceNotFoundException" | "InvalidRequestException")) => {
                Ok(())
            }
            Err(error) => Err(refused(error.code())),
        }
    }

    /// Removes a secret; for a week it can be had back. One that is not there is gone.
    pub async fn remove(&self, name: &str) -> Result<(), SecretError> {
        let removed = self.client.delete_secret().secret_id(name).recovery_window_in_days(RECOVERY_DAYS).send().await;
        match removed {
            Ok(_) => Ok(()),
            Err(error) if matches!(error.code(), Some("ResourceNotFoundException" | "InvalidRequestException")) => {
                Ok(())
            }
            Err(error) => Err(refused(error.code())),
        }
    }
}

fn refused(code: Option<&str>) -> SecretError {
    match code {
        Some("AccessDeniedException") => SecretError::Forbidden,
        _ => SecretError::Unavailable,
    }
}
