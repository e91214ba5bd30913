//! A chat that Meta's own agent has: the business only listens, until the chat is passed to it.

use anyhow::Context as _;
use serde_json::{Value, json};

use super::Customer;
use crate::{
    postman,
    wamid::{self, Direction},
    webhook,
};

impl Customer {
    /// Writes while Meta's own agent has the chat.
    pub async fn writes_to_meta_agent(&self, text: &str) -> anyhow::Result<String> {
        let (wamid, posted) = {
            let state = self.world.state();
            let number = state.number(&self.number).context("no such business number")?.clone();
            let person = state.person(&self.user_id).context("no such person")?.clone();
            let wamid = wamid::mint(&person.peer(), Direction::In);
            let mut item = json!({"id": wamid, "timestamp": self.world.now().as_secs().to_string(),
                "from_user_id": person.user_id, "type": "text", "text": {"body": text}});
            if let Some(phone) = person.visible_phone() {
                item["from"] = phone.into();
            }
            let heard = json!({"contacts": [webhook::contact(&person, true)], "messages": [item]});
            let body = webhook::envelope(&number, "standby", json!({"standby": heard}));
            (wamid, self.world.postman.queue(&self.number, &body))
        };
        done(postman::outcome(posted).await?).map(|()| wamid)
    }

    /// Meta's own agent answers.
    pub async fn hears_from_meta_agent(&self, text: &str) -> anyhow::Result<String> {
        let (wamid, posted) = {
            let state = self.world.state();
            let number = state.number(&self.number).context("no such business number")?.clone();
            let person = state.person(&self.user_id).context("no such person")?.clone();
            let wamid = wamid::mint(&person.peer(), Direction::Echo);
            let mut call = json!({"recipient": person.user_id, "recipient_type": "individual", "type": "text",
                "text": {"body": text}});
            if let Some(phone) = person.visible_phone() {
                call["to"] = phone.into();
                call["recipient"] = phone.into();
            }
            let echo = json!({"id": wamid, "timestamp": self.world.now().as_secs().to_string(), "message": call});
            let body = webhook::envelope(&number, "standby", json!({"standby": {"message_echoes": [echo]}}));
            (wamid, self.world.postman.queue(&self.number, &body))
        };
        done(postman::outcome(posted).await?).map(|()| wamid)
    }

    /// Meta's own agent passes the chat to the business, or gets it back.
    pub async fn is_passed(&self, to_business: bool) -> anyhow::Result<()> {
        let posted = {
            let state = self.world.state();
            let number = state.number(&self.number).context("no such business number")?.clone();
            let person = state.person(&self.user_id).context("no such person")?.clone();
            let (before, after) = if to_business { ("ai_agent", "escalation") } else { ("escalation", "ai_agent") };
            let mut sender = json!({"user_id": person.user_id});
            if let Some(phone) = person.visible_phone() {
                sender["phone_number"] = phone.into();
            }
            let recipient = json!({"display_phone_number": number.display_phone_number,
                "phone_number_id": number.phone_number_id});
            let passed = json!({"previous_owner_role": before, "new_owner_role": after});
            let members = json!({"recipient": recipient, "sender": sender, "type": "control_passed",
                "timestamp": self.world.now().as_secs().to_string(), "control_passed": passed});
            let mut body = webhook::envelope(&number, "messaging_handovers", members);
            // This field names the number in `recipient` alone.
            if let Some(Value::Object(value)) = body.pointer_mut("/entry/0/changes/0/value") {
                value.remove("metadata");
            }
            self.world.postman.queue(&self.number, &body)
        };
        done(postman::outcome(posted).await?)
    }

    /// A payment in a message of the business goes on: the status is of the payment, under the message's id.
    pub async fn pays(&self, wamid: &str, status: &str) -> anyhow::Result<()> {
        let posted = {
            let state = self.world.state();
            let number = state.number(&self.number).context("no such business number")?.clone();
            let payment = json!({"reference_id": "pedido-1", "amount": {"value": 150_000, "offset": 100},
                "currency": "MXN"});
            let mut entry = json!({"id": wamid, "status": status, "type": "payment", "payment": payment,
                "timestamp": self.world.now().as_secs().to_string(), "recipient_user_id": self.user_id});
            if status == "failed" {
                entry["errors"] = json!([{"code": 131_053, "title": "Payment failed"}]);
            }
            self.world
                .postman
                .queue(&self.number, &webhook::envelope(&number, "messages", json!({"statuses": [entry]})))
        };
        done(postman::outcome(posted).await?)
    }
}

fn done(status: u16) -> anyhow::Result<()> {
    anyhow::ensure!(status == 200, "the webhook was answered {status}");
    Ok(())
}
