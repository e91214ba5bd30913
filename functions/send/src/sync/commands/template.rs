//! Writes the template that an agent named.

use app::HandlerError;
use chatwoot::{NewMessage, listing::ListedMessage, template};
use domain::{Class, Classify as _, MessageId, SyncRequest, template::Template};
use serde_json::json;
use texts::{Text as _, asked::CommandReply, command};

use super::{Asked, NOTE_SOURCE_PREFIX};
use crate::Handler;

impl Handler {
    /// Writes a template into the conversation as the dashboard's picker would; from there it is sent like any other message. If
    /// an earlier attempt wrote it and then crashed, it is not written again: it would be sent again.
    pub(super) async fn template_asked(&self, asked: &Asked<'_>) -> Result<String, HandlerError> {
        let Asked { job, chatwoot, channel, listed, note, rest: typed, .. } = *asked;
        let (locale, note) = (self.clients.locale, note.id);
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
        // The answer written after the template makes it no longer the last message, which is the only one Chatwoot shows whole.
        let request = SyncRequest {
            template: Some(message),
            picked: Some(Box::new(picked)),
            message: Some(message),
            ..job.request.clone()
        };
        self.pass_on_written(asked, request).await?;
        Ok(CommandReply::Written { name: name(template, &all) }.text(locale))
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
pub(super) fn unmarked(listed: &[ListedMessage], note: MessageId, content: &str) -> Option<MessageId> {
    let is_answer =
        |listed: &&ListedMessage| listed.source_id.as_deref().is_some_and(|id| id.starts_with(NOTE_SOURCE_PREFIX));
    let after = listed.iter().filter(is_answer).map(|listed| listed.id).fold(note, MessageId::max);
    listed.iter().find(|listed| listed.id > after && listed.says_unmarked(content)).map(|listed| listed.id)
}
