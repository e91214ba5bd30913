//! Reports how far the erasure of a person's data is.

use domain::Timestamp;

use super::span;
use crate::{Locale, pick};

/// How far the erasure of a person's data is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErasureSummary {
    /// An agent asked by the label; if it is removed before then, nothing happens.
    Labeled {
        /// When it begins.
        until: Timestamp,
    },
    /// The customer asked, and has not confirmed it.
    Asked {
        /// Until when they may.
        until: Timestamp,
    },
    /// It is certain, or running.
    Certain,
}

impl ErasureSummary {
    /// The line, as Markdown.
    pub(super) fn text(self, now: Timestamp, locale: Locale) -> String {
        match self {
            Self::Labeled { until } => {
                let left = span(until.since(now), locale);
                match locale {
                    Locale::Es => format!(
                        "pedido con la etiqueta `borrar-datos`; empieza en {left}. Quita la etiqueta antes si no va."
                    ),
                    Locale::En => format!(
                        "asked for by the label `borrar-datos`; it begins in {left}. Take the label away before that if it is not meant."
                    ),
                }
            }
            Self::Asked { until } => {
                let left = span(until.since(now), locale);
                match locale {
                    Locale::Es => format!("el cliente lo pidió y puede confirmarlo durante {left} más."),
                    Locale::En => format!("the customer asked for it, and may confirm it for {left} more."),
                }
            }
            Self::Certain => pick(
                locale,
                "está en marcha; ya no se puede retirar y a esta persona no se le puede escribir.",
                "it is underway; it cannot be withdrawn, and this person cannot be written to.",
            )
            .to_owned(),
        }
    }
}
