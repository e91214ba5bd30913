//! The operation view: what it asks of the runner, and what it shows of it.

use serde_json::json;

use crate::{
    browser::{Browser, CHECKER, browser, checker, skipped},
    support::{Runner, eventually},
};

const ANA: &str = "5215550001234";

fn meets_ana(runner: &Runner) {
    runner.post("/_local/meta/customers", &json!({ "name": "Ana López", "wa_id": ANA }).to_string());
    assert_eq!(runner.post(&format!("/_local/meta/customers/{ANA}/text"), r#"{"text":"Hola"}"#).status, 200);
    eventually("an end of the work", || {
        runner.living().is_empty()
            && !runner.get("/_local/chatwoot/conversations").json().as_array().unwrap().is_empty()
    });
}

fn poison(runner: &Runner) {
    let dead = runner.said("queues").split(' ').find(|name| name.contains("inbound-dead")).unwrap();
    let url = format!("{}/000000000000/{dead}", runner.said("aws"));
    let message = json!({ "QueueUrl": url, "MessageBody": "{}", "MessageGroupId": "g", "MessageDeduplicationId": "1" });
    assert_eq!(runner.aws("AmazonSQS.SendMessage", &message).status, 200);
}

#[test]
fn what_went_through_is_counted_at_every_step() {
    let runner = Runner::start(&[]);
    meets_ana(&runner);
    let step = |name: &str| {
        let flow = runner.get("/_local/flow").json();
        flow["functions"].as_array().unwrap().iter().find(|step| step["name"] == name).unwrap().clone()
    };
    for name in ["webhook", "forward"] {
        eventually(name, || step(name)["taken"] == 1 && step(name)["done"] == 1);
    }
    assert_eq!(step("send")["taken"], 0);
    // What the functions print as metrics goes through the runner.
    eventually("the metrics", || {
        step("webhook")["metrics"]["Received"]["sum"] == 1 && step("forward")["metrics"]["Forwarded"]["sum"] == 1
    });
    assert_eq!(step("forward")["queues"].as_array().unwrap().len(), 1);
    assert!(step("webhook")["routes"].as_array().unwrap().contains(&json!("POST /webhooks/meta")));
    assert!(step("reconcile")["every_seconds"].as_u64().is_some_and(|seconds| seconds > 0));
}

#[test]
fn erasures_are_listed_with_their_clock_and_nothing_personal() {
    let runner = Runner::start(&[]);
    assert_eq!(runner.get("/_local/erasures").json(), json!({ "erasures": [] }));
    meets_ana(&runner);
    let code = runner.post("/_local/deletion", &json!({ "phone": ANA }).to_string()).json()["code"].clone();
    let listed = || runner.get("/_local/erasures");
    let open = listed().json()["erasures"][0].clone();
    assert_eq!((&open["code"], &open["source"], &open["breached"]), (&code, &json!("operator"), &json!(false)));
    assert_eq!(open["due_at"].as_i64().unwrap() - open["asked_at"].as_i64().unwrap(), 30 * 86_400);
    for personal in [ANA, &ANA[3..], "Ana"] {
        assert!(!listed().body.contains(personal), "{}", listed().body);
    }
    let page = open["page"].as_str().unwrap().strip_prefix(runner.said("ready")).unwrap().to_owned();
    assert_eq!(runner.get(&page).status, 200);
    eventually("its end", || {
        runner.advance(3_600);
        runner.post("/_local/run/retention", "");
        listed().json()["erasures"][0]["state"] == "done"
    });
    let ended = listed().json()["erasures"][0].clone();
    assert!(ended["ended_at"].as_i64() >= ended["asked_at"].as_i64() && ended["days_left"] == 0, "{ended}");
}

#[test]
fn an_alarm_fires_and_leads_to_its_page() {
    let runner = Runner::start(&[]);
    let state = |name: &str| {
        let told = runner.get("/_local/alarms").json();
        told["alarms"].as_array().unwrap().iter().find(|alarm| alarm["name"] == name).unwrap().clone()
    };
    let told = runner.get("/_local/alarms").json();
    for alarm in told["alarms"].as_array().unwrap() {
        assert!(alarm["state"] == "ok" || alarm["state"] == "unknown", "{alarm}");
        let page = runner.get(&format!("/_local/docs/runbook/{}", alarm["page"].as_str().unwrap()));
        assert!(page.status == 200 && page.body.starts_with("# "), "{alarm}");
    }
    assert_eq!(told["channels"][0]["state"], "live");
    for outside in ["../README.md", "..%2FREADME.md", "none.md", "README"] {
        assert_eq!(runner.get(&format!("/_local/docs/runbook/{outside}")).status, 404, "{outside}");
    }
    assert_eq!(state("ReconcileSilentAlarm")["state"], "unknown");
    poison(&runner);
    // As in CloudWatch, a minute has a value when it is over.
    runner.advance(60);
    assert_eq!(state("InboundDeadLettersAlarm")["state"], "alarm");
    assert_eq!(state("DifferenceAlarm")["state"], "ok");
    assert_eq!(state("InboundDeadLettersAlarm")["page"], "dead-letters.md");
}

#[test]
fn beside_real_sides_the_operation_is_shown_alone() {
    let Some(((driver, chromium), axe)) = checker() else {
        return skipped("beside_real_sides_the_operation_is_shown_alone", CHECKER);
    };
    let runner = Runner::start(&["--meta-url", "https://graph.example.com", "--chatwoot-url", "http://127.0.0.1:10"]);
    let browser = Browser::start(&driver, &chromium);
    for language in ["es", "en"] {
        for width in [1280, 360] {
            browser.sized(width, 800);
            browser.opens(&format!("{}?lang={language}", runner.said("control")));
            browser.waits("return $$('.panel').length === 5 && !$('#chats')");
            for shade in ["light", "dark"] {
                browser.shade(shade);
                assert_eq!(browser.audits(&axe)["violations"], json!([]), "{language} {width} {shade}");
            }
            assert_eq!(browser.says("return document.documentElement.scrollWidth <= innerWidth"), true);
        }
    }
}

#[test]
fn the_view_shows_what_happens_as_it_happens() {
    let Some((driver, chromium)) = browser() else {
        return skipped("the_view_shows_what_happens_as_it_happens", "chromium and chromedriver");
    };
    let runner = Runner::start(&[]);
    let browser = Browser::start(&driver, &chromium);
    browser.opens(&format!("{}#operation", runner.said("ready")));
    browser.waits("return $('.summary')?.innerText === 'Todo en orden' && $('#alarmed').hidden");
    meets_ana(&runner);
    browser.waits("return $$('.lane .step').filter(one => one.innerText.includes('Received 1')).length === 1");
    browser.waits(
        "return $('.balance tbody tr')?.cells[2].innerText === '1' && $('.balance tbody tr').cells[7].innerText === '0'",
    );
    poison(&runner);
    browser.waits("return Boolean($('.queues tr.bad'))");
    browser.click("[data-advance='3600']");
    browser.waits(
        "return $('.alarms li')?.innerText.includes('Hay tareas apartadas') && $('#alarmed').innerText === '1 alarma'",
    );
    runner.post("/_local/deletion", &json!({ "phone": "+5215559990000" }).to_string());
    browser.waits(
        "return $$('.erasures tbody tr').length === 1 && $('.erasures tbody').innerText.includes('el operador')",
    );
    browser.click(".alarms li button");
    browser.waits("return Boolean($('dialog[open] h1')) && !$('dialog').innerText.includes('**')");
}
