//! Creates the attributes and labels that agents see beside a conversation.
//! The bridge fills in the attributes and obeys the labels.

use chatwoot::{
    Chatwoot,
    definitions::{AttributeDefinition, AttributeOwner},
};
use texts::{Locale, dashboard::PanelText};

use crate::{ERASE_LABEL, HandlerError, KEEP_LABEL};

/// The attribute of a contact that has the customer's user id.
pub const USER_ID_ATTRIBUTE: &str = "whatsapp_user_id";

/// Makes Chatwoot show and offer them. What an administrator changed stays changed.
pub(crate) async fn create_definitions(chatwoot: &Chatwoot, locale: Locale) -> Result<(), HandlerError> {
    use AttributeOwner::{Contact, Conversation};
    let shown = [
        (Contact, "whatsapp_username", PanelText::Username),
        (Contact, USER_ID_ATTRIBUTE, PanelText::UserId),
        (Conversation, "ctwa_clid", PanelText::AdvertClick),
        (Conversation, "source_id", PanelText::Advert),
        (Conversation, "source_type", PanelText::AdvertKind),
        (Conversation, "source_url", PanelText::AdvertAddress),
    ];
    let shown = shown.map(|(belongs, key, panel)| {
        let is_link = panel == PanelText::AdvertAddress;
        AttributeDefinition { belongs, key, name: panel.text(locale), is_link }
    });
    let missing = chatwoot.show_attributes(&shown).await?;
    let labels = [(ERASE_LABEL, PanelText::Erase.text(locale)), (KEEP_LABEL, PanelText::Keep.text(locale))];
    let offered = chatwoot.offer_labels(&labels).await?;
    if missing + offered > 0 {
        tracing::info!(attributes = missing, labels = offered, "Chatwoot shows more of what the bridge knows");
    }
    Ok(())
}
