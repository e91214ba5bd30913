//! Answers agents' commands, which are private notes beginning with `/`. Each is answered once, by a private note
//! whose source id holds the command's id. So a lost response does not lead to a second answer.

mod erase;
mod merge;
mod react;
mod retry;
mod state;
mod template;

use std::time::Duration;

use app::HandlerError;
use chatwoot::{Chatwoot, ChatwootError, NewMessage, listing::ListedMessage};
use domain::{Channel, CommandNote, MessageId, OutboundTask, SyncRequest, Timestamp};
use queue::QueueMessage;
use store::Conversation;
use texts::{
    Locale, Text as _,
    command::{self, Command, reply::Reply},
};

use super::{
    MAX_MESSAGE_AGE, SyncJob, TrackedMessage,
    brake::{self, Stop, brakes},
};
use crate::Handler;

/// A command that is being answered.
pub(super) struct Asked<'a> {
    job: &'a SyncJob<'a>,
    chatwoot: &'a Chatwoot,
    channel: &'a Channel,
    conversation: &'a Conversation,
    /// The conversation's messages from the command on.
    listed: &'a [ListedMessage],
    note: &'a ListedMessage,
    /// What stands behind the command's name.
    rest: &'a str,
    now: Timestamp,
}

/// What the agent reads.
pub(super) struct Answer {
    text: String,
    /// Whether the next command of the same name answers it.
    asks: bool,
}

impl Answer {
    fn of(reply: Reply, locale: Locale) -> Self {
        reply.text(locale).into()
    }
}

impl From<String> for Answer {
    fn from(text: String) -> Self {
        Self { text, asks: false }
    }
}

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
        let answered = |id| {
            let sources = sources(id);
            messages.iter().any(|one| one.message.source_id.as_ref().is_some_and(|source| sources.contains(source)))
        };
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
        let sources = sources(id);
        if listed.iter().any(|listed| listed.source_id.as_ref().is_some_and(|source| sources.contains(source))) {
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
        let Some(note) = note else { return Ok(()) };
        let asked = Asked {
            job,
            chatwoot: &chatwoot,
            channel: &channel,
            conversation: &conversation,
            listed: &listed,
            note,
            rest: &called.rest,
            now,
        };
        let answer = match called.command {
            Some(Command::Template) => self.template_asked(&asked).await?.into(),
            Some(Command::State) => self.report(&asked).await?.text(self.clients.locale).into(),
            Some(Command::History) => self.past(&channel, &conversation).await?.text(self.clients.locale).into(),
            Some(Command::AskNumber) => Answer::of(self.ask_number(&asked).await?, self.clients.locale),
            Some(Command::Erase) => Answer::of(self.erase_message(&asked).await?, self.clients.locale),
            Some(Command::Merge) => self.merge(&asked).await?,
            Some(Command::Retry) => self.retry_failed(&asked).await?,
            Some(Command::React) => Answer::of(self.react(&asked).await?, self.clients.locale),
            Some(Command::Help) => command::help(self.clients.locale).into(),
            None => command::unknown(self.clients.locale, &called.name).into(),
        };
        let Answer { text, asks } = answer;
        let source = if asks { format!("{source}{QUESTION}") } else { source };
        let note = NewMessage { content: &text, private: true, source_id: Some(&source), ..NewMessage::default() };
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

    /// Whether the bridge put that question within the last hour: what follows it may be done now.
    pub(super) async fn was_put(&self, asked: &Asked<'_>, command: Command) -> Result<bool, HandlerError> {
        let since = asked.now - QUESTION_VALID;
        let listed = asked.chatwoot.messages(asked.conversation.conversation, None, since).await?;
        let asks = |one: &&ListedMessage| {
            one.id < asked.note.id
                && one.command().is_some_and(|called| called.command == Some(command))
                && one.created_at().is_some_and(|at| at >= since)
        };
        let is_put = |note: &ListedMessage| {
            let question = format!("{}{QUESTION}", source_id(note.id));
            listed.iter().any(|one| one.source_id.as_ref() == Some(&question))
        };
        Ok(listed.iter().filter(asks).any(is_put))
    }

    /// Enqueues a sync request for a message that a command wrote, beside its callback, which comes once or never.
    pub(super) async fn pass_on_written(&self, asked: &Asked<'_>, request: SyncRequest) -> Result<(), HandlerError> {
        let dedup = format!("commanded:{}:{}", request.account, asked.note.id);
        let task = OutboundTask::SyncRequestV1(request);
        self.drain.queue.send(QueueMessage::new(task.group(), dedup, &task)?).await?;
        Ok(())
    }
}

/// Whether a note is a command that may still be answered.
fn is_open(job: &SyncJob<'_>, message: &ListedMessage, now: Timestamp) -> bool {
    message.command().is_some() && message.created_at().is_some_and(|at| job.saw_in_time(at, now))
}

/// Begins the source id of every answer.
const NOTE_SOURCE_PREFIX: &str = "lmotos:command:";

/// Ends the source id of an answer that asks back.
const QUESTION: &str = "?";

/// How long a question of the bridge's may be answered by the next command.
const QUESTION_VALID: Duration = Duration::from_secs(3600);

/// The source ids that an answer to a command may have.
fn sources(command: MessageId) -> [String; 3] {
    let own = source_id(command);
    [format!("{own}{QUESTION}"), own, format!("{}{command}", brake::SOURCE)]
}

fn source_id(command: MessageId) -> String {
    format!("{NOTE_SOURCE_PREFIX}{command}")
}
