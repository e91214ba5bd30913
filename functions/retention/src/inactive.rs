//! Whose time is over in Chatwoot: nothing happened in any of their conversations for the days of the policy.

use std::time::Duration;

use bridge::BridgeError;
use chatwoot::{Chatwoot, erasing::Aged};
use domain::{Channel, Hint, Timestamp, erasure::Door};

use crate::{Due, KEEP, PAGES, Report, Retention};

/// So many are erased a day and channel: Chatwoot deletes in the background, and has to bear it.
const A_DAY: u64 = 500;

const DAY: Duration = Duration::from_secs(86_400);

impl Retention {
    pub(crate) async fn inactive(&self, channel: &Channel, dry: bool, report: &mut Report) -> Result<(), BridgeError> {
        let chatwoot = self.clients.chatwoot(channel.account).await?;
        let now = self.clients.clock.now();
        let since = now - self.kept_for;
        let mut asked = 0;
        for page in 1..=PAGES {
            // Chatwoot compares with the beginning of a day; the hour is ours to compare.
            let found = chatwoot.inactive(channel.inbox, since + DAY, page).await?;
            if found.is_empty() {
                break;
            }
            for conversation in found.iter().filter(|one| is_over(one, since)) {
                let Some(held) = self.is_held(&chatwoot, conversation, since).await? else { continue };
                report.due.push(Due {
                    account: channel.account,
                    conversation: conversation.id,
                    active_at: conversation.active_at.map_or(0, Timestamp::as_secs),
                    held,
                });
                if held || dry {
                    continue;
                }
                if asked >= A_DAY {
                    report.overdue += 1;
                    continue;
                }
                let hint = Hint::look(channel.phone_number_id.clone(), channel.account, conversation.id);
                let Some(target) = bridge::whom(&self.clients, &chatwoot, &hint).await? else { continue };
                if self.ask(Door::Retention, target, now).await? {
                    asked += 1;
                }
            }
        }
        report.asked += asked;
        Ok(())
    }

    /// Whether a label keeps the person; nothing if they are active elsewhere, and not due at all.
    async fn is_held(
        &self,
        chatwoot: &Chatwoot,
        conversation: &Aged,
        since: Timestamp,
    ) -> Result<Option<bool>, BridgeError> {
        let mut all = vec![conversation.clone()];
        if let Some(contact) = &conversation.contact {
            all.extend(chatwoot.conversations_of(contact.id).await?);
        }
        if all.iter().any(|one| !is_over(one, since)) {
            return Ok(None);
        }
        Ok(Some(all.iter().any(|one| one.labels.iter().any(|label| label == KEEP))))
    }
}

fn is_over(conversation: &Aged, since: Timestamp) -> bool {
    conversation.active_at.is_some_and(|at| at < since)
}
