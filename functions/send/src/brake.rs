//! The brake: what rules, bots and macros make the bridge do again and again. Chatwoot keeps a rule from what rules write, not from
//! what the bridge writes with its token; so a note of the bridge may set off the very rule that led to it.
//!
//! A command by a rule or a bot is done once for each thing the customer did. Behind that, and for what does not show that no person
//! wrote it, stand counts: no person writes so much in a minute. All is read from the list, so nothing has to be remembered.

use std::time::Duration;

use bridge::BridgeError;
use chatwoot::{Chatwoot, listing::Listed};
use domain::{Timestamp, command::Command};

use crate::look::Row;

/// What is counted is counted over this.
const MINUTE: Duration = Duration::from_secs(60);

/// How far back it is looked for the customer's last message.
const LATELY: Duration = Duration::from_secs(3600);

/// Commands a minute.
const COMMANDS: usize = 12;

/// Templates by command a minute: each of them is a message on somebody's phone, and may be charged.
const TEMPLATES: usize = 6;

/// Templates by command since the customer last wrote, within the last hour.
const UNANSWERED: usize = 15;

/// Messages of rules and bots a minute.
const AUTOMATIC: usize = 20;

/// Messages of rules and bots since the customer last wrote.
const MONOLOG: usize = 60;

/// Pages of twenty that are read of what stands before a command.
const PAGES: usize = 6;

/// Whether a command is not to be done, whoever wrote it.
pub(crate) async fn brakes(
    chatwoot: &Chatwoot,
    note: &Listed,
    conversation: domain::ConversationId,
) -> Result<bool, BridgeError> {
    let at = note.created_at().unwrap_or_default();
    let enough = |before: &[Listed]| {
        let oldest = before.iter().filter_map(Listed::created_at).min().unwrap_or(at);
        oldest < at - LATELY || (oldest < at - MINUTE && before.iter().any(|one| one.heard().is_some()))
    };
    let before = chatwoot.before(conversation, note.id, PAGES, enough).await?;
    Ok(repeats(&before, note) || is_too_much(&before, at))
}

/// Whether a rule or a bot asks the same again, without anything of the customer's in between, after the bridge wrote something that
/// may have set it off. `before` is in order.
fn repeats(before: &[Listed], note: &Listed) -> bool {
    if !note.is_automatic() {
        return false;
    }
    let since = since_heard(before);
    let called = note.command();
    since.iter().any(Listed::is_bridges) && since.iter().any(|one| one.is_automatic() && one.command() == called)
}

/// Whether more was asked than a person asks.
fn is_too_much(before: &[Listed], at: Timestamp) -> bool {
    let is_template = |one: &&Listed| one.command().is_some_and(|called| called.command == Some(Command::Template));
    let within = |one: &&Listed, time: Duration| one.created_at().is_none_or(|then| then > at - time);
    let minute = || before.iter().filter(|one| one.command().is_some() && within(one, MINUTE));
    minute().count() >= COMMANDS
        || minute().filter(is_template).count() >= TEMPLATES
        || since_heard(before).iter().filter(|one| within(one, LATELY)).filter(is_template).count() >= UNANSWERED
}

/// What stands behind the customer's last message.
fn since_heard(before: &[Listed]) -> &[Listed] {
    let last = before.iter().rposition(|one| one.heard().is_some());
    &before[last.map_or(0, |last| last + 1)..]
}

/// Whether a message of a rule's or a bot's is one too many.
pub(crate) fn is_one_too_many(rows: &[Row], at: usize) -> bool {
    let message = &rows[at].message;
    if !message.is_automatic() {
        return false;
    }
    let written_at = message.created_at().unwrap_or_default();
    let is_automatic = |row: &&Row| row.message.is_for_customer() && row.message.is_automatic();
    let recent = |row: &&Row| row.message.created_at().is_none_or(|then| then > written_at - MINUTE);
    let minute = rows[..at].iter().filter(is_automatic).filter(recent).count();
    let heard = rows[..at].iter().rposition(|row| row.message.heard().is_some());
    let monolog = rows[heard.map_or(0, |heard| heard + 1)..at].iter().filter(is_automatic).count();
    minute >= AUTOMATIC || monolog >= MONOLOG
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const AT: i64 = 1_795_190_400;

    fn listed(id: i64, extra: &Value) -> Listed {
        let mut message = json!({ "id": id, "message_type": 1, "created_at": AT, "content_attributes": {} });
        message.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        serde_json::from_value(message).unwrap()
    }

    fn note(id: i64, text: &str, rule: Option<i64>) -> Listed {
        listed(id, &json!({ "private": true, "content": text, "content_attributes": { "automation_rule_id": rule } }))
    }

    fn heard(id: i64) -> Listed {
        listed(id, &json!({ "message_type": 0, "source_id": "wamid.X" }))
    }

    fn ours(id: i64) -> Listed {
        listed(id, &json!({ "private": true, "source_id": "lmotos:command:1" }))
    }

    #[test]
    fn a_rule_gets_one_answer_for_each_thing_the_customer_did() {
        let rule = |id| note(id, "/plantilla precio", Some(4));
        assert!(!repeats(&[heard(1)], &rule(2)));
        assert!(!repeats(&[heard(1), heard(2), rule(3)], &rule(4)), "nothing of ours may have set it off");
        assert!(repeats(&[heard(1), rule(2), ours(3)], &rule(4)));
        assert!(!repeats(&[heard(1), rule(2), ours(3), heard(4)], &rule(5)));
        assert!(!repeats(&[heard(1), rule(2), ours(3)], &note(4, "/estado", Some(5))), "another rule's");
        assert!(!repeats(&[note(2, "/estado", None), ours(3)], &note(4, "/estado", None)), "a person's");
    }

    #[test]
    fn more_than_a_person_asks_is_too_much() {
        let now = Timestamp::from_secs(AT);
        let notes = |text: &str, count: i64| (1..=count).map(|id| note(id, text, None)).collect::<Vec<_>>();
        assert!(!is_too_much(&notes("/estado", 11), now) && is_too_much(&notes("/estado", 12), now));
        assert!(!is_too_much(&notes("/plantilla x", 5), now) && is_too_much(&notes("/plantilla x", 6), now));
        let later = now + Duration::from_secs(600);
        assert!(!is_too_much(&notes("/plantilla x", 14), later) && is_too_much(&notes("/plantilla x", 15), later));
        let answered = [notes("/plantilla x", 20), vec![heard(30)]].concat();
        assert!(!is_too_much(&answered, later));
    }
}
