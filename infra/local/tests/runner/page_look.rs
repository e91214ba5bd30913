//! What the page looks like: marks as each side draws them, buttons that can be tapped, files that play, both languages, a phone's
//! width, and everything past a checker of accessibility.

use serde_json::{Value, json};

use crate::{
    browser::{Browser, CHECKER, browser, checker, skipped},
    support::{Runner, eventually, exchange},
};

const ANA: &str = "5215550001234";
/// A second of silence, as a phone records it.
const VOICE: &str = "T2dnUwACAAAAAAAAAAAHAAAAAAAAAIELNS8BE09wdXNIZWFkAQE4AYC7AAAAAABPZ2dTAAAAAAAAAAAAAAcAAAABAAAAXtQU\
                     cgERT3B1c1RhZ3MBAAAAeAAAAABPZ2dTAAQA4QAAAAAAAAcAAAACAAAAzEBKTDwDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMD\
                     AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwP4//74//74//74//74//74//74//74//74//74//74//74//74\
                     //74//74//74//74//74//74//74//74//74//74//74//74//74//74//74//74//74//74//74//74//74//74//74//74\
                     //74//74//74//74//74//74//74//74//74//74//74//74//74//74//74//74//74//74//74//74//74//74//74//4=";
/// Makes a picture of a motorcycle, and sends it and the voice note as the customer.
const SENDS: &str = "const done = arguments[2], canvas = Object.assign(document.createElement('canvas'), { width: 640, height: 360 });
    const pen = canvas.getContext('2d'), sky = pen.createLinearGradient(0, 0, 0, 360), wheel = (x, y, r) => { pen.beginPath();
    pen.arc(x, y, r, 0, 7); pen.stroke(); }; sky.addColorStop(0, '#9fd3ff'); sky.addColorStop(.7, '#ffe7c2'); sky.addColorStop(.7, '#6b7a74');
    sky.addColorStop(1, '#4c5a53'); pen.fillStyle = sky; pen.fillRect(0, 0, 640, 360); pen.lineWidth = 16; pen.strokeStyle = '#1b1b1f';
    wheel(200, 250, 62); wheel(450, 250, 62); pen.lineWidth = 6; pen.strokeStyle = '#b9c2c7'; wheel(200, 250, 40); wheel(450, 250, 40);
    pen.fillStyle = '#c81e2b'; pen.beginPath(); pen.moveTo(190, 170); pen.lineTo(330, 160); pen.quadraticCurveTo(400, 120, 440, 165);
    pen.lineTo(400, 225); pen.lineTo(270, 232); pen.closePath(); pen.fill(); pen.strokeStyle = '#2b2f33'; pen.lineWidth = 14; pen.beginPath();
    pen.moveTo(450, 250); pen.lineTo(415, 120); pen.lineTo(375, 112); pen.moveTo(200, 250); pen.lineTo(320, 235); pen.stroke();
    const send = (kind, name, file) => fetch(`/_local/meta/customers/${arguments[0]}/file?kind=${kind}&mime=${file.type}&name=${name}`,
    { method: 'POST', headers: { 'content-type': file.type }, body: file });
    canvas.toBlob(async picture => { await send('image', 'moto.png', picture);
    await send('voice', 'nota.ogg', new Blob([Uint8Array.from(atob(arguments[1]), c => c.charCodeAt(0))], { type: 'audio/ogg' })); done(true); });";

/// What a module of the page makes of a text.
fn drawn(browser: &Browser, module: &str, text: &str) -> String {
    let script = "const done = arguments[2]; import(`/_local/page/${arguments[0]}.js`)
        .then(made => done(made[arguments[0]](arguments[1]).innerHTML), error => done(String(error)))";
    let answer = browser.post("/execute/async", &json!({ "script": script, "args": [module, text] }));
    answer.as_str().unwrap().to_owned()
}

