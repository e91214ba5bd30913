//! Says how imported history reads: titles, dates, sides, and what is not there.

use domain::{
    Author,
    history::{ImportState, PastState},
    message::MediaKind,
};

use crate::{Locale, Text as _, pick};

const MONTHS: [(&str, &str); 12] = [
    ("ene", "Jan"),
    ("feb", "Feb"),
    ("mar", "Mar"),
    ("abr", "Apr"),
    ("may", "May"),
    ("jun", "Jun"),
    ("jul", "Jul"),
    ("ago", "Aug"),
    ("sep", "Sep"),
    ("oct", "Oct"),
    ("nov", "Nov"),
    ("dic", "Dec"),
];

const WEEKDAYS: [(&str, &str); 7] =
    [("lun", "Mon"), ("mar", "Tue"), ("mié", "Wed"), ("jue", "Thu"), ("vie", "Fri"), ("sáb", "Sat"), ("dom", "Sun")];

/// A moment by the shop's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShopTime {
    /// Days since the epoch.
    day: i64,
    /// Minutes since midnight.
    minute: i64,
}

impl ShopTime {
    /// A moment in epoch seconds, so many minutes from UTC.
    pub fn at(secs: i64, utc_offset: i64) -> Self {
        let local = secs.div_euclid(60) + utc_offset;
        Self { day: local.div_euclid(1440), minute: local.rem_euclid(1440) }
    }

    /// The day, to be compared with another one.
    pub fn day(self) -> i64 {
        self.day
    }

    /// As on a clock.
    pub fn clock(self) -> String {
        format!("{:02}:{:02}", self.minute / 60, self.minute % 60)
    }

    /// Year, month from 0, day of the month.
    fn date(self) -> (i64, usize, i64) {
        // Howard Hinnant's `civil_from_days`: years begin in March, so that the leap day is the last.
        let days = self.day + 719_468;
        let era = days.div_euclid(146_097);
        let of_era = days.rem_euclid(146_097);
        let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * month + 2) / 5 + 1;
        let (month, carry) = if month < 10 { (month + 2, 0) } else { (month - 10, 1) };
        (era * 400 + year + carry, usize::try_from(month).unwrap_or_default(), day)
    }

    /// Day and month, with the year if so asked.
    pub fn short(self, locale: Locale, with_year: bool) -> String {
        let (year, month, day) = self.date();
        let (es, en) = MONTHS[month.min(11)];
        let year = if with_year { format!(" {year}") } else { String::new() };
        format!("{day} {}{year}", pick(locale, es, en))
    }

    /// The day as a heading.
    pub fn heading(self, locale: Locale) -> String {
        let (es, en) = WEEKDAYS[usize::try_from((self.day + 3).rem_euclid(7)).unwrap_or_default()];
        format!("{} {}", pick(locale, es, en), self.short(locale, true))
    }
}

/// The distance from UTC, as people write it.
fn zone(utc_offset: i64) -> String {
    let sign = if utc_offset < 0 { '−' } else { '+' };
    let minutes = utc_offset.abs();
    match minutes % 60 {
        0 => format!("UTC{sign}{}", minutes / 60),
        rest => format!("UTC{sign}{}:{rest:02}", minutes / 60),
    }
}

/// What stands above imported messages, in two lines.
pub fn title(from: ShopTime, to: ShopTime, part: (usize, usize), utc_offset: i64, locale: Locale) -> String {
    let same_year = from.date().0 == to.date().0;
    let range = if from.day == to.day {
        to.short(locale, true)
    } else {
        format!("{} – {}", from.short(locale, !same_year), to.short(locale, true))
    };
    let (at, of) = part;
    let zone = zone(utc_offset);
    match locale {
        Locale::Es => {
            let part = if of > 1 { format!(" · parte {at} de {of}") } else { String::new() };
            format!(
                "**Historial de WhatsApp · {range}{part}**\n_Copiado del celular de la tienda; las horas son las de la tienda ({zone})._"
            )
        }
        Locale::En => {
            let part = if of > 1 { format!(" · part {at} of {of}") } else { String::new() };
            format!(
                "**WhatsApp history · {range}{part}**\n_Copied from the shop's phone; times are the shop's ({zone})._"
            )
        }
    }
}

