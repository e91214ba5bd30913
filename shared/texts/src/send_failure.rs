//! Tells an agent why a message did not reach the customer, and what to do.

use domain::{Outcome, Outgoing, SendFailure, message::MediaKind};

use crate::{Locale, Text, file, pick, refusals};

/// What the agent reads if not all of a message is out; `named` gives the name for the file of a part. Files that cannot be had
/// are named beside others.
pub fn incomplete(message: &Outgoing, locale: Locale, named: impl Fn(usize) -> Option<String>) -> Option<String> {
    let Outcome::Incomplete { failure, accepted } = message.outcome() else { return None };
    let first = partly(failure, locale, accepted, message.parts().len());
    if message.stopping_failure().is_some() || message.parts().len() == 1 {
        return Some(first);
    }
    let mut told: Vec<(SendFailure, Vec<String>)> = Vec::new();
    for (at, failure) in message.failures() {
        let name = named(at);
        match told.iter_mut().find(|(known, _)| *known == failure) {
            Some((_, names)) => names.extend(name),
            None => told.push((failure, name.into_iter().collect())),
        }
    }
    let sentences = told.iter().enumerate().map(|(at, (failure, names))| {
        let why = if at == 0 { first.clone() } else { failure.text(locale) };
        if names.is_empty() { why } else { format!("{why} ({})", names.join(", ")) }
    });
    Some(sentences.collect::<Vec<_>>().join(" "))
}

/// The sentence of a failure, when some parts of the message did go out.
pub(crate) fn partly(failure: SendFailure, locale: Locale, accepted: usize, parts: usize) -> String {
    let why = failure.text(locale);
    match (accepted, locale) {
        (0, _) => why,
        (_, Locale::Es) => format!("Salieron {accepted} de {parts} partes. {why}"),
        (_, Locale::En) => format!("{accepted} of {parts} parts went out. {why}"),
    }
}

