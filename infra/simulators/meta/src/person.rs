//! The people on the other side, and how their numbers are spelled.

use crate::wire;

/// Somebody with WhatsApp.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    /// The profile name.
    pub(crate) name: String,
    /// The phone in digits, as WhatsApp spells it; absent for people known by their user id alone.
    pub(crate) wa_id: Option<String>,
    /// The business-scoped user id.
    pub(crate) user_id: String,
    /// The username with its `@`, if one was chosen.
    pub(crate) username: Option<String>,
    /// Whether the business is shown the phone.
    pub(crate) phone_visible: bool,
}

impl Person {
    /// A person with a phone; the user id follows from it without disclosing it.
    pub(crate) fn new(name: &str, wa_id: &str) -> Self {
        let user_id = format!("MX.{}", derived_digits(wa_id, 20));
        Self { name: name.into(), wa_id: Some(wa_id.into()), user_id, username: None, phone_visible: true }
    }

    /// The phone, if the business may see it.
    pub(crate) fn visible_phone(&self) -> Option<&str> {
        self.wa_id.as_deref().filter(|_| self.phone_visible)
    }

    /// The digits inside message ids: the phone where visible, else arbitrary ones.
    pub(crate) fn peer(&self) -> String {
        self.visible_phone().map_or_else(|| derived_digits(&self.user_id, 15), str::to_owned)
    }
}

/// So many digits that depend on the seed alone.
fn derived_digits(seed: &str, count: usize) -> String {
    wire::sha256(seed.as_bytes()).iter().take(count).map(|byte| char::from(b'0' + byte % 10)).collect()
}

/// A phone as a sender may spell it, in digits; nothing if it isn't one.
pub(crate) fn digits(spelled: &str) -> Option<String> {
    let digits: String = spelled.chars().filter(|c| !matches!(c, '+' | ' ' | '-' | '(' | ')' | '.')).collect();
    let plausible = (7..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    plausible.then_some(digits)
}

/// Whether two spellings reach the same phone: Mexico's 1, Argentina's 9 and the ninth digit of Brazil's mobiles come and go. A
/// Brazilian landline begins with 2 to 5, trunked radio with 7: they never had a ninth digit.
pub(crate) fn same_phone(one: &str, other: &str) -> bool {
    canonical(one) == canonical(other)
}

fn canonical(digits: &str) -> String {
    let without = |prefix: &str, extra: &str, total: usize| {
        let rest = digits.strip_prefix(prefix)?.strip_prefix(extra)?;
        (digits.len() == total).then(|| format!("{prefix}{rest}"))
    };
    let brazil = || {
        let (area, rest) = digits.strip_prefix("55")?.split_at_checked(2)?;
        let rest = rest.strip_prefix('9').filter(|rest| rest.starts_with(['6', '8', '9']))?;
        (digits.len() == 13).then(|| format!("55{area}{rest}"))
    };
    without("52", "1", 13).or_else(|| without("54", "9", 13)).or_else(brazil).unwrap_or_else(|| digits.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn national_spellings_reach_the_same_phone() {
        assert!(same_phone("5215555550123", "525555550123"));
        assert!(same_phone("5491155550145", "541155550145"));
        assert!(same_phone("5511985550123", "551185550123"));
        assert!(!same_phone("5511955550123", "551155550123"));
        assert!(!same_phone("5511978123456", "551178123456"));
        assert!(!same_phone("5215555550123", "5215555550124"));
        assert_eq!(digits("+52 1 (55) 5555-0123").as_deref(), Some("5215555550123"));
        assert_eq!(digits("MX.24518830917745120033"), None);
    }

    #[test]
    fn a_user_id_is_stable_and_hides_the_phone() {
        let ana = Person::new("Ana", "5215555550123");
        assert_eq!(ana.user_id, Person::new("Otra", "5215555550123").user_id);
        assert_eq!(ana.user_id.len(), 23);
        assert!(!ana.user_id.contains("5555550123"));
    }
}
