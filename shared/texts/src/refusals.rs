//! Explains Meta's error codes to agents (whatsapp-cloud-api.md §4.6). Each text says what happened, and what the agent should
//! do next. Codes that call for the same step share a sentence; the test below holds the whole table.

use domain::{Clue, NO_CODE, Parameter};

use crate::Locale;

/// The cause of a code, for the person who has to fix it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Refusal {
    /// The number may not send any more: its token, its permissions.
    Disconnected,
    /// A temporary fault of Meta's own.
    MetaUnwell,
    /// The bridge sent something wrong.
    OurFault,
    /// The bridge left something out.
    Incomplete,
    /// The number, or the object behind it, does not exist.
    NotThere,
    /// Too many calls at once.
    TooFast,
    /// Blocked for a breach of the rules.
    Blocked,
    Country,
    Marketing,
    MarketingExperiment,
    Stopped,
    MarketingOff,
    Spam,
    Group,
    OwnNumber,
    Undeliverable,
    NotAllowed,
    Locked,
    DisplayName,
    Payment,
    Unregistered,
    Window,
    Kind,
    InboundFile,
    File,
    InboundUnavailable,
    Method,
    PhoneNeeded,
    Classification,
    TemplateParameters,
    TemplateMissing,
    TemplateTooLong,
    TemplatePolicy,
    TemplatePaused,
    Flow,
    Deregistration,
    Pin,
    PinTooOften,
    Verify,
    RecentlyDeleted,
    RegisterLimit,
    PaymentTerms,
    IdentityChanged,
    Calls,
    BlockList,
    Username,
    Management,
    Sync,
    HistoryDeclined,
    Unknown,
}

impl Refusal {
    fn of(code: i64) -> Self {
        match code {
            0 | 3 | 10 | 190 | 200..=299 | 131_005 => Self::Disconnected,
            1 | 2 | 131_000 | 131_016 | 131_057 | 133_004 | 2_494_100 => Self::MetaUnwell,
            100 | 131_009 => Self::OurFault,
            131_008 => Self::Incomplete,
            33 => Self::NotThere,
            4 | 80_007 | 130_429 | 131_056 => Self::TooFast,
            368 => Self::Blocked,
            613 | 131_044 | 138_000..=138_018 => Self::Calls,
            130_472 => Self::MarketingExperiment,
            130_497 => Self::Country,
            131_020 | 131_041 | 131_059 | 131_200..=131_299 => Self::Group,
            131_021 => Self::OwnNumber,
            131_026 => Self::Undeliverable,
            131_030 => Self::NotAllowed,
            131_031 => Self::Locked,
            131_037 => Self::DisplayName,
            131_042 => Self::Payment,
            131_045 | 133_010 => Self::Unregistered,
            131_047 => Self::Window,
            131_048 => Self::Spam,
            131_049 => Self::Marketing,
            131_050 => Self::Stopped,
            131_051 => Self::Kind,
            131_052 => Self::InboundFile,
            131_053 => Self::File,
            131_055 => Self::Method,
            131_060 => Self::InboundUnavailable,
            131_062 => Self::PhoneNeeded,
            131_063 => Self::MarketingOff,
            131_064 => Self::Classification,
            132_000 | 132_008 | 132_012 | 132_018 | 135_000 => Self::TemplateParameters,
            132_001 => Self::TemplateMissing,
            132_005 => Self::TemplateTooLong,
            132_007 => Self::TemplatePolicy,
            132_015 | 132_016 => Self::TemplatePaused,
            132_068 | 132_069 | 139_000..=139_004 => Self::Flow,
            133_000 => Self::Deregistration,
            133_005 => Self::Pin,
            133_006 => Self::Verify,
            133_008 | 133_009 => Self::PinTooOften,
            133_015 => Self::RecentlyDeleted,
            133_016 => Self::RegisterLimit,
            134_011 => Self::PaymentTerms,
            137_000 => Self::IdentityChanged,
            139_100..=139_103 => Self::BlockList,
            147_001..=147_005 => Self::Username,
            2_388_000..=2_388_999 => Self::Management,
            2_593_107 | 2_593_108 => Self::Sync,
            2_593_109 => Self::HistoryDeclined,
            _ => Self::Unknown,
        }
    }

