//! The brake: what rules, bots and macros make the bridge do again and again. Chatwoot keeps a rule from what rules write, not from
//! what the bridge writes with its token; so a note of the bridge may set off the very rule that led to it.
//!
//! A command by a rule or a bot is done once for each thing the customer did, and so is the same template by what may be a person,
//! as long as it follows on what the bridge wrote faster than a person reads. Behind that, and for whatever does not show who wrote
//! it, stand counts. Whoever may be a person is told why under the command. All is read from the list, so nothing has to be
//! remembered.

use std::time::Duration;

use app::HandlerError;
use chatwoot::{Chatwoot, listing::ListedMessage};
use domain::{Timestamp, command::Command, texts::brake::Braked};

use crate::sync::TrackedMessage;

/// What is counted is counted over this.
const SHORT_SPAN: Duration = Duration::from_secs(60);

/// How far back it is looked for the customer's last message.
const LONG_SPAN: Duration = Duration::from_secs(3600);

/// Commands a minute.
const MAX_COMMANDS: usize = 12;

/// Templates by command a minute: each of them is a message on somebody's phone, and may be charged.
const MAX_TEMPLATES: usize = 6;

/// Templates by command since the customer last wrote, within the last hour.
const MAX_UNANSWERED: usize = 15;

/// Commands since the customer last wrote, within the last hour.
const UNHEARD: usize = 40;

/// What follows on the bridge's own writing within this may be an answer to it.
const REACTION: Duration = Duration::from_secs(10);

/// What the customer wrote within this of something else came with it: what one of the two set off may stand behind both.
const TOGETHER: Duration = Duration::from_secs(1);

/// How often a minute and an hour it is told under a command that it was not done: the note may set off the next.
const TOLD_MINUTE: usize = 5;
const TOLD_HOUR: usize = 15;

/// Begins the source id of what is told under a command that was not done.
pub(crate) const SOURCE: &str = "lmotos:brake:";

/// Messages of rules and bots a minute.
const MAX_AUTOMATIC: usize = 20;

/// Messages of rules and bots since the customer last wrote.
const MAX_MONOLOGUE: usize = 60;

/// Pages of twenty that are read of what stands before a command.
const MAX_PAGES: usize = 6;

/// Why a command is not to be done, and who is to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// A rule or a bot asked, or there is no end of telling: agents read it once an hour.
    Automatic,
    /// It may have been a person, who reads it under the command.
    Perhaps {
        /// Why.
        why: Braked,
        /// Whether it is not the first within a minute: then it is hardly a person.
        again: bool,
    },
}

/// Whether a command is not to be done.
pub(crate) async fn brakes(
    chatwoot: &Chatwoot,
    note: &ListedMessage,
    conversation: domain::ConversationId,
) -> Result<Option<Stop>, HandlerError> {
    let at = note.created_at().unwrap_or_default();
    let enough = |before: &[ListedMessage]| {
        let oldest = before.iter().filter_map(ListedMessage::created_at).min().unwrap_or(at);
        oldest < at - LONG_SPAN || (oldest < at - SHORT_SPAN && before.iter().any(|one| one.heard().is_some()))
    };
    let before = chatwoot.before(conversation, note.id, MAX_PAGES, enough).await?;
    Ok(stop(&before, note, at))
}

fn stop(before: &[ListedMessage], note: &ListedMessage, at: Timestamp) -> Option<Stop> {
    let too_much = is_too_much(before, at);
    if note.is_automatic() {
        return (too_much.is_some() || repeats(before, note)).then_some(Stop::Automatic);
    }
    let why = too_much.or_else(|| echoes(before, note, at).then_some(Braked::Again))?;
    let is_told = |one: &ListedMessage| one.source_id.as_deref().is_some_and(|id| id.starts_with(SOURCE));
    let told = |time| before.iter().filter(|one| is_told(one) && within(one, at, time)).count();
    let minute = told(SHORT_SPAN);
    let endless = minute >= TOLD_MINUTE || told(LONG_SPAN) >= TOLD_HOUR;
    Some(if endless { Stop::Automatic } else { Stop::Perhaps { why, again: minute > 0 } })
}

