//! The parameters of a template's parts.

use serde_json::Value;

use super::error::GraphError;

/// A text of a template, whose placeholders are to be filled in.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    /// `body` or `header`.
    pub(super) place: &'a str,
    pub(super) text: &'a str,
    /// Whether the placeholders have names instead of numbers.
    pub(super) named: bool,
}

/// The text with its values.
pub(super) fn fill(wanted: &Wanted<'_>, given: &Value) -> Result<String, GraphError> {
    let given: Vec<_> = given.as_array().into_iter().flatten().collect();
    let mut places = placeholders(wanted.text);
    let place = wanted.place;
    if given.len() != places.len() {
        return Err(GraphError::template_count(place, given.len(), places.len()));
    }
    if !wanted.named {
        // The first value is that of {{1}}, wherever it stands.
        places.sort_by_key(|name| name.parse::<usize>().unwrap_or(usize::MAX));
    }
    let mut values = Vec::new();
    for (at, parameter) in given.iter().enumerate() {
        let value = value(place, parameter)?;
        let name = match (&parameter["parameter_name"], wanted.named) {
            (Value::Null, false) => places[at],
            (Value::String(name), true) => {
                let known = places.iter().find(|place| *place == name).filter(|known| {
                    // A name given twice leaves another one without a value.
                    !values.iter().any(|(taken, _): &(&str, String)| taken == *known)
                });
                known.ok_or_else(|| {
                    GraphError::template_format(format!("{place}: Parameter name '{name}' does not match the template"))
                })?
            }
            (_, true) => {
                return Err(GraphError::template_format(format!("{place}: Parameter name is missing or empty")));
            }
            (_, false) => {
                let details = format!("{place}: The template has no named parameters");
                return Err(GraphError::template_format(details));
            }
        };
        values.push((name, value));
    }
    let value_of = |name: &str| values.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str());
    Ok(replaced(wanted.text, value_of))
}

/// What stands in the braces, each once, in the order of the text.
fn placeholders(text: &str) -> Vec<&str> {
    let mut names = Vec::new();
    for (_, name) in pieces(text) {
        names.extend(name.filter(|name| !names.contains(name)));
    }
    names
}

fn replaced<'a>(text: &str, value_of: impl Fn(&str) -> Option<&'a str>) -> String {
    pieces(text).flat_map(|(before, name)| [before, name.and_then(&value_of).unwrap_or_default()]).collect()
}

/// The text as pieces: what comes before a placeholder, and its name.
fn pieces(text: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest.take()?;
        let Some((before, name, after)) = text.split_once("{{").and_then(|(before, behind)| {
            let (name, after) = behind.split_once("}}")?;
            Some((before, name.trim(), after))
        }) else {
            return Some((text, None));
        };
        rest = Some(after);
        Some((before, Some(name)))
    })
}

/// The words of a parameter of a text.
fn value(place: &str, parameter: &Value) -> Result<String, GraphError> {
    let kind = parameter["type"].as_str().unwrap_or_default();
    let value = match kind {
        "text" => &parameter["text"],
        "currency" | "date_time" if place == "body" => &parameter[kind]["fallback_value"],
        _ => return Err(GraphError::template_format(format!("{place}: Parameter of type '{kind}' does not fit"))),
    };
    let value =
        value.as_str().ok_or_else(|| GraphError::template_format(format!("{place}: A parameter has no text")))?;
    plain(place, value)?;
    Ok(value.to_owned())
}

/// Meta takes one line of words.
fn plain(place: &str, value: &str) -> Result<(), GraphError> {
    if value.trim().is_empty() {
        return Err(GraphError::template_parameter(format!("{place}: Param text cannot be empty")));
    }
    if value.contains(['\n', '\r', '\t', '\u{2028}', '\u{2029}']) || value.contains("     ") {
        let details =
            format!("{place}: Param text cannot have new-line/tab characters or more than 4 consecutive spaces");
        return Err(GraphError::template_parameter(details));
    }
    Ok(())
}

