//! Empty values in key conditions and in a scan's start key, which DynamoDB refuses and `dynoxide` takes.

use serde_json::{Map, Value};

use crate::error::ApiError;

const VALIDATION: &str = "com.amazon.coral.validate#ValidationException";

/// Words of a key condition that are no attribute.
const WORDS: [&str; 3] = ["AND", "BETWEEN", "BEGINS_WITH"];

/// Refuses a `Query` one of whose key conditions compares with an empty string or empty binary, and a `Scan` that starts at one.
pub(super) fn check(operation: &str, body: &[u8]) -> Result<(), ApiError> {
    if !matches!(operation, "Query" | "Scan") {
        return Ok(());
    }
    // What cannot be read is refused where it is handed on to.
    let Ok(request) = serde_json::from_slice::<Value>(body) else { return Ok(()) };
    if operation == "Scan" {
        let start = request["ExclusiveStartKey"].as_object().into_iter().flat_map(Map::iter);
        for (attribute, value) in start {
            refuse_empty(attribute, value, None).map_err(|refused| {
                ApiError::new(VALIDATION, format!("The provided starting key is invalid: {}", refused.message))
            })?;
        }
        return Ok(());
    }
    let index = request["IndexName"].as_str();
    if let Some(condition) = request["KeyConditionExpression"].as_str() {
        for (attribute, value) in compared(condition) {
            let attribute = request["ExpressionAttributeNames"][attribute].as_str().unwrap_or(attribute);
            refuse_empty(attribute, &request["ExpressionAttributeValues"][value], index)?;
        }
    }
    for (attribute, condition) in request["KeyConditions"].as_object().into_iter().flat_map(Map::iter) {
        for value in condition["AttributeValueList"].as_array().into_iter().flatten() {
            refuse_empty(attribute, value, index)?;
        }
    }
    Ok(())
}

fn refuse_empty(attribute: &str, value: &Value, index: Option<&str>) -> Result<(), ApiError> {
    let kind = if value["S"] == "" {
        "string"
    } else if value["B"] == "" {
        "binary"
    } else {
        return Ok(());
    };
    let what = match index {
        None => {
            format!("The AttributeValue for a key attribute cannot contain an empty {kind} value. Key: {attribute}")
        }
        Some(index) => format!(
            "A value specified for a secondary index key is not supported. The AttributeValue for a key attribute cannot contain an empty {kind} value. IndexName: {index}, IndexKey: {attribute}"
        ),
    };
    Err(ApiError::new(VALIDATION, format!("One or more parameter values are not valid. {what}")))
}

/// Each value of a key condition by its placeholder, and the attribute it is compared with.
fn compared(condition: &str) -> Vec<(&str, &str)> {
    let (mut attribute, mut found) = ("", Vec::new());
    let ends_word = |c: char| c.is_whitespace() || matches!(c, '(' | ')' | ',' | '=' | '<' | '>');
    for word in condition.split(ends_word).filter(|word| !word.is_empty()) {
        if word.starts_with(':') {
            found.push((attribute, word));
        } else if !WORDS.contains(&word.to_ascii_uppercase().as_str()) {
            attribute = word;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_is_found_with_its_attribute() {
        assert_eq!(compared("pk = :pk AND begins_with(#sk, :p)"), [("pk", ":pk"), ("#sk", ":p")]);
        assert_eq!(compared("(pk=:pk) and sk between :a AND :b"), [("pk", ":pk"), ("sk", ":a"), ("sk", ":b")]);
        assert_eq!(compared("pk = :pk AND sk<=:a"), [("pk", ":pk"), ("sk", ":a")]);
    }
}
