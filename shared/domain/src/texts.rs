//! Holds every sentence a person reads, in the locale of `infra/policy.toml`.

mod file;
mod hold;
mod money;
mod template;

use serde::{Deserialize, Serialize};

use crate::{Clue, message::MediaKind, outgoing::FileWay, refusals, template::Fault};

pub mod asked;
pub mod brake;
pub mod dashboard;
pub mod deletion;
pub mod inbound;
pub mod outbound;
pub mod overwritten;
pub mod report;

pub use money::money;

/// The language of the agents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Locale {
    /// Spanish.
    #[default]
    Es,
    /// English.
    En,
}

impl Locale {
    /// Its ISO 639 code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Es => "es",
            Self::En => "en",
        }
    }
}

impl std::str::FromStr for Locale {
    type Err = UnknownLocale;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "es" => Ok(Self::Es),
            "en" => Ok(Self::En),
            _ => Err(UnknownLocale),
        }
    }
}

/// Only `es` and `en` are supported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be es or en")]
pub struct UnknownLocale;

/// Why an agent's message did not reach the customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum SendFailure {
    /// More than 24 h since the customer's last message.
    WindowClosed,
    /// The same, but a template costs nothing: an advert brought the customer less than 72 h ago.
    WindowClosedFree,
    /// The customer never wrote, so there is no window.
    NeverWrote,
    /// The customer wrote only to Meta's own agent, who has the chat.
    Standby,
    /// We saw the message more than an hour after it was written.
    SeenTooLate,
    /// It is unknown whether it was sent.
    Unconfirmed,
    /// Meta refused it, with this code.
    Refused {
        /// Meta's error code.
        code: i64,
        /// What else Meta told about it.
        #[serde(default, skip_serializing_if = "Clue::is_empty")]
        clue: Clue,
    },
    /// Meta was out of reach for too long.
    Unreachable,
    /// A file could not be read from Chatwoot.
    FileUnreadable,
    /// Chatwoot names its files by an address that the bridge is not configured to trust.
    FileElsewhere,
    /// A file is larger than WhatsApp takes.
    FileTooLarge,
    /// A file has no bytes.
    FileEmpty,
    /// WhatsApp takes no files of this type, and cannot fetch it from Chatwoot by itself.
    FileKind,
    /// A picture, video or sound is larger than WhatsApp takes of its kind, and WhatsApp cannot fetch it from Chatwoot by itself.
    FileHeavy {
        /// Its kind.
        kind: MediaKind,
    },
    /// WhatsApp does not take this very file, though it takes others of its type.
    FileRefused,
    /// Meta gave up a file that it had accepted.
    FileFailed {
        /// How it went there.
        way: FileWay,
        /// What its address answered, if Meta tells.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        http: Option<u16>,
    },
    /// A file did not get from Chatwoot to WhatsApp within the time limit.
    FileSlow,
    /// The message crashes the bridge each time.
    Unworkable,
    /// There is neither text nor a file in it.
    Empty,
    /// Retry removed the choices from the message in Chatwoot.
    ItemsLost,
    /// A template that cannot be sent as it was picked.
    Template {
        /// What is wrong with it.
        #[serde(default)]
        fault: Fault,
    },
    /// It is unknown which customer the conversation is with.
    NoRecipient,
    /// The channel was paused, restricted or disconnected for too long.
    ChannelDown,
    /// The person asked that their data be erased.
    Erased,
    /// It is a command, and those are notes.
    Command,
    /// A bot or a rule writes more than a person would want.
    Braked,
    /// It is useless without a link, and Chatwoot gives none: a survey, a video call.
    LinkMissing,
    /// The same, since Chatwoot calls itself by an address that the bridge is not configured with.
    LinkElsewhere,
}

impl SendFailure {
    /// Meta refused it with this code, and told nothing else.
    pub fn refused(code: i64) -> Self {
        Self::Refused { code, clue: Clue::default() }
    }

