//! What Meta says: the app's webhooks, and each number with its token, subscription and inbox.

use app::{
    Clients,
    onboarding::{Onboarding, OnboardingError, graph_words, missing_fields},
};
use domain::{Channel, channel::Mode};
use platform::ChannelSecrets;
use whatsapp::setup::{AppAccess, AppSubscription};

use super::Findings;
use crate::stack::Stack;

const PAGE: &str = "docs/setup.md";

/// From when on the end of a token is told.
const TOKEN_WARN_DAYS: u64 = 15;

pub(super) async fn look(stack: &Stack, clients: &Clients, findings: &mut Findings<'_>) -> anyhow::Result<()> {
    let (api_url, quiet) = (stack.any_api_url()?, |_| ());
    let onboarding = stack.onboarding(clients, &api_url, &quiet);
    let channels = clients.channels.all().await?;
    let app = match onboarding.app().await {
        Ok(app) => app,
        Err(error) => return findings.fail("Meta's app", &error.to_string(), "complete the app's secret", PAGE),
    };
    let phones = channels.iter().any(|channel| channel.mode == Mode::Coexistence);
    match clients.graph_api.app_subscription(&app).await {
        Ok(there) => subscription(stack, there.as_ref(), phones, findings)?,
        Err(error) => {
            let next = "compare app_id and app_secret with the App Dashboard";
            findings.fail("Meta's app", &graph_words(&error), next, PAGE)?;
        }
    }
    if channels.is_empty() {
        return findings.warn("numbers", "there are none", "ops channel add", "docs/ops.md");
    }
    for channel in &channels {
        number(clients, &onboarding, &app, channel, findings).await?;
    }
    Ok(())
}

fn subscription(
    stack: &Stack,
    there: Option<&AppSubscription>,
    phones: bool,
    findings: &mut Findings<'_>,
) -> anyhow::Result<()> {
    let check = "webhook at Meta";
    let Some(told) = there.filter(|there| there.is_active) else {
        return findings.fail(check, "no address is entered", "App Dashboard → WhatsApp → Configuration", PAGE);
    };
    if let Ok(api_url) = stack.api_url() {
        let wanted = format!("{}/webhooks/meta", api_url.as_str().trim_end_matches('/'));
        if told.callback_url == wanted {
            findings.ok(check, &wanted)?;
        } else {
            let words = format!("goes to {}, and not to {wanted}", told.callback_url);
            findings.fail(check, &words, "App Dashboard → WhatsApp → Configuration", PAGE)?;
        }
    }
    let mode = if phones { Mode::Coexistence } else { Mode::Cloud };
    let missing = missing_fields(there, mode);
    if missing.is_empty() {
        return findings.ok("webhook fields", "all ticked");
    }
    let (words, next) = (format!("not ticked: {}", missing.join(", ")), "tick them in the App Dashboard");
    if missing.contains(&"messages") {
        findings.fail("webhook fields", &words, next, PAGE)
    } else {
        findings.warn("webhook fields", &words, next, PAGE)
    }
}

async fn number(
    clients: &Clients,
    onboarding: &Onboarding<'_>,
    app: &AppAccess,
    channel: &Channel,
    findings: &mut Findings<'_>,
) -> anyhow::Result<()> {
    let (check, now) = (format!("number {}", channel.display_phone_number), clients.clock.now());
    let again = format!("ops channel add {}", channel.phone_number_id);
    if channel.hold(now).is_some() {
        let words = format!("{}{}", channel.state.word(), if channel.paused { ", paused" } else { "" });
        findings.warn(&check, &words, "answers wait", "docs/runbook/channel-down.md")?;
    }
    if channel.paused_incoming {
        findings.warn(&check, "paused: what comes in waits", "ops channel resume", "docs/ops.md")?;
    }
    let token = match clients.secrets.get::<ChannelSecrets>(&channel.secret).await {
        Ok(secrets) => secrets.access_token,
        Err(error) => return findings.fail(&check, &format!("{}: {error}", channel.secret), &again, "docs/ops.md"),
    };
    match clients.graph_api.debug_token(app, &token).await {
        Ok(info) if !info.is_valid => {
            return findings.fail(
                &check,
                "Meta does not accept its token",
                &format!("{again} with a new one"),
                "docs/ops.md",
            );
        }
        Ok(info) if !info.lacks().is_empty() => {
            let words = format!("its token lacks {}", info.lacks().join(" and "));
            findings.fail(&check, &words, &format!("{again} with another one"), PAGE)?;
        }
        Ok(info) => match info.expires_at.map(|end| end.since(now).as_secs() / 86_400) {
            Some(days) if days < TOKEN_WARN_DAYS => {
                findings.warn(
                    &check,
                    &format!("its token ends in {days} days"),
                    &format!("{again} with a new one"),
                    "docs/ops.md",
                )?;
            }
            Some(days) => findings.ok(&check, &format!("its token ends in {days} days"))?,
            None => findings.ok(&check, "its token never ends")?,
        },
        Err(error) => findings.warn(&check, &graph_words(&error), "try again", PAGE)?,
    }
    match clients.graph_api.number(&channel.phone_number_id, &token).await {
        Ok(told) => {
            let words = format!("{}, quality {}, limit {}", told.status, told.quality, told.messaging_limit);
            if told.status == "CONNECTED" && told.quality != "RED" {
                findings.ok(&check, &words)?;
            } else {
                findings.warn(&check, &words, "look at it in WhatsApp Manager", "docs/runbook/channel-down.md")?;
            }
        }
        Err(error) => findings.fail(&check, &graph_words(&error), &again, "docs/runbook/channel-down.md")?,
    }
    let chatwoot = clients.chatwoot(channel.account).await?;
    match onboarding.prove(app, &chatwoot, channel, &token).await {
        Ok(proof) if !proof.subscribed => {
            findings.fail(&check, "the app does not get the account's webhooks", &again, "docs/ops.md")
        }
        // Where the API is, nobody said.
        Ok(_) if onboarding.api_url.host_str() == Some("localhost") && onboarding.api_url.port().is_none() => Ok(()),
        Ok(proof) if !proof.inbox_points_here => {
            let words = format!("inbox {} posts elsewhere, or is not locked to one conversation", channel.inbox);
            findings.fail(&check, &words, &again, "docs/ops.md")
        }
        Ok(_) => findings.ok(&check, "subscribed, and its inbox posts here"),
        Err(OnboardingError::Chatwoot(chatwoot::ChatwootError::Gone)) => {
            findings.fail(&check, &format!("inbox {} is gone", channel.inbox), &again, "docs/ops.md")
        }
        Err(error) => findings.fail(&check, &error.to_string(), "see above", PAGE),
    }
}
