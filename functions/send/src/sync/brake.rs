//! The brake stops rules, bots and macros that keep the bridge busy. Chatwoot keeps a rule from reacting to what rules write,
//! but not to what the bridge writes with its token. So a note of the bridge may trigger the very rule that led to it.
//!
//! A command by a rule or a bot runs once for each thing the customer did. The same template by a possible person is limited
//! likewise if it follows what the bridge wrote faster than a person reads. Beyond that, and where the author is unknown, counts
//! per time span limit what is done. A possible person is told why under the command. Everything is read from the list of
//! messages, so no state has to be kept.

use std::time::Duration;

use app::HandlerError;
use chatwoot::{Chatwoot, HISTORY_SOURCE, listing::ListedMessage};
use domain::{Part, SendFailure, Timestamp};
use texts::{brake::Braked, command::Command};

use super::TrackedMessage;
use crate::{Handler, delivery::ConversationContext};

/// The short span over which messages are counted.
const SHORT_SPAN: Duration = Duration::from_secs(60);

/// How far back the customer's last message is looked for.
const LONG_SPAN: Duration = Duration::from_secs(3600);

/// Commands a minute.
const MAX_COMMANDS: usize = 12;

/// Templates by command a minute: each of them is a message on a customer's phone, and may be charged.
const MAX_TEMPLATES: usize = 6;

/// Templates by command since the customer last wrote, within the last hour.
const MAX_UNANSWERED: usize = 15;

/// Commands since the customer last wrote, within the last hour.
const UNHEARD: usize = 40;

/// What follows the bridge's own message within this may be an answer to it.
const REACTION: Duration = Duration::from_secs(10);

/// Customer messages within this of each other belong together: what one of them triggered may be listed after both.
const TOGETHER: Duration = Duration::from_secs(1);

/// How often a minute and an hour a note under a command says that it was not done: the note may trigger the next command.
const TOLD_MINUTE: usize = 5;
const TOLD_HOUR: usize = 15;

/// Begins the source id of the notes that say a command was not done.
pub(super) const SOURCE: &str = "lmotos:brake:";

/// Messages of rules and bots a minute.
const MAX_AUTOMATIC: usize = 20;

/// Messages of rules and bots since the customer last wrote.
const MAX_MONOLOGUE: usize = 60;

/// Pages of twenty messages that are read back from a command.
const MAX_PAGES: usize = 6;

/// Why a command is not done, and where agents are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// A rule or a bot asked, or there were too many notes already: agents are told once an hour.
    Automatic,
    /// It may have been a person, who is told under the command.
    Perhaps {
        /// Why.
        why: Braked,
        /// Whether it is not the first note within a minute: then it is hardly a person.
        again: bool,
    },
}

impl Handler {
    /// Holds back what a rule or a bot writes when it keeps writing: the message says so, until an agent presses Retry.
    pub(super) async fn brake_message(
        &self,
        context: &ConversationContext<'_>,
        tracked: &mut TrackedMessage,
    ) -> Result<(), HandlerError> {
        let TrackedMessage { message, entry: Some(entry), .. } = tracked else { return Ok(()) };
        if !message.is_for_customer() || entry.outgoing.parts().iter().any(|part| !matches!(part, Part::Planned { .. }))
        {
            return Ok(());
        }
        self.give_up(entry, SendFailure::Braked).await?;
        let (account, conversation) = (context.conversation.account, context.conversation.conversation);
        app::brake(&self.clients, context.chatwoot, account, conversation).await
    }
}

/// Whether a command is not to be done.
pub(super) async fn brakes(
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
        let is_over = too_much.is_some() || repeats(before, note) || answers_an_import(before, at);
        return is_over.then_some(Stop::Automatic);
    }
    let why = too_much.or_else(|| echoes(before, note, at).then_some(Braked::Again))?;
    let is_told = |one: &ListedMessage| one.source_id.as_deref().is_some_and(|id| id.starts_with(SOURCE));
    let told = |time| before.iter().filter(|one| is_told(one) && within(one, at, time)).count();
    let minute = told(SHORT_SPAN);
    let endless = minute >= TOLD_MINUTE || told(LONG_SPAN) >= TOLD_HOUR;
    Some(if endless { Stop::Automatic } else { Stop::Perhaps { why, again: minute > 0 } })
}

/// Whether a rule or a bot answers what an import wrote: the customer did nothing just now, and the words are old.
fn answers_an_import(before: &[ListedMessage], at: Timestamp) -> bool {
    let imported = |one: &ListedMessage| one.source_id.as_deref().is_some_and(|id| id.starts_with(HISTORY_SOURCE));
    since_heard(before).iter().any(|one| imported(one) && within(one, at, SHORT_SPAN))
}

