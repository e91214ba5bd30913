//! Reports the state of a conversation to the agent who asked.

mod erasing;
mod meta;

use std::time::Duration;

use unicode_segmentation::UnicodeSegmentation as _;

pub use erasing::ErasureSummary;
pub use meta::{NumberReport, TemplatesReport};

use crate::{Locale, Text as _, pick, send_failure::partly};
use domain::{
    Delivery, Outcome, Outgoing, Part, Timestamp, Window, channel::SendHold, history::ImportState,
    outgoing::DisplayedStatus, window::WINDOW_LENGTH,
};

/// How many characters of a message are shown, to recognize it.
const MAX_EXCERPT_LENGTH: usize = 40;

/// After this without a report from Meta something is wrong with a message it accepted.
const UNREPORTED_AFTER: Duration = Duration::from_secs(24 * 3600);

/// The state of a conversation.
#[derive(Clone, Debug)]
pub struct ConversationReport {
    /// When.
    pub now: Timestamp,
    /// Since when the window has been open.
    pub window: Window,
    /// Until when Meta charges nothing, if an advert brought them.
    pub free_until: Option<Timestamp>,
    /// Whether the customer can be reached at all; a number may now belong to another person.
    pub reachable: bool,
    /// The business number as people read it.
    pub number: String,
    /// Why messages wait, if they do.
    pub hold: Option<SendHold>,
    /// What Meta says of the number.
    pub line: NumberReport,
    /// What it says of the templates, if it does.
    pub templates: Option<TemplatesReport>,
    /// The erasure that is open about them, if there is one.
    pub erasure: Option<ErasureSummary>,
    /// How far the import of the phone's history is, unless it is over or there is none.
    pub history: Option<ImportState>,
    /// The agents' last messages, the oldest first.
    pub last: Vec<MessageReport>,
}

/// A file of a message, as an agent would call it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileSummary {
    /// A picture.
    Picture,
    /// A video.
    Film,
    /// A recording or a piece of music.
    Sound,
    /// A card of a person.
    Card,
    /// Any other file.
    Document,
}

/// An agent's message.
#[derive(Clone, Debug)]
pub struct MessageReport {
    /// When it was written.
    pub written_at: Timestamp,
    /// The beginning of its text.
    pub begins: String,
    /// Its files.
    pub files: Vec<FileSummary>,
    /// What became of it.
    pub fate: MessageFate,
}

/// What became of an agent's message.
#[derive(Clone, Debug)]
pub enum MessageFate {
    /// The bridge is working on it, or has done so.
    Seen(Outgoing),
    /// The bridge has not seen it yet.
    Unseen,
    /// It is from before the bridge was responsible for the conversation, and not the bridge's to send.
    NotOurs,
}

impl ConversationReport {
    /// The note, as Markdown.
    pub fn text(&self, locale: Locale) -> String {
        let [window, messages, number] = [("Ventana", "Window"), ("Mensajes", "Messages"), ("Número", "Number")]
            .map(|(es, en)| pick(locale, es, en));
        let free = self.free_until.filter(|until| *until > self.now).map(|until| self.free(until, locale));
        let mut lines =
            vec![format!("**{window}**: {}{}", self.window(locale), free.unwrap_or_default()), String::new()];
        if self.last.is_empty() {
            lines.push(format!("**{messages}**: {}", pick(locale, "ninguno reciente.", "none lately.")));
        } else {
            lines.push(format!("**{messages}**:"));
            lines.push(String::new());
            lines.extend(self.last.iter().map(|told| format!("- {}", self.line(told, locale))));
        }
        let state = match self.hold {
            Some(hold) => hold.text(locale),
            None => pick(locale, "conectado; envía con normalidad.", "connected; it sends normally.").to_owned(),
        };
        lines.extend([String::new(), format!("**{number}** {}: {state} {}", self.number, self.line.text(locale))]);
        if let Some(templates) = &self.templates {
            let title = pick(locale, "Plantillas", "Templates");
            lines.extend([String::new(), format!("**{title}**: {}", templates.text(locale))]);
        }
        if let Some(state) = self.history {
            let past = pick(locale, "Historial del celular", "History of the phone");
            lines.extend([String::new(), format!("**{past}**: {}", crate::history::progress(state, locale))]);
        }
        if let Some(erasure) = self.erasure {
            let data = pick(locale, "Borrado de datos", "Erasure of data");
            lines.extend([String::new(), format!("**{data}**: {}", erasure.text(self.now, locale))]);
        }
        lines.join("\n")
    }

