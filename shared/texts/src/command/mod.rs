//! Commands let an agent ask the bridge for something. A command is a private note that begins with `/`. One table holds all
//! commands; the help text is made from it, and `docs/agents.md` is checked against it.

pub mod reply;

mod values;

pub use values::{emoji, values};

use crate::{Locale, pick};

/// A command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Report the state of the conversation.
    State,
    /// Report what was imported of the phone's past.
    History,
    /// Send a template.
    Template,
    /// Send again what failed.
    Retry,
    /// Ask the customer for their number.
    AskNumber,
    /// Erase the quoted message.
    Erase,
    /// Make one contact of those that are one person's.
    Merge,
    /// Put an emoji on a message.
    React,
    /// List the commands.
    Help,
}

/// A command as agents know it. Names come in pairs, Spanish and English; either is understood in every locale.
#[derive(Clone, Copy, Debug)]
pub struct CommandHelp {
    /// Which one it is.
    pub command: Command,
    /// Its names, without the `/`.
    pub names: [&'static str; 2],
    /// The arguments after it; empty if it takes none.
    pub arguments: [&'static str; 2],
    /// What it does.
    pub does: [&'static str; 2],
}

/// All of them.
pub const TABLE: [CommandHelp; 9] = [
    CommandHelp {
        command: Command::State,
        names: ["estado", "status"],
        arguments: ["", ""],
        does: [
            "hasta cuándo se puede escribir, qué pasó con los últimos mensajes y cómo está el número",
            "until when you may write, what became of the last messages, and how the number is",
        ],
    },
    CommandHelp {
        command: Command::History,
        names: ["historial", "history"],
        arguments: ["", ""],
        does: [
            "qué se copió del celular de la tienda a esta conversación, y qué no",
            "what was copied from the shop's phone into this conversation, and what was not",
        ],
    },
    CommandHelp {
        command: Command::Template,
        names: ["plantilla", "template"],
        arguments: ["nombre[:idioma] [valor | valor…]", "name[:language] [value | value…]"],
        does: [
            "envía una plantilla aprobada; los valores, en su orden y separados por |",
            "sends an approved template; its values in their order, with | between them",
        ],
    },
    CommandHelp {
        command: Command::Retry,
        names: ["reintentar", "retry"],
        arguments: ["", ""],
        does: [
            "envía otra vez todo lo que falló en esta conversación, en su orden; por lo que pudo haber salido, pregunta antes",
            "sends again all that failed in this conversation, in its order; it asks first about what may have gone out",
        ],
    },
    CommandHelp {
        command: Command::React,
        names: ["reaccionar", "react"],
        arguments: ["👍", "👍"],
        does: [
            "pone ese emoji en el mensaje que citas, o en el último del cliente",
            "puts that emoji on the message you quote, or on the customer's last one",
        ],
    },
    CommandHelp {
        command: Command::AskNumber,
        names: ["telefono", "phone"],
        arguments: ["[texto]", "[text]"],
        does: [
            "pide su número al cliente que no lo muestra, con el botón de WhatsApp para compartirlo",
            "asks a customer who shows none for their number, with WhatsApp's button that shares it",
        ],
    },
    CommandHelp {
        command: Command::Merge,
        names: ["unir", "merge"],
        arguments: ["", ""],
        does: [
            "une en este contacto los demás contactos de la misma persona; pregunta antes, y se repite para confirmar",
            "merges the other contacts of the same person into this one; it asks first, and is repeated to confirm",
        ],
    },
    CommandHelp {
        command: Command::Erase,
        names: ["borrar", "erase"],
        arguments: ["", ""],
        does: [
            "borra de Chatwoot el mensaje que citas, con sus archivos y ediciones, y lo apunta en el registro de borrados",
            "erases the message you quote from Chatwoot, with its files and edits, and notes it in the ledger of erasures",
        ],
    },
    CommandHelp {
        command: Command::Help,
        names: ["ayuda", "help"],
        arguments: ["", ""],
        does: ["esta lista", "this list"],
    },
];

/// A note that is meant as a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandCall {
    /// Which command; `None` if no command has that name.
    pub command: Option<Command>,
    /// The name as it was typed, without the `/`.
    pub name: String,
    /// The arguments behind it.
    pub rest: String,
}

impl CommandCall {
    /// Reads a note, in Markdown as Chatwoot's editor writes it. A note is a command if it begins with `/` and a word, whatever
    /// that word contains. A slash anywhere else, or a path, is not a command. A Markdown mark at the end of the word is not
    /// part of it.
    pub fn parse(note: &str) -> Option<Self> {
        let note = unescaped(note.trim());
        let called = note.strip_prefix('/')?;
        let end = called.find(char::is_whitespace).unwrap_or(called.len());
        let (name, rest) = called.split_at(end);
        let name = name.trim_end_matches(|c: char| c != '/' && !c.is_alphanumeric());
        if name.is_empty() || name.contains('/') {
            return None;
        }
        // A phone's keyboard writes the accent by itself.
        let lower = name.to_lowercase().replace('é', "e");
        let command = TABLE.iter().find(|row| row.names.contains(&lower.as_str())).map(|row| row.command);
        Some(Self { command, name: name.to_owned(), rest: rest.trim().to_owned() })
    }
}

/// The editor puts a backslash before everything that might be a mark, for example in `recordatorio\_servicio`.
fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match rest.peek() {
            Some(next) if c == '\\' && next.is_ascii_punctuation() => out.extend(rest.next()),
            // A hard line end.
            Some('\n') if c == '\\' => {}
            _ => out.push(c),
        }
    }
    out
}

