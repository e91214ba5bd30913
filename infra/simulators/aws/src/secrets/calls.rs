//! The API calls.

use std::{collections::BTreeMap, time::Duration};

use domain::{Clock as _, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Secrets,
    secret::{CURRENT, Content, Secret},
};
use crate::error::ApiError;

/// The input of the calls that read or remove.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Named {
    secret_id: Option<String>,
    version_id: Option<String>,
    version_stage: Option<String>,
    recovery_window_in_days: Option<u64>,
    #[serde(default)]
    force_delete_without_recovery: bool,
}

/// The input of the calls that give a value.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Put {
    name: Option<String>,
    secret_id: Option<String>,
    client_request_token: Option<String>,
    description: Option<String>,
    secret_string: Option<String>,
    secret_binary: Option<String>,
    version_stages: Option<Vec<String>>,
    kms_key_id: Option<String>,
    #[serde(default)]
    tags: Vec<Value>,
}

/// The input of `UpdateSecretVersionStage`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct MoveStage {
    secret_id: Option<String>,
    version_stage: Option<String>,
    remove_from_version_id: Option<String>,
    move_to_version_id: Option<String>,
}

/// The input of `ListSecrets`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct List {
    #[serde(default)]
    filters: Vec<Filter>,
    max_results: Option<usize>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Filter {
    key: String,
    values: Vec<String>,
}

fn not_found() -> ApiError {
    ApiError::new("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
}

fn exists(message: &str) -> ApiError {
    ApiError::new("ResourceExistsException", message)
}

fn invalid_parameter(message: &str) -> ApiError {
    ApiError::new("InvalidParameterException", message)
}

fn deleted() -> ApiError {
    ApiError::new(
        "InvalidRequestException",
        "You can't perform this operation on the secret because it was marked for deletion.",
    )
}

fn find<'a>(secrets: &'a mut BTreeMap<String, Secret>, id: Option<&str>) -> Result<&'a mut Secret, ApiError> {
    let id = id.ok_or_else(|| invalid_parameter("You must provide a value for the SecretId parameter."))?;
    secrets.values_mut().find(|secret| secret.is_meant_by(id)).ok_or_else(not_found)
}

fn find_live<'a>(secrets: &'a mut BTreeMap<String, Secret>, id: Option<&str>) -> Result<&'a mut Secret, ApiError> {
    let secret = find(secrets, id)?;
    if secret.deleted.is_some() { Err(deleted()) } else { Ok(secret) }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "milliseconds since the epoch fit into a double for longer than we live"
)]
fn seconds(at: Timestamp) -> Value {
    json!(at.as_millis() as f64 / 1000.0)
}

impl Put {
    fn content(&mut self) -> Content {
        Content { text: self.secret_string.take(), binary: self.secret_binary.take() }
    }
}

/// Adds a version; the same token with the same content is the same call.
fn add(
    secret: &mut Secret,
    token: Option<String>,
    content: Content,
    stages: &[String],
    now: Timestamp,
) -> Result<String, ApiError> {
    if content.text.is_some() == content.binary.is_some() {
        return Err(invalid_parameter("You must provide either SecretString or SecretBinary."));
    }
    let token = token.unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
    match secret.versions.get(&token) {
        Some(version) if version.content == content => Ok(token),
        Some(_) => Err(exists(&format!(
            "You can't use ClientRequestToken {token} because that value is already in use for a version of secret {}.",
            secret.arn
        ))),
        None => {
            secret.add(token.clone(), content, stages, now);
            Ok(token)
        }
    }
}

impl Secrets {
    pub(super) fn get_secret_value(&self, input: &Named) -> Result<Value, ApiError> {
        let mut secrets = self.lock();
        let secret = find_live(&mut secrets, input.secret_id.as_deref())?;
        let stage = input.version_stage.as_deref();
        let found = match &input.version_id {
            Some(id) => secret
                .versions
                .get_key_value(id)
                .filter(|(_, version)| stage.is_none_or(|stage| version.stages.contains(stage))),
            None => secret.in_stage(stage.unwrap_or(CURRENT)),
        };
        let (id, version) = found.ok_or_else(|| {
            let stage = stage.unwrap_or(CURRENT);
            let message = format!("Secrets Manager can't find the specified secret value for staging label: {stage}");
            ApiError::new("ResourceNotFoundException", message)
        })?;
        let mut answer = json!({
            "ARN": secret.arn,
            "Name": secret.name,
            "VersionId": id,
            "VersionStages": version.stages,
            "CreatedDate": seconds(version.created),
        });
        if let Some(text) = &version.content.text {
            answer["SecretString"] = json!(text);
        }
        if let Some(binary) = &version.content.binary {
            answer["SecretBinary"] = json!(binary);
        }
        Ok(answer)
    }

    pub(super) fn put_secret_value(&self, mut input: Put) -> Result<Value, ApiError> {
        let mut secrets = self.lock();
        let secret = find_live(&mut secrets, input.secret_id.as_deref())?;
        let content = input.content();
        let stages = input.version_stages.unwrap_or_else(|| vec![CURRENT.to_owned()]);
        let id = add(secret, input.client_request_token, content, &stages, self.clock.now())?;
        let stages = secret.versions.get(&id).map(|version| &version.stages);
        Ok(json!({"ARN": secret.arn, "Name": secret.name, "VersionId": id, "VersionStages": stages}))
    }

