//! When somebody was last active, and whether a label keeps them: what decides if their time to be kept is over.

use chatwoot::{
    Chatwoot,
    erasing::{Aged, SHOWN},
};
use domain::Timestamp;
use store::Target;

use crate::BridgeError;

/// An agent's label that forbids an erasure by time: a legal hold.
pub const KEEP: &str = "conservar";

/// An agent's label that asks for an erasure.
pub const ERASE: &str = "borrar-datos";

/// What is known of somebody's activity.
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
    /// A conversation of theirs counts, too.
    pub fn add(&mut self, conversation: &Aged) {
        self.last = self.last.max(conversation.said_at);
        self.kept |= conversation.labels.iter().any(|label| label == KEEP);
        self.unclear |= conversation.said_at.is_none();
    }
}

/// That of whomever `target` names, in all their conversations of the account `chatwoot` is of. The target has to be gathered.
pub async fn activity(chatwoot: &Chatwoot, target: &Target, since: Timestamp) -> Result<Activity, BridgeError> {
    let mut activity = Activity { last: target.active_at, ..Activity::default() };
    for (_, contact) in target.contacts.iter().filter(|(account, _)| target.only.is_none_or(|only| only == *account)) {
        let theirs = chatwoot.conversations_of(*contact).await?;
        for conversation in &theirs {
            activity.add(conversation);
        }
        // In those that are not shown nothing happened later than in the last that is.
        let rest = theirs.get(SHOWN - 1).map(|last| last.active_at);
        activity.unclear |= rest.is_some_and(|at| at.is_none_or(|at| at >= since));
    }
    Ok(activity)
}
