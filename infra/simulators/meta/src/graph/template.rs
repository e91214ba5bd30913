//! What Meta checks of a message of type `template` against the account's list, and what comes out filled in.

use serde_json::Value;

use super::{
    error::GraphError,
    parameters::{self, Wanted},
    validate::some_text,
};
use crate::{Button, Layout, Tappable, bubble, state::State};

const SUB_TYPES: [&str; 10] = [
    "BOOKING_CONFIRMATION",
    "CATALOG",
    "COPY_CODE",
    "FLOW",
    "MPM",
    "ORDER_DETAILS",
    "QUICK_REPLY",
    "REMINDER",
    "URL",
    "VOICE_CALL",
];

/// A template as the customer gets it.
#[derive(Debug, Default)]
pub(super) struct Filled {
    /// `marketing`, `utility` or `authentication`.
    pub(super) category: &'static str,
    /// The header's file: its kind and its object.
    pub(super) file: Option<(&'static str, Value)>,
    /// The header's text or address, the body, the footer and the buttons, a line each.
    pub(super) lines: Vec<String>,
    /// The quick replies.
    pub(super) options: Vec<Tappable>,
    /// How the phone draws it.
    pub(super) layout: Layout,
}

/// The shape of the object, whatever the template is like.
pub(super) fn shape(object: &Value) -> Result<(), GraphError> {
    some_text(&object["name"], "template['name']")?;
    some_text(&object["language"]["code"], "template['language']['code']")?;
    if !object["components"].is_null() && !object["components"].is_array() {
        return Err(GraphError::parameter("Param template['components'] must be an array."));
    }
    for (at, component) in items(&object["components"]).enumerate() {
        let of = |member: &str| format!("template['components'][{at}]['{member}']");
        some_text(&component["type"], &of("type"))?;
        let kind = upper(&component["type"]);
        if !["HEADER", "BODY", "BUTTON"].contains(&kind.as_str()) {
            return Err(GraphError::parameter(format!("Param {} must be one of {{BODY, BUTTON, HEADER}}", of("type"))));
        }
        if !component["parameters"].is_null() && !component["parameters"].is_array() {
            return Err(GraphError::parameter(format!("Param {} must be an array.", of("parameters"))));
        }
        if kind == "BUTTON" {
            some_text(&component["sub_type"], &of("sub_type"))?;
            if !SUB_TYPES.contains(&upper(&component["sub_type"]).as_str()) {
                let one_of = SUB_TYPES.join(", ");
                return Err(GraphError::parameter(format!("Param {} must be one of {{{one_of}}}", of("sub_type"))));
            }
            index(component).ok_or_else(|| GraphError::missing(format!("Parameter {} is mandatory.", of("index"))))?;
        }
    }
    Ok(())
}

/// Looks for the template and fills it in; the shape was checked before.
pub(super) fn fill(state: &State, waba_id: &str, object: &Value) -> Result<Filled, GraphError> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (name, language) = (text(&object["name"]), text(&object["language"]["code"]));
    let missing = || GraphError::no_template(&name, &language);
    let template = state.template(waba_id, &name, &language).ok_or_else(missing)?;
    match template["status"].as_str() {
        Some("APPROVED") => {}
        Some("PAUSED") => return Err(GraphError::template_paused(&name)),
        Some("DISABLED") => return Err(GraphError::template_disabled(&name)),
        _ => return Err(missing()),
    }
    let mut filled = Filled {
        category: match template["category"].as_str() {
            Some("MARKETING") => "marketing",
            Some("AUTHENTICATION") => "authentication",
            _ => "utility",
        },
        ..Filled::default()
    };
    let named = template["parameter_format"] == "NAMED";
    let part = |kind: &str| items(&template["components"]).find(|part| upper(&part["type"]) == kind);
    let given = |kind: &str| -> Result<&Value, GraphError> {
        let mut own = items(&object["components"]).filter(|component| upper(&component["type"]) == kind);
        let first = own.next().map_or(&Value::Null, |component| &component["parameters"]);
        if own.next().is_some() {
            return Err(GraphError::template_format(format!("{}: given twice", kind.to_lowercase())));
        }
        Ok(first)
    };
    header(part("HEADER"), given("HEADER")?, named, &mut filled)?;
    let body = part("BODY").and_then(|part| part["text"].as_str()).unwrap_or_default();
    filled.lines.push(written("body", body, given("BODY")?, named, 1024)?);
    filled.layout.body = filled.lines.last().cloned();
    filled.layout.footer = part("FOOTER").and_then(|part| part["text"].as_str()).map(str::to_owned);
    filled.lines.extend(filled.layout.footer.clone());
    let own: Vec<_> = part("BUTTONS").map(|part| items(&part["buttons"]).collect()).unwrap_or_default();
    let components: Vec<_> =
        items(&object["components"]).filter(|component| upper(&component["type"]) == "BUTTON").collect();
    buttons(&own, &components, &mut filled)?;
    filled.lines.retain(|line| !line.is_empty());
    Ok(filled)
}

fn written(place: &str, text: &str, given: &Value, named: bool, limit: usize) -> Result<String, GraphError> {
    let filled = parameters::fill(&Wanted { place, text, named }, given)?;
    if filled.chars().count() > limit {
        return Err(GraphError::template_too_long(place, limit));
    }
    Ok(filled)
}

