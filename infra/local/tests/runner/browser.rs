//! A browser that tests drive through the `WebDriver` protocol, and the checker of accessibility in it.

use std::{
    env, fs,
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, Command, Stdio},
};

use base64::Engine as _;
use serde_json::{Value, json};

use crate::support::{Answer, eventually, exchange};

/// A browser driven through the `WebDriver` protocol.
pub(crate) struct Browser {
    driver: Child,
    base: String,
    session: String,
    _profile: tempfile::TempDir,
}

/// The driver and the browser, if both are here.
pub(crate) fn browser() -> Option<(String, String)> {
    find("chromedriver").zip(find("chromium").or_else(|| find("google-chrome")))
}

/// The same, and the checker of accessibility.
pub(crate) fn checker() -> Option<((String, String), String)> {
    let axe = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/axe/node_modules/axe-core/axe.min.js");
    browser().zip(fs::read_to_string(axe).ok())
}

/// What a check of accessibility needs.
pub(crate) const CHECKER: &str =
    "chromium, chromedriver and axe-core (npm install --prefix target/axe axe-core@4.14.1)";

#[expect(clippy::disallowed_methods, reason = "CI decides whether a test may be skipped")]
pub(crate) fn skipped(test: &str, needed: &str) {
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
    pub(crate) fn start(driver: &str, chromium: &str) -> Self {
        Self::launch(driver, chromium, &json!({}))
    }

    /// The same for a person whose browser blocks windows that nobody clicked for; drivers let them through otherwise.
    pub(crate) fn blocking_windows(driver: &str, chromium: &str) -> Self {
        Self::launch(driver, chromium, &json!({ "excludeSwitches": ["disable-popup-blocking"] }))
    }

    fn launch(driver: &str, chromium: &str, options: &Value) -> Self {
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
        let mut options = options.clone();
        options["binary"] = chromium.into();
        options["args"] = json!(arguments);
        let wanted = json!({ "capabilities": { "alwaysMatch": { "goog:chromeOptions": options } } });
        let base = format!("http://127.0.0.1:{port}");
        let answer = exchange(&base, "POST", "/session", &[("content-type", "application/json")], &wanted.to_string());
        assert_eq!(answer.status, 200, "{answer:?}");
        let session = answer.json()["value"]["sessionId"].as_str().unwrap().to_owned();
        Self { driver, base, session, _profile: profile }
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Value {
        let answer = self.posted(path, body);
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer.json()["value"].clone()
    }

    fn posted(&self, path: &str, body: &Value) -> Answer {
        let path = format!("/session/{}{path}", self.session);
        exchange(&self.base, "POST", &path, &[("content-type", "application/json")], &body.to_string())
    }

    fn element(&self, selector: &str) -> String {
        let found = self.post("/element", &json!({ "using": "css selector", "value": selector }));
        found.as_object().unwrap().values().next().unwrap().as_str().unwrap().to_owned()
    }

    pub(crate) fn click(&self, selector: &str) {
        let element = self.element(selector);
        self.post(&format!("/element/{element}/click"), &json!({}));
    }

    /// Clicks on what closes the window. The driver may find it gone while it still waits for the page to settle.
    pub(crate) fn clicks_and_closes(&self, selector: &str) {
        let element = self.element(selector);
        let answer = self.posted(&format!("/element/{element}/click"), &json!({}));
        let is_gone = ["detached", "no such window"].iter().any(|words| answer.body.contains(words));
        assert!(answer.status == 200 || is_gone, "{selector}: {answer:?}");
    }

    pub(crate) fn types(&self, selector: &str, text: &str) {
        let element = self.element(selector);
        self.post(&format!("/element/{element}/value"), &json!({ "text": text }));
    }

    pub(crate) fn submits(&self, form: &str) {
        self.click(&format!("{form} button:not([type])"));
    }

    pub(crate) fn is(&self, selector: &str, property: &str) -> bool {
        let script = "return document.querySelector(arguments[0])[arguments[1]]";
        self.post("/execute/sync", &json!({ "script": script, "args": [selector, property] })) == true
    }

    /// The colors the person prefers.
    pub(crate) fn shade(&self, shade: &str) {
        let feature = json!([{ "name": "prefers-color-scheme", "value": shade }]);
        let command = json!({ "cmd": "Emulation.setEmulatedMedia", "params": { "features": feature } });
        self.post("/goog/cdp/execute", &command);
    }

    /// How large the window is.
    pub(crate) fn sized(&self, width: u32, height: u32) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.post("/goog/cdp/execute", &json!({ "cmd": "Emulation.setDeviceMetricsOverride", "params": size }));
    }

    /// What a script answers. It may use `$` and `$$`.
    pub(crate) fn says(&self, script: &str) -> Value {
        let known = "const $ = one => document.querySelector(one), $$ = one => [...document.querySelectorAll(one)]; ";
        self.post("/execute/sync", &json!({ "script": format!("{known}{script}"), "args": [] }))
    }

    /// Waits for a script to answer true.
    pub(crate) fn waits(&self, script: &str) {
        eventually(script, || self.says(script) == true);
    }

    /// The windows that are open, the first one first.
    pub(crate) fn windows(&self) -> Vec<String> {
        let path = format!("/session/{}/window/handles", self.session);
        let answer = exchange(&self.base, "GET", &path, &[], "");
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        let handles = answer.json()["value"].as_array().unwrap().clone();
        handles.iter().map(|handle| handle.as_str().unwrap().to_owned()).collect()
    }

    /// From now on everything is done in this window.
    pub(crate) fn switches(&self, window: &str) {
        self.post("/window", &json!({ "handle": window }));
    }

    /// Closes the window in which everything is done; another one has to be named then.
    pub(crate) fn closes(&self) {
        let path = format!("/session/{}/window", self.session);
        let answer = exchange(&self.base, "DELETE", &path, &[], "");
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
    }

    pub(crate) fn opens(&self, url: &str) {
        self.post("/url", &json!({ "url": url }));
    }

    /// Writes what the page looks like in a window of this size.
    pub(crate) fn picture(&self, width: u32, height: u32, file: &str) {
        self.sized(width, height);
        let command = json!({ "cmd": "Page.captureScreenshot", "params": { "format": "png" } });
        let answer = self.post("/goog/cdp/execute", &command);
        let png = answer["data"].as_str().unwrap();
        fs::write(file, base64::engine::general_purpose::STANDARD.decode(png).unwrap()).unwrap();
    }

    /// The rules that the page breaks, with where, and the names of those it keeps.
    pub(crate) fn audits(&self, axe: &str) -> Value {
        self.post("/execute/sync", &json!({ "script": axe, "args": [] }));
        let script = "const done = arguments[0]; axe.run().then(found => done({
            violations: found.violations.map(rule => [rule.id, rule.nodes.map(node => node.html)]),
            passes: found.passes.map(rule => rule.id) }))";
        self.post("/execute/async", &json!({ "script": script, "args": [] }))
    }

    pub(crate) fn text(&self, selector: &str) -> String {
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
