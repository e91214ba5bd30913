//! Shows agents WhatsApp's rules in Chatwoot.
//! These are the templates they may send, and the window in which they may write freely. Both are attributes of the inbox, from
//! which Chatwoot's own template picker and reply lock read them.

use std::time::Duration;

use domain::{Channel, channel::SyncedTemplates, window};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use texts::NoteText;

use crate::{Clients, HandlerError, definitions::create_definitions};

/// The attributes that the bridge writes; all others stay as they are.
const TEMPLATES_ATTRIBUTE: &str = "message_templates";
const WINDOW_ATTRIBUTE: &str = "agent_reply_time_window";
const WINDOW_MESSAGE_ATTRIBUTE: &str = "agent_reply_time_window_message";

/// While Meta's list is unchanged, Chatwoot's is checked again only after this.
const CHECK_INTERVAL: Duration = Duration::from_secs(3600);

/// Updates an inbox to Meta's list. As long as Meta has given none, an inbox gets at least what needs none: the window, and the
/// attributes and labels that agents see.
pub async fn sync_templates(clients: &Clients, channel: &Channel) -> Result<(), HandlerError> {
    let mut ours = Map::from_iter([
        (WINDOW_ATTRIBUTE.to_owned(), json!(window::WINDOW_LENGTH.as_secs() / 3600)),
        (WINDOW_MESSAGE_ATTRIBUTE.to_owned(), json!(NoteText::WindowLock.text(clients.locale))),
    ]);
    let mut listed = match clients.graph(channel).await?.templates(&channel.waba_id, None).await {
        Ok(listed) => listed,
        Err(error) => {
            if channel.offered.is_none() {
                set_up(clients, channel, ours).await?;
            }
            return Err(error.into());
        }
    };
    listed.retain(|listed| listed.template.is_offered());
    listed.sort_by(|a, b| (&a.template.name, &a.template.language).cmp(&(&b.template.name, &b.template.language)));
    let templates: Vec<Value> = listed.into_iter().map(|listed| listed.shown).collect();
    let count = u32::try_from(templates.len()).unwrap_or(u32::MAX);
    ours.insert(TEMPLATES_ATTRIBUTE.to_owned(), Value::from(templates));
    let digest = hex::encode(Sha256::digest(Value::from(ours.clone()).to_string()));
    let now = clients.clock.now();
    let known = channel.offered.as_ref().filter(|offered| now.since(offered.checked_at) < CHECK_INTERVAL);
    if known.is_some_and(|offered| offered.digest == digest) {
        return Ok(());
    }
    if set_up(clients, channel, ours).await? {
        tracing::info!(channel.id = %channel.phone_number_id, templates = count, "an inbox offers other templates now");
    }
    let offered = SyncedTemplates { checked_at: now, templates: count, digest };
    Ok(clients.channels.set_synced_templates(&channel.phone_number_id, &offered).await?)
}

/// Makes the definitions that are missing, and sets attributes of the inbox. Tells whether any was another.
async fn set_up(clients: &Clients, channel: &Channel, ours: Map<String, Value>) -> Result<bool, HandlerError> {
    let chatwoot = clients.chatwoot(channel.account).await?;
    create_definitions(&chatwoot, clients.locale).await?;
    let stand = chatwoot.inbox_attributes(channel.inbox).await?;
    let mut wanted = stand.clone();
    wanted.extend(ours);
    let is_other = wanted != stand;
    if is_other {
        chatwoot.set_inbox_attributes(channel.inbox, &wanted).await?;
    }
    Ok(is_other)
}