/// The address behind a button. Only its end can vary.
pub(super) fn url(at: usize, button: &Value, given: &Value) -> Result<String, GraphError> {
    let otp = button["type"].as_str().is_some_and(|kind| kind.eq_ignore_ascii_case("otp"));
    let url = button["url"].as_str().unwrap_or(if otp { "{{1}}" } else { "" });
    let varies = !placeholders(url).is_empty();
    match (list(given).as_slice(), varies) {
        ([], false) => Ok(url.to_owned()),
        ([], true) => {
            Err(GraphError::missing(format!("buttons: Button at index {at} of type Url requires a parameter")))
        }
        ([parameter], true) => {
            if parameter["type"] != "text" || !parameter["text"].is_string() {
                return Err(unfit(at));
            }
            let value = parameter["text"].as_str().unwrap_or_default();
            plain("buttons", value)?;
            Ok(replaced(url, |_| Some(value)))
        }
        (given, _) => Err(GraphError::template_count("buttons", given.len(), usize::from(varies))),
    }
}

/// The code that a button copies.
pub(super) fn code(at: usize, given: &Value) -> Result<String, GraphError> {
    match list(given).as_slice() {
        [] => Err(GraphError::missing(format!("buttons: Button at index {at} of type CopyCode requires a parameter"))),
        [parameter] => {
            let code = parameter["coupon_code"].as_str().filter(|_| parameter["type"] == "coupon_code");
            let code = code.ok_or_else(|| unfit(at))?;
            plain("buttons", code)?;
            Ok(code.to_owned())
        }
        more => Err(GraphError::template_count("buttons", more.len(), 1)),
    }
}

/// What comes back when a quick reply is tapped, if the sender said so.
pub(super) fn payload(at: usize, given: &Value) -> Result<Option<String>, GraphError> {
    match list(given).as_slice() {
        [] => Ok(None),
        [parameter] => {
            let payload = parameter["payload"].as_str().filter(|payload| !payload.is_empty());
            let payload = payload.filter(|_| parameter["type"] == "payload").ok_or_else(|| unfit(at))?;
            Ok(Some(payload.to_owned()))
        }
        more => Err(GraphError::template_count("buttons", more.len(), 1)),
    }
}

/// What a flow begins with; it may be left out.
pub(super) fn flow(at: usize, given: &Value) -> Result<(), GraphError> {
    match list(given).as_slice() {
        [] => Ok(()),
        [parameter] if parameter["type"] == "action" && parameter["action"].is_object() => Ok(()),
        [_] => Err(unfit(at)),
        more => Err(GraphError::template_count("buttons", more.len(), 1)),
    }
}

fn unfit(at: usize) -> GraphError {
    GraphError::template_format(format!("buttons: The parameter of the button at index {at} does not fit its type"))
}

fn list(given: &Value) -> Vec<&Value> {
    given.as_array().into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn filled(text: &str, named: bool, given: Value) -> Result<String, GraphError> {
        fill(&Wanted { place: "body", text, named }, &given)
    }

    fn text(value: &str) -> Value {
        json!({"type": "text", "text": value})
    }

    #[test]
    fn values_go_where_their_number_or_name_stands() {
        let ana = [text("Ana"), text("250Z")];
        assert_eq!(filled("La {{2}} de {{1}}, {{ 1 }}.", false, json!(ana)).unwrap(), "La 250Z de Ana, Ana.");
        let named = json!([
            {"type": "text", "parameter_name": "modelo", "text": "250Z"},
            {"type": "text", "parameter_name": "nombre", "text": "{{modelo}}"},
        ]);
        assert_eq!(filled("{{nombre}}: {{modelo}}", true, named).unwrap(), "{{modelo}}: 250Z");
        assert_eq!(filled("nada {{", false, Value::Null).unwrap(), "nada {{");
    }

    #[test]
    fn spaces_count_up_to_four() {
        assert!(filled("{{1}}", false, json!([text("a    b")])).is_ok());
        for bad in ["a     b", "a\nb", "a\tb", "", "  "] {
            assert!(filled("{{1}}", false, json!([text(bad)])).is_err(), "{bad:?}");
        }
    }
}
