//! Holds every sentence a person reads, in the locale of `infra/policy.toml`.
//!
//! The other crates know states and failures. What an agent, a customer or a visitor of the deletion page reads about them is
//! here, in Spanish and in English side by side.

mod file;
mod hold;
mod locale;
mod money;
mod note;
mod refusals;
mod send_failure;
mod template;

pub mod asked;
pub mod brake;
pub mod command;
pub mod dashboard;
pub mod deletion;
pub mod history;
pub mod inbound;
pub mod joined;
pub mod outbound;
pub mod overwritten;
pub mod report;
pub mod signup;

pub use locale::{Locale, UnknownLocale};
pub use money::money;
pub use note::{NoteText, yes_or_no};
pub use send_failure::incomplete;

/// What a person reads about something that the domain knows.
pub trait Text {
    /// What happened or what it is called; for a failure also what to do.
    fn text(self, locale: Locale) -> String;
}

fn pick(locale: Locale, es: &'static str, en: &'static str) -> &'static str {
    match locale {
        Locale::Es => es,
        Locale::En => en,
    }
}
