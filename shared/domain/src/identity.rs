//! An identity says which person one event is about. It holds the ids that the business sees, as far as the event tells.

use serde::{Deserialize, Serialize};

use crate::{
    GroupId, KeyedHash, UserId, WaId,
    keyed_hash::{AliasKind, HashKey, Person},
};

/// What an event says about a person. Empty texts never get in here: absent, null and `""` are the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The user id of the person towards this business portfolio; it decides where it disagrees with the phone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<UserId>,
    /// The id of the person towards all portfolios that Meta has linked with this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<UserId>,
    /// The phone, where Meta shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<WaId>,
    /// Another phone of the same person: as the contact's entry has it, or as they gave it when asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wa_id: Option<WaId>,
    /// Set for a group conversation: then the group is who we talk with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupId>,
}

/// A way of recognizing a customer again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias {
    /// The keyed hash that represents it in the table.
    pub subject: KeyedHash<Person>,
    /// What kind of thing was hashed.
    pub kind: AliasKind,
}

/// Where to send to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", content = "value", rename_all = "snake_case")]
pub enum Address {
    /// A phone, spelled as Meta last used it.
    Phone(WaId),
    /// A user id, for people without a visible phone.
    User(UserId),
    /// A group.
    Group(GroupId),
}

impl Address {
    /// What the address alone says about the person behind it.
    pub fn identity(&self) -> Identity {
        let mut identity = Identity::default();
        match self {
            Self::Phone(phone) => identity.phone = Some(phone.clone()),
            Self::User(user) => identity.user_id = Some(user.clone()),
            Self::Group(group) => identity.group = Some(group.clone()),
        }
        identity
    }
}

impl Identity {
    /// The strongest alias comes first: group, then user id and its parent, then phone and its other spelling.
    pub fn aliases(&self, key: &HashKey) -> Vec<Alias> {
        if let Some(group) = &self.group {
            return vec![Alias { subject: key.alias(AliasKind::Group, group.as_str()), kind: AliasKind::Group }];
        }
        let users = [&self.user_id, &self.parent].into_iter().flatten();
        let users = users.map(|id| Alias { subject: key.alias(AliasKind::User, id.as_str()), kind: AliasKind::User });
        let phones = [&self.phone, &self.wa_id].into_iter().flatten();
        let phones =
            phones.map(|id| Alias { subject: key.alias(AliasKind::Phone, &id.canonical()), kind: AliasKind::Phone });
        let mut aliases: Vec<Alias> = users.chain(phones).collect();
        aliases.dedup();
        aliases
    }

    /// The one keyed hash under which this person's items are put in order. The phone comes before the user id, which older
    /// events of the same person lack; a person without a visible phone has the user id in all of them.
    pub fn subject(&self, key: &HashKey) -> Option<KeyedHash<Person>> {
        // Not every event carries the other phone.
        let usual = if self.address().is_some() { Self { wa_id: None, ..self.clone() } } else { self.clone() };
        let phone = usual.aliases(key).into_iter().min_by_key(|alias| alias.kind != AliasKind::Phone);
        phone.map(|alias| alias.subject)
    }

    /// Where an answer goes.
    pub fn address(&self) -> Option<Address> {
        if let Some(group) = &self.group {
            return Some(Address::Group(group.clone()));
        }
        let phone = self.phone.clone().map(Address::Phone);
        phone.or_else(|| self.user().map(Address::User))
    }

    /// The user id to reach the person by, in case the phone passes to another person.
    pub fn user(&self) -> Option<UserId> {
        self.user_id.as_ref().or(self.parent.as_ref()).cloned().filter(|_| self.group.is_none())
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_phone_decides_order_and_address_where_it_shows() {
        let key = HashKey::new("k".into());
        let both = Identity {
            user_id: Some(UserId::new("MX.1")),
            phone: Some(WaId::new("5215555550123")),
            ..Identity::default()
        };
        let only_user = Identity { phone: None, ..both.clone() };
        let only_phone = Identity { user_id: None, ..both.clone() };
        assert_eq!(both.subject(&key), only_phone.subject(&key));
        assert_ne!(both.subject(&key), only_user.subject(&key));
        assert_eq!(both.address(), Some(Address::Phone(WaId::new("5215555550123"))));
        assert_eq!(only_user.address(), Some(Address::User(UserId::new("MX.1"))));
    }

    #[test]
    fn a_group_hides_its_speaker() {
        let key = HashKey::new("k".into());
        let user_id = Some(UserId::new("MX.1"));
        let group = Identity { user_id, group: Some(GroupId::new("g")), ..Identity::default() };
        assert_eq!(group.aliases(&key).len(), 1);
        assert_eq!(group.address(), Some(Address::Group(GroupId::new("g"))));
        assert_eq!(group.user(), None);
    }

    #[test]
    fn two_spellings_of_one_phone_are_one_alias_and_a_parent_is_another() {
        let key = HashKey::new("k".into());
        let rafael = Identity {
            user_id: Some(UserId::new("BR.1")),
            parent: Some(UserId::new("BR.ENT.1")),
            phone: Some(WaId::new("5511985550167")),
            wa_id: Some(WaId::new("551185550167")),
            group: None,
        };
        let kinds: Vec<AliasKind> = rafael.aliases(&key).into_iter().map(|alias| alias.kind).collect();
        assert_eq!(kinds, [AliasKind::User, AliasKind::User, AliasKind::Phone]);
        let parent = Identity { user_id: rafael.parent.clone(), ..Identity::default() };
        assert_eq!(parent.aliases(&key)[0].subject, key.alias(AliasKind::User, "BR.ENT.1"));
    }
}
