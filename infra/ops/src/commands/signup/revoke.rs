//! Takes a link back.

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
                signup.step == SignupStep::Open,
                "it was used already: `ops channel remove` takes a number out of service"
            );
            signup.revoked = true;
            Ok(())
        };
        let signup = self.named.change(&stack, change).await?;
        let words = format!("{} is taken back: whoever opens it is told so.", short(&signup.id));
        Ok(Told::new(shown(&signup, stack.clock().now()), words))
    }
}
