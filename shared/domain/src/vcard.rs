//! Writes address cards as a vCard 3.0 file (RFC 2426), which any address book opens.

mod read;

use crate::message::Card;

pub use read::parse;

/// A line longer than this many bytes goes on in the next one, after a space (RFC 2425 §5.8.1).
const MAX_LINE_BYTES: usize = 75;

/// All cards as one file: those of the sender's phone as they came, the others made from their fields.
pub fn compose(cards: &[Card]) -> String {
    cards.iter().map(|card| card.vcard.as_deref().and_then(own).unwrap_or_else(|| made(card))).collect()
}

/// What to call the file.
pub fn file_name(cards: &[Card]) -> String {
    let name = match cards {
        [card] => card.name.as_deref().unwrap_or_default(),
        _ => "",
    };
    let plain: String = name.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-')).take(60).collect();
    let plain = plain.trim();
    if plain.is_empty() { "contactos.vcf".to_owned() } else { format!("{plain}.vcf") }
}

/// Meta's own card, if it is valid: with the line ends the format asks for.
fn own(vcard: &str) -> Option<String> {
    let lines: Vec<&str> = vcard.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    let is = |line: Option<&&str>, what: &str| line.is_some_and(|line| line.eq_ignore_ascii_case(what));
    (is(lines.first(), "BEGIN:VCARD") && is(lines.last(), "END:VCARD"))
        .then(|| lines.iter().flat_map(|line| [line, "\r\n"]).collect())
}

fn made(card: &Card) -> String {
    let mut out = String::from("BEGIN:VCARD\r\nVERSION:3.0\r\n");
    let name = card.name.as_ref().or(card.company.as_ref()).or(card.phones.first()).map_or("", String::as_str);
    let mut line = |field: &str, value: &str| out.push_str(&folded(&format!("{field}:{value}")));
    // Where a name has parts, the file needs them separate; a name shared whole stays whole.
    line("N", &format!(";{};;;", escaped(name)));
    line("FN", &escaped(name));
    if let Some(company) = &card.company {
        line("ORG", &escaped(company));
    }
    if let Some(title) = &card.title {
        line("TITLE", &escaped(title));
    }
    for phone in &card.phones {
        line("TEL;TYPE=CELL", &escaped(phone));
    }
    for email in &card.emails {
        line("EMAIL;TYPE=INTERNET", &escaped(email));
    }
    for address in &card.addresses {
        line("ADR", &format!(";;{};;;;", escaped(address)));
    }
    for url in &card.urls {
        // A URI is no text: nothing in it is escaped.
        line("URL", &url.replace(['\r', '\n'], ""));
    }
    if let Some(birthday) = &card.birthday {
        line("BDAY", &escaped(birthday));
    }
    out.push_str("END:VCARD\r\n");
    out
}

/// Backslash, comma, semicolon and line ends have a meaning of their own (RFC 2426 §4).
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.replace("\r\n", "\n").chars() {
        match c {
            '\\' | ',' | ';' => out.extend(['\\', c]),
            '\n' | '\r' => out.push_str("\\n"),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

fn folded(line: &str) -> String {
    let mut out = String::with_capacity(line.len() + 2);
    let mut length = 0;
    for c in line.chars() {
        if length + c.len_utf8() > MAX_LINE_BYTES {
            out.push_str("\r\n ");
            length = 1;
        }
        out.push(c);
        length += c.len_utf8();
    }
    out.push_str("\r\n");
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn card(name: &str) -> Card {
        Card { name: Some(name.to_owned()), phones: vec!["+52 1 55 5555 0170".to_owned()], ..Card::default() }
    }

    #[test]
    fn a_card_becomes_a_file_that_says_the_same() {
        let card = Card { company: Some("Motos; Salas, S.A.".to_owned()), ..card("Ernesto\\Salas\nJr") };
        assert_eq!(
            compose(&[card]),
            "BEGIN:VCARD\r\nVERSION:3.0\r\nN:;Ernesto\\\\Salas\\nJr;;;\r\nFN:Ernesto\\\\Salas\\nJr\r\n\
             ORG:Motos\\; Salas\\, S.A.\r\nTEL;TYPE=CELL:+52 1 55 5555 0170\r\nEND:VCARD\r\n"
        );
    }

    #[test]
    fn the_phones_own_card_stays_and_a_broken_one_is_made_anew() {
        let own = |vcard: &str| compose(&[Card { vcard: Some(vcard.to_owned()), ..card("Eva") }]);
        assert_eq!(own("BEGIN:VCARD\nFN:Eva\n\nEND:VCARD"), "BEGIN:VCARD\r\nFN:Eva\r\nEND:VCARD\r\n");
        assert!(own("hola").contains("FN:Eva\r\n"));
    }

    #[test]
    fn the_file_is_named_after_the_one_person_in_it() {
        assert_eq!(file_name(&[card("../Ernesto \"Salas\"")]), "Ernesto Salas.vcf");
        assert_eq!(file_name(&[card("Eva"), card("Ana")]), "contactos.vcf");
        assert_eq!(file_name(&[Card::default()]), "contactos.vcf");
    }

    proptest! {
        #[test]
        fn no_text_breaks_out_of_its_line(text in "(?s).{0,120}") {
            let file = compose(&[card(&text)]);
            prop_assert!(file.split("\r\n").all(|line| line.len() <= MAX_LINE_BYTES && !line.contains(['\r', '\n'])));
            let unfolded = file.replace("\r\n ", "");
            let fields: Vec<_> = unfolded.split("\r\n").map(|line| line.split(':').next().unwrap()).collect();
            prop_assert_eq!(fields, ["BEGIN", "VERSION", "N", "FN", "TEL;TYPE=CELL", "END", ""]);
        }
    }
}
