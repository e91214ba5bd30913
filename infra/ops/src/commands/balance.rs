//! Shows the balance sheet of each number, day by day.

use anyhow::{Context as _, ensure};
use clap::Args;
use domain::task::{ACCOUNT_CHANNEL, QUEUES_KEEP_DAYS};
use serde_json::json;
use store::{Channels, ItemLedger};
use time::{Date, Month, OffsetDateTime};

use crate::{
    output::Column,
    session::Session,
    told::{Exit, Told},
};

const COLUMNS: &[Column] = &[
    ("channel", 16),
    ("day", 10),
    ("received", 8),
    ("done", 6),
    ("duplicate", 9),
    ("refused", 7),
    ("waiting", 7),
    ("", 3),
];

const SECONDS_A_DAY: i64 = 86_400;

/// The command.
#[derive(Debug, Args)]
pub(crate) struct Balance {
    /// Only this day of receipt (UTC); without it, the last sixteen, as `reconcile` checks them.
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
    day: Option<i64>,
}

impl Balance {
    pub(crate) async fn run(&self, session: &Session) -> anyhow::Result<Told> {
        let stack = session.stack().await?;
        let today = stack.clock().now().day();
        let (from, to) = self.day.map_or((today - QUEUES_KEEP_DAYS - 1, today), |day| (day, day));
        let numbers = Channels::new(stack.table()).all().await?;
        let ledger = ItemLedger::new(stack.table());
        let mut list = session.output.list(COLUMNS);
        let mut adds_up = true;
        // What names no number is counted as well.
        for channel in numbers.iter().map(|channel| channel.phone_number_id.as_str()).chain([ACCOUNT_CHANNEL]) {
            for (day, sheet) in ledger.daily_totals(channel, from, to).await? {
                let (date, difference) = (spelled(day)?, sheet.difference(today - day));
                adds_up &= difference == 0;
                let row = json!({ "channel": channel, "day": date, "received": sheet.received, "done": sheet.done,
                    "duplicate": sheet.duplicate, "refused": sheet.refused, "waiting": sheet.waiting,
                    "difference": difference });
                let wrong = if difference == 0 { String::new() } else { format!("{difference:+}") };
                let counts = [sheet.received, sheet.done, sheet.duplicate, sheet.refused.values().sum(), sheet.waiting];
                let [received, done, duplicate, refused, waiting] = counts.map(|count| count.to_string());
                let cells = [channel.to_owned(), date, received, done, duplicate, refused, waiting, wrong];
                list.row(&row, &cells)?;
            }
        }
        let told = list.end("nothing was counted")?;
        Ok(if adds_up { told } else { told.ending(Exit::SomethingWrong) })
    }
}

/// Reads a date as a day since the epoch.
fn day(text: &str) -> anyhow::Result<i64> {
    let parts: Vec<&str> = text.split('-').collect();
    let [year, month, day] = parts[..] else { anyhow::bail!("a day is written 2026-11-30") };
    ensure!((year.len(), month.len(), day.len()) == (4, 2, 2), "a day is written 2026-11-30");
    let month = Month::try_from(month.parse::<u8>()?).context("there is no such month")?;
    let date = Date::from_calendar_date(year.parse()?, month, day.parse()?).context("there is no such day")?;
    Ok(date.midnight().assume_utc().unix_timestamp() / SECONDS_A_DAY)
}

fn spelled(day: i64) -> anyhow::Result<String> {
    let at = OffsetDateTime::from_unix_timestamp(day * SECONDS_A_DAY).context("a day of the ledger is no day")?;
    Ok(at.date().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_read_as_it_is_spelled() {
        for text in ["1970-01-01", "2024-02-29", "2026-11-30"] {
            assert_eq!(spelled(day(text).unwrap()).unwrap(), text);
        }
        assert_eq!(day("2026-11-30").unwrap(), 20_787);
        for wrong in ["", "2026-02-29", "2026-13-01", "26-11-30", "2026-11-30-1", "30.11.2026"] {
            assert!(day(wrong).is_err(), "{wrong}");
        }
    }
}
