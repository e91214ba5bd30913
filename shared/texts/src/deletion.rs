//! Holds the texts people read about an erasure. These are the public page, the agents' notes, and the question to the
//! customer.

use crate::{Locale, pick};
use domain::erasure::PublicState;

/// The state of a request, as a heading.
pub fn heading(state: PublicState, locale: Locale) -> &'static str {
    let (es, en) = match state {
        PublicState::Received => ("Recibimos tu solicitud", "We have received your request"),
        PublicState::Waiting => ("Tu solicitud sigue en curso", "Your request is still under way"),
        PublicState::Erasing => ("Estamos borrando tus datos", "We are erasing your data"),
        PublicState::Done => ("Tus datos fueron borrados", "Your data has been erased"),
        PublicState::Failed => ("Vamos con retraso", "We are late"),
    };
    pick(locale, es, en)
}

/// The same in a sentence or two. Of the `promised` days, `days` are left.
pub fn explain(state: PublicState, locale: Locale, days: u64, promised: u32) -> String {
    match (state, locale) {
        (PublicState::Received, Locale::Es) => {
            format!("Aún no ha empezado el borrado. Estará terminado en {} como máximo.", days_es(days))
        }
        (PublicState::Received, Locale::En) => {
            format!("The erasure has not begun yet. It will be done within {}.", days_en(days))
        }
        (PublicState::Waiting, Locale::Es) => format!(
            "Uno de nuestros sistemas no está disponible en este momento; seguimos intentándolo. Estará terminado en {} como máximo.",
            days_es(days)
        ),
        (PublicState::Waiting, Locale::En) => format!(
            "One of our systems is not available at the moment; we keep trying. It will be done within {}.",
            days_en(days)
        ),
        (PublicState::Erasing, Locale::Es) => {
            format!("El borrado está en marcha. Estará terminado en {} como máximo.", days_es(days))
        }
        (PublicState::Erasing, Locale::En) => {
            format!("The erasure is running. It will be done within {}.", days_en(days))
        }
        (PublicState::Done, Locale::Es) => {
            "Revisamos cada sistema después de borrar y ya no queda nada. No tienes que hacer nada más.".to_owned()
        }
        (PublicState::Done, Locale::En) => {
            "We looked into each system after erasing and nothing is left. There is nothing more for you to do."
                .to_owned()
        }
        (PublicState::Failed, Locale::Es) => format!(
            "Prometimos borrar tus datos en {promised} días y no lo hemos logrado. Lo sentimos: seguimos intentándolo y el responsable ya está avisado."
        ),
        (PublicState::Failed, Locale::En) => format!(
            "We promised to erase your data within {promised} days and have not managed to. We are sorry: we keep trying, and the person in charge has been told."
        ),
    }
}

fn days_es(days: u64) -> String {
    if days == 1 { "1 día".to_owned() } else { format!("{days} días") }
}

fn days_en(days: u64) -> String {
    if days == 1 { "1 day".to_owned() } else { format!("{days} days") }
}

/// Fixed texts of the public page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageText {
    /// Its title.
    Title,
    /// Before the code.
    Code,
    /// What the erasure does not cover.
    Outside,
    /// The link to the page in the other language.
    Other,
}

impl PageText {
    /// The text.
    pub fn text(self, locale: Locale) -> &'static str {
        let (es, en) = match self {
            Self::Title => ("Borrado de datos · LMotos", "Data erasure · LMotos"),
            Self::Code => ("Código de tu solicitud", "Code of your request"),
            Self::Outside => (
                "No podemos borrar lo que está en tu teléfono ni las copias que conserva WhatsApp; puedes borrarlas en la aplicación.",
                "We cannot erase what is on your phone, nor the copies WhatsApp keeps; you can delete them in the app.",
            ),
            Self::Other => ("English", "Español"),
        };
        pick(locale, es, en)
    }
}

