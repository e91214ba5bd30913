//! Reports the state of a conversation, and what was imported of its past.

use std::{collections::BTreeSet, time::Duration};

use app::HandlerError;
use chatwoot::listing::{ListedFile, ListedMessage};
use domain::{
    Address, Channel, MessageId, Timestamp,
    erasure::{ErasureState, RequestSource},
    history::ImportState,
    window::Advert,
};
use futures_util::future::join;
use store::{Conversation, DataSubject, Reach};
use texts::{
    history::{PastReport, ShopTime},
    report::{
        ConversationReport, ErasureSummary, FileSummary, MessageFate, MessageReport, NumberReport, TemplatesReport,
    },
};
use tokio::time::timeout;
use whatsapp::templates::TemplateList;

use super::{Asked, MAX_MESSAGE_AGE};
use crate::{Handler, convert::media::is_cards};

/// How many of the last messages are reported on in any case.
const MAX_REPORTED_MESSAGES: usize = 5;

/// How long Meta may take to say how number and templates are.
const ASK_TIMEOUT: Duration = Duration::from_secs(4);

impl Handler {
    /// Whether the customer's data is to be erased, and how far the erasure is.
    async fn erasing(
        &self,
        channel: &Channel,
        conversation: &Conversation,
        now: Timestamp,
    ) -> Result<Option<ErasureSummary>, HandlerError> {
        let Some(customer) = &conversation.customer else { return Ok(None) };
        let subject =
            DataSubject { customers: [customer.clone()].into(), only: Some(channel.account), ..DataSubject::default() };
        let Some(entry) = self.requests.open_about(&subject).await? else { return Ok(None) };
        let erasure = entry.erasure.at(now);
        Ok(match (erasure.state(), erasure.source()) {
            (ErasureState::Received { until }, RequestSource::Customer) => Some(ErasureSummary::Asked { until }),
            (ErasureState::Received { until }, _) => Some(ErasureSummary::Labeled { until }),
            // Only retention asked for it: a customer who is being written to is left alone.
            (_, RequestSource::Retention) => None,
            _ => Some(ErasureSummary::Certain),
        })
    }

    /// Reports the state of a conversation: the window, the last messages, the number.
    pub(super) async fn report(&self, asked: &Asked<'_>) -> Result<ConversationReport, HandlerError> {
        let Asked { chatwoot, channel, conversation, now, .. } = *asked;
        let reach = match &conversation.customer {
            Some(customer) => self.clients.customers.reach(channel.account, customer, &channel.phone_number_id).await?,
            None => Reach::Unheard,
        };
        let reachable = reach != Reach::Lost;
        let (window, free_until) = match reach {
            Reach::At(thread) => (thread.window, thread.advert().and_then(Advert::free_until)),
            Reach::Unheard | Reach::Lost => (domain::Window::default(), None),
        };
        // One page, the newest.
        let listed = chatwoot.messages(conversation.conversation, None, now).await?;
        let (account, id) = (conversation.account, conversation.conversation);
        let after = listed.first().map(|message| MessageId(message.id.0.saturating_sub(1)));
        let entries = self.clients.outbox.after(account, id, after).await?;
        let told = |message: &ListedMessage| {
            let entry = entries.iter().find(|entry| entry.message == message.id);
            let written_at = message.created_at().unwrap_or(now);
            let fate = match entry {
                Some(entry) => MessageFate::Seen(entry.outgoing.clone()),
                None if written_at < conversation.known_since - MAX_MESSAGE_AGE => MessageFate::NotOurs,
                None => MessageFate::Unseen,
            };
            let files = message.files().iter().map(shown).collect();
            MessageReport { written_at, begins: message.text().to_owned(), files, fate }
        };
        let reports = listed.iter().rev().filter(|message| message.is_for_customer()).map(told).enumerate();
        let is_told = |(at, told): &(usize, MessageReport)| *at < MAX_REPORTED_MESSAGES || told.is_unreported(now);
        let mut last: Vec<_> = reports.filter(is_told).map(|(_, told)| told).collect();
        last.reverse();
        let (line, templates) = self.ask_meta(channel).await;
        Ok(ConversationReport {
            now,
            window,
            free_until,
            reachable,
            number: channel.display_phone_number.clone(),
            hold: channel.hold(now),
            line,
            templates,
            erasure: self.erasing(channel, conversation, now).await?,
            history: self.importing(channel, now).await?.filter(|state| *state != ImportState::Done),
            last,
        })
    }

