//! What a look adds to a message, or holds back of it, before its turn comes.

use app::{BridgeError, brake};
use chatwoot::ChatwootError;
use domain::{Part, outgoing::Nature, words::Trouble};
use store::Entry;

use crate::{Send, Task, dispatch::With, look::Row};

impl Send {
    /// A survey is sent with its link, as its callback has it; where that was lost, as Chatwoot makes it.
    pub(crate) async fn link_surveys(
        &self,
        task: &Task<'_>,
        with: &With<'_>,
        rows: &mut [Row],
    ) -> Result<(), BridgeError> {
        if !rows.iter().any(|row| row.is_open() && row.message.wants_survey_link()) {
            return Ok(());
        }
        // What Chatwoot calls itself by is known from what it tells elsewhere, too.
        let links = task.surveys.iter().map(|(_, link)| link.as_str());
        let files = rows.iter().flat_map(|row| row.message.files()).filter_map(|file| file.data_url.as_deref());
        for address in links.chain(files) {
            with.chatwoot.is_own_elsewhere(address);
        }
        let mut made = None;
        for row in rows.iter_mut().filter(|row| row.is_open() && row.message.wants_survey_link()) {
            let told = task.surveys.iter().find(|(id, _)| *id == row.message.id).map(|(_, link)| link.clone());
            let link = match (told, &made) {
                (Some(told), _) => Some(told),
                (None, Some(made)) => Some(String::clone(made)),
                (None, None) => {
                    made = match with.chatwoot.survey_link(with.conversation.conversation).await {
                        Err(error @ ChatwootError::Elsewhere) => {
                            let cause = app::ORIGINS_DIFFER;
                            tracing::error!(%error, cause, page = app::REFUSALS, "a survey's link cannot be made");
                            if let Some(entry) = &mut row.entry {
                                self.never(entry, Trouble::LinkElsewhere).await?;
                            }
                            continue;
                        }
                        link => link?,
                    };
                    made.clone()
                }
            };
            match (link, &mut row.entry) {
                (Some(link), _) => row.message.add_link(&link),
                (None, Some(entry)) => self.never(entry, Trouble::LinkMissing).await?,
                (None, None) => {}
            }
        }
        Ok(())
    }

    /// A rule or a bot keeps writing: what it wrote is held back in words, until an agent presses Retry.
    pub(crate) async fn brake_row(&self, with: &With<'_>, row: &mut Row) -> Result<(), BridgeError> {
        let Some(entry) = row.entry.as_mut().filter(|entry| {
            row.message.is_for_customer() && entry.outgoing.parts.iter().all(|part| *part == Part::Planned)
        }) else {
            return Ok(());
        };
        self.never(entry, Trouble::Braked).await?;
        let (account, conversation) = (with.conversation.account, with.conversation.conversation);
        brake(&self.clients, &self.metrics, with.chatwoot, account, conversation).await
    }

    /// Notes what the last message is while Chatwoot still shows it whole: once another stands behind it, only a callback tells.
    pub(crate) async fn sort_last(&self, with: &With<'_>, rows: &mut [Row]) {
        let Some(row) = rows.last_mut().filter(|row| row.message.is_for_customer()) else { return };
        let Some(entry) = row.entry.as_mut().filter(|entry| entry.outgoing.nature == Nature::Unsorted) else { return };
        if entry.outgoing.next_part().is_none() {
            return;
        }
        match self.still_shown(with, row.message.id).await {
            Ok(None) => return,
            Ok(Some(None)) => entry.outgoing.nature = Nature::Plain,
            Ok(Some(Some(_))) => entry.outgoing = entry.outgoing.clone().as_template(),
            Err(error) => {
                tracing::warn!(%error, "what the last message is will be asked by the next look");
                return;
            }
        }
        row.is_news = true;
    }

    /// What is left of a message is not sent by itself.
    pub(crate) async fn never(&self, entry: &mut Entry, trouble: Trouble) -> Result<(), BridgeError> {
        let Some(at) = entry.outgoing.next_part() else { return Ok(()) };
        let failed = Part::Failed { attempt: entry.outgoing.parts[at].attempt(), trouble };
        self.put(entry, at, failed).await
    }
}
