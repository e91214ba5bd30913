//! Handles the operator's commands, which do not pass the API. They come with the operator's own AWS credentials:
//! `{"phone":…}` or `{"user_id":…}`, with `"by"` for who asks, opens a request, `{"receipt":…}` gives the signed receipt of one that is done.

use app::Error;
use domain::{
    ConfirmationCode, UserId, WaId,
    erasure::{Receipt, RequestSource},
};
use serde::Deserialize;
use serde_json::{Value, json};
use store::{DataSubject, ErasureLedger};

use crate::{Handler, is_code};

/// What the operator asks for.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperatorCommand {
    /// The erasure of the person who has this phone, in any usual spelling.
    Phone(String),
    /// The erasure of the person who has this user id.
    UserId(String),
    /// The receipt of a request.
    Receipt(ConfirmationCode),
}

/// Why a command is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OperatorError {
    /// It is none of the three.
    #[error("expected exactly one of phone, user_id and receipt")]
    Unreadable,
    /// The phone has too few or too many digits.
    #[error("a phone has 7 to 15 digits, its country's among them")]
    NoPhone,
    /// The user id is empty or too long.
    #[error("a user id has 1 to 140 letters")]
    NoUser,
    /// There is no such request, or it is not done.
    #[error("there is no receipt under this code")]
    NoReceipt,
}

impl OperatorCommand {
    /// Gives the data subject it names; none, if it asks for a receipt.
    pub fn target(&self) -> Result<Option<DataSubject>, OperatorError> {
        match self {
            Self::Receipt(_) => Ok(None),
            Self::Phone(spelled) => {
                let phone = phone(spelled).ok_or(OperatorError::NoPhone)?;
                Ok(Some(DataSubject { phones: [phone].into(), ..DataSubject::default() }))
            }
            Self::UserId(id) => {
                let id = id.trim();
                if id.is_empty() || id.len() > 140 {
                    return Err(OperatorError::NoUser);
                }
                Ok(Some(DataSubject { users: [UserId::new(id)].into(), ..DataSubject::default() }))
            }
        }
    }
}

impl Handler {
    pub(crate) async fn operator(&self, mut event: Value) -> Result<Value, Error> {
        // Who asks may say so; it is kept as a keyed hash.
        let by = event.as_object_mut().and_then(|members| members.remove("by"));
        let by = by.as_ref().and_then(Value::as_str).map(str::trim).filter(|by| !by.is_empty()).unwrap_or("operator");
        let command: OperatorCommand = serde_json::from_value(event).map_err(|_| OperatorError::Unreadable)?;
        let subject = match (command.target()?, command) {
            (Some(target), _) => target,
            (None, OperatorCommand::Receipt(code)) => return self.receipt(&code).await,
            (None, _) => return Err(OperatorError::Unreadable.into()),
        };
        Ok(json!({ "code": self.ask(RequestSource::Operator, subject, Some(by)).await? }))
    }

    async fn receipt(&self, code: &ConfirmationCode) -> Result<Value, Error> {
        if !is_code(code.as_str()) {
            return Err(OperatorError::NoReceipt.into());
        }
        let erasures = ErasureLedger::new(self.base.table.clone());
        let entry = erasures.get(code).await?;
        let receipt = entry.and_then(|entry| Receipt::of(&entry.erasure)).ok_or(OperatorError::NoReceipt)?;
        if let Some(signed) = erasures.receipt(code).await? {
            return Ok(serde_json::to_value(signed)?);
        }
        // A request that was done before receipts were kept.
        Ok(serde_json::to_value(receipt.sign(&self.key().await?)?)?)
    }
}

/// Gives the digits of a number as a person typed it: `+`, `00`, blanks, dots, dashes, brackets.
fn phone(spelled: &str) -> Option<WaId> {
    let usual = |c: char| c.is_ascii_digit() || c.is_whitespace() || matches!(c, '+' | '-' | '.' | '(' | ')' | '/');
    if !spelled.chars().all(usual) {
        return None;
    }
    let digits: String = spelled.chars().filter(char::is_ascii_digit).collect();
    let international =
        if spelled.trim_start().starts_with('+') { &digits } else { digits.strip_prefix("00").unwrap_or(&digits) };
    (7..=15).contains(&international.len()).then(|| WaId::new(international))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phone_is_read_in_any_usual_spelling() {
        for spelled in ["+52 1 55 5555 0123", "5215555550123", "0052 (1) 55-5555.0123", " +52/55 5555 0123"] {
            assert_eq!(phone(spelled).unwrap().canonical(), "525555550123", "{spelled}");
        }
        for spelled in ["", "123", "MX.123456789", "55 5555 0123 ext 4", "12345678901234567"] {
            assert_eq!(phone(spelled), None, "{spelled}");
        }
    }
}
