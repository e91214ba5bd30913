//! Lets a link be used in another browser.

use anyhow::ensure;
use clap::Args;

use super::{Named, short, shown};
use crate::{session::Session, told::Told};

/// The command.
#[derive(Debug, Args)]
pub(crate) struct Free {
    #[command(flatten)]
    named: Named,
}

impl Free {
    pub(crate) async fn run(&self, session: &Session) -> anyhow::Result<Told> {
        let stack = session.stack().await?;
        let now = stack.clock().now();
        let change = |signup: &mut domain::Signup| {
            // The code stays: by it a token is found again.
            ensure!(signup.leased_until <= now, "it is being worked on just now; run this again in a minute");
            signup.browser = None;
            Ok(())
        };
        let signup = self.named.change(&stack, change).await?;
        let words = format!("{} can be opened in another browser now.", short(&signup.id));
        Ok(Told::new(shown(&signup, stack.clock().now()), words))
    }
}
