//! How the dialog can end: what becomes of the number, what the page is told, and whether it gets a code.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What becomes of the number that was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Joins {
    /// Nothing.
    No,
    /// It joins and stays on its phone.
    OnPhone,
    /// It joins and is to be registered.
    Cloud,
    /// It joins and is registered.
    Registered,
    /// It joins without being verified.
    Unverified,
    /// Its account is given, without a number.
    Account,
    /// It joins on its phone, and so does each other number of the dealer.
    Several,
}

/// How the dialog ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The number stays on its phone; the page is told the account alone, as in Meta's sample.
    #[default]
    FinishCoexistence,
    /// The same, with the number.
    FinishCoexistenceWithNumber,
    /// The same, under the ordinary name.
    FinishGenericCoexistence,
    /// An ordinary number, verified and not registered yet.
    FinishCloud,
    /// An ordinary number that is registered already.
    FinishCloudRegistered,
    /// An ordinary number that was not verified.
    FinishUnverified,
    /// Several accounts were chosen.
    FinishSeveral,
    /// An account and no number.
    FinishOnlyWaba,
    /// Access is given anew.
    FinishGrantOnly,
    /// From another provider.
    FinishOboMigration,
    /// The page is told an account that the token does not see.
    FinishForeign,
    /// The event has a name that nobody knows.
    FinishUnknown,
    /// The same, and it begins with `FINISH`.
    FinishUnknownPrefix,
    /// The event does not come.
    CodeOnly,
    /// The code does not come.
    EventOnly,
    /// Neither comes, though all was done.
    Nothing,
    /// Closed at a step.
    Cancel,
    /// The same, with Meta's id of the session.
    CancelWithSession,
    /// Somebody reported a fault to Meta.
    CancelReported,
    /// A spelling of one code base.
    CancelOnboarding,
    /// A spelling of one code base.
    ErrorOnboarding,
    /// Meta failed.
    Error,
    /// Another origin claims a signup, and there was none.
    Forged,
    /// Another origin claims a signup before the true one.
    ForgedThenFinish,
    /// The window is closed.
    Closed,
}

/// Meta's id of a session.
const SESSION: &str = "f34b51dab5e0498";
/// An account that no token of a signup sees.
pub(crate) const FOREIGN_ACCOUNT: &str = "109876543000666";

/// Every outcome, in the order of the dialog, with the words on its button.
pub(crate) const ALL: [(Outcome, &str); 25] = [
    (Outcome::FinishCoexistence, "Conectar la app del celular"),
    (Outcome::FinishCoexistenceWithNumber, "Conectar la app; el aviso trae el número"),
    (Outcome::FinishGenericCoexistence, "Conectar la app; el aviso es FINISH"),
    (Outcome::FinishCloud, "Número nuevo, por registrar"),
    (Outcome::FinishCloudRegistered, "Número nuevo, ya registrado"),
    (Outcome::FinishUnverified, "Número nuevo, sin verificar"),
    (Outcome::FinishSeveral, "Varias cuentas"),
    (Outcome::FinishOnlyWaba, "Solo la cuenta, sin número"),
    (Outcome::FinishGrantOnly, "Renovar el acceso"),
    (Outcome::FinishOboMigration, "Migrar desde otro proveedor"),
    (Outcome::FinishForeign, "El aviso nombra una cuenta ajena"),
    (Outcome::FinishUnknown, "Aviso desconocido"),
    (Outcome::FinishUnknownPrefix, "Aviso desconocido que empieza con FINISH"),
    (Outcome::CodeOnly, "Código sin aviso"),
    (Outcome::EventOnly, "Aviso sin código"),
    (Outcome::Nothing, "Terminar sin aviso ni código"),
    (Outcome::Cancel, "Cancelar en el paso elegido"),
    (Outcome::CancelWithSession, "Cancelar, con id de sesión"),
    (Outcome::CancelReported, "Reportar un problema"),
    (Outcome::CancelOnboarding, "CANCEL_WHATSAPP_BUSINESS_APP_ONBOARDING"),
    (Outcome::ErrorOnboarding, "ERROR_WHATSAPP_BUSINESS_APP_ONBOARDING"),
    (Outcome::Error, "Error de Meta"),
    (Outcome::Forged, "Aviso falso de otro origen"),
    (Outcome::ForgedThenFinish, "Aviso falso y después el verdadero"),
    (Outcome::Closed, "Cerrar la ventana"),
];

/// What an event speaks of.
pub(crate) struct Subject<'a> {
    pub(crate) number: &'a str,
    pub(crate) account: &'a str,
    pub(crate) accounts: &'a [String],
    pub(crate) business: &'a str,
    pub(crate) step: &'a str,
    pub(crate) now: i64,
}

impl Outcome {
    /// Its name in a form and in JSON.
    pub(crate) fn name(self) -> String {
        json!(self).as_str().unwrap_or_default().to_owned()
    }

