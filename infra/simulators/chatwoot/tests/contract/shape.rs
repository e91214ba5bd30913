//! What an answer has to look like: its members and the types of their values, none missing and none more.

use serde_json::{Map, Value};

/// The named shapes, written as the answers are. A text is a list of types; `@name` is another shape, `+` takes over its members, and a
/// member that ends in `?` may be absent.
pub(crate) struct Shapes(Map<String, Value>);

impl Shapes {
    pub(crate) fn read() -> Self {
        Self(serde_json::from_str(include_str!("shapes.json")).unwrap())
    }

    /// How a body differs from the shape of that name.
    pub(crate) fn differences(&self, name: &str, body: &Value) -> Vec<String> {
        let mut found = Vec::new();
        self.compare(name, &self.0[name], body, &mut found);
        found
    }

    fn compare(&self, at: &str, shape: &Value, body: &Value, found: &mut Vec<String>) {
        match (shape, body) {
            (Value::Object(_), Value::Object(body)) => {
                let members = self.members(shape);
                for (key, shape) in &members {
                    let name = key.trim_end_matches('?');
                    match body.get(name) {
                        Some(value) => self.compare(&format!("{at}.{name}"), shape, value, found),
                        None if key.ends_with('?') => {}
                        None => found.push(format!("{at}.{name} is missing")),
                    }
                }
                let known = |name: &String| members.contains_key(name) || members.contains_key(&format!("{name}?"));
                found.extend(body.keys().filter(|name| !known(name)).map(|name| format!("{at}.{name} is new")));
            }
            (Value::Array(shapes), Value::Array(items)) => {
                for item in items {
                    self.compare(&format!("{at}[]"), &shapes[0], item, found);
                }
            }
            (Value::String(kinds), _) if kinds.starts_with('@') => {
                let tried: Vec<_> = kinds.split('@').skip(1).map(|name| self.differences(name, body)).collect();
                let best = tried.into_iter().min_by_key(Vec::len).unwrap_or_default();
                found.extend(best.into_iter().map(|difference| format!("{at} ({difference})")));
            }
            (Value::String(kinds), _) if kinds.split('|').any(|kind| is(kind, body)) => {}
            _ => found.push(format!("{at} is {body}, not {shape}")),
        }
    }

    fn members(&self, shape: &Value) -> Map<String, Value> {
        let mut members = shape.as_object().cloned().unwrap_or_default();
        if let Some(base) = members.remove("+") {
            let inherited = self.members(&self.0[base.as_str().unwrap()]);
            inherited.into_iter().for_each(|(key, shape)| {
                members.entry(key).or_insert(shape);
            });
        }
        members
    }
}

fn is(kind: &str, body: &Value) -> bool {
    match kind {
        "any" => true,
        "null" => body.is_null(),
        "flag" => body.is_boolean(),
        "number" => body.is_number(),
        "text" => body.is_string(),
        "object" => body.is_object(),
        "texts" => body.as_array().is_some_and(|items| items.iter().all(Value::is_string)),
        "empty" => body.as_array().is_some_and(Vec::is_empty),
        _ => panic!("no such kind: {kind}"),
    }
}