/// Who wrote a message.
pub fn side(author: Author, locale: Locale) -> &'static str {
    match author {
        Author::Customer => pick(locale, "Cliente", "Customer"),
        Author::Business => pick(locale, "Tienda", "Shop"),
    }
}

/// How far a message of the shop's came.
pub fn state(state: PastState, locale: Locale) -> &'static str {
    match state {
        PastState::Failed => pick(locale, "⚠️ no se envió", "⚠️ not sent"),
        PastState::Sent => "✓",
        PastState::Delivered | PastState::Read => "✓✓",
    }
}

/// A file in the line of its message: it may follow as a note, or it stays where it is.
pub fn file(kind: Option<MediaKind>, may_come: bool, locale: Locale) -> String {
    let what = kind.map_or_else(|| pick(locale, "archivo", "file").to_owned(), |kind| kind.text(locale));
    let (es, en) = if may_come {
        ("(si WhatsApp lo envía, llega aparte)", "(if WhatsApp sends it, it comes by itself)")
    } else {
        ("(quedó en el celular)", "(it is still on the phone)")
    };
    format!("📎 {what} {}", pick(locale, es, en))
}

/// What stands above a file that follows.
pub fn file_title(author: Author, at: ShopTime, locale: Locale) -> String {
    let title = pick(locale, "Historial de WhatsApp", "WhatsApp history");
    format!("**{title} · {} {}** · {}", at.short(locale, true), at.clock(), side(author, locale))
}

/// How far an import is.
pub fn progress(state: ImportState, locale: Locale) -> String {
    match state {
        ImportState::Asked => {
            pick(locale, "se pidió a WhatsApp; aún no llega nada.", "WhatsApp was asked for it; nothing has come yet.")
                .to_owned()
        }
        ImportState::Receiving { percent } => match locale {
            Locale::Es => format!("WhatsApp lo está enviando ({percent} %); se copia cuando haya llegado todo."),
            Locale::En => format!("WhatsApp is sending it ({percent} %); it is copied once all has come."),
        },
        ImportState::Copying { settled, of } => match locale {
            Locale::Es => format!("se está copiando: {settled} de {of} mensajes."),
            Locale::En => format!("it is being copied: {settled} of {of} messages."),
        },
        ImportState::Done => pick(locale, "copiado.", "copied.").to_owned(),
        ImportState::NotShared => pick(
            locale,
            "la tienda no compartió su historial al conectar el número; lo anterior solo está en su celular.",
            "the shop did not share its history when the number was connected; what was before is on its phone only.",
        )
        .to_owned(),
        ImportState::TooLate => pick(
            locale,
            "se pidió tarde y WhatsApp ya no lo envía; lo anterior solo está en el celular.",
            "it was asked for too late, and WhatsApp does not send it any more; what was before is on the phone only.",
        )
        .to_owned(),
        ImportState::Nothing => pick(
            locale,
            "no llegó nada; lo anterior solo está en el celular.",
            "nothing came; what was before is on the phone only.",
        )
        .to_owned(),
    }
}

/// What was imported into one conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastReport {
    /// How far the import of the number is.
    pub state: ImportState,
    /// How many messages of this person were written, and from when to when.
    pub written: Option<(i64, ShopTime, ShopTime)>,
    /// How many were not, by the ledger's word.
    pub refused: Vec<(String, i64)>,
}

