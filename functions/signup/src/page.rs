//! Shows the page that leads the owner of a number to Meta's dialog and back. It loads nothing of Meta's before the box is ticked.

use domain::{Signup, channel::Mode};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde_json::{Map, Value, json};
use texts::{
    Locale,
    signup::{FAULTS, SignupText, changes, closed as why_closed, dialog_steps, fault, happens, steps},
};

use crate::{Handler, dialog::Dialog};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// What the page shows.
pub(crate) struct Shown<'a> {
    pub(crate) link: &'a str,
    pub(crate) signup: &'a Signup,
    pub(crate) nonce: &'a str,
    pub(crate) app_id: &'a str,
    pub(crate) dialog: &'a Dialog,
    pub(crate) locale: Locale,
    pub(crate) cancelled: bool,
    pub(crate) lost: bool,
}

/// Composes the page; its script is admitted by `nonce`.
pub(crate) fn compose(shown: &Shown<'_>, nonce: &str) -> String {
    let locale = shown.locale;
    let say = |text: SignupText| text.text(locale);
    let is_set_up = !shown.dialog.config_id.is_empty() && !shown.app_id.is_empty();
    let asks_which = shown.signup.reconnects.is_none();
    let body = html! {
        main {
            h1 { (say(SignupText::Title)) }
            p { (say(SignupText::Lead)) }
            noscript { p .fault { (say(SignupText::NoScript)) } }
            @if is_set_up {
                section #before {
                    h2 { (say(SignupText::Happens)) }
                    ol { @for line in happens(locale) { li { (line) } } }
                    h2 { (say(SignupText::Changes)) }
                    ul { @for line in changes(locale) { li { (line) } } }
                    form #begin {
                        @if asks_which {
                            fieldset {
                                legend { (say(SignupText::Which)) }
                                (choice("mode", "coexistence", say(SignupText::OnPhone), shown.signup.asked == Mode::Coexistence))
                                (choice("mode", "cloud", say(SignupText::NewNumber), shown.signup.asked == Mode::Cloud))
                            }
                        }
                        p { label { input #consent type="checkbox"; " " (say(SignupText::Consent)) } }
                        p { button #connect type="submit" disabled { (say(SignupText::Connect)) } }
                    }
                }
            } @else {
                p .fault { (say(SignupText::NotSetUp)) }
            }
            div #fault role="alert" tabindex="-1" {}
            p #help hidden {
                button #again type="button" { (say(SignupText::Again)) } " "
                button #without type="button" hidden { (say(SignupText::WithoutWindow)) }
            }
            (questions(locale))
            p #status role="status" {}
            section #progress hidden {
                h2 { (say(SignupText::Steps)) }
                p #number {}
                ol #steps {
                    @for (word, name) in steps(locale) {
                        li data-step=(word) { (name) ": " span { (say(SignupText::StepWaiting)) } }
                    }
                }
                p #past {}
            }
        }
        nav aria-label="Idioma / Language" {
            @let other = if locale == Locale::Es { "en" } else { "es" };
            a href={ "?lang=" (other) "&t=" (shown.link) } hreflang=(other) lang=(other) { (say(SignupText::Other)) }
        }
        script nonce=(nonce) { (PreEscaped(format!("const known = {};\n{SCRIPT}", inline(&known(shown))))) }
    };
    whole(say(SignupText::Title), locale, &body)
}

/// A page that says why a link leads nowhere.
pub(crate) fn closed(why: &str, locale: Locale) -> String {
    let (heading, words) = why_closed(why, locale);
    let body = html! { main { h1 { (heading) } p { (words) } } };
    whole(heading, locale, &body)
}

fn whole(title: &str, locale: Locale, body: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang=(locale.code()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="robots" content="noindex, nofollow";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { (body) }
        }
    };
    page.into_string()
}

/// What the person may have to say, each hidden until it is asked.
fn questions(locale: Locale) -> Markup {
    let say = |text: SignupText| text.text(locale);
    html! {
        form #need-choice hidden {
            fieldset { legend { (say(SignupText::Choose)) } div {} }
            p { button type="submit" { (say(SignupText::Answer)) } }
        }
        form #need-mode hidden {
            p { (say(SignupText::AskMode)) }
            p {
                button type="button" data-accept="true" { (say(SignupText::ModeYes)) } " "
                button type="button" data-accept="false" { (say(SignupText::ModeNo)) }
            }
        }
        form #need-verification hidden {
            p { (say(SignupText::AskVerification)) }
            p {
                button type="button" data-send="SMS" { (say(SignupText::Sms)) } " "
                button type="button" data-send="VOICE" { (say(SignupText::Voice)) }
            }
            p {
                label for="code" { (say(SignupText::CodeField)) } " "
                input #code inputmode="numeric" autocomplete="one-time-code" maxlength="12" required;
            }
            p { button type="submit" { (say(SignupText::Answer)) } }
        }
        form #need-pin hidden {
            p { (say(SignupText::AskPin)) }
            p #tries {}
            p {
                label for="pin" { (say(SignupText::PinField)) } " "
                input #pin inputmode="numeric" autocomplete="off" pattern="[0-9]{6}" maxlength="6" required;
            }
            p { button type="submit" { (say(SignupText::Answer)) } }
        }
    }
}

