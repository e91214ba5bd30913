//! Reads what a command is given: a file, standard input, a secret.

use std::io::{IsTerminal as _, Read as _};

use anyhow::{Context as _, bail};
use aws_sdk_dynamodb::primitives::{DateTime, DateTimeFormat};
use domain::Timestamp;
use secrecy::SecretString;

/// The longest secret that is read. Meta's tokens have some two hundred letters.
const LONGEST_SECRET: usize = 4096;

/// A file, or standard input.
pub(crate) fn read(file: &str) -> anyhow::Result<String> {
    if file != "-" {
        return std::fs::read_to_string(file).with_context(|| file.to_owned());
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    Ok(text)
}

/// A time as it is typed.
pub(crate) fn time(given: &str) -> Result<Timestamp, String> {
    let parsed = DateTime::from_str(given, DateTimeFormat::DateTimeWithOffset);
    let parsed = parsed.map_err(|_| "expected a time with its zone, such as 2026-11-24T09:00:00Z".to_owned())?;
    Ok(Timestamp::from_millis(parsed.to_millis().map_err(|error| error.to_string())?))
}

/// One secret from standard input. An argument would stand in the shell's history, and in every list of processes.
pub(crate) fn secret(what: &str) -> anyhow::Result<SecretString> {
    if std::io::stdin().is_terminal() {
        eprintln!("Paste {what}, then Enter:");
        let mut line = String::new();
        std::io::stdin().read_line(&mut line)?;
        return checked(what, line);
    }
    checked(what, read("-")?)
}

/// Secrets from standard input, a line each; an empty line, or none, is none.
pub(crate) fn secrets<const N: usize>(names: [&str; N]) -> anyhow::Result<[Option<SecretString>; N]> {
    let is_terminal = std::io::stdin().is_terminal();
    let mut read = [const { None }; N];
    for (name, place) in names.into_iter().zip(&mut read) {
        if is_terminal {
            eprintln!("Paste {name}, then Enter; only Enter keeps what is stored:");
        }
        let mut line = String::new();
        std::io::stdin().read_line(&mut line)?;
        if !line.trim().is_empty() {
            *place = Some(checked(name, line)?);
        }
    }
    Ok(read)
}

/// A secret as a member of a secret.
pub(crate) fn value(secret: &SecretString) -> serde_json::Value {
    secrecy::ExposeSecret::expose_secret(secret).into()
}

fn checked(what: &str, text: String) -> anyhow::Result<SecretString> {
    let text = text.trim();
    if text.is_empty() {
        bail!("{what} is needed on standard input, and nothing came");
    }
    if text.len() > LONGEST_SECRET || text.chars().any(|letter| letter.is_whitespace() || letter.is_control()) {
        bail!("what came on standard input is not {what}: it has several words, or is too long");
    }
    Ok(text.to_owned().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_one_word() {
        for wrong in ["", " \n", "one two", "one\ntwo"] {
            assert!(checked("a token", wrong.to_owned()).is_err(), "{wrong:?}");
        }
        assert!(checked("a token", "EAAG…\n".to_owned()).is_ok());
    }
}
