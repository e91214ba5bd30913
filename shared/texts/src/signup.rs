//! Holds the texts of the page on which the owner of a number connects it.
//! Each fault says what happened and what to do. Names of Meta's buttons are as Meta shows them.

use domain::signup::SignupFault;

use crate::{Locale, pick};

/// A sentence of the page, and the name under which its script finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SignupText {
    /// The page's title.
    Title,
    /// What it is for.
    Lead,
    /// Heading: what will happen.
    Happens,
    /// Heading: what changes on the phone.
    Changes,
    /// The box to tick.
    Consent,
    /// The question about the number.
    Which,
    /// A number that is on a phone.
    OnPhone,
    /// A number that is on none.
    NewNumber,
    /// The button.
    Connect,
    /// The dialog's script is being loaded.
    Loading,
    /// Heading over the steps.
    Steps,
    /// Without scripts.
    NoScript,
    /// There is no configuration.
    NotSetUp,
    /// The other language.
    Other,
    /// The button that tries again.
    Again,
    /// The button that goes on without a window.
    WithoutWindow,
    /// The word before a step that is done.
    StepDone,
    /// The same for the one at work.
    StepWorking,
    /// The same for one that waits.
    StepWaiting,
    /// The same for one that is not needed.
    StepSkipped,
    /// The same for one that came too late.
    StepLate,
    /// Everything works.
    Working,
    /// It takes long.
    Slow,
    /// It is done.
    Done,
    /// What is done with a phone: the app stays open.
    DonePhone,
    /// The dialog is open in its window.
    Opened,
    /// The browser opened no window.
    PopupBlocked,
    /// The script did not come.
    SdkBlocked,
    /// The window said that it ended, and brought no code.
    NoCode,
    /// The window was closed.
    Cancelled,
    /// The same, with the step in `{step}`.
    CancelledAt,
    /// Meta told of an error.
    MetaSaid,
    /// Meta's id of the session, in `{id}`.
    Session,
    /// The page cannot reach the bridge.
    Offline,
    /// Which number is meant.
    Choose,
    /// The button of an answer.
    Answer,
    /// The number is on no phone.
    AskMode,
    /// Go on all the same.
    ModeYes,
    /// Go through the dialog again.
    ModeNo,
    /// The number has to be checked.
    AskVerification,
    /// A code by text message.
    Sms,
    /// A code by a call.
    Voice,
    /// The field for that code.
    CodeField,
    /// The code is on its way.
    CodeSent,
    /// The number has a PIN.
    AskPin,
    /// How often it may be tried, in `{n}`.
    TriesLeft,
    /// The field for it.
    PinField,
    /// The history was asked for.
    PastAsked,
    /// It comes: `{percent}`.
    PastReceiving,
    /// It is copied: `{written}` of `{messages}`.
    PastCopying,
    /// It is there.
    PastDone,
    /// The shop did not share it.
    PastNotShared,
    /// It was asked for too late.
    PastTooLate,
    /// Nothing came.
    PastNothing,
    /// The number, in `{number}`.
    Number,
}

