//! What agents see beside a conversation: the attributes that the bridge fills in, and the labels that it obeys.

use chatwoot::{
    Chatwoot,
    definitions::{Belongs, Shown},
};
use domain::{Locale, words::dashboard::Panel};

use crate::{BridgeError, ERASE, KEEP};

/// Has Chatwoot show and offer them. What an administrator changed stays changed.
pub(crate) async fn declare(chatwoot: &Chatwoot, locale: Locale) -> Result<(), BridgeError> {
    use Belongs::{Contact, Conversation};
    let shown = [
        (Contact, "whatsapp_username", Panel::Username),
        (Contact, "whatsapp_user_id", Panel::UserId),
        (Conversation, "ctwa_clid", Panel::AdvertClick),
        (Conversation, "source_id", Panel::Advert),
        (Conversation, "source_type", Panel::AdvertKind),
        (Conversation, "source_url", Panel::AdvertAddress),
    ];
    let shown = shown.map(|(belongs, key, panel)| {
        let is_link = panel == Panel::AdvertAddress;
        Shown { belongs, key, name: panel.say(locale), is_link }
    });
    let missing = chatwoot.show_attributes(&shown).await?;
    let labels = [(ERASE, Panel::Erase.say(locale)), (KEEP, Panel::Keep.say(locale))];
    let offered = chatwoot.offer_labels(&labels).await?;
    if missing + offered > 0 {
        tracing::info!(attributes = missing, labels = offered, "Chatwoot shows more of what the bridge knows");
    }
    Ok(())
}
