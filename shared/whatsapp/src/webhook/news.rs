//! Items of a conversation that are no messages: news of the customer, states of a call, statuses of other things.

use domain::{Author, Clue, Content, Delivery, NO_CODE, WaId, task::About};
use serde_json::value::RawValue;

use super::{Change, Splitter};
use crate::{fields::Fields, moved, person::Person};

/// Meta's own agent, as the one who has a chat.
const META_AGENT: [&str; 2] = ["ai_agent", "meta_business_agent"];

impl Change<'_> {
    /// Whether a phone is the business number itself.
    pub(super) fn is_own(&self, phone: Option<&str>) -> bool {
        phone.zip(self.number.as_deref()).is_some_and(|(phone, own)| WaId::are_same(phone, own))
    }
}

/// The business number, as digits.
pub(super) fn own_number(value: &Fields<'_>) -> Option<String> {
    let shown =
        ["metadata", "recipient"].into_iter().find_map(|name| value.object(name)?.text("display_phone_number"))?;
    let digits: String = shown.chars().filter(char::is_ascii_digit).collect();
    (!digits.is_empty()).then_some(digits)
}

/// Why a message failed.
pub(super) fn failure(status: &Fields<'_>) -> Delivery {
    let errors = status.objects("errors");
    let code = errors.iter().find_map(|error| error.number("code")).unwrap_or(NO_CODE);
    let details = |error: &Fields<'_>| {
        let data = error.object("error_data").and_then(|data| data.text("details"));
        [data, error.text("error_data"), error.text("message")]
    };
    let clues = errors.iter().flat_map(details).flatten().map(|text| Clue::read(&text));
    Delivery::Failed { code, clue: clues.into_iter().find(|clue| !clue.is_empty()).unwrap_or_default() }
}

impl Splitter<'_> {
    /// A status is of a message, of a call, or of something that is neither, such as a payment.
    pub(super) fn any_status(&mut self, change: &Change<'_>, raw: &RawValue) {
        let fields = Fields::read(raw);
        let kind = fields.as_ref().and_then(|fields| fields.text("type"));
        let of_payment = fields.as_ref().is_some_and(|fields| fields.has("payment"));
        match kind.as_deref() {
            _ if change.field == "calls" => self.call_state(change, raw),
            Some("call") => self.call_state(change, raw),
            None | Some("message") if !of_payment => self.status(change, raw),
            _ => self.item_notice(change, About::OtherStatus, raw),
        }
    }

    /// Meta's own agent and the business passed a chat between them (§2.6).
    pub(super) fn handover(&mut self, change: &Change<'_>, value: &Fields<'_>) {
        let Some(sender) = value.object("sender") else { return };
        let person = Person {
            phone: sender.text("wa_id").or_else(|| sender.text("phone_number")),
            user: sender.text("user_id"),
            ..Person::default()
        };
        let passed = value.object("control_passed").or_else(|| value.object("control_taken"));
        let role = |name: &str| passed.as_ref().and_then(|passed| passed.text(name));
        let is_agent = |role: String| META_AGENT.contains(&role.as_str());
        let inside = || passed.as_ref()?.object("previous_owner")?.text("app_role");
        let before = role("previous_owner_role").or_else(|| role("previous_owner_app_role")).or_else(inside);
        let to_business = role("new_owner_role").map(|role| !is_agent(role)).or_else(|| before.map(is_agent));
        let content = Content::Handover { to_business };
        self.conversation_item(change, change.raw, value, Author::Customer, person, None, content);
    }

    /// How a call of the business stands with the customer: it rings, is accepted or turned down.
    pub(super) fn call_state(&mut self, change: &Change<'_>, raw: &RawValue) {
        let Some(fields) = Fields::read(raw) else { return self.item_notice(change, About::Unreadable, raw) };
        let content = Content::Call { event: fields.text("status").unwrap_or_default(), seconds: None };
        let (phone, user) = (fields.text("recipient_id"), fields.text("recipient_user_id"));
        let person = Person { phone, user, ..Person::default() };
        self.conversation_item(change, raw, &fields, Author::Business, person, None, content);
    }

    pub(super) fn preference(&mut self, change: &Change<'_>, raw: &RawValue) {
        let Some(fields) = Fields::read(raw) else { return self.item_notice(change, About::Unreadable, raw) };
        let value = fields.text("value").unwrap_or_default();
        let content = Content::Preference { value, category: fields.text("category") };
        let (phone, user, parent) = (fields.text("wa_id"), fields.text("user_id"), fields.text("parent_user_id"));
        let person = Person { phone, user, parent, ..Person::default() };
        self.conversation_item(change, raw, &fields, Author::Customer, person, None, content);
    }

    pub(super) fn user_id_update(&mut self, change: &Change<'_>, raw: &RawValue) {
        let read = Fields::read(raw).and_then(|fields| moved::user_id_update(&fields).map(|content| (fields, content)));
        let Some((fields, content)) = read else { return self.item_notice(change, About::Unreadable, raw) };
        let Content::Moved { before, .. } = &content else { return };
        let person = Person::default().or(before);
        self.conversation_item(change, raw, &fields, Author::Customer, person, None, content);
    }
}
