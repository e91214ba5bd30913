//! The doors of an erasure: an agent's label, the customer's own words, a contact that was deleted, and Meta.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::{Clock as _, HashKey};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use stories::{CHANNEL, World};

use crate::{
    erasure::{done, is_done, items, operator_asks, state},
    fixtures::{HOUR, MINUTE, ana, ana_wrote, goes_by, post_all_again},
    open_chat::call,
};

const DAY: Duration = Duration::from_secs(86_400);

/// The code in the last line an agent or the customer reads.
pub(crate) fn code_in(text: &str) -> String {
    text.rsplit(' ').next().unwrap().trim_end_matches([' ', '✓']).to_owned()
}

/// From now on the inbox posts its callbacks to where nobody listens, or to the bridge again.
fn callbacks_get_lost(world: &World, lost: bool) {
    let base = if lost { "http://127.0.0.1:9".to_owned() } else { world.url() };
    world.chatwoot.set_callback_url(14, &format!("{base}/callbacks/chatwoot/{CHANNEL}"));
}

#[tokio::test]
async fn an_agent_s_label_asks_waits_a_day_and_erases() {
    let world = World::start().await.unwrap();
    let (_, conversation) = ana_wrote(&world).await;
    let agent = world.chatwoot.agent("Sofía");
    agent.labels(conversation, &["borrar-datos"]).await;
    world.work().await.unwrap();
    let note = world.agent_reads("Ana").pop().unwrap();
    assert!(
        note.starts_with("note: 🗑️ Se pidió borrar los datos de esta persona. El borrado empieza en 24 h"),
        "{note}"
    );
    let code = code_in(&note);
    assert_eq!(state(&world, &code).await, json!({ "state": "received", "days_left": 30 }));
    // Another label says nothing new.
    agent.labels(conversation, &["borrar-datos", "vip"]).await;
    goes_by(&world, 23 * HOUR, 4 * HOUR).await;
    let said = world.agent_reads("Ana").into_iter().filter(|line| !line.starts_with("system:")).count();
    assert_eq!((state(&world, &code).await["state"].clone(), said), (json!("received"), 2));
    goes_by(&world, 2 * HOUR, HOUR).await;
    done(&world, &code).await;
    assert!(world.conversation("Ana").is_err());
}

#[tokio::test]
async fn a_label_taken_away_in_time_erases_nothing_even_if_the_word_of_it_is_lost() {
    let world = World::start().await.unwrap();
    let (_, conversation) = ana_wrote(&world).await;
    let agent = world.chatwoot.agent("Sofía");
    for lost in [false, true] {
        agent.labels(conversation, &["borrar-datos"]).await;
        world.work().await.unwrap();
        let code = code_in(&world.agent_reads("Ana").pop().unwrap());
        world.later(HOUR).await.unwrap();
        if lost {
            callbacks_get_lost(&world, true);
        }
        agent.labels(conversation, &[]).await;
        world.work().await.unwrap();
        callbacks_get_lost(&world, false);
        if !lost {
            assert_eq!(
                world.agent_reads("Ana").pop().unwrap(),
                "note: ↩️ Se quitó la etiqueta a tiempo: no se borrará nada."
            );
            // A request that was withdrawn is as if it had never been made.
            assert_eq!(state(&world, &code).await, json!(404));
        }
        goes_by(&world, 2 * DAY, 12 * HOUR).await;
        assert_eq!(state(&world, &code).await, json!(404));
        assert!(world.conversation("Ana").is_ok());
    }
}

#[tokio::test]
async fn the_operator_s_word_does_not_wait_for_a_label_s_day() {
    let world = World::start().await.unwrap();
    let (_, conversation) = ana_wrote(&world).await;
    let agent = world.chatwoot.agent("Sofía");
    agent.labels(conversation, &["borrar-datos"]).await;
    world.work().await.unwrap();
    let code = code_in(&world.agent_reads("Ana").pop().unwrap());
    assert_eq!(operator_asks(&world, json!({ "phone": "+5215555550123" })).await, code);
    done(&world, &code).await;
    assert!(world.conversation("Ana").is_err());
}

