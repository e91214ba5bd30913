//! What Chatwoot says: version, token, its own address, the inboxes.

use std::collections::BTreeSet;

use app::{Clients, onboarding::chatwoot_words};
use chatwoot::{rights::Rights, version};
use domain::AccountId;
use platform::Setting;

use super::Findings;
use crate::stack::Stack;

const PAGE: &str = "docs/setup.md";

pub(super) async fn look(stack: &Stack, clients: &Clients, findings: &mut Findings<'_>) -> anyhow::Result<()> {
    let channels = clients.channels.all().await.unwrap_or_default();
    let accounts: BTreeSet<_> = channels.iter().map(|channel| channel.account).collect();
    let chatwoot = clients.chatwoot(accounts.first().copied().unwrap_or(AccountId(0))).await?;
    match chatwoot.version().await {
        Ok(told) => standing(&told, findings)?,
        Err(error) => {
            // Nothing else would be answered.
            return findings.fail("Chatwoot", &chatwoot_words(&error), "is CHATWOOT_URL right?", PAGE);
        }
    }
    match chatwoot.memberships().await {
        Ok(memberships) if accounts.is_empty() => match memberships.administered().as_slice() {
            [] => findings.fail("Chatwoot's token", Rights::Limited.cause(), "take an administrator's", PAGE)?,
            some => findings.ok("Chatwoot's token", &format!("administers {} accounts", some.len()))?,
        },
        Ok(memberships) => {
            for account in &accounts {
                match memberships.rights(*account) {
                    Rights::Administrator => {
                        findings.ok("Chatwoot's token", &format!("administers account {account}"))?;
                    }
                    rights => findings.fail("Chatwoot's token", rights.cause(), "take an administrator's", PAGE)?,
                }
            }
        }
        Err(error) => {
            findings.fail("Chatwoot's token", &chatwoot_words(&error), "is it an administrator's?", PAGE)?;
        }
    }
    let ours = stack.url(Setting::ChatwootUrl)?;
    match chatwoot.own_address().await {
        Ok(Some(told)) if told.origin() == ours.origin() => findings.ok("FRONTEND_URL", told.as_str()),
        Ok(Some(told)) => {
            let words = format!("Chatwoot calls itself {told}, and the bridge {ours}: agents' files come back red");
            findings.fail("FRONTEND_URL", &words, "give both the same origin", PAGE)
        }
        _ => findings.warn("FRONTEND_URL", "its page does not tell", "compare it with CHATWOOT_URL by hand", PAGE),
    }
}

fn standing(told: &str, findings: &mut Findings<'_>) -> anyhow::Result<()> {
    let tested = version::TESTED_VERSION;
    let words = format!("version {told}");
    match version::standing(told) {
        version::VersionStanding::Tested => findings.ok("Chatwoot", &format!("{words}, tested")),
        version::VersionStanding::Untested => findings.warn(
            "Chatwoot",
            &format!("{words} was not tested; {tested} was"),
            "ask it with the suite",
            "docs/local.md",
        ),
        version::VersionStanding::Unsigned => {
            let words = format!("{words} does not sign its callbacks; {tested} does");
            findings.warn("Chatwoot", &words, "update it, or see step 3", PAGE)
        }
        version::VersionStanding::Unreadable => findings.warn(
            "Chatwoot",
            &format!("{words} is none that can be read"),
            "ask it with the suite",
            "docs/local.md",
        ),
    }
}
