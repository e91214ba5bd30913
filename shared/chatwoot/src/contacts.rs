//! Finds, makes and changes contacts (§3.2).

use domain::{ContactId, CustomerId, InboxId, name};
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{
    Chatwoot, ChatwootError,
    client::{filled, found},
    text,
};

/// The longest name that Chatwoot accepts.
const MAX_NAME_LENGTH: usize = 255;

/// A contact.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Contact {
    /// Its id.
    pub id: ContactId,
    /// What agents call it.
    #[serde(default)]
    pub name: Option<String>,
    /// Our id, if we gave it one.
    #[serde(default, deserialize_with = "filled")]
    pub identifier: Option<String>,
    /// Its phone, with `+`.
    #[serde(default, deserialize_with = "filled")]
    pub phone_number: Option<String>,
    /// Whether an agent blocked it: its conversations stay resolved.
    #[serde(default)]
    pub blocked: Option<bool>,
    /// Its attributes.
    #[serde(default)]
    pub custom_attributes: Option<Map<String, Value>>,
}

/// A contact to be made.
#[derive(Clone, Debug)]
pub struct NewContact<'a> {
    /// What agents call it.
    pub name: &'a str,
    /// Its phone, with `+`.
    pub phone_number: Option<&'a str>,
    /// Our id for it.
    pub customer: &'a CustomerId,
    /// Attributes that help agents to find people without a visible number.
    pub custom_attributes: Value,
}

/// What changes about a contact.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ContactChange {
    /// Its name.
    pub name: Option<String>,
    /// Its phone, with `+`.
    pub phone_number: Option<String>,
    /// Attributes; those not named stay as they are.
    pub attributes: Map<String, Value>,
}

impl ContactChange {
    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.name.is_none() && self.phone_number.is_none() && self.attributes.is_empty()
    }
}

/// What an inbox holds under an id of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceLookup {
    /// A contact.
    Of(Box<Contact>),
    /// A row whose contact is deleted. A job of Chatwoot's removes it; if that failed, it stays for ever.
    LeftBehind,
    /// Nothing.
    Nobodys,
}

impl Chatwoot {
    /// What an inbox holds under our id. A row without its contact makes Chatwoot answer with an error. To tell this from an
    /// outage, Chatwoot is asked about an id that no contact has.
    pub async fn source(&self, inbox: InboxId, source: &CustomerId) -> Result<SourceLookup, ChatwootError> {
        match self.contact_of_source(inbox, source).await {
            Ok(Some(contact)) => Ok(SourceLookup::Of(Box::new(contact))),
            Ok(None) => Ok(SourceLookup::Nobodys),
            Err(ChatwootError::Unwell(500)) => match self.contact_of_source(inbox, &CustomerId::mint()).await? {
                None => self.source_again(inbox, source).await,
                Some(_) => Err(ChatwootError::Unwell(500)),
            },
            Err(error) => Err(error),
        }
    }

    /// Chatwoot works: an error now is caused by the row.
    async fn source_again(&self, inbox: InboxId, source: &CustomerId) -> Result<SourceLookup, ChatwootError> {
        match self.contact_of_source(inbox, source).await {
            Ok(Some(contact)) => Ok(SourceLookup::Of(Box::new(contact))),
            Ok(None) => Ok(SourceLookup::Nobodys),
            Err(ChatwootError::Unwell(500)) => Ok(SourceLookup::LeftBehind),
            Err(error) => Err(error),
        }
    }

    /// The contact that an inbox holds under our id.
    pub async fn contact_of_source(
        &self,
        inbox: InboxId,
        source: &CustomerId,
    ) -> Result<Option<Contact>, ChatwootError> {
        let body = json!({ "inbox_id": inbox, "source_id": source });
        found(self.json(self.request(Method::POST, &["contact_inboxes", "filter"]).json(&body)).await)
    }

