//! The condition lists of `contacts/filter` and `conversations/filter`, and pages.

use std::time::Duration;

use domain::Timestamp;
use serde_json::Value;

use crate::{Language, calendar::start_of_day, errors::Refusal, params::Params};

/// One condition and how it is joined to the next one.
#[derive(Debug)]
pub(crate) struct Condition {
    pub key: String,
    operator: String,
    values: Vec<String>,
    or: bool,
}

impl Condition {
    /// Reads `payload`; a key that is none of `keys` and not an attribute of the account's own is refused.
    pub(crate) fn read(
        params: &Params,
        language: Language,
        keys: &[&str],
        own: impl Fn(&str) -> bool,
    ) -> Result<Vec<Self>, Refusal> {
        let payload = params.values.get("payload").and_then(Value::as_array).cloned().unwrap_or_default();
        let text =
            |condition: &Value, key: &str| condition.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        payload
            .iter()
            .map(|condition| {
                let (key, operator) = (text(condition, "attribute_key"), text(condition, "filter_operator"));
                if !keys.contains(&key.as_str()) && !own(&key) {
                    let keys = keys.join(",");
                    return Err(Refusal::unprocessable(language.say(
                        &format!(
                            "Clave de atributo no válida - [{key}]. La clave debe ser una de [{keys}] o un atributo \
                             personalizado definido en la cuenta."
                        ),
                        &format!(
                            "Invalid attribute key - [{key}]. The key should be one of [{keys}] or a custom attribute \
                             defined in the account."
                        ),
                    )));
                }
                if !OPERATORS.contains(&operator.as_str()) {
                    let reason = language.say("Operador no válido", "Invalid operator");
                    return Err(Refusal::unprocessable(&format!("{reason}: {operator}")));
                }
                let values = match condition.get("values") {
                    Some(Value::Array(values)) => values.iter().map(plain).collect(),
                    Some(Value::Null) | None => Vec::new(),
                    Some(single) => vec![plain(single)],
                };
                Ok(Self { key, operator, values, or: text(condition, "query_operator").eq_ignore_ascii_case("or") })
            })
            .collect()
    }

    /// Whether a text fits; an absent one is never equal to anything.
    pub(crate) fn fits(&self, actual: Option<&str>) -> bool {
        let any = |holds: &dyn Fn(&str, &str) -> bool| {
            actual.is_some_and(|actual| self.values.iter().any(|value| holds(actual, value)))
        };
        match self.operator.as_str() {
            "equal_to" => any(&|actual, value| actual == value),
            "not_equal_to" => !any(&|actual, value| actual == value),
            "contains" => any(&|actual, value| actual.to_lowercase().contains(&value.to_lowercase())),
            "does_not_contain" => !any(&|actual, value| actual.to_lowercase().contains(&value.to_lowercase())),
            "is_present" => actual.is_some(),
            "is_not_present" => actual.is_none(),
            _ => false,
        }
    }

    /// Whether a time fits: before or after a date, or more days ago than said.
    pub(crate) fn fits_time(&self, actual: Timestamp, now: Timestamp) -> bool {
        let value = self.values.first().map(String::as_str).unwrap_or_default();
        match self.operator.as_str() {
            "is_less_than" => start_of_day(value).is_some_and(|date| actual < date),
            "is_greater_than" => start_of_day(value).is_some_and(|date| actual > date),
            "days_before" => value.parse().is_ok_and(|days: u64| actual < now - Duration::from_secs(days * 86_400)),
            _ => false,
        }
    }

    /// As the filter of contacts compares it: the first value alone counts, a phone has its plus, all else is in lower case.
    pub(crate) fn of_contacts(mut self) -> Self {
        self.values.truncate(1);
        for value in &mut self.values {
            if self.key == "phone_number" {
                *value = format!("+{}", value.replace('+', ""));
            } else {
                *value = value.to_lowercase();
            }
        }
        self
    }
}

const OPERATORS: [&str; 9] = [
    "equal_to",
    "not_equal_to",
    "contains",
    "does_not_contain",
    "is_present",
    "is_not_present",
    "is_less_than",
    "is_greater_than",
    "days_before",
];

/// AND binds tighter than OR, as in the SQL that Chatwoot makes of it.
pub(crate) fn all_fit(conditions: &[Condition], fits: impl Fn(&Condition) -> bool) -> bool {
    conditions.split_inclusive(|condition| condition.or).any(|group| group.iter().all(&fits))
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The page of a list, counted from 1, and whether more follows.
pub(crate) fn page<T>(rows: Vec<T>, params: &Params, size: usize) -> (Vec<T>, usize, bool) {
    let number = params.int("page").and_then(|page| usize::try_from(page).ok()).unwrap_or(1).max(1);
    let total = rows.len();
    let rows: Vec<T> = rows.into_iter().skip((number - 1) * size).take(size).collect();
    (rows, number, number * size < total)
}
