//! Reads statuses: how far a business message came, and what it cost.

use domain::{
    Clue, Delivery, InboundTask, MessageGroup, NO_CODE, Pricing, StatusUpdate, Wamid,
    pricing::{Category, Rate},
    task::NoticeSubject,
};
use serde_json::value::RawValue;

use super::{Change, GroupedTask, Splitter};
use crate::{fields::Fields, person::Person};

impl Splitter<'_> {
    /// A status is about a message, about a call, or about something that is neither, such as a payment.
    pub(super) fn any_status(&mut self, change: &Change<'_>, raw: &RawValue) {
        let fields = Fields::read(raw);
        let kind = fields.as_ref().and_then(|fields| fields.text("type"));
        let of_payment = fields.as_ref().is_some_and(|fields| fields.has("payment"));
        match kind.as_deref() {
            _ if change.field == "calls" => self.call_state(change, raw),
            Some("call") => self.call_state(change, raw),
            None | Some("message") if !of_payment => self.status(change, raw),
            _ => self.item_notice(change, NoticeSubject::OtherStatus, raw),
        }
    }

    fn status(&mut self, change: &Change<'_>, raw: &RawValue) {
        let fields = Fields::read(raw);
        let read = fields.as_ref().and_then(|fields| Some((fields, fields.text("id")?, delivery(fields)?)));
        let (Some(channel), Some((fields, id, delivery))) = (&change.channel, read) else {
            let about = if fields.is_some() { NoticeSubject::UnknownStatus } else { NoticeSubject::Unreadable };
            return self.item_notice(change, about, raw);
        };
        let person = Person {
            phone: fields.text("recipient_id"),
            user: fields.text("recipient_user_id"),
            parent: fields.text("recipient_parent_user_id"),
            asked_for: None,
            group: (fields.text("recipient_type").as_deref() == Some("group"))
                .then(|| fields.text("recipient_id"))
                .flatten(),
        };
        let customer = person.identity(change.contacts.iter().find(|contact| contact.is(&person)));
        let who = fields.text("recipient_participant_user_id").or_else(|| fields.text("recipient_participant_id"));
        let word = fields.text("status").unwrap_or_default();
        let item = self.item(["status", channel.as_str(), &id, &word, who.as_deref().unwrap_or_default()]);
        let id = Wamid::new(id);
        let group = MessageGroup::Statuses(channel.clone(), self.key.wamid(&id));
        let task = InboundTask::StatusV1(StatusUpdate {
            channel: channel.clone(),
            item,
            id,
            delivery,
            at: self.time(fields),
            customer,
            reference: fields.text("biz_opaque_callback_data"),
            pricing: fields.object("pricing").map(|pricing| read_pricing(&pricing)),
        });
        let at = self.own_time(fields).or(change.entry.at);
        self.tasks.push(GroupedTask { group, task, at });
    }
}

fn delivery(status: &Fields<'_>) -> Option<Delivery> {
    match status.text("status")?.as_str() {
        "sent" => Some(Delivery::Sent),
        "delivered" => Some(Delivery::Delivered),
        "read" => Some(Delivery::Read),
        "played" => Some(Delivery::Played),
        "failed" => Some(failure(status)),
        _ => None,
    }
}

fn read_pricing(pricing: &Fields<'_>) -> Pricing {
    Pricing {
        category: pricing.text("category").map(|word| Category::read(&word)).unwrap_or_default(),
        kind: pricing.text("type").map(|word| Rate::read(&word)).unwrap_or_default(),
        billable: pricing.has("billable").then(|| pricing.flag("billable")),
    }
}

/// Why a message failed.
fn failure(status: &Fields<'_>) -> Delivery {
    let errors = status.objects("errors");
    let code = errors.iter().find_map(|error| error.number("code")).unwrap_or(NO_CODE);
    let details = |error: &Fields<'_>| {
        let data = error.object("error_data").and_then(|data| data.text("details"));
        [data, error.text("error_data"), error.text("message")]
    };
    let clues = errors.iter().flat_map(details).flatten().map(|text| Clue::read(&text));
    Delivery::Failed { code, clue: clues.into_iter().find(|clue| !clue.is_empty()).unwrap_or_default() }
}
