//! The page in a true browser: a person types as the customer and as the agent, and sends a file each way.

use std::{
    env, fs,
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, Command, Stdio},
};

use base64::Engine as _;
use serde_json::{Value, json};

use crate::support::{Runner, eventually, exchange};

/// A browser driven through the `WebDriver` protocol.
struct Browser {
    driver: Child,
    base: String,
    session: String,
    _profile: tempfile::TempDir,
}

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

/// Takes the picture of the page that stands in the README.
#[test]
#[ignore = "writes docs/page.png: cargo test -p local --test runner -- --ignored picture"]
fn the_picture_of_the_page() {
    let (driver, chromium) = browser().unwrap();
    let runner = Runner::start(&[]);
    let browser = Browser::start(&driver, &chromium);
    browser.post("/url", &json!({ "url": runner.said("ready") }));
    browser.click("summary");
    browser.types("#newcomer input[name=name]", "Ana");
    browser.types("#newcomer input[name=wa_id]", "5215555550123");
    browser.submits("#newcomer");
    browser.click("summary");
    let writes = |text: &str| {
        browser.types("#customer-text", text);
        browser.submits("#customer-writes");
        eventually(text, || browser.text("#desk").contains(text));
    };
    let answers = |text: &str, seen: &str| {
        browser.types("#agent-text", text);
        browser.submits("#agent-writes");
        eventually(seen, || browser.text("#desk").contains(seen));
    };
    writes("Hola, ¿la 250Z roja sigue disponible?");
    answers("Sí, Ana. Se la aparto hasta el sábado.", "✓✓");
    let folder = tempfile::tempdir().unwrap();
    let receipt = folder.path().join("recibo de apartado.pdf");
    fs::write(&receipt, b"%PDF-1.4 invented").unwrap();
    browser.types("#customer-writes input[type=file]", receipt.to_str().unwrap());
    eventually("the file", || browser.text("#desk").contains("recibo de apartado.pdf"));
    writes("¿Hasta qué hora puedo pasar?");
    browser.click("#private");
    answers("/estado", "Ventana");
    browser.click("#private");
    answers("Hasta las siete, con gusto.", "Hasta las siete");
    eventually("the answer on the phone", || browser.text("#phone").contains("Hasta las siete"));
    browser.click("#read");
    let read = json!({ "script": "return document.querySelectorAll('#desk .ticks.read').length > 1", "args": [] });
    eventually("blue ticks", || browser.post("/execute/sync", &read) == true);
    browser.picture(1280, 860, concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/page.png"));
}

/// The page that a person who asked to be forgotten reads, in both languages, in all shades, past a checker of accessibility.
#[test]
fn the_status_page_passes_an_accessibility_check() {
    let axe = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/axe/node_modules/axe-core/axe.min.js");
    let Some(((driver, chromium), axe)) = browser().zip(fs::read_to_string(axe).ok()) else {
        let needed = "chromium, chromedriver and axe-core (npm install --prefix target/axe axe-core@4.14.1)";
        return skipped("the_status_page_passes_an_accessibility_check", needed);
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

/// The driver and the browser, if both are here.
fn browser() -> Option<(String, String)> {
    find("chromedriver").zip(find("chromium").or_else(|| find("google-chrome")))
}

#[expect(clippy::disallowed_methods, reason = "CI decides whether a test may be skipped")]
fn skipped(test: &str, needed: &str) {
    assert!(env::var("CI").as_deref() != Ok("true"), "CI needs {needed}");
    // Not through the test harness, which would swallow it.
    let mut terminal = std::io::stderr();
    writeln!(terminal, "\nSKIPPED: {test} needs {needed}\n").unwrap();
}

fn find(name: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "the search path is the machine's")]
    let path = env::var("PATH").unwrap_or_default();
    env::split_paths(&path).map(|folder| folder.join(name)).find(|path| path.is_file())?.to_str().map(str::to_owned)
}

/// A driver that listens, what it says, and where. It looks for a port before it takes it, and two that start at once may find the
/// same; the later one ends and is started anew.
fn drive(program: &str) -> (Child, impl Iterator<Item = std::io::Result<String>> + Send + use<>, String) {
    for _ in 0..5 {
        let mut driver =
            Command::new(program).arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let said =
            lines.find_map(|line| line.unwrap().split_once("successfully on port ").map(|(_, port)| port.to_owned()));
        if let Some(port) = said {
            return (driver, lines, port.trim_end_matches('.').to_owned());
        }
        driver.wait().unwrap();
    }
    panic!("no driver starts");
}

impl Browser {
    fn start(driver: &str, chromium: &str) -> Self {
        let profile = tempfile::tempdir().unwrap();
        let (driver, lines, port) = drive(driver);
        // The driver stops when nobody reads what it says.
        std::thread::spawn(move || lines.for_each(drop));
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--window-size=1300,900",
            &format!("--user-data-dir={}", profile.path().display()),
        ];
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "goog:chromeOptions": { "binary": chromium, "args": arguments },
        } } });
        let base = format!("http://127.0.0.1:{port}");
        let answer = exchange(&base, "POST", "/session", &[("content-type", "application/json")], &wanted.to_string());
        assert_eq!(answer.status, 200, "{answer:?}");
        let session = answer.json()["value"]["sessionId"].as_str().unwrap().to_owned();
        Self { driver, base, session, _profile: profile }
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        let path = format!("/session/{}{path}", self.session);
        let answer = exchange(&self.base, "POST", &path, &[("content-type", "application/json")], &body.to_string());
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer.json()["value"].clone()
    }

    fn element(&self, selector: &str) -> String {
        let found = self.post("/element", &json!({ "using": "css selector", "value": selector }));
        found.as_object().unwrap().values().next().unwrap().as_str().unwrap().to_owned()
    }

    fn click(&self, selector: &str) {
        let element = self.element(selector);
        self.post(&format!("/element/{element}/click"), &json!({}));
    }

    fn types(&self, selector: &str, text: &str) {
        let element = self.element(selector);
        self.post(&format!("/element/{element}/value"), &json!({ "text": text }));
    }

    fn submits(&self, form: &str) {
        self.click(&format!("{form} button:not([type])"));
    }

    fn is(&self, selector: &str, property: &str) -> bool {
        let script = "return document.querySelector(arguments[0])[arguments[1]]";
        self.post("/execute/sync", &json!({ "script": script, "args": [selector, property] })) == true
    }

    /// The colors the person prefers.
    fn shade(&self, shade: &str) {
        let feature = json!([{ "name": "prefers-color-scheme", "value": shade }]);
        let command = json!({ "cmd": "Emulation.setEmulatedMedia", "params": { "features": feature } });
        self.post("/goog/cdp/execute", &command);
    }

    /// Writes what the page looks like in a window of this size.
    fn picture(&self, width: u32, height: u32, file: &str) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        for (command, parameters) in
            [("Emulation.setDeviceMetricsOverride", size), ("Page.captureScreenshot", json!({ "format": "png" }))]
        {
            let answer = self.post("/goog/cdp/execute", &json!({ "cmd": command, "params": parameters }));
            if let Some(png) = answer["data"].as_str() {
                fs::write(file, base64::engine::general_purpose::STANDARD.decode(png).unwrap()).unwrap();
            }
        }
    }

    /// The rules that the page breaks, with where, and the names of those it keeps.
    fn audits(&self, axe: &str) -> Value {
        self.post("/execute/sync", &json!({ "script": axe, "args": [] }));
        let script = "const done = arguments[0]; axe.run().then(found => done({
            violations: found.violations.map(rule => [rule.id, rule.nodes.map(node => node.html)]),
            passes: found.passes.map(rule => rule.id) }))";
        self.post("/execute/async", &json!({ "script": script, "args": [] }))
    }

    fn text(&self, selector: &str) -> String {
        let script = "return document.querySelector(arguments[0]).innerText";
        self.post("/execute/sync", &json!({ "script": script, "args": [selector] }))
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let path = format!("/session/{}", self.session);
        let _ = std::panic::catch_unwind(|| exchange(&self.base, "DELETE", &path, &[], ""));
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
