//! This module finds out which messages are templates, and what was picked. Only the callback holds what was picked. If it was
//! lost, Chatwoot still shows it for the last message of a conversation.

use std::{
    collections::HashMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use texts::Text as _;

use app::HandlerError;
use chatwoot::{ChatwootError, listing::ListedMessage};
use domain::{
    Channel, Class, Classify as _, MediaId, MessageId, SendFailure, Timestamp,
    message::MediaKind,
    outgoing::{DisplayedStatus, MessageKind, Outgoing},
    template::{Category, Fault, Filled, FilledHeader, Picked, Template},
};
use secrecy::SecretString;
use store::{OutboxEntry, StoreError};
use whatsapp::{
    GraphError,
    compose::GraphPayload,
    templates::{self, HeaderFile},
};

use crate::{
    Handler, SyncJob,
    delivery::ConversationContext,
    upload::{NotUploaded, elsewhere, upload_address},
};

/// How long Meta's description of a template is used.
const TEMPLATES_TTL: Duration = Duration::from_secs(60);

/// How long it is remembered that an account has no templates.
const NO_TEMPLATES_TTL: Duration = Duration::from_secs(10);

/// A callback that follows another message's arrives within this; after it, it is taken as lost.
const CALLBACK_MAX_WAIT: Duration = Duration::from_secs(60);

/// The same while Chatwoot has not failed to post the callback that was asked for: it is in Chatwoot's own queue. Its failure would
/// stand on the message.
const QUEUED_CALLBACK_MAX_WAIT: Duration = Duration::from_secs(300);

/// When to check again once it is late.
const LATE_CALLBACK_RETRY_DELAY: Duration = Duration::from_secs(20);

/// How long to check again without a pause while more sync requests may be queued behind those in hand.
const CALLBACK_EXPECTED_IN: Duration = Duration::from_secs(5);

/// When to check again. After this Chatwoot is asked.
const LOOKUP_RETRY_DELAY: Duration = Duration::from_secs(1);

/// What a message turned out to be.
pub(crate) enum TemplateLookup {
    /// Text, files, or anything else that is no template.
    Plain,
    /// A template, with what was picked where that is known.
    Template(Option<Picked>),
    /// Its callback may still arrive; check again after this.
    Later(Duration),
    /// Nothing reported in time what it is.
    Untold,
}

/// Templates as Meta last described them, by account and name.
#[derive(Debug, Default)]
pub(crate) struct ApprovedTemplates {
    seen: Mutex<HashMap<(String, Option<String>), CachedTemplates>>,
    /// Whether Chatwoot kept a failed status that was to be taken back: then no more are set in order to ask.
    marks_stay: AtomicBool,
}

#[derive(Clone, Debug)]
struct CachedTemplates {
    at: Timestamp,
    templates: Vec<Template>,
}

impl Handler {
    /// Whether a message is a template. The list does not say so; its callback does, and so does the conversation for its last
    /// message. A template's text may be anything, so the text counts only once nothing else can come.
    pub(crate) async fn look_up_template(
        &self,
        job: &SyncJob<'_>,
        context: &ConversationContext<'_>,
        message: &ListedMessage,
        entry: &mut OutboxEntry,
    ) -> Result<TemplateLookup, HandlerError> {
        if let Some((_, picked)) = job.picked.iter().find(|(id, _)| *id == message.id) {
            return Ok(TemplateLookup::Template(Some(picked.clone())));
        }
        if entry.outgoing.next_part().is_none() || entry.outgoing.nature == MessageKind::Plain {
            return Ok(TemplateLookup::Plain);
        }
        let now = self.clients.clock.now();
        let asked = now.since(entry.outgoing.asked_at);
        let is_template = entry.outgoing.nature == MessageKind::Template;
        if job.batch.full && asked < CALLBACK_EXPECTED_IN {
            if !is_template && !self.may_be_templates(context.channel).await? {
                return Ok(TemplateLookup::Plain);
            }
            // Its callback may be queued behind these.
            if asked >= LOOKUP_RETRY_DELAY {
                self.ask_again(context, message, entry).await?;
            }
            return Ok(TemplateLookup::Later(Duration::ZERO));
        }
        match self.still_shown(context, message.id).await? {
            Some(Some(picked)) => return Ok(TemplateLookup::Template(Some(picked))),
            Some(None) if !is_template => return Ok(TemplateLookup::Plain),
            None if !is_template && !self.may_be_templates(context.channel).await? => return Ok(TemplateLookup::Plain),
            Some(None) | None => {}
        }
        if asked >= CALLBACK_MAX_WAIT {
            let is_ours = |shown: &str| shown == Fault::Untold.text(self.clients.locale);
            if asked < QUEUED_CALLBACK_MAX_WAIT && message.error().is_some_and(is_ours) {
                return Ok(TemplateLookup::Later(LATE_CALLBACK_RETRY_DELAY));
            }
            if is_template {
                return Ok(TemplateLookup::Template(None));
            }
            // Nothing more will be reported: what cannot be a template is sent as text, in its turn.
            let words = self.reads_like_none(context, message).await?;
            return Ok(if words { TemplateLookup::Plain } else { TemplateLookup::Untold });
        }
        if asked >= LOOKUP_RETRY_DELAY {
            self.ask_again(context, message, entry).await?;
        }
        // Usually it is queued behind this sync request.
        Ok(TemplateLookup::Later(if job.suspect { LOOKUP_RETRY_DELAY } else { Duration::ZERO }))
    }

    /// Whether a message reads like none of the account's templates: it has none of their texts, none of their names, no
    /// placeholder for a value. If Meta cannot be asked now, it may be a template.
    async fn reads_like_none(
        &self,
        context: &ConversationContext<'_>,
        message: &ListedMessage,
    ) -> Result<bool, HandlerError> {
        let text = message.text();
        if text.contains("{{") {
            return Ok(false);
        }
        let mut token = self.clients.token(context.channel).await?;
        match self.described(context.channel, None, &mut token, TEMPLATES_TTL).await {
            Ok(templates) => Ok(!templates.iter().any(|template| template.may_be(text))),
            Err(error) => {
                tracing::warn!(%error, "Meta does not list its templates; a message stays held");
                Ok(false)
            }
        }
    }

    /// Whether a channel's account has templates. What is cached of the channel may be older than they are.
    async fn may_be_templates(&self, channel: &Channel) -> Result<bool, HandlerError> {
        if channel.has_templates() {
            return Ok(true);
        }
        let (key, now) = ((channel.waba_id.to_string(), None), self.clients.clock.now());
        if self
            .templates
            .lock()
            .get(&key)
            .is_some_and(|seen| seen.templates.is_empty() && now.since(seen.at) < NO_TEMPLATES_TTL)
        {
            return Ok(false);
        }
        let mut token = self.clients.token(channel).await?;
        Ok(match self.described(channel, None, &mut token, TEMPLATES_TTL).await {
            Ok(templates) => !templates.is_empty(),
            Err(error) => {
                tracing::warn!(%error, "a message without a callback may be a template, and Meta does not tell");
                true
            }
        })
    }

    /// Makes Chatwoot report what a message is. Only a callback does, and Chatwoot posts one for each status that changes
    /// something. So a failed status is set, with an error text that is true as long as it stands; the answer clears it.
    async fn ask_again(
        &self,
        context: &ConversationContext<'_>,
        message: &ListedMessage,
        entry: &mut OutboxEntry,
    ) -> Result<(), HandlerError> {
        if entry.outgoing.shown == DisplayedStatus::Failed || self.templates.marks_stay.load(Ordering::Relaxed) {
            return Ok(());
        }
        let words = Fault::Untold.text(self.clients.locale);
        match context.chatwoot.mark(context.conversation.conversation, message.id, "failed", Some(&words)).await {
            // Chatwoot can answer with success and change nothing.
            Ok(Some(stands)) if stands != "failed" => return Ok(()),
            // The message was deleted; the next sync reports that.
            Ok(_) | Err(ChatwootError::Gone) => {}
            Err(error) => return Err(error.into()),
        }
        let told_at = self.clients.clock.now();
        entry.outgoing = Outgoing { shown: DisplayedStatus::Failed, shown_at: told_at, ..entry.outgoing.clone() };
        let (Ok(known) | Err(known)) = self.clients.outbox.save(entry.clone()).await?;
        *entry = known;
        Ok(())
    }

    /// Clears the failed status once it is known what the message is: its error text is no longer true. Gives whether that
    /// worked; later versions of Chatwoot let only the agent's Retry bring a message back from failed.
    pub(crate) async fn asked_no_more(
        &self,
        context: &ConversationContext<'_>,
        message: &ListedMessage,
        entry: &mut OutboxEntry,
    ) -> Result<bool, HandlerError> {
        if entry.outgoing.shown != DisplayedStatus::Failed || entry.outgoing.next_part().is_none() {
            return Ok(true);
        }
        match context.chatwoot.mark(context.conversation.conversation, message.id, "sent", None).await {
            Ok(Some(stands)) if stands == "failed" => {
                self.templates.marks_stay.store(true, Ordering::Relaxed);
                return Ok(false);
            }
            Ok(_) | Err(ChatwootError::Gone | ChatwootError::Refused(_)) => {}
            Err(error) => return Err(error.into()),
        }
        let outgoing =
            Outgoing { shown: DisplayedStatus::Sent, shown_at: self.clients.clock.now(), ..entry.outgoing.clone() };
        let (Ok(known) | Err(known)) = self.clients.outbox.save(entry.clone().with(outgoing)).await?;
        *entry = known;
        Ok(true)
    }

    /// What was picked in a message, if it is the last of its conversation: Chatwoot shows that one whole.
    pub(crate) async fn still_shown(
        &self,
        context: &ConversationContext<'_>,
        message: MessageId,
    ) -> Result<Option<Option<Picked>>, HandlerError> {
        match context.chatwoot.last_picked(context.conversation.conversation, message).await {
            Err(ChatwootError::Gone) => Ok(None),
            shown => Ok(shown?),
        }
    }

    /// The account's templates of a name, or all of them, as Meta described them within that time. If Meta does not answer now,
    /// its earlier answer counts.
    async fn described(
        &self,
        channel: &Channel,
        name: Option<&str>,
        token: &mut SecretString,
        fresh: Duration,
    ) -> Result<Vec<Template>, GraphError> {
        let key = (channel.waba_id.to_string(), name.map(str::to_owned));
        let now = self.clients.clock.now();
        let cached = self.templates.lock().get(&key).cloned();
        // If there were none, one may have been approved a moment ago.
        if let Some(seen) = cached.as_ref().filter(|seen| !seen.templates.is_empty() && now.since(seen.at) < fresh) {
            return Ok(seen.templates.clone());
        }
        let mut listed = self.clients.graph.templates(&channel.waba_id, name, token).await;
        if listed.as_ref().is_err_and(GraphError::is_unauthorized)
            && let Some(renewed) = self.clients.renew_token(channel, token).await
        {
            *token = renewed;
            listed = self.clients.graph.templates(&channel.waba_id, name, token).await;
        }
        let listed = match (listed, cached) {
            (Err(error), Some(seen)) if !error.is_unauthorized() && !seen.templates.is_empty() => {
                tracing::warn!(%error, "Meta does not list its templates; they are taken as they were");
                return Ok(seen.templates);
            }
            (listed, _) => listed?,
        };
        let templates: Vec<Template> = listed.into_iter().map(|listed| listed.template).collect();
        // A template that is missing is asked for again.
        if !templates.is_empty() || name.is_none() {
            self.templates.lock().insert(key, CachedTemplates { at: now, templates: templates.clone() });
        }
        Ok(templates)
    }

    /// The templates an agent may name: by name, those in the agents' language first.
    pub(crate) async fn offered(&self, channel: &Channel) -> Result<Vec<Template>, HandlerError> {
        let mut token = self.clients.token(channel).await?;
        let mut found = self.described(channel, None, &mut token, TEMPLATES_TTL).await?;
        found.retain(Template::is_offered);
        found.sort_by_key(|template| (template.name.clone(), !self.is_spoken(template), template.language.clone()));
        Ok(found)
    }

    fn is_spoken(&self, template: &Template) -> bool {
        template.language.starts_with(self.clients.locale.code())
    }

    /// The template as the call sends it: checked against Meta's list, with its header's file uploaded.
    pub(crate) async fn template(
        &self,
        context: &ConversationContext<'_>,
        message: &ListedMessage,
        picked: &Picked,
        token: &mut SecretString,
    ) -> Result<GraphPayload, NotUploaded> {
        let never = |fault| NotUploaded::Never(SendFailure::Template { fault });
        let mut found = self.named(context, picked, token, TEMPLATES_TTL).await?;
        if self.meant(&found, picked, message).is_none() {
            // It may have been approved a moment ago.
            found = self.named(context, picked, token, Duration::ZERO).await?;
        }
        let template = self.meant(&found, picked, message).ok_or(never(Fault::Missing))?;
        let filled = template.fill(picked).map_err(never)?;
        if filled.category == Category::Marketing && self.is_opted_out(context).await? {
            return Err(never(Fault::OptedOut));
        }
        let file = self.header(context, &filled, token).await?;
        Ok(GraphPayload::Template(templates::compose(&filled, file.as_ref())))
    }

    async fn named(
        &self,
        context: &ConversationContext<'_>,
        picked: &Picked,
        token: &mut SecretString,
        fresh: Duration,
    ) -> Result<Vec<Template>, NotUploaded> {
        self.described(context.channel, Some(&picked.name), token, fresh).await.map_err(|error| match error.class() {
            _ if error.is_unauthorized() => NotUploaded::Unauthorized,
            Class::Transient { after } => NotUploaded::NotNow { after },
            Class::Uncertain => NotUploaded::NotNow { after: None },
            Class::Permanent | Class::Poison => NotUploaded::Never(SendFailure::Template { fault: Fault::Unlisted }),
        })
    }

    /// The template an agent means: in the language that was picked. If none was picked, of those that can be sent: the one the
    /// message reads like, or one in the agents' language.
    fn meant<'a>(&self, found: &'a [Template], picked: &Picked, message: &ListedMessage) -> Option<&'a Template> {
        if let Some(language) = &picked.language {
            return found.iter().find(|template| template.language == *language);
        }
        let approved = found.iter().filter(|template| template.is_offered());
        let mut like = approved.clone().filter(|template| template.body.reads_like(message.text()));
        let mut spoken = approved.clone().filter(|template| self.is_spoken(template));
        like.next().or(spoken.next()).or(approved.clone().next()).or(found.first())
    }

    async fn is_opted_out(&self, context: &ConversationContext<'_>) -> Result<bool, NotUploaded> {
        let Some(customer) = context.customer else { return Ok(false) };
        self.clients.profiles.wants_no_marketing(customer).await.map_err(|error| {
            tracing::warn!(%error, "whether a customer wants marketing cannot be told; the template waits");
            NotUploaded::NotNow { after: None }
        })
    }

    /// Prepares the header's file. A file of Chatwoot's is uploaded. Any other address is left for Meta to fetch: only Chatwoot
    /// may make the bridge fetch files.
    async fn header(
        &self,
        context: &ConversationContext<'_>,
        filled: &Filled,
        token: &SecretString,
    ) -> Result<Option<HeaderFile>, NotUploaded> {
        let Some(FilledHeader::File { kind, url, name }) = &filled.header else { return Ok(None) };
        let wrong = NotUploaded::Never(SendFailure::Template { fault: Fault::WrongFile });
        if context.chatwoot.is_own_elsewhere(url) {
            return Err(elsewhere());
        }
        if !context.chatwoot.is_own(url) {
            let named = || chatwoot::files::name(url).and_then(|name| whatsapp::names::safe(&name));
            let name = name.clone().or_else(named).filter(|name| !name.is_empty());
            let public = url.starts_with("https://") || url.starts_with("http://");
            return if public { Ok(Some(HeaderFile::Linked { url: url.clone(), name })) } else { Err(wrong) };
        }
        let uploaded = upload_address(&self.clients, context.chatwoot, context.channel, token, url).await?;
        if let (GraphPayload::Link { url, filename, .. }, MediaKind::Document) = (&uploaded, kind) {
            return Ok(Some(HeaderFile::Linked {
                url: url.to_string(),
                name: name.clone().or(Some(filename.clone())),
            }));
        }
        let GraphPayload::File { kind: found, id, filename, .. } = uploaded else { return Err(wrong) };
        self.note_upload(context, &id).await.map_err(|error| {
            tracing::warn!(%error, "an upload could not be noted; the template waits");
            NotUploaded::NotNow { after: None }
        })?;
        if found != *kind && *kind != MediaKind::Document {
            return Err(wrong);
        }
        Ok(Some(HeaderFile::Uploaded { id, name: name.clone().or(filename) }))
    }

    /// Notes an upload, so that the file is found at Meta when the customer asks to be erased.
    pub(crate) async fn note_upload(&self, context: &ConversationContext<'_>, id: &MediaId) -> Result<(), StoreError> {
        let Some(customer) = context.customer else { return Ok(()) };
        self.clients.media.uploaded(customer, &context.channel.phone_number_id, id).await
    }
}

impl ApprovedTemplates {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(String, Option<String>), CachedTemplates>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