    fn window(&self, locale: Locale) -> String {
        if !self.reachable {
            return pick(
                locale,
                "el número de este cliente ya es de otra persona; no se le puede escribir aquí.",
                "this customer's number is somebody else's now; they cannot be written to here.",
            )
            .to_owned();
        }
        let Some(start) = self.window.start() else {
            return pick(
                locale,
                "el cliente no ha escrito a este número; solo se le puede enviar una plantilla.",
                "the customer has not written to this number; only a template can be sent.",
            )
            .to_owned();
        };
        let closes = start + WINDOW_LENGTH;
        if self.window.is_open(self.now) {
            let left = span(closes.since(self.now), locale);
            return match locale {
                Locale::Es => format!("abierta; se cierra en {left}."),
                Locale::En => format!("open; it closes in {left}."),
            };
        }
        let ago = span(self.now.since(closes), locale);
        match locale {
            Locale::Es => format!("cerrada desde hace {ago}; usa una plantilla."),
            Locale::En => format!("closed {ago} ago; use a template."),
        }
    }

    fn free(&self, until: Timestamp, locale: Locale) -> String {
        let left = span(until.since(self.now), locale);
        match locale {
            Locale::Es => format!(" Llegó por un anuncio: durante {left} más nada se cobra, plantillas incluidas."),
            Locale::En => format!(" An advert brought them: for {left} more nothing is charged, templates included."),
        }
    }

    fn line(&self, told: &MessageReport, locale: Locale) -> String {
        let ago = span(self.now.since(told.written_at), locale);
        let ago = match locale {
            Locale::Es => format!("hace {ago}"),
            Locale::En => format!("{ago} ago"),
        };
        let begins = begins(&told.begins);
        let quoted = match begins.as_str() {
            "" => shown(&told.files, locale).map(|files| format!(" ({files})")).unwrap_or_default(),
            begins => format!(" «{begins}»"),
        };
        format!("{ago}{quoted}: {}", told.standing(self.now, locale))
    }
}

impl MessageReport {
    /// Whether Meta took it and reported nothing of it for a day: not that it was sent, nor that it failed.
    pub fn is_unreported(&self, now: Timestamp) -> bool {
        let MessageFate::Seen(outgoing) = &self.fate else { return false };
        let silent = |part: &Part| matches!(part, Part::Accepted { delivery: Delivery::Accepted, .. });
        let is_out = matches!(outgoing.outcome(), Outcome::Out(_));
        is_out && outgoing.parts().iter().any(silent) && now.since(outgoing.asked_at()) >= UNREPORTED_AFTER
    }

    fn standing(&self, now: Timestamp, locale: Locale) -> String {
        let outgoing = match &self.fate {
            MessageFate::Seen(outgoing) => outgoing,
            MessageFate::Unseen => return pick(locale, "todavía no sale.", "not sent yet.").to_owned(),
            MessageFate::NotOurs => {
                return pick(
                    locale,
                    "es de antes de conectar esta conversación; no sale por aquí.",
                    "from before this conversation was connected; it is not sent from here.",
                )
                .to_owned();
            }
        };
        let (es, en) = match outgoing.outcome() {
            Outcome::Out(DisplayedStatus::Delivered) => ("entregado.", "delivered."),
            Outcome::Out(DisplayedStatus::Read) => ("leído.", "read."),
            Outcome::Out(_) if self.is_unreported(now) => (
                "WhatsApp lo aceptó y en más de un día no dijo nada más; quizá no llegó. Pregunta al cliente.",
                "WhatsApp accepted it and has said nothing more for over a day; it may not have arrived. Ask the customer.",
            ),
            Outcome::Out(_) => ("enviado.", "sent."),
            Outcome::Underway if outgoing.parts().iter().any(|part| part.waiting_since().is_some()) => {
                ("en espera; se reintenta solo.", "waiting; it is tried again by itself.")
            }
            Outcome::Underway => ("en camino.", "on its way."),
            Outcome::Incomplete { failure, accepted } => {
                return partly(failure, locale, accepted, outgoing.parts().len());
            }
        };
        pick(locale, es, en).to_owned()
    }
}

impl FileSummary {
    /// One of it, and the word for several.
    fn text(self, locale: Locale) -> (&'static str, &'static str) {
        let (es, en) = match self {
            Self::Picture => (("una foto", "fotos"), ("a photo", "photos")),
            Self::Film => (("un video", "videos"), ("a video", "videos")),
            Self::Sound => (("un audio", "audios"), ("an audio", "audios")),
            Self::Card => (("un contacto", "contactos"), ("a contact", "contacts")),
            Self::Document => (("un archivo", "archivos"), ("a file", "files")),
        };
        match locale {
            Locale::Es => es,
            Locale::En => en,
        }
    }
}

/// What stands for a message without text.
fn shown(files: &[FileSummary], locale: Locale) -> Option<String> {
    let first = files.first()?;
    if files.len() == 1 {
        return Some(first.text(locale).0.to_owned());
    }
    let alike = if files.iter().all(|file| file == first) { *first } else { FileSummary::Document };
    Some(format!("{} {}", files.len(), alike.text(locale).1))
}

/// The beginning of a text on one line, without what would be a mark there.
pub(crate) fn begins(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let line: String =
        line.chars().filter(|c| !matches!(c, '*' | '_' | '~' | '`' | '\\' | '[' | ']' | '<' | '>')).collect();
    match line.grapheme_indices(true).nth(MAX_EXCERPT_LENGTH) {
        Some((at, _)) => format!("{}…", line[..at].trim_end()),
        None => line,
    }
}

