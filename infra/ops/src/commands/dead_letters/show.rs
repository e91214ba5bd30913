//! Shows one dead letter as it is.

use clap::Args;
use serde_json::{Value, json};

use super::{
    Letter, Of,
    sweep::{Others, sweep},
};
use crate::{
    access,
    session::Session,
    told::{NoSuch, Told, spelled},
};

/// The command.
#[derive(Debug, Args)]
pub(super) struct Show {
    /// Its id, as `list` shows it.
    id: String,
    /// Why it is looked at; this is recorded.
    #[arg(long, value_parser = access::why, default_value = "not said")]
    why: String,
}

impl Show {
    pub(super) async fn run(&self, session: &Session) -> anyhow::Result<Told> {
        let stack = session.stack().await?;
        let mut found: Option<Letter> = None;
        for of in Of::ALL {
            let swept = sweep(&stack, of, &session.output, Others::Skipped, |letter| {
                if letter.id() == self.id {
                    found = Some(letter);
                }
                Ok(())
            })
            .await?;
            swept.show().await;
            if found.is_some() {
                break;
            }
        }
        let none =
            || NoSuch(format!("there is no dead letter {}; `ops dead-letters list` shows those there are", self.id));
        let letter = found.ok_or_else(none)?;
        let task = letter.task();
        access::record(&stack, "dead-letters", letter.id().to_owned(), &self.why).await?;
        let text = letter.text();
        let mut shown = letter.shown(&task);
        shown["body"] = serde_json::from_str(&text).unwrap_or(Value::String(text));
        let words = format!(
            "{} of {}, {}, since {}\n{}",
            task.kind(),
            letter.of.word(),
            letter.reason(),
            spelled(letter.first().since()),
            serde_json::to_string_pretty(&shown["body"])?
        );
        Ok(Told::new(json!(shown), words))
    }
}
