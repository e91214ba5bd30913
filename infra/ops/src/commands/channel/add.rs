//! Brings a number into service.

use std::fmt::Write as _;

use app::onboarding::{Onboarded, Step, Wanted};
use clap::Args;
use domain::{AccountId, Timestamp, WabaId};
use serde_json::json;

use super::{Number, shown};
use crate::{
    commands::channel::find,
    input,
    session::Session,
    told::{Exit, Told},
};

/// The command. The number's token is read from standard input.
#[derive(Debug, Args)]
pub(crate) struct Add {
    #[command(flatten)]
    number: Number,
    /// The number's account at Meta, where its token does not tell.
    #[arg(long, value_name = "ID")]
    waba: Option<String>,
    /// The account in Chatwoot, where the token administers several.
    #[arg(long, value_name = "ID")]
    account: Option<i64>,
    /// The name of the inbox, if it has to be made.
    #[arg(long, value_name = "NAME")]
    inbox_name: Option<String>,
    /// An agent who is to see the inbox, by address or id; may be repeated. Administrators see all.
    #[arg(long = "member", value_name = "AGENT")]
    members: Vec<String>,
}

impl Add {
    pub(crate) async fn run(&self, session: &Session) -> anyhow::Result<Told> {
        let token = input::secret("the number's token")?;
        let stack = session.deployed().await?;
        let clients = stack.clients().await?;
        let (api_url, progress) = (stack.api_url()?, |step| session.output.progress(doing(step)));
        let onboarding = stack.onboarding(&clients, &api_url, &progress);
        let wanted = Wanted {
            number: self.number.number.clone(),
            token,
            waba: self.waba.as_ref().map(WabaId::new),
            account: self.account.map(AccountId),
            inbox_name: self.inbox_name.as_deref(),
            members: &self.members,
        };
        let added = Box::pin(onboarding.add(&wanted)).await;
        session.output.progress_over();
        let added = added?;
        let exit = if added.proof.holds() { Exit::Done } else { Exit::SomethingWrong };
        // As it stands in the table: the templates are counted by now.
        let channel = find(&clients, &self.number.number).await?;
        let mut json = shown(&channel);
        json["changed"] = added.changed.iter().map(|step| word(*step)).collect();
        json["members"] = added.members.into();
        json["token"] =
            json!({ "expires_at": added.token.expires_at.map(Timestamp::as_secs), "scopes": added.token.scopes });
        json["proof"] = proof(&added);
        Ok(Told::new(json, words(&added, channel.offered.map_or(0, |offered| offered.templates), clients.clock.now()))
            .ending(exit))
    }
}

fn proof(added: &Onboarded) -> serde_json::Value {
    let proof = &added.proof;
    json!({ "holds": proof.holds(), "subscribed": proof.subscribed, "webhook_url": proof.webhook_url,
        "wanted_url": proof.wanted_url, "missing_fields": proof.missing_fields, "inbox_points_here": proof.inbox_points_here })
}

fn words(added: &Onboarded, templates: u32, now: Timestamp) -> String {
    let (channel, proof) = (&added.channel, &added.proof);
    let mut words = String::new();
    let state = if proof.holds() { "is in service" } else { "is NOT in service yet" };
    let _ = writeln!(
        words,
        "{} ({}) {state}: account {} at Meta, inbox {} of account {} in Chatwoot.",
        added.number.display, added.number.verified_name, channel.waba_id, channel.inbox, channel.account
    );
    match added.changed.as_slice() {
        [] => words.push_str("Nothing had to be changed.\n"),
        changed => {
            let changed: Vec<_> = changed.iter().map(|step| word(*step)).collect();
            let _ = writeln!(words, "Made or changed: {}.", changed.join(", "));
        }
    }
    if added.offered {
        let _ = writeln!(words, "Templates in the inbox: {templates}.");
    } else {
        words.push_str(
            "The templates are not in the inbox yet; the next round of reconcile, within five minutes, does that.\n",
        );
    }
    if let Some(end) = added.token.expires_at {
        let days = end.since(now).as_secs() / 86_400;
        let _ = writeln!(words, "Its token ends in {days} days; add the number again with a new one before.");
    }
    if added.members == 0 {
        words.push_str("Only administrators see the inbox: add agents with --member, or in its settings.\n");
    }
    next(&mut words, added);
    words
}

/// What is left to be done by hand.
fn next(words: &mut String, added: &Onboarded) {
    let proof = &added.proof;
    if added.number.status != "CONNECTED" && !added.number.status.is_empty() {
        let _ = writeln!(words, "Meta says that the number is {}, and not CONNECTED.", added.number.status);
    }
    if proof.webhook_url.as_ref() != Some(&proof.wanted_url) {
        let now = proof.webhook_url.as_deref().unwrap_or("nothing");
        let _ = writeln!(
            words,
            "Enter at Meta (App Dashboard → WhatsApp → Configuration) the callback URL {}; there is {now} now.",
            proof.wanted_url
        );
    }
    if !proof.missing_fields.is_empty() {
        let _ = writeln!(words, "Tick there, too: {}.", proof.missing_fields.join(", "));
    }
    if !proof.subscribed {
        words.push_str("Meta does not show the subscription yet; run this again.\n");
    }
    if !proof.inbox_points_here {
        words.push_str("The inbox posts elsewhere, or is not locked to one conversation; run this again.\n");
    }
}

fn word(step: Step) -> &'static str {
    match step {
        Step::Token => "token",
        Step::Number => "number",
        Step::Account => "account",
        Step::Chatwoot => "chatwoot",
        Step::Inbox => "inbox",
        Step::Members => "members",
        Step::Secret => "secret",
        Step::Channel => "channel",
        Step::Subscription => "subscription",
        Step::Templates => "templates",
        Step::Proof => "proof",
    }
}

/// What is being done, for whoever watches.
pub(super) fn doing(step: Step) -> &'static str {
    match step {
        Step::Token => "asking Meta about the token",
        Step::Number => "asking Meta about the number",
        Step::Account => "looking for its account",
        Step::Chatwoot => "asking Chatwoot about its token",
        Step::Inbox => "looking for the inbox",
        Step::Members => "looking who sees the inbox",
        Step::Secret => "storing the secret",
        Step::Channel => "storing the channel",
        Step::Subscription => "subscribing to the account",
        Step::Templates => "offering the templates",
        Step::Proof => "looking at both sides",
    }
}