    /// The outcome of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        serde_json::from_value(name.into()).ok()
    }

    /// What becomes of the number.
    pub(crate) fn joins(self) -> Joins {
        match self {
            Self::FinishCloud => Joins::Cloud,
            Self::FinishCloudRegistered | Self::FinishGrantOnly | Self::FinishOboMigration => Joins::Registered,
            Self::FinishUnverified => Joins::Unverified,
            Self::FinishSeveral => Joins::Several,
            Self::FinishOnlyWaba => Joins::Account,
            Self::FinishCoexistence
            | Self::FinishCoexistenceWithNumber
            | Self::FinishGenericCoexistence
            | Self::FinishForeign
            | Self::FinishUnknown
            | Self::FinishUnknownPrefix
            | Self::CodeOnly
            | Self::EventOnly
            | Self::Nothing
            | Self::ForgedThenFinish => Joins::OnPhone,
            _ => Joins::No,
        }
    }

    /// Whether the page gets a code.
    pub(crate) fn gives_code(self) -> bool {
        self.joins() != Joins::No && !matches!(self, Self::EventOnly | Self::Nothing)
    }

    /// Whether another origin speaks first.
    pub(crate) fn is_forged(self) -> bool {
        matches!(self, Self::Forged | Self::ForgedThenFinish)
    }

    /// What the page is told, as Meta's samples have it.
    pub(crate) fn event(self, of: &Subject<'_>) -> Option<Value> {
        let number = json!({"phone_number_id": of.number, "waba_id": of.account, "business_id": of.business});
        let account = json!({ "waba_id": of.account });
        let coexistence = "FINISH_WHATSAPP_BUSINESS_APP_ONBOARDING";
        let (event, version, data) = match self {
            Self::FinishCoexistence | Self::EventOnly | Self::ForgedThenFinish => (coexistence, json!(3), account),
            Self::FinishCoexistenceWithNumber => (coexistence, json!("3"), number),
            Self::FinishGenericCoexistence => {
                ("FINISH", json!("3"), json!({"waba_id": of.account, "is_wa_login_user": true}))
            }
            Self::FinishCloud | Self::FinishCloudRegistered | Self::FinishUnverified => {
                let mut data = number;
                for list in ["ad_account_ids", "page_ids", "dataset_ids", "catalog_ids", "instagram_account_ids"] {
                    data[list] = json!([]);
                }
                ("FINISH", json!("3"), data)
            }
            Self::FinishSeveral => ("FINISH", json!(3), json!({"waba_ids": of.accounts, "business_id": of.business})),
            Self::FinishOnlyWaba => {
                ("FINISH_ONLY_WABA", json!(3), json!({"waba_id": of.account, "business_id": of.business}))
            }
            Self::FinishGrantOnly => ("FINISH_GRANT_ONLY_API_ACCESS", json!(3), number),
            Self::FinishOboMigration => ("FINISH_OBO_MIGRATION", json!(3), number),
            Self::FinishForeign => (coexistence, json!(3), json!({ "waba_id": FOREIGN_ACCOUNT })),
            Self::FinishUnknown => ("SOMETHING_META_ADDED_LATER", json!(4), account),
            Self::FinishUnknownPrefix => ("FINISH_SOMETHING_META_ADDED_LATER", json!(4), account),
            Self::Cancel => ("CANCEL", json!(3), json!({ "current_step": of.step })),
            Self::CancelWithSession => ("CANCEL", json!(3), json!({"current_step": of.step, "session_id": SESSION})),
            Self::CancelReported => {
                let data = json!({"error_message": "El número no cumple los requisitos.", "error_code": "524126",
                    "session_id": SESSION, "timestamp": of.now.to_string()});
                ("CANCEL", json!("3"), data)
            }
            Self::CancelOnboarding => {
                ("CANCEL_WHATSAPP_BUSINESS_APP_ONBOARDING", json!(3), json!({ "current_step": of.step }))
            }
            Self::ErrorOnboarding | Self::Error => {
                let data = json!({"error_message": "Something went wrong.", "error_id": "524126",
                    "session_id": SESSION});
                let name = if self == Self::Error { "ERROR" } else { "ERROR_WHATSAPP_BUSINESS_APP_ONBOARDING" };
                (name, json!(3), data)
            }
            Self::CodeOnly | Self::Nothing | Self::Forged | Self::Closed => return None,
        };
        Some(json!({"data": data, "type": "WA_EMBEDDED_SIGNUP", "event": event, "version": version}))
    }
}

/// What another origin claims.
pub(crate) fn forgery() -> Value {
    json!({"data": {"waba_id": FOREIGN_ACCOUNT, "phone_number_id": "104857600000666"}, "type": "WA_EMBEDDED_SIGNUP",
        "event": "FINISH_WHATSAPP_BUSINESS_APP_ONBOARDING", "version": 3})
}
