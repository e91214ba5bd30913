//! Tells an agent that a number cannot send.

use crate::{Locale, Text, pick};
use domain::channel::SendHold;

impl Text for SendHold {
    /// The note in a conversation whose messages wait.
    fn text(self, locale: Locale) -> String {
        let (es, en) = match self {
            Self::Disconnected { .. } => (
                "Este número está desconectado de WhatsApp; el operador ya tiene el aviso.",
                "This number is disconnected from WhatsApp; the operator has been told.",
            ),
            Self::Restricted { .. } => (
                "WhatsApp no deja que este número responda por un tiempo; el operador ya tiene el aviso.",
                "WhatsApp does not let this number answer for a while; the operator has been told.",
            ),
            Self::Paused => ("El operador puso este número en pausa.", "The operator has paused this number."),
        };
        let (wait_es, wait_en) = (
            "Tus mensajes esperan y salen solos cuando vuelva, mientras siga abierta la ventana de 24 h; no hace falta reenviarlos.",
            "Your messages wait and go out by themselves when it is back, while the 24 h window is open; there is no need to send them again.",
        );
        format!("{} {}", pick(locale, es, en), pick(locale, wait_es, wait_en))
    }
}
