//! Cuts an agent's message into parts. The same message gives the same parts each time, so that the outbox can refer
//! to "part 2".

use chatwoot::{
    files,
    listing::{ListedFile, ListedMessage},
};
use domain::{Outgoing, SendFailure, message::Location, outgoing::MessageKind, template::Picked};
use texts::{Locale, command::CommandCall, inbound::InboundText};
use whatsapp::{
    interactive::Menu,
    names,
    split::{CAPTION_LIMIT, TEXT_LIMIT, length, split},
};

use super::{
    interactive::{self, InteractiveForm},
    location,
    media::is_cards,
};

/// The content of one part.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum PartContent<'m> {
    /// A template.
    Template(&'m Picked),
    /// Text.
    Text(String),
    /// A question with buttons or a list.
    Menu(Menu),
    /// A location on the map.
    Location(Location),
    /// An emoji on the quoted message.
    Reaction(String),
    /// A question for the customer's number.
    NumberRequest(String),
    /// A file, with or without a caption.
    File {
        /// The file in Chatwoot.
        file: &'m ListedFile,
        /// The text under it.
        caption: Option<String>,
    },
}

impl PartContent<'_> {
    /// Whether a file has to be brought to Meta first.
    pub(crate) fn has_file(&self) -> bool {
        matches!(self, Self::File { .. } | Self::Template(Picked { file: Some(_), .. }))
    }

    /// Whether it is text under a file, which can go out without it.
    pub(crate) fn is_captioned(&self) -> bool {
        matches!(self, Self::File { caption: Some(_), .. })
    }
}

/// The parts of a message, in the order they are sent: text first, unless it fits under the first file that takes a caption.
pub(crate) fn plan(message: &ListedMessage, locale: Locale) -> Vec<PartContent<'_>> {
    if message.has_lost_items() || message.lacks_link() || is_command(message) {
        return Vec::new();
    }
    let files = message.files();
    let file = |file| PartContent::File { file, caption: None };
    let text = match words(message, locale) {
        TextPlacement::Text(text) => text,
        TextPlacement::Alone(content) => return std::iter::once(content).chain(files.iter().map(file)).collect(),
    };
    let captioned = files.iter().position(takes_caption).filter(|_| length(&text) <= CAPTION_LIMIT);
    let mut caption = captioned.and((!text.is_empty()).then_some(text.clone()));
    let mut parts: Vec<PartContent<'_>> = match caption {
        Some(_) => Vec::new(),
        None => split(&text, TEXT_LIMIT).into_iter().map(PartContent::Text).collect(),
    };
    for (at, file) in files.iter().enumerate() {
        let caption = if captioned == Some(at) { caption.take() } else { None };
        parts.push(PartContent::File { file, caption });
    }
    parts
}

/// The same for a message already being sent: once a file's caption is sent separately, it is the last part.
pub(crate) fn plan_of<'m>(message: &'m ListedMessage, outgoing: &Outgoing, locale: Locale) -> Vec<PartContent<'m>> {
    match outgoing.kind() {
        MessageKind::Reaction => return vec![PartContent::Reaction(message.text().to_owned())],
        MessageKind::NumberRequest => return vec![PartContent::NumberRequest(markup::to_whatsapp(message.typed()))],
        MessageKind::Unsorted | MessageKind::Plain | MessageKind::Template => {}
    }
    let mut parts = plan(message, locale);
    if outgoing.is_caption_apart() {
        let text = parts.iter_mut().find_map(|part| match part {
            PartContent::File { caption, .. } => caption.take(),
            _ => None,
        });
        parts.extend(text.map(PartContent::Text));
    }
    parts
}

/// The name of a part's file.
pub(crate) fn file_name(message: &ListedMessage, outgoing: &Outgoing, locale: Locale, at: usize) -> Option<String> {
    match plan_of(message, outgoing, locale).get(at)? {
        PartContent::File { file, .. } => names::safe(&files::name(file.data_url.as_deref()?)?),
        _ => None,
    }
}

/// Why a message has no parts.
pub(crate) fn why_empty(message: &ListedMessage) -> SendFailure {
    match () {
        () if message.has_lost_items() => SendFailure::ItemsLost,
        () if message.lacks_link() => SendFailure::LinkMissing,
        () if is_command(message) => SendFailure::Command,
        () => SendFailure::Empty,
    }
}

/// Whether a message to the customer begins with a command, or ends with a paragraph that is one: it was meant as a note. The
/// paragraph above may be a signature; marks of styles do not count. A name that is no command's is plain text.
fn is_command(message: &ListedMessage) -> bool {
    let is_one = |text: &str| {
        let bare = text.trim_start().trim_start_matches(['*', '_', '~', '`']);
        CommandCall::parse(bare).is_some_and(|called| called.command.is_some())
    };
    let text = message.text().trim();
    let last = text.rsplit("\n\n").next().filter(|last| !last.trim().contains('\n'));
    is_one(text) || last.is_some_and(is_one)
}