/// Notes for the agents, and messages to the customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErasureNotice<'a> {
    /// The label was seen: when the erasure starts.
    Labeled {
        /// Hours until then.
        hours: u32,
        /// The request's code.
        code: &'a str,
    },
    /// The label was removed in time.
    Unlabeled,
    /// The customer asked; the bridge asks them to confirm.
    Question {
        /// Hours in which they may say so.
        hours: u32,
        /// The request's code.
        code: &'a str,
    },
    /// The customer asked while Meta's agent had the chat: the agents read about it, and the customer hears nothing.
    Overheard {
        /// Hours in which it may be confirmed.
        hours: u32,
        /// The request's code.
        code: &'a str,
    },
    /// The customer confirmed it there.
    OverheardConfirmed {
        /// The request's code.
        code: &'a str,
    },
    /// The customer withdrew it there.
    OverheardKept {
        /// The request's code.
        code: &'a str,
    },
    /// The customer confirmed it there, but too late.
    OverheardLapsed {
        /// Hours in which they could have confirmed it.
        hours: u32,
    },
    /// The customer does not want it.
    Kept,
    /// The customer confirms, but too late: the request does not exist any more.
    Lapsed {
        /// Hours in which they could have confirmed it.
        hours: u32,
    },
}

impl ErasureNotice<'_> {
    /// The text.
    pub fn text(self, locale: Locale) -> String {
        match (self, locale) {
            (Self::Labeled { hours, code }, Locale::Es) => format!(
                "🗑️ Se pidió borrar los datos de esta persona. El borrado empieza en {hours} h; para anularlo, quita la etiqueta antes. Código: {code}"
            ),
            (Self::Labeled { hours, code }, Locale::En) => format!(
                "🗑️ Erasure of this person's data was requested. It starts in {hours} h; remove the label before that to withdraw it. Code: {code}"
            ),
            (Self::Unlabeled, _) => pick(
                locale,
                "↩️ Se quitó la etiqueta a tiempo: no se borrará nada.",
                "↩️ The label was removed in time: nothing will be erased.",
            )
            .to_owned(),
            (Self::Overheard { hours, code }, Locale::Es) => format!(
                "🗑️ El cliente pidió borrar sus datos mientras el agente de Meta tiene el chat. La solicitud quedó abierta y el puente no le contestó. Se confirma si el cliente escribe SÍ BORRAR en {hours} h, y se anula si escribe NO BORRAR; sin confirmar, no se borra nada. Código: {code}"
            ),
            (Self::Overheard { hours, code }, Locale::En) => format!(
                "🗑️ The customer asked for the erasure of their data while Meta's agent has the chat. The request is open and the bridge did not answer. It is confirmed if the customer writes YES ERASE within {hours} h, and withdrawn if they write NO ERASE; unconfirmed, nothing is erased. Code: {code}"
            ),
            (Self::OverheardConfirmed { code }, Locale::Es) => {
                format!(
                    "🗑️ El cliente confirmó el borrado de sus datos; empieza ahora y ya no se anula. Código: {code}"
                )
            }
            (Self::OverheardConfirmed { code }, Locale::En) => format!(
                "🗑️ The customer confirmed the erasure of their data; it starts now and cannot be withdrawn. Code: {code}"
            ),
            (Self::OverheardKept { code }, Locale::Es) => {
                format!("↩️ El cliente anuló el borrado a tiempo: no se borrará nada. Código: {code}")
            }
            (Self::OverheardKept { code }, Locale::En) => {
                format!("↩️ The customer withdrew the erasure in time: nothing will be erased. Code: {code}")
            }
            (Self::OverheardLapsed { hours }, Locale::Es) => format!(
                "El cliente confirmó el borrado de sus datos, pero pasaron más de {hours} h y la solicitud ya no estaba abierta: no se borra nada. Si lo quiere, escribe de nuevo BORRAR MIS DATOS, o pon tú la etiqueta borrar-datos."
            ),
            (Self::OverheardLapsed { hours }, Locale::En) => format!(
                "The customer confirmed the erasure of their data, but after more than {hours} h the request was not open any more: nothing is erased. If they want it, they write DELETE MY DATA again, or you put the label borrar-datos."
            ),
            (Self::Question { hours, code }, Locale::Es) => format!(
                "Recibimos tu solicitud de borrar tus datos. Si confirmas, se borrará esta conversación y todo lo que guardamos de ti. Para confirmar responde: SÍ BORRAR. Para dejarlo como está responde: NO BORRAR. Tienes {hours} h. Código: {code}"
            ),
            (Self::Question { hours, code }, Locale::En) => format!(
                "We have received your request to erase your data. If you confirm, this conversation and everything we keep about you will be erased. To confirm, answer: YES ERASE. To leave things as they are, answer: NO ERASE. You have {hours} h. Code: {code}"
            ),
            (Self::Lapsed { hours }, Locale::Es) => format!(
                "No borramos nada: la solicitud ya no estaba abierta, porque se confirma en {hours} h. Si quieres que borremos tus datos, escribe de nuevo: BORRAR MIS DATOS."
            ),
            (Self::Lapsed { hours }, Locale::En) => format!(
                "Nothing was erased: the request was not open any more, since it has to be confirmed within {hours} h. If you want us to erase your data, write again: DELETE MY DATA."
            ),
            (Self::Kept, _) => {
                pick(locale, "De acuerdo, no borramos nada.", "All right, nothing will be erased.").to_owned()
            }
        }
    }
}

