//! Asks Graph whether we still have a business number (§6.3).

use domain::{Channel, Class, Classify as _, channel::Mode};
use serde_json::value::RawValue;

use crate::{Graph, GraphError, fields::Fields};

/// States of a number that is no longer with us.
const GONE_STATUSES: [&str; 5] = ["DISCONNECTED", "DELETED", "MIGRATED", "BANNED", "OFFBOARDED"];

impl Graph {
    /// Whether the token still has access to the channel's number in Graph, and the number is connected. An error means that
    /// this is unknown for now.
    pub async fn has(&self, channel: &Channel) -> Result<bool, GraphError> {
        if self.describe(channel, "").await?.is_none() {
            return Ok(false);
        }
        // Requested separately: a version that does not know a field refuses the whole call.
        let Some(raw) = self.describe(channel, "status,is_on_biz_app").await? else { return Ok(true) };
        let Some(fields) = Fields::read(&raw) else { return Ok(true) };
        let gone = fields.text("status").is_some_and(|status| GONE_STATUSES.contains(&status.as_str()));
        let left_its_phone =
            channel.mode == Mode::Coexistence && fields.raw("is_on_biz_app").is_some_and(|raw| raw.get() == "false");
        Ok(!gone && !left_its_phone)
    }

    /// What Graph says about the number; `None` if it refuses permanently.
    async fn describe(&self, channel: &Channel, asked: &str) -> Result<Option<Box<RawValue>>, GraphError> {
        match self.read(channel.phone_number_id.as_str(), asked).await {
            Ok(raw) => Ok(Some(raw)),
            Err(error) if error.class() == Class::Permanent => Ok(None),
            Err(error) => Err(error),
        }
    }
}
