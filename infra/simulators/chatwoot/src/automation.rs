//! What writes by itself: automation rules and bots. Chatwoot keeps a rule from what rules write, and from nothing else: what comes
//! by an API token sets it off like any message.

use serde::Deserialize;
use serde_json::json;

use crate::{
    Chatwoot,
    message_rules::Draft,
    rows::{ConversationStatus, Message, MessageType, Role, SenderRef},
    state::State,
};

/// An automation rule on "message created".
#[derive(Clone, Debug, Deserialize)]
pub struct Rule {
    /// What the message has to contain, in any case; empty for any message.
    #[serde(default)]
    pub contains: String,
    /// `incoming` or `outgoing`, if the rule asks for a message type.
    #[serde(default)]
    pub message_type: Option<String>,
    /// What it does, in order.
    pub actions: Vec<RuleAction>,
}

/// What a rule does.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleAction {
    /// Writes a private note.
    AddPrivateNote(String),
    /// Writes to the customer.
    SendMessage(String),
    /// Puts a label on the conversation.
    AddLabel(String),
    /// Takes a label off it.
    RemoveLabel(String),
    /// Resolves it.
    ResolveConversation,
}

/// A bot that answers every message but its own with the same words.
#[derive(Clone, Debug, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "switches of a bot, as the control route takes them")]
pub struct Robot {
    /// Its name.
    pub name: String,
    /// What it says.
    pub says: String,
    /// Whether it says that in a note.
    #[serde(default)]
    pub private: bool,
    /// Whether it writes with a user's token, as many an integration does: then nothing tells that it is no person.
    #[serde(default)]
    pub as_user: bool,
    /// Whether it answers changes of messages, too: ticks and failures.
    #[serde(default)]
    pub on_updates: bool,
    /// Whether it answers what customers write and nothing else, as most bots do.
    #[serde(default)]
    pub customers_only: bool,
}

impl Chatwoot {
    /// An administrator adds a rule.
    pub fn add_rule(&self, rule: Rule) {
        self.shared().lock().rules.push(rule);
    }

    /// Connects a bot.
    pub fn add_robot(&self, robot: Robot) {
        self.shared().lock().robots.push(robot);
    }

    /// Takes all rules and bots away.
    pub fn clear_automation(&self) {
        let mut state = self.shared().lock();
        state.rules.clear();
        state.robots.clear();
    }
}

impl State {
    /// Lets rules and bots act on a new message. Their own trouble is nobody else's.
    pub(crate) fn react(&mut self, id: i64) {
        let Some(message) = self.messages.get(&id).cloned().filter(|one| one.message_type != MessageType::Activity)
        else {
            return;
        };
        if message.attribute("automation_rule_id").is_none() {
            let text = message.content.as_deref().unwrap_or_default().to_lowercase();
            let fits = |rule: &Rule| {
                text.contains(&rule.contains.to_lowercase())
                    && rule.message_type.as_deref().is_none_or(|kind| kind == message.message_type.name())
            };
            let fitting: Vec<_> = self
                .rules
                .iter()
                .enumerate()
                .filter(|(_, rule)| fits(rule))
                .map(|(at, rule)| (at, rule.clone()))
                .collect();
            for (at, rule) in fitting {
                for action in rule.actions {
                    self.act(at + 1, message.conversation_id, action);
                }
            }
        }
        self.answer(&message, false);
    }

    /// Lets bots answer a message that is new, or was changed.
    pub(crate) fn answer(&mut self, message: &Message, changed: bool) {
        for robot in self.robots.clone() {
            let role = if robot.as_user { Role::Agent } else { Role::Bot };
            let id = self.user_named(&robot.name, role);
            let sender = if robot.as_user { SenderRef::User(id) } else { SenderRef::Bot(id) };
            if robot.customers_only && message.message_type != MessageType::Incoming {
                continue;
            }
            // It knows its own words again, and their marks only if it was made to hear of changes.
            if (message.sender == sender && !changed) || (changed && !robot.on_updates) {
                continue;
            }
            let draft = Draft { private: robot.private, ..Draft::outgoing(sender, Some(robot.says)) };
            let _ = self.create_message(message.conversation_id, draft);
        }
    }

    fn act(&mut self, rule: usize, conversation: i64, action: RuleAction) {
        let mut says = |text: String, private: bool| {
            let mut draft = Draft { private, ..Draft::outgoing(SenderRef::Nobody, Some(text)) };
            draft.content_attributes.insert("automation_rule_id".to_owned(), json!(rule));
            let _ = self.create_message(conversation, draft);
        };
        match action {
            RuleAction::AddPrivateNote(text) => says(text, true),
            RuleAction::SendMessage(text) => says(text, false),
            RuleAction::AddLabel(label) => self.relabel(conversation, |labels| {
                if !labels.contains(&label) {
                    labels.push(label);
                }
            }),
            RuleAction::RemoveLabel(label) => self.relabel(conversation, |labels| labels.retain(|one| *one != label)),
            RuleAction::ResolveConversation => {
                let _ = self.set_status(conversation, ConversationStatus::Resolved, None);
            }
        }
    }

    fn relabel(&mut self, conversation: i64, change: impl FnOnce(&mut Vec<String>)) {
        let Ok(mut labels) = self.conversation(conversation).map(|row| row.labels.clone()) else { return };
        change(&mut labels);
        let _ = self.set_labels(conversation, labels, 0);
    }
}
