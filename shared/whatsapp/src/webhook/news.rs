//! Reads items of a conversation that are no messages. These are news of the customer and states of a call.

use domain::{Author, Content, WaId, task::NoticeSubject};
use serde_json::value::RawValue;

use super::{Change, Splitter};
use crate::{fields::Fields, moved, person::Person};

/// Meta's own agent, as the party that has a chat.
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

impl Splitter<'_> {
    /// Meta's own agent and the business handed a chat over (§2.6).
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

    /// The state of a call between the business and the customer: it rings, is accepted or turned down.
    pub(super) fn call_state(&mut self, change: &Change<'_>, raw: &RawValue) {
        let Some(fields) = Fields::read(raw) else { return self.item_notice(change, NoticeSubject::Unreadable, raw) };
        let content = Content::Call { event: fields.text("status").unwrap_or_default(), seconds: None };
        let (phone, user) = (fields.text("recipient_id"), fields.text("recipient_user_id"));
        let person = Person { phone, user, ..Person::default() };
        self.conversation_item(change, raw, &fields, Author::Business, person, None, content);
    }

    pub(super) fn preference(&mut self, change: &Change<'_>, raw: &RawValue) {
        let Some(fields) = Fields::read(raw) else { return self.item_notice(change, NoticeSubject::Unreadable, raw) };
        let value = fields.text("value").unwrap_or_default();
        let content = Content::Preference { value, category: fields.text("category") };
        let (phone, user, parent) = (fields.text("wa_id"), fields.text("user_id"), fields.text("parent_user_id"));
        let person = Person { phone, user, parent, ..Person::default() };
        self.conversation_item(change, raw, &fields, Author::Customer, person, None, content);
    }

    pub(super) fn user_id_update(&mut self, change: &Change<'_>, raw: &RawValue) {
        let read = Fields::read(raw).and_then(|fields| moved::user_id_update(&fields).map(|content| (fields, content)));
        let Some((fields, content)) = read else { return self.item_notice(change, NoticeSubject::Unreadable, raw) };
        let Content::NumberChanged { before, .. } = &content else { return };
        let person = Person::default().or(before);
        self.conversation_item(change, raw, &fields, Author::Customer, person, None, content);
    }
}
