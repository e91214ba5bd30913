//! Answers agents' commands, which are private notes beginning with `/`. Each is answered once, by a private note
//! whose source id holds the command's id. So a lost response does not lead to a second answer.

use app::HandlerError;
use chatwoot::{
    Chatwoot, ChatwootError, NewMessage,
    listing::{ListedFile, ListedMessage},
    template,
};
use domain::{
    Address, Channel, Class, Classify as _, CommandNote, MessageId, OutboundTask, SyncRequest, Timestamp,
    erasure::{ErasureState, RequestSource},
    history::ImportState,
    template::{Picked, Template},
    window::Advert,
};
use queue::QueueMessage;
use serde_json::json;
use store::{Conversation, DataSubject, Reach};
use texts::{
    Text as _,
    asked::CommandReply,
    command::{self, Command},
    history::{PastReport, ShopTime},
    report::{ConversationReport, ErasureSummary, FileSummary, MessageFate, MessageReport},
};

use super::{
    MAX_MESSAGE_AGE, SyncJob, TrackedMessage,
    brake::{self, Stop, brakes},
};
use crate::{Handler, convert::media::is_cards};

/// How many of the last messages are reported on.
const MAX_REPORTED_MESSAGES: usize = 5;

impl Handler {
    /// Enqueues commands whose callback was lost. Only notes that no complete sync has listed yet count: a note listed before
    /// that was no command then has been edited.
    pub(super) async fn pass_on_commands(
        &self,
        job: &SyncJob<'_>,
        conversation: &Conversation,
        messages: &[TrackedMessage],
        now: Timestamp,
    ) -> Result<(), HandlerError> {
        let is_new =
            |one: &&TrackedMessage| conversation.seen < Some(one.message.id) && is_open(job, &one.message, now);
        let sources = |id| [source_id(id), format!("{}{id}", brake::SOURCE)].map(Some);
        let answered = |id| messages.iter().any(|one| sources(id).contains(&one.message.source_id));
        for one in messages.iter().filter(is_new).filter(|one| !answered(one.message.id)) {
            let written = CommandNote {
                channel: job.request.channel.clone(),
                account: conversation.account,
                conversation: conversation.conversation,
                message: one.message.id,
            };
            let dedup = written.dedup();
            let task = OutboundTask::CommandV1(written);
            self.drain.queue.send(QueueMessage::new(task.group(), dedup, &task)?).await?;
        }
        Ok(())
    }

    /// Answers a command, unless it was answered before, deleted, or is too old.
    pub(crate) async fn command(&self, job: &SyncJob<'_>, id: MessageId) -> Result<(), HandlerError> {
        let request = &job.request;
        let Some(channel) = self.clients.channels.look_again(&request.channel).await? else { return Ok(()) };
        let chatwoot = self.clients.chatwoot(channel.account).await?;
        let now = self.clients.clock.now();
        let before = MessageId(id.0.saturating_sub(1));
        let listed = match chatwoot.messages(request.conversation, Some(before), now).await {
            Err(ChatwootError::Gone) => return Ok(()),
            listed => listed?,
        };
        let note = listed.iter().find(|listed| listed.id == id && is_open(job, listed, now));
        let Some(called) = note.and_then(ListedMessage::command) else { return Ok(()) };
        let source = source_id(id);
        let braked = format!("{}{id}", brake::SOURCE);
        let answers =
            |listed: &ListedMessage| listed.source_id.as_ref().is_some_and(|is| *is == source || *is == braked);
        if listed.iter().any(answers) {
            return Ok(());
        }
        let known = self.clients.conversations.get(request.account, request.conversation).await?;
        if let Some(note) = note
            && let Some(stop) = brakes(&chatwoot, note, request.conversation).await?
        {
            return self.not_done(job, &chatwoot, stop, &braked).await;
        }
        let conversation = match known {
            Some(known) if known.customer.is_some() => known,
            known => match self.adopt(job, &chatwoot, &channel, known).await? {
                Some((adopted, _)) => adopted,
                None => return Ok(()),
            },
        };
        let answer = match called.command {
            Some(Command::Template) => self.template_asked(job, &chatwoot, &channel, &listed, id, &called.rest).await?,
            Some(Command::State) => self.report(&chatwoot, &channel, &conversation).await?.text(self.clients.locale),
            Some(Command::History) => self.past(&channel, &conversation).await?.text(self.clients.locale),
            Some(Command::Help) => command::help(self.clients.locale),
            None => command::unknown(self.clients.locale, &called.name),
        };
        let note = NewMessage { content: &answer, private: true, source_id: Some(&source), ..NewMessage::default() };
        chatwoot.create_message(request.conversation, note).await?;
        Ok(())
    }

