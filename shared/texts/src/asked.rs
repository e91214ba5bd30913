//! Answers an agent who asked for a template by its name.

use crate::{Locale, pick};

/// The outcome of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandReply {
    /// It is now a message in the conversation, and is sent like any message.
    Written {
        /// Its name.
        name: String,
    },
    /// There is none of that name, or none was named.
    Unknown {
        /// What was typed.
        name: String,
        /// The templates that there are.
        names: Vec<String>,
    },
    /// It needs other values.
    Values {
        /// Its name.
        name: String,
        /// Its text, with the placeholders.
        body: String,
        /// How many there are.
        wanted: usize,
    },
    /// Meta does not say now which there are.
    NotNow,
    /// Meta does not let the bridge see which there are.
    Forbidden,
}

/// A list of more names than this does not help.
const MAX_NAMES_LISTED: usize = 30;

impl CommandReply {
    /// The note, as Markdown.
    pub fn text(&self, locale: Locale) -> String {
        match self {
            Self::Written { name } => match locale {
                Locale::Es => format!("Plantilla `{name}`: está aquí arriba como mensaje; sus marcas dicen si llegó."),
                Locale::En => {
                    format!("Template `{name}`: it stands above this note as a message; its marks tell whether it arrived.")
                }
            },
            Self::Unknown { name, names } => unknown(name, names, locale),
            Self::NotNow => pick(
                locale,
                "WhatsApp no dice ahora qué plantillas hay; no se envió nada. Escribe el comando otra vez en unos minutos.",
                "WhatsApp does not tell right now which templates there are; nothing was sent. Write the command again in a few minutes.",
            )
            .to_owned(),
            Self::Forbidden => pick(
                locale,
                "WhatsApp no deja ver las plantillas de este número: se perdió el permiso. No se envió nada; avisa al operador.",
                "WhatsApp does not let this number's templates be seen: the permission was lost. Nothing was sent; tell the operator.",
            )
            .to_owned(),
            Self::Values { name, body, wanted } => {
                let lead = match (locale, wanted) {
                    (Locale::Es, 0) => {
                        format!("La plantilla `{name}` no lleva valores; escribe solo `/plantilla {name}`.")
                    }
                    (Locale::En, 0) => {
                        format!("The template `{name}` takes no values; write `/template {name}` alone.")
                    }
                    (Locale::Es, wanted) => format!(
                        "La plantilla `{name}` lleva {wanted} valor(es), separados por |: `/plantilla {name} {}`.",
                        places("valor", *wanted)
                    ),
                    (Locale::En, wanted) => format!(
                        "The template `{name}` takes {wanted} value(s), with | between them: `/template {name} {}`.",
                        places("value", *wanted)
                    ),
                };
                format!("{lead}\n\n```\n{body}\n```")
            }
        }
    }
}

fn unknown(name: &str, names: &[String], locale: Locale) -> String {
    let name: String = name.chars().filter(|c| *c != '`').take(60).collect();
    let lead = match (locale, name.is_empty()) {
        (Locale::Es, true) => {
            "Escribe el nombre de la plantilla: `/plantilla nombre[:idioma] [valor | valor…]`.".to_owned()
        }
        (Locale::En, true) => "Write the template's name: `/template name[:language] [value | value…]`.".to_owned(),
        (Locale::Es, false) => format!("No hay una plantilla aprobada `{name}`."),
        (Locale::En, false) => format!("There is no approved template `{name}`."),
    };
    if names.is_empty() {
        let none = pick(
            locale,
            "Este número no tiene plantillas aprobadas; avisa al operador si debería.",
            "This number has no approved templates; tell the operator if it should.",
        );
        return format!("{lead} {none}");
    }
    let known: Vec<_> = names.iter().take(MAX_NAMES_LISTED).map(|name| format!("`{name}`")).collect();
    let more = if names.len() > MAX_NAMES_LISTED { "…" } else { "" };
    format!("{lead} {} {}{more}", pick(locale, "Hay:", "There are:"), known.join(", "))
}

fn places(word: &str, count: usize) -> String {
    (1..=count).map(|at| format!("{word} {at}")).collect::<Vec<_>>().join(" | ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_says_how_to_go_on() {
        let names = vec!["saludo".to_owned(), "recordatorio".to_owned()];
        let unknown = CommandReply::Unknown { name: "salud".to_owned(), names };
        assert_eq!(unknown.text(Locale::Es), "No hay una plantilla aprobada `salud`. Hay: `saludo`, `recordatorio`");
        let values = CommandReply::Values { name: "saludo".to_owned(), body: "Hola {{1}}".to_owned(), wanted: 1 };
        assert!(values.text(Locale::En).contains("`/template saludo value 1`"));
        let none = CommandReply::Unknown { name: String::new(), names: Vec::new() };
        assert!(none.text(Locale::Es).contains("no tiene plantillas aprobadas"));
    }
}
