//! Names the attributes and explains the labels that agents see beside conversations.

use crate::{Locale, pick};

/// Something that the bridge shows in Chatwoot's own panels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PanelText {
    /// A customer's name on WhatsApp, that begins with `@`.
    Username,
    /// A customer's id, where there is no number.
    UserId,
    /// The click on an advert.
    AdvertClick,
    /// The advert.
    Advert,
    /// Whether it is an advert or a post.
    AdvertKind,
    /// The address of the advert.
    AdvertAddress,
    /// The label that asks for an erasure.
    Erase,
    /// The label that forbids one by time.
    Keep,
}

impl PanelText {
    /// The text that is shown.
    pub fn text(self, locale: Locale) -> &'static str {
        let (es, en) = match self {
            Self::Username => ("Usuario de WhatsApp", "WhatsApp username"),
            Self::UserId => ("Id de WhatsApp", "WhatsApp id"),
            Self::AdvertClick => ("Clic del anuncio", "Click of the advert"),
            Self::Advert => ("Anuncio", "Advert"),
            Self::AdvertKind => ("Tipo de anuncio", "Kind of advert"),
            Self::AdvertAddress => ("Enlace del anuncio", "Link to the advert"),
            Self::Erase => (
                "Pide borrar los datos de esta persona; empieza 24 h después",
                "Asks for the erasure of this person's data; it begins 24 h later",
            ),
            Self::Keep => (
                "Conserva los datos de esta persona más allá del plazo",
                "Keeps this person's data beyond the usual time",
            ),
        };
        pick(locale, es, en)
    }
}
