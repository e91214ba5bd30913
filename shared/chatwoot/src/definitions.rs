//! Defines the attributes an account shows, and the labels it offers agents.

use std::collections::BTreeSet;

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{Chatwoot, ChatwootError};

/// What an attribute belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AttributeOwner {
    /// A contact.
    Contact,
    /// A conversation.
    Conversation,
}

impl AttributeOwner {
    /// Chatwoot's name for it in answers, and its number in requests.
    fn wire(self) -> (&'static str, u8) {
        match self {
            Self::Conversation => ("conversation_attribute", 0),
            Self::Contact => ("contact_attribute", 1),
        }
    }
}

/// An attribute that agents are to see.
#[derive(Clone, Copy, Debug)]
pub struct AttributeDefinition<'a> {
    /// What it belongs to.
    pub belongs: AttributeOwner,
    /// Its key.
    pub key: &'a str,
    /// What agents read.
    pub name: &'a str,
    /// Whether it is an address that can be followed.
    pub is_link: bool,
}

impl Chatwoot {
    /// Defines these attributes in the account; existing definitions stay as they are. Returns how many were missing.
    pub async fn show_attributes(&self, wanted: &[AttributeDefinition<'_>]) -> Result<usize, ChatwootError> {
        #[derive(Deserialize)]
        struct Known {
            attribute_key: String,
            attribute_model: String,
        }
        const DEFINITIONS_PATH: &[&str] = &["custom_attribute_definitions"];
        let known: Vec<Known> = self.json(self.request(Method::GET, DEFINITIONS_PATH)).await?;
        let known: BTreeSet<_> = known.into_iter().map(|known| (known.attribute_key, known.attribute_model)).collect();
        let mut missing = 0;
        for shown in wanted {
            let (model, number) = shown.belongs.wire();
            if known.contains(&(shown.key.to_owned(), model.to_owned())) {
                continue;
            }
            let body = json!({
                "attribute_key": shown.key,
                "attribute_display_name": shown.name,
                "attribute_display_type": if shown.is_link { 4 } else { 0 },
                "attribute_model": number,
            });
            missing += usize::from(self.make(DEFINITIONS_PATH, "custom_attribute_definition", body).await?);
        }
        Ok(missing)
    }

    /// Creates these labels in the account; existing labels stay as they are. Returns how many were missing.
    pub async fn offer_labels(&self, wanted: &[(&str, &str)]) -> Result<usize, ChatwootError> {
        #[derive(Deserialize)]
        struct Labels {
            payload: Vec<Known>,
        }
        #[derive(Deserialize)]
        struct Known {
            title: String,
        }
        let known: Labels = self.json(self.request(Method::GET, &["labels"])).await?;
        let known: BTreeSet<_> = known.payload.into_iter().map(|label| label.title).collect();
        let mut missing = 0;
        for (title, description) in wanted {
            if known.contains(*title) {
                continue;
            }
            let body =
                json!({ "title": title, "description": description, "color": "#1f93ff", "show_on_sidebar": true });
            missing += usize::from(self.make(&["labels"], "label", body).await?);
        }
        Ok(missing)
    }

    /// Chatwoot refuses what another process made at the same moment, or what the account already has: that is no error.
    async fn make(&self, path: &[&str], name: &str, body: Value) -> Result<bool, ChatwootError> {
        let request = self.request(Method::POST, path).json(&json!({ name: body }));
        match self.json::<Value>(request).await {
            Ok(_) => Ok(true),
            Err(ChatwootError::Refused(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
