//! Tells an agent why a command was not done.

use crate::{Locale, pick};

/// Why a command that may be a person's is not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Braked {
    /// The same template went out a moment ago.
    Again,
    /// More was requested within a minute than a person requests.
    TooMany,
    /// Many commands came within the hour, and the customer has not written since.
    Unanswered,
}

impl Braked {
    /// The note.
    pub fn text(self, locale: Locale) -> &'static str {
        let (es, en) = match self {
            Self::Again => (
                "🛑 No se hizo: esa misma plantilla ya salió hace unos segundos y el cliente no ha escrito desde entonces. Si quieres enviarla otra vez, espera diez segundos y repite el comando, o elígela con el botón de plantillas. Si no lo escribiste tú, es una automatización: avisa al operador.",
                "🛑 Not done: the same template went out a few seconds ago, and the customer has not written since. To send it again, wait ten seconds and repeat the command, or choose it with the template button. If you did not write this, something automatic did: tell the operator.",
            ),
            Self::TooMany => (
                "🛑 No se hizo: hubo demasiados comandos en esta conversación en un minuto. Repítelo dentro de un minuto. Si no los escribiste tú, es una automatización: avisa al operador.",
                "🛑 Not done: there were too many commands in this conversation within a minute. Repeat it in a minute. If you did not write them, something automatic did: tell the operator.",
            ),
            Self::Unanswered => (
                "🛑 No se hizo: en la última hora hubo muchos comandos en esta conversación sin que el cliente escribiera. Espera a que escriba; si es una plantilla, elígela con el botón de plantillas.",
                "🛑 Not done: there were many commands in this conversation within the last hour, and the customer has not written. Wait until they write; a template can be chosen with the template button.",
            ),
        };
        pick(locale, es, en)
    }
}
