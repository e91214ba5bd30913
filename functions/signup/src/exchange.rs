//! Exchanges a code for a token, which is stored before anything else is done.
//! A code is good for half a minute and once. Whatever else is written meanwhile, and wherever a worker dies: a token that is
//! stored is found again by its code.

use app::HandlerError;
use domain::{
    KeyedHash, PhoneNumberId, Signup, Timestamp, WabaId,
    channel::Mode,
    keyed_hash::WorkItem,
    signup::{Finish, MAX_CODES, SignupFault, SignupStep},
};
use lambda_http::http::StatusCode;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value};
use whatsapp::{GraphError, setup::AppAccess};

use crate::{
    Handler,
    steps::Walk,
    stop::{Stop, was_not_taken},
};

/// How often a code is given to Meta while certainly nothing arrived.
const MAX_TRIES: usize = 2;

/// How often a write is tried that others may cross.
const CONTENTION: usize = 8;

/// Graph's codes for an app id or an app secret that is not the app's.
const APP_REFUSED: [i64; 2] = [1, 101];

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
    pub(crate) finish: Option<Finish>,
}

/// What became of a code.
pub(crate) enum Exchanged {
    /// How far its signup is.
    Told(StatusCode, Box<Signup>),
    /// It was not taken; why.
    Closed(StatusCode, &'static str),
}

/// Whether a code is this worker's to exchange.
enum Taken {
    Mine(Box<Signup>),
    /// It came before.
    Known(Box<Signup>),
    Refused(Exchanged),
}

impl Handler {
    /// Exchanges a code for a token, stores that before anything else, and goes on.
    pub(crate) async fn exchange(
        &self,
        signup: Signup,
        code: Code,
        cookie: &str,
        until: Timestamp,
    ) -> Result<Exchanged, HandlerError> {
        let app = self.access().await?;
        let hash = self.clients.key.item(["signup_code", signup.id.as_str(), code.text.expose_secret()]);
        let mut signup = match self.take_code(signup, &code, &hash, cookie).await? {
            Taken::Mine(signup) => *signup,
            Taken::Known(signup) => {
                let signup = Box::pin(self.walk(*signup, until)).await?;
                return Ok(Exchanged::Told(StatusCode::ACCEPTED, Box::new(signup)));
            }
            Taken::Refused(exchanged) => return Ok(exchanged),
        };
        let fault = match self.token_of(&app, &code.text, code.redirect.as_deref()).await {
            Ok(token) => match self.store(&signup, &hash, &token).await {
                Ok(()) => None,
                Err(error) => {
                    tracing::error!(%error, "a signup's token could not be stored, and is lost");
                    Some(SignupFault::CodeLost)
                }
            },
            Err(error) => Some(refused(&error)),
        };
        if let Some(fault) = fault {
            let now = self.clients.clock.now();
            self.secrets.forget(&self.signup_secret(&signup)).await?;
            let reopened = |signup: &mut Signup| {
                signup.reopen(fault, now);
                signup.leased_until = Timestamp::default();
            };
            self.keep(&mut signup, &hash, reopened).await?;
            return Ok(Exchanged::Told(StatusCode::UNPROCESSABLE_ENTITY, Box::new(signup)));
        }
        let now = self.clients.clock.now();
        self.keep(&mut signup, &hash, |signup| signup.done(SignupStep::Token, now)).await?;
        tracing::info!(account = %signup.account, "a code came, and its token is stored");
        let signup = Box::pin(self.walk_leased(signup, until)).await?;
        Ok(Exchanged::Told(StatusCode::ACCEPTED, Box::new(signup)))
    }

    /// Writes down that a code is about to be exchanged, and takes the signup. What was written between the look and this is
    /// read again: a code that waits is a code that dies.
    async fn take_code(
        &self,
        mut signup: Signup,
        code: &Code,
        hash: &KeyedHash<WorkItem>,
        cookie: &str,
    ) -> Result<Taken, HandlerError> {
        let browser = self.browser(cookie, &signup);
        for _ in 0..CONTENTION {
            let now = self.clients.clock.now();
            if signup.code.as_ref() == Some(hash) {
                return Ok(Taken::Known(Box::new(signup)));
            }
            if let Some(refused) = refusal(&signup, &browser, now) {
                return Ok(Taken::Refused(refused));
            }
            let mut next = signup.clone();
            (next.browser, next.code) = (Some(browser.clone()), Some(hash.clone()));
            next.codes += 1;
            (next.fault, next.session) = (None, None);
            next.claimed.clone_from(&code.claimed);
            next.claimed_number.clone_from(&code.number);
            next.finish = code.finish;
            if let (Some(mode), None) = (code.mode, &signup.reconnects) {
                next.asked = mode;
            }
            next.administrator = code.user_id.as_ref().map(|id| self.clients.key.administrator(id));
            next.onboarded_at = Some(now);
            if self.signups.lease(&mut next).await? {
                return Ok(Taken::Mine(Box::new(next)));
            }
            let Some(there) = self.signups.get(&signup.id).await? else {
                return Ok(Taken::Refused(Exchanged::Closed(StatusCode::GONE, "unknown")));
            };
            signup = there;
        }
        Err(HandlerError::Busy(std::time::Duration::from_secs(1)))
    }