    /// The same where Meta names the parameter or what an address answered.
    fn exact(self, clue: Clue, locale: Locale) -> Option<String> {
        if let (Self::File | Self::InboundFile, Some(status)) = (self, clue.http) {
            return Some(match locale {
                Locale::Es => format!(
                    "WhatsApp no pudo descargar el archivo: su dirección respondió {status}; comprueba que el enlace se abra sin contraseña, o adjunta el archivo mismo."
                ),
                Locale::En => format!(
                    "WhatsApp could not download the file: its address answered {status}; make sure that the link opens without a password, or attach the file itself."
                ),
            });
        }
        let parameter = clue.parameter?;
        let name = parameter.as_str();
        let what = |locale| match (words(parameter), locale) {
            (Some((es, _)), Locale::Es) => format!("{es} ({name})"),
            (Some((_, en)), Locale::En) => format!("{en} ({name})"),
            (None, Locale::Es) => format!("el campo «{name}»"),
            (None, Locale::En) => format!("the field «{name}»"),
        };
        let what = what(locale);
        Some(match (self, locale) {
            (Self::OurFault, Locale::Es) => {
                format!("WhatsApp no aceptó {what}; corrígelo y envíalo otra vez. Avisa al operador si se repite.")
            }
            (Self::OurFault, Locale::En) => {
                format!(
                    "WhatsApp did not take {what}; correct it and send it again. Tell the operator if it happens again."
                )
            }
            (Self::Incomplete, Locale::Es) => {
                format!("falta {what}; complétalo y envíalo otra vez. Avisa al operador si se repite.")
            }
            (Self::Incomplete, Locale::En) => {
                format!("{what} is missing; fill it in and send it again. Tell the operator if it happens again.")
            }
            (Self::TemplateParameters, Locale::Es) => format!(
                "los datos de la plantilla no encajan: {what}; revísalo (sin saltos de línea) y envíala otra vez."
            ),
            (Self::TemplateParameters, Locale::En) => {
                format!("the template's values do not fit: {what}; check it (no line breaks) and send it again.")
            }
            (Self::TemplateTooLong, Locale::Es) => {
                format!("el texto de la plantilla queda demasiado largo en {what}; acórtalo y envíala otra vez.")
            }
            (Self::TemplateTooLong, Locale::En) => {
                format!("the filled-in template is too long in {what}; make it shorter and send it again.")
            }
            _ => return None,
        })
    }