impl SignupText {
    /// Those that the script needs, with the names it knows them by.
    pub const SCRIPT: &[(&'static str, Self)] = &[
        ("loading", Self::Loading),
        ("done_word", Self::StepDone),
        ("working_word", Self::StepWorking),
        ("waiting_word", Self::StepWaiting),
        ("skipped_word", Self::StepSkipped),
        ("late_word", Self::StepLate),
        ("working", Self::Working),
        ("slow", Self::Slow),
        ("done", Self::Done),
        ("done_phone", Self::DonePhone),
        ("opened", Self::Opened),
        ("popup", Self::PopupBlocked),
        ("sdk", Self::SdkBlocked),
        ("no_code", Self::NoCode),
        ("cancelled", Self::Cancelled),
        ("cancelled_at", Self::CancelledAt),
        ("meta_said", Self::MetaSaid),
        ("session", Self::Session),
        ("offline", Self::Offline),
        ("code_sent", Self::CodeSent),
        ("tries_left", Self::TriesLeft),
        ("past_asked", Self::PastAsked),
        ("past_waiting", Self::PastAsked),
        ("past_receiving", Self::PastReceiving),
        ("past_copying", Self::PastCopying),
        ("past_done", Self::PastDone),
        ("past_not_shared", Self::PastNotShared),
        ("past_too_late", Self::PastTooLate),
        ("past_nothing", Self::PastNothing),
        ("number", Self::Number),
    ];

    /// The sentence.
    pub fn text(self, locale: Locale) -> &'static str {
        let (es, en) = match self {
            Self::Title => ("Conecta tu número de WhatsApp", "Connect your WhatsApp number"),
            Self::Lead => (
                "Con unos clics tu equipo podrá responder los mensajes de WhatsApp desde su bandeja de entrada.",
                "A few clicks, and your team can answer WhatsApp messages from its inbox.",
            ),
            Self::Happens => ("Qué va a pasar", "What will happen"),
            Self::Changes => ("Qué cambia en el celular", "What changes on the phone"),
            Self::Consent => (
                "Lo leí. Al continuar se carga una ventana de Meta, con sus propias condiciones.",
                "I have read this. Going on loads a window of Meta's, with its own terms.",
            ),
            Self::Which => ("¿Cuál es tu número?", "Which number is it?"),
            Self::OnPhone => (
                "Este número ya está en WhatsApp Business en un celular",
                "This number is in WhatsApp Business on a phone already",
            ),
            Self::NewNumber => ("Es un número que no está en ningún WhatsApp", "It is a number that is in no WhatsApp"),
            Self::Connect => ("Conectar con Meta", "Connect with Meta"),
            Self::Loading => ("Cargando la ventana de Meta…", "Loading Meta's window…"),
            Self::Steps => ("Cómo va", "How far it is"),
            Self::NoScript => (
                "Esta página necesita JavaScript. Actívalo, o pide ayuda a la persona que te envió el enlace.",
                "This page needs JavaScript. Switch it on, or ask the person who sent you the link.",
            ),
            Self::NotSetUp => (
                "La conexión con Meta todavía no está configurada. Avisa a la persona que te envió el enlace.",
                "The connection with Meta is not set up yet. Tell the person who sent you the link.",
            ),
            Self::Other => ("English", "Español"),
            Self::Again => ("Intentar otra vez", "Try again"),
            Self::WithoutWindow => ("Continuar sin ventana", "Go on without a window"),
            Self::StepDone => ("listo", "done"),
            Self::StepWorking => ("en curso", "under way"),
            Self::StepWaiting => ("pendiente", "to come"),
            Self::StepSkipped => ("no hace falta", "not needed"),
            Self::StepLate => ("fuera de plazo", "too late"),
            Self::Working => (
                "Estamos conectando tu número. Puedes dejar esta página abierta.",
                "We are connecting your number. You can leave this page open.",
            ),
            Self::Slow => (
                "Esto tarda más de lo normal. Seguimos intentándolo aunque cierres esta página; el mismo enlace te dirá cómo va.",
                "This takes longer than usual. We keep trying even if you close this page; the same link tells how far it is.",
            ),
            Self::Done => (
                "Listo: tu número está conectado. Ya puedes cerrar esta página.",
                "Done: your number is connected. You can close this page.",
            ),
            Self::DonePhone => (
                "Deja abierta la aplicación de WhatsApp Business en el celular hasta que termine la copia de los chats. Los chats anteriores se responden cuando el cliente vuelva a escribir.",
                "Keep the WhatsApp Business app open on the phone until the chats are copied. Earlier chats can be answered once the customer writes again.",
            ),
            Self::Opened => ("Sigue en la ventana de Meta que se abrió.", "Go on in Meta's window, which has opened."),
            Self::PopupBlocked => (
                "El navegador no abrió la ventana de Meta. Permite las ventanas emergentes para esta página y pulsa el botón otra vez. Si estás dentro de Facebook o Instagram, abre el enlace en el navegador del celular.",
                "The browser did not open Meta's window. Allow pop-up windows for this page and press the button again. If you are inside Facebook or Instagram, open the link in the phone's own browser.",
            ),
            Self::SdkBlocked => (
                "Algo bloquea connect.facebook.net: un bloqueador de anuncios, la protección del navegador o la red. Desactívalo para esta página e intenta otra vez.",
                "Something blocks connect.facebook.net: an ad blocker, the browser's protection or the network. Switch it off for this page and try again.",
            ),
            Self::NoCode => (
                "La ventana de Meta terminó sin darnos el permiso. No se perdió nada: pulsa el botón otra vez.",
                "Meta's window ended without giving us the permission. Nothing is lost: press the button again.",
            ),
            Self::Cancelled => (
                "La ventana de Meta se cerró antes de terminar. Pulsa el botón cuando quieras seguir.",
                "Meta's window was closed before the end. Press the button when you want to go on.",
            ),
            Self::CancelledAt => (
                "La ventana de Meta se cerró en el paso «{step}». Pulsa el botón cuando quieras seguir.",
                "Meta's window was closed at the step “{step}”. Press the button when you want to go on.",
            ),
            Self::MetaSaid => ("Meta dice:", "Meta says:"),
            Self::Session => (
                "Si pides ayuda, menciona esta sesión de Meta: {id}.",
                "If you ask for help, name this session of Meta's: {id}.",
            ),
            Self::Offline => (
                "No hay conexión con nosotros. Seguimos intentándolo.",
                "There is no connection to us. We keep trying.",
            ),
            Self::Choose => (
                "Hay varios números. ¿Cuál quieres conectar?",
                "There are several numbers. Which one do you want to connect?",
            ),
            Self::Answer => ("Continuar", "Go on"),
            Self::AskMode => (
                "Este número no quedó en el celular: en la ventana de Meta se creó o eligió un número aparte. ¿Qué querías?",
                "This number is not on the phone: another number was made or chosen in Meta's window. What did you want?",
            ),
            Self::ModeYes => ("Sí, usar este número sin celular", "Yes, use this number without a phone"),
            Self::ModeNo => ("No: volver a elegir el de mi celular", "No: choose the one on my phone again"),
            Self::AskVerification => (
                "Meta quiere comprobar que el número es tuyo. Pide un código y escríbelo aquí.",
                "Meta wants to check that the number is yours. Ask for a code and type it here.",
            ),
            Self::Sms => ("Enviar el código por SMS", "Send the code by text message"),
            Self::Voice => ("Recibir el código por llamada", "Get the code by a call"),
            Self::CodeField => ("Código de 6 cifras", "Code of 6 digits"),
            Self::CodeSent => (
                "El código va en camino. Se puede pedir otro después de un minuto.",
                "The code is on its way. Another one can be asked for after a minute.",
            ),
            Self::AskPin => (
                "Este número ya tiene un PIN de verificación en dos pasos. Escríbelo; si no lo sabes, quítalo en WhatsApp Manager → Números de teléfono → Verificación en dos pasos.",
                "This number has a two-step verification PIN already. Type it; if you do not know it, take it away in WhatsApp Manager → Phone numbers → Two-step verification.",
            ),
            Self::TriesLeft => ("Intentos que quedan: {n}.", "Tries left: {n}."),
            Self::PinField => ("PIN de 6 cifras", "PIN of 6 digits"),
            Self::PastAsked => (
                "Pedimos a Meta los chats del celular; suelen llegar en minutos.",
                "We asked Meta for the phone's chats; they usually come within minutes.",
            ),
            Self::PastReceiving => {
                ("Recibiendo los chats del celular: {percent} %.", "Receiving the phone's chats: {percent} %.")
            }
            Self::PastCopying => (
                "Copiando los chats: {written} de {messages} mensajes.",
                "Copying the chats: {written} of {messages} messages.",
            ),
            Self::PastDone => (
                "Los chats del celular están copiados: {written} mensajes.",
                "The phone's chats are copied: {written} messages.",
            ),
            Self::PastNotShared => (
                "En la ventana de Meta se eligió no compartir los chats anteriores.",
                "In Meta's window it was chosen not to share the earlier chats.",
            ),
            Self::PastTooLate => (
                "Los chats anteriores ya no se pueden pedir: Meta solo los da durante un día.",
                "The earlier chats cannot be asked for any more: Meta gives them for a day only.",
            ),
            Self::PastNothing => ("Meta no envió chats anteriores.", "Meta sent no earlier chats."),
            Self::Number => ("Número: {number}", "Number: {number}"),
        };
        pick(locale, es, en)
    }
}

