//! The accounts' message templates: what Meta has on its list, and the webhook that tells of a change.

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::{Meta, postman, state::State, wire};

impl Meta {
    /// The account's message templates, as `GET /{waba}/message_templates` lists them and as sends are checked against. One
    /// without an `id` gets one.
    pub fn set_templates(&self, waba_id: &str, templates: Vec<Value>) {
        let mut state = self.world.state();
        state.templates.remove(waba_id);
        for template in templates {
            state.put_template(waba_id, template);
        }
    }

    /// One template more, or another in the place of the one with its name and language. No webhook tells of it.
    pub fn add_template(&self, waba_id: &str, template: Value) {
        self.world.state().put_template(waba_id, template);
    }

    /// The account's templates as Meta has them now.
    pub fn templates(&self, waba_id: &str) -> Vec<Value> {
        self.world.state().templates.get(waba_id).cloned().unwrap_or_default()
    }

    /// Meta decides about a template and posts `message_template_status_update`, whose `event` this is: `APPROVED`,
    /// `REJECTED`, `PAUSED`, `DISABLED`, `PENDING`, … A `DELETED` one is gone; one that is only `FLAGGED` can still be sent.
    /// Fails if there is no such template, or if the webhook was not answered 200.
    pub async fn set_template_status(
        &self,
        waba_id: &str,
        name: &str,
        language: &str,
        event: &str,
    ) -> anyhow::Result<()> {
        let posted = {
            let mut state = self.world.state();
            let number = state.numbers.iter().find(|number| number.waba_id == waba_id);
            let line = number.map(|number| number.phone_number_id.clone()).context("no such account")?;
            let list = state.templates.entry(waba_id.into()).or_default();
            let at = list.iter().position(|template| is(template, name, language)).context("no such template")?;
            let body = status_update(waba_id, &list[at], event, self.world.now().as_secs());
            match event {
                "DELETED" => drop(list.remove(at)),
                "FLAGGED" | "REINSTATED" | "UNARCHIVED" => list[at]["status"] = "APPROVED".into(),
                event => list[at]["status"] = event.into(),
            }
            self.world.postman.queue(&line, &body)
        };
        let status = postman::outcome(posted).await?;
        anyhow::ensure!(status == 200, "the webhook was answered {status}");
        Ok(())
    }
}

impl State {
    /// The template of this name in exactly this language.
    pub(crate) fn template(&self, waba_id: &str, name: &str, language: &str) -> Option<&Value> {
        self.templates.get(waba_id)?.iter().find(|template| is(template, name, language))
    }

    fn put_template(&mut self, waba_id: &str, mut template: Value) {
        let text = |member: &str| template[member].as_str().unwrap_or_default().to_owned();
        let (name, language) = (text("name"), text("language"));
        if template["id"].is_null() {
            template["id"] = minted(&format!("{waba_id}|{name}|{language}")).into();
        }
        let list = self.templates.entry(waba_id.into()).or_default();
        match list.iter_mut().find(|known| is(known, &name, &language)) {
            Some(known) => *known = template,
            None => list.push(template),
        }
    }
}

fn is(template: &Value, name: &str, language: &str) -> bool {
    template["name"] == name && template["language"] == language
}

/// An id in Meta's form, the same for the same template.
fn minted(seed: &str) -> String {
    let number = wire::sha256(seed.as_bytes()).iter().take(6).fold(0, |number, byte| number << 8 | u64::from(*byte));
    (1_700_000_000_000_000 + number % 100_000_000_000_000).to_string()
}

/// The webhook; the list has ids as text, the webhook as numbers.
fn status_update(waba_id: &str, template: &Value, event: &str, now: i64) -> Value {
    let id = template["id"].as_str().and_then(|id| id.parse::<u64>().ok());
    let mut value = json!({
        "event": event, "message_template_id": id, "message_template_name": template["name"],
        "message_template_language": template["language"],
        "reason": if event == "REJECTED" { "INVALID_FORMAT" } else { "NONE" },
        "message_template_category": template["category"],
    });
    if event == "REJECTED" {
        let reason = "Parameters are adjacent.";
        value["rejection_info"] = json!({"reason": reason, "recommendation": "Put text between parameters."});
    }
    json!({
        "object": "whatsapp_business_account",
        "entry": [{"id": waba_id, "time": now, "changes": [{"value": value, "field": "message_template_status_update"}]}],
    })
}