#[test]
fn marks_look_as_on_the_side_that_shows_them() {
    let Some((driver, chromium)) = browser() else {
        return skipped("marks_look_as_on_the_side_that_shows_them", "chromium and chromedriver");
    };
    let runner = Runner::start(&[]);
    let browser = Browser::start(&driver, &chromium);
    browser.opens(runner.said("ready"));
    let leads = |to: &str, text: &str| {
        format!(r#"<a href="{to}" target="_blank" rel="noreferrer noopener nofollow">{text}</a>"#)
    };
    let said = leads("https://a.mx/b_c_d?e=1", "https://a.mx/b_c_d?e=1");
    for (text, expected) in [
        ("**Ventana**: abierta", "<p><strong>Ventana</strong>: abierta</p>"),
        ("*a* _b_ ~~c~~ `d`\ne", "<p><em>a</em> <em>b</em> <s>c</s> <code>d</code><br>e</p>"),
        ("***a** b* snake_case_name", "<p><em><strong>a</strong> b</em> snake_case_name</p>"),
        ("- a\n- b\n  1. c", "<ul><li>a</li><li>b<ol><li>c</li></ol></li></ul>"),
        ("> a\n> b", "<blockquote><p>a<br>b</p></blockquote>"),
        ("# a\n\n```\n<b>\n```", "<h1>a</h1><pre><code>&lt;b&gt;\n</code></pre>"),
        ("<img src=x onerror=alert(1)> &amp; <b>", "<p>&lt;img src=x onerror=alert(1)&gt; &amp; &lt;b&gt;</p>"),
        ("[a](javascript:alert(1)) [b](data:text/html,x)", "<p>[a](javascript:alert(1)) [b](data:text/html,x)</p>"),
        ("[a](../b.md)", "<p>a</p>"),
        ("[@Ana](mention://user/1/Ana) mire", r#"<p><span class="mention">@Ana</span> mire</p>"#),
        ("https://a.mx/b_c_d?e=1.", &format!("<p>{said}.</p>")),
        (
            "[a](https://b.mx) ana@b.mx",
            &format!("<p>{} {}</p>", leads("https://b.mx", "a"), leads("mailto:ana@b.mx", "ana@b.mx")),
        ),
        (r#""hola" -- \*no\*"#, "<p>“hola” – *no*</p>"),
        (
            "|a|b|\n|-|-|\n|1|2|",
            "<table><thead><tr><th>a</th><th>b</th></tr></thead><tbody><tr><td>1</td><td>2</td></tr></tbody></table>",
        ),
    ] {
        assert_eq!(drawn(&browser, "markdown", text), expected, "{text}");
    }
    for (text, expected) in [
        ("*a* _b_ ~c~ `d` ```e```", "<p><strong>a</strong> <em>b</em> <s>c</s> <code>d</code> <samp>e</samp></p>"),
        ("*_a_* 2*3*4 * a* *a *", "<p><strong><em>a</em></strong> 2*3*4 * a* *a *</p>"),
        ("*a\nb*\n\nc", "<p>*a<br>b*<br><br>c</p>"),
        ("```a\nb```", "<pre><code>a\nb</code></pre>"),
        (
            "- a\n* b\n1. c\n2. d\n> e",
            "<ul><li>a</li><li>b</li></ul><ol><li>c</li><li>d</li></ol><blockquote>e</blockquote>",
        ),
        (
            "**a** __b__ [c](https://d.mx)",
            &format!("<p>**a** __b__ [c]({})</p>", leads("https://d.mx", "https://d.mx")),
        ),
        ("<b>a</b> &amp;", "<p>&lt;b&gt;a&lt;/b&gt; &amp;amp;</p>"),
    ] {
        assert_eq!(drawn(&browser, "whatsapp", text), expected, "{text}");
    }
    // Whatever is written, the page ends with it.
    for text in ["[".repeat(4_000), "*a ".repeat(3_000), "> ".repeat(2_000), "- ".repeat(2_000), "`".repeat(4_000)] {
        drawn(&browser, "markdown", &text);
        drawn(&browser, "whatsapp", &text);
    }
}

/// Everything that a chat can show: marks, a list, buttons, a template, a place, a card, a reaction, a picture, a voice note.
fn fill(runner: &Runner, browser: &Browser) {
    let (base, json_type) = (runner.said("ready"), [("content-type", "application/json")]);
    let meta = |path: &str, body: &Value| {
        let path = format!("/_local/meta/customers/{ANA}/{path}");
        let answer = exchange(base, "POST", &path, &json_type, &body.to_string());
        assert_eq!(answer.status, 200, "{path} {answer:?}");
        answer.json()["wamid"].as_str().unwrap_or_default().to_owned()
    };
    exchange(
        base,
        "POST",
        "/_local/meta/customers",
        &json_type,
        &json!({ "name": "Ana López", "wa_id": ANA }).to_string(),
    );
    let first = meta("text", &json!({ "text": "Hola, ¿la *250Z roja* sigue disponible?" }));
    meta(
        "message",
        &json!({ "type": "location", "location": { "latitude": 19.4, "longitude": -99.1, "name": "Taller", "address": "Av. 1" } }),
    );
    let card = json!([{ "name": { "formatted_name": "Berta Díaz" }, "phones": [{ "phone": "+525555550199" }] }]);
    meta("message", &json!({ "type": "contacts", "contacts": card }));
    browser.opens(base);
    assert_eq!(browser.post("/execute/async", &json!({ "script": SENDS, "args": [ANA, VOICE] })), true);
    meta("message", &json!({ "type": "reaction", "reaction": { "message_id": first, "emoji": "❤️" } }));
}

fn conversation(runner: &Runner) -> i64 {
    let found = || runner.get("/_local/chatwoot/conversations").json()[0]["id"].as_i64();
    eventually("a conversation", || found().is_some());
    found().unwrap()
}

#[test]
fn a_customer_taps_buttons_and_rows() {
    let Some((driver, chromium)) = browser() else {
        return skipped("a_customer_taps_buttons_and_rows", "chromium and chromedriver");
    };
    let runner = Runner::start(&[]);
    let browser = Browser::start(&driver, &chromium);
    fill(&runner, &browser);
    let id = conversation(&runner);
    let reply = |body: Value| {
        let answer = runner.post(&format!("/_local/chatwoot/conversations/{id}/reply"), &body.to_string());
        assert_eq!(answer.status, 200, "{answer:?}");
    };
    let items =
        |titles: &[&str]| titles.iter().map(|title| json!({ "title": title, "value": title })).collect::<Vec<_>>();
    reply(json!({ "text": "¿Se la apartamos?", "content_type": "input_select", "items": items(&["Sí", "No"]) }));
    browser.waits("return $$('#phone .buttons > button').length === 2");
    browser.click("#phone .buttons > button");
    browser.waits(
        "return $('#phone .buttons > button')?.disabled && $$('#desk li').some(one => one.innerText.includes('Sí'))",
    );

    reply(
        json!({ "text": "¿Qué color?", "content_type": "input_select", "items": items(&["Rojo", "Azul", "Negro", "Verde"]) }),
    );
    browser.waits("return Boolean($('#phone .rows'))");
    browser.click("#phone .rows summary");
    browser.click("#phone .rows button:nth-of-type(3)");
    browser.waits("return $$('#desk li').some(one => one.innerText.includes('Negro'))");

    // A reaction stands at its message, and is no message.
    browser.waits("return $('#phone li.own .reactions')?.innerText.includes('❤️')");
    assert_eq!(browser.says("return $('#phone .reactions').parentElement.innerText.includes('250Z')"), true);
    assert_eq!(browser.says("return $('#phone li.own strong').innerText"), "250Z roja");
    browser.waits("return $('#phone .card a')?.href.includes('mlat=19.4') && $('#phone .card .line')?.getAttribute('href') === 'tel:+525555550199'");
    for side in ["phone", "desk"] {
        browser.waits(&format!("return Boolean($('#{side} img') && $('#{side} audio[controls]'))"));
        browser.waits(&format!("return $('#{side} img')?.naturalWidth === 640"));
        let plays = format!(
            "const done = arguments[0], note = document.querySelector('#{side} audio'); note.muted = true; note.play().then(() => done(note.duration > 1 && !note.paused), error => done(String(error)))"
        );
        assert_eq!(browser.post("/execute/async", &json!({ "script": plays, "args": [] })), true, "{side}");
    }

    let template = json!({ "name": "promo_modelo", "category": "MARKETING", "language": "es_MX",
        "processed_params": { "body": { "nombre": "Ana", "modelo": "250Z" } } });
    reply(json!({ "text": "Ana, esta semana la 250Z tiene precio especial.", "template_params": template }));
    browser.waits("return $('#phone .footer')?.innerText === 'Escriba BAJA para no recibir promociones'");
    let tapped =
        "return $$('#phone .buttons > button').map(one => one.innerText).some(one => one.includes('Sí, cuénteme'))";
    assert_eq!(browser.says(tapped), true);

    // A message of the bridge to the agents reads as Chatwoot would draw it.
    reply(json!({ "text": "/estado", "private": true }));
    browser.waits("return $$('#desk .note strong').some(one => one.innerText === 'Ventana')");
}

#[test]
fn the_page_passes_an_accessibility_check_everywhere() {
    let Some(((driver, chromium), axe)) = checker() else {
        return skipped("the_page_passes_an_accessibility_check_everywhere", CHECKER);
    };
    let runner = Runner::start(&[]);
    let browser = Browser::start(&driver, &chromium);
    fill(&runner, &browser);
    let id = conversation(&runner);
    let items = json!([{ "title": "Sí", "value": "1" }, { "title": "No", "value": "2" }]);
    for body in [
        json!({ "text": "**Claro**, mire https://lmotos.example", "content_type": "input_select", "items": items }),
        json!({ "text": "/estado", "private": true }),
    ] {
        runner.post(&format!("/_local/chatwoot/conversations/{id}/reply"), &body.to_string());
    }
    runner.post("/_local/deletion", r#"{"phone":"+5215559990000"}"#);
    let checked = |place: &str| {
        let found = browser.audits(&axe);
        assert_eq!(found["violations"], json!([]), "{place}");
        assert!(found["passes"].as_array().unwrap().iter().any(|rule| rule == "color-contrast"), "{place}");
    };
    for (language, written) in [("es", "Enviar"), ("en", "Send")] {
        for (width, height) in [(1280, 860), (360, 740)] {
            browser.sized(width, height);
            browser.opens(&format!("{}?lang={language}", runner.said("ready")));
            browser.waits("return $$('#phone li').length > 4 && $$('#desk .note strong').length > 0");
            browser.waits("return $$('#phone .buttons > button').length === 2");
            assert_eq!(browser.says("return $('#customer-writes .send').innerText"), written);
            assert_eq!(browser.says("return document.documentElement.lang"), language);
            for shade in ["light", "dark"] {
                browser.shade(shade);
                let place = format!("{language} {width} {shade}");
                for side in ["phone", "desk"] {
                    browser.says(&format!("$('[data-show={side}]').click()"));
                    checked(&format!("{place} {side}"));
                    assert_eq!(
                        browser.says("return document.documentElement.scrollWidth <= innerWidth"),
                        true,
                        "{place} {side}"
                    );
                }
                browser.says("$('#tab-operation').click()");
                browser.waits("return $$('#operation .panel').length === 5 && $$('#operation tr').length > 8");
                checked(&format!("{place} operation"));
                assert_eq!(
                    browser.says("return document.documentElement.scrollWidth <= innerWidth"),
                    true,
                    "{place} operation"
                );
                browser.says("$('#operation .alarms details').open = true; $('#operation .alarms button').click()");
                browser.waits("return Boolean($('dialog h1'))");
                checked(&format!("{place} runbook"));
                browser.says("$('dialog button').click(); $('#tab-chats').click()");
            }
        }
    }
}

#[test]
fn the_language_changes_without_a_new_look_and_stays() {
    let Some((driver, chromium)) = browser() else {
        return skipped("the_language_changes_without_a_new_look_and_stays", "chromium and chromedriver");
    };
    let runner = Runner::start(&[]);
    let browser = Browser::start(&driver, &chromium);
    fill(&runner, &browser);
    browser.waits("return $$('#phone li').length > 4");
    // Every text has both languages.
    let script = "const done = arguments[0]; import('/_local/page/texts.js').then(({ TEXTS }) => { const keys = of => JSON.stringify(
        Object.entries(of).map(([key, value]) => [key, typeof value, typeof value === 'object' ? Object.keys(value) : null]));
        done(keys(TEXTS.es) === keys(TEXTS.en)); })";
    assert_eq!(browser.post("/execute/async", &json!({ "script": script, "args": [] })), true);
    browser.click("[data-lang=en]");
    browser.waits(
        "return $('#phone .meta button')?.innerText === 'Reply' && $('#reconcile').innerText === 'Reconcile now'",
    );
    assert_eq!(browser.says("return new URL(location).searchParams.get('lang')"), "en");
    // An error of the page, and one of a simulator, in both languages.
    for (language, expected) in [("en", "nobody here has this number"), ("es", "Nadie aquí tiene este número")] {
        browser.click(&format!("[data-lang={language}]"));
        let script = "const done = arguments[0]; import('/_local/page/shared.js').then(({ call }) =>
            call('/_local/meta/customers/1/text', { text: 'x' }).catch(error => done(error.message)))";
        assert_eq!(browser.post("/execute/async", &json!({ "script": script, "args": [] })), expected);
    }
    runner.kill();
    browser.waits("return $('#notice').innerText.includes('El servidor local no responde')");
}