    /// Writes what became of a code, whatever was written beside it, as long as the code is the last one.
    async fn keep(
        &self,
        signup: &mut Signup,
        code: &KeyedHash<WorkItem>,
        change: impl Fn(&mut Signup),
    ) -> Result<(), HandlerError> {
        for _ in 0..CONTENTION {
            let mut next = signup.clone();
            change(&mut next);
            if self.signups.save(&mut next).await? {
                *signup = next;
                return Ok(());
            }
            match self.signups.get(&signup.id).await? {
                Some(there) if there.is_exchanging() && there.code.as_ref() == Some(code) => *signup = there,
                _ => break,
            }
        }
        Err(HandlerError::Busy(std::time::Duration::from_secs(1)))
    }

    async fn token_of(
        &self,
        app: &AppAccess,
        code: &SecretString,
        redirect: Option<&str>,
    ) -> Result<SecretString, GraphError> {
        let mut tries = 1;
        loop {
            match self.clients.graph_api.exchange(app, code, redirect).await {
                Err(error @ GraphError::Unreachable(_)) if tries < MAX_TRIES && was_not_taken(&error) => tries += 1,
                answered => return answered,
            }
        }
    }

    /// Stores a token beside what stands for its code: that finds it again.
    async fn store(
        &self,
        signup: &Signup,
        code: &KeyedHash<WorkItem>,
        token: &SecretString,
    ) -> Result<(), platform::SecretError> {
        let name = self.signup_secret(signup);
        let secret = Map::from_iter([
            ("access_token".to_owned(), token.expose_secret().into()),
            ("code".to_owned(), code.as_str().into()),
        ]);
        let mut tries = 1;
        loop {
            match self.secrets.write(&name, &secret).await {
                Err(_) if tries < 3 => tries += 1,
                written => return written,
            }
        }
    }
}

impl Walk<'_> {
    /// Finds out what became of a code whose worker died: its token is stored, or the code is lost.
    pub(crate) async fn take_up(&mut self) -> Result<(), Stop> {
        let stored = self.handler.secrets.read(&self.handler.signup_secret(&self.signup)).await?;
        let of = stored.as_ref().and_then(|stored| stored.get("code")).and_then(Value::as_str);
        if of.is_none() || of != self.signup.code.as_ref().map(KeyedHash::as_str) {
            return Err(Stop::Reopen(SignupFault::CodeLost));
        }
        tracing::warn!(account = %self.signup.account, "a token is found again whose worker died");
        self.done(SignupStep::Token);
        Ok(())
    }
}

/// Why a signup takes no code from a browser now.
fn refusal(signup: &Signup, browser: &KeyedHash<WorkItem>, now: Timestamp) -> Option<Exchanged> {
    let closed = |status, why| Some(Exchanged::Closed(status, why));
    if signup.browser.as_ref().is_some_and(|bound| bound != browser) {
        return closed(StatusCode::CONFLICT, "used");
    }
    // Another code is at work, or was: of that the page is told.
    if signup.step != SignupStep::Open || signup.leased_until > now {
        return Some(Exchanged::Told(StatusCode::CONFLICT, Box::new(signup.clone())));
    }
    match signup.takes_codes(now) {
        true => None,
        false if signup.revoked => closed(StatusCode::GONE, "revoked"),
        false if signup.codes >= MAX_CODES => closed(StatusCode::CONFLICT, "codes"),
        false => closed(StatusCode::GONE, "expired"),
    }
}

/// What a refusal of the code means.
fn refused(error: &GraphError) -> SignupFault {
    match error.code() {
        Some(code) if APP_REFUSED.contains(&code) => {
            tracing::error!(%error, page = "docs/runbook/signup.md", "Meta refuses the app's id or secret: no code can be exchanged");
            SignupFault::Setup
        }
        code => {
            tracing::warn!(%error, "Meta gives no token for a code");
            let is_refused = code.is_some_and(|code| matches!(code, 100 | 36_007..=36_009));
            if is_refused { SignupFault::Code } else { SignupFault::CodeLost }
        }
    }
}
