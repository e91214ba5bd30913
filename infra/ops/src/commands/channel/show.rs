//! Shows a number, and what both sides say of it.

use std::fmt::Write as _;

use app::onboarding::{OnboardingError, graph_words};
use clap::Args;
use platform::ChannelSecrets;
use serde_json::{Value, json};

use super::{Number, find, held, shown};
use crate::{
    session::Session,
    told::{Exit, Told},
};

/// The command.
#[derive(Debug, Args)]
pub(crate) struct Show {
    #[command(flatten)]
    number: Number,
}

impl Show {
    pub(crate) async fn run(&self, session: &Session) -> anyhow::Result<Told> {
        let stack = session.deployed().await?;
        let clients = stack.clients().await?;
        let channel = find(&clients, &self.number.number).await?;
        let (mut json, mut words) = (shown(&channel), String::new());
        let _ = writeln!(
            words,
            "{} ({}): {} {}\naccount {} at Meta, inbox {} of account {} in Chatwoot, {} templates offered",
            channel.display_phone_number,
            channel.phone_number_id,
            channel.state.word(),
            held(&channel),
            channel.waba_id,
            channel.inbox,
            channel.account,
            channel.offered.as_ref().map_or(0, |offered| offered.templates),
        );
        let (api_url, quiet) = (stack.api_url()?, |_| ());
        let onboarding = stack.onboarding(&clients, &api_url, &quiet);
        let mut troubles = Vec::new();
        // Each side is asked whatever the other says.
        let asked = async {
            let token = clients.secrets.get::<ChannelSecrets>(&channel.secret).await?.access_token;
            let app = onboarding.app().await?;
            let number = clients.graph_api.number(&channel.phone_number_id, &token).await?;
            let info = clients.graph_api.debug_token(&app, &token).await?;
            json["number"] = json!({ "status": number.status, "quality": number.quality, "limit": number.messaging_limit,
                "verified_name": number.verified_name });
            json["token"] = json!({ "valid": info.is_valid, "lacks": info.lacks(),
                "expires_at": info.expires_at.map(domain::Timestamp::as_secs) });
            let _ = writeln!(
                words,
                "Meta: {}, quality {}, limit {}",
                number.status, number.quality, number.messaging_limit
            );
            let chatwoot = clients.chatwoot(channel.account).await?;
            let proof = onboarding.prove(&app, &chatwoot, &channel, &token).await?;
            json["proof"] = json!({ "holds": proof.holds(), "subscribed": proof.subscribed, "webhook_url": proof.webhook_url,
                "wanted_url": proof.wanted_url, "missing_fields": proof.missing_fields,
                "inbox_points_here": proof.inbox_points_here });
            if !proof.holds() {
                troubles.push("both sides do not have all that is needed: `ops channel add` says what".to_owned());
            }
            Ok::<_, OnboardingError>(())
        };
        match asked.await {
            Ok(()) => {}
            Err(OnboardingError::Graph(error)) => troubles.push(graph_words(&error)),
            Err(error) => troubles.push(error.to_string()),
        }
        json["wrong"] = Value::from(troubles.clone());
        words.extend(troubles.iter().map(|trouble| format!("wrong: {trouble}\n")));
        let exit = if troubles.is_empty() { Exit::Done } else { Exit::SomethingWrong };
        Ok(Told::new(json, words).ending(exit))
    }
}
