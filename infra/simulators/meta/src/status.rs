//! How a sent message goes on, and the webhook that says so.

use serde_json::{Value, json};

use crate::{
    Number,
    postman::Posted,
    state::{Address, Message, Origin, State},
    webhook,
    world::World,
};

impl World {
    /// Notes a status of a message and queues its webhook.
    pub(crate) fn status(&self, wamid: &str, status: &str, errors: Option<Value>) -> Option<Posted> {
        let mut state = self.state();
        let body = compose(&mut state, wamid, status, errors, self.now().as_secs())?;
        let number = state.message(wamid)?.number.clone();
        // Queued under the lock, so that the webhooks of a message leave in the order of its statuses.
        Some(self.postman.queue(&number, &body))
    }
}

/// Notes the status and writes the webhook; nothing for a message that was not sent through the API.
fn compose(state: &mut State, wamid: &str, status: &str, errors: Option<Value>, now: i64) -> Option<Value> {
    let message = state.message_mut(wamid).filter(|message| message.origin != Origin::Customer)?;
    advance(message, status);
    if message.origin == Origin::PhoneApp {
        return None;
    }
    let mut entry = json!({"id": wamid, "status": status, "timestamp": now.to_string()});
    if let Some(data) = &message.biz_opaque_callback_data {
        entry["biz_opaque_callback_data"] = data.as_str().into();
    }
    if status == "failed" {
        entry["errors"] = errors.unwrap_or_else(|| json!([error(131_000, "Something went wrong", "Unknown error.")]));
    } else if let Some(errors) = errors {
        entry["errors"] = errors;
    }
    if status == "sent" || (matches!(status, "delivered" | "read") && !std::mem::replace(&mut message.priced, true)) {
        entry["pricing"] = pricing(message.origin);
    }

    let message = state.message(wamid)?;
    let person = message.person.as_deref().and_then(|user_id| state.person(user_id));
    match &message.address {
        Address::Phone(input) => {
            let wa_id = person.and_then(|person| person.wa_id.clone());
            entry["recipient_id"] = wa_id.unwrap_or_else(|| input.clone()).into();
        }
        Address::UserId(input) => {
            entry["recipient_user_id"] = input.as_str().into();
            if let Some(phone) = person.and_then(|person| person.visible_phone()).filter(|_| status != "failed") {
                entry["recipient_id"] = phone.into();
            }
        }
    }
    if let Some(person) = person.filter(|_| status != "failed") {
        entry["recipient_user_id"] = person.user_id.as_str().into();
    }

    let mut members = json!({"statuses": [entry]});
    if let Some(person) = person.filter(|_| status != "failed") {
        members["contacts"] = json!([webhook::contact(person, matches!(status, "delivered" | "read"))]);
    }
    let number: &Number = state.number(&message.number)?;
    Some(webhook::envelope(number, "messages", members))
}

/// A status only moves a message forward, whatever the order in which a test reports them.
fn advance(message: &mut Message, status: &str) {
    let rank = |status: &str| ["accepted", "sent", "delivered", "read", "played"].iter().position(|s| *s == status);
    let reached = rank(&message.bubble.status);
    let forward = match status {
        "failed" => reached < rank("delivered"),
        _ => reached < rank(status) && message.bubble.status != "failed",
    };
    if forward {
        status.clone_into(&mut message.bubble.status);
        message.shown = status != "failed";
    }
}

fn pricing(origin: Origin) -> Value {
    if let Origin::ApiTemplate(category) = origin {
        json!({"billable": true, "pricing_model": "PMP", "category": category, "type": "regular"})
    } else {
        json!({"billable": false, "pricing_model": "PMP", "category": "service", "type": "free_customer_service"})
    }
}

/// An entry of a failed status' `errors`.
pub(crate) fn error(code: u32, title: &str, details: &str) -> Value {
    json!({
        "code": code, "title": title, "message": title, "error_data": {"details": details},
        "href": "https://developers.facebook.com/documentation/business-messaging/whatsapp/support/error-codes/",
    })
}
