//! Templates on their way out. What was picked comes with the callback alone; where that was lost, Chatwoot still shows it for the
//! last message of a conversation.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use bridge::BridgeError;
use chatwoot::{ChatwootError, listing::Listed};
use domain::{
    Channel, Class, Classify as _, MessageId, Timestamp,
    message::MediaKind,
    outgoing::Nature,
    template::{Category, Fault, Filled, FilledHeader, Picked, Template},
    words::Trouble,
};
use secrecy::SecretString;
use store::Entry;
use whatsapp::{
    GraphError,
    compose::Piece,
    templates::{self, File},
};

use crate::{
    Send, Task,
    dispatch::With,
    upload::{NotUploaded, upload_as},
};

/// How long a template is used as Meta described it.
const FRESH: Duration = Duration::from_secs(60);

/// A callback that comes after another's takes no longer than this; later it is lost.
const CALLBACK: Duration = Duration::from_secs(60);

/// When to look for it again.
const SOON: Duration = Duration::from_secs(2);

/// What a message turned out to be.
pub(crate) enum Sort {
    /// Words, files, whatever else.
    Plain,
    /// A template, with what was picked where that is known.
    Template(Option<Picked>),
    /// Its callback may still tell.
    Later(Duration),
}

/// Templates as Meta described them lately, by account and name.
#[derive(Debug, Default)]
pub(crate) struct Known(Mutex<HashMap<(String, Option<String>), Seen>>);

#[derive(Clone, Debug)]
struct Seen {
    at: Timestamp,
    templates: Vec<Template>,
}

impl Send {
    /// Whether a message is a template. The list does not say so; the conversation does for its last message. Another one without
    /// a callback of its own is taken for a template only if it reads like one.
    pub(crate) async fn sort(
        &self,
        task: &Task<'_>,
        with: &With<'_>,
        message: &Listed,
        entry: &Entry,
    ) -> Result<Sort, BridgeError> {
        if let Some((_, picked)) = task.picked.iter().find(|(id, _)| *id == message.id) {
            return Ok(Sort::Template(Some(picked.clone())));
        }
        if entry.outgoing.next_part().is_none() {
            return Ok(Sort::Plain);
        }
        match entry.outgoing.nature {
            Nature::Template => return Ok(Sort::Template(self.still_shown(with, message.id).await?.flatten())),
            Nature::Unsorted if with.channel.has_templates() && !task.messages.contains(&message.id) => {}
            Nature::Unsorted | Nature::Plain => return Ok(Sort::Plain),
        }
        match self.still_shown(with, message.id).await? {
            Some(Some(picked)) => return Ok(Sort::Template(Some(picked))),
            Some(None) => return Ok(Sort::Plain),
            None => {}
        }
        let templates = match self.described(with.channel, None, &mut self.clients.token(with.channel).await?).await {
            Ok(templates) => templates,
            Err(error) => {
                tracing::warn!(%error, "a message without a callback may be a template, and Meta does not tell");
                return Ok(Sort::Plain);
            }
        };
        let like: Vec<_> = templates.iter().filter(|template| template.body.reads_like(message.text())).collect();
        let age = message.created_at().map_or(CALLBACK, |at| self.clients.clock.now().since(at));
        Ok(match like.as_slice() {
            [] => Sort::Plain,
            _ if age < CALLBACK => Sort::Later(SOON),
            like if like.iter().any(|template| template.body.is_telling()) => Sort::Template(None),
            _ => Sort::Plain,
        })
    }

    /// What was picked in a message, if it is the last of its conversation: Chatwoot shows that one whole.
    async fn still_shown(&self, with: &With<'_>, message: MessageId) -> Result<Option<Option<Picked>>, BridgeError> {
        match with.chatwoot.last_picked(with.conversation.conversation, message).await {
            Err(ChatwootError::Gone) => Ok(None),
            shown => Ok(shown?),
        }
    }

    /// The account's templates of a name, or all of them.
    async fn described(
        &self,
        channel: &Channel,
        name: Option<&str>,
        token: &mut SecretString,
    ) -> Result<Vec<Template>, GraphError> {
        let key = (channel.waba_id.to_string(), name.map(str::to_owned));
        let now = self.clients.clock.now();
        let cached = self.templates.lock().get(&key).cloned();
        if let Some(seen) = cached.filter(|seen| now.since(seen.at) < FRESH) {
            return Ok(seen.templates);
        }
        let mut listed = self.clients.graph.templates(&channel.waba_id, name, token).await;
        if listed.as_ref().is_err_and(GraphError::is_unauthorized)
            && let Some(renewed) = self.clients.renew_token(channel, token).await
        {
            *token = renewed;
            listed = self.clients.graph.templates(&channel.waba_id, name, token).await;
        }
        let templates: Vec<Template> = listed?.into_iter().map(|listed| listed.template).collect();
        if !templates.is_empty() {
            self.templates.lock().insert(key, Seen { at: now, templates: templates.clone() });
        }
        Ok(templates)
    }

    /// The templates an agent may name: by name, those in the agents' language first.
    pub(crate) async fn offered(&self, channel: &Channel) -> Result<Vec<Template>, BridgeError> {
        let mut token = self.clients.token(channel).await?;
        let mut found = self.described(channel, None, &mut token).await?;
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
        picked: &Picked,
        token: &mut SecretString,
    ) -> Result<Piece, NotUploaded> {
        let never = |fault| NotUploaded::Never(Trouble::Template { fault });
        let found =
            self.described(with.channel, Some(&picked.name), token).await.map_err(|error| match error.class() {
                _ if error.is_unauthorized() => NotUploaded::Unauthorized,
                Class::Transient { .. } | Class::Uncertain => NotUploaded::NotNow,
                Class::Permanent | Class::Poison => {
                    NotUploaded::Never(Trouble::Refused { code: error.code().unwrap_or(domain::NO_CODE) })
                }
            })?;
        let template = match &picked.language {
            Some(language) => found.iter().find(|template| template.language == *language),
            None => found.iter().find(|template| self.is_spoken(template)).or(found.first()),
        };
        let filled = template.ok_or(never(Fault::Missing))?.fill(picked).map_err(never)?;
        if filled.category == Category::Marketing && self.is_opted_out(with).await? {
            return Err(never(Fault::OptedOut));
        }
        let file = self.header(with, &filled, token).await?;
        Ok(Piece::Template(templates::compose(&filled, file.as_ref())))
    }

    async fn is_opted_out(&self, with: &With<'_>) -> Result<bool, NotUploaded> {
        let Some(customer) = with.customer else { return Ok(false) };
        self.clients.profiles.wants_no_marketing(customer).await.map_err(|error| {
            tracing::warn!(%error, "whether a customer wants marketing cannot be told; the template waits");
            NotUploaded::NotNow
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
        if !with.chatwoot.is_own(url) {
            let named = || url.rsplit('/').next().and_then(|last| last.split(['?', '#']).next()).map(str::to_owned);
            let name = name.clone().or_else(named).filter(|name| !name.is_empty());
            let public = url.starts_with("https://") || url.starts_with("http://");
            return if public { Ok(Some(File::Linked { url: url.clone(), name })) } else { Err(wrong) };
        }
        match upload_as(&self.clients, with.chatwoot, with.channel, token, url).await? {
            Piece::File { kind: found, id, filename, .. } if found == *kind || *kind == MediaKind::Document => {
                Ok(Some(File::Uploaded { id, name: name.clone().or(filename) }))
            }
            _ => Err(wrong),
        }
    }
}

impl Known {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(String, Option<String>), Seen>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
