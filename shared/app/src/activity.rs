//! Finds out when a person was last active, and whether a label keeps them.
//! Both decide whether their retention is over.

use chatwoot::{
    Chatwoot,
    erasing::{ConversationAge, MAX_CONVERSATIONS_SHOWN},
};
use domain::Timestamp;
use store::DataSubject;

use crate::HandlerError;

/// An agent's label that forbids an erasure by retention: a legal hold.
pub const KEEP_LABEL: &str = "conservar";

/// An agent's label that asks for an erasure.
pub const ERASE_LABEL: &str = "borrar-datos";

/// What is known of a person's activity.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Activity {
    /// When the last message came or went, or a note was written, as Chatwoot and the table know it.
    pub last: Option<Timestamp>,
    /// Whether a label keeps them.
    pub kept: bool,
    /// Whether a conversation may be newer than what was seen, or has no time at all.
    pub unclear: bool,
}

impl Activity {
    /// Adds a conversation of theirs.
    pub fn add(&mut self, conversation: &ConversationAge) {
        self.last = self.last.max(conversation.said_at);
        self.kept |= conversation.labels.iter().any(|label| label == KEEP_LABEL);
        self.unclear |= conversation.said_at.is_none();
    }
}

/// The activity of the data subject in all their conversations of `chatwoot`'s account. The data subject has to be gathered.
pub async fn activity(chatwoot: &Chatwoot, subject: &DataSubject, since: Timestamp) -> Result<Activity, HandlerError> {
    let mut activity = Activity { last: subject.active_at, ..Activity::default() };
    for (_, contact) in subject.contacts.iter().filter(|(account, _)| subject.only.is_none_or(|only| only == *account))
    {
        let theirs = chatwoot.conversations_of(*contact).await?;
        for conversation in &theirs {
            activity.add(conversation);
        }
        // Chatwoot shows a limited number, the latest first: in the others nothing happened later than in the last one shown.
        let rest = theirs.get(MAX_CONVERSATIONS_SHOWN - 1).map(|last| last.active_at);
        activity.unclear |= rest.is_some_and(|at| at.is_none_or(|at| at >= since));
    }
    Ok(activity)
}
