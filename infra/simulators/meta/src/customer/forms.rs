//! Filled forms, with photos and documents among their answers.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde_json::{Value, json};

use super::{Customer, WEBHOOK_MEDIA_LIVES};

/// A file somebody puts into a field of a form.
#[derive(Clone, Debug)]
pub struct Upload {
    /// The field.
    pub field: String,
    /// Its name.
    pub name: String,
    /// Its type.
    pub mime: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl Customer {
    /// Sends a filled form. Its answers go as Meta writes them, JSON in a text; files stand behind them, as lists in their fields.
    pub async fn fills_form(&self, answers: &Value, files: Vec<Upload>) -> anyhow::Result<String> {
        let mut members = Vec::new();
        for (name, answer) in answers.as_object().into_iter().flatten() {
            members.push(format!("{}:{answer}", json!(name)));
        }
        let mut fields: Vec<(String, Vec<Value>)> = Vec::new();
        for file in files {
            let shown = self.put(&file);
            match fields.iter_mut().find(|(field, _)| *field == file.field) {
                Some((_, list)) => list.push(shown),
                None => fields.push((file.field, vec![shown])),
            }
        }
        members.extend(fields.iter().map(|(field, list)| format!("{}:{}", json!(field), json!(list))));
        let reply = json!({"name": "flow", "body": "Sent", "response_json": format!("{{{}}}", members.join(","))});
        self.sends(json!({"type": "interactive", "interactive": {"type": "nfm_reply", "nfm_reply": reply}})).await
    }

    fn put(&self, file: &Upload) -> Value {
        let bytes = Bytes::from(file.bytes.clone());
        let gone_at = self.world.now() + WEBHOOK_MEDIA_LIVES;
        let sha256 = STANDARD.encode(crate::wire::sha256(&bytes));
        let id = self.world.keep(&self.number, bytes, &file.mime, Some(&file.name), gone_at, false);
        json!({"id": id, "mime_type": file.mime, "sha256": sha256, "file_name": file.name})
    }
}
