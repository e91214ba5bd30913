//! The page in a true browser: a person types as the customer and as the agent, and sends a file each way.

use std::fs;

use serde_json::json;

use crate::{
    browser::{Browser, CHECKER, browser, checker, skipped},
    support::{Runner, eventually, exchange},
};

#[test]
fn two_people_talk_through_the_page() {
    let Some((driver, chromium)) = browser() else {
        return skipped("two_people_talk_through_the_page", "chromium and chromedriver");
    };
    let runner = Runner::start(&[]);
    let browser = Browser::start(&driver, &chromium);
    browser.post("/url", &json!({ "url": runner.said("ready") }));

    browser.click("summary");
    browser.types("#newcomer input[name=name]", "Ana");
    browser.types("#newcomer input[name=wa_id]", "5215555550123");
    browser.submits("#newcomer");
    eventually("the new customer", || browser.text("#customer").contains("Ana"));

    browser.types("#customer-text", "Hola, ¿la tienen en rojo?");
    browser.submits("#customer-writes");
    eventually("the customer's words at the agent's", || browser.text("#desk").contains("Hola, ¿la tienen en rojo?"));

    browser.types("#agent-text", "Sí, se la aparto.");
    browser.submits("#agent-writes");
    eventually("the agent's words on the phone", || browser.text("#phone").contains("Sí, se la aparto."));
    eventually("both ticks", || browser.text("#desk").contains("✓✓"));

    let folder = tempfile::tempdir().unwrap();
    for (form, name, there) in
        [("#customer-writes", "recibo de Ana.pdf", "#desk"), ("#agent-writes", "cotización.pdf", "#phone")]
    {
        let path = folder.path().join(name);
        fs::write(&path, b"%PDF-1.4 invented").unwrap();
        browser.types(&format!("{form} input[type=file]"), path.to_str().unwrap());
        browser.submits(form);
        eventually(name, || browser.text(there).contains(name));
    }

    // With the window over, nothing but a template goes; the page knows it from the attributes of the inbox alone.
    let base = runner.said("ready");
    let template = json!({"name": "moto_lista", "language": "es_MX", "status": "APPROVED", "category": "UTILITY",
        "components": [{"type": "BODY", "text": "Hola {{1}}, su {{2}} ya está lista en el taller."}]});
    let attributes = json!({"agent_reply_time_window": 24, "agent_reply_time_window_message": "Use una plantilla",
        "message_templates": [template]});
    let json = [("content-type", "application/json")];
    let inbox = "/_local/chatwoot/inboxes/1/attributes";
    assert_eq!(exchange(base, "PUT", inbox, &json, &attributes.to_string()).status, 204);
    browser.click("[data-advance='86400']");
    eventually("the closed window", || browser.is("#agent-text", "disabled"));
    browser.click("#templates summary");
    browser.click("#template option[value='moto_lista es_MX']");
    browser.types("#template [data-key='1']", "Ana");
    browser.types("#template [data-key='2']", "250Z");
    assert_eq!(browser.text("#template .preview"), "Hola Ana, su 250Z ya está lista en el taller.");
    browser.submits("#template");
    eventually("the template at the agent's", || browser.text("#desk").contains("Hola Ana, su 250Z"));
}

/// The page that a person who asked to be forgotten reads, in both languages, in all shades, past a checker of accessibility.
#[test]
fn the_status_page_passes_an_accessibility_check() {
    let Some(((driver, chromium), axe)) = checker() else {
        return skipped("the_status_page_passes_an_accessibility_check", CHECKER);
    };
    let runner = Runner::start(&[]);
    let asked = runner.post("/_local/deletion", r#"{"phone":"+5215555550123"}"#);
    let page = format!("{}/deletion/{}", runner.said("ready"), asked.json()["code"].as_str().unwrap());
    let browser = Browser::start(&driver, &chromium);
    for (language, heading) in [("es", "solicitud"), ("en", "request")] {
        browser.post("/url", &json!({ "url": format!("{page}?lang={language}") }));
        assert!(browser.text("main").to_lowercase().contains(heading), "{}", browser.text("main"));
        for shade in ["light", "dark"] {
            browser.shade(shade);
            // The page forbids scripts; the driver's own are not the page's.
            let found = browser.audits(&axe);
            assert_eq!(found["violations"], json!([]), "{language} {shade}");
            // Of what was looked at, contrast must be among what was seen to be right.
            let passes = found["passes"].as_array().unwrap();
            assert!(passes.iter().any(|rule| rule == "color-contrast"), "{passes:?}");
        }
    }
}
