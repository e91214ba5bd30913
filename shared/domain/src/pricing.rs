//! Defines the categories by which Meta charges messages. Meta adds words without notice, so each type has an "other": a new
//! word must neither fail nor make a metric of its own.

use serde::{Deserialize, Serialize};

/// The pricing of a message, as a status of it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Pricing {
    /// What kind of message it is charged as.
    #[serde(default)]
    pub category: Category,
    /// Whether and why it costs something.
    #[serde(default)]
    pub kind: Rate,
    /// Meta's older word for the same; it is being phased out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub billable: Option<bool>,
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
            /// A word this version does not know, or none.
            #[default]
            #[serde(other)]
            Other,
        }

        impl $name {
            /// Reads Meta's word; an unknown one is `Other`.
            pub fn read(word: &str) -> Self {
                match word.to_ascii_lowercase().replace('-', "_").as_str() {
                    $($word => Self::$variant,)+
                    _ => Self::Other,
                }
            }

            /// The word, as it stands in metrics.
            pub fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                    Self::Other => "other",
                }
            }
        }
    };
}

words!(
    /// The category Meta charges by (whatsapp-cloud-api.md §2.3). Messages to groups have categories of their own.
    Category {
        /// Advertising.
        Marketing = "marketing",
        /// Advertising through the marketing API.
        MarketingLite = "marketing_lite",
        /// About an order, an appointment.
        Utility = "utility",
        /// A code.
        Authentication = "authentication",
        /// A code across a border.
        AuthenticationInternational = "authentication_international",
        /// An answer inside the window.
        Service = "service",
        /// An answer to a customer who came from an advertisement.
        ReferralConversion = "referral_conversion",
        /// An answer of a general-purpose bot.
        GeneralPurposeAi = "general_purpose_ai",
        /// Advertising, to a group.
        GroupMarketing = "group_marketing",
        /// About an order, to a group.
        GroupUtility = "group_utility",
        /// An answer, to a group.
        GroupService = "group_service",
    }
);

words!(
    /// Whether a message is charged.
    Rate {
        /// It is.
        Regular = "regular",
        /// Free: an answer inside the window.
        FreeCustomerService = "free_customer_service",
        /// Free: the customer came from an advertisement.
        FreeEntryPoint = "free_entry_point",
        /// Free: an answer to a group.
        FreeGroupCustomerService = "free_group_customer_service",
    }
);

#[cfg(test)]
mod tests {
    use serde::de::{
        IntoDeserializer as _,
        value::{Error, StrDeserializer},
    };

    use super::*;

    #[test]
    fn both_spellings_are_one_category_and_what_is_new_is_other() {
        assert_eq!(Category::read("authentication-international"), Category::AuthenticationInternational);
        assert_eq!(Category::read("AUTHENTICATION_INTERNATIONAL"), Category::AuthenticationInternational);
        assert_eq!((Category::read("telepathy"), Rate::read("")), (Category::Other, Rate::Other));
        assert_eq!(Rate::read(Rate::FreeEntryPoint.word()), Rate::FreeEntryPoint);
    }

    #[test]
    fn a_task_with_a_word_of_a_newer_version_can_be_read() {
        let read = |word: &'static str| {
            let word: StrDeserializer<'_, Error> = word.into_deserializer();
            Category::deserialize(word).unwrap()
        };
        assert_eq!((read("telepathy"), read("utility")), (Category::Other, Category::Utility));
    }
}