    /// Tells that a command is not done; under the command, if a person may have written it.
    async fn not_done(
        &self,
        job: &SyncJob<'_>,
        chatwoot: &Chatwoot,
        stop: Stop,
        source: &str,
    ) -> Result<(), HandlerError> {
        let (account, conversation) = (job.request.account, job.request.conversation);
        let clients = &self.clients;
        let Stop::Perhaps { why, again } = stop else {
            return app::brake(clients, chatwoot, account, conversation).await;
        };
        if again {
            app::alarm(clients, account, conversation).await?;
        }
        let content = why.text(clients.locale);
        let note = NewMessage { content, private: true, source_id: Some(source), ..NewMessage::default() };
        chatwoot.create_message(conversation, note).await?;
        Ok(())
    }

    /// Writes a template into the conversation as the dashboard's picker would; from there it is sent like any other message. If
    /// an earlier attempt wrote it and then crashed, it is not written again: it would be sent again.
    async fn template_asked(
        &self,
        job: &SyncJob<'_>,
        chatwoot: &Chatwoot,
        channel: &Channel,
        listed: &[ListedMessage],
        note: MessageId,
        typed: &str,
    ) -> Result<String, HandlerError> {
        let locale = self.clients.locale;
        let (called, typed) = typed.split_once(char::is_whitespace).unwrap_or((typed, ""));
        let marked = listed.iter().find(|listed| listed.was_commanded_by(note)).map(|listed| listed.id);
        let all = match (self.offered(channel).await, marked) {
            (Ok(all), _) => all,
            (Err(HandlerError::Graph(_) | HandlerError::Secret(_)), Some(_)) => {
                return Ok(CommandReply::Written { name: called.to_owned() }.text(locale));
            }
            (Err(error), _) => {
                let asked = withheld(&error).ok_or(error)?;
                return Ok(asked.text(locale));
            }
        };
        let Some(template) = named(&all, called) else {
            return Ok(CommandReply::Unknown { name: called.to_owned(), names: names(&all) }.text(locale));
        };
        let wanted = template.values();
        let Some(values) = command::values(typed, wanted) else {
            return Ok(CommandReply::Values { name: name(template, &all), body: template.body.as_written(), wanted }
                .text(locale));
        };
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        let picked = match template.pick(&values).and_then(|picked| template.fill(&picked).map(|_| picked)) {
            Ok(picked) => picked,
            Err(fault) => return Ok(fault.text(locale)),
        };
        let content = markup::to_markdown(&template.body.filled(&picked.body));
        let written = marked.or_else(|| unmarked(listed, note, &content).filter(|_| job.suspect));
        let message = if let Some(message) = written {
            message
        } else {
            let message = NewMessage {
                content: &content,
                attributes: json!({ "lmotos_command": note }),
                template: Some(template::params(&picked)),
                ..NewMessage::default()
            };
            chatwoot.create_message(job.request.conversation, message).await?
        };
        self.pass_on_picked(job, message, picked).await?;
        Ok(CommandReply::Written { name: name(template, &all) }.text(locale))
    }