/// What a customer's message says about the erasure of their data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErasureIntent {
    /// They ask for the erasure.
    Ask,
    /// They confirm it.
    Confirm,
    /// They withdraw it.
    Withdraw,
    /// A bare yes: only an answer where a question was asked just before.
    Yes,
    /// A bare no.
    No,
}

/// Reads a message, whatever its case, accents and punctuation. The whole message must match, since a sentence that only
/// contains the words may say anything.
pub fn erasure_intent(text: &str) -> Option<ErasureIntent> {
    if text.len() > 64 {
        return None;
    }
    let plain: String = text.to_lowercase().chars().map(plain).collect();
    let words: Vec<&str> = plain.split_whitespace().collect();
    match words.join(" ").as_str() {
        "borrar mis datos" | "delete my data" | "erase my data" => Some(ErasureIntent::Ask),
        "si borrar"
        | "si borrar mis datos"
        | "si borrar datos"
        | "confirmo borrar"
        | "confirmo borrar mis datos"
        | "yes erase"
        | "yes erase my data"
        | "yes delete my data" => Some(ErasureIntent::Confirm),
        "no borrar" | "no borrar mis datos" | "no erase" | "do not erase" => Some(ErasureIntent::Withdraw),
        "si" | "yes" | "confirmo" | "confirmar" | "si confirmo" => Some(ErasureIntent::Yes),
        "no" | "cancelar" => Some(ErasureIntent::No),
        _ => None,
    }
}

fn plain(letter: char) -> char {
    match letter {
        'á' => 'a',
        'é' => 'e',
        'í' => 'i',
        'ó' => 'o',
        'ú' | 'ü' => 'u',
        letter if letter.is_alphanumeric() => letter,
        // A combining accent is dropped, too, but no space replaces it.
        _ => ' ',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_known_however_they_are_typed() {
        for text in ["BORRAR MIS DATOS", "borrar mis datos.", "  Borrar\nmis   datos! ", "*Borrar mis datos*"] {
            assert_eq!(erasure_intent(text), Some(ErasureIntent::Ask), "{text}");
        }
        for text in ["SÍ BORRAR", "si, borrar", "Sí, borrar mis datos"] {
            assert_eq!(erasure_intent(text), Some(ErasureIntent::Confirm), "{text}");
        }
        assert_eq!(erasure_intent("No borrar"), Some(ErasureIntent::Withdraw));
        assert_eq!(erasure_intent("Sí."), Some(ErasureIntent::Yes));
        for text in ["no quiero borrar mis datos", "¿cómo puedo borrar mis datos?", "borrar mis datos de la moto", ""]
        {
            assert_eq!(erasure_intent(text), None, "{text}");
        }
    }

    #[test]
    fn every_state_is_told_in_both_languages() {
        for shown in
            [PublicState::Received, PublicState::Waiting, PublicState::Erasing, PublicState::Done, PublicState::Failed]
        {
            assert_ne!(heading(shown, Locale::Es), heading(shown, Locale::En));
            assert_ne!(explain(shown, Locale::Es, 1, 30), explain(shown, Locale::En, 1, 30));
        }
        assert!(explain(PublicState::Waiting, Locale::Es, 1, 30).contains("1 día "));
    }
}
