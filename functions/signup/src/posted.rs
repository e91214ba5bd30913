//! Takes what the page posts: a code, the window's event, the person's answers, or nothing but the wish to know how far it is.

use app::HandlerError;
use domain::{
    PhoneNumberId, Signup, WabaId,
    channel::Mode,
    signup::{Need, SignupFault, SignupStep},
};
use lambda_http::{Body, Response, http::StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use whatsapp::{GraphError, signup::CodeMethod};

use crate::{
    Handler, answer, filled,
    steps::{Walk, secret_of},
    stop::{Stop, was_not_taken},
    told,
};

/// The longest id of Meta's, and the longest word of a dialog.
const MAX_ID: usize = 32;
const MAX_WORD: usize = 64;

/// How often a code is given to Meta while certainly nothing arrived.
const MAX_TRIES: usize = 2;

/// What the page posts.
#[derive(Debug, Deserialize)]
pub(crate) struct Posted {
    pub(crate) t: String,
    pub(crate) nonce: String,
    #[serde(default)]
    code: Option<SecretString>,
    #[serde(default)]
    event: Option<String>,
    #[serde(default)]
    waba_id: Value,
    #[serde(default)]
    waba_ids: Vec<Value>,
    #[serde(default)]
    phone_number_id: Value,
    #[serde(default)]
    user_id: Value,
    #[serde(default)]
    mode: Option<Mode>,
    #[serde(default)]
    current_step: Option<String>,
    #[serde(default)]
    session_id: Option<String>,
    /// The number that is meant.
    #[serde(default)]
    choose: Option<String>,
    /// Whether a number on no phone is meant.
    #[serde(default)]
    accept: Option<bool>,
    /// How the code of the check is to come.
    #[serde(default)]
    verification: Option<CodeMethod>,
    #[serde(default)]
    verification_code: Option<SecretString>,
    #[serde(default)]
    pin: Option<SecretString>,
}

/// A code, and what came with it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Code {
    pub(crate) text: SecretString,
    /// The address of the full-page dialog that gave it.
    pub(crate) redirect: Option<String>,
    pub(crate) mode: Option<Mode>,
    pub(crate) claimed: Vec<WabaId>,
    pub(crate) number: Option<PhoneNumberId>,
    pub(crate) user_id: Option<String>,
}

impl Posted {
    fn claimed(&self) -> Vec<WabaId> {
        let all = self.waba_ids.iter().chain([&self.waba_id]);
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
}

impl Handler {
    /// Does what the page asks, takes the steps that can be taken, and tells how far it is.
    pub(crate) async fn act(
        &self,
        signup: Signup,
        posted: Posted,
        cookie: &str,
    ) -> Result<Response<Body>, HandlerError> {
        let (claimed, number) = (posted.claimed(), posted.number());
        if let Some(code) = filled(posted.code) {
            let user_id = id(&posted.user_id);
            let code = Code { text: code, redirect: None, mode: posted.mode, claimed, number, user_id };
            let (status, signup) = Box::pin(self.exchange(signup, code, cookie)).await?;
            return self.tell(status, &signup).await;
        }
        if let Some(event) = &posted.event {
            return self.event(signup, event, claimed, number, posted.current_step, posted.session_id).await;
        }
        if signup.need.is_some() {
            let answer = Answer {
                choose: posted.choose.map(PhoneNumberId::new),
                accept: posted.accept,
                verification: posted.verification,
                verification_code: filled(posted.verification_code),
                pin: filled(posted.pin),
            };
            let signup = Box::pin(self.hear(signup, answer)).await?;
            return self.tell(StatusCode::OK, &signup).await;
        }
        let signup = Box::pin(self.walk(signup, self.until())).await?;
        self.tell(StatusCode::OK, &signup).await
    }

    /// Exchanges a code for a token, stores that before anything else, and goes on.
    pub(crate) async fn exchange(
        &self,
        mut signup: Signup,
        code: Code,
        cookie: &str,
    ) -> Result<(StatusCode, Signup), HandlerError> {
        let now = self.clients.clock.now();
        let hash = self.clients.key.item(["signup_code", signup.id.as_str(), code.text.expose_secret()]);
        if signup.code.as_ref() == Some(&hash) {
            // A double click: the first one is at work.
            let signup = Box::pin(self.walk(signup, self.until())).await?;
            return Ok((StatusCode::OK, signup));
        }
        if !signup.takes_codes(now) {
            return Ok((StatusCode::CONFLICT, signup));
        }
        (signup.browser, signup.code) = (Some(self.browser(cookie, &signup)), Some(hash));
        signup.codes += 1;
        (signup.fault, signup.session) = (None, None);
        (signup.claimed, signup.claimed_number) = (code.claimed, code.number);
        if let (Some(mode), None) = (code.mode, &signup.reconnects) {
            signup.asked = mode;
        }
        let administrator = code.user_id.as_ref().map(|id| self.clients.key.administrator(id));
        signup.administrator = administrator;
        // Who else has it now, has it: of two browsers one wins here.
        if !self.signups.lease(&mut signup).await? {
            let mine = signup.code.clone();
            let there = self.signups.get(&signup.id).await?.unwrap_or(signup);
            // A double click, if it has the same code.
            let status = if there.code == mine { StatusCode::ACCEPTED } else { StatusCode::CONFLICT };
            return Ok((status, there));
        }
        let fault = match self.token_of(&code.text, code.redirect.as_deref()).await {
            Ok(token) => match self.store(&signup, &token).await {
                Ok(()) => None,
                Err(error) => {
                    tracing::error!(%error, "a signup's token could not be stored, and is lost");
                    Some(SignupFault::CodeLost)
                }
            },
            Err(error) => {
                tracing::warn!(%error, "Meta gives no token for a code");
                let refused = error.code().is_some_and(|code| matches!(code, 100 | 36_007..=36_009));
                Some(if refused { SignupFault::Code } else { SignupFault::CodeLost })
            }
        };
        if let Some(fault) = fault {
            signup.reopen(fault, now);
            signup.leased_until = domain::Timestamp::default();
            self.signups.save(&mut signup).await?;
            return Ok((StatusCode::UNPROCESSABLE_ENTITY, signup));
        }
        signup.onboarded_at = Some(now);
        signup.done(SignupStep::Token, now);
        if !self.signups.save(&mut signup).await? {
            return Err(HandlerError::Busy(std::time::Duration::from_secs(1)));
        }
        tracing::info!(account = %signup.account, "a code came, and its token is stored");
        let signup = Box::pin(self.walk_leased(signup, self.until())).await?;
        Ok((StatusCode::ACCEPTED, signup))
    }