/// What a message holds besides its files.
enum TextPlacement<'m> {
    /// Text of any length.
    Text(String),
    /// A part that cannot carry a file.
    Alone(PartContent<'m>),
}

fn words(message: &ListedMessage, locale: Locale) -> TextPlacement<'_> {
    let text = markup::to_whatsapp(message.typed());
    match message.rich().map(|rich| interactive::shown(&text, &rich, locale)) {
        Some(InteractiveForm::Menu(menu)) => TextPlacement::Alone(PartContent::Menu(menu)),
        Some(InteractiveForm::Text(text)) => TextPlacement::Text(text),
        None => {
            let generic = InboundText::Location.text(locale);
            let location = location::read(&text, generic.trim_start_matches('📍').trim());
            location.map_or(TextPlacement::Text(text), |location| TextPlacement::Alone(PartContent::Location(location)))
        }
    }
}

/// Only audio and contact cards take no caption; any other file is sent as image, video or document.
fn takes_caption(file: &ListedFile) -> bool {
    let sound = file.content_type.as_deref().is_some_and(|mime| mime.starts_with("audio/"));
    !sound && file.file_type.as_deref() != Some("audio") && !is_cards(file)
}

#[cfg(test)]
mod tests {
    use domain::PartEvent;
    use serde_json::{Value, json};

    use super::*;

    fn message(text: &str, files: &Value) -> ListedMessage {
        serde_json::from_value(json!({ "id": 1, "message_type": 1, "content": text, "attachments": files })).unwrap()
    }

    fn shape(text: &str, files: &Value) -> Vec<String> {
        let message = message(text, files);
        let name = |part: &PartContent<'_>| match part {
            PartContent::Text(text) => format!("text {}", text.len()),
            PartContent::Template(_) => "template".to_owned(),
            PartContent::Menu(_) => "menu".to_owned(),
            PartContent::Location(_) => "location".to_owned(),
            PartContent::Reaction(_) | PartContent::NumberRequest(_) => "of a command".to_owned(),
            PartContent::File { file, caption } => {
                format!("{} {}", file.file_type.as_deref().unwrap_or_default(), caption.as_deref().unwrap_or("-"))
            }
        };
        plan(&message, Locale::Es).iter().map(name).collect()
    }

    #[test]
    fn words_go_under_the_first_file_that_takes_them() {
        let files = json!([{ "file_type": "audio", "data_url": "a" }, { "file_type": "image", "data_url": "b" }]);
        assert_eq!(shape("hola", &files), ["audio -", "image hola"]);
    }

    #[test]
    fn an_agents_marks_become_whatsapps() {
        assert_eq!(
            plan(&message("**Hoy** 5\\*3", &json!([])), Locale::Es),
            [PartContent::Text("*Hoy* 5*3".to_owned())]
        );
        let image = json!([{ "file_type": "image", "data_url": "a" }]);
        assert_eq!(shape("*la roja*", &image), ["image _la roja_"]);
    }

    #[test]
    fn words_no_file_takes_go_first() {
        let sound = json!([{ "file_type": "audio", "data_url": "a" }]);
        assert_eq!(shape("hola", &sound), ["text 4", "audio -"]);
        let image = json!([{ "file_type": "image", "data_url": "a" }]);
        assert_eq!(shape(&"x".repeat(2000), &image), ["text 2000", "image -"]);
    }

    #[test]
    fn the_words_under_a_file_that_cannot_be_had_go_apart() {
        let files = json!([{ "file_type": "audio", "data_url": "a" }, { "file_type": "image", "data_url": "http://c/b%20c.jpg" }]);
        let message = message("hola", &files);
        let mut outgoing = Outgoing::new(domain::Timestamp::from_secs(1), 2);
        let failed = PartEvent::Failed { attempt: 0, failure: SendFailure::FileEmpty, captioned: true };
        outgoing.apply(1, failed).unwrap();
        let parts = plan_of(&message, &outgoing, Locale::Es);
        assert_eq!((parts.len(), &parts[2]), (3, &PartContent::Text("hola".to_owned())));
        assert!(matches!(&parts[1], PartContent::File { caption: None, .. }));
        assert_eq!(file_name(&message, &outgoing, Locale::Es, 1).as_deref(), Some("b c.jpg"));
    }

    #[test]
    fn a_command_is_never_a_part() {
        assert_eq!(shape("/estado", &json!([])), Vec::<String>::new());
        assert_eq!(shape("/Plantilla saludo", &json!([{ "file_type": "image" }])), Vec::<String>::new());
        assert_eq!(shape("/mañana", &json!([])).len() + shape("ver /estado", &json!([])).len(), 2);
        assert_eq!(why_empty(&message("/ayuda", &json!([]))), SendFailure::Command);
    }

    #[test]
    fn a_long_text_goes_in_parts_and_nothing_in_none() {
        assert_eq!(shape(&"palabra ".repeat(700), &json!([])).len(), 2);
        assert_eq!(shape("  ", &json!(null)), Vec::<String>::new());
    }
}