    /// What happened, and the next step, in Spanish and in English.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Disconnected => (
                "el número perdió el permiso para enviar por WhatsApp; avisa al operador.",
                "the number lost its permission to send on WhatsApp; tell the operator.",
            ),
            Self::MetaUnwell => (
                "WhatsApp tuvo un fallo propio; espera unos minutos y pulsa Reintentar.",
                "WhatsApp had a fault of its own; wait some minutes and press Retry.",
            ),
            Self::OurFault => (
                "WhatsApp no entendió el mensaje del puente; prueba a escribirlo de otra forma y avisa al operador.",
                "WhatsApp did not understand the bridge's message; try to write it another way and tell the operator.",
            ),
            Self::Incomplete => (
                "a WhatsApp le faltó un dato del mensaje; prueba a escribirlo de otra forma y avisa al operador.",
                "WhatsApp lacked a part of the message; try to write it another way and tell the operator.",
            ),
            Self::NotThere => (
                "WhatsApp no reconoce el número del negocio o el archivo; avisa al operador.",
                "WhatsApp does not know the business number or the file; tell the operator.",
            ),
            Self::TooFast => (
                "se enviaron demasiados mensajes seguidos; espera unos minutos y pulsa Reintentar.",
                "too many messages in a row; wait some minutes and press Retry.",
            ),
            Self::Blocked => (
                "WhatsApp bloqueó el número por incumplir sus normas; deja de enviar y avisa al operador.",
                "WhatsApp blocked the number for a breach of its rules; stop sending and tell the operator.",
            ),
            Self::Country => (
                "WhatsApp no permite escribir a ese país desde este número; llama por teléfono.",
                "WhatsApp does not let this number write to that country; phone them.",
            ),
            Self::Marketing => (
                "WhatsApp retuvo el mensaje para no saturar al cliente; espera al menos 24 h.",
                "WhatsApp held the message back to spare the customer; wait at least 24 h.",
            ),
            Self::MarketingExperiment => (
                "WhatsApp no entrega publicidad a este cliente por una prueba suya; contáctalo por otro medio.",
                "WhatsApp delivers no marketing to this customer because of a test of its own; reach them another way.",
            ),
            Self::Stopped => (
                "el cliente pidió no recibir mensajes de marketing; respétalo y espera a que escriba.",
                "the customer asked not to receive marketing messages; respect it and wait until they write.",
            ),
            Self::MarketingOff => (
                "las plantillas de marketing de esta cuenta van por otra vía; avisa al operador.",
                "this account's marketing templates go another way; tell the operator.",
            ),
            Self::Spam => (
                "muchos clientes marcaron los mensajes de este número como no deseados; detén las campañas y avisa al operador.",
                "many customers reported this number's messages; stop campaigns and tell the operator.",
            ),
            Self::Group => (
                "WhatsApp no permitió escribir en este grupo; escribe al cliente en su propio chat.",
                "WhatsApp did not allow writing to this group; write to the customer in their own chat.",
            ),
            Self::OwnNumber => (
                "el destinatario es el propio número del negocio; responde en la conversación del cliente.",
                "the recipient is the business number itself; answer in the customer's conversation.",
            ),
            Self::Undeliverable => (
                "no se pudo entregar a este número (sin WhatsApp, versión antigua o bloqueado). Llama por teléfono o intenta más tarde.",
                "this number could not be reached (no WhatsApp, an old version, or blocked). Phone them or try later.",
            ),
            Self::NotAllowed => (
                "el número es de prueba y no puede escribir a este cliente, o el teléfono está mal escrito; revísalo y avisa al operador.",
                "the number is a test number that may not write to this customer, or the phone is misspelled; check it and tell the operator.",
            ),
            Self::Locked => (
                "WhatsApp tiene la cuenta del negocio bloqueada o su PIN no coincide; avisa al operador.",
                "WhatsApp has the business account locked, or its PIN does not match; tell the operator.",
            ),
            Self::DisplayName => (
                "WhatsApp aún no aprueba el nombre visible del número; avisa al operador.",
                "WhatsApp has not approved the number's display name yet; tell the operator.",
            ),
            Self::Payment => (
                "falta un medio de pago válido en la cuenta de WhatsApp; avisa al operador.",
                "the WhatsApp account lacks a valid payment method; tell the operator.",
            ),
            Self::Unregistered => (
                "el número no está registrado en WhatsApp; avisa al operador.",
                "the number is not registered with WhatsApp; tell the operator.",
            ),
            Self::Window => (
                "pasaron más de 24 h desde su último mensaje; usa una plantilla.",
                "more than 24 h have passed since their last message; use a template.",
            ),
            Self::Kind => (
                "WhatsApp no admite este tipo de mensaje; envíalo como texto o archivo.",
                "WhatsApp does not take this kind of message; send it as text or as a file.",
            ),
            Self::InboundFile => (
                "WhatsApp no pudo descargar el archivo del cliente; pídele que lo envíe otra vez, de menos de 100 MB.",
                "WhatsApp could not download the customer's file; ask them to send it again, smaller than 100 MB.",
            ),
            Self::File => (
                "WhatsApp no aceptó el archivo; conviértelo a un formato común (JPG, PNG, PDF, MP4, MP3).",
                "WhatsApp did not accept the file; convert it to a common format (JPG, PNG, PDF, MP4, MP3).",
            ),
            Self::InboundUnavailable => (
                "WhatsApp no muestra aquí el mensaje del cliente; míralo en el teléfono.",
                "WhatsApp does not show the customer's message here; look at the phone.",
            ),
            Self::Method => (
                "WhatsApp no permite esta acción con este número; avisa al operador.",
                "WhatsApp does not allow this action with this number; tell the operator.",
            ),
            Self::PhoneNeeded => (
                "esta plantilla necesita el teléfono del cliente y WhatsApp no lo muestra; pídeselo en el chat.",
                "this template needs the customer's phone, which WhatsApp does not show; ask for it in the chat.",
            ),
            Self::Classification => (
                "WhatsApp limitó la cuenta por plantillas mal clasificadas; espera y avisa al operador.",
                "WhatsApp limited the account for misclassified templates; wait and tell the operator.",
            ),
            Self::TemplateParameters => (
                "los datos de la plantilla no encajan; revisa cada campo (sin saltos de línea) y envíala otra vez.",
                "the template's values do not fit; check each field (no line breaks) and send it again.",
            ),
            Self::TemplateMissing => (
                "la plantilla no existe en ese idioma; elige otra y avisa al operador.",
                "the template does not exist in that language; choose another and tell the operator.",
            ),
            Self::TemplateTooLong => (
                "el texto de la plantilla queda demasiado largo; acorta los campos.",
                "the filled-in template is too long; shorten its fields.",
            ),
            Self::TemplatePolicy => (
                "WhatsApp no acepta el contenido de la plantilla; cambia el texto o elige otra.",
                "WhatsApp does not accept the template's content; change the text or choose another.",
            ),
            Self::TemplatePaused => (
                "WhatsApp pausó o desactivó la plantilla por su calidad; elige otra y avisa al operador.",
                "WhatsApp paused or disabled the template for its quality; choose another and tell the operator.",
            ),
            Self::Flow => (
                "el formulario está bloqueado o limitado por WhatsApp; pide los datos por escrito y avisa al operador.",
                "the form is blocked or limited by WhatsApp; ask for the details in writing and tell the operator.",
            ),
            Self::Deregistration => (
                "una baja anterior del número no ha terminado; avisa al operador para que la repita.",
                "an earlier deregistration of the number is unfinished; tell the operator to repeat it.",
            ),
            Self::Pin => (
                "el PIN del número no coincide; avisa al operador para que el dueño lo restablezca.",
                "the number's PIN does not match; tell the operator so that the owner resets it.",
            ),
            Self::PinTooOften => (
                "se probó el PIN del número demasiadas veces; avisa al operador y no lo intentes hasta más tarde.",
                "the number's PIN was tried too often; tell the operator and do not try until later.",
            ),
            Self::Verify => (
                "el número debe verificarse otra vez en WhatsApp; avisa al operador.",
                "the number has to be verified with WhatsApp again; tell the operator.",
            ),
            Self::RecentlyDeleted => (
                "el número se acaba de borrar en WhatsApp; espera cinco minutos y avisa al operador.",
                "the number was just deleted at WhatsApp; wait five minutes and tell the operator.",
            ),
            Self::RegisterLimit => (
                "el número se registró demasiadas veces; hay que esperar hasta tres días. Avisa al operador.",
                "the number was registered too often; up to three days of waiting are needed. Tell the operator.",
            ),
            Self::PaymentTerms => (
                "faltan por aceptar las condiciones de pago de WhatsApp; avisa al operador.",
                "WhatsApp's payment terms have not been accepted; tell the operator.",
            ),
            Self::IdentityChanged => (
                "el cliente cambió de teléfono o reinstaló WhatsApp; confirma que es la misma persona y pulsa Reintentar.",
                "the customer changed phones or reinstalled WhatsApp; make sure it is the same person and press Retry.",
            ),
            Self::Calls => (
                "WhatsApp no permitió la llamada; escribe al cliente o llama por teléfono.",
                "WhatsApp did not allow the call; write to the customer or phone them.",
            ),
            Self::BlockList => (
                "WhatsApp no pudo bloquear o desbloquear al cliente; hazlo en el teléfono del negocio.",
                "WhatsApp could not block or unblock the customer; do it on the business phone.",
            ),
            Self::Username => (
                "WhatsApp no aceptó el nombre de usuario del negocio; avisa al operador.",
                "WhatsApp did not accept the business's username; tell the operator.",
            ),
            Self::Management => (
                "WhatsApp rechazó un cambio de plantillas o de número; avisa al operador.",
                "WhatsApp refused a change of templates or of the number; tell the operator.",
            ),
            Self::Sync => (
                "la copia de chats del teléfono ya no puede pedirse; el operador debe dar de alta el número otra vez.",
                "the phone's chats can no longer be asked for; the operator has to sign the number up again.",
            ),
            Self::HistoryDeclined => (
                "el dueño no compartió los chats anteriores del teléfono; búscalos allí.",
                "the owner did not share the phone's earlier chats; look for them there.",
            ),
            Self::Unknown => (
                "WhatsApp rechazó el mensaje. Avisa al operador si se repite.",
                "WhatsApp refused the message. Tell the operator if it happens again.",
            ),
        }
    }
}