    async fn token_of(&self, code: &SecretString, redirect: Option<&str>) -> Result<SecretString, GraphError> {
        let app = self.access().await.map_err(|_| GraphError::NoAnswer { status: None, source: None })?;
        let mut tries = 1;
        loop {
            match self.clients.graph_api.exchange(&app, code, redirect).await {
                Err(error @ GraphError::Unreachable(_)) if tries < MAX_TRIES && was_not_taken(&error) => tries += 1,
                answered => return answered,
            }
        }
    }

    async fn store(&self, signup: &Signup, token: &SecretString) -> Result<(), platform::SecretError> {
        let (name, secret) = (self.signup_secret(signup), secret_of(token));
        let mut tries = 1;
        loop {
            match self.secrets.write(&name, &secret).await {
                Err(_) if tries < 3 => tries += 1,
                written => return written,
            }
        }
    }

    /// What the window told. A finish names accounts; a breaking-off says where.
    async fn event(
        &self,
        mut signup: Signup,
        event: &str,
        claimed: Vec<WabaId>,
        number: Option<PhoneNumberId>,
        step: Option<String>,
        session: Option<String>,
    ) -> Result<Response<Body>, HandlerError> {
        let ends = event.starts_with("CANCEL") || event.starts_with("ERROR");
        let word = |text: Option<String>| text.filter(|text| is_word(text));
        if ends {
            signup.session = word(session);
            tracing::info!(
                account = %signup.account, event = word(Some(event.to_owned())), step = word(step),
                session = signup.session, "Meta's dialog was broken off"
            );
            if signup.step == SignupStep::Open && signup.session.is_some() {
                self.signups.save(&mut signup).await?;
            }
        } else if matches!(signup.step, SignupStep::Open | SignupStep::Token) && signup.claimed.is_empty() {
            (signup.claimed, signup.claimed_number) = (claimed, number);
            (signup.tries, signup.next_at) = (0, domain::Timestamp::default());
            self.signups.save(&mut signup).await?;
        }
        let signup = Box::pin(self.walk(signup, self.until())).await?;
        self.tell(StatusCode::OK, &signup).await
    }

    /// The person answers what was asked.
    async fn hear(&self, mut signup: Signup, answer: Answer) -> Result<Signup, HandlerError> {
        let Some(need) = signup.need.clone().filter(|need| answer.is_to(need)) else { return Ok(signup) };
        if !self.signups.lease(&mut signup).await? {
            return Ok(self.signups.get(&signup.id).await?.unwrap_or(signup));
        }
        let mut walk = Walk::new(self, signup);
        let heard = Box::pin(walk.hear(need, answer)).await;
        walk.settle(heard).await?;
        Box::pin(self.walk_leased(walk.signup, self.until())).await
    }

    pub(crate) async fn tell(&self, status: StatusCode, signup: &Signup) -> Result<Response<Body>, HandlerError> {
        let past = match &signup.number {
            Some(number) if signup.wants_past() => self.clients.imports.progress(number).await?,
            _ => None,
        };
        let now = self.clients.clock.now();
        let mut told = told::tell(signup, past.as_ref(), now);
        let status = match (status, signup.fault) {
            (StatusCode::ACCEPTED, Some(SignupFault::Elsewhere)) => StatusCode::CONFLICT,
            (StatusCode::ACCEPTED, Some(_)) if signup.step == SignupStep::Open => StatusCode::UNPROCESSABLE_ENTITY,
            (StatusCode::ACCEPTED, _) if signup.step == SignupStep::Done || signup.need.is_some() => StatusCode::OK,
            (status, _) => status,
        };
        if status == StatusCode::CONFLICT && signup.fault != Some(SignupFault::Elsewhere) {
            told = json!({ "state": "used" });
        }
        Ok(answer::told(status, &told))
    }
}

/// What a person answers.
#[derive(Debug)]
pub(crate) struct Answer {
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