impl PastReport {
    /// The note, as Markdown.
    pub fn text(&self, locale: Locale) -> String {
        let title = pick(locale, "Historial del celular", "History of the phone");
        let mut lines = vec![format!("**{title}**: {}", progress(self.state, locale))];
        if let Some((count, from, to)) = self.written {
            let (from, to) = (from.short(locale, true), to.short(locale, true));
            lines.push(match locale {
                Locale::Es => format!("- En esta conversación: {count} mensajes, del {from} al {to}."),
                Locale::En => format!("- In this conversation: {count} messages, from {from} to {to}."),
            });
            let files =
                "- Los archivos que WhatsApp envía llegan como notas; los demás quedaron en el celular de la tienda.";
            let english = "- Files that WhatsApp sends come as notes; the others are still on the shop's phone.";
            lines.push(pick(locale, files, english).to_owned());
        } else if self.state == ImportState::Done {
            let nothing = "- En esta conversación: nada; el celular no tenía mensajes con este cliente.";
            let english = "- In this conversation: nothing; the phone had no messages with this customer.";
            lines.push(pick(locale, nothing, english).to_owned());
        }
        for (reason, count) in &self.refused {
            lines.push(format!("- {}: {count}", not_copied(reason, locale)));
        }
        lines.join("\n")
    }
}

/// Why messages were not copied.
fn not_copied(reason: &str, locale: Locale) -> &'static str {
    match reason {
        "past_retention" => {
            pick(locale, "No se copió lo más antiguo de lo que se conserva", "Not copied: older than what is kept")
        }
        "erased" => pick(locale, "No se copió lo que se pidió borrar", "Not copied: erased on request"),
        "about_another_message" => pick(
            locale,
            "No se copiaron reacciones y cambios de mensajes que llegaron en otra parte",
            "Not copied: reactions and changes of messages that came in another part",
        ),
        _ => pick(locale, "No se pudo copiar", "Could not be copied"),
    }
}

/// Lines about a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PastText<'a> {
    /// Meta does not say when it was written.
    NoTime,
    /// Its author deleted it.
    Deleted,
    /// Its author changed it.
    Edited,
    /// It answers this one.
    Answers(&'a str),
    /// It answers one that is not here.
    AnswersAnother,
}

impl PastText<'_> {
    /// The words.
    pub fn text(self, locale: Locale) -> String {
        let fixed = match self {
            Self::NoTime => pick(locale, "sin hora", "no time"),
            Self::Deleted => pick(locale, "🗑️ mensaje eliminado", "🗑️ deleted message"),
            Self::Edited => pick(locale, "(editado)", "(edited)"),
            Self::AnswersAnother => pick(locale, "(responde a un mensaje anterior)", "(answers an earlier message)"),
            Self::Answers(words) => return format!("({} «{words}»)", pick(locale, "responde a", "answers")),
        };
        fixed.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_shop() {
        let at = |secs, offset| ShopTime::at(secs, offset);
        // 2026-11-20 02:13 UTC is still the 19th in Mexico.
        let evening = at(1_795_140_800, -360);
        assert_eq!((evening.heading(Locale::Es), evening.clock()), ("jue 19 nov 2026".to_owned(), "20:13".to_owned()));
        assert_eq!(at(0, 0).heading(Locale::En), "Thu 1 Jan 1970");
        assert_eq!(at(951_782_400, 0).short(Locale::Es, true), "29 feb 2000");
        assert_eq!(at(1_709_251_199, 0).short(Locale::Es, false), "29 feb");
        assert_eq!(at(1_735_689_599, 0).heading(Locale::Es), "mar 31 dic 2024");
    }

    #[test]
    fn a_title_says_from_when_to_when() {
        let (from, to) = (ShopTime::at(1_778_600_000, -360), ShopTime::at(1_785_800_000, -360));
        assert_eq!(
            title(from, to, (1, 2), -360, Locale::Es),
            "**Historial de WhatsApp · 12 may – 3 ago 2026 · parte 1 de 2**\n\
             _Copiado del celular de la tienda; las horas son las de la tienda (UTC−6)._"
        );
        let one_day = title(to, to, (1, 1), 330, Locale::En);
        assert_eq!(one_day.lines().next(), Some("**WhatsApp history · 3 Aug 2026**"));
        assert!(one_day.contains("(UTC+5:30)"));
    }
}
