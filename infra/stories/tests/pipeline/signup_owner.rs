//! The owner of a number, with a browser: opens a link, goes through Meta's dialog, answers what the page asks.

use std::{cell::RefCell, time::Duration};

use domain::{AccountId, Channel, Clock as _, PhoneNumberId, Signup, SignupId, channel::Mode};
use serde_json::{Value, json};
use signup::Link;
use simulator_meta::{Outcome, SignedUp};
use store::{Channels, Signups};
use stories::{ACCOUNT, World};

use crate::{fixtures::table, open_chat::exchange};

/// What signs the links, as in `world.toml`.
const LINK_KEY: &str = "link-key-of-the-stories";

/// The number of the dealer whom nobody knows yet.
pub(crate) const NUMBER: &str = simulator_meta::prospect::NUMBER;

/// Somebody with a link and a browser.
pub(crate) struct Owner<'w> {
    pub(crate) world: &'w World,
    pub(crate) id: SignupId,
    pub(crate) link: String,
    cookie: RefCell<Option<String>>,
    nonce: RefCell<String>,
}

pub(crate) fn signups(world: &World) -> Signups {
    Signups::new(table(world))
}

/// A link as `ops signup link` makes it.
pub(crate) async fn link(world: &World, change: impl FnOnce(&mut Signup)) -> (SignupId, String) {
    let now = world.clock.now();
    let mut signup = Signup::new(SignupId::mint(), AccountId(ACCOUNT), Mode::Coexistence, world.url(), now);
    change(&mut signup);
    signups(world).create(&signup).await.unwrap();
    (signup.id.clone(), Link::to(&signup).sign(&LINK_KEY.into()))
}

pub(crate) async fn channel(world: &World, number: &str) -> Option<Channel> {
    let found = Channels::new(table(world)).look_again(&PhoneNumberId::new(number)).await.unwrap();
    found.map(|channel| (*channel).clone())
}

/// How many inboxes were made.
pub(crate) fn inboxes_made(world: &World) -> usize {
    let requests = world.chatwoot.requests();
    let made = requests.iter().filter(|call| call.method == "POST" && call.path.ends_with("/inboxes"));
    made.filter(|call| call.status == 200).count()
}

impl<'w> Owner<'w> {
    /// Has a link to a number that stays on its phone.
    pub(crate) async fn new(world: &'w World) -> Self {
        Self::with(world, |_| ()).await
    }

    /// Has a link like this.
    pub(crate) async fn with(world: &'w World, change: impl FnOnce(&mut Signup)) -> Self {
        let (id, link) = link(world, change).await;
        Self { world, id, link, cookie: RefCell::default(), nonce: RefCell::default() }
    }

    /// The same link in another browser.
    pub(crate) fn elsewhere(&self) -> Self {
        let (id, link) = (self.id.clone(), self.link.clone());
        Self { world: self.world, id, link, cookie: RefCell::default(), nonce: RefCell::default() }
    }

    /// Opens the link: status, head, page.
    pub(crate) async fn opens(&self) -> (u16, String, String) {
        let path = format!("/signup?t={}", self.link);
        let cookie = self.cookie.borrow().clone().unwrap_or_default();
        let (status, head, page) = exchange("GET", &self.world.url(), &path, &[("cookie", &cookie)], b"").await;
        let set = head.lines().find_map(|line| line.strip_prefix("set-cookie: "));
        if let Some(set) = set {
            *self.cookie.borrow_mut() = set.split(';').next().map(str::to_owned);
        }
        if let Some((_, rest)) = page.rsplit_once("\"nonce\":\"") {
            rest.split('"').next().unwrap().clone_into(&mut self.nonce.borrow_mut());
        }
        (status, head, page)
    }

    /// Posts what the page would.
    pub(crate) async fn posts(&self, body: &Value) -> (u16, Value) {
        let origin = self.world.url();
        self.posts_from(&origin, body).await
    }

    /// The same from another page.
    pub(crate) async fn posts_from(&self, origin: &str, body: &Value) -> (u16, Value) {
        let mut whole = json!({ "t": self.link, "nonce": *self.nonce.borrow() });
        whole.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        let cookie = self.cookie.borrow().clone().unwrap_or_default();
        let headers = [("content-type", "application/json"), ("origin", origin), ("cookie", cookie.as_str())];
        let (status, _, text) =
            exchange("POST", &self.world.url(), "/signup", &headers, whole.to_string().as_bytes()).await;
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// What the page posts after the dialog.
    pub(crate) fn body(done: &SignedUp) -> Value {
        let mut body = json!({ "code": done.code });
        if let Some(event) = done.events.last() {
            body["event"] = event["event"].clone();
            for name in ["waba_id", "waba_ids", "phone_number_id"] {
                if !event["data"][name].is_null() {
                    body[name] = event["data"][name].clone();
                }
            }
        }
        body
    }

    /// Goes through the dialog, and posts what comes of it.
    pub(crate) async fn signs_up(&self, outcome: Outcome) -> (u16, Value) {
        let done = self.world.meta.signs_up(outcome).await.unwrap();
        self.posts(&Self::body(&done)).await
    }

    /// Comes back from the full-page dialog with a code.
    pub(crate) async fn comes_back(&self, code: &str) -> (u16, String, String) {
        let cookie = self.cookie.borrow().clone().unwrap_or_default();
        let path = format!("/signup/return?code={code}&state={}.{}", self.id, self.nonce.borrow());
        exchange("GET", &self.world.url(), &path, &[("cookie", &cookie)], b"").await
    }

    /// What the page asks every two seconds.
    pub(crate) async fn asks(&self) -> Value {
        self.posts(&json!({ "status": true })).await.1
    }

    /// Asks until nothing moves any more, for at most so long.
    pub(crate) async fn waits(&self, time: Duration) -> Value {
        let mut left = time;
        loop {
            let told = self.asks().await;
            if told["state"] != "working" || left.is_zero() {
                return told;
            }
            let step = Duration::from_secs(2).min(left);
            self.world.pass(step);
            left -= step;
        }
    }

    /// The signup as it is stored.
    pub(crate) async fn row(&self) -> Signup {
        signups(self.world).get(&self.id).await.unwrap().unwrap()
    }
}

/// The states of the steps, by their words.
pub(crate) fn steps(told: &Value) -> Vec<String> {
    let steps = told["steps"].as_array().into_iter().flatten();
    steps.map(|step| format!("{} {}", step["step"].as_str().unwrap(), step["state"].as_str().unwrap())).collect()
}