    /// What happened and what to do, for the agent.
    pub fn text(self, locale: Locale) -> String {
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
            Self::Template { fault } => return fault.text(locale).to_owned(),
            Self::Refused { code, clue } => return refusals::text(code, clue, locale),
        };
        pick(locale, es, en).to_owned()
    }

    /// Whether it is about one file alone, whatever part failed; see [`Outgoing::is_of_file`](crate::Outgoing::is_of_file).
    pub fn is_of_file(self) -> bool {
        matches!(
            self,
            Self::FileUnreadable
                | Self::FileElsewhere
                | Self::FileTooLarge
                | Self::FileEmpty
                | Self::FileKind
                | Self::FileHeavy { .. }
                | Self::FileRefused
                | Self::FileFailed { .. }
                | Self::FileSlow
                | Self::Refused { code: 131_052 | 131_053, .. }
        )
    }

    /// The same, when some parts of the message did go out.
    pub fn say_partly(self, locale: Locale, accepted: usize, parts: usize) -> String {
        let why = self.text(locale);
        match (accepted, locale) {
            (0, _) => why,
            (_, Locale::Es) => format!("Salieron {accepted} de {parts} partes. {why}"),
            (_, Locale::En) => format!("{accepted} of {parts} parts went out. {why}"),
        }
    }
}

/// Lines shown in place of what has no text of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoteText {
    /// A file that cannot be had.
    MediaMissing(MediaKind),
    /// A file that could not be fetched so far.
    MediaLater(MediaKind),
    /// A file Chatwoot did not take; it is offered once more.
    MediaRefused(MediaKind),
    /// A file Chatwoot does not take.
    MediaNotTaken(MediaKind),
    /// A file larger than what can pass into Chatwoot.
    MediaTooLarge(MediaKind),
    /// A file that Meta keeps for only one more day.
    MediaAskAgain(MediaKind),
    /// An answer to a message we cannot point to.
    InReplyTo,
    /// What is shown instead, where it is a reaction or an edit.
    AboutAnother,
    /// A person spoke in a group.
    GroupName,
    /// A message that Chatwoot does not take, or that the bridge cannot handle.
    SetAside,
    /// Above the locked editor, once the window is closed.
    WindowLock,
    /// Sending is on hold.
    SendingWaits,
    /// Sending is no longer on hold.
    SendingGoesOn,
    /// A file of the agent's cannot be read from Chatwoot yet.
    FileAwaited,
    /// It could be read, and was sent.
    FileCame,
    /// A contact without a name.
    Nameless,
    /// A bot or a rule answers what the bridge writes, and the bridge stops answering it.
    Braked,
}

