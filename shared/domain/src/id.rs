//! Opaque id types keep ids of different things apart. Each says which system mints it and where it is unique; a swapped
//! argument does not compile.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::numbering;

/// Declares a text id. A `public` one prints itself; a `private` one carries personal data and prints as `Name(…)`.
macro_rules! id {
    ($(#[$doc:meta])* public $name:ident) => {
        id!(@type $(#[$doc])* $name);
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
    ($(#[$doc:meta])* private $name:ident) => {
        id!(@type $(#[$doc])* $name);
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }
    };
    (@type $(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Takes the id as it was received.
            pub fn new(id: impl Into<String>) -> Self {
                Self(id.into())
            }

            /// The id as it was received.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
    };
}

/// Declares a number id; all of them are Chatwoot's.
macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id!(/// The id Meta gives a business phone number; keys channels, queues and metrics.
    public PhoneNumberId);
id!(/// The id of a WhatsApp Business Account, minted by Meta.
    public WabaId);
id!(/// A file at Meta, minted by Meta; readable only with a token of the same WABA.
    public MediaId);
id!(/// A customer of ours: a random id of our own, unique everywhere. Chatwoot's `source_id` and `identifier`.
    public CustomerId);
id!(/// A message id minted by Meta. Its base64 holds the customer's number: personal data.
    private Wamid);
id!(/// A phone in digits, as Meta writes it in `from` and `wa_id`; personal data.
    private WaId);
id!(/// A person towards one business portfolio ("BSUID"), minted by Meta; opaque, case-sensitive, personal data.
    private UserId);
id!(/// A WhatsApp group, minted by Meta; holds the business number.
    private GroupId);

id!(/// A link by which a number is connected: random; of no use without its signature.
    public SignupId);
id!(/// The code of an erasure request: random, and all that is needed to ask for its state.
    public ConfirmationCode);

number!(/// A Chatwoot account; unique in its installation.
    AccountId);
number!(/// A Chatwoot inbox; unique in its installation.
    InboxId);
number!(/// A Chatwoot contact; unique in its installation.
    ContactId);
number!(/// A Chatwoot conversation's display id; unique in its account.
    ConversationId);
number!(/// A Chatwoot message; unique and growing in its installation.
    MessageId);

impl CustomerId {
    /// Mints a new one.
    pub fn mint() -> Self {
        Self(uuid::Uuid::now_v7().to_string())
    }
}

impl ConfirmationCode {
    /// Makes a new one, which reveals nothing and cannot be guessed.
    pub fn mint() -> Self {
        Self(uuid::Uuid::new_v4().simple().to_string())
    }
}

impl SignupId {
    /// Makes a new one, which cannot be guessed.
    pub fn mint() -> Self {
        Self(uuid::Uuid::new_v4().simple().to_string())
    }
}

impl WaId {
    /// The one spelling under which a number is looked up.
    pub fn canonical(&self) -> String {
        let digits: String = self.0.chars().filter(char::is_ascii_digit).collect();
        numbering::canonical(&digits).unwrap_or(digits)
    }

    /// Whether both are spellings of one number. Spellings differ at the front, so the last digits tell most numbers apart.
    pub fn are_same(one: &str, other: &str) -> bool {
        let last = |id: &str| {
            id.bytes().rev().filter(u8::is_ascii_digit).take(6).fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'))
        };
        one == other || last(one) == last(other) && Self::new(one).canonical() == Self::new(other).canonical()
    }

    /// All spellings of the number that are in use, this one first: a contact made by an agent may have another one.
    pub fn spellings(&self) -> Vec<Self> {
        let canonical = self.canonical();
        let longer = numbering::longer(&canonical);
        let mut all = vec![self.clone()];
        all.extend([Some(canonical), longer].into_iter().flatten().map(Self::new).filter(|one| one != self));
        all
    }

    /// As Chatwoot wants it: `+` and digits, or `None` if that would not be a phone.
    pub fn e164(&self) -> Option<String> {
        let digits: String = self.0.chars().filter(char::is_ascii_digit).collect();
        ((2..=15).contains(&digits.len()) && !digits.starts_with('0')).then(|| format!("+{digits}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn personal_ids_do_not_print_themselves() {
        assert_eq!(format!("{:?}", Wamid::new("wamid.HBgN")), "Wamid(…)");
        assert_eq!(format!("{:?}", WaId::new("5215555550123")), "WaId(…)");
        assert_eq!(format!("{:?}", PhoneNumberId::new("104857600123456")), "PhoneNumberId(104857600123456)");
    }

    #[test]
    fn spellings_of_one_number_meet() {
        for (one, other) in
            [("5215555550123", "525555550123"), ("5491155550145", "541155550145"), ("5511987654321", "551187654321")]
        {
            assert_eq!(WaId::new(one).canonical(), WaId::new(other).canonical());
            assert!(WaId::are_same(one, other) && WaId::are_same(one, one));
        }
    }

    #[test]
    fn each_spelling_leads_to_all_of_them() {
        for (one, other) in
            [("5215555550123", "525555550123"), ("5491155550145", "541155550145"), ("5511987654321", "551187654321")]
        {
            assert_eq!(WaId::new(one).spellings(), [WaId::new(one), WaId::new(other)]);
            assert_eq!(WaId::new(other).spellings(), [WaId::new(other), WaId::new(one)]);
        }
        assert_eq!(WaId::new("573005550123").spellings(), [WaId::new("573005550123")]);
    }

    #[test]
    fn other_numbers_stay_apart() {
        // A Brazilian landline never had the ninth digit; a US number that begins with 52 after its 1 is not Mexican.
        assert_eq!(WaId::new("551132345678").canonical(), "551132345678");
        assert_eq!(WaId::new("15215550123").canonical(), "15215550123");
        assert_eq!(WaId::new("573005550123").canonical(), "573005550123");
        for other in ["525555550124", "573005550123", "5555550123"] {
            assert!(!WaId::are_same("525555550123", other), "{other}");
        }
    }
}
