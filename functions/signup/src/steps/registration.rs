//! Checks and registers a number that is on no phone. Meta takes ten tries in 72 hours, so none is made without need.

use std::time::Duration;

use domain::{
    PhoneNumberId,
    channel::Mode,
    signup::{Need, SignupFault, SignupStep},
};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value};
use uuid::Uuid;
use whatsapp::{
    GraphError,
    signup::{CodeMethod, Usage},
};

use super::Walk;
use crate::stop::{Stop, was_not_taken};

/// How often the person's own PIN is tried: Meta locks the number for hours after some more.
const MAX_PINS: u32 = 2;

/// How often a registration is tried in the time in which Meta counts to ten.
const MAX_REGISTRATIONS: usize = 5;
const COUNTED: Duration = Duration::from_secs(72 * 3600);

/// How long after what Meta says the next try comes. A number that was taken out rests for 5 minutes, one of which PINs were
/// guessed for 12 hours.
const AFTER_DELETION: Duration = Duration::from_secs(6 * 60);
const AFTER_PINS: Duration = Duration::from_secs(12 * 3600);
const AFTER_REFUSAL: Duration = Duration::from_secs(3600);

/// Meta's codes.
const WRONG_PIN: i64 = 133_005;
const RECENTLY_DELETED: i64 = 133_015;
const UNVERIFIED: i64 = 133_006;
const TOO_MANY_PINS: i64 = 133_008;
const TOO_MANY_REGISTRATIONS: i64 = 133_016;
const VERIFIED_ALREADY: i64 = 136_024;
const WRONG_CODE: i64 = 136_025;