    /// All contacts with that value of `identifier`, `phone_number` or an attribute of the account's own. Chatwoot ignores case
    /// when it compares, and its rule of one contact per phone does not hold in a race.
    pub async fn contacts_with(&self, attribute: &str, value: &str) -> Result<Vec<Contact>, ChatwootError> {
        #[derive(Deserialize)]
        struct Answer {
            payload: Vec<Contact>,
        }
        let body = json!({ "payload": [{
            "attribute_key": attribute, "filter_operator": "equal_to", "values": [value], "query_operator": null,
        }] });
        let answer: Option<Answer> =
            found(self.json(self.request(Method::POST, &["contacts", "filter"]).json(&body)).await)?;
        let same = |contact: &Contact| match attribute {
            "identifier" => contact.identifier.as_deref() == Some(value),
            "phone_number" => contact.phone_number.as_deref() == Some(value),
            own => contact.custom_attributes.as_ref().and_then(|all| all.get(own)).is_some_and(|own| own == value),
        };
        Ok(answer.into_iter().flat_map(|answer| answer.payload).filter(same).collect())
    }

    /// Makes a contact, and adds it to an inbox under our id.
    pub async fn create_contact(&self, inbox: InboxId, new: &NewContact<'_>) -> Result<ContactId, ChatwootError> {
        #[derive(Deserialize)]
        struct Answer {
            payload: Inner,
        }
        #[derive(Deserialize)]
        struct Inner {
            contact: Contact,
        }
        let mut body = json!({
            "name": new.name, "identifier": new.customer, "inbox_id": inbox, "source_id": new.customer,
            "custom_attributes": new.custom_attributes,
        });
        if let Some(phone) = new.phone_number {
            body["phone_number"] = json!(phone);
        }
        let answer: Answer = self.json(self.request(Method::POST, &["contacts"]).json(&body)).await?;
        Ok(answer.payload.contact.id)
    }

    /// Adds a contact to an inbox under our id, too.
    pub async fn attach(&self, contact: ContactId, inbox: InboxId, source: &CustomerId) -> Result<(), ChatwootError> {
        let body = json!({ "inbox_id": inbox, "source_id": source });
        let path = ["contacts", &contact.to_string(), "contact_inboxes"];
        self.json(self.request(Method::POST, &path).json(&body)).await.map(|_: Value| ())
    }

    /// Gives a contact our id, by which it is found again after a merge.
    pub async fn identify(&self, contact: ContactId, customer: &CustomerId) -> Result<(), ChatwootError> {
        let request = self.request(Method::PUT, &["contacts", &contact.to_string()]);
        self.json(request.json(&json!({ "identifier": customer }))).await.map(|_: Value| ())
    }

    /// Changes a contact. Chatwoot merges its attributes.
    pub async fn change_contact(&self, contact: ContactId, change: &ContactChange) -> Result<(), ChatwootError> {
        let mut body = json!({});
        if let Some(name) = &change.name {
            body["name"] = json!(name);
        }
        if let Some(phone) = &change.phone_number {
            body["phone_number"] = json!(phone);
        }
        if !change.attributes.is_empty() {
            body["custom_attributes"] = json!(change.attributes);
        }
        let request = self.request(Method::PUT, &["contacts", &contact.to_string()]);
        self.json(request.json(&body)).await.map(|_: Value| ())
    }

    /// Merges a contact into another, which keeps what both have; the merged one is gone.
    pub async fn merge_contacts(&self, into: ContactId, merged: ContactId) -> Result<(), ChatwootError> {
        let body = json!({ "base_contact_id": into, "mergee_contact_id": merged });
        let request = self.request(Method::POST, &["actions", "contact_merge"]);
        self.json(request.json(&body)).await.map(|_: Value| ())
    }

    /// Removes the phone from a contact: it belongs to another person now.
    pub async fn clear_phone(&self, contact: ContactId) -> Result<(), ChatwootError> {
        let request = self.request(Method::PUT, &["contacts", &contact.to_string()]);
        self.json(request.json(&json!({ "phone_number": null }))).await.map(|_: Value| ())
    }
}

/// A text that fits into a contact's name; empty if it shows nothing.
pub fn contact_name(text: &str) -> String {
    name::clean(text).map(|name| text::clean(&name, MAX_NAME_LENGTH)).unwrap_or_default()
}