impl Text for SendFailure {
    fn text(self, locale: Locale) -> String {
        let (es, en) = match self {
            Self::WindowClosed => (
                "No entregado: pasaron más de 24 h desde su último mensaje; usa una plantilla.",
                "Not delivered: more than 24 h have passed since their last message; use a template.",
            ),
            Self::WindowClosedFree => (
                "No entregado: pasaron más de 24 h desde su último mensaje; usa una plantilla. No se cobra: llegó por un anuncio y fue atendido hace menos de 72 h.",
                "Not delivered: more than 24 h have passed since their last message; use a template. It costs nothing: an advert brought them and they were answered less than 72 h ago.",
            ),
            Self::NeverWrote => (
                "No entregado: esta persona aún no ha escrito por WhatsApp; usa una plantilla para empezar.",
                "Not delivered: this person has not written on WhatsApp yet; start with a template.",
            ),
            Self::Standby => (
                "No entregado: este chat lo atiende el agente de Meta y el cliente aún no ha escrito al equipo; espera a que les pase el chat, o usa una plantilla para tomarlo.",
                "Not delivered: Meta's agent has this chat and the customer has not written to the team yet; wait until it passes the chat on, or take it with a template.",
            ),
            Self::SeenTooLate => (
                "No entregado: el mensaje llegó al puente con más de una hora de retraso; si aún vale, pulsa Reintentar.",
                "Not delivered: the message reached the bridge more than an hour late; if it still holds, press Retry.",
            ),
            Self::Unconfirmed => (
                "Sin confirmar: WhatsApp no respondió y el mensaje pudo haber salido. Pregunta al cliente antes de pulsar Reintentar.",
                "Unconfirmed: WhatsApp did not answer and the message may have gone out. Ask the customer before you press Retry.",
            ),
            Self::Unreachable => (
                "No entregado: WhatsApp no estuvo disponible a tiempo; pulsa Reintentar.",
                "Not delivered: WhatsApp was not available in time; press Retry.",
            ),
            Self::FileUnreadable => (
                "No entregado: no se pudo leer el archivo en Chatwoot; vuelve a adjuntarlo.",
                "Not delivered: the file could not be read from Chatwoot; attach it again.",
            ),
            Self::FileElsewhere => (
                "No entregado: este Chatwoot anuncia sus archivos con una dirección que el puente no reconoce; adjuntarlo otra vez no ayuda. Avisa a quien administra el puente y después pulsa Reintentar.",
                "Not delivered: this Chatwoot names its files by an address that the bridge does not know; attaching it again does not help. Tell the operator of the bridge, and press Retry afterwards.",
            ),
            Self::FileTooLarge => (
                "No entregado: el archivo pesa más de 100 MB, lo máximo en WhatsApp; envía un enlace o un archivo más pequeño.",
                "Not delivered: the file is larger than 100 MB, the most WhatsApp takes; send a link or a smaller file.",
            ),
            Self::FileEmpty => (
                "No entregado: el archivo está vacío (0 bytes) y WhatsApp no lo acepta; revisa el original y adjunta uno con contenido.",
                "Not delivered: the file is empty (0 bytes) and WhatsApp does not take it; look at the original and attach one that is not.",
            ),
            Self::FileKind => (
                "No entregado: WhatsApp no acepta archivos de este tipo; envíalo como PDF, Word, Excel, PowerPoint, texto, JPG, PNG, MP4 o MP3, o manda un enlace.",
                "Not delivered: WhatsApp takes no files of this type; send it as PDF, Word, Excel, PowerPoint, text, JPG, PNG, MP4 or MP3, or send a link.",
            ),
            Self::FileHeavy { kind: MediaKind::Image } => (
                "No entregado: la imagen pesa más de 5 MB, lo máximo en WhatsApp; envíala más ligera o dentro de un PDF.",
                "Not delivered: the picture is larger than 5 MB, the most WhatsApp takes; send a smaller one, or put it into a PDF.",
            ),
            Self::FileHeavy { kind: MediaKind::Video } => (
                "No entregado: el video pesa más de 16 MB, lo máximo en WhatsApp; recórtalo o manda un enlace.",
                "Not delivered: the video is larger than 16 MB, the most WhatsApp takes; cut it or send a link.",
            ),
            Self::FileHeavy { kind: MediaKind::Sticker } => (
                "No entregado: la imagen WEBP pesa más de 500 KB, lo máximo en WhatsApp; envíala como JPG.",
                "Not delivered: the WEBP picture is larger than 500 KB, the most WhatsApp takes; send it as JPG.",
            ),
            Self::FileHeavy { .. } => (
                "No entregado: el audio pesa más de 16 MB, lo máximo en WhatsApp; recórtalo o manda un enlace.",
                "Not delivered: the recording is larger than 16 MB, the most WhatsApp takes; cut it or send a link.",
            ),
            Self::FileFailed { way, http } => return file::failed(way, http, locale),
            Self::FileRefused => (
                "No entregado: WhatsApp no aceptó este archivo; puede estar dañado o no ser de verdad del tipo que dice su nombre. Ábrelo, guárdalo otra vez y adjúntalo de nuevo.",
                "Not delivered: WhatsApp did not take this file; it may be damaged, or not really of the type its name says. Open it, save it anew and attach it again.",
            ),
            Self::FileSlow => (
                "No entregado: el archivo tardó demasiado en pasar de Chatwoot a WhatsApp; pulsa Reintentar, o envía uno más ligero o un enlace.",
                "Not delivered: the file took too long from Chatwoot to WhatsApp; press Retry, or send a smaller one or a link.",
            ),
            Self::Unworkable => (
                "No entregado: el puente no pudo procesar este mensaje; envíalo de otra forma y avisa al operador.",
                "Not delivered: the bridge could not handle this message; send it in another way and tell the operator.",
            ),
            Self::Empty => (
                "No entregado: el mensaje no tiene texto ni archivos.",
                "Not delivered: the message has neither text nor files.",
            ),
            Self::NothingToReactTo => (
                "No entregado: ya no se sabe a qué mensaje de WhatsApp iba esta reacción; cita otro y repite el comando.",
                "Not delivered: it is not known any more which WhatsApp message this reaction was on; quote another one and repeat the command.",
            ),
            Self::ItemsLost => (
                "No entregado: al reintentar, Chatwoot quitó las opciones del mensaje; vuelve a escribirlo.",
                "Not delivered: on Retry Chatwoot took the choices off the message; write it again.",
            ),
            Self::NoRecipient => (
                "No entregado: no se sabe a qué WhatsApp pertenece esta conversación; responde en la conversación del cliente.",
                "Not delivered: it is not known whose WhatsApp this conversation is; answer in the customer's own conversation.",
            ),
            Self::ChannelDown => (
                "No entregado: el número no pudo enviar por WhatsApp y pasaron 24 h; avisa al operador y escribe con una plantilla cuando vuelva.",
                "Not delivered: the number could not send on WhatsApp and 24 h have passed; tell the operator and write with a template when it is back.",
            ),
            Self::Erased => (
                "No entregado: esta persona pidió borrar sus datos; solo se le puede responder si vuelve a escribir.",
                "Not delivered: this person asked that their data be erased; they can only be answered once they write again.",
            ),
            Self::Command => (
                "No entregado: es un comando del puente y el cliente no debe leerlo. Bórralo y escríbelo como nota privada.",
                "Not delivered: this is a command of the bridge, not for the customer to read. Delete it and write it as a private note.",
            ),
            Self::Braked => (
                "No entregado: un bot o una automatización escribe aquí sin parar y el puente lo frenó; avisa al operador. Si el mensaje hace falta, pulsa Reintentar.",
                "Not delivered: a bot or a rule keeps writing here, and the bridge has braked it; tell the operator. If the message is needed, press Retry.",
            ),
            Self::LinkMissing => (
                "No entregado: esta encuesta o videollamada de Chatwoot no sirve sin su enlace, y Chatwoot no lo da fuera de su chat web. Envía un enlace en un mensaje.",
                "Not delivered: this survey or video call of Chatwoot is of no use without its link, which Chatwoot gives in its web chat only. Send a link in a message.",
            ),
            Self::LinkElsewhere => (
                "No entregado: este Chatwoot se anuncia con una dirección que el puente no reconoce, y el enlace de la encuesta no abriría. Avisa a quien administra el puente y después pulsa Reintentar.",
                "Not delivered: this Chatwoot calls itself by an address that the bridge does not know, and the survey's link would not open. Tell the operator of the bridge, and press Retry afterwards.",
            ),
            Self::Template { fault } => return fault.text(locale),
            Self::Refused { code, clue } => return refusals::text(code, clue, locale),
        };
        pick(locale, es, en).to_owned()
    }
}

#[cfg(test)]
mod tests {
    use domain::{Delivery, PartEvent, Timestamp, Wamid};

    use super::*;

    #[test]
    fn files_that_cannot_be_had_are_named_once_beside_each_other() {
        let mut message = Outgoing::new(Timestamp::from_secs(1_795_190_400), 3);
        for at in [0, 1] {
            message.apply(at, PartEvent::GivenUp { failure: SendFailure::FileEmpty }).unwrap();
        }
        let (wamid, delivery) = (Wamid::new("wamid.1"), Delivery::Sent);
        message.apply(2, PartEvent::Reported { attempt: Some(1), wamid, delivery }).unwrap();
        let text = incomplete(&message, Locale::Es, |at| Some(format!("{at}.zip"))).unwrap();
        assert!(text.starts_with("Salieron 1 de 3 partes. ") && text.ends_with(" (0.zip, 1.zip)"), "{text}");
    }
}
