//! Describes to agents what arrived from WhatsApp and is not plain text. Examples are choices, orders and calls. The values put
//! into these sentences are Markdown already.

use crate::{Locale, pick};
use domain::{Author, message::Call};

/// A line about something that arrived from WhatsApp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InboundText<'a> {
    /// Written on the shop's phone, above its words.
    OnThePhone,
    /// A location.
    Location,
    /// An address card.
    Contact(&'a str),
    /// The customer's own card, sent because the business had asked for it.
    OwnContact(&'a str),
    /// A button or a row was chosen; its text.
    Choice(&'a str),
    /// A form was filled in, and what it is called.
    Form(Option<&'a str>),
    /// A file of a form that only the form's own server gets.
    FormFile(&'a str),
    /// A question about a product of the catalog, by the shop's own id of it.
    Product(&'a str),
    /// A cart.
    Order,
    /// What a cart costs.
    Total(&'a str),
    /// A reaction.
    Reaction(&'a str),
    /// A reaction was taken back.
    ReactionRemoved,
    /// A message was changed.
    Edited,
    /// A message was changed and has no text any more.
    EditedToNothing,
    /// A part of a message was deleted for everyone on the shop's phone.
    PartRevoked,
    /// A message with no visible content.
    Blank,
    /// The message was forwarded.
    Forwarded {
        /// Through many chats.
        often: bool,
    },
    /// The advert or post that brought the customer.
    Advert {
        /// A post, and no advert.
        post: bool,
        /// Its headline.
        headline: Option<&'a str>,
    },
    /// The customer has a new number.
    NewNumber(ProfileChange<'a>),
    /// The customer has a new user id.
    NewUser,
    /// The customer's security code changed.
    NewDevice,
    /// Something else about the customer changed.
    Changed,
    /// Meta's own agent and the business handed the chat over; whether the business has it now.
    Handover(Option<bool>),
    /// Above what is said while Meta's own agent has the chat, and who says it.
    Standby(Author),
    /// What the advert had greeted the customer with.
    Welcome(&'a str),
    /// A call, and who called.
    Call(Call, Author),
    /// The customer wants no marketing.
    MarketingStopped,
    /// The customer accepts marketing again.
    MarketingResumed,
    /// The customer signed up for marketing.
    MarketingSignup,
    /// Another preference was changed.
    PreferenceChanged,
    /// Something that only the phone can show.
    Unsupported(UnsupportedText<'a>),
}

/// What something was before and is now, where Meta says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProfileChange<'a> {
    /// Before.
    pub old: Option<&'a str>,
    /// Now.
    pub new: Option<&'a str>,
}

/// Something that only the phone can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnsupportedText<'a> {
    /// Who sent it.
    pub author: Author,
    /// Meta's word for it.
    pub what: &'a str,
    /// Meta's error code.
    pub code: Option<i64>,
}

impl InboundText<'_> {
    /// The text of the line.
    pub fn text(self, locale: Locale) -> String {
        let (es, en) = match self {
            Self::OnThePhone => ("📱 Desde el celular de la tienda", "📱 From the shop's phone"),
            Self::Location => ("📍 Ubicación", "📍 Location"),
            Self::Contact(name) => return both(locale, ("👤 Contacto: ", "👤 Contact: "), name),
            Self::OwnContact(name) => {
                let es = "👤 Compartió su propio contacto, como se lo pedimos: ";
                return both(locale, (es, "👤 Shared their own contact, as we had asked: "), name);
            }
            Self::Choice(title) => return both(locale, ("Eligió: ", "Chose: "), title),
            Self::Form(title) => {
                let form = pick(locale, "📋 Formulario", "📋 Form");
                return title.map_or_else(|| form.to_owned(), |title| format!("{form}: {title}"));
            }
            Self::FormFile(name) => {
                let why = pick(
                    locale,
                    "WhatsApp no lo entrega aquí; pídelo en el chat",
                    "WhatsApp does not hand it over here; ask for it in the chat",
                );
                return format!("{name} ({why})");
            }
            Self::Product(id) => {
                return both(locale, ("🏷️ Pregunta por el producto ", "🏷️ Asks about the product "), id);
            }
            Self::Order => ("🛒 Pedido", "🛒 Order"),
            Self::Total(total) => return format!("Total: {total}"),
            Self::Reaction(emoji) => return both(locale, ("Reaccionó con ", "Reacted with "), emoji),
            Self::ReactionRemoved => ("Quitó su reacción", "Took the reaction back"),
            Self::Edited => ("✏️ Editado", "✏️ Edited"),
            Self::EditedToNothing => ("✏️ Editado: ahora no dice nada", "✏️ Edited: it says nothing any more"),
            Self::PartRevoked => (
                "🗑️ Se eliminó en el teléfono una parte de este mensaje",
                "🗑️ A part of this message was deleted on the phone",
            ),
            Self::Blank => ("(mensaje en blanco)", "(blank message)"),
            Self::Forwarded { often: false } => ("↪️ Reenviado", "↪️ Forwarded"),
            Self::Forwarded { often: true } => ("↪️ Reenviado muchas veces", "↪️ Forwarded many times"),
            Self::Advert { post, headline } => {
                let (es, en) = if post {
                    ("📣 Llegó por una publicación", "📣 Came from a post")
                } else {
                    ("📣 Llegó por un anuncio", "📣 Came from an advert")
                };
                let came = pick(locale, es, en);
                return headline.map_or_else(|| came.to_owned(), |headline| format!("{came}: **{headline}**"));
            }
            Self::NewNumber(change) => {
                let (es, en) = ("ℹ️ El cliente cambió de número", "ℹ️ The customer changed number");
                return change.text(pick(locale, es, en), locale);
            }
            Self::NewUser => ("ℹ️ El cliente cambió de usuario de WhatsApp", "ℹ️ The customer changed WhatsApp user"),
            Self::NewDevice => (
                "ℹ️ Cambió el código de seguridad del cliente: reinstaló WhatsApp o cambió de teléfono",
                "ℹ️ The customer's security code changed: WhatsApp was installed anew or on another phone",
            ),
            Self::Changed => ("ℹ️ El cliente cambió sus datos en WhatsApp", "ℹ️ The customer changed WhatsApp details"),
            Self::Handover(Some(true)) => (
                "🤖 El agente de Meta les pasó el chat: ahora responden ustedes",
                "🤖 Meta's agent passed the chat to you: now you answer",
            ),
            Self::Handover(Some(false)) => (
                "🤖 El agente de Meta tiene ahora el chat y responde él",
                "🤖 Meta's agent has the chat now and answers in it",
            ),
            Self::Handover(None) => {
                ("🤖 Cambió quién atiende este chat en WhatsApp", "🤖 Who looks after this chat on WhatsApp changed")
            }
            Self::Standby(Author::Customer) => (
                "🤖 El cliente escribe al agente de Meta, que tiene el chat:",
                "🤖 The customer writes to Meta's agent, who has the chat:",
            ),
            Self::Standby(Author::Business) => ("🤖 El agente de Meta responde:", "🤖 Meta's agent answers:"),
            Self::Welcome(text) => {
                return both(locale, ("💬 Saludo del anuncio: ", "💬 The advert's greeting: "), text);
            }
            Self::Call(call, author) => return call_line(call, author, locale),
            Self::MarketingStopped => {
                ("🔕 El cliente pidió no recibir marketing", "🔕 The customer asked for no marketing")
            }
            Self::MarketingResumed => {
                ("🔔 El cliente acepta marketing otra vez", "🔔 The customer accepts marketing again")
            }
            Self::MarketingSignup => {
                ("🔔 El cliente se suscribió al marketing", "🔔 The customer signed up for marketing")
            }
            Self::PreferenceChanged => ("ℹ️ El cliente cambió una preferencia", "ℹ️ The customer changed a preference"),
            Self::Unsupported(unsupported) => return unsupported.text(locale),
        };
        pick(locale, es, en).to_owned()
    }
}

fn both(locale: Locale, words: (&'static str, &'static str), value: &str) -> String {
    format!("{}{value}", pick(locale, words.0, words.1))
}

/// Whether a listed text is about a customer's reaction, in either language.
pub fn is_reaction(listed: &str) -> bool {
    let removed = |locale| listed == InboundText::ReactionRemoved.text(locale);
    let put = |locale| listed.starts_with(InboundText::Reaction("").text(locale).as_str());
    [Locale::Es, Locale::En].into_iter().any(|locale| removed(locale) || put(locale))
}

fn in_brackets(word: &str, value: Option<&str>) -> String {
    value.map(|value| format!(" ({word}{value})")).unwrap_or_default()
}

impl ProfileChange<'_> {
    fn text(self, what: &str, locale: Locale) -> String {
        match (self.old, self.new, locale) {
            (Some(old), Some(new), Locale::Es) => format!("{what}: de {old} a {new}"),
            (Some(old), Some(new), Locale::En) => format!("{what}: from {old} to {new}"),
            (None, Some(new), Locale::Es) => format!("{what}: ahora {new}"),
            (None, Some(new), Locale::En) => format!("{what}: now {new}"),
            (Some(old), None, Locale::Es) => format!("{what}: antes {old}"),
            (Some(old), None, Locale::En) => format!("{what}: before {old}"),
            (None, None, _) => what.to_owned(),
        }
    }
}

fn call_line(call: Call, author: Author, locale: Locale) -> String {
    let theirs = author == Author::Customer;
    let (es, en) = match call {
        Call::Answered { seconds } => {
            let (es, en) = if theirs {
                ("📞 Llamada del cliente contestada", "📞 The customer's call was answered")
            } else {
                ("📞 El cliente contestó la llamada", "📞 The customer answered the call")
            };
            let line = pick(locale, es, en);
            let time = seconds.filter(|seconds| *seconds > 0).map(duration);
            return format!("{line}{}", in_brackets("", time.as_deref()));
        }
        Call::Missed if theirs => (
            "📞 Llamada perdida: el cliente llamó por WhatsApp y nadie contestó",
            "📞 Missed call: the customer called on WhatsApp and nobody answered",
        ),
        Call::Missed => ("📞 El cliente no contestó la llamada", "📞 The customer did not answer the call"),
        Call::Rejected if theirs => ("📞 Llamada del cliente rechazada", "📞 The customer's call was turned down"),
        Call::Rejected => ("📞 El cliente rechazó la llamada", "📞 The customer turned the call down"),
        Call::Permission { given: true } => {
            ("📞 El cliente permite que lo llamen por WhatsApp", "📞 The customer allows calls on WhatsApp")
        }
        Call::Permission { given: false } => {
            ("📞 El cliente no permite que lo llamen por WhatsApp", "📞 The customer does not allow calls on WhatsApp")
        }
        Call::Underway => ("📞 Llamada de WhatsApp", "📞 WhatsApp call"),
    };
    pick(locale, es, en).to_owned()
}

/// As a phone shows it.
fn duration(seconds: i64) -> String {
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds} s"),
        (0, _) => format!("{minutes} min {seconds} s"),
        _ => format!("{hours} h {minutes} min"),
    }
}

impl UnsupportedText<'_> {
    fn text(self, locale: Locale) -> String {
        let who = match self.author {
            Author::Customer => pick(locale, "⚠️ El cliente envió", "⚠️ The customer sent"),
            Author::Business => pick(locale, "⚠️ Desde el teléfono se envió", "⚠️ From the phone went out"),
        };
        let (what, why) = match self.code {
            Some(131_052) => (
                match self.what {
                    "image" | "video" | "audio" | "document" | "sticker" => kind(self.what, locale),
                    _ => pick(locale, "un archivo", "a file"),
                },
                pick(
                    locale,
                    "que no se pudo descargar (pesa más de 100 MB o está dañado). Míralo en el teléfono o pide que lo envíe más pequeño",
                    "that could not be downloaded (larger than 100 MB, or damaged). Look at the phone, or ask for a smaller one",
                ),
            ),
            Some(131_060) => (
                pick(locale, "un mensaje", "a message"),
                pick(
                    locale,
                    "que WhatsApp solo muestra en el teléfono. Míralo ahí: aquí no llegará",
                    "that WhatsApp shows on the phone only. Look at it there: it will not come here",
                ),
            ),
            _ => (
                kind(self.what, locale),
                pick(
                    locale,
                    "que WhatsApp no muestra aquí. Míralo en el teléfono",
                    "that WhatsApp does not show here. Look at the phone",
                ),
            ),
        };
        // Meta's word helps where ours says nothing.
        let word = Some(self.what)
            .filter(|what| self.code.is_none_or(|code| code == 131_051) && !is_named(what) && is_word(what));
        format!("{who} {what} {why}{}", in_brackets("", word))
    }
}

/// Meta's word comes from outside; it is shown only if it looks like one word.
fn is_word(what: &str) -> bool {
    let plain = what.len() <= 40 && what.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    plain && !what.is_empty() && !matches!(what, "unsupported" | "unknown" | "errors")
}

/// Whether we have a word of our own for it.
fn is_named(what: &str) -> bool {
    kind(what, Locale::Es) != "un mensaje"
}

/// Meta's advice (whatsapp-cloud-api.md §2.2).
fn kind(what: &str, locale: Locale) -> &'static str {
    let (es, en) = match what {
        "button" | "interactive" | "list" => ("un mensaje con botones", "a message with buttons"),
        "edit" => ("una edición", "an edit"),
        "gif" => ("un GIF", "a GIF"),
        "group_invite" => ("una invitación a un grupo", "an invitation to a group"),
        "hsm" => ("una plantilla", "a template"),
        "image" => ("una imagen", "an image"),
        "video" => ("un video", "a video"),
        "audio" => ("un audio", "an audio"),
        "document" => ("un documento", "a document"),
        "sticker" => ("un sticker", "a sticker"),
        "keep_in_chat" | "pin" => ("un mensaje fijado", "a pinned message"),
        "link_preview" => ("un enlace con vista previa", "a link with a preview"),
        "location" => ("una ubicación", "a location"),
        "media_placeholder" => ("un archivo", "a file"),
        "order" => ("un pedido", "an order"),
        "poll_creation" => ("una encuesta", "a poll"),
        "poll_update" => ("un voto en una encuesta", "a vote in a poll"),
        "product" => ("un producto", "a product"),
        "reaction" => ("una reacción", "a reaction"),
        "contacts" => ("un contacto", "a contact"),
        _ => ("un mensaje", "a message"),
    };
    pick(locale, es, en)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unsupported(what: &str, code: Option<i64>) -> String {
        InboundText::Unsupported(UnsupportedText { author: Author::Customer, what, code }).text(Locale::Es)
    }

    #[test]
    fn what_only_the_phone_shows_sends_the_agent_there() {
        for (what, code) in [("poll_creation", Some(131_051)), ("unsupported", Some(131_060)), ("video", Some(131_052))]
        {
            let line = unsupported(what, code);
            assert!(line.contains("en el teléfono") && !line.contains(&code.unwrap().to_string()), "{line}");
        }
        assert!(unsupported("poll_creation", Some(131_051)).contains("una encuesta"));
        assert!(unsupported("hologram", None).ends_with(" (hologram)"));
        assert!(!unsupported("](https://x.mx)", None).contains("x.mx"));
    }

    #[test]
    fn a_call_is_told_as_a_telephone_would() {
        let say = |call, author| InboundText::Call(call, author).text(Locale::Es);
        let answered = |seconds| say(Call::Answered { seconds: Some(seconds) }, Author::Customer);
        assert_eq!(answered(85), "📞 Llamada del cliente contestada (1 min 25 s)");
        assert_eq!(answered(7_265), "📞 Llamada del cliente contestada (2 h 1 min)");
        assert!(say(Call::Missed, Author::Customer).contains("perdida"));
        assert!(say(Call::Rejected, Author::Business).contains("rechazó"));
    }
}
