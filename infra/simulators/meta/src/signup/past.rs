//! What a phone tells of itself when it is asked: its chats, their files, its contact book.

use domain::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{Meta, Number, postman::Postman, webhook};

/// How many contacts one webhook has.
const CONTACTS: usize = 100;

/// How Meta says that the owner keeps the history to themself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Declined {
    /// In a webhook like any other.
    Enveloped,
    /// Without the envelope, as in Meta's own sample.
    Bare,
}

/// What is posted once the syncs are asked for. Without anything, Meta accepts and nothing comes.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Past {
    /// The elements of `history[]`, each in a webhook of its own.
    pub history: Vec<Value>,
    /// Files, each the members of a `value`: `messages` or `message_echoes`. They follow the chats.
    pub files: Vec<Value>,
    /// The elements of `state_sync[]`.
    pub contacts: Vec<Value>,
    /// The owner shares no history; what is in `history` then is not told.
    pub declined: Option<Declined>,
}

impl Past {
    /// Two people who wrote, one who was written to, and three names.
    pub fn sample(own: &str, now: Timestamp) -> Self {
        let at = |days: i64, seconds: i64| (now.as_secs() - days * 86_400 + seconds).to_string();
        let said = |from: &str, to: Option<&str>, id: &str, at: String, text: &str| {
            let mut said = json!({"from": from, "id": format!("wamid.SAMPLE{id}"), "timestamp": at, "type": "text",
                "text": {"body": text}, "history_context": {"status": "READ"}});
            if let Some(to) = to {
                said["to"] = to.into();
            }
            said
        };
        let (marisol, beto) = ("5215555550123", "5215555550188");
        let recent = [
            said(marisol, None, "1", at(1, 0), "Buenas, ¿precio de la FT150?"),
            said(own, Some(marisol), "2", at(1, 60), "$24,999 de contado"),
        ];
        let older = [said(own, Some(beto), "3", at(40, 0), "Ya llegó su refacción")];
        let chunk = |phase: u8, progress: u8, who: &str, messages: &[Value]| {
            json!({"metadata": {"phase": phase, "chunk_order": 1, "progress": progress},
                "threads": [{"id": who, "context": {"wa_id": who}, "messages": messages}]})
        };
        let contact = |name: &str, phone: &str| {
            json!({"type": "contact", "action": "add", "metadata": {"timestamp": now.as_secs().to_string()},
                "contact": {"full_name": name, "first_name": name.split(' ').next(), "phone_number": phone}})
        };
        Self {
            history: vec![chunk(0, 50, marisol, &recent), chunk(1, 100, beto, &older)],
            files: Vec::new(),
            contacts: vec![contact("Marisol Quiroga", marisol), contact("Taller Don Beto", beto)],
            declined: None,
        }
    }

    /// Queues what a sync brings; what the app does not hear of is lost.
    pub(crate) fn tell(&self, number: &Number, sync: &str, postman: &Postman) {
        let line = &number.phone_number_id;
        let queue = |field: &str, members: Value| drop(postman.queue(line, &webhook::envelope(number, field, members)));
        if sync != "history" {
            let contacts = self.contacts.chunks(CONTACTS);
            contacts.for_each(|some| queue("smb_app_state_sync", json!({ "state_sync": some })));
            return;
        }
        let refusal = json!([{"errors": [{"code": 2_593_109, "title": "History sync is turned off",
            "message": "History sync is turned off by the business",
            "error_data": {"details": "The business did not share its chat history"}}]}]);
        match self.declined {
            Some(Declined::Enveloped) => queue("history", json!({ "history": refusal })),
            Some(Declined::Bare) => {
                let body = webhook::envelope(number, "history", json!({ "history": refusal }));
                drop(postman.queue_bare(line, &body));
            }
            None => {
                self.history.iter().for_each(|chunk| queue("history", json!({ "history": [chunk] })));
                self.files.iter().for_each(|file| queue("history", file.clone()));
            }
        }
    }
}

impl Meta {
    /// What a number's phone tells once the syncs are asked for.
    pub fn set_past(&self, phone_number_id: &str, past: Past) {
        self.world.state().line(phone_number_id).past = past;
    }
}