/// Whether an agent says that all is meant, also what the bridge asked about.
pub fn is_all(typed: &str) -> bool {
    let typed = typed.trim().trim_end_matches(['.', '!']).to_lowercase();
    ["todo", "todos", "all", "sí", "si", "yes"].contains(&typed.as_str())
}

/// The list of commands, a line each, as Markdown.
pub fn help(locale: Locale) -> String {
    let line = |row: &CommandHelp| {
        let [names, arguments, does] = [row.names, row.arguments, row.does].map(|[es, en]| pick(locale, es, en));
        let blank = if arguments.is_empty() { "" } else { " " };
        format!("- `/{names}{blank}{arguments}`: {does}")
    };
    let lead = pick(
        locale,
        "Escribe uno de estos comandos como nota privada:",
        "Write one of these commands as a private note:",
    );
    format!("{lead}\n\n{}", TABLE.iter().map(line).collect::<Vec<_>>().join("\n"))
}

/// The answer to a command that does not exist.
pub fn unknown(locale: Locale, name: &str) -> String {
    let name: String = name.chars().filter(|c| *c != '`').take(40).collect();
    let lead = match locale {
        Locale::Es => format!("No hay ningún comando `/{name}`."),
        Locale::En => format!("There is no command `/{name}`."),
    };
    format!("{lead} {}", help(locale))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn called(note: &str) -> Option<(Option<Command>, String)> {
        CommandCall::parse(note).map(|called| (called.command, called.rest))
    }

    #[test]
    fn a_command_is_a_note_that_begins_with_a_slash_and_a_word() {
        assert_eq!(called("/estado"), Some((Some(Command::State), String::new())));
        assert_eq!(called("  /Estado \n"), Some((Some(Command::State), String::new())));
        assert_eq!(called("/Teléfono ¿me lo das?"), Some((Some(Command::AskNumber), "¿me lo das?".to_owned())));
        assert_eq!(called("/status"), Some((Some(Command::State), String::new())));
        assert_eq!(called("/ayuda por favor").unwrap().0, Some(Command::Help));
        assert_eq!(called("/borra todo"), Some((None, "todo".to_owned())));
        assert_eq!(called("/Estado."), Some((Some(Command::State), String::new())));
        assert_eq!(called("/ayuda! por favor"), Some((Some(Command::Help), "por favor".to_owned())));
        for unknown in ["/plantilla2", "/mi\\_comando", "/borrar-datos", "/24h", "/24", "/borra,"] {
            assert_eq!(called(unknown), Some((None, String::new())), "{unknown}");
        }
        for no in
            ["", "/", "/ mañana", "//", "hola /estado", "/etc/hosts", "/etc/", "5/6", "/!", "¿/ayuda?", "`/ayuda`"]
        {
            assert_eq!(called(no), None, "{no}");
        }
    }

    #[test]
    fn what_the_editor_escaped_is_read_as_it_was_typed() {
        let template = |rest: &str| Some((Some(Command::Template), rest.to_owned()));
        assert_eq!(
            called("/plantilla recordatorio\\_servicio Ana \\| 250Z"),
            template("recordatorio_servicio Ana | 250Z")
        );
        assert_eq!(called("/plantilla saludo\\\nAna"), template("saludo\nAna"));
        assert_eq!(called("/plantilla ruta c:\\moto"), template("ruta c:\\moto"));
    }

    #[test]
    fn help_names_every_command_in_both_languages() {
        for row in TABLE {
            assert!(help(Locale::Es).contains(&format!("`/{}", row.names[0])));
            assert!(help(Locale::En).contains(&format!("`/{}", row.names[1])));
        }
        assert!(unknown(Locale::Es, "borra").starts_with("No hay ningún comando `/borra`. Escribe uno"));
    }

    #[test]
    fn the_agents_page_knows_every_command_and_no_other() {
        let page = include_str!("../../../../docs/agents.md");
        let rows: Vec<_> = page.lines().filter(|line| line.starts_with("| `/")).collect();
        let expected: Vec<_> = TABLE
            .iter()
            .map(|row| {
                let ([es, en], [arguments, _], [does, _]) = (row.names, row.arguments, row.does);
                let blank = if arguments.is_empty() { "" } else { " " };
                // A bar ends a cell of a table.
                let cell = format!("{es}{blank}{arguments}").replace('|', "\\|");
                format!("| `/{cell}` | `/{en}` | {} |", does.replace('|', "`\\|`"))
            })
            .collect();
        assert_eq!(rows, expected);
    }
}