/// A length of time, to the minute.
fn span(time: Duration, locale: Locale) -> String {
    let minutes = time.as_secs() / 60;
    let (days, hours, minutes) = (minutes / 1440, minutes / 60 % 24, minutes % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => pick(locale, "menos de un minuto", "less than a minute").to_owned(),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, 0) => format!("{hours} h"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, 0, _) => format!("{days} d"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{PartEvent, SendFailure, Wamid};

    const NOON: Timestamp = Timestamp::from_secs(1_795_190_400);

    fn report(window: Window, last: Vec<MessageReport>) -> ConversationReport {
        ConversationReport {
            now: NOON,
            window,
            free_until: None,
            reachable: true,
            number: "+52 55 5555 0100".to_owned(),
            hold: None,
            line: NumberReport::Silent,
            templates: None,
            erasure: None,
            history: None,
            last,
        }
    }

    fn told(minutes: u64, begins: &str, event: Option<PartEvent>) -> MessageReport {
        let mut outgoing = Outgoing::new(NOON, 1);
        if let Some(event) = event {
            outgoing.apply(0, event).unwrap();
        }
        MessageReport {
            written_at: NOON - Duration::from_secs(60 * minutes),
            begins: begins.to_owned(),
            files: Vec::new(),
            fate: MessageFate::Seen(outgoing),
        }
    }

    #[test]
    fn a_report_tells_window_messages_and_number() {
        let read = PartEvent::Reported { attempt: Some(1), wamid: Wamid::new("w"), delivery: Delivery::Read };
        let failed = PartEvent::Failed { attempt: 0, failure: SendFailure::WindowClosed, captioned: false };
        let last = vec![
            told(125, "**Buenas**, la 250Z está en la tienda de siempre, venga", Some(read)),
            told(3, "", Some(failed)),
        ];
        let window = Window::since(Some(NOON - Duration::from_secs(3600)));
        assert_eq!(
            report(window, last).text(Locale::Es),
            format!(
                "**Ventana**: abierta; se cierra en 23 h.\n\n**Mensajes**:\n\n\
                 - hace 2 h 5 min «Buenas, la 250Z está en la tienda de sie…»: leído.\n- hace 3 min: {}\n\n\
                 **Número** +52 55 5555 0100: conectado; envía con normalidad. {}",
                SendFailure::WindowClosed.text(Locale::Es),
                NumberReport::Silent.text(Locale::Es)
            )
        );
    }

    #[test]
    fn a_message_without_words_is_called_what_it_is() {
        let said = |files: &[FileSummary]| {
            let told = MessageReport { files: files.to_vec(), ..told(3, "", None) };
            report(Window::default(), vec![told]).text(Locale::Es)
        };
        assert!(said(&[FileSummary::Picture]).contains("hace 3 min (una foto): en camino"));
        assert!(said(&[FileSummary::Sound, FileSummary::Sound]).contains("(2 audios)"));
        assert!(said(&[FileSummary::Sound, FileSummary::Picture, FileSummary::Film]).contains("(3 archivos)"));
        assert!(said(&[]).contains("hace 3 min: en camino"));
    }

    #[test]
    fn an_open_erasure_is_told() {
        let told = |erasing| {
            ConversationReport { erasure: Some(erasing), ..report(Window::default(), Vec::new()) }.text(Locale::Es)
        };
        let until = NOON + Duration::from_secs(23 * 3600);
        assert!(told(ErasureSummary::Labeled { until }).contains("etiqueta `borrar-datos`; empieza en 23 h"));
        assert!(told(ErasureSummary::Asked { until }).contains("confirmarlo durante 23 h"));
        assert!(told(ErasureSummary::Certain).contains("está en marcha"));
    }

    #[test]
    fn what_is_from_before_the_bridge_is_not_promised() {
        let told = |fate| MessageReport { fate, ..told(3, "hola", None) };
        let said =
            report(Window::default(), vec![told(MessageFate::NotOurs), told(MessageFate::Unseen)]).text(Locale::Es);
        assert!(said.contains("«hola»: es de antes de conectar esta conversación; no sale por aquí."), "{said}");
        assert!(said.contains("«hola»: todavía no sale."), "{said}");
    }

    #[test]
    fn a_window_that_never_opened_or_is_closed_says_what_to_do() {
        assert!(report(Window::default(), Vec::new()).text(Locale::Es).contains("no ha escrito"));
        let closed = Window::since(Some(NOON - Duration::from_secs(26 * 3600)));
        assert!(report(closed, Vec::new()).text(Locale::En).contains("closed 2 h ago; use a template"));
        let held = ConversationReport { hold: Some(SendHold::Paused), ..report(closed, Vec::new()) };
        assert!(held.text(Locale::Es).contains("en pausa"));
    }
}