    /// Enqueues a sync request with the picked template, as its callback would, which comes once or never. The answer written
    /// after the template makes it no longer the last message, which is the only one Chatwoot shows whole.
    async fn pass_on_picked(&self, job: &SyncJob<'_>, message: MessageId, picked: Picked) -> Result<(), HandlerError> {
        let request = SyncRequest {
            template: Some(message),
            picked: Some(Box::new(picked)),
            message: Some(message),
            ..job.request.clone()
        };
        let dedup = format!("commanded:{}:{message}", request.account);
        let task = OutboundTask::SyncRequestV1(request);
        self.drain.queue.send(QueueMessage::new(task.group(), dedup, &task)?).await?;
        Ok(())
    }

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
    async fn report(
        &self,
        chatwoot: &Chatwoot,
        channel: &Channel,
        conversation: &Conversation,
    ) -> Result<ConversationReport, HandlerError> {
        let now = self.clients.clock.now();
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
        let mut last: Vec<_> = listed
            .iter()
            .rev()
            .filter(|message| message.is_for_customer())
            .take(MAX_REPORTED_MESSAGES)
            .map(told)
            .collect();
        last.reverse();
        Ok(ConversationReport {
            now,
            window,
            free_until,
            reachable,
            number: channel.display_phone_number.clone(),
            hold: channel.hold(now),
            erasure: self.erasing(channel, conversation, now).await?,
            history: self.importing(channel, now).await?.filter(|state| *state != ImportState::Done),
            last,
        })
    }

    /// How far the import of a number's history is; nothing for a number that is on no phone.
    async fn importing(&self, channel: &Channel, now: Timestamp) -> Result<Option<ImportState>, HandlerError> {
        let progress = self.clients.imports.progress(&channel.phone_number_id).await?;
        Ok(progress.map(|progress| progress.state(now)))
    }

    /// Reports what was imported of a customer's past.
    async fn past(&self, channel: &Channel, conversation: &Conversation) -> Result<PastReport, HandlerError> {
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

/// The template called by its name, or by name and language. Templates in the agents' language come first.
fn named<'a>(all: &'a [Template], called: &str) -> Option<&'a Template> {
    let (name, language) = called.split_once(':').map_or((called, None), |(name, language)| (name, Some(language)));
    all.iter().find(|template| {
        template.name.eq_ignore_ascii_case(name)
            && language.is_none_or(|language| template.language.eq_ignore_ascii_case(language))
    })
}

/// How each template may be called: by its name, and if several share that name, also by language.
fn names(all: &[Template]) -> Vec<String> {
    all.iter().map(|template| name(template, all)).collect()
}

fn name(template: &Template, all: &[Template]) -> String {
    let several = all.iter().filter(|other| other.name == template.name).nth(1).is_some();
    if several { format!("{}:{}", template.name, template.language) } else { template.name.clone() }
}

/// The answer when Meta's list cannot be read. The agent wants to know now, and other commands are queued behind this one.
fn withheld(error: &HandlerError) -> Option<CommandReply> {
    let asked = match error {
        HandlerError::Graph(error) if error.is_unauthorized() => CommandReply::Forbidden,
        HandlerError::Graph(error) => match error.class() {
            Class::Transient { .. } | Class::Uncertain => CommandReply::NotNow,
            Class::Permanent | Class::Poison => CommandReply::Forbidden,
        },
        HandlerError::Secret(_) => CommandReply::NotNow,
        _ => return None,
    };
    tracing::warn!(%error, "template command not done: Meta does not list its templates");
    Some(asked)
}

/// Finds what an earlier attempt wrote on Chatwoot before 4.9, which keeps no attributes: there the text identifies it. Commands
/// are answered one after the other, so it comes after the last answer.
fn unmarked(listed: &[ListedMessage], note: MessageId, content: &str) -> Option<MessageId> {
    let is_answer =
        |listed: &&ListedMessage| listed.source_id.as_deref().is_some_and(|id| id.starts_with(NOTE_SOURCE_PREFIX));
    let after = listed.iter().filter(is_answer).map(|listed| listed.id).fold(note, MessageId::max);
    listed.iter().find(|listed| listed.id > after && listed.says_unmarked(content)).map(|listed| listed.id)
}

/// Whether a note is a command that may still be answered.
fn is_open(job: &SyncJob<'_>, message: &ListedMessage, now: Timestamp) -> bool {
    message.command().is_some() && message.created_at().is_some_and(|at| job.saw_in_time(at, now))
}

/// Begins the source id of every answer.
const NOTE_SOURCE_PREFIX: &str = "lmotos:command:";

fn source_id(command: MessageId) -> String {
    format!("{NOTE_SOURCE_PREFIX}{command}")
}