fn header(part: Option<&Value>, given: &Value, named: bool, filled: &mut Filled) -> Result<(), GraphError> {
    let format = part.map_or_else(|| "TEXT".to_owned(), |part| upper(&part["format"]));
    let (kind, wanted) = match format.as_str() {
        "IMAGE" => ("image", "IMAGE"),
        "VIDEO" => ("video", "VIDEO"),
        "DOCUMENT" => ("document", "DOCUMENT"),
        "LOCATION" => ("location", "LOCATION"),
        _ => {
            let text = part.and_then(|part| part["text"].as_str()).unwrap_or_default();
            let other = items(given).map(|parameter| upper(&parameter["type"])).find(|kind| kind != "TEXT");
            if let Some(other) = other {
                return Err(mismatch("TEXT", &other));
            }
            filled.lines.push(written("header", text, given, named, 60)?);
            filled.layout.header = filled.lines.last().filter(|line| !line.is_empty()).cloned();
            return Ok(());
        }
    };
    let parameters: Vec<_> = items(given).collect();
    let [parameter] = parameters.as_slice() else { return Err(mismatch(wanted, "UNKNOWN")) };
    if upper(&parameter["type"]) != wanted {
        return Err(mismatch(wanted, &upper(&parameter["type"])));
    }
    let object = &parameter[kind];
    if kind == "location" {
        for member in ["latitude", "longitude", "name", "address"] {
            some_text(&object[member], &format!("header.location.{member}"))?;
        }
        filled.layout.location = bubble::location(object);
        filled.lines.push(format!("{} · {}", object["name"].as_str().unwrap_or_default(), address(object)));
        return Ok(());
    }
    super::validate::file(kind, object)?;
    if !object["caption"].is_null() {
        return Err(GraphError::parameter(format!("Unexpected key \"caption\" on param \"{kind}\".")));
    }
    filled.lines.extend(object["link"].as_str().map(str::to_owned));
    filled.file = Some((kind, object.clone()));
    Ok(())
}

fn address(location: &Value) -> &str {
    location["address"].as_str().unwrap_or_default()
}

fn mismatch(wanted: &str, got: &str) -> GraphError {
    let got = if got.is_empty() { "UNKNOWN" } else { got };
    GraphError::template_format(format!("header: Format mismatch, expected {wanted}, received {got}"))
}

fn buttons(own: &[&Value], components: &[&Value], filled: &mut Filled) -> Result<(), GraphError> {
    for (at, component) in components.iter().enumerate() {
        let index = index(component).unwrap_or(usize::MAX);
        if components[..at].iter().any(|other| self::index(other) == Some(index)) {
            return Err(GraphError::template_format(format!("buttons: Button at index {index} is given twice")));
        }
        let Some(button) = own.get(index) else {
            let details = format!("buttons: There is no button at index {index} in the template");
            return Err(GraphError::template_format(details));
        };
        let (kind, wanted) = (upper(&button["type"]), sub_type(button));
        if wanted.is_empty() {
            let details = format!("buttons: Button at index {index} is of type {kind} and does not support parameters");
            return Err(GraphError::parameter(details));
        }
        let got = upper(&component["sub_type"]);
        if got != wanted {
            let details = format!("buttons: Button at index {index} is of type {wanted}, received {got}");
            return Err(GraphError::template_format(details));
        }
    }
    for (at, button) in own.iter().enumerate() {
        let given = components.iter().find(|component| index(component) == Some(at));
        let given = given.map_or(&Value::Null, |component| &component["parameters"]);
        let label = button["text"].as_str().unwrap_or_default();
        let mut shown =
            Button { kind: upper(&button["type"]).to_ascii_lowercase(), title: label.to_owned(), ..Button::default() };
        let line = match sub_type(button).as_str() {
            "URL" => {
                let url = parameters::url(at, button, given)?;
                shown.value = Some(url.clone());
                format!("[{label}: {url}]")
            }
            "COPY_CODE" => {
                let label = if label.is_empty() { "Copiar código" } else { label };
                let code = parameters::code(at, given)?;
                (shown.title, shown.value) = (label.to_owned(), Some(code.clone()));
                format!("[{label}: {code}]")
            }
            "QUICK_REPLY" => {
                let payload = parameters::payload(at, given)?.unwrap_or_else(|| label.to_owned());
                let option = Tappable { in_list: false, id: payload, title: label.to_owned(), description: None };
                filled.options.push(option);
                "reply".clone_into(&mut shown.kind);
                format!("[{label}]")
            }
            "FLOW" => {
                parameters::flow(at, given)?;
                format!("[{label}]")
            }
            _ => {
                shown.value = button["phone_number"].as_str().map(str::to_owned);
                format!("[{label}]")
            }
        };
        filled.layout.buttons.push(shown);
        filled.lines.push(line);
    }
    Ok(())
}

/// The `sub_type` that parameters of this button must have; empty if it takes none.
fn sub_type(button: &Value) -> String {
    match upper(&button["type"]).as_str() {
        // A one-time code travels in the address behind its button.
        "OTP" => "URL".to_owned(),
        "PHONE_NUMBER" => String::new(),
        kind => kind.to_owned(),
    }
}

/// The position of a button; Meta takes it as text and as a number.
fn index(component: &Value) -> Option<usize> {
    let index = &component["index"];
    index.as_str().map_or_else(|| index.as_u64()?.try_into().ok(), |index| index.parse().ok())
}

/// Meta takes types in small and in capital letters.
fn upper(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_ascii_uppercase()
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
