//! Tells agents that two contacts are one person.

use domain::ConversationId;

use crate::Locale;

/// The note in one of the two conversations, as Markdown. It ends in no command, so that no rule takes it for one.
pub fn same_person(other: ConversationId, link: &str, locale: Locale) -> String {
    match locale {
        Locale::Es => format!(
            "🔗 Esta persona es también el contacto de la [conversación {other}]({link}): WhatsApp mostró que su número y su usuario son de la misma persona. No se unió nada. Para tener un solo contacto, escribe `/unir` como nota privada en la conversación del contacto que debe quedar."
        ),
        Locale::En => format!(
            "🔗 This person is also the contact of [conversation {other}]({link}): WhatsApp showed that number and user are the same person's. Nothing was merged. For a single contact, write `/merge` as a private note in the conversation of the contact that is to stay."
        ),
    }
}