#[tokio::test]
async fn a_label_whose_callback_was_lost_is_found_by_the_daily_run() {
    let world = World::start().await.unwrap();
    let (_, conversation) = ana_wrote(&world).await;
    callbacks_get_lost(&world, true);
    world.chatwoot.agent("Sofía").labels(conversation, &["borrar-datos"]).await;
    world.work().await.unwrap();
    callbacks_get_lost(&world, false);
    assert_eq!(world.agent_reads("Ana"), ["Ana: hola", "system: Sofía agregó borrar-datos"]);
    world.retention().await.unwrap();
    world.work().await.unwrap();
    assert!(world.agent_reads("Ana").pop().unwrap().contains("El borrado empieza en 24 h"));
}

#[tokio::test]
async fn a_customer_asks_in_the_chat_and_confirms_there() {
    let world = World::start().await.unwrap();
    for (answer, erased) in [("Sí borrar", true), ("sí", true), ("NO BORRAR", false), ("no", false)] {
        let ana = ana(&world);
        ana.writes("Borrar mis datos").await.unwrap();
        world.work().await.unwrap();
        let question = ana.heard().pop().unwrap();
        assert!(question.contains("responde: SÍ BORRAR"), "{question}");
        let code = code_in(&question);
        assert_eq!(state(&world, &code).await["state"], "received");
        world.later(MINUTE).await.unwrap();
        ana.writes(answer).await.unwrap();
        world.work().await.unwrap();
        if erased {
            done(&world, &code).await;
            assert!(world.conversation("Ana").is_err(), "{answer}");
            post_all_again(&world).await;
            world.later(MINUTE).await.unwrap();
            assert!(world.conversation("Ana").is_err(), "{answer}");
        } else {
            assert_eq!(ana.heard().pop().unwrap(), "De acuerdo, no borramos nada.");
            assert_eq!(state(&world, &code).await, json!(404));
            assert!(world.conversation("Ana").is_ok(), "{answer}");
        }
        world.later(HOUR).await.unwrap();
    }
}

#[tokio::test]
async fn a_yes_to_something_else_erases_nothing_and_an_unanswered_question_lapses() {
    let world = World::start().await.unwrap();
    let ana = ana(&world);
    ana.writes("BORRAR MIS DATOS").await.unwrap();
    world.work().await.unwrap();
    let code = code_in(&ana.heard().pop().unwrap());
    let conversation = world.conversation("Ana").unwrap();
    world.chatwoot.agent("Sofía").replies(conversation, "¿Le interesa la moto?").await;
    world.later(MINUTE).await.unwrap();
    ana.writes("sí").await.unwrap();
    world.later(MINUTE).await.unwrap();
    assert_eq!(state(&world, &code).await["state"], "received");
    // Asked again, it is the same request, and a question once more.
    ana.writes("borrar mis datos").await.unwrap();
    world.later(MINUTE).await.unwrap();
    assert_eq!(code_in(&ana.heard().pop().unwrap()), code);
    goes_by(&world, 25 * HOUR, 5 * HOUR).await;
    assert_eq!(state(&world, &code).await, json!(404));
    assert!(world.conversation("Ana").is_ok());
    ana.writes("sí borrar").await.unwrap();
    world.later(MINUTE).await.unwrap();
    assert!(world.conversation("Ana").is_ok());
}

#[tokio::test]
async fn a_contact_deleted_in_chatwoot_is_erased_when_it_is_noticed_and_the_new_message_starts_clean() {
    let world = World::start().await.unwrap();
    let (ana, conversation) = ana_wrote(&world).await;
    let contact = world.chatwoot.conversations().into_iter().find(|one| one.id == conversation).unwrap().contact_id;
    let agent = world.chatwoot.agent("Sofía");
    // A conversation alone says nothing about the person.
    agent.deletes_conversation(conversation).await;
    world.later(MINUTE).await.unwrap();
    ana.writes("sigo aquí").await.unwrap();
    world.work().await.unwrap();
    assert_eq!(world.agent_reads("Ana"), ["Ana: sigo aquí"]);
    let before = items(&world).await;
    agent.deletes_contact(contact).await;
    world.later(MINUTE).await.unwrap();
    ana.writes("hola de nuevo").await.unwrap();
    goes_by(&world, 5 * MINUTE, Duration::from_secs(5)).await;
    assert_eq!(world.agent_reads("Ana"), ["Ana: hola de nuevo"]);
    let old: Vec<String> =
        items(&world).await.into_iter().filter(|item| before.contains(item) && item.contains("customer=")).collect();
    assert!(old.is_empty(), "{old:?}");
    assert_eq!((world.queued("inbound"), world.dead_letters("inbound")), (0, vec![]));
}