/// What an agent calls the parameters of Meta's API, in Spanish and in English.
const WORDS: [(&str, &str, &str); 35] = [
    ("header", "el encabezado", "the header"),
    ("body", "el texto", "the text"),
    ("text", "el texto", "the text"),
    ("footer", "el pie", "the footer"),
    ("button", "un botón", "a button"),
    ("buttons", "los botones", "the buttons"),
    ("caption", "el texto del archivo", "the words under the file"),
    ("filename", "el nombre del archivo", "the file's name"),
    ("image", "la imagen", "the picture"),
    ("video", "el video", "the video"),
    ("audio", "el audio", "the audio"),
    ("document", "el documento", "the document"),
    ("sticker", "el sticker", "the sticker"),
    ("link", "el enlace", "the link"),
    ("url", "el enlace", "the link"),
    ("media", "el archivo", "the file"),
    ("mime_type", "el tipo del archivo", "the file's type"),
    ("location", "la ubicación", "the location"),
    ("latitude", "la ubicación", "the location"),
    ("longitude", "la ubicación", "the location"),
    ("address", "la dirección", "the address"),
    ("contacts", "el contacto", "the contact"),
    ("phones", "el teléfono del contacto", "the contact's phone"),
    ("emoji", "la reacción", "the reaction"),
    ("title", "el título de una opción", "an option's title"),
    ("description", "la descripción de una opción", "an option's description"),
    ("rows", "las opciones", "the options"),
    ("sections", "las opciones", "the options"),
    ("language", "el idioma de la plantilla", "the template's language"),
    ("template", "la plantilla", "the template"),
    ("parameter_name", "el nombre de un campo", "a field's name"),
    ("components", "los datos de la plantilla", "the template's values"),
    ("context", "la cita", "the quote"),
    ("recipient", "el destinatario", "the recipient"),
    ("to", "el destinatario", "the recipient"),
];

