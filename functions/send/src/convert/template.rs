//! Makes a template of what was picked. It is filled as Meta lists it, with its values and its file.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use app::HandlerError;
use chatwoot::listing::ListedMessage;
use domain::{
    Channel, Class, Classify as _, MediaId, SendFailure, Timestamp,
    message::MediaKind,
    template::{Category, Fault, Filled, FilledHeader, Picked, Template},
};
use whatsapp::{
    Graph, GraphError,
    compose::GraphPayload,
    templates::{self, HeaderFile},
};

use super::media::{NotUploaded, elsewhere, upload_address};
use crate::{Handler, delivery::ConversationContext};

/// How long Meta's description of a template is used.
const TEMPLATES_TTL: Duration = Duration::from_secs(60);

/// How long it is remembered that an account has no templates.
const NO_TEMPLATES_TTL: Duration = Duration::from_secs(10);

/// Templates as Meta last described them, by account and name.
#[derive(Debug, Default)]
pub(crate) struct ApprovedTemplates {
    seen: Mutex<HashMap<(String, Option<String>), CachedTemplates>>,
}

#[derive(Clone, Debug)]
struct CachedTemplates {
    at: Timestamp,
    templates: Vec<Template>,
}

impl ApprovedTemplates {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(String, Option<String>), CachedTemplates>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Handler {
    /// Whether a message reads like none of the account's templates: it has none of their texts, none of their names, no
    /// placeholder for a value. If Meta cannot be asked now, it may be a template.
    pub(crate) async fn reads_like_none(
        &self,
        context: &ConversationContext<'_>,
        message: &ListedMessage,
    ) -> Result<bool, HandlerError> {
        let text = message.text();
        if text.contains("{{") {
            return Ok(false);
        }
        let graph = self.clients.graph(context.channel).await?;
        match self.described(context.channel, None, &graph, TEMPLATES_TTL).await {
            Ok(templates) => Ok(!templates.iter().any(|template| template.may_be(text))),
            Err(error) => {
                tracing::warn!(%error, "message stays held: Meta does not list its templates");
                Ok(false)
            }
        }
    }

    /// Whether a channel's account has templates. What is cached of the channel may be older than they are.
    pub(crate) async fn may_be_templates(&self, channel: &Channel) -> Result<bool, HandlerError> {
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
        let graph = self.clients.graph(channel).await?;
        Ok(match self.described(channel, None, &graph, TEMPLATES_TTL).await {
            Ok(templates) => !templates.is_empty(),
            Err(error) => {
                tracing::warn!(%error, "message held: it may be a template, and Meta does not list them");
                true
            }
        })
    }

    /// The account's templates of a name, or all of them, as Meta described them within that time. If Meta does not answer now,
    /// its earlier answer counts.
    async fn described(
        &self,
        channel: &Channel,
        name: Option<&str>,
        graph: &Graph,
        fresh: Duration,
    ) -> Result<Vec<Template>, GraphError> {
        let key = (channel.waba_id.to_string(), name.map(str::to_owned));
        let now = self.clients.clock.now();
        let cached = self.templates.lock().get(&key).cloned();
        // If there were none, one may have been approved a moment ago.
        if let Some(seen) = cached.as_ref().filter(|seen| !seen.templates.is_empty() && now.since(seen.at) < fresh) {
            return Ok(seen.templates.clone());
        }
        let listed = match (graph.templates(&channel.waba_id, name).await, cached) {
            (Err(error), Some(seen)) if !error.is_unauthorized() && !seen.templates.is_empty() => {
                tracing::warn!(%error, "templates taken as they were: Meta does not list them");
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
        let graph = self.clients.graph(channel).await?;
        let mut found = self.described(channel, None, &graph, TEMPLATES_TTL).await?;
        found.retain(Template::is_offered);
        found.sort_by_key(|template| (template.name.clone(), !self.is_spoken(template), template.language.clone()));
        Ok(found)
    }

    fn is_spoken(&self, template: &Template) -> bool {
        template.language.starts_with(self.clients.locale.code())
    }

    /// The template as the call sends it: checked against Meta's list, with its header's file uploaded.
    pub(crate) async fn fill_template(
        &self,
        context: &ConversationContext<'_>,
        message: &ListedMessage,
        picked: &Picked,
        graph: &Graph,
    ) -> Result<GraphPayload, NotUploaded> {
        let never = |fault| NotUploaded::Never(SendFailure::Template { fault });
        let mut found = self.named(context, picked, graph, TEMPLATES_TTL).await?;
        if self.meant(&found, picked, message).is_none() {
            // It may have been approved a moment ago.
            found = self.named(context, picked, graph, Duration::ZERO).await?;
        }
        let template = self.meant(&found, picked, message).ok_or(never(Fault::Missing))?;
        let filled = template.fill(picked).map_err(never)?;
        if filled.category == Category::Marketing && self.is_opted_out(context).await? {
            return Err(never(Fault::OptedOut));
        }
        let file = self.header(context, &filled, graph).await?;
        Ok(GraphPayload::Template(templates::compose(&filled, file.as_ref())))
    }

    async fn named(
        &self,
        context: &ConversationContext<'_>,
        picked: &Picked,
        graph: &Graph,
        fresh: Duration,
    ) -> Result<Vec<Template>, NotUploaded> {
        self.described(context.channel, Some(&picked.name), graph, fresh).await.map_err(|error| match error.class() {
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
            tracing::warn!(%error, "template deferred: whether the customer wants marketing cannot be read");
            NotUploaded::NotNow { after: None }
        })
    }

    /// Prepares the header's file. A file of Chatwoot's is uploaded. Any other address is left for Meta to fetch: only Chatwoot
    /// may make the bridge fetch files.
    async fn header(
        &self,
        context: &ConversationContext<'_>,
        filled: &Filled,
        graph: &Graph,
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
        let uploaded = upload_address(context.chatwoot, context.channel, graph, url).await?;
        if let (GraphPayload::Link { url, filename, .. }, MediaKind::Document) = (&uploaded, kind) {
            return Ok(Some(HeaderFile::Linked {
                url: url.to_string(),
                name: name.clone().or(Some(filename.clone())),
            }));
        }
        let GraphPayload::File { kind: found, id, filename, .. } = uploaded else { return Err(wrong) };
        self.note_upload(context, &id).await.map_err(|error| {
            tracing::warn!(%error, "template deferred: its upload could not be noted");
            NotUploaded::NotNow { after: None }
        })?;
        if found != *kind && *kind != MediaKind::Document {
            return Err(wrong);
        }
        Ok(Some(HeaderFile::Uploaded { id, name: name.clone().or(filename) }))
    }

    /// Notes an upload, so that the file is found at Meta when the customer asks to be erased.
    pub(crate) async fn note_upload(
        &self,
        context: &ConversationContext<'_>,
        id: &MediaId,
    ) -> Result<(), HandlerError> {
        let Some(customer) = context.customer else { return Ok(()) };
        Ok(self.clients.media.uploaded(customer, &context.channel.phone_number_id, id).await?)
    }
}