/// Whether a rule or a bot asks the same again, without anything of the customer's in between, after the bridge wrote something that
/// may have set it off. Of a rule the same command is the same, whatever stands behind it. `before` is in order.
fn repeats(before: &[ListedMessage], note: &ListedMessage) -> bool {
    let called = note.command();
    let name = |one: &ListedMessage| one.command().map(|called| (called.command, called.name.to_lowercase()));
    let same = |one: &ListedMessage| {
        let alike = if note.rule().is_some() { name(one) == name(note) } else { one.command() == called };
        one.is_automatic() && one.rule() == note.rule() && alike
    };
    is_set_off(before, same, ListedMessage::is_bridges)
}

/// Whether what may be a person asks for the same template again, faster than a person reads what the bridge wrote.
fn echoes(before: &[ListedMessage], note: &ListedMessage, at: Timestamp) -> bool {
    let called = note.command();
    let is_template = called.as_ref().is_some_and(|called| called.command == Some(Command::Template));
    let same = |one: &ListedMessage| !one.is_automatic() && one.command() == called;
    is_template && is_set_off(before, same, |one| one.is_bridges() && within(one, at, REACTION))
}

/// Whether the same was asked as often as the customer did something, and the bridge wrote behind that.
fn is_set_off(
    before: &[ListedMessage],
    same: impl Fn(&ListedMessage) -> bool,
    wrote: impl Fn(&ListedMessage) -> bool,
) -> bool {
    let since = since_heard(before);
    let Some(first) = since.iter().position(&same) else { return false };
    since.iter().filter(|one| same(one)).count() >= heard_together(before) && since[first..].iter().any(wrote)
}

/// How many messages the customer last wrote, one right after the other.
fn heard_together(before: &[ListedMessage]) -> usize {
    let Some(last) = before.iter().rposition(|one| one.heard().is_some()) else { return 1 };
    let at = before[last].created_at().unwrap_or_default();
    let context =
        |one: &&ListedMessage| one.heard().is_some() && one.created_at().is_some_and(|then| at.since(then) <= TOGETHER);
    before[..=last].iter().rev().take_while(context).count().max(1)
}

/// Why more was asked than a person asks, if it was.
fn is_too_much(before: &[ListedMessage], at: Timestamp) -> Option<Braked> {
    let is_template =
        |one: &&ListedMessage| one.command().is_some_and(|called| called.command == Some(Command::Template));
    let minute = || before.iter().filter(|one| one.command().is_some() && within(one, at, SHORT_SPAN));
    let unheard = || since_heard(before).iter().filter(|one| one.command().is_some() && within(one, at, LONG_SPAN));
    if minute().count() >= MAX_COMMANDS || minute().filter(is_template).count() >= MAX_TEMPLATES {
        return Some(Braked::TooMany);
    }
    (unheard().filter(is_template).count() >= MAX_UNANSWERED || unheard().count() >= UNHEARD)
        .then_some(Braked::Unanswered)
}

fn within(one: &ListedMessage, at: Timestamp, time: Duration) -> bool {
    one.created_at().is_none_or(|then| then > at - time)
}

/// What stands behind the customer's last message.
fn since_heard(before: &[ListedMessage]) -> &[ListedMessage] {
    let last = before.iter().rposition(|one| one.heard().is_some());
    &before[last.map_or(0, |last| last + 1)..]
}