/// Why a message did not reach the customer, and what to do; an unknown code is shown, for the operator.
pub(crate) fn text(code: i64, clue: Clue, locale: Locale) -> String {
    let refusal = Refusal::of(code);
    if let Some(exact) = refusal.exact(clue, locale) {
        return match locale {
            Locale::Es => format!("No entregado: {exact}"),
            Locale::En => format!("Not delivered: {exact}"),
        };
    }
    let (es, en) = refusal.words();
    match (refusal, locale) {
        (Refusal::Unknown, Locale::Es) if code == NO_CODE => {
            "No entregado: WhatsApp rechazó el mensaje y no dijo por qué. Avisa al operador si se repite.".to_owned()
        }
        (Refusal::Unknown, Locale::En) if code == NO_CODE => {
            "Not delivered: WhatsApp refused the message and did not say why. Tell the operator if it happens again."
                .to_owned()
        }
        (Refusal::Unknown, Locale::Es) => {
            format!("No entregado: WhatsApp rechazó el mensaje (código {code}). Avisa al operador si se repite.")
        }
        (Refusal::Unknown, Locale::En) => {
            format!("Not delivered: WhatsApp refused the message (code {code}). Tell the operator if it happens again.")
        }
        (_, Locale::Es) => format!("No entregado: {es}"),
        (_, Locale::En) => format!("Not delivered: {en}"),
    }
}

/// What an agent calls a parameter, in Spanish and in English; for a path, the last step counts.
fn words(parameter: Parameter) -> Option<(&'static str, &'static str)> {
    let known = |name: &str| WORDS.iter().find(|(known, _, _)| *known == name);
    parameter.as_str().rsplit('.').find_map(known).map(|(_, es, en)| (*es, *en))
}

#[cfg(test)]
mod tests;