impl Walk<'_> {
    /// Registers the number, if it has to be.
    pub(super) async fn registration(&mut self) -> Result<(), Stop> {
        if self.signup.found == Some(Mode::Coexistence) {
            self.done(SignupStep::Register);
            return Ok(());
        }
        let (token, number) = (self.token().await?, self.number()?);
        let state = self.handler.clients.graph_api.registration(&number, &token).await?;
        if state.is_connected {
            self.done(SignupStep::Register);
            return Ok(());
        }
        if state.is_unverified && !self.signup.verified {
            self.signup.ask(Need::Verification, None);
            return Err(Stop::Asks);
        }
        self.register(&number, &token).await
    }

    async fn register(&mut self, number: &PhoneNumberId, token: &SecretString) -> Result<(), Stop> {
        let now = self.now();
        self.signup.registrations.retain(|at| now.since(*at) < COUNTED);
        if let (true, Some(first)) =
            (self.signup.registrations.len() >= MAX_REGISTRATIONS, self.signup.registrations.first())
        {
            let left = COUNTED.saturating_sub(now.since(*first));
            return Err(Stop::Pause(SignupFault::TooOften, left.max(AFTER_DELETION)));
        }
        let pin = self.pin(number).await?;
        // The last look before what would take a number from its phone.
        match self.handler.clients.graph_api.usage(number, token).await? {
            Usage::Cloud => {}
            Usage::Coexistence => {
                self.signup.found = Some(Mode::Coexistence);
                self.signup.step = SignupStep::Inbox;
                return Ok(());
            }
            Usage::PhoneOnly => return Err(self.on_phone_only()),
            Usage::Unknown => return Err(Stop::Wait(Some(SignupFault::Meta))),
        }
        self.signup.registrations.push(now);
        self.save().await?;
        match self.handler.clients.graph_api.register(number, &pin, token).await {
            Ok(()) => {
                self.done(SignupStep::Register);
                Ok(())
            }
            Err(error) => Err(self.refused(error, number).await?),
        }
    }

    async fn refused(&mut self, error: GraphError, number: &PhoneNumberId) -> Result<Stop, Stop> {
        Ok(match error.code() {
            Some(WRONG_PIN) if self.signup.pins < MAX_PINS => {
                let fault = (self.signup.pins > 0).then_some(SignupFault::WrongPin);
                self.signup.ask(Need::Pin { tries_left: MAX_PINS - self.signup.pins }, fault);
                Stop::Asks
            }
            Some(WRONG_PIN | TOO_MANY_PINS) => {
                // The same PIN once more would be one more guess.
                let mut stored = self.stored().await?;
                stored.remove("pin");
                self.write(number, &stored).await?;
                Stop::Pause(SignupFault::PinLocked, AFTER_PINS)
            }
            Some(UNVERIFIED) => {
                self.signup.verified = false;
                self.signup.ask(Need::Verification, None);
                Stop::Asks
            }
            Some(RECENTLY_DELETED) => Stop::Pause(SignupFault::Registration, AFTER_DELETION),
            Some(TOO_MANY_REGISTRATIONS) => Stop::Pause(SignupFault::TooOften, AFTER_PINS),
            Some(_) if !error.is_unauthorized() => {
                tracing::warn!(%error, "Meta does not register a number");
                Stop::Pause(SignupFault::Registration, AFTER_REFUSAL)
            }
            Some(_) => error.into(),
            None => {
                if was_not_taken(&error) {
                    self.signup.registrations.pop();
                }
                error.into()
            }
        })
    }

    /// The number's PIN, which is in its secret before Meta gets it.
    async fn pin(&self, number: &PhoneNumberId) -> Result<SecretString, Stop> {
        let mut stored = self.stored().await?;
        if let Some(pin) = stored.get("pin").and_then(Value::as_str) {
            return Ok(pin.into());
        }
        let pin = format!("{:06}", Uuid::new_v4().as_u128() % 1_000_000);
        stored.insert("pin".to_owned(), pin.as_str().into());
        self.write(number, &stored).await?;
        Ok(pin.into())
    }

    async fn stored(&self) -> Result<Map<String, Value>, Stop> {
        self.channel_secret().await?.ok_or(Stop::Reopen(SignupFault::CodeLost))
    }

    async fn write(&self, number: &PhoneNumberId, stored: &Map<String, Value>) -> Result<(), Stop> {
        Ok(self.handler.secrets.write(&format!("{}{number}", self.handler.channel_prefix), stored).await?)
    }

    /// The person gives the PIN that the number has already.
    pub(crate) async fn take_pin(&mut self, pin: &SecretString) -> Result<(), Stop> {
        let number = self.number()?;
        let mut stored = self.stored().await?;
        stored.insert("pin".to_owned(), pin.expose_secret().into());
        self.write(&number, &stored).await?;
        self.signup.pins += 1;
        (self.signup.need, self.signup.fault) = (None, None);
        Ok(())
    }

    /// The person wants the code of the check, by text message or by a call; at most one a minute.
    pub(crate) async fn send_code(&mut self, method: CodeMethod) -> Result<(), Stop> {
        let (token, number, now) = (self.token().await?, self.number()?, self.now());
        if self.signup.code_asked_at.is_some_and(|at| now.since(at).as_secs() < 60) {
            return Ok(());
        }
        self.signup.code_asked_at = Some(now);
        self.save().await?;
        let language = if self.signup.lang == "en" { "en_US" } else { "es_MX" };
        match self.handler.clients.graph_api.request_code(&number, method, language, &token).await {
            Ok(()) => self.signup.fault = None,
            Err(error) if error.code() == Some(VERIFIED_ALREADY) => self.verified(),
            Err(error) if error.code().is_some() && !error.is_unauthorized() => {
                tracing::warn!(%error, "Meta sends no code");
                self.signup.fault = Some(SignupFault::TooOften);
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    fn verified(&mut self) {
        self.signup.verified = true;
        (self.signup.need, self.signup.fault) = (None, None);
    }

    /// The person gives the code of the check.
    pub(crate) async fn check_code(&mut self, code: &SecretString) -> Result<(), Stop> {
        let (token, number) = (self.token().await?, self.number()?);
        match self.handler.clients.graph_api.verify_code(&number, code, &token).await {
            Ok(()) => self.verified(),
            Err(error) if error.code() == Some(VERIFIED_ALREADY) => self.verified(),
            Err(error) if error.code() == Some(WRONG_CODE) => self.signup.fault = Some(SignupFault::WrongCode),
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}
