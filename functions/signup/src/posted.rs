//! Takes what the page posts: a code, the window's event, the person's answers, or nothing but the wish to know how far it is.

use app::HandlerError;
use domain::{
    PhoneNumberId, Signup, Timestamp, WabaId,
    channel::Mode,
    signup::{Finish, Need, SignupFault, SignupStep},
};
use lambda_http::{Body, Response, http::StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::Value;
use store::Told;
use whatsapp::signup::CodeMethod;

use crate::{
    Handler, answer,
    exchange::{Code, Exchanged},
    filled,
    steps::Walk,
    stop::Stop,
    told,
};

/// The longest id of Meta's, and the longest word of a dialog.
const MAX_ID: usize = 32;
const MAX_WORD: usize = 64;

/// How often an answer is given to a signup that others write.
const CONTENTION: usize = 8;

/// What the page posts. A member of another type counts as none: no code is lost for what stands beside it.
#[derive(Debug, Deserialize)]
pub(crate) struct Posted {
    pub(crate) t: String,
    pub(crate) nonce: String,
    #[serde(default, deserialize_with = "if_it_is_one")]
    code: Option<SecretString>,
    #[serde(default, deserialize_with = "if_it_is_one")]
    event: Option<String>,
    #[serde(default)]
    waba_id: Value,
    #[serde(default)]
    waba_ids: Value,
    #[serde(default)]
    phone_number_id: Value,
    #[serde(default)]
    user_id: Value,
    #[serde(default, deserialize_with = "if_it_is_one")]
    mode: Option<Mode>,
    #[serde(default, deserialize_with = "if_it_is_one")]
    current_step: Option<String>,
    #[serde(default, deserialize_with = "if_it_is_one")]
    session_id: Option<String>,
    /// The number that is meant.
    #[serde(default, deserialize_with = "if_it_is_one")]
    choose: Option<String>,
    /// Whether a number on no phone is meant.
    #[serde(default, deserialize_with = "if_it_is_one")]
    accept: Option<bool>,
    /// How the code of the check is to come.
    #[serde(default, deserialize_with = "if_it_is_one")]
    verification: Option<CodeMethod>,
    #[serde(default, deserialize_with = "if_it_is_one")]
    verification_code: Option<SecretString>,
    #[serde(default, deserialize_with = "if_it_is_one")]
    pin: Option<SecretString>,
}

fn if_it_is_one<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Option<T>, D::Error> {
    Ok(serde_json::from_value(Value::deserialize(deserializer)?).ok())
}

impl Posted {
    fn claimed(&self) -> Vec<WabaId> {
        let all = self.waba_ids.as_array().into_iter().flatten().chain([&self.waba_ids, &self.waba_id]);
        let mut claimed = Vec::new();
        for id in all.filter_map(id).map(WabaId::new) {
            if claimed.len() < 10 && !claimed.contains(&id) {
                claimed.push(id);
            }
        }
        claimed
    }

    fn number(&self) -> Option<PhoneNumberId> {
        id(&self.phone_number_id).map(PhoneNumberId::new)
    }

    fn told(&self) -> Told {
        let finish = self.event.as_deref().and_then(Finish::named);
        Told { accounts: self.claimed(), number: self.number(), finish }
    }
}

impl Handler {
    /// Does what the page asks, takes the steps that can be taken, and tells how far it is.
    pub(crate) async fn act(
        &self,
        signup: Signup,
        posted: Posted,
        cookie: &str,
        until: Timestamp,
    ) -> Result<Response<Body>, HandlerError> {
        let told = posted.told();
        if let Some(code) = filled(posted.code) {
            let Told { accounts: claimed, number, finish } = told;
            let user_id = id(&posted.user_id);
            let code = Code { text: code, redirect: None, mode: posted.mode, claimed, number, user_id, finish };
            return match Box::pin(self.exchange(signup, code, cookie, until)).await? {
                Exchanged::Told(status, signup) => self.tell(status, &signup).await,
                Exchanged::Closed(status, why) => Ok(answer::state(status, why)),
            };
        }
        if let Some(event) = &posted.event {
            let signup = if event.starts_with("CANCEL") || event.starts_with("ERROR") {
                self.broken_off(signup, event, posted.current_step, posted.session_id).await?
            } else {
                self.ended(signup, told).await?
            };
            let signup = Box::pin(self.walk(signup, until)).await?;
            return self.tell(StatusCode::OK, &signup).await;
        }
        if signup.need.is_some() {
            let answer = Answer {
                choose: posted.choose.map(PhoneNumberId::new),
                accept: posted.accept,
                verification: posted.verification,
                verification_code: filled(posted.verification_code),
                pin: filled(posted.pin),
            };
            let id = signup.id.clone();
            if let Some(signup) = Box::pin(self.hear(signup, answer, until)).await? {
                return self.tell(StatusCode::OK, &signup).await;
            }
            // Another worker has it just now: the page says it again.
            let there = self.signups.get(&id).await?.ok_or(app::Refusal::Unreadable)?;
            return Ok(answer::told(StatusCode::ACCEPTED, &told::again(&there, self.clients.clock.now())));
        }
        let signup = Box::pin(self.walk(signup, until)).await?;
        self.tell(StatusCode::OK, &signup).await
    }

    /// The dialog was broken off.
    async fn broken_off(
        &self,
        mut signup: Signup,
        event: &str,
        step: Option<String>,
        session: Option<String>,
    ) -> Result<Signup, HandlerError> {
        let word = |text: Option<String>| text.filter(|text| is_word(text));
        let session = word(session);
        tracing::info!(
            account = %signup.account, event = word(Some(event.to_owned())), step = word(step), session,
            "Meta's dialog was broken off"
        );
        if session.is_some() && signup.step == SignupStep::Open && !signup.is_exchanging() {
            signup.session = session;
            // Only where nothing else was written: a code that came meanwhile counts for more.
            if !self.signups.save(&mut signup).await? {
                return Ok(self.signups.get(&signup.id).await?.unwrap_or(signup));
            }
        }
        Ok(signup)
    }

    /// The dialog has ended: what its event names is kept beside the signup, for the step that needs it.
    async fn ended(&self, mut signup: Signup, told: Told) -> Result<Signup, HandlerError> {
        if matches!(signup.step, SignupStep::Open | SignupStep::Token) && told != Told::default() {
            self.signups.tell(&signup.id, told).await?;
            // What was waited for may have come; the next worker writes it.
            (signup.tries, signup.next_at) = (0, Timestamp::default());
        }
        Ok(signup)
    }

    /// The person answers what was asked; nothing while another worker has the signup.
    async fn hear(&self, mut signup: Signup, answer: Answer, until: Timestamp) -> Result<Option<Signup>, HandlerError> {
        for _ in 0..CONTENTION {
            let Some(need) = signup.need.clone().filter(|need| answer.is_to(need)) else { return Ok(Some(signup)) };
            if signup.leased_until > self.clients.clock.now() {
                return Ok(None);
            }
            let mut mine = signup.clone();
            if self.signups.lease(&mut mine).await? {
                let mut walk = Walk::new(self, mine);
                let heard = Box::pin(walk.hear(need, answer)).await;
                walk.settle(heard).await?;
                return Ok(Some(Box::pin(self.walk_leased(walk.signup, until)).await?));
            }
            let Some(there) = self.signups.get(&signup.id).await? else { return Ok(Some(signup)) };
            signup = there;
        }
        Ok(None)
    }

    pub(crate) async fn tell(&self, status: StatusCode, signup: &Signup) -> Result<Response<Body>, HandlerError> {
        let past = match &signup.number {
            Some(number) if signup.wants_past() => self.clients.imports.progress(number).await?,
            _ => None,
        };
        let told = told::tell(signup, past.as_ref(), self.clients.clock.now());
        let status = match (status, signup.fault) {
            (StatusCode::ACCEPTED, Some(SignupFault::Elsewhere)) => StatusCode::CONFLICT,
            (StatusCode::ACCEPTED, Some(_)) if signup.step == SignupStep::Open => StatusCode::UNPROCESSABLE_ENTITY,
            (StatusCode::ACCEPTED, _) if signup.step == SignupStep::Done || signup.need.is_some() => StatusCode::OK,
            (status, _) => status,
        };
        Ok(answer::told(status, &told))
    }
}

/// What a person answers.
#[derive(Debug)]
struct Answer {
    choose: Option<PhoneNumberId>,
    accept: Option<bool>,
    verification: Option<CodeMethod>,
    verification_code: Option<SecretString>,
    pin: Option<SecretString>,
}

impl Answer {
    fn is_to(&self, need: &Need) -> bool {
        match need {
            Need::Choice { of } => {
                self.choose.as_ref().is_some_and(|wanted| of.iter().any(|one| one.number == *wanted))
            }
            Need::Mode => self.accept.is_some(),
            Need::Verification => self.verification.is_some() || self.verification_code.is_some(),
            Need::Pin { .. } => {
                let is_pin = |pin: &SecretString| {
                    let pin = pin.expose_secret().trim();
                    pin.len() == 6 && pin.bytes().all(|byte| byte.is_ascii_digit())
                };
                self.pin.as_ref().is_some_and(is_pin)
            }
        }
    }
}

impl Walk<'_> {
    async fn hear(&mut self, need: Need, answer: Answer) -> Result<(), Stop> {
        match need {
            Need::Choice { .. } => {
                self.signup.claimed_number = answer.choose;
                self.signup.need = None;
                Ok(())
            }
            Need::Mode if answer.accept == Some(true) => {
                (self.signup.accepts_cloud, self.signup.need) = (true, None);
                Ok(())
            }
            Need::Mode => Err(Stop::Reopen(SignupFault::NotOnPhone)),
            Need::Verification => match (answer.verification_code, answer.verification) {
                (Some(code), _) => self.check_code(&trimmed(&code)).await,
                (None, Some(method)) => self.send_code(method).await,
                (None, None) => Ok(()),
            },
            Need::Pin { .. } => match answer.pin {
                Some(pin) => self.take_pin(&trimmed(&pin)).await,
                None => Ok(()),
            },
        }
    }
}

fn trimmed(secret: &SecretString) -> SecretString {
    secret.expose_secret().chars().filter(|sign| !sign.is_whitespace() && *sign != '-').collect::<String>().into()
}

/// An id of Meta's: digits, as text or as a number.
fn id(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    ((1..=MAX_ID).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())).then_some(text)
}

/// Whether a text of the dialog's may stand in a log: a word, and no prose.
fn is_word(text: &str) -> bool {
    (1..=MAX_WORD).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}