/// Whether a message of a rule's or a bot's is one too many.
pub(crate) fn is_one_too_many(rows: &[TrackedMessage], at: usize) -> bool {
    let message = &rows[at].message;
    if !message.is_automatic() {
        return false;
    }
    let written_at = message.created_at().unwrap_or_default();
    let is_automatic = |row: &&TrackedMessage| row.message.is_for_customer() && row.message.is_automatic();
    let recent = |row: &&TrackedMessage| row.message.created_at().is_none_or(|then| then > written_at - SHORT_SPAN);
    let minute = rows[..at].iter().filter(is_automatic).filter(recent).count();
    let heard = rows[..at].iter().rposition(|row| row.message.heard().is_some());
    let monolog = rows[heard.map_or(0, |heard| heard + 1)..at].iter().filter(is_automatic).count();
    minute >= MAX_AUTOMATIC || monolog >= MAX_MONOLOGUE
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const AT: i64 = 1_795_190_400;

    fn listed(id: i64, extra: &Value) -> ListedMessage {
        let mut message = json!({ "id": id, "message_type": 1, "created_at": AT, "content_attributes": {} });
        message.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        serde_json::from_value(message).unwrap()
    }

    fn note(id: i64, text: &str, rule: Option<i64>) -> ListedMessage {
        listed(id, &json!({ "private": true, "content": text, "content_attributes": { "automation_rule_id": rule } }))
    }

    fn heard(id: i64) -> ListedMessage {
        listed(id, &json!({ "message_type": 0, "source_id": "wamid.X" }))
    }

    fn ours(id: i64) -> ListedMessage {
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
        let other = |id| note(id, "/plantilla precio_de_hoy 2", Some(4));
        assert!(repeats(&[heard(1), rule(2), ours(3)], &other(4)), "whatever stands behind the command");
        assert!(!repeats(&[heard(1), rule(2)], &other(3)), "two in one go");
        let bot = |id, text: &str| {
            listed(id, &json!({ "private": true, "content": text, "sender": { "type": "agent_bot" } }))
        };
        assert!(repeats(&[heard(1), bot(2, "/estado"), ours(3)], &bot(4, "/estado")));
        assert!(!repeats(&[heard(1), bot(2, "/plantilla a"), ours(3)], &bot(4, "/plantilla b")), "a bot's next step");
    }

    #[test]
    fn what_the_customer_wrote_together_is_answered_as_often() {
        let rule = |id| note(id, "/plantilla precio", Some(4));
        assert!(!repeats(&[heard(1), heard(2), rule(3), ours(4)], &rule(5)));
        assert!(repeats(&[heard(1), heard(2), rule(3), ours(4), rule(5)], &rule(6)));
        let earlier = listed(1, &json!({ "message_type": 0, "source_id": "wamid.W", "created_at": AT - 5 }));
        assert!(repeats(&[earlier, heard(2), rule(3), ours(4)], &rule(5)));
    }

    #[test]
    fn the_same_template_right_behind_what_the_bridge_wrote_is_no_persons() {
        let now = Timestamp::from_secs(AT);
        let asks = |id, text| note(id, text, None);
        let before = [heard(1), asks(2, "/plantilla x"), ours(3)];
        let again = |told: Option<ListedMessage>, text, at| {
            stop(&[&before[..], &told.into_iter().collect::<Vec<_>>()].concat(), &asks(9, text), at)
        };
        let perhaps = |again| Some(Stop::Perhaps { why: Braked::Again, again });
        assert_eq!(again(None, "/plantilla x", now), perhaps(false));
        for not in ["/plantilla y", "/estado"] {
            assert_eq!(again(None, not, now), None, "{not}");
        }
        assert_eq!(again(None, "/plantilla x", now + REACTION), None, "a person may mean it");
        let told = |id| listed(id, &json!({ "private": true, "source_id": "lmotos:brake:4" }));
        assert_eq!(again(Some(told(4)), "/plantilla x", now), perhaps(true));
        let many = [&before[..], &(4..9).map(told).collect::<Vec<_>>()].concat();
        assert_eq!(stop(&many, &asks(9, "/plantilla x"), now), Some(Stop::Automatic), "telling sets it off, too");
    }

    #[test]
    fn more_than_a_person_asks_is_too_much() {
        let now = Timestamp::from_secs(AT);
        let notes = |text: &str, count: i64| (1..=count).map(|id| note(id, text, None)).collect::<Vec<_>>();
        assert_eq!(
            (is_too_much(&notes("/estado", 11), now), is_too_much(&notes("/estado", 12), now)),
            (None, Some(Braked::TooMany))
        );
        assert_eq!(is_too_much(&notes("/plantilla x", 5), now), None);
        assert_eq!(is_too_much(&notes("/plantilla x", 6), now), Some(Braked::TooMany));
        let later = now + Duration::from_secs(600);
        assert_eq!(is_too_much(&notes("/plantilla x", 14), later), None);
        assert_eq!(is_too_much(&notes("/plantilla x", 15), later), Some(Braked::Unanswered));
        assert_eq!(is_too_much(&notes("/estado", 40), later), Some(Braked::Unanswered));
        let answered = [notes("/plantilla x", 20), vec![heard(30)]].concat();
        assert_eq!(is_too_much(&answered, later), None);
    }
}
