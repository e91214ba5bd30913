//! What a customer wants of the business.

use anyhow::Context as _;
use serde_json::json;

use super::Customer;
use crate::{postman, webhook};

impl Customer {
    /// Wants no more marketing messages of this number: `user_preferences` is posted.
    pub async fn stops_marketing(&self) -> anyhow::Result<()> {
        self.prefers("stop").await
    }

    /// Wants marketing messages again.
    pub async fn resumes_marketing(&self) -> anyhow::Result<()> {
        self.prefers("resume").await
    }

    async fn prefers(&self, value: &str) -> anyhow::Result<()> {
        let posted = {
            let mut state = self.world.state();
            let number = state.number(&self.number).context("no such business number")?.clone();
            let person = state.person(&self.user_id).context("no such person")?.clone();
            state.stop_marketing(&self.number, &self.user_id, value == "stop");
            let mut preference = json!({
                "user_id": person.user_id, "detail": format!("User requested to {value} marketing messages"),
                "category": "marketing_messages", "value": value, "timestamp": self.world.now().as_secs(),
            });
            if let Some(phone) = person.visible_phone() {
                preference["wa_id"] = phone.into();
            }
            let contacts = [webhook::contact(&person, true)];
            let members = json!({"contacts": contacts, "user_preferences": [preference]});
            self.world.postman.queue(&self.number, &webhook::envelope(&number, "user_preferences", members))
        };
        let status = postman::outcome(posted).await?;
        anyhow::ensure!(status == 200, "the webhook was answered {status}");
        Ok(())
    }
}