/// What will happen, line by line.
pub fn happens(locale: Locale) -> [&'static str; 4] {
    match locale {
        Locale::Es => [
            "Se abre una ventana de Meta. Entras con tu cuenta de Facebook.",
            "Eliges tu empresa y tu número, y confirmas con un código.",
            "Al terminar, la ventana se cierra y aquí ves cada paso.",
            "Conectamos tu número con la bandeja de tu equipo. Tarda uno o dos minutos.",
        ],
        Locale::En => [
            "A window of Meta's opens. You log in with your Facebook account.",
            "You choose your business and your number, and confirm with a code.",
            "At the end the window closes, and you see each step here.",
            "We connect your number with your team's inbox. It takes a minute or two.",
        ],
    }
}

/// What changes on the phone, line by line.
pub fn changes(locale: Locale) -> [&'static str; 4] {
    match locale {
        Locale::Es => [
            "La aplicación de WhatsApp Business sigue funcionando; hace falta una versión reciente.",
            "Los dispositivos vinculados, como WhatsApp Web, se cierran una vez y se vuelven a vincular.",
            "Las listas de difusión, los mensajes temporales y los de una sola vista dejan de funcionar en los chats.",
            "Tú decides en la ventana si se comparten los chats de los últimos 180 días. El celular se debe abrir al menos cada 14 días.",
        ],
        Locale::En => [
            "The WhatsApp Business app goes on working; it has to be a recent version.",
            "Linked devices, such as WhatsApp Web, are logged out once and have to be linked again.",
            "Broadcast lists, disappearing messages and view-once messages stop working in chats.",
            "You decide in the window whether the chats of the last 180 days are shared. The phone has to be opened at least every 14 days.",
        ],
    }
}