impl NoteText {
    /// The text of the line.
    pub fn text(self, locale: Locale) -> String {
        let (es, en) = match self {
            Self::MediaMissing(kind) => {
                let what = kind.text(locale);
                return match locale {
                    Locale::Es => {
                        format!("[{what}: el archivo no está disponible; pide al cliente que lo envíe otra vez]")
                    }
                    Locale::En => format!("[{what}: the file is not available; ask the customer to send it again]"),
                };
            }
            Self::MediaLater(kind) => {
                let what = kind.text(locale);
                return match locale {
                    Locale::Es => format!(
                        "[{what}: el archivo aún no se pudo descargar de WhatsApp; se sigue intentando y llegará aquí. Si urge, pide al cliente que lo envíe otra vez]"
                    ),
                    Locale::En => format!(
                        "[{what}: the file could not be fetched from WhatsApp yet; it is being tried again and will come here. If it is urgent, ask the customer to send it again]"
                    ),
                };
            }
            Self::MediaRefused(kind) => {
                let what = kind.text(locale);
                return match locale {
                    Locale::Es => format!("[{what}: Chatwoot no aceptó el archivo; se intentará una vez más]"),
                    Locale::En => format!("[{what}: Chatwoot did not accept the file; it is tried once more]"),
                };
            }
            Self::MediaNotTaken(kind) => {
                let what = kind.text(locale);
                return match locale {
                    Locale::Es => format!(
                        "[{what}: Chatwoot no acepta este archivo; míralo en el teléfono o pide al cliente que lo envíe en otro formato]"
                    ),
                    Locale::En => format!(
                        "[{what}: Chatwoot does not accept this file; look at the phone or ask the customer to send it in another format]"
                    ),
                };
            }
            Self::MediaTooLarge(kind) => {
                let what = kind.text(locale);
                return match locale {
                    Locale::Es => format!(
                        "[{what}: el archivo es demasiado grande para Chatwoot; míralo en el teléfono o pide al cliente una versión más ligera]"
                    ),
                    Locale::En => format!(
                        "[{what}: the file is too large for Chatwoot; look at the phone or ask the customer for a smaller one]"
                    ),
                };
            }
            Self::MediaAskAgain(kind) => {
                let what = kind.text(locale);
                return match locale {
                    Locale::Es => format!(
                        "[{what}: el archivo no se ha podido descargar y WhatsApp lo guarda un día más como mucho; pide al cliente que lo envíe otra vez]"
                    ),
                    Locale::En => format!(
                        "[{what}: the file could not be fetched and WhatsApp keeps it for a day more at most; ask the customer to send it again]"
                    ),
                };
            }
            Self::AboutAnother => (
                "Sobre un mensaje que no está en esta conversación",
                "About a message that is not in this conversation",
            ),
            Self::InReplyTo => ("Responde a un mensaje anterior", "Replies to an earlier message"),
            Self::GroupName => ("Grupo de WhatsApp", "WhatsApp group"),
            Self::SetAside => (
                "⚠️ Llegó un mensaje de WhatsApp que no se pudo mostrar aquí; míralo en el teléfono y avisa al operador.",
                "⚠️ A WhatsApp message came that could not be shown here; look at the phone and tell the operator.",
            ),
            Self::WindowLock => (
                "Pasaron más de 24 h desde el último mensaje del cliente. WhatsApp solo admite plantillas hasta que vuelva a escribir.",
                "More than 24 h have passed since the customer's last message. WhatsApp only takes templates until they write again.",
            ),
            Self::SendingWaits => (
                "WhatsApp no acepta mensajes en este momento. Los tuyos se reintentan solos mientras siga abierta la ventana de 24 h; no hace falta reenviarlos.",
                "WhatsApp is not accepting messages right now. Yours are tried again by themselves while the 24 h window is open; there is no need to send them again.",
            ),
            Self::SendingGoesOn => (
                "Ya se puede enviar otra vez por WhatsApp: lo que esperaba está saliendo.",
                "Sending on WhatsApp works again: what was waiting is going out.",
            ),
            Self::FileAwaited => (
                "Chatwoot todavía no entrega el archivo de tu mensaje. Se sigue intentando solo y lo que escribas después sale detrás; si no llega, el mensaje queda en rojo.",
                "Chatwoot does not give out the file of your message yet. It is tried again by itself, and what you write after it goes out behind it; if it does not come, the message turns red.",
            ),
            Self::FileCame => (
                "El archivo que faltaba ya salió; lo que esperaba detrás está saliendo.",
                "The file that was missing went out; what was waiting behind it is going out.",
            ),
            Self::Braked => (
                "🛑 Una automatización, un bot o una macro repite lo mismo en esta conversación, y el puente dejó de obedecerle para que el cliente no reciba de más. Si fue una regla, le falta la condición \"Tipo de mensaje: entrante\"; avisa al operador. En un minuto puedes volver a usar los comandos.",
                "🛑 A rule, a bot or a macro keeps doing the same in this conversation, and the bridge has stopped obeying it, so that the customer does not get too much. If it was a rule, it lacks the condition \"Message type: incoming\"; tell the operator. In a minute you can use commands again.",
            ),
            Self::Nameless => ("Cliente de WhatsApp", "WhatsApp customer"),
        };
        pick(locale, es, en).to_owned()
    }
}

/// The answer to a question of a form.
pub fn yes_or_no(yes: bool, locale: Locale) -> &'static str {
    match (yes, locale) {
        (true, Locale::Es) => "sí",
        (true, Locale::En) => "yes",
        (false, _) => "no",
    }
}

impl MediaKind {
    /// What to call a file of this kind.
    pub fn text(self, locale: Locale) -> &'static str {
        let (es, en) = match self {
            Self::Image => ("Imagen", "Image"),
            Self::Video => ("Video", "Video"),
            Self::Audio => ("Audio", "Audio"),
            Self::Voice => ("Nota de voz", "Voice note"),
            Self::Document => ("Documento", "Document"),
            Self::Sticker => ("Sticker", "Sticker"),
        };
        pick(locale, es, en)
    }
}

pub(crate) fn pick(locale: Locale, es: &'static str, en: &'static str) -> &'static str {
    match locale {
        Locale::Es => es,
        Locale::En => en,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_agent_reads_what_to_do_next() {
        assert_eq!(
            SendFailure::refused(131_047).text(Locale::Es),
            "No entregado: pasaron más de 24 h desde su último mensaje; usa una plantilla."
        );
        assert!(SendFailure::refused(999_999).text(Locale::Es).contains("999999"));
        assert_eq!(
            SendFailure::Unreachable.say_partly(Locale::En, 2, 3),
            "2 of 3 parts went out. Not delivered: WhatsApp was not available in time; press Retry."
        );
    }
}
