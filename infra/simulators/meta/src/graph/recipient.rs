//! Whom a message is for.

use serde_json::Value;

use super::error::GraphError;
use crate::{
    person,
    state::{Address, State},
};

/// The recipient as the caller named it, and who that is.
#[derive(Debug)]
pub(super) struct Recipient {
    /// As written.
    pub(super) input: String,
    pub(super) address: Address,
    /// The user id; nothing if nobody has the address.
    pub(super) user_id: Option<String>,
}

/// `to`, else `recipient`.
pub(super) fn find(state: &State, body: &Value) -> Result<Recipient, GraphError> {
    let text = |key: &str| body[key].as_str().filter(|text| !text.is_empty());
    if let Some(to) = text("to") {
        let digits = person::digits(to).ok_or_else(|| GraphError::value("Param to must be a phone number."))?;
        let user_id = state.person_by_phone(&digits).map(|person| person.user_id.clone());
        return Ok(Recipient { input: to.into(), address: Address::Phone(digits), user_id });
    }
    let Some(recipient) = text("recipient") else {
        return Err(GraphError::new(400, 100, "(#100) The parameter to is required."));
    };
    let scoped = recipient.split_once('.').is_some_and(|(country, id)| {
        country.len() == 2 && country.bytes().all(|byte| byte.is_ascii_uppercase()) && !id.is_empty()
    });
    if !scoped {
        return Err(GraphError::value("Param recipient must be a business-scoped user id."));
    }
    let user_id = state.person(recipient).map(|person| person.user_id.clone());
    Ok(Recipient { input: recipient.into(), address: Address::UserId(recipient.into()), user_id })
}
