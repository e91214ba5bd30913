//! Holds the words that the bridge itself adds to messages for customers.

use crate::Locale;

/// A few words between the business's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutboundText {
    /// On the button that opens a list; at most 20 characters.
    OpenList,
    /// Above choices that came without a question.
    Choose,
    /// Above the questions of a form that came without text.
    PleaseAnswer,
}

impl OutboundText {
    /// The text.
    pub fn text(self, locale: Locale) -> &'static str {
        let (es, en) = match self {
            Self::OpenList => ("Ver opciones", "See options"),
            Self::Choose => ("Elige una opción:", "Choose an option:"),
            Self::PleaseAnswer => ("Por favor, responde:", "Please answer:"),
        };
        super::pick(locale, es, en)
    }
}
