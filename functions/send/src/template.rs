//! Templates on their way out. What was picked comes with the callback alone; where that was lost, Chatwoot still shows it for the
//! last message of a conversation.

use std::{
    collections::HashMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use app::BridgeError;
use chatwoot::{ChatwootError, listing::Listed};
use domain::{
    Channel, Class, Classify as _, MediaId, MessageId, Timestamp,
    message::MediaKind,
    outgoing::{Mark, Nature, Outgoing},
    template::{Category, Fault, Filled, FilledHeader, Picked, Template},
    words::Trouble,
};
use secrecy::SecretString;
use store::{Entry, StoreError};
use whatsapp::{
    GraphError,
    compose::Piece,
    templates::{self, File},
};

use crate::{
    Send, Task,
    dispatch::With,
    upload::{NotUploaded, elsewhere, upload_address},
};

/// How long a template is used as Meta described it.
const FRESH: Duration = Duration::from_secs(60);

/// How long it is remembered that there is none.
const NONE: Duration = Duration::from_secs(10);

/// A callback that comes after another's takes no longer than this; later it is lost.
const CALLBACK: Duration = Duration::from_secs(60);

/// How long it is looked for without a pause where more hints may stand behind those in hand.
const AT_ONCE: Duration = Duration::from_secs(5);

/// When to look for it again. After this Chatwoot is asked.
const SOON: Duration = Duration::from_secs(1);

/// What a message turned out to be.
pub(crate) enum Sort {
    /// Words, files, whatever else.
    Plain,
    /// A template, with what was picked where that is known.
    Template(Option<Picked>),
    /// Its callback may still tell.
    Later(Duration),
    /// Nothing told in time what it is.
    Untold,
}

/// Templates as Meta described them lately, by account and name.
#[derive(Debug, Default)]
pub(crate) struct Known {
    seen: Mutex<HashMap<(String, Option<String>), Seen>>,
    /// Whether Chatwoot let a mark of failure stand that was to be taken back: such marks are not made to ask.
    marks_stay: AtomicBool,
}

#[derive(Clone, Debug)]
struct Seen {
    at: Timestamp,
    templates: Vec<Template>,
}

impl Send {
    /// Whether a message is a template. The list does not say so; its callback does, and the conversation for its last message.
    /// What a template is written as may be anything, so its text counts only once nothing else can come.
    pub(crate) async fn sort(
        &self,
        task: &Task<'_>,
        with: &With<'_>,
        message: &Listed,
        entry: &mut Entry,
    ) -> Result<Sort, BridgeError> {
        if let Some((_, picked)) = task.picked.iter().find(|(id, _)| *id == message.id) {
            return Ok(Sort::Template(Some(picked.clone())));
        }
        if entry.outgoing.next_part().is_none() || entry.outgoing.nature == Nature::Plain {
            return Ok(Sort::Plain);
        }
        let now = self.clients.clock.now();
        let asked = now.since(entry.outgoing.asked_at);
        let is_template = entry.outgoing.nature == Nature::Template;
        if task.batch.full && asked < AT_ONCE {
            if !is_template && !self.may_be_templates(with.channel).await? {
                return Ok(Sort::Plain);
            }
            // Its callback may stand in the queue behind these.
            if asked >= SOON {
                self.ask_again(with, message, entry).await?;
            }
            return Ok(Sort::Later(Duration::ZERO));
        }
        match self.still_shown(with, message.id).await? {
            Some(Some(picked)) => return Ok(Sort::Template(Some(picked))),
            Some(None) if !is_template => return Ok(Sort::Plain),
            None if !is_template && !self.may_be_templates(with.channel).await? => return Ok(Sort::Plain),
            Some(None) | None => {}
        }
        if asked >= CALLBACK {
            if is_template {
                return Ok(Sort::Template(None));
            }
            // Nothing will tell any more: what cannot be a template goes out as words, in its place.
            let words = self.reads_like_none(with, message).await?;
            return Ok(if words { Sort::Plain } else { Sort::Untold });
        }
        if asked >= SOON {
            self.ask_again(with, message, entry).await?;
        }
        // Mostly it stands in the queue behind this hint.
        Ok(Sort::Later(if task.suspect { SOON } else { Duration::ZERO }))
    }

    /// Whether a message reads like none of the account's templates: none of its text, of their names, no place for a value. What Meta
    /// does not tell now may be one.
    async fn reads_like_none(&self, with: &With<'_>, message: &Listed) -> Result<bool, BridgeError> {
        let text = message.text();
        if text.contains("{{") {
            return Ok(false);
        }
        let mut token = self.clients.token(with.channel).await?;
        match self.described(with.channel, None, &mut token, FRESH).await {
            Ok(templates) => Ok(!templates.iter().any(|template| template.may_be(text))),
            Err(error) => {
                tracing::warn!(%error, "Meta does not list its templates; a message stays held");
                Ok(false)
            }
        }
    }

    /// Whether there are templates in a channel's account. What is remembered of the channel may be older than they are.
    async fn may_be_templates(&self, channel: &Channel) -> Result<bool, BridgeError> {
        if channel.has_templates() {
            return Ok(true);
        }
        let (key, now) = ((channel.waba_id.to_string(), None), self.clients.clock.now());
        if self.templates.lock().get(&key).is_some_and(|seen| seen.templates.is_empty() && now.since(seen.at) < NONE) {
            return Ok(false);
        }
        let mut token = self.clients.token(channel).await?;
        Ok(match self.described(channel, None, &mut token, FRESH).await {
            Ok(templates) => !templates.is_empty(),
            Err(error) => {
                tracing::warn!(%error, "a message without a callback may be a template, and Meta does not tell");
                true
            }
        })
    }

    /// Has Chatwoot say what a message is: nothing but a callback does, and Chatwoot posts one for each mark that changes something.
    /// The mark says so in words that are true as long as it stands; the answer takes it away.
    async fn ask_again(&self, with: &With<'_>, message: &Listed, entry: &mut Entry) -> Result<(), BridgeError> {
        if entry.outgoing.shown == Mark::Failed || self.templates.marks_stay.load(Ordering::Relaxed) {
            return Ok(());
        }
        let words = Fault::Untold.say(self.clients.locale);
        match with.chatwoot.mark(with.conversation.conversation, message.id, "failed", Some(words)).await {
            // Chatwoot can answer well and leave things as they were.
            Ok(Some(stands)) if stands != "failed" => return Ok(()),
            // It was taken back; the next look tells.
            Ok(_) | Err(ChatwootError::Gone) => {}
            Err(error) => return Err(error.into()),
        }
        let told_at = self.clients.clock.now();
        entry.outgoing = Outgoing { shown: Mark::Failed, shown_at: told_at, ..entry.outgoing.clone() };
        let (Ok(known) | Err(known)) = self.clients.outbox.save(entry.clone()).await?;
        *entry = known;
        Ok(())
    }

    /// It is known what the message is: what stands on it is true no more. Gives whether it could be taken away; later versions of
    /// Chatwoot let nothing but the agent's Retry bring a message back from failed.
    pub(crate) async fn asked_no_more(
        &self,
        with: &With<'_>,
        message: &Listed,
        entry: &mut Entry,
    ) -> Result<bool, BridgeError> {
        if entry.outgoing.shown != Mark::Failed || entry.outgoing.next_part().is_none() {
            return Ok(true);
        }
        match with.chatwoot.mark(with.conversation.conversation, message.id, "sent", None).await {
            Ok(Some(stands)) if stands == "failed" => {
                self.templates.marks_stay.store(true, Ordering::Relaxed);
                return Ok(false);
            }
            Ok(_) | Err(ChatwootError::Gone | ChatwootError::Refused(_)) => {}
            Err(error) => return Err(error.into()),
        }
        let outgoing = Outgoing { shown: Mark::Sent, shown_at: self.clients.clock.now(), ..entry.outgoing.clone() };
        let (Ok(known) | Err(known)) = self.clients.outbox.save(entry.clone().with(outgoing)).await?;
        *entry = known;
        Ok(true)
    }

    /// What was picked in a message, if it is the last of its conversation: Chatwoot shows that one whole.
    pub(crate) async fn still_shown(
        &self,
        with: &With<'_>,
        message: MessageId,
    ) -> Result<Option<Option<Picked>>, BridgeError> {
        match with.chatwoot.last_picked(with.conversation.conversation, message).await {
            Err(ChatwootError::Gone) => Ok(None),
            shown => Ok(shown?),
        }
    }

    /// The account's templates of a name, or all of them, as Meta told them within that time. If it does not tell now, what it
    /// told before counts.
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
        // Where there was none, one may have been approved a moment ago.
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
        // One that is missing is asked for again.
        if !templates.is_empty() || name.is_none() {
            self.templates.lock().insert(key, Seen { at: now, templates: templates.clone() });
        }
        Ok(templates)
    }

    /// The templates an agent may name: by name, those in the agents' language first.
    pub(crate) async fn offered(&self, channel: &Channel) -> Result<Vec<Template>, BridgeError> {
        let mut token = self.clients.token(channel).await?;
        let mut found = self.described(channel, None, &mut token, FRESH).await?;
        found.retain(Template::is_offered);
        found.sort_by_key(|template| (template.name.clone(), !self.is_spoken(template), template.language.clone()));
        Ok(found)
    }

    fn is_spoken(&self, template: &Template) -> bool {
        template.language.starts_with(self.clients.locale.code())
    }

    /// The template as the call sends it: checked against Meta's list, its header's file uploaded.
    pub(crate) async fn template(
        &self,
        with: &With<'_>,
        message: &Listed,
        picked: &Picked,
        token: &mut SecretString,
    ) -> Result<Piece, NotUploaded> {
        let never = |fault| NotUploaded::Never(Trouble::Template { fault });
        let mut found = self.named(with, picked, token, FRESH).await?;
        if self.meant(&found, picked, message).is_none() {
            // It may have been approved a moment ago.
            found = self.named(with, picked, token, Duration::ZERO).await?;
        }
        let template = self.meant(&found, picked, message).ok_or(never(Fault::Missing))?;
        let filled = template.fill(picked).map_err(never)?;
        if filled.category == Category::Marketing && self.is_opted_out(with).await? {
            return Err(never(Fault::OptedOut));
        }
        let file = self.header(with, &filled, token).await?;
        Ok(Piece::Template(templates::compose(&filled, file.as_ref())))
    }

    async fn named(
        &self,
        with: &With<'_>,
        picked: &Picked,
        token: &mut SecretString,
        fresh: Duration,
    ) -> Result<Vec<Template>, NotUploaded> {
        self.described(with.channel, Some(&picked.name), token, fresh).await.map_err(|error| match error.class() {
            _ if error.is_unauthorized() => NotUploaded::Unauthorized,
            Class::Transient { after } => NotUploaded::NotNow { after },
            Class::Uncertain => NotUploaded::NotNow { after: None },
            Class::Permanent | Class::Poison => NotUploaded::Never(Trouble::Template { fault: Fault::Unlisted }),
        })
    }

    /// The template an agent means: in the language that was picked. Where none was, of those that can be sent the one the message
    /// reads like, or one in the agents' language.
    fn meant<'a>(&self, found: &'a [Template], picked: &Picked, message: &Listed) -> Option<&'a Template> {
        if let Some(language) = &picked.language {
            return found.iter().find(|template| template.language == *language);
        }
        let approved = found.iter().filter(|template| template.is_offered());
        let mut like = approved.clone().filter(|template| template.body.reads_like(message.text()));
        let mut spoken = approved.clone().filter(|template| self.is_spoken(template));
        like.next().or(spoken.next()).or(approved.clone().next()).or(found.first())
    }

    async fn is_opted_out(&self, with: &With<'_>) -> Result<bool, NotUploaded> {
        let Some(customer) = with.customer else { return Ok(false) };
        self.clients.profiles.wants_no_marketing(customer).await.map_err(|error| {
            tracing::warn!(%error, "whether a customer wants marketing cannot be told; the template waits");
            NotUploaded::NotNow { after: None }
        })
    }

    /// A file of Chatwoot's is uploaded. Another address is Meta's to fetch: nothing but Chatwoot may make the bridge call.
    async fn header(
        &self,
        with: &With<'_>,
        filled: &Filled,
        token: &SecretString,
    ) -> Result<Option<File>, NotUploaded> {
        let Some(FilledHeader::File { kind, url, name }) = &filled.header else { return Ok(None) };
        let wrong = NotUploaded::Never(Trouble::Template { fault: Fault::WrongFile });
        if with.chatwoot.is_own_elsewhere(url) {
            return Err(elsewhere());
        }
        if !with.chatwoot.is_own(url) {
            let named = || chatwoot::files::name(url).and_then(|name| whatsapp::names::safe(&name));
            let name = name.clone().or_else(named).filter(|name| !name.is_empty());
            let public = url.starts_with("https://") || url.starts_with("http://");
            return if public { Ok(Some(File::Linked { url: url.clone(), name })) } else { Err(wrong) };
        }
        let uploaded = upload_address(&self.clients, with.chatwoot, with.channel, token, url).await?;
        if let (Piece::Link { url, filename, .. }, MediaKind::Document) = (&uploaded, kind) {
            return Ok(Some(File::Linked { url: url.to_string(), name: name.clone().or(Some(filename.clone())) }));
        }
        let Piece::File { kind: found, id, filename, .. } = uploaded else { return Err(wrong) };
        self.note_upload(with, &id).await.map_err(|error| {
            tracing::warn!(%error, "an upload could not be noted; the template waits");
            NotUploaded::NotNow { after: None }
        })?;
        if found != *kind && *kind != MediaKind::Document {
            return Err(wrong);
        }
        Ok(Some(File::Uploaded { id, name: name.clone().or(filename) }))
    }

    /// So that a file is found at Meta when the customer wants to be forgotten.
    pub(crate) async fn note_upload(&self, with: &With<'_>, id: &MediaId) -> Result<(), StoreError> {
        let Some(customer) = with.customer else { return Ok(()) };
        self.clients.media.uploaded(customer, &with.channel.phone_number_id, id).await
    }
}

impl Known {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(String, Option<String>), Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