#[tokio::test]
async fn a_contact_deleted_in_chatwoot_is_found_by_the_daily_run_and_a_merged_one_is_not_taken_for_it() {
    let world = World::start().await.unwrap();
    let (_, conversation) = ana_wrote(&world).await;
    let contact = world.chatwoot.conversations().into_iter().find(|one| one.id == conversation).unwrap().contact_id;
    let agent = world.chatwoot.agent("Sofía");
    let other = agent.adds_contact("Ana María", None).await;
    agent.merges(other, contact).await;
    assert_eq!(world.retention().await.unwrap().gone, 0);
    agent.deletes_contact(other).await;
    assert_eq!(world.retention().await.unwrap().gone, 1);
    goes_by(&world, 8 * MINUTE, MINUTE).await;
    let left: Vec<String> = items(&world).await.into_iter().filter(|item| item.contains("5550123")).collect();
    assert!(left.is_empty(), "{left:?}");
}

fn signed(secret: &str, payload: &Value) -> String {
    let payload = URL_SAFE_NO_PAD.encode(payload.to_string());
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap().chain_update(payload.as_bytes());
    format!("signed_request={}.{payload}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

async fn meta_posts(world: &World, body: &str) -> (u16, String) {
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    call("POST", &world.url(), "/deletion/meta", &headers, body.as_bytes()).await
}

#[tokio::test]
async fn meta_s_request_is_about_the_administrator_and_no_customer() {
    let world = World::start().await.unwrap();
    ana_wrote(&world).await;
    let now = world.clock.now().as_secs();
    let payload = json!({ "algorithm": "HMAC-SHA256", "issued_at": now, "user_id": "218471" });
    let secret = "app-secret-of-the-stories";
    let (status, body) = meta_posts(&world, &signed(secret, &payload)).await;
    assert_eq!(status, 200);
    let answer: Value = serde_json::from_str(&body).unwrap();
    let code = answer["confirmation_code"].as_str().unwrap().to_owned();
    assert_eq!(answer, json!({ "url": format!("{}/deletion/{code}", world.url()), "confirmation_code": code }));
    done(&world, &code).await;
    assert!(world.conversation("Ana").is_ok());
    // The same request, whenever it comes, and another for the same person.
    let later = json!({ "algorithm": "HMAC-SHA256", "issued_at": now + 1, "user_id": "218471" });
    for again in [&payload, &later] {
        let (_, body) = meta_posts(&world, &signed(secret, again)).await;
        assert_eq!(serde_json::from_str::<Value>(&body).unwrap(), answer);
    }
    world.pass(31 * DAY);
    let (_, body) = meta_posts(&world, &signed(secret, &payload)).await;
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap(), answer);
    let other = json!({ "algorithm": "HMAC-SHA256", "issued_at": world.clock.now().as_secs(), "user_id": "7" });
    let (_, body) = meta_posts(&world, &signed(secret, &other)).await;
    assert_ne!(serde_json::from_str::<Value>(&body).unwrap()["confirmation_code"], json!(code));
    let stored = items(&world).await.join("\n");
    assert!(!stored.contains("218471"));
}

/// What a signup would leave of the administrator who did it.
async fn signed_up(world: &World, user: &str, name: &str) {
    let hash = HashKey::new("subject-key-of-the-stories".into()).administrator(user);
    let aws = platform::aws::Aws::from_env(world.stage.operator()).unwrap();
    let text = |value: &str| AttributeValue::S(value.to_owned());
    let end = (world.clock.now() + 365 * DAY).as_secs().to_string();
    let put = aws.dynamodb.put_item().table_name(world.stage.table().unwrap());
    let put = put.item("pk", text(&format!("administrator#{hash}"))).item("sk", text("profile"));
    put.item("name", text(name)).item("expires_at", AttributeValue::N(end)).send().await.unwrap();
}

#[tokio::test]
async fn an_administrator_s_profile_is_found_erased_and_answered_with_a_page() {
    let world = World::start().await.unwrap();
    ana_wrote(&world).await;
    for (user, name) in [("218471", "Rosa Admin"), ("218472", "Pedro Admin")] {
        signed_up(&world, user, name).await;
    }
    let before = items(&world).await;
    let payload = json!({ "algorithm": "HMAC-SHA256", "issued_at": world.clock.now().as_secs(), "user_id": "218471" });
    let (status, body) = meta_posts(&world, &signed("app-secret-of-the-stories", &payload)).await;
    assert_eq!(status, 200);
    let answer: Value = serde_json::from_str(&body).unwrap();
    let code = answer["confirmation_code"].as_str().unwrap();
    // The address Meta shows to whoever asked.
    let path = answer["url"].as_str().unwrap().strip_prefix(world.url().as_str()).unwrap();
    let page = async || call("GET", &world.url(), path, &[("accept", "text/html")], b"").await;
    let (status, shown) = page().await;
    assert!(status == 200 && shown.contains("Recibimos tu solicitud") && shown.contains(code), "{shown}");
    done(&world, code).await;
    let (status, shown) = page().await;
    assert!(status == 200 && shown.contains("Tus datos fueron borrados"), "{shown}");
    let after = items(&world).await;
    let gone: Vec<&String> = before.iter().filter(|item| !after.contains(item)).collect();
    assert!(matches!(gone[..], [one] if one.contains("Rosa Admin")), "{gone:?}");
    let receipt = world.operator(json!({ "receipt": code })).await.unwrap();
    let places = receipt["receipt"]["places"].as_array().unwrap().iter();
    let found: Vec<(&str, u64)> = places
        .map(|place| (place["place"].as_str().unwrap(), place["found"].as_u64().unwrap()))
        .filter(|(_, found)| *found > 0)
        .collect();
    assert_eq!(found, [("table", 1)]);
}

#[tokio::test]
async fn what_is_forged_or_expired_or_no_request_is_turned_away_with_an_empty_body() {
    let world = World::start().await.unwrap();
    let now = world.clock.now().as_secs();
    let secret = "app-secret-of-the-stories";
    let good = json!({ "algorithm": "HMAC-SHA256", "issued_at": now, "user_id": "1" });
    let with = |name: &str, value: Value| {
        let mut payload = good.clone();
        payload[name] = value;
        payload
    };
    let before = items(&world).await;
    for (body, status) in [
        (signed("another-secret", &good), 401),
        (signed(secret, &with("algorithm", json!("none"))), 401),
        (signed(secret, &with("algorithm", json!("HMAC-SHA1"))), 401),
        (signed(secret, &with("expires", json!(now - 1))), 401),
        (signed(secret, &with("issued_at", json!(now - 40 * 86_400))), 401),
        (signed(secret, &with("user_id", json!(null))), 400),
        // Without whole seconds it could be shown again for ever.
        (signed(secret, &with("issued_at", json!(null))), 400),
        (signed(secret, &with("issued_at", json!(now.to_string()))), 400),
        (signed(secret, &with("issued_at", json!(1_795_190_400.5))), 400),
        (signed(secret, &with("issued_at", json!(0))), 400),
        (signed(secret, &with("issued_at", json!(now * 1_000))), 401),
        (signed(secret, &json!({ "algorithm": "HMAC-SHA256", "user_id": "1" })), 400),
        ("signed_request=abc".to_owned(), 400),
        ("nothing=1".to_owned(), 400),
        (String::new(), 400),
        (format!("{{\"user_id\":\"1\"{}", "x".repeat(4 * 1024 * 1024)), 413),
    ] {
        assert_eq!(meta_posts(&world, &body).await, (status, String::new()), "{body:.80}");
    }
    assert_eq!(items(&world).await, before);
}

#[tokio::test]
async fn the_public_page_speaks_both_languages_and_knows_nobody() {
    let world = World::start().await.unwrap();
    ana_wrote(&world).await;
    let code = operator_asks(&world, json!({ "phone": "+5215555550123" })).await;
    let path = format!("/deletion/{code}");
    for (headers, path, expected) in [
        (("accept-language", "es-MX"), path.clone(), "Recibimos tu solicitud"),
        (("accept-language", "en-US,en"), path.clone(), "We have received your request"),
        (("accept", "text/html"), format!("{path}?lang=en"), "We have received your request"),
        (("accept", "*/*"), path.clone(), "30 días"),
    ] {
        let (status, body) = call("GET", &world.url(), &path, &[headers], b"").await;
        assert_eq!(status, 200);
        assert!(body.contains(expected) && body.contains(&code), "{body}");
        for never in ["5550123", "Ana", "MX."] {
            assert!(!body.contains(never));
        }
    }
    let unknown = ["0".repeat(32), "meta".to_owned(), format!("{code}0"), "..%2f".to_owned(), "ñ".to_owned()];
    for code in unknown {
        let answered = call("GET", &world.url(), &format!("/deletion/{code}"), &[], b"").await;
        assert_eq!(answered, (404, String::new()), "{code}");
    }
    done(&world, &code).await;
    assert!(is_done(&world, &code).await);
    let (_, body) = call("GET", &world.url(), &path, &[], b"").await;
    assert!(body.contains("Tus datos fueron borrados"));
}

/// What the receipt of a request says of who asked.
async fn evidence(world: &World, code: &str) -> Vec<String> {
    let signed = world.operator(json!({ "receipt": code })).await.unwrap();
    serde_json::from_value(signed["receipt"]["evidence"].clone()).unwrap()
}

#[tokio::test]
async fn the_receipt_says_which_agent_which_operator_and_which_answer_and_names_none_of_them() {
    // An agent, by the label.
    let world = World::start().await.unwrap();
    let (_, conversation) = ana_wrote(&world).await;
    world.chatwoot.agent("Sof");
    let sofia = world.chatwoot.agent("Sofía");
    sofia.labels(conversation, &["borrar-datos"]).await;
    world.work().await.unwrap();
    let code = code_in(&world.agent_reads("Ana").pop().unwrap());
    let token = world.chatwoot.token("Admin", simulator_chatwoot::Role::Administrator);
    let path = format!("/api/v1/accounts/{}/agents", stories::ACCOUNT);
    let (_, agents) = call("GET", &world.chatwoot.url(), &path, &[("api_access_token", token.as_str())], b"").await;
    let agents: Vec<Value> = serde_json::from_str(&agents).unwrap();
    let id = agents.iter().find(|agent| agent["name"] == "Sofía").unwrap()["id"].as_i64().unwrap();
    let line = world.chatwoot.messages(conversation).into_iter().find(|one| one.message_type == "activity").unwrap().id;
    goes_by(&world, 25 * HOUR, HOUR).await;
    done(&world, &code).await;
    let account = stories::ACCOUNT;
    let told = evidence(&world, &code).await;
    let trace = format!("account {account}, conversation {conversation}, line {line}, agent {id}");
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].ends_with(&trace), "{told:?}");

    // The customer, by two messages.
    let world = World::start().await.unwrap();
    let (ana, _) = ana_wrote(&world).await;
    ana.writes("BORRAR MIS DATOS").await.unwrap();
    world.work().await.unwrap();
    let code = items(&world).await;
    assert!(!code.is_empty());
    let question = ana.heard().pop().unwrap();
    ana.writes("SÍ BORRAR").await.unwrap();
    world.work().await.unwrap();
    let code = question.split_whitespace().find(|word| word.trim_matches(|c: char| !c.is_ascii_hexdigit()).len() == 32);
    let code = code.unwrap().trim_matches(|c: char| !c.is_ascii_hexdigit()).to_owned();
    done(&world, &code).await;
    let told = evidence(&world, &code).await;
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("the customer asked in the chat") && told[1].contains("the customer confirmed it"));
    assert_ne!(told[0].rsplit(' ').next(), told[1].rsplit(' ').next(), "each message has its own hash");

    // An operator, and another one who asks for the same.
    let world = World::start().await.unwrap();
    let _ = ana_wrote(&world).await;
    let code = operator_asks(&world, json!({ "phone": "5215555550123", "by": "Laura" })).await;
    assert_eq!(operator_asks(&world, json!({ "phone": "5215555550123", "by": "Pedro" })).await, code);
    assert_eq!(operator_asks(&world, json!({ "phone": "5215555550123", "by": "Laura" })).await, code);
    done(&world, &code).await;
    let told = evidence(&world, &code).await;
    assert_eq!(told.len(), 2, "{told:?}");
    let everything = format!("{told:?}{:?}", items(&world).await);
    for name in ["Laura", "Pedro", "Sofía", "Ana", "5215555550123", "wamid"] {
        assert!(!everything.contains(name), "{name}");
    }
}
