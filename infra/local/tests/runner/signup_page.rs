//! The owner of a number connects it in a browser: link, consent, Meta's window, and every step on the page.

use serde_json::json;

use crate::{
    browser::{Browser, CHECKER, checker, skipped},
    support::{Runner, eventually},
};

const BREAKS_NOTHING: &str = "no rule of accessibility is broken";

#[test]
fn an_owner_connects_a_number_in_a_browser() {
    let Some(((driver, chromium), axe)) = checker() else {
        return skipped("an_owner_connects_a_number_in_a_browser", CHECKER);
    };
    let runner = Runner::start(&[]);
    let link = runner.post("/_local/signup", "{}").json();
    let browser = Browser::start(&driver, &chromium);
    browser.opens(link["url"].as_str().unwrap());
    assert_eq!(browser.audits(&axe)["violations"], json!([]), "{BREAKS_NOTHING}");
    assert!(browser.is("#connect", "disabled"), "nothing of Meta's is loaded before the owner agrees");
    assert_eq!(browser.says("return typeof window.FB"), json!("undefined"));

    browser.click("#consent");
    browser.waits("return !document.getElementById('connect').disabled");
    let own = browser.windows().remove(0);
    browser.click("#connect");
    eventually("Meta's window is open", || browser.windows().len() == 2);
    let other = browser.windows().into_iter().find(|window| *window != own).unwrap();
    browser.switches(&other);
    browser.waits("return !!document.querySelector('#finish_coexistence')");
    browser.clicks_and_closes("#finish_coexistence");
    eventually("Meta's window is closed", || browser.windows().len() == 1);
    browser.switches(&own);
    browser.waits("return document.getElementById('progress').hidden === false");
    browser.waits("return document.getElementById('status').textContent.startsWith(known.texts.done)");
    assert_eq!(browser.audits(&axe)["violations"], json!([]), "{BREAKS_NOTHING}");

    // The link is good once, and in that browser.
    let other = Browser::start(&driver, &chromium);
    other.opens(link["url"].as_str().unwrap());
    assert!(other.says("return !document.getElementById('consent')").as_bool().unwrap(), "{}", other.text("main"));
}
