//! The simulated dialog of Meta's in a browser: what a page that opens it hears, and what it does not.

use std::sync::Arc;

use axum::{Router, response::Html, routing::get};
use domain::Timestamp;
use serde_json::{Value, json};
use simulator_meta::{Meta, Number, Settings, Statuses, prospect};
use simulator_wire::{Faults, MovableClock, Server};
use tokio::runtime::Runtime;

use crate::{
    browser::{Browser, CHECKER, browser, checker, skipped},
    support::{eventually, exchange},
};

const SECRET: &str = "app-secret";
const APP: &str = "100000000000001";

/// A page that opens the dialog and keeps what it hears.
const PAGE: &str = r#"<!doctype html><html lang="es"><title>Tienda</title><main><h1>Tienda</h1>
<button id="go">Conectar</button></main>
<script>
window.heard = []; window.answer = undefined;
addEventListener("message", event => heard.push({ origin: event.origin, data: event.data }));
window.fbAsyncInit = () => { FB.init({ appId: "100000000000001", version: "v25.0" }); window.ready = true; };
document.getElementById("go").onclick = () => FB.login(answer => { window.answer = answer; }, { config_id: "200000000000042",
  response_type: "code", override_default_response_type: true,
  extras: { setup: {}, featureType: "whatsapp_business_app_onboarding", sessionInfoVersion: "3" } });
</script><script src="SDK"></script></html>"#;

/// Meta, a page of another origin, and a browser that shows it.
struct DialogPage {
    meta: Meta,
    server: Server,
    browser: Browser,
    /// Both servers live as long as it does.
    _runtime: Runtime,
}

impl DialogPage {
    fn open(driver: &str, chromium: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (meta, server) = runtime.block_on(async {
            let number = Number {
                phone_number_id: "104857600123456".into(),
                waba_id: "109876543210987".into(),
                display_phone_number: "525555550100".into(),
                access_token: "token".into(),
                coexistence: true,
            };
            let meta = Meta::start(Settings {
                listen: ([127, 0, 0, 1], 0).into(),
                clock: Arc::new(MovableClock::frozen(Timestamp::from_secs(1_795_190_400))),
                app_secret: SECRET.into(),
                numbers: vec![number],
                statuses: Statuses::Automatic,
            });
            let meta = meta.await.unwrap();
            meta.set_app_id(APP);
            let html = PAGE.replace("SDK", &format!("{}/es_LA/sdk.js", meta.url()));
            let cut = html.clone();
            let router = Router::new()
                .route(
                    "/",
                    get(|| async { ([("cross-origin-opener-policy", "same-origin-allow-popups")], Html(html)) }),
                )
                .route("/cut", get(|| async { ([("cross-origin-opener-policy", "same-origin")], Html(cut)) }));
            (meta, Server::start(([127, 0, 0, 1], 0).into(), router, Faults::default()).await.unwrap())
        });
        Self { meta, server, browser: Browser::start(driver, chromium), _runtime: runtime }
    }

    /// Opens the page anew and the dialog from it; the page's window.
    fn dialog(&self, path: &str) -> String {
        let browser = &self.browser;
        browser.opens(&format!("{}{path}", self.server.url()));
        browser.waits("return window.ready === true");
        let own = browser.windows().remove(0);
        browser.click("#go");
        eventually("the dialog is open", || browser.windows().len() == 2);
        let other = browser.windows().into_iter().find(|window| *window != own).unwrap();
        browser.switches(&other);
        browser.waits("return !!$('#finish_coexistence')");
        own
    }

    /// Ends the dialog by a button, and gives what the page was called back with.
    fn ends(&self, own: &str, button: &str) -> Value {
        self.browser.clicks_and_closes(button);
        self.called_back(own)
    }

    fn called_back(&self, own: &str) -> Value {
        eventually("the window is closed", || self.browser.windows().len() == 1);
        self.browser.switches(own);
        self.browser.waits("return window.answer !== undefined");
        self.browser.says("return window.answer")
    }

    /// The session's events that the page heard, with their origins.
    fn events(&self) -> Vec<(String, Value)> {
        let heard = self.browser.says("return window.heard");
        let parsed = |data: &Value| match data {
            Value::String(text) => serde_json::from_str(text).ok(),
            object => Some(object.clone()),
        };
        let all = heard.as_array().unwrap().iter();
        let event = |one: &Value| Some((one["origin"].as_str()?.to_owned(), parsed(&one["data"])?));
        all.filter_map(event).filter(|(_, data)| data["type"] == "WA_EMBEDDED_SIGNUP").collect()
    }

    fn token(&self, code: &str) -> Value {
        let path = format!("/v25.0/oauth/access_token?client_id={APP}&client_secret={SECRET}&code={code}");
        exchange(&self.meta.url(), "GET", &path, &[], "").json()["access_token"].clone()
    }
}