    /// What Meta says of the number and its templates, if it does so at once: the agent waits for the rest.
    async fn ask_meta(&self, channel: &Channel) -> (NumberReport, Option<TemplatesReport>) {
        let Ok(graph) = self.clients.graph(channel).await else { return (NumberReport::Silent, None) };
        let number = timeout(ASK_TIMEOUT, graph.info(&channel.phone_number_id));
        let templates = timeout(ASK_TIMEOUT, graph.templates(&channel.waba_id, None));
        let (number, templates) = join(number, templates).await;
        let line = match number {
            Ok(Ok(info)) => {
                NumberReport::Told { status: info.status, quality: info.quality, limit: info.messaging_limit }
            }
            Ok(Err(error)) if error.is_unauthorized() => NumberReport::Forbidden,
            Ok(Err(_)) | Err(_) => NumberReport::Silent,
        };
        (line, templates.ok().and_then(Result::ok).map(|listed| report_of(&listed)))
    }

    /// How far the import of a number's history is; nothing for a number that is on no phone.
    async fn importing(&self, channel: &Channel, now: Timestamp) -> Result<Option<ImportState>, HandlerError> {
        let progress = self.clients.imports.progress(&channel.phone_number_id).await?;
        Ok(progress.map(|progress| progress.state(now)))
    }

    /// Reports what was imported of a customer's past.
    pub(super) async fn past(
        &self,
        channel: &Channel,
        conversation: &Conversation,
    ) -> Result<PastReport, HandlerError> {
        let (now, number) = (self.clients.clock.now(), &channel.phone_number_id);
        let state = self.importing(channel, now).await?.unwrap_or(ImportState::Nothing);
        let mut report = PastReport { state, written: None, refused: Vec::new() };
        let Some(customer) = &conversation.customer else { return Ok(report) };
        let Some(thread) = self.clients.customers.thread(customer, number).await? else { return Ok(report) };
        let user = thread.user.clone().map(Address::User);
        let addresses = [thread.address, user].into_iter().flatten();
        for alias in addresses.flat_map(|address| address.identity().aliases(&self.clients.key)) {
            let Some(past) = self.clients.imports.of_person(number, &alias.subject).await? else { continue };
            let day = |at: Timestamp| ShopTime::at(at.as_secs(), self.utc_offset);
            report.written = past.range.map(|(from, to)| (past.counts.written, day(from), day(to)));
            report.refused = past.counts.refused.into_iter().collect();
        }
        Ok(report)
    }
}

fn report_of(listed: &[TemplateList]) -> TemplatesReport {
    let called = |status: &str| {
        let of_it = listed.iter().filter(|one| one.status().eq_ignore_ascii_case(status));
        of_it.map(|one| one.template.name.clone()).collect::<BTreeSet<_>>()
    };
    let names = |status| called(status).into_iter().collect();
    TemplatesReport {
        approved: called("APPROVED").len(),
        paused: names("PAUSED"),
        rejected: names("REJECTED"),
        disabled: names("DISABLED"),
    }
}

/// The name by which a file is reported.
fn shown(file: &ListedFile) -> FileSummary {
    let mime = file.content_type.as_deref().unwrap_or_default();
    match file.file_type.as_deref().unwrap_or_default() {
        _ if is_cards(file) => FileSummary::Card,
        "image" => FileSummary::Picture,
        "video" => FileSummary::Film,
        "audio" => FileSummary::Sound,
        "contact" => FileSummary::Card,
        _ if mime.starts_with("image/") => FileSummary::Picture,
        _ if mime.starts_with("video/") => FileSummary::Film,
        _ if mime.starts_with("audio/") => FileSummary::Sound,
        _ => FileSummary::Document,
    }
}
