//! Deletes what Meta keeps of a person (§3.2, §5).

use domain::{Class, Classify as _, MediaId, PhoneNumberId, UserId};
use serde_json::value::RawValue;

use crate::{Graph, GraphError, fields::Fields};

impl Graph {
    /// Deletes a file. A file that Meta does not know counts as deleted.
    pub async fn delete_media(&self, media: &MediaId) -> Result<(), GraphError> {
        match self.delete(&[media.as_str()], &[]).await {
            Err(error) if means_nothing_there(&error) => Ok(()),
            answer => answer.map(|_| ()),
        }
    }

    /// Whether Meta still has a file.
    pub async fn has_media(&self, media: &MediaId, of: &PhoneNumberId) -> Result<bool, GraphError> {
        match self.locate(media, of).await {
            Ok(_) => Ok(true),
            Err(error) if means_nothing_there(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Takes a person out of the contact book of the number's portfolio; tells whether they were in it. A contact book that is
    /// switched off is empty.
    pub async fn forget_contact(&self, number: &PhoneNumberId, user: &UserId) -> Result<bool, GraphError> {
        let query = [("messaging_product", "whatsapp"), ("bsuid", user.as_str())];
        match self.delete(&[number.as_str(), "contact_book"], &query).await {
            Ok(raw) => Ok(Fields::read(&raw).is_some_and(|fields| fields.flag("deleted"))),
            Err(error) if means_nothing_there(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn delete(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Box<RawValue>, GraphError> {
        self.call(self.deletion(path, query)).await
    }
}

/// A permanent refusal, except for a missing permission, means that the object does not exist.
fn means_nothing_there(error: &GraphError) -> bool {
    error.class() == Class::Permanent && !error.is_forbidden()
}