/// The names of the steps, by the words of the answers.
pub fn steps(locale: Locale) -> [(&'static str, &'static str); 8] {
    let names = match locale {
        Locale::Es => [
            "Permiso de Meta",
            "Cuenta y número",
            "Bandeja de entrada",
            "Canal",
            "Avisos de mensajes",
            "Registro del número",
            "Libreta de contactos",
            "Chats anteriores",
        ],
        Locale::En => [
            "Meta's permission",
            "Account and number",
            "Inbox",
            "Channel",
            "Notices of messages",
            "Registration of the number",
            "Contact book",
            "Earlier chats",
        ],
    };
    let words = ["token", "assets", "inbox", "channel", "subscribed", "register", "contacts", "history"];
    std::array::from_fn(|at| (words[at], names[at]))
}

/// Meta's steps, by its own words, for a dialog that was broken off.
pub fn dialog_steps(locale: Locale) -> [(&'static str, &'static str); 6] {
    match locale {
        Locale::Es => [
            ("BUSINESS_ACCOUNT_SELECTION", "elegir la empresa"),
            ("WABA_PHONE_PROFILE_PICKER", "elegir la cuenta y el número"),
            ("WHATSAPP_BUSINESS_PROFILE_SETUP", "datos de la empresa"),
            ("PHONE_NUMBER_SETUP", "escribir el número"),
            ("PHONE_NUMBER_VERIFICATION", "código de verificación"),
            ("PERMISSIONS", "permisos"),
        ],
        Locale::En => [
            ("BUSINESS_ACCOUNT_SELECTION", "choosing the business"),
            ("WABA_PHONE_PROFILE_PICKER", "choosing account and number"),
            ("WHATSAPP_BUSINESS_PROFILE_SETUP", "data of the business"),
            ("PHONE_NUMBER_SETUP", "typing the number"),
            ("PHONE_NUMBER_VERIFICATION", "verification code"),
            ("PERMISSIONS", "permissions"),
        ],
    }
}

