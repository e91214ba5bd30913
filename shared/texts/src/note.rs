//! Holds the lines that stand for what has no text of its own.

use domain::message::MediaKind;

use crate::{Locale, Text, pick};

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
    /// A file of a phone's past that does not come.
    MediaOnThePhone(MediaKind),
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
    /// The operator's test of the whole way, to a phone of the operator's own.
    OperatorTest,
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
            Self::MediaOnThePhone(kind) => {
                let what = kind.text(locale);
                return match locale {
                    Locale::Es => {
                        format!("[{what} del historial: no se pudo copiar; quedó en el celular de la tienda]")
                    }
                    Locale::En => {
                        format!("[{what} of the history: it could not be copied; it is still on the shop's phone]")
                    }
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
            Self::OperatorTest => (
                "Prueba del operador: si la lees, los mensajes llegan.",
                "The operator's test: if you read this, messages arrive.",
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

impl Text for MediaKind {
    fn text(self, locale: Locale) -> String {
        let (es, en) = match self {
            Self::Image => ("Imagen", "Image"),
            Self::Video => ("Video", "Video"),
            Self::Audio => ("Audio", "Audio"),
            Self::Voice => ("Nota de voz", "Voice note"),
            Self::Document => ("Documento", "Document"),
            Self::Sticker => ("Sticker", "Sticker"),
        };
        pick(locale, es, en).to_owned()
    }
}
