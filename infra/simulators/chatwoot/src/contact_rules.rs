//! What a contact may look like, and what has to be unlike every other one.

use serde_json::Value;

use crate::{
    Language,
    errors::Refusal,
    params::Params,
    rows::{Attributes, Contact},
    state::State,
};

impl State {
    /// A contact without anything yet.
    pub(crate) fn blank_contact(&self) -> Contact {
        Contact {
            id: 0,
            name: String::new(),
            email: None,
            phone_number: None,
            identifier: None,
            blocked: false,
            additional_attributes: Attributes::new(),
            custom_attributes: Attributes::new(),
            labels: Vec::new(),
            created_at: self.now(),
            last_activity_at: None,
        }
    }

    /// Validates and saves; an id of 0 is a new one. The phone number is unique by this check alone, so a racing create passes it.
    pub(crate) fn save_contact(&mut self, mut contact: Contact) -> Result<i64, Refusal> {
        self.check_contact(&contact)?;
        if contact.id == 0 {
            contact.id = self.next_id("contact");
        }
        let id = contact.id;
        self.contacts.insert(id, contact);
        Ok(id)
    }

    fn check_contact(&mut self, contact: &Contact) -> Result<(), Refusal> {
        let language = self.language;
        for (attribute, spanish, value) in [
            ("name", "Nombre", Some(&contact.name)),
            ("email", "Correo electrónico", contact.email.as_ref()),
            ("phone_number", "Número de teléfono", contact.phone_number.as_ref()),
            ("identifier", "Identificador", contact.identifier.as_ref()),
        ] {
            if value.is_some_and(|value| value.chars().count() > 255) {
                let reason = language
                    .framework("es demasiado largo (255 caracteres máximo)", "is too long (maximum is 255 characters)");
                return Err(named(language, attribute, spanish, reason));
            }
        }
        if contact.phone_number.as_deref().is_some_and(|phone| !phone.is_empty() && !is_phone(phone)) {
            let reason = language.say("debe estar en formato e164", "should be in e164 format");
            return Err(named(language, "phone_number", "Número de teléfono", reason));
        }
        let taken = language.framework("ya está en uso", "has already been taken");
        let others = || self.contacts.values().filter(|other| other.id != contact.id);
        // An empty one is valid twice, and the table's index then refuses a second empty identifier.
        let same = |one: &Option<String>, other: &Option<String>| one.is_some() && one == other;
        let is_there = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
        let lower = |email: &Option<String>| email.as_ref().map(|email| email.to_lowercase());
        if others().any(|other| same(&lower(&other.email), &lower(&contact.email))) {
            return Err(named(language, "email", "Correo electrónico", taken));
        }
        if others().any(|other| same(&other.identifier, &contact.identifier)) {
            let taken = named(language, "identifier", "Identificador", taken);
            return Err(if is_there(&contact.identifier) { taken } else { Refusal::broken() });
        }
        if is_there(&contact.phone_number) && others().any(|other| same(&other.phone_number, &contact.phone_number)) {
            if contact.id == 0 && self.racing_contacts > 0 {
                self.racing_contacts -= 1;
            } else {
                return Err(named(language, "phone_number", "Número de teléfono", taken));
            }
        }
        Ok(())
    }
}

fn named(language: Language, attribute: &str, spanish: &str, reason: &str) -> Refusal {
    let english = attribute.replace('_', " ");
    let english = crate::liquid::capitalize(&english);
    Refusal::invalid(&format!("{} {reason}", language.framework(spanish, &english)), &[attribute])
}

/// Ends with a plus and 2 to 15 digits that do not start with 0. What stands before it is not looked at.
fn is_phone(text: &str) -> bool {
    text.rsplit_once('+').is_some_and(|(_, digits)| {
        (2..=15).contains(&digits.len())
            && !digits.starts_with('0')
            && digits.bytes().all(|digit| digit.is_ascii_digit())
    })
}

/// What a request says about a contact; hashes are merged one level deep, everything else replaced. An empty phone or identifier is
/// kept as an empty one, an empty e-mail address as none.
pub(crate) fn apply(contact: &mut Contact, params: &Params) {
    let text = |key: &str| params.text(key).filter(|value| !value.is_empty());
    if params.has("name") {
        contact.name = text("name").unwrap_or_default();
    }
    if params.has("email") {
        contact.email = text("email");
    }
    if params.has("phone_number") {
        contact.phone_number = params.text("phone_number");
    }
    if params.has("identifier") {
        contact.identifier = params.text("identifier");
    }
    if let Some(blocked) = params.flag("blocked") {
        contact.blocked = blocked;
    }
    merge(&mut contact.additional_attributes, params.object("additional_attributes"));
    merge(&mut contact.custom_attributes, params.object("custom_attributes"));
}

fn merge(kept: &mut Attributes, added: Option<Attributes>) {
    kept.extend(added.unwrap_or_default());
}

/// A contact attribute as a text to compare.
pub(crate) fn attribute(contact: &Contact, key: &str) -> Option<String> {
    match key {
        "name" => Some(contact.name.to_lowercase()),
        "email" => contact.email.as_ref().map(|email| email.to_lowercase()),
        "phone_number" => contact.phone_number.clone(),
        "identifier" => contact.identifier.as_ref().map(|identifier| identifier.to_lowercase()),
        "blocked" => Some(contact.blocked.to_string()),
        "city" | "country_code" => plain(contact.additional_attributes.get(key)?),
        custom => plain(contact.custom_attributes.get(custom)?),
    }
    .filter(|value: &String| !value.is_empty())
}

/// In lower case, as the query compares it.
fn plain(value: &Value) -> Option<String> {
    let text = || value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    (!value.is_null()).then(|| text().to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::is_phone;

    #[test]
    fn the_pattern_is_anchored_at_its_end_only() {
        for good in ["+5215512345678", "+52", "tel:+5215512345678"] {
            assert!(is_phone(good), "{good}");
        }
        for bad in ["5215512345678", "+0552", "+1", "+5215512345678901", "+52 1"] {
            assert!(!is_phone(bad), "{bad}");
        }
    }
}
