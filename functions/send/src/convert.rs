//! Turns what Chatwoot holds into what WhatsApp takes.

pub(crate) mod interactive;
pub(crate) mod location;
pub(crate) mod media;
pub(crate) mod parts;
pub(crate) mod template;
mod voice;
