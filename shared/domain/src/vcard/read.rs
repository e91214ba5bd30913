//! Reads a vCard file of any version (RFC 2425, 2426, 6350). It keeps what a card has fields for.

use crate::message::Card;

/// The cards in a file; none if it is not a vCard. Photos, keys and all other properties are left out.
pub fn parse(file: &str) -> Vec<Card> {
    let mut cards = Vec::new();
    let mut open: Option<Card> = None;
    for line in unfolded(file) {
        let Some((name, value)) = line.split_once(':') else { continue };
        let mut parameters = name.split(';');
        // A group may come before the name: `item1.TEL`.
        let name = parameters.next().unwrap_or_default().rsplit('.').next().unwrap_or_default().to_ascii_uppercase();
        match (name.as_str(), &mut open) {
            ("BEGIN", _) if value.trim().eq_ignore_ascii_case("VCARD") => open = Some(Card::default()),
            ("END", card) => cards.extend(card.take().filter(|card| *card != Card::default())),
            (name, Some(card)) => {
                let quoted = parameters.any(|one| one.to_ascii_uppercase().ends_with("QUOTED-PRINTABLE"));
                let value = if quoted { printable(value) } else { value.to_owned() };
                add(card, name, &value);
            }
            (_, None) => {}
        }
    }
    cards
}

fn add(card: &mut Card, name: &str, value: &str) {
    let text = |by: &str| {
        let parts: Vec<String> = split(value).into_iter().filter(|part| !part.is_empty()).collect();
        Some(parts.join(by)).filter(|text| !text.is_empty())
    };
    match name {
        "FN" => card.name = text("; "),
        // Family name first; shown only if there is no whole one.
        "N" if card.name.is_none() => {
            let mut parts = split(value);
            parts.rotate_left(1);
            let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
            card.name = Some(parts.join(" ")).filter(|name| !name.is_empty());
        }
        "ORG" => card.company = text(", "),
        "TITLE" => card.title = text("; "),
        "TEL" => card.phones.extend(text("; ").map(|phone| phone.trim_start_matches("tel:").to_owned())),
        "EMAIL" => card.emails.extend(text("; ")),
        "ADR" => card.addresses.extend(text(", ")),
        "URL" => card.urls.extend(text(";")),
        "BDAY" => card.birthday = text("; "),
        _ => {}
    }
}

/// A line that begins with white space goes on with the one before; in version 2.1 one that ends in `=` goes on with the next.
fn unfolded(file: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for line in file.lines() {
        let soft = |last: &String| last.ends_with('=') && last.to_ascii_uppercase().contains("QUOTED-PRINTABLE");
        match (line.strip_prefix([' ', '\t']), lines.last_mut()) {
            (Some(more), Some(last)) => last.push_str(more),
            (None, Some(last)) if soft(last) => {
                last.pop();
                last.push_str(line);
            }
            _ => lines.push(line.to_owned()),
        }
    }
    lines
}

/// The parts between semicolons, each one line, without backslashes.
fn split(value: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut letters = value.chars();
    while let Some(letter) = letters.next() {
        let letter = match letter {
            ';' => {
                parts.push(String::new());
                continue;
            }
            '\\' => match letters.next() {
                Some('n' | 'N') | None => ' ',
                Some(letter) => letter,
            },
            letter if letter.is_control() => continue,
            letter => letter,
        };
        if let Some(part) = parts.last_mut() {
            part.push(letter);
        }
    }
    parts.into_iter().map(|part| part.trim().to_owned()).collect()
}

/// `=C3=B1` is `ñ`.
fn printable(value: &str) -> String {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let [first, tail @ ..] = rest {
        let digits = tail.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let coded = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()).filter(|_| *first == b'=');
        bytes.push(coded.unwrap_or(*first));
        rest = if coded.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn cards_of_all_versions_say_the_same() {
        let of = |version: &str, name: &str| {
            format!(
                "BEGIN:VCARD\r\nVERSION:{version}\r\n{name}\r\nitem1.TEL;type=CELL;waid=52155:+52 1 55\r\nEND:VCARD\r\n"
            )
        };
        let quoted = "FN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:Eva Mu=C3=\r\n=B1oz";
        for (version, name) in [("3.0", "FN:Eva Muñ\r\n oz"), ("4.0", "N:Muñoz;Eva;;;"), ("2.1", quoted)] {
            let [card] = &parse(&of(version, name))[..] else { panic!("{version}") };
            assert_eq!((card.name.as_deref(), &card.phones[..]), (Some("Eva Muñoz"), &["+52 1 55".to_owned()][..]));
        }
    }

    #[test]
    fn what_is_no_card_has_none() {
        for none in ["", "hola", "BEGIN:VCARD", "BEGIN:VCARD\nEND:VCARD", "FN:Eva\nEND:VCARD", "\u{0}\u{ff}"] {
            assert_eq!(parse(none), [], "{none}");
        }
    }

    proptest! {
        #[test]
        fn what_we_write_we_read(name in "[^\\p{C}\\p{Z}][^\\p{C}]{0,80}[^\\p{C}\\p{Z}]", company in "[a-z;,\\\\]{1,40}") {
            let card = Card { name: Some(name), company: Some(company), phones: vec!["+1".into()], ..Card::default() };
            let again = parse(&super::super::compose(std::slice::from_ref(&card)));
            prop_assert_eq!(again, [card]);
        }

        #[test]
        fn nothing_stops_it(file in "(?s)(BEGIN:VCARD\n)?.{0,200}") {
            parse(&file);
        }
    }
}