#[test]
fn the_page_hears_of_each_outcome_as_of_metas() {
    let Some((driver, chromium)) = browser() else {
        return skipped("the_page_hears_of_each_outcome_as_of_metas", "chromium and chromedriver");
    };
    let page = DialogPage::open(&driver, &chromium);
    let (browser, meta) = (&page.browser, page.meta.url());

    let own = page.dialog("/");
    let answer = page.ends(&own, "#finish_coexistence");
    assert_eq!((&answer["status"], &answer["authResponse"]["userID"]), (&json!("unknown"), &Value::Null));
    assert!(page.token(answer["authResponse"]["code"].as_str().unwrap()).is_string());
    let told = json!({"data": {"waba_id": prospect::ACCOUNT}, "type": "WA_EMBEDDED_SIGNUP",
        "event": "FINISH_WHATSAPP_BUSINESS_APP_ONBOARDING", "version": 3});
    assert_eq!(page.events(), [(meta.clone(), told)]);
    let chatter = browser.says("return window.heard.filter(one => String(one.data).startsWith('cb=')).length");
    assert!(chatter.as_u64().unwrap() >= 2, "the SDK's own messages go the same way");

    let own = page.dialog("/");
    browser.says("$('#shape').value = 'object'; $('#order').value = 'code_first'");
    assert!(page.ends(&own, "#finish_cloud")["authResponse"]["code"].is_string());
    assert_eq!(page.events()[0].1["data"]["phone_number_id"], prospect::NUMBER);
    assert!(browser.says("return window.heard.some(one => typeof one.data === 'object')") == true);

    for (button, event, code) in [
        ("#code_only", None, true),
        ("#event_only", Some("FINISH_WHATSAPP_BUSINESS_APP_ONBOARDING"), false),
        ("#cancel_reported", Some("CANCEL"), false),
        ("#nothing", None, false),
        ("#closed", None, false),
    ] {
        let own = page.dialog("/");
        let answer = page.ends(&own, button);
        assert_eq!(answer["authResponse"]["code"].is_string(), code, "{button}");
        assert_eq!(page.events().first().map(|(_, event)| event["event"].clone()), event.map(Value::from), "{button}");
    }

    let own = page.dialog("/");
    assert!(page.ends(&own, "#forged_then_finish")["authResponse"]["code"].is_string());
    let origins: Vec<_> = page.events().into_iter().map(|(origin, _)| origin).collect();
    assert_eq!(origins, [meta.replace("127.0.0.1", "localhost"), meta.clone()]);

    // The person closes the window.
    let own = page.dialog("/");
    browser.closes();
    assert_eq!(page.called_back(&own), json!({"authResponse": null, "status": "unknown"}));
    assert_eq!(page.events(), []);
}

#[test]
fn a_page_that_cuts_its_openers_hears_nothing_and_a_blocked_window_calls_nobody_back() {
    let Some((driver, chromium)) = browser() else {
        return skipped(
            "a_page_that_cuts_its_openers_hears_nothing_and_a_blocked_window_calls_nobody_back",
            "chromium and chromedriver",
        );
    };
    let page = DialogPage::open(&driver, &chromium);
    let own = page.dialog("/cut");
    page.browser.clicks_and_closes("#finish_coexistence");
    page.browser.switches(&own);
    page.browser.waits("return window.answer !== undefined");
    assert_eq!(page.browser.says("return window.answer.authResponse"), Value::Null);
    assert_eq!(page.browser.says("return window.heard.length"), 0);

    let page = DialogPage { browser: Browser::blocking_windows(&driver, &chromium), ..page };
    page.browser.opens(&page.server.url());
    page.browser.waits("return window.ready === true");
    // Nobody clicked.
    page.browser
        .says("const open = window.open; window.open = (...how) => { window.opened = open(...how); return opened }");
    page.browser.says("setTimeout(() => { $('#go').onclick(); window.tried = true }, 0)");
    page.browser.waits("return window.tried === true");
    assert_eq!(page.browser.says("return window.opened"), Value::Null);
    let refuses = "try { FB.login(async () => {}, {}); return false } catch { return window.answer === undefined }";
    assert!(page.browser.says(refuses) == true, "the real one takes no async function either");
}

#[test]
fn the_dialog_is_accessible() {
    let Some(((driver, chromium), axe)) = checker() else { return skipped("the_dialog_is_accessible", CHECKER) };
    let page = DialogPage::open(&driver, &chromium);
    page.dialog("/");
    let found = page.browser.audits(&axe);
    assert_eq!(found["violations"], json!([]));
    // By the keyboard alone.
    page.browser.says("$('#cancel').focus()");
    let active = "return document.activeElement.id";
    assert_eq!(page.browser.says(active), "cancel");
}
