//! What a caller may do, after the policies of its role. Whoever is not restricted may do everything: any credentials will do.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Mutex, PoisonError, RwLock},
};

use axum::http::{HeaderMap, header};
use serde::Deserialize;
use serde_json::Value;

use crate::{ACCOUNT, REGION, error::ApiError};

/// Policies by access key id.
#[derive(Debug, Default)]
pub(crate) struct Access {
    policies: RwLock<HashMap<String, Vec<Statement>>>,
    /// What restricted callers did, as far as they were allowed: key, action, resource.
    used: Mutex<BTreeSet<(String, String, String)>>,
}

/// A statement of a policy that allows something.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Statement {
    effect: String,
    action: OneOrMore,
    resource: OneOrMore,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

/// An action on a resource.
type Wish = (String, String);

impl Access {
    /// From now on this key may do what the statements allow and nothing else.
    pub(crate) fn restrict(&self, key: &str, statements: &[Value]) -> anyhow::Result<()> {
        let statements = statements.iter().map(Statement::deserialize).collect::<Result<_, _>>()?;
        self.policies.write().unwrap_or_else(PoisonError::into_inner).insert(key.to_owned(), statements);
        Ok(())
    }

    /// Whether this key may do that.
    pub(crate) fn allows(&self, key: &str, action: &str, resource: &str) -> bool {
        let policies = self.policies.read().unwrap_or_else(PoisonError::into_inner);
        policies.get(key).is_none_or(|statements| statements.iter().any(|one| one.allows(action, resource)))
    }

    /// What this key did so far: actions and resources.
    pub(crate) fn used(&self, key: &str) -> BTreeSet<Wish> {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let own = used.iter().filter(|(by, ..)| by == key);
        own.map(|(_, action, resource)| (action.clone(), resource.clone())).collect()
    }

    /// Refuses a call that its caller's role does not allow.
    pub(crate) fn check(
        &self,
        headers: &HeaderMap,
        service: &str,
        operation: &str,
        body: &[u8],
    ) -> Result<(), ApiError> {
        let Some(key) = access_key(headers) else { return Ok(()) };
        if !self.policies.read().unwrap_or_else(PoisonError::into_inner).contains_key(key) {
            return Ok(());
        }
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        for (action, resource) in wishes(service, operation, &body) {
            if !self.allows(key, &action, &resource) {
                tracing::error!(caller = key, action, resource, "the caller's role does not allow that");
                return Err(ApiError::new(
                    "com.amazon.coral.service#AccessDeniedException",
                    format!("{key} is not authorized to perform: {action} on resource: {resource}"),
                ));
            }
            let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
            used.insert((key.to_owned(), action, resource));
        }
        Ok(())
    }
}

impl Statement {
    fn allows(&self, action: &str, resource: &str) -> bool {
        self.effect == "Allow" && self.action.matches(action) && self.resource.matches(resource)
    }
}

impl OneOrMore {
    fn matches(&self, wanted: &str) -> bool {
        let matches = |pattern: &str| match pattern.split_once('*') {
            Some((before, after)) => wanted.starts_with(before) && wanted[before.len()..].ends_with(after),
            None => pattern == wanted,
        };
        match self {
            Self::One(pattern) => matches(pattern),
            Self::More(patterns) => patterns.iter().any(|pattern| matches(pattern)),
        }
    }
}

/// The access key id that a request was signed with.
fn access_key(headers: &HeaderMap) -> Option<&str> {
    let signed = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    signed.split_once("Credential=")?.1.split('/').next()
}

