//! The owner of a number connects it while the bridge is on AWS as others understand it: secrets are made and rows written there.

use std::time::Duration;

use serde_json::{Value, json};
use simulator_meta::{Outcome, prospect};

use crate::{
    sides::Sides,
    support::{Runner, eventually_within, exchange},
};

/// The longest that all steps may take.
const MAX_WAIT: Duration = Duration::from_secs(180);

/// The browser, as far as it is needed: one cookie, and what the page told it.
struct Owner<'a> {
    base: &'a str,
    link: String,
    cookie: String,
    nonce: String,
}

impl<'a> Owner<'a> {
    fn opens(base: &'a str, url: &str) -> Self {
        let link = url.rsplit_once("t=").unwrap().1.to_owned();
        let page = exchange(base, "GET", &format!("/signup?t={link}"), &[], "");
        assert_eq!(page.status, 200, "{page:?}");
        let cookie = page.cookie().unwrap();
        let nonce = page.body.rsplit_once("\"nonce\":\"").unwrap().1.split('"').next().unwrap().to_owned();
        Self { base, link, cookie, nonce }
    }

    fn posts(&self, body: &Value) -> Value {
        let mut whole = json!({ "t": self.link, "nonce": self.nonce });
        whole.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        let headers = [("content-type", "application/json"), ("origin", self.base), ("cookie", self.cookie.as_str())];
        let answer = exchange(self.base, "POST", "/signup", &headers, &whole.to_string());
        assert!(answer.status < 500, "{answer:?}");
        answer.json()
    }
}

/// Every step, and the token in a secret of its own.
pub(crate) async fn a_number_is_connected(sides: &Sides, runner: &Runner) {
    let link = runner.post("/_local/signup", "{}");
    assert_eq!(link.status, 200, "{link:?}");
    let owner = Owner::opens(runner.said("ready"), link.json()["url"].as_str().unwrap());
    let done = sides.meta.signs_up(Outcome::FinishCoexistence).await.unwrap();
    owner.posts(&json!({ "code": done.code, "waba_id": prospect::ACCOUNT }));
    // On a slow emulator a step is cut off once, and taken up when its lease is over.
    eventually_within(MAX_WAIT, "every step", || {
        let told = owner.posts(&json!({ "status": true }));
        assert_ne!(told["state"], "failed", "{told}");
        told["state"] == "done"
    });
    let name = format!("{}/channel/{}", runner.said("table").trim_end_matches("-bridge"), prospect::NUMBER);
    let secret = runner.aws("secretsmanager.GetSecretValue", &json!({ "SecretId": name }));
    assert_eq!(secret.status, 200, "{secret:?}");
    let secret = secret.json();
    let secret: Value = serde_json::from_str(secret["SecretString"].as_str().unwrap()).unwrap();
    assert!(secret["access_token"].is_string() && secret["callback_secret"].is_string(), "a secret with its members");
    assert_eq!(sides.meta.syncs(prospect::NUMBER).len(), 2, "contacts and history are asked for once");
}
