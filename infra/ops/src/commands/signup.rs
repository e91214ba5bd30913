//! Links by which owners connect their numbers themselves: made, listed, taken back, freed from a browser.

mod free;
mod link;
mod list;
mod revoke;

use anyhow::bail;
use clap::{Args, Subcommand};
use domain::{
    Signup as Link, SignupId,
    channel::Mode,
    signup::{Need, SignupStep},
};
use serde_json::{Value, json};
use store::Signups;

use crate::{
    session::Session,
    stack::Stack,
    told::{NoSuch, Told},
};

/// The command.
#[derive(Debug, Args)]
pub(crate) struct Signup {
    #[command(subcommand)]
    command: SignupCommand,
}

#[derive(Debug, Subcommand)]
enum SignupCommand {
    /// Makes a link, for 72 hours and one browser; send it to whoever owns the number.
    Link(Box<link::MakeLink>),
    /// Lists the links, and how far each is.
    List(list::List),
    /// Takes a link back.
    Revoke(revoke::Revoke),
    /// Lets a link be used in another browser.
    Free(free::Free),
}

/// A link, as a command names it.
#[derive(Debug, Args)]
struct Named {
    /// The link's id, or its beginning, as `ops signup list` shows it.
    #[arg(value_name = "ID")]
    id: String,
}

impl Signup {
    pub(crate) async fn run(&self, session: &Session) -> anyhow::Result<Told> {
        match &self.command {
            SignupCommand::Link(link) => Box::pin(link.run(session)).await,
            SignupCommand::List(list) => list.run(session).await,
            SignupCommand::Revoke(revoke) => revoke.run(session).await,
            SignupCommand::Free(free) => free.run(session).await,
        }
    }
}

impl Named {
    /// Finds it, and changes it as it stands then.
    async fn change(&self, stack: &Stack, change: impl Fn(&mut Link) -> anyhow::Result<()>) -> anyhow::Result<Link> {
        let signups = Signups::new(stack.table());
        let mut found = signups.all().await?;
        found.retain(|one| !self.id.is_empty() && one.id.as_str().starts_with(&self.id));
        let id = match (found.pop(), found.is_empty()) {
            (Some(only), true) => only.id,
            (Some(_), false) => bail!("several links begin like this: give more of the id"),
            (None, _) => {
                return Err(NoSuch("there is no such link; `ops signup list` shows those there are".to_owned()).into());
            }
        };
        let changed = signups.amend(&id, change).await?;
        Ok(changed.ok_or_else(|| NoSuch("the link is long over".to_owned()))?)
    }
}

/// What is shown of an id: enough to name it.
fn short(id: &SignupId) -> String {
    id.as_str().chars().take(8).collect()
}

/// How far it is, in a word.
fn state(signup: &Link, now: domain::Timestamp) -> &'static str {
    match (signup.step, &signup.need) {
        (SignupStep::Done, _) => "done",
        (_, Some(Need::Choice { .. } | Need::Mode)) => "needs an answer",
        (_, Some(Need::Verification)) => "needs a code",
        (_, Some(Need::Pin { .. })) => "needs the PIN",
        (_, None) if signup.revoked => "revoked",
        (SignupStep::Open, None) if signup.is_exchanging() => "working",
        (SignupStep::Open, None) if now >= signup.ends_at => "expired",
        (SignupStep::Open, None) if signup.browser.is_some() => "begun",
        (SignupStep::Open, None) => "open",
        _ => "working",
    }
}

/// A link as JSON; the shape is in docs/ops.md. Never the link itself.
pub(crate) fn shown(signup: &Link, now: domain::Timestamp) -> Value {
    json!({
        "id": signup.id, "account": signup.account, "reconnects": signup.reconnects,
        "asked": word(signup.asked), "found": signup.found.map(word), "state": state(signup, now),
        "step": signup.step, "reason": signup.fault, "session_id": signup.session,
        "phone_number_id": signup.number, "inbox": signup.inbox, "codes": signup.codes,
        "made_at": signup.made_at.as_secs(), "ends_at": signup.ends_at.as_secs(),
        "contacts": signup.contacts, "history": signup.history,
    })
}

fn word(mode: Mode) -> &'static str {
    if mode == Mode::Coexistence { "coexistence" } else { "cloud" }
}