/// What a call asks for, in IAM's words.
fn wishes(service: &str, operation: &str, body: &Value) -> Vec<Wish> {
    let text = |name: &str| body[name].as_str().unwrap_or_default();
    match service {
        "AmazonSQS" => {
            let queue = text("QueueUrl").rsplit('/').next().unwrap_or_default();
            let action = operation.strip_suffix("Batch").unwrap_or(operation);
            vec![(format!("sqs:{action}"), format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}"))]
        }
        "secretsmanager" => {
            // One that is made has a name, and no id yet.
            let named = if operation == "CreateSecret" { text("Name") } else { text("SecretId") };
            let secret = format!("arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{named}");
            vec![(format!("secretsmanager:{operation}"), secret)]
        }
        _ => tables(operation, body),
    }
}

fn tables(operation: &str, body: &Value) -> Vec<Wish> {
    let table = |name: &str| format!("arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{name}");
    let name = |of: &Value| of["TableName"].as_str().unwrap_or_default().to_owned();
    match operation {
        "BatchGetItem" | "BatchWriteItem" => {
            let names = body["RequestItems"].as_object().into_iter().flatten();
            names.map(|(name, _)| (format!("dynamodb:{operation}"), table(name))).collect()
        }
        "TransactWriteItems" | "TransactGetItems" => {
            let items = body["TransactItems"].as_array().into_iter().flatten().filter_map(Value::as_object).flatten();
            let action = |kind: &str| match kind {
                "ConditionCheck" => "dynamodb:ConditionCheckItem".to_owned(),
                kind => format!("dynamodb:{kind}Item"),
            };
            items.map(|(kind, item)| (action(kind), table(&name(item)))).collect()
        }
        _ => {
            let index = body["IndexName"].as_str().map(|index| format!("/index/{index}")).unwrap_or_default();
            vec![(format!("dynamodb:{operation}"), format!("{}{index}", table(&name(body))))]
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn allowed(service: &str, operation: &str, body: &Value) -> bool {
        let access = Access::default();
        let statements = [
            json!({ "Effect": "Allow", "Action": ["dynamodb:GetItem", "dynamodb:UpdateItem", "dynamodb:Query"],
                "Resource": ["arn:aws:dynamodb:us-east-1:000000000000:table/t", "arn:aws:dynamodb:us-east-1:000000000000:table/t/index/a"] }),
            json!({ "Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "arn:aws:sqs:us-east-1:000000000000:q.fifo" }),
            json!({ "Effect": "Allow", "Action": "secretsmanager:GetSecretValue",
                "Resource": "arn:aws:secretsmanager:us-east-1:000000000000:secret:s/channel/*" }),
        ];
        access.restrict("forward", &statements).unwrap();
        let wishes = wishes(service, operation, body);
        assert!(!wishes.is_empty());
        wishes.iter().all(|(action, resource)| access.allows("forward", action, resource))
    }

    #[test]
    fn only_what_a_statement_allows_is_allowed() {
        let queue = |name: &str| json!({ "QueueUrl": format!("http://127.0.0.1:1/000000000000/{name}") });
        assert!(allowed("AmazonSQS", "SendMessageBatch", &queue("q.fifo")));
        assert!(!allowed("AmazonSQS", "SendMessage", &queue("other.fifo")));
        assert!(!allowed("AmazonSQS", "DeleteMessage", &queue("q.fifo")));
        assert!(allowed("secretsmanager", "GetSecretValue", &json!({ "SecretId": "s/channel/104857600123456" })));
        assert!(!allowed("secretsmanager", "GetSecretValue", &json!({ "SecretId": "s/app" })));
        assert!(allowed("DynamoDB_20120810", "Query", &json!({ "TableName": "t", "IndexName": "a" })));
        assert!(!allowed("DynamoDB_20120810", "Query", &json!({ "TableName": "t", "IndexName": "b" })));
        let writes = |kind: &str| json!({ "TransactItems": [{ "Update": { "TableName": "t" } }, { kind: { "TableName": "t" } }] });
        assert!(allowed("DynamoDB_20120810", "TransactWriteItems", &writes("Update")));
        assert!(!allowed("DynamoDB_20120810", "TransactWriteItems", &writes("Put")));
    }

    #[test]
    fn any_other_credentials_may_do_everything() {
        assert!(Access::default().allows("any", "sqs:PurgeQueue", "arn:aws:sqs:us-east-1:000000000000:q.fifo"));
    }
}
