//! Lists the links, and how far each is.

use clap::Args;
use store::Signups;

use super::{short, shown, state};
use crate::{output::Column, session::Session, told::Told};

const COLUMNS: &[Column] = &[("id", 8), ("account", 7), ("number", 16), ("state", 15), ("step", 10), ("why", 12)];

/// The command.
#[derive(Debug, Args)]
pub(crate) struct List {}

impl List {
    pub(crate) async fn run(&self, session: &Session) -> anyhow::Result<Told> {
        let stack = session.stack().await?;
        let mut list = session.output.list(COLUMNS);
        let mut all = Signups::new(stack.table()).all().await?;
        all.sort_by_key(|signup| signup.made_at);
        let now = stack.clock().now();
        for signup in all {
            let json = shown(&signup, now);
            let text = |name: &str| json[name].as_str().unwrap_or_default().to_owned();
            let number = signup.number.as_ref().or(signup.reconnects.as_ref());
            let cells = [
                short(&signup.id),
                signup.account.to_string(),
                number.map(ToString::to_string).unwrap_or_default(),
                state(&signup, now).to_owned(),
                text("step"),
                text("reason"),
            ];
            list.row(&json, &cells)?;
        }
        list.end("there is no link; `ops signup link` makes one")
    }
}
