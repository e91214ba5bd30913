//! Who may sign up: dealers whose accounts no token sees until they went through Meta's dialog.

use serde::Deserialize;

use crate::{
    Meta, Number,
    postman::Postman,
    signup::{Account, Line},
    state::State,
};

/// The account of the dealer whom every simulation knows.
pub const ACCOUNT: &str = "109876543777002";
/// Its number's id.
pub const NUMBER: &str = "104857600777001";
/// The number itself.
pub const DISPLAY: &str = "525555550177";
/// The dealer's portfolio.
pub const BUSINESS: &str = "120034567777003";
/// A second account of the same dealer.
pub const SECOND_ACCOUNT: &str = "109876543777099";
/// Its number's id.
pub const SECOND_NUMBER: &str = "104857600777099";
/// The number itself.
pub const SECOND_DISPLAY: &str = "525555550199";
/// The app-scoped id of the person who signs the dealer up.
pub const PERSON: &str = "10221000000000001";
/// The system user that a token is made for, unless the configuration makes tokens for people.
pub const SYSTEM_USER: &str = "122100000000000001";

/// A dealer with a number that can be connected.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Prospect {
    /// The WhatsApp business account.
    pub waba_id: String,
    /// What it is called.
    pub account_name: String,
    /// The portfolio that owns it.
    pub business_id: String,
    /// What that is called.
    pub business_name: String,
    /// Meta's id of the number.
    pub phone_number_id: String,
    /// The number in digits.
    pub display_phone_number: String,
    /// The name that customers see.
    pub verified_name: String,
    /// The PIN that it has already.
    #[serde(default)]
    pub pin: Option<String>,
    /// The person who signs it up, by the app-scoped id.
    #[serde(default = "person")]
    pub person: String,
}

fn person() -> String {
    PERSON.into()
}

/// The dealer whom every simulation knows, with a number in each of two accounts.
pub(crate) fn shops() -> [Prospect; 2] {
    let shop = |waba_id: &str, phone_number_id: &str, display: &str, name: &str| Prospect {
        waba_id: waba_id.into(),
        account_name: name.into(),
        business_id: BUSINESS.into(),
        business_name: "Motos del Centro SA de CV".into(),
        phone_number_id: phone_number_id.into(),
        display_phone_number: display.into(),
        verified_name: name.into(),
        pin: None,
        person: person(),
    };
    [
        shop(ACCOUNT, NUMBER, DISPLAY, "LMotos Centro"),
        shop(SECOND_ACCOUNT, SECOND_NUMBER, SECOND_DISPLAY, "LMotos Norte"),
    ]
}

impl Meta {
    /// A dealer more who may sign up.
    pub fn add_prospect(&self, prospect: Prospect) {
        self.world.state().add_prospect(prospect, &self.world.postman);
    }
}

impl State {
    pub(crate) fn add_prospect(&mut self, prospect: Prospect, postman: &Postman) {
        postman.open(&prospect.phone_number_id);
        let account = Account {
            name: prospect.account_name,
            owner: Some((prospect.business_id, prospect.business_name)),
            person: prospect.person,
        };
        self.signup.accounts.insert(prospect.waba_id.clone(), account);
        let line = Line { pin: prospect.pin, ..Line::not_joined(prospect.verified_name) };
        self.lines.insert(prospect.phone_number_id.clone(), line);
        self.numbers.retain(|known| known.phone_number_id != prospect.phone_number_id);
        self.numbers.push(Number {
            phone_number_id: prospect.phone_number_id,
            waba_id: prospect.waba_id,
            display_phone_number: prospect.display_phone_number,
            access_token: String::new(),
            coexistence: false,
        });
    }
}