#[test]
fn a_keyboard_alone_is_enough() {
    let Some((driver, chromium)) = browser() else {
        return skipped("a_keyboard_alone_is_enough", "chromium and chromedriver");
    };
    let runner = Runner::start(&[]);
    let browser = Browser::start(&driver, &chromium);
    browser.opens(runner.said("ready"));
    browser.waits("return !$('#customer-text').disabled");
    let (tab, enter, right) = ("\u{e004}", "\u{e007}", "\u{e014}");
    let presses = |keys: &str| {
        let actions: Vec<Value> = keys
            .chars()
            .flat_map(|key| ["keyDown", "keyUp"].map(|kind| json!({ "type": kind, "value": key.to_string() })))
            .collect();
        browser.post("/actions", &json!({ "actions": [{ "type": "key", "id": "keys", "actions": actions }] }));
    };
    browser.says("$('#customer-text').focus()");
    presses(&format!("Hola{enter}"));
    browser.waits("return $('#desk').innerText.includes('Hola')");
    // The list of messages is reached, and each button in it.
    browser.says("$('#phone').focus()");
    presses(tab);
    browser.waits("return document.activeElement.innerText === 'Responder'");
    presses(enter);
    browser.waits("return !$('#customer-writes .quoting').hidden && document.activeElement === $('#customer-text')");
    browser.says("$('#tab-chats').focus()");
    presses(right);
    browser.waits(
        "return !$('#operation').hidden && document.activeElement === $('#tab-operation') && $$('.panel').length === 5",
    );
    // Focus survives that the view is drawn anew.
    browser.says("$('.alarms details').open = true; $('[data-focus=alarm-DifferenceAlarm]').focus()");
    runner.post(&format!("/_local/meta/customers/{ANA}/text"), r#"{"text":"otra"}"#);
    browser.waits("return $('.balance tbody').innerText.includes('2') && document.activeElement.dataset.focus === 'alarm-DifferenceAlarm'");
}

/// Takes the pictures of the page that stand in the README and in docs/local.md.
#[test]
#[ignore = "writes docs/page.png and docs/operation.png: cargo test -p local --test runner -- --ignored picture"]
fn the_picture_of_the_page() {
    let (driver, chromium) = browser().unwrap();
    let runner = Runner::start(&[]);
    let browser = Browser::start(&driver, &chromium);
    let (base, json_type) = (runner.said("ready"), [("content-type", "application/json")]);
    let customer = |path: &str, body: &Value| {
        exchange(base, "POST", &format!("/_local/meta/customers{path}"), &json_type, &body.to_string())
    };
    customer("", &json!({ "name": "Ana López", "wa_id": ANA }));
    browser.opens(base);
    let says = |text: &str| {
        customer(&format!("/{ANA}/text"), &json!({ "text": text }));
        browser.waits(&format!("return $$('#desk li').some(one => one.innerText.includes('{text}'))"));
    };
    says("Hola, ¿la 250Z roja sigue disponible?");
    let id = conversation(&runner);
    let replies = |body: &Value, seen: &str| {
        exchange(base, "POST", &format!("/_local/chatwoot/conversations/{id}/reply"), &json_type, &body.to_string());
        browser.waits(&format!("return $$('#phone li').some(one => one.innerText.includes('{seen}'))"));
    };
    replies(&json!({ "text": "Sí, Ana. Se la aparto **hasta el sábado**." }), "hasta el sábado");
    assert_eq!(browser.post("/execute/async", &json!({ "script": SENDS, "args": [ANA, VOICE] })), true);
    browser.waits("return Boolean($('#desk img') && $('#desk audio'))");
    let items = json!([{ "title": "Sí, el sábado", "value": "1" }, { "title": "Otro día", "value": "2" }]);
    replies(
        &json!({ "text": "¡Qué bonita! ¿Pasa el sábado?", "content_type": "input_select", "items": items }),
        "Otro día",
    );
    exchange(
        base,
        "POST",
        &format!("/_local/chatwoot/conversations/{id}/reply"),
        &json_type,
        r#"{"text":"/estado","private":true}"#,
    );
    browser.waits("return $$('#desk .note strong').length > 0");
    browser.click("#phone .buttons > button");
    browser.waits("return $$('#desk li').some(one => one.innerText.startsWith('Sí, el sábado'))");
    customer(&format!("/{ANA}/read"), &json!({}));
    browser.waits("return $$('#desk .ticks.read').length > 1");
    let docs = |name: &str| format!("{}/../../docs/{name}.png", env!("CARGO_MANIFEST_DIR"));
    browser.sized(1280, 860);
    browser.says("$$('.chat').forEach(one => { one.scrollTop = one.scrollHeight; })");
    browser.picture(1280, 860, &docs("page"));
    runner.post("/_local/deletion", r#"{"phone":"+5215559990000"}"#);
    browser.click("#tab-operation");
    browser.waits("return $$('.erasures tbody tr').length === 1");
    browser.picture(1280, 1180, &docs("operation"));
}
