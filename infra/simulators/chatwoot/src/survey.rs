//! The satisfaction survey: sent once, when a conversation is resolved.
//! A line says that it was not sent where the window is closed. Its link stands in callbacks alone.

use serde_json::{Value, json};

use crate::{
    errors::Refusal,
    message_rules::Draft,
    rows::{Conversation, Message, MessageType, SenderRef},
    state::State,
};

/// What kind of message it is.
const SURVEY: &str = "input_csat";

impl State {
    /// Sends the survey of a conversation that was resolved, if its inbox has one and the window is open.
    pub(crate) fn survey(&mut self, id: i64) -> Result<(), Refusal> {
        let row = self.conversation(id)?;
        let inbox = self.inbox(row.inbox_id)?;
        let sent = self.thread(id).any(|message| message.content_type == SURVEY);
        if !inbox.flag("csat_survey_enabled") || sent {
            return Ok(());
        }
        if !self.can_reply(row) {
            let text = self.language.say(
                "No se envió la encuesta por las restricciones de mensajes salientes",
                "CSAT survey not sent due to outgoing message restrictions",
            );
            return self.leave_line(id, text.to_owned());
        }
        let words = self.survey_words(row).unwrap_or_else(|| {
            self.language.say("Por favor califica la conversación", "Please rate the conversation").to_owned()
        });
        let mut draft = Draft::outgoing(SenderRef::Nobody, Some(words));
        draft.message_type = MessageType::Template;
        SURVEY.clone_into(&mut draft.content_type);
        draft.content_attributes.insert("display_type".to_owned(), json!("emoji"));
        self.create_message(id, draft).map(drop)
    }

    /// A message as a callback says it: a survey with its link, hard breaks without their backslash, no newlines at the end.
    pub(crate) fn told_content(&self, message: &Message, conversation: &Conversation) -> Option<String> {
        if message.content_type == SURVEY {
            let link = format!("{}/survey/responses/{}", self.base_url, conversation.uuid);
            let own = self.survey_words(conversation).map(|words| format!("{words} {link}"));
            let words = self.language.say("Por favor califica esta conversación", "Please rate this conversation");
            return Some(own.unwrap_or_else(|| format!("{words}, {link}")));
        }
        message.content.as_ref().map(|text| text.replace("\\\n", "\n").trim_end_matches('\n').to_owned())
    }

    /// The inbox's own words for it.
    fn survey_words(&self, conversation: &Conversation) -> Option<String> {
        let config = self.inboxes.get(&conversation.inbox_id)?.fields.get("csat_config")?;
        config.get("message").and_then(Value::as_str).filter(|words| !words.is_empty()).map(str::to_owned)
    }
}