/// Whether a rule or a bot asks the same again, with nothing from the customer in between, after the bridge wrote something that
/// may have triggered it. For a rule, the same command counts as the same, whatever follows its name; for a bot, the same template
/// with whatever values. `before` is in order.
fn repeats(before: &[ListedMessage], note: &ListedMessage) -> bool {
    let name = |one: &ListedMessage| one.command().map(|called| (called.command, called.name.to_lowercase()));
    let same = |one: &ListedMessage| {
        let alike = if note.rule().is_some() { name(one) == name(note) } else { asked(one) == asked(note) };
        one.is_automatic() && one.rule() == note.rule() && alike
    };
    is_set_off(before, same, ListedMessage::is_bridges)
}

/// Whether a possible person asks for the same template again, faster than a person reads what the bridge wrote. With other
/// values it may be a correction, as long as no template went out.
fn echoes(before: &[ListedMessage], note: &ListedMessage, at: Timestamp) -> bool {
    let called = note.command();
    let is_template = called.as_ref().is_some_and(|called| called.command == Some(Command::Template));
    let same = |one: &ListedMessage| !one.is_automatic() && one.command() == called;
    let alike = |one: &ListedMessage| !one.is_automatic() && asked(one) == asked(note);
    let wrote = |one: &ListedMessage| one.is_bridges() && within(one, at, REACTION);
    is_template
        && (is_set_off(before, same, wrote) || is_set_off(before, alike, |one| wrote(one) && one.is_for_customer()))
}

/// What a command asks for: the command, and which template. The values of a template may be a counter.
fn asked(note: &ListedMessage) -> Option<(Option<Command>, String)> {
    let called = note.command()?;
    let of = match called.command {
        Some(Command::Template) => called.rest.split_whitespace().next().unwrap_or_default(),
        _ => &called.rest,
    };
    let asked = if called.command.is_none() { format!("{} {of}", called.name) } else { of.to_owned() };
    Some((called.command, asked.to_lowercase()))
}

/// Whether the same was asked as often as the customer did something, and the bridge wrote after that.
fn is_set_off(
    before: &[ListedMessage],
    same: impl Fn(&ListedMessage) -> bool,
    wrote: impl Fn(&ListedMessage) -> bool,
) -> bool {
    let since = since_heard(before);
    let Some(first) = since.iter().position(&same) else { return false };
    since.iter().filter(|one| same(one)).count() >= heard_together(before) && since[first..].iter().any(wrote)
}

/// How many messages the customer wrote last, right after each other.
fn heard_together(before: &[ListedMessage]) -> usize {
    let Some(last) = before.iter().rposition(|one| one.heard().is_some()) else { return 1 };
    let at = before[last].created_at().unwrap_or_default();
    let context =
        |one: &&ListedMessage| one.heard().is_some() && one.created_at().is_some_and(|then| at.since(then) <= TOGETHER);
    before[..=last].iter().rev().take_while(context).count().max(1)
}

/// Why there were more commands than a person gives, if there were.
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

/// The messages after the customer's last one.
fn since_heard(before: &[ListedMessage]) -> &[ListedMessage] {
    let last = before.iter().rposition(|one| one.heard().is_some());
    &before[last.map_or(0, |last| last + 1)..]
}

/// Whether an automatic message (of a rule or a bot) is one too many.
pub(super) fn is_one_too_many(messages: &[TrackedMessage], at: usize) -> bool {
    let message = &messages[at].message;
    if !message.is_automatic() {
        return false;
    }
    let written_at = message.created_at().unwrap_or_default();
    let is_automatic = |one: &&TrackedMessage| one.message.is_for_customer() && one.message.is_automatic();
    let recent = |one: &&TrackedMessage| one.message.created_at().is_none_or(|then| then > written_at - SHORT_SPAN);
    let minute = messages[..at].iter().filter(is_automatic).filter(recent).count();
    let heard = messages[..at].iter().rposition(|one| one.message.heard().is_some());
    let monolog = messages[heard.map_or(0, |heard| heard + 1)..at].iter().filter(is_automatic).count();
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

    #[test]
    fn a_rule_that_answers_imported_words_does_nothing() {
        let past = listed(1, &json!({ "private": true, "content": "precio", "source_id": "lmotos:history:p:s:0" }));
        let command = note(2, "/plantilla precios", Some(7));
        let at = Timestamp::from_secs(AT);
        assert_eq!(stop(std::slice::from_ref(&past), &command, at), Some(Stop::Automatic));
        assert_eq!(stop(&[past.clone(), heard(2)], &note(3, "/plantilla precios", Some(7)), at), None);
        assert_eq!(stop(&[past], &note(2, "/plantilla precios", None), at), None, "an agent may");
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
        assert!(repeats(&[heard(1), bot(2, "/plantilla a 1"), ours(3)], &bot(4, "/plantilla a 2")), "a counter");
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
        assert_eq!(again(None, "/plantilla x 2", now), None, "a correction of what did not go");
        let sent = listed(4, &json!({ "content_attributes": { "lmotos_command": 2 } }));
        assert_eq!(again(Some(sent), "/plantilla x 2", now), perhaps(false), "an integration that counts");
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