fn choice(name: &str, value: &str, words: &str, checked: bool) -> Markup {
    html! { p { label { input type="radio" name=(name) value=(value) checked[checked]; " " (words) } } }
}

/// What the script has to know.
fn known(shown: &Shown<'_>) -> Value {
    let named = |pairs: &[(&str, &str)]| -> Map<String, Value> {
        pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).into())).collect()
    };
    let texts: Map<String, Value> =
        SignupText::SCRIPT.iter().map(|(name, text)| ((*name).to_owned(), text.text(shown.locale).into())).collect();
    let faults: Map<String, Value> =
        FAULTS.iter().map(|(name, one)| ((*name).to_owned(), fault(*one, shown.locale).into())).collect();
    let closed: Map<String, Value> = ["forged", "expired", "revoked", "used", "codes", "cookie", "nonce", "unknown"]
        .map(|why| (why.to_owned(), why_closed(why, shown.locale).1.into()))
        .into_iter()
        .collect();
    let (signup, dialog) = (shown.signup, shown.dialog);
    let login = |mode: Mode| {
        json!({ "config_id": dialog.config_id, "response_type": "code", "override_default_response_type": true,
            "extras": dialog.extras(mode) })
    };
    // Meta sees this, so it is not the link.
    let state = format!("{}.{}", signup.id, shown.nonce);
    json!({
        "t": shown.link,
        "nonce": shown.nonce,
        "app_id": shown.app_id,
        "version": dialog.version,
        "sdk": dialog.script(shown.locale),
        "origins": dialog.origins,
        "login": { "coexistence": login(Mode::Coexistence), "cloud": login(Mode::Cloud) },
        "full_page": dialog.full_page(shown.app_id, &Handler::return_url(signup), &state),
        "asked": signup.asked,
        "reconnects": signup.reconnects.is_some(),
        "state": crate::told::tell(signup, None, signup.moved_at),
        "cancelled": shown.cancelled,
        "lost": shown.lost,
        "texts": texts,
        "faults": faults,
        "closed": closed,
        "dialog_steps": named(&dialog_steps(shown.locale)),
    })
}

/// JSON that may stand in a script of a page: no tag can end there.
fn inline(value: &Value) -> String {
    value.to_string().replace('<', "\\u003c").replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029")
}

#[cfg(test)]
mod tests {
    use domain::{AccountId, SignupId, Timestamp};

    use super::*;

    #[test]
    fn every_fault_is_known_by_the_word_of_the_answers() {
        for (word, one) in FAULTS {
            assert_eq!(serde_json::to_value(one).unwrap(), word);
        }
    }

    #[test]
    fn the_page_loads_nothing_by_itself_and_names_no_secret() {
        let dialog = Dialog {
            config_id: "42".to_owned(),
            extras: crate::Extras::default(),
            sdk_url: "https://connect.facebook.net/{locale}/sdk.js".to_owned(),
            url: "https://www.facebook.com/v25.0/dialog/oauth".parse().unwrap(),
            origins: Vec::new(),
            version: "v25.0".to_owned(),
        };
        let (id, now) = (SignupId::new("6f1d"), Timestamp::from_secs(1_795_190_400));
        let signup = Signup::new(id, AccountId(3), Mode::Coexistence, "https://api.example".to_owned(), now);
        for (locale, tag) in [(Locale::Es, "es_LA"), (Locale::En, "en_US")] {
            let shown = Shown {
                link: "a.b</script>",
                signup: &signup,
                nonce: "n",
                app_id: "1",
                dialog: &dialog,
                locale,
                cancelled: false,
                lost: false,
            };
            let page = compose(&shown, "drawn");
            assert!(page.contains(&format!("<html lang=\"{}\">", locale.code())));
            assert!(page.contains(&format!("https://connect.facebook.net/{tag}/sdk.js")), "known to the script");
            assert!(page.contains("state=6f1d.n") && !page.contains("state=a"), "Meta does not see the link");
            assert_eq!(page.matches("<script").count(), 1);
            assert_eq!(page.matches("</script>").count(), 1, "nothing ends the script before its end");
            assert!(!page.contains("<link") && !page.contains("<img") && !page.contains(" src="));
        }
    }
}
