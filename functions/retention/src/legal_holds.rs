//! Lists the people under legal hold. Chatwoot is asked by the label, since a conversation does not show the other
//! conversations of the same person.

use std::collections::BTreeSet;

use app::{HandlerError, KEEP_LABEL};
use chatwoot::erasing::ConversationAge;
use domain::{AccountId, Channel, ContactId, ConversationId};
use store::DataSubject;

use crate::{Handler, run::RetentionRun};

/// What is held, account by account.
#[derive(Debug, Default)]
pub(crate) struct LegalHolds {
    conversations: BTreeSet<(AccountId, ConversationId)>,
    contacts: BTreeSet<(AccountId, ContactId)>,
    /// Accounts whose legal holds are not known: no person there is erased by time.
    unknown: BTreeSet<AccountId>,
}

impl LegalHolds {
    fn add(&mut self, account: AccountId, row: &ConversationAge) {
        self.conversations.insert((account, row.id));
        self.contacts.extend(row.contact.as_ref().map(|contact| (account, contact.id)));
    }

    /// Whether it is known what is held in an account.
    pub(crate) fn is_known(&self, account: AccountId) -> bool {
        !self.unknown.contains(&account)
    }

    /// Whether a conversation, or another of the same contact, is held.
    pub(crate) fn has(&self, account: AccountId, row: &ConversationAge) -> bool {
        let theirs = row.contact.as_ref().is_some_and(|contact| self.contacts.contains(&(account, contact.id)));
        theirs || self.conversations.contains(&(account, row.id))
    }

    /// Whether anything of a person's is held, under any of their contacts.
    pub(crate) fn keeps(&self, subject: &DataSubject) -> bool {
        let talks = subject.conversations.iter().any(|(account, id, _)| self.conversations.contains(&(*account, *id)));
        talks || !self.contacts.is_disjoint(&subject.contacts)
    }
}

impl Handler {
    /// Lists everything that has the label. What is past its time is counted as held, whatever happened to it in Chatwoot
    /// since.
    pub(crate) async fn legal_holds(&self, channels: &[Channel], run: &mut RetentionRun) -> LegalHolds {
        let mut holds = LegalHolds::default();
        for channel in channels {
            if let Err(error) = self.holds_of(channel, &mut holds, run).await {
                holds.unknown.insert(channel.account);
                run.keep(Err(error));
            }
        }
        holds
    }

    async fn holds_of(
        &self,
        channel: &Channel,
        legal_holds: &mut LegalHolds,
        run: &mut RetentionRun,
    ) -> Result<(), HandlerError> {
        let since = self.clients.clock.now() - self.kept_for;
        let chatwoot = self.clients.chatwoot(channel.account).await?;
        for page in 1.. {
            let rows = chatwoot.labeled(channel.inbox, KEEP_LABEL, page).await?.rows;
            if rows.is_empty() {
                break;
            }
            for row in &rows {
                legal_holds.add(channel.account, row);
                let over = row.said_at.filter(|at| *at < since);
                if let Some(said_at) = over.filter(|_| run.meets(channel.account, row.id)) {
                    run.due(channel.account, row.id, said_at, true);
                }
            }
        }
        Ok(())
    }
}
