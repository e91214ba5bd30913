//! Takes a link back.

use std::fmt::Write as _;

use anyhow::ensure;
use clap::Args;
use domain::signup::SignupStep;

use super::{Named, short, shown};
use crate::{session::Session, told::Told};

/// The command.
#[derive(Debug, Args)]
pub(crate) struct Revoke {
    #[command(flatten)]
    named: Named,
}

impl Revoke {
    pub(crate) async fn run(&self, session: &Session) -> anyhow::Result<Told> {
        let stack = session.stack().await?;
        let change = |signup: &mut domain::Signup| {
            ensure!(
                signup.step != SignupStep::Done,
                "it was used already: `ops channel remove` takes a number out of service"
            );
            signup.revoked = true;
            Ok(())
        };
        let signup = self.named.change(&stack, change).await?;
        let mut words = format!("{} is taken back: whoever opens it is told so.", short(&signup.id));
        if signup.step != SignupStep::Open || signup.is_exchanging() {
            words.push_str("\nIts token is removed within minutes, and nothing more is done.");
        }
        if let Some(number) = signup.number.as_ref().filter(|_| signup.step >= SignupStep::Channel) {
            let _ = write!(words, "\nThe number is in service: `ops channel remove {number}` takes it out.");
        }
        Ok(Told::new(shown(&signup, stack.clock().now()), words))
    }
}