/// Every fault, with the word of the answers.
pub const FAULTS: [(&str, SignupFault); 21] = [
    ("code", SignupFault::Code),
    ("code_lost", SignupFault::CodeLost),
    ("token", SignupFault::Token),
    ("permissions", SignupFault::Permissions),
    ("elsewhere", SignupFault::Elsewhere),
    ("other_number", SignupFault::OtherNumber),
    ("no_number", SignupFault::NoNumber),
    ("not_on_phone", SignupFault::NotOnPhone),
    ("on_phone", SignupFault::OnPhone),
    ("grant_only", SignupFault::GrantOnly),
    ("migration", SignupFault::Migration),
    ("setup", SignupFault::Setup),
    ("no_account", SignupFault::NoAccount),
    ("wrong_code", SignupFault::WrongCode),
    ("wrong_pin", SignupFault::WrongPin),
    ("pin_locked", SignupFault::PinLocked),
    ("too_often", SignupFault::TooOften),
    ("registration", SignupFault::Registration),
    ("fields", SignupFault::Fields),
    ("meta", SignupFault::Meta),
    ("chatwoot", SignupFault::Chatwoot),
];

/// What a fault means to the person, and what they can do.
pub fn fault(fault: SignupFault, locale: Locale) -> &'static str {
    let (es, en) = match fault {
        SignupFault::Code => (
            "Meta no aceptó el permiso: pasó más de medio minuto o ya se había usado. Pulsa el botón otra vez.",
            "Meta did not accept the permission: more than half a minute went by, or it was used. Press the button again.",
        ),
        SignupFault::CodeLost => (
            "El permiso se perdió en el camino. Pulsa el botón otra vez; no se creó nada dos veces.",
            "The permission was lost on its way. Press the button again; nothing was made twice.",
        ),
        SignupFault::Token => (
            "Meta retiró el permiso. Pulsa el botón y vuelve a pasar por la ventana.",
            "Meta took the permission back. Press the button and go through the window again.",
        ),
        SignupFault::Permissions => (
            "Falta un permiso: en la ventana de Meta hay que dejar marcados todos. Pulsa el botón otra vez.",
            "A permission is missing: all have to stay ticked in Meta's window. Press the button again.",
        ),
        SignupFault::Elsewhere => (
            "Este número ya pertenece a otra cuenta de este servicio. No se cambió nada. Avisa a la persona que te envió el enlace, o elige otro número.",
            "This number belongs to another account of this service already. Nothing was changed. Tell the person who sent you the link, or choose another number.",
        ),
        SignupFault::OtherNumber => (
            "Este enlace es para volver a conectar otro número. Pulsa el botón y elige el número de siempre.",
            "This link is for connecting another number again. Press the button and choose the number you had.",
        ),
        SignupFault::NoNumber => (
            "Terminaste sin número. Pulsa el botón y agrega un número en la ventana de Meta.",
            "You ended without a number. Press the button and add a number in Meta's window.",
        ),
        SignupFault::NotOnPhone => (
            "Pulsa el botón y en la ventana de Meta elige «Conectar tu cuenta de WhatsApp Business existente».",
            "Press the button and choose “Connect your existing WhatsApp Business account” in Meta's window.",
        ),
        SignupFault::OnPhone => (
            "Este número sigue solo en el celular. Marca «Este número ya está en WhatsApp Business en un celular», pulsa el botón y termina todos los pasos, también los del celular.",
            "This number is on the phone alone still. Mark “This number is in WhatsApp Business on a phone already”, press the button and go through all steps, those on the phone as well.",
        ),
        SignupFault::GrantOnly => (
            "En la ventana de Meta solo se renovó el acceso, y así no se conecta un número nuevo. Pulsa el botón y elige o agrega el número.",
            "In Meta's window only the access was given anew, and that connects no new number. Press the button and choose or add the number.",
        ),
        SignupFault::Migration => (
            "Este número viene de otro proveedor, que deja de recibir sus mensajes. Si no estás seguro, pregunta antes a la persona que te envió el enlace.",
            "This number comes from another provider, which will get no more of its messages. If you are not sure, ask the person who sent you the link first.",
        ),
        SignupFault::Setup => (
            "Algo está mal configurado de nuestro lado. Avisa a la persona que te envió el enlace; cuando lo corrija, abre este enlace otra vez.",
            "Something is set up wrongly on our side. Tell the person who sent you the link; once it is mended, open this link again.",
        ),
        SignupFault::NoAccount => {
            ("Meta todavía no nos muestra tu cuenta de WhatsApp.", "Meta does not show us your WhatsApp account yet.")
        }
        SignupFault::WrongCode => {
            ("El código no es correcto o ya venció. Pide otro.", "The code is wrong or over. Ask for another one.")
        }
        SignupFault::WrongPin => ("El PIN no es correcto.", "The PIN is wrong."),
        SignupFault::PinLocked => (
            "Se probaron demasiados PIN y Meta bloqueó el número por unas horas. Quita el PIN en WhatsApp Manager; después seguimos solos.",
            "Too many PINs were tried, and Meta locked the number for some hours. Take the PIN away in WhatsApp Manager; afterwards it goes on by itself.",
        ),
        SignupFault::TooOften => (
            "Meta no permite más intentos por ahora. Espera unas horas y abre este enlace otra vez.",
            "Meta allows no more tries for now. Wait some hours and open this link again.",
        ),
        SignupFault::Registration => (
            "Meta no registró el número todavía. Seguimos intentándolo; la persona que te envió el enlace ya puede verlo.",
            "Meta has not registered the number yet. We keep trying; the person who sent you the link can see it.",
        ),
        SignupFault::Fields => (
            "Falta un ajuste de nuestro lado en Meta. Seguimos solos cuando esté.",
            "A setting on our side is missing at Meta. It goes on by itself once it is there.",
        ),
        SignupFault::Meta => (
            "Meta no responde bien en este momento. Seguimos intentándolo.",
            "Meta does not answer properly at the moment. We keep trying.",
        ),
        SignupFault::Chatwoot => (
            "La bandeja de entrada no responde en este momento. Seguimos solos, aunque cierres esta página.",
            "The inbox does not answer at the moment. It goes on by itself even if you close this page.",
        ),
    };
    pick(locale, es, en)
}

