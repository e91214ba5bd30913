//! Answers an agent's command in a sentence or two.

use crate::{Locale, Text, pick, report::begins};

/// What the agent reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The reaction is on its way.
    Reacted {
        /// The emoji.
        emoji: String,
    },
    /// No single emoji was typed.
    WhichEmoji,
    /// There is no message of WhatsApp's to react to.
    NothingToReactTo,
    /// Only a template may be sent now.
    WindowClosed,
    /// The customer is asked for their number.
    NumberAsked,
    /// The number is visible already.
    NumberKnown,
    /// The question is longer than WhatsApp takes.
    QuestionTooLong,
    /// A message was erased.
    MessageErased {
        /// Whether it may be on the customer's phone.
        on_phone: bool,
    },
    /// No message was quoted.
    QuoteWhatGoes,
    /// This person has a single contact.
    OneContact,
    /// Other contacts would be merged into this one.
    MergesContacts {
        /// Their names, and where they are.
        names: Vec<(String, String)>,
    },
    /// A rule or a bot may not ask for this.
    NotByItself,
    /// What failed is tried again.
    Retried {
        /// So many are.
        again: usize,
        /// So many may have gone out, and are not.
        unsure: usize,
    },
}

/// What the customer reads above the button that shares their number, unless the agent wrote something else.
pub fn number_question(locale: Locale) -> &'static str {
    pick(
        locale,
        "¿Nos compartes tu número de teléfono? Toca el botón para enviarlo.",
        "Would you share your phone number with us? Tap the button to send it.",
    )
}

impl Text for Reply {
    fn text(self, locale: Locale) -> String {
        let (es, en) = match self {
            Self::Reacted { emoji } => {
                return match locale {
                    Locale::Es => {
                        format!("{emoji} va como reacción: está aquí arriba como mensaje; sus marcas dicen si llegó.")
                    }
                    Locale::En => format!(
                        "{emoji} goes out as a reaction: it stands above this note as a message; its marks tell whether it arrived."
                    ),
                };
            }
            Self::Retried { again, unsure } => return retried(again, unsure, locale),
            Self::MergesContacts { names } => return merges(&names, locale),
            Self::NumberAsked => (
                "La pregunta está aquí arriba como mensaje. Si el cliente toca el botón, su número queda en el contacto.",
                "The question stands above this note as a message. If the customer taps the button, the number goes into the contact.",
            ),
            Self::NumberKnown => (
                "No se preguntó nada: su número ya se ve en el contacto.",
                "Nothing was asked: the number already shows in the contact.",
            ),
            Self::QuestionTooLong => (
                "No se preguntó nada: el texto junto al botón puede tener hasta 1,024 caracteres.",
                "Nothing was asked: the text beside the button may have up to 1,024 characters.",
            ),
            Self::MessageErased { on_phone: true } => (
                "Borrado de Chatwoot y apuntado en el registro de borrados. En el teléfono del cliente sigue: WhatsApp no permite quitarlo de ahí.",
                "Erased from Chatwoot, and noted in the ledger of erasures. It is still on the customer's phone: WhatsApp does not let it be removed there.",
            ),
            Self::MessageErased { on_phone: false } => (
                "Borrado de Chatwoot y apuntado en el registro de borrados.",
                "Erased from Chatwoot, and noted in the ledger of erasures.",
            ),
            Self::QuoteWhatGoes => (
                "No se borró nada: escribe `/borrar` como nota que cita el mensaje.",
                "Nothing was erased: write `/erase` as a note that quotes the message.",
            ),
            Self::OneContact => ("Esta persona tiene un solo contacto.", "This person has a single contact."),
            Self::NotByItself => (
                "Esto lo pide una persona: una regla o un bot no lo hace. No se cambió nada.",
                "A person has to ask for this: a rule or a bot does not do it. Nothing was changed.",
            ),
            Self::WhichEmoji => (
                "Escribe un solo emoji: `/reaccionar 👍`. Si citas un mensaje, va en ése; si no, en el último del cliente.",
                "Write a single emoji: `/react 👍`. If you quote a message it goes on that one, else on the customer's last.",
            ),
            Self::NothingToReactTo => (
                "No hay a qué reaccionar: lo que citas no está en WhatsApp, o el cliente no ha escrito. Cita un mensaje suyo o uno que ya salió.",
                "There is nothing to react to: what you quote is not on WhatsApp, or the customer has not written. Quote a message of theirs, or one that went out.",
            ),
            Self::WindowClosed => (
                "No se envió nada: la ventana de 24 h está cerrada y solo puede salir una plantilla.",
                "Nothing was sent: the window of 24 h is closed, and only a template can go out.",
            ),
        };
        pick(locale, es, en).to_owned()
    }
}

fn retried(again: usize, unsure: usize, locale: Locale) -> String {
    let sent = match (again, locale) {
        (0, _) => None,
        (1, Locale::Es) => Some("Se envía otra vez 1 mensaje; su marca dice si llega.".to_owned()),
        (1, Locale::En) => Some("1 message is sent again; its mark tells whether it arrives.".to_owned()),
        (_, Locale::Es) => {
            Some(format!("Se envían otra vez {again} mensajes, en su orden; sus marcas dicen si llegan."))
        }
        (_, Locale::En) => {
            Some(format!("{again} messages are sent again, in order; their marks tell whether they arrive."))
        }
    };
    let asked = match (unsure, locale) {
        (0, _) => None,
        (_, Locale::Es) => Some(format!(
            "Sin confirmar: {unsure}. Pudieron haber salido ya: pregunta al cliente. Si no le llegaron, escribe `/reintentar todo`."
        )),
        (_, Locale::En) => Some(format!(
            "Unconfirmed: {unsure}. They may have gone out: ask the customer. If they did not arrive, write `/retry all`."
        )),
    };
    let told: Vec<_> = sent.into_iter().chain(asked).collect();
    if told.is_empty() {
        let none = "Nada que reintentar: en esta conversación no falló nada en las últimas 24 h.";
        return pick(locale, none, "Nothing to retry: nothing failed in this conversation within the last 24 h.")
            .to_owned();
    }
    told.join(" ")
}

fn merges(names: &[(String, String)], locale: Locale) -> String {
    let named = |(name, page): &(String, String)| {
        let name = begins(name);
        format!("[{}]({page})", if name.is_empty() { pick(locale, "sin nombre", "without a name") } else { &name })
    };
    let all = names.iter().map(named).collect::<Vec<_>>().join(", ");
    match locale {
        Locale::Es => format!(
            "¿Unir con este contacto? Desaparece como contacto: {all}. Sus conversaciones pasan a éste; lo que ambos digan distinto queda como está aquí. No se puede deshacer. Para hacerlo, escribe `/unir` otra vez dentro de una hora."
        ),
        Locale::En => format!(
            "Merge with this contact? This goes as a contact: {all}. Its conversations move to this one; where the two differ, what stands here stays. It cannot be undone. To do it, write `/merge` once more within an hour."
        ),
    }
}