    pub(super) fn create_secret(&self, mut input: Put) -> Result<Value, ApiError> {
        let name =
            input.name.take().ok_or_else(|| invalid_parameter("You must provide a value for the Name parameter."))?;
        let now = self.clock.now();
        let mut secrets = self.lock();
        let content = input.content();
        let has_value = content.text.is_some() || content.binary.is_some();
        if let Some(known) = secrets.get(&name) {
            if known.deleted.is_some() {
                return Err(deleted());
            }
            let token = input.client_request_token.as_ref();
            return match token.and_then(|token| known.versions.get_key_value(token)) {
                Some((id, version)) if version.content == content => {
                    Ok(json!({"ARN": known.arn, "Name": known.name, "VersionId": id}))
                }
                _ => Err(exists(&format!("The operation failed because the secret {name} already exists."))),
            };
        }
        let mut secret = Secret::new(&name, now);
        secret.description = input.description;
        secret.tags = input.tags;
        secret.key = input.kms_key_id;
        let mut answer = json!({"ARN": secret.arn, "Name": name});
        if has_value {
            let id = add(&mut secret, input.client_request_token, content, &[CURRENT.to_owned()], now)?;
            answer["VersionId"] = json!(id);
        }
        secrets.insert(name, secret);
        Ok(answer)
    }

    pub(super) fn update_secret(&self, mut input: Put) -> Result<Value, ApiError> {
        let now = self.clock.now();
        let mut secrets = self.lock();
        let secret = find_live(&mut secrets, input.secret_id.as_deref())?;
        if let Some(description) = input.description.take() {
            secret.description = Some(description);
            secret.changed = now;
        }
        let mut answer = json!({"ARN": secret.arn, "Name": secret.name});
        let content = input.content();
        if content.text.is_some() || content.binary.is_some() {
            let id = add(secret, input.client_request_token, content, &[CURRENT.to_owned()], now)?;
            answer["VersionId"] = json!(id);
        }
        Ok(answer)
    }

    pub(super) fn update_secret_version_stage(&self, input: &MoveStage) -> Result<Value, ApiError> {
        let mut secrets = self.lock();
        let secret = find_live(&mut secrets, input.secret_id.as_deref())?;
        let missing = || invalid_parameter("You must provide a value for the VersionStage parameter.");
        let stage = input.version_stage.as_deref().ok_or_else(missing)?;
        let holder = secret.in_stage(stage).map(|(id, _)| id.clone());
        if let Some(to) = &input.move_to_version_id
            && !secret.versions.contains_key(to)
        {
            return Err(not_found());
        }
        if holder.is_some() && holder != input.move_to_version_id && holder != input.remove_from_version_id {
            return Err(invalid_parameter(&format!(
                "The parameter RemoveFromVersionId must be the version that holds the staging label {stage}."
            )));
        }
        secret.stage(stage, input.move_to_version_id.as_deref());
        secret.changed = self.clock.now();
        Ok(json!({"ARN": secret.arn, "Name": secret.name}))
    }

    pub(super) fn describe_secret(&self, input: &Named) -> Result<Value, ApiError> {
        let mut secrets = self.lock();
        Ok(described(find(&mut secrets, input.secret_id.as_deref())?, "VersionIdsToStages"))
    }

    pub(super) fn delete_secret(&self, input: &Named) -> Result<Value, ApiError> {
        let mut secrets = self.lock();
        let secret = find_live(&mut secrets, input.secret_id.as_deref())?;
        let days = if input.force_delete_without_recovery { 0 } else { input.recovery_window_in_days.unwrap_or(30) };
        let at = self.clock.now() + Duration::from_secs(days * 86_400);
        let answer = json!({"ARN": secret.arn, "Name": secret.name, "DeletionDate": seconds(at)});
        if input.force_delete_without_recovery {
            let name = secret.name.clone();
            secrets.remove(&name);
        } else {
            secret.deleted = Some(at);
        }
        Ok(answer)
    }

    pub(super) fn restore_secret(&self, input: &Named) -> Result<Value, ApiError> {
        let mut secrets = self.lock();
        let secret = find(&mut secrets, input.secret_id.as_deref())?;
        secret.deleted = None;
        Ok(json!({"ARN": secret.arn, "Name": secret.name}))
    }

    pub(super) fn list_secrets(&self, input: &List) -> Value {
        let secrets = self.lock();
        let after = input.next_token.as_deref().unwrap_or_default();
        let wanted = |secret: &&Secret| {
            let mut names = input.filters.iter().filter(|filter| matches!(filter.key.as_str(), "name" | "all"));
            secret.deleted.is_none()
                && secret.name.as_str() > after
                && names.all(|filter| filter.values.iter().any(|prefix| secret.name.starts_with(prefix)))
        };
        let found: Vec<&Secret> = secrets.values().filter(wanted).collect();
        let page = &found[..found.len().min(input.max_results.unwrap_or(100))];
        let shown: Vec<Value> = page.iter().map(|secret| described(secret, "SecretVersionsToStages")).collect();
        let mut answer = json!({"SecretList": shown});
        if let (Some(last), true) = (page.last(), page.len() < found.len()) {
            answer["NextToken"] = json!(last.name);
        }
        answer
    }
}

fn described(secret: &Secret, stages: &str) -> Value {
    let mut shown = json!({
        "ARN": secret.arn,
        "Name": secret.name,
        "CreatedDate": seconds(secret.created),
        "LastChangedDate": seconds(secret.changed),
        "Tags": secret.tags,
    });
    shown[stages] = secret.stages();
    if let Some(description) = &secret.description {
        shown["Description"] = json!(description);
    }
    if let Some(key) = &secret.key {
        shown["KmsKeyId"] = json!(key);
    }
    if let Some(at) = secret.deleted {
        shown["DeletedDate"] = seconds(at);
    }
    shown
}