/// Why a link leads nowhere, by the word of the answers.
pub fn closed(why: &str, locale: Locale) -> (&'static str, &'static str) {
    let (es, en) = match why {
        "forged" => (
            ("El enlace no está completo", "Cópialo entero, o pide a quien te lo envió que lo mande otra vez."),
            ("The link is not complete", "Copy all of it, or ask the person who sent it to send it again."),
        ),
        "expired" => (
            ("El enlace venció", "Pide uno nuevo a la persona que te lo envió."),
            ("The link is over", "Ask the person who sent it for a new one."),
        ),
        "revoked" => (
            ("El enlace se retiró", "Pide uno nuevo a la persona que te lo envió."),
            ("The link was taken back", "Ask the person who sent it for a new one."),
        ),
        "used" => (
            ("El enlace se usa en otro navegador", "Ábrelo donde empezaste, o pide a quien te lo envió que lo libere."),
            (
                "The link is used in another browser",
                "Open it where you began, or ask the person who sent it to free it.",
            ),
        ),
        "codes" => (
            ("Con este enlace ya se intentó demasiadas veces", "Pide uno nuevo a la persona que te lo envió."),
            ("This link was tried too often", "Ask the person who sent it for a new one."),
        ),
        "later" => (
            ("No pudimos abrir tu visita en este momento", "Abre otra vez el enlace que te enviaron."),
            ("Your visit could not be opened just now", "Open the link that was sent to you once more."),
        ),
        "cookie" | "nonce" => (
            ("Este navegador no guardó la visita", "Permite las cookies para esta página y abre el enlace otra vez."),
            ("This browser did not keep the visit", "Allow cookies for this page and open the link again."),
        ),
        _ => (
            ("Este enlace no existe", "Pide uno nuevo a la persona que te lo envió."),
            ("There is no such link", "Ask the person who sent it for a new one."),
        ),
    };
    match locale {
        Locale::Es => es,
        Locale::En => en,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_sentence_is_there_in_both_languages() {
        for (name, text) in SignupText::SCRIPT {
            assert_ne!(text.text(Locale::Es), text.text(Locale::En), "{name}");
        }
        let names: HashSet<_> = SignupText::SCRIPT.iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), SignupText::SCRIPT.len());
    }

    #[test]
    fn every_fault_has_words_in_both_languages() {
        for (_, one) in FAULTS {
            assert_ne!(fault(one, Locale::Es), fault(one, Locale::En));
        }
    }
}
