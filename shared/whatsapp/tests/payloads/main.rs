//! Signs and parses every body in `events/meta`, as `webhook` does it. The results are written down file by file, and no odd
//! neighbor, cut or spelling may change them.

#![expect(clippy::expect_used, reason = "the corpus stands in this repository; without it there is nothing to test")]

mod corpus;
mod expected;
mod past;
mod robust;

use std::collections::{BTreeMap, BTreeSet};

use domain::{
    Author, Content, Delivery, HistoryTask, Identity, InboundTask, KeyedHash, Message, MessageGroup,
    keyed_hash::WorkItem, task::NoticeSubject,
};

use corpus::{BODIES, KEY, parse, split};
use whatsapp::webhook::Webhook;

#[test]
fn every_body_of_metas_becomes_the_tasks_the_table_says() {
    let mut wrong = Vec::new();
    for (file, expected) in expected::TABLE {
        let Some(body) = BODIES.get(*file) else { continue };
        let found: Vec<String> = split(body).map_or_else(
            |_| vec!["unreadable body".to_owned()],
            |Webhook { tasks, history }| {
                let past = history.iter().map(|grouped| past_line(&grouped.task));
                tasks.iter().map(|grouped| line(&grouped.task)).chain(past).collect()
            },
        );
        if found != *expected {
            wrong.push(format!("{file}\n  expected {expected:?}\n  found    {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_table_names_each_file_once_and_no_other() {
    let listed: Vec<&str> = expected::TABLE.iter().map(|(file, _)| *file).collect();
    let there: Vec<&str> = BODIES.keys().map(String::as_str).collect();
    assert_eq!(listed, there);
    assert_eq!(there.len(), 165);
}

#[test]
fn each_item_of_a_body_has_a_claim_of_its_own_and_a_repeat_the_same_one() {
    for (file, body) in BODIES.iter() {
        let (Ok(tasks), Ok(again)) = (parse(body), parse(body)) else { continue };
        assert_eq!(tasks, again, "{file}");
        let claims: BTreeSet<&str> = tasks.iter().map(|grouped| item(&grouped.task).as_str()).collect();
        assert_eq!(claims.len(), tasks.len(), "{file}");
    }
}

#[test]
fn whatever_a_person_sends_stands_in_one_line() {
    let mut groups = BTreeMap::<_, BTreeSet<_>>::new();
    for tasks in BODIES.values().filter_map(|body| parse(body).ok()) {
        for grouped in tasks {
            // A status shares a message group only with statuses of its message.
            let InboundTask::MessageV1(message) = grouped.task else { continue };
            let (channel, customer) = (message.channel, message.customer);
            let subject = customer.subject(&KEY).expect("a person");
            assert_eq!(grouped.group, MessageGroup::Person(channel.clone(), subject));
            let phone = customer.phone.map(|phone| phone.canonical());
            let person = customer
                .group
                .map(|group| group.as_str().to_owned())
                .or(phone)
                .or(customer.user_id.map(|user| user.as_str().to_owned()));
            groups.entry((channel, person)).or_default().insert(grouped.group);
        }
    }
    let known: Vec<_> = groups.iter().filter(|((_, person), _)| person.is_some()).collect();
    assert!(known.len() > 8);
    assert!(known.iter().all(|(_, groups)| groups.len() == 1), "{known:?}");
    let all: BTreeSet<_> = known.iter().flat_map(|(_, groups)| groups.iter()).collect();
    assert_eq!(all.len(), known.len());
}

fn item(task: &InboundTask) -> &KeyedHash<WorkItem> {
    task.item()
}

/// A task in the terms of the table.
fn line(task: &InboundTask) -> String {
    match task {
        InboundTask::MessageV1(message) => message_line(message),
        InboundTask::StatusV1(status) => {
            let state = match status.delivery {
                Delivery::Accepted => "accepted".to_owned(),
                Delivery::Sent => "sent".to_owned(),
                Delivery::Failed { code, clue } => {
                    let parameter = clue.parameter.map(|parameter| format!(" {parameter:?}")).unwrap_or_default();
                    let http = clue.http.map(|status| format!(" HTTP {status}")).unwrap_or_default();
                    format!("failed {code}{parameter}{http}")
                }
                Delivery::Delivered => "delivered".to_owned(),
                Delivery::Read => "read".to_owned(),
                Delivery::Played => "played".to_owned(),
            };
            let ours = if status.reference.is_some() { ", reference" } else { "" };
            format!("status: {state}, {}{ours}", person(&status.customer))
        }
        InboundTask::NoticeV1(notice) => {
            let about = match notice.about {
                NoticeSubject::Account => "account",
                NoticeSubject::Ignored => "ignored",
                NoticeSubject::UnknownStatus => "unknown status",
                NoticeSubject::OtherStatus => "other status",
                NoticeSubject::OwnNote => "own note",
                NoticeSubject::UnknownField => "unknown field",
                NoticeSubject::Unreadable => "unreadable",
            };
            let number = if notice.channel.is_some() { ", number" } else { "" };
            format!("notice: {about}, {}{number}", notice.field)
        }
        InboundTask::FileV1(_) | InboundTask::DrainMarkerV1(_) => unreachable!("no body of Meta's becomes one"),
    }
}

/// A task of the past in the terms of the table.
fn past_line(task: &HistoryTask) -> String {
    match task {
        HistoryTask::SliceV1(slice) => {
            let by = |author| slice.messages.iter().filter(|message| message.author == author).count();
            let (theirs, ours) = (by(Author::Customer), by(Author::Business));
            format!("past: {theirs} of theirs, {ours} of ours, {}", person(&slice.customer))
        }
        HistoryTask::ChunkV1(chunk) => match chunk.error {
            Some(code) => format!("past: error {code}"),
            None => format!("past: progress {}", chunk.position.progress.unwrap_or_default()),
        },
        HistoryTask::NameV1(entry) => {
            format!("book: {}, {}", if entry.name.is_some() { "named" } else { "removed" }, person(&entry.customer))
        }
        HistoryTask::FileV1(file) => format!("past: file, {}", person(&file.customer)),
        HistoryTask::DrainMarkerV1(_) => unreachable!("no body of Meta's becomes one"),
    }
}

fn message_line(message: &Message) -> String {
    let author = match message.author {
        Author::Customer => "customer",
        Author::Business => "echo",
    };
    let mut line = format!("{author}: {}, {}", says(&message.content), person(&message.customer));
    let marks = [
        ("nameless", message.name.is_none()),
        ("username", message.username.is_some()),
        ("quote", message.reply_to.is_some()),
        ("forwarded", message.forwarded),
        ("often", message.forwarded_often),
        ("advert", message.referral.is_some()),
        ("product", message.product.is_some()),
        ("welcome", message.referral.as_ref().is_some_and(|referral| referral.welcome.is_some())),
        ("speaker", message.speaker.is_some()),
        ("part", message.part_of.is_some()),
        ("standby", message.standby),
        ("no id", message.id.is_none()),
    ];
    for (mark, _) in marks.into_iter().filter(|(_, set)| *set) {
        line.push_str(", ");
        line.push_str(mark);
    }
    line
}

fn says(content: &Content) -> String {
    match content {
        Content::Text { .. } => "text".to_owned(),
        Content::Media { media, caption } => {
            let kind = format!("{:?}", media.kind).to_lowercase();
            let caption = if caption.is_some() { " with caption" } else { "" };
            let name = if media.filename.is_some() { " with name" } else { "" };
            assert!(media.sha256.is_some() && media.mime_type.is_some());
            format!("{kind}{name}{caption}")
        }
        Content::Location(place) => format!("{} place", if place.name.is_some() { "named" } else { "bare" }),
        Content::Contacts { cards } => format!("{} cards", cards.len()),
        Content::Choice { id, .. } => format!("choice {}", id.as_deref().unwrap_or("without id")),
        Content::Form { fields, id, .. } => {
            format!("form {} of {}", id.as_deref().unwrap_or("without id"), fields.len())
        }
        Content::Handover { to_business } => format!("handover to business {to_business:?}"),
        Content::Reaction { emoji, .. } => emoji.clone().unwrap_or_else(|| "reaction taken back".to_owned()),
        Content::Order { lines, .. } => format!("order of {}", lines.len()),
        Content::Edit { content, .. } => format!("edit to {}", says(content)),
        Content::Revoke { .. } => "revoke".to_owned(),
        Content::NumberChanged { what, before, now } => {
            format!("moved {what} from {} to {}", person(before), person(now))
        }
        Content::Call { event, seconds } => {
            format!("call {event}{}", seconds.map(|seconds| format!(" {seconds} s")).unwrap_or_default())
        }
        Content::Preference { value, category } => {
            format!("preference {value} about {}", category.as_deref().unwrap_or("nothing"))
        }
        Content::Unsupported { what, code, .. } => {
            format!("unsupported {what} {}", code.map_or_else(|| "without code".to_owned(), |code| code.to_string()))
        }
    }
}

fn person(customer: &Identity) -> &'static str {
    match (&customer.group, &customer.phone, &customer.user_id) {
        (Some(_), _, _) => "group",
        (None, Some(_), Some(_)) => "phone and user",
        (None, Some(_), None) => "phone",
        (None, None, Some(_)) => "user",
        (None, None, None) => "nobody",
    }
}
