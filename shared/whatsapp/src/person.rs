//! Reads which person an item is about. What the item itself says is completed from `contacts[]` (§3.3).

use domain::{GroupId, Identity, UserId, WaId, name};

use crate::fields::Fields;

/// An entry of `contacts[]`; matched by user id, then by phone, never by position.
pub(crate) struct WebhookContact {
    pub(crate) user_id: Option<String>,
    pub(crate) parent: Option<String>,
    pub(crate) wa_id: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) username: Option<String>,
}

/// The person an item is about, as far as it says so itself.
#[derive(Default)]
pub(crate) struct Person {
    pub(crate) phone: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) parent: Option<String>,
    pub(crate) group: Option<String>,
    /// The number this very message gives as the sender's own.
    pub(crate) asked_for: Option<String>,
}

impl Person {
    /// The person on that side, `from` or `to`.
    pub(crate) fn read(fields: &Fields<'_>, side: &str) -> Self {
        let user = fields.text(&format!("{side}_user_id"));
        // As the sender addressed the person: by phone, or by user id.
        let recipient = fields.text("recipient").filter(|_| side == "to" && !fields.has("to") && user.is_none());
        let (phone, id) = match recipient {
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => (Some(digits), None),
            id => (None, id),
        };
        Self {
            phone: fields.text(side).or(phone),
            user: user.or(id),
            parent: fields.text(&format!("{side}_parent_user_id")),
            ..Self::default()
        }
    }

    pub(crate) fn is_nobody(&self) -> bool {
        self.phone.is_none() && self.user.is_none() && self.parent.is_none() && self.group.is_none()
    }

    /// Fills what is missing from `other`.
    pub(crate) fn or(self, other: &Identity) -> Self {
        let text = |id: &Option<UserId>| id.as_ref().map(|id| id.as_str().to_owned());
        Self {
            phone: self.phone.or_else(|| other.phone.as_ref().map(|id| id.as_str().to_owned())),
            user: self.user.or_else(|| text(&other.user_id)),
            parent: self.parent.or_else(|| text(&other.parent)),
            ..self
        }
    }

    pub(crate) fn identity(&self, contact: Option<&WebhookContact>) -> Identity {
        if let Some(group) = &self.group {
            let user_id = self.user.clone().or_else(|| contact.and_then(|contact| contact.user_id.clone()));
            return Identity {
                user_id: user_id.map(UserId::new),
                group: Some(GroupId::new(group)),
                ..Identity::default()
            };
        }
        let said = |of: fn(&WebhookContact) -> &Option<String>| contact.and_then(|contact| of(contact).clone());
        let wa_id = said(|contact| &contact.wa_id).map(WaId::new);
        let phone = self.phone.clone().map(WaId::new).or_else(|| wa_id.clone());
        let other = |id: &WaId| phone.as_ref().is_some_and(|phone| !WaId::are_same(phone.as_str(), id.as_str()));
        Identity {
            user_id: self.user.clone().or_else(|| said(|contact| &contact.user_id)).map(UserId::new),
            parent: self.parent.clone().or_else(|| said(|contact| &contact.parent)).map(UserId::new),
            wa_id: wa_id.filter(other).or_else(|| self.asked_for.clone().map(WaId::new)),
            phone,
            group: None,
        }
    }
}

impl WebhookContact {
    pub(crate) fn read(fields: &Fields<'_>) -> Self {
        let profile = fields.object("profile");
        let text = |name| profile.as_ref().and_then(|profile: &Fields<'_>| profile.text(name));
        Self {
            user_id: fields.text("user_id"),
            parent: fields.text("parent_user_id"),
            wa_id: fields.text("wa_id"),
            name: text("name").and_then(|name| name::clean(&name)),
            username: text("username").and_then(|name| name::clean(name.trim_start_matches('@'))),
        }
    }

    pub(crate) fn is(&self, person: &Person) -> bool {
        match (&self.user_id, &person.user) {
            (Some(own), Some(theirs)) => own == theirs,
            _ => match (&self.wa_id, &person.phone) {
                (Some(own), Some(theirs)) => WaId::are_same(own, theirs),
                _ => false,
            },
        }
    }
}
