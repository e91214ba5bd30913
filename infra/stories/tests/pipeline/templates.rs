//! Templates: what agents are offered, what the customer gets, and what is said when it cannot be sent.

use std::time::Duration;

use serde_json::{Value, json};
use stories::ACCOUNT;

use crate::{
    fixtures::{HOUR, MINUTE, goes_by},
    open_chat::{OpenChat, call, file, refuses},
};

const WABA: &str = "109876543210987";
const DAY: Duration = Duration::from_secs(24 * 3600);
const SECOND: Duration = Duration::from_secs(1);

pub(crate) fn template(name: &str, category: &str, components: &Value) -> Value {
    json!({ "id": "1", "name": name, "language": "es_MX", "status": "APPROVED", "category": category,
        "parameter_format": "POSITIONAL", "components": components })
}

pub(crate) fn body(text: &str) -> Value {
    json!({ "type": "BODY", "text": text, "example": { "body_text": [["x", "y"]] } })
}

pub(crate) fn follow_up() -> Value {
    template("seguimiento", "UTILITY", &json!([body("Hola {{1}}, ¿pudiste ver la cotización de la {{2}}?")]))
}

impl OpenChat {
    /// Meta has these templates, and agents are offered them.
    pub(crate) async fn offers(&self, templates: Vec<Value>) {
        self.world.meta.set_templates(WABA, templates);
        self.reconciles().await;
    }

    /// What Chatwoot's API answers an administrator.
    pub(crate) async fn reads_chatwoot(&self, path: &str) -> Value {
        self.asks_chatwoot("GET", path, String::new()).await
    }

    async fn asks_chatwoot(&self, method: &str, path: &str, body: String) -> Value {
        let token = self.world.chatwoot.token("Admin", simulator_chatwoot::Role::Administrator);
        let headers = [("api_access_token", token.as_str()), ("content-type", "application/json")];
        let path = format!("/api/v1/accounts/{ACCOUNT}{path}");
        let (status, answer) = call(method, &self.world.chatwoot.url(), &path, &headers, body.as_bytes()).await;
        assert_eq!(status, 200, "{answer}");
        serde_json::from_str(&answer).unwrap()
    }

    /// The inbox's attributes; sets them first, if so asked.
    async fn attributes(&self, set: Option<&Value>) -> Value {
        if let Some(set) = set {
            let body = json!({ "channel": { "additional_attributes": set } }).to_string();
            self.asks_chatwoot("PATCH", "/inboxes/14", body).await;
        }
        self.reads_chatwoot("/inboxes/14").await["additional_attributes"].clone()
    }

    async fn offered(&self) -> Vec<String> {
        let attributes = self.attributes(None).await;
        let templates = attributes["message_templates"].as_array().cloned().unwrap_or_default();
        templates.iter().map(|template| template["name"].as_str().unwrap().to_owned()).collect()
    }

    /// Sofía picks a template, and the bridge works.
    pub(crate) async fn picks(&self, name: &str, processed: &Value, content: &str) -> i64 {
        let message = self.sofia.picks_template(self.conversation, params(name, processed), content).await;
        self.world.work().await.unwrap();
        message
    }

    pub(crate) fn sent_templates(&self) -> Vec<Value> {
        let requests = self.world.meta.requests().into_iter();
        requests
            .filter(|request| request.status == 200 && request.body["type"] == "template")
            .map(|request| request.body["template"].clone())
            .collect()
    }
}

pub(crate) fn params(name: &str, processed: &Value) -> Value {
    json!({ "name": name, "category": "UTILITY", "language": "es_MX", "processed_params": processed })
}

pub(crate) fn ana() -> Value {
    json!({ "body": { "1": "Ana", "2": "RX 150" } })
}

pub(crate) const CONTENT: &str = "Hola Ana, ¿pudiste ver la cotización de la RX 150?";

#[tokio::test]
async fn agents_are_offered_what_meta_approved_and_nothing_else_of_the_inbox_is_touched() {
    let shop = OpenChat::open().await;
    shop.attributes(Some(&json!({ "color": "rojo", "message_templates": "alt" }))).await;
    let status = |name: &str, status: &str| {
        let mut template = template(name, "UTILITY", &json!([body("Hola")]));
        template["status"] = status.into();
        template
    };
    let carousel = template("carrusel", "MARKETING", &json!([body("Hola"), { "type": "CAROUSEL", "cards": [] }]));
    let all =
        vec![follow_up(), status("pausada", "PAUSED"), status("no", "REJECTED"), carousel, status("buena", "APPROVED")];
    shop.offers(all).await;
    assert_eq!(shop.offered().await, ["buena", "seguimiento"]);
    let attributes = shop.attributes(None).await;
    assert_eq!((&attributes["color"], &attributes["agent_reply_time_window"]), (&json!("rojo"), &json!(24)));
    assert!(attributes["agent_reply_time_window_message"].as_str().unwrap().contains("24 h"));
    assert!(!attributes.to_string().contains("example"), "{attributes}");
    // Nothing new, nothing written; an hour later the inbox is looked at again.
    let writes = |shop: &OpenChat| {
        let requests = shop.world.chatwoot.requests().into_iter();
        requests.filter(|request| request.method == "PATCH" && request.path.contains("/inboxes/14")).count()
    };
    assert_eq!(writes(&shop), 2, "ours above, and the bridge's");
    shop.reconciles().await;
    assert_eq!(writes(&shop), 2);
    shop.attributes(Some(&json!({ "color": "azul" }))).await;
    shop.later(HOUR).await;
    shop.reconciles().await;
    assert_eq!((writes(&shop), shop.offered().await.len()), (4, 2));
    assert_eq!(shop.attributes(None).await["color"], json!("azul"));
}

#[tokio::test]
async fn a_template_meta_pauses_is_gone_at_once_and_back_when_it_is_approved() {
    let shop = OpenChat::open().await;
    shop.offers(vec![follow_up()]).await;
    shop.world.meta.set_template_status(WABA, "seguimiento", "es_MX", "PAUSED").await.unwrap();
    shop.world.work().await.unwrap();
    assert!(shop.offered().await.is_empty());
    // Whoever had the list open picks it all the same.
    let message = shop.picks("seguimiento", &ana(), CONTENT).await;
    assert!(shop.mark(message).starts_with("No entregado: WhatsApp pausó esta plantilla"), "{}", shop.mark(message));
    shop.world.meta.set_template_status(WABA, "seguimiento", "es_MX", "APPROVED").await.unwrap();
    shop.world.work().await.unwrap();
    assert_eq!(shop.offered().await, ["seguimiento"]);
}

#[tokio::test]
async fn a_list_that_cannot_be_had_leaves_agents_what_they_have() {
    let shop = OpenChat::open().await;
    shop.offers(vec![follow_up()]).await;
    for effect in [
        refuses(400, 80_007),
        refuses(403, 200),
        simulator_wire::Effect::Answer {
            status: 200,
            content_type: "application/json".to_owned(),
            body: "{}".to_owned(),
        },
    ] {
        let path = "/message_templates".to_owned();
        shop.world.meta.faults().add(simulator_wire::Fault { method: None, path, skip: 0, times: Some(1), effect });
        shop.later(2 * HOUR).await;
        shop.reconciles().await;
        assert_eq!(shop.offered().await, ["seguimiento"]);
    }
}

#[tokio::test]
async fn what_was_picked_arrives_filled_in_also_after_the_window_closed() {
    let shop = OpenChat::open().await;
    shop.offers(vec![follow_up()]).await;
    shop.world.pass(3 * DAY);
    let message = shop.picks("seguimiento", &ana(), CONTENT).await;
    assert_eq!((shop.ana.heard(), shop.mark(message).as_str()), (vec![CONTENT.to_owned()], "sent"));
    let text = shop.says("¿sigue ahí?").await;
    assert!(shop.mark(text).starts_with("No entregado: pasaron más de 24 h"), "a template opens no window");
    // Answered, all is as usual.
    shop.ana.writes("sí").await.unwrap();
    shop.world.work().await.unwrap();
    shop.says("¡qué bien!").await;
    assert_eq!(shop.ana.heard().len(), 2);
}

#[tokio::test]
async fn every_part_that_takes_a_value_gets_its_own() {
    let shop = OpenChat::open().await;
    let whole = template(
        "entera",
        "UTILITY",
        &json!([
            { "type": "HEADER", "format": "IMAGE" },
            body("Hola {{1}}"),
            { "type": "FOOTER", "text": "LMotos" },
            { "type": "BUTTONS", "buttons": [
                { "type": "QUICK_REPLY", "text": "Sí" },
                { "type": "URL", "text": "Ver", "url": "https://lmotos.example/{{1}}" },
                { "type": "COPY_CODE" },
                { "type": "PHONE_NUMBER", "text": "Llamar", "phone_number": "+525555550100" },
            ] },
        ]),
    );
    let mut named = template(
        "con_nombres",
        "UTILITY",
        &json!([{ "type": "HEADER", "format": "TEXT", "text": "Hola {{quien}}" },
        body("Tu {{modelo}} está lista")]),
    );
    named["parameter_format"] = "NAMED".into();
    shop.offers(vec![whole, named]).await;
    // The header's picture was put into Chatwoot before; it is uploaded.
    let picture = vec![file("moto.png", "image/png", b"\x89PNG moto")];
    shop.sofia.sends_files(shop.conversation, None, picture).await;
    shop.world.work().await.unwrap();
    let path = format!("/conversations/{}/messages", shop.conversation);
    let listed = shop.reads_chatwoot(&path).await;
    let address = listed["payload"].as_array().unwrap().last().unwrap()["attachments"][0]["data_url"].clone();
    let processed = json!({ "body": { "1": "Ana" }, "header": { "media_url": address, "media_type": "image" },
        "buttons": [null, { "type": "url", "parameter": "88412" }, { "type": "copy_code", "parameter": "MOTO10" }] });
    let message = shop.picks("entera", &processed, "Hola Ana").await;
    assert_eq!(shop.mark(message), "sent");
    let sent = shop.sent_templates().pop().unwrap();
    assert!(sent["components"][0]["parameters"][0]["image"]["id"].is_string(), "{sent}");
    assert_eq!(sent["components"].as_array().unwrap().len(), 4, "{sent}");
    // A public address is Meta's to fetch.
    let elsewhere = json!({ "body": { "1": "Ana" }, "header": { "media_url": "https://cdn.example/moto.png" },
        "buttons": [null, { "parameter": "1" }, { "parameter": "C" }] });
    shop.picks("entera", &elsewhere, "Hola Ana").await;
    let sent = shop.sent_templates().pop().unwrap();
    assert_eq!(sent["components"][0]["parameters"][0]["image"], json!({ "link": "https://cdn.example/moto.png" }));
    // The picker does not ask for a header's value; the command does.
    shop.asks("/plantilla con_nombres Ana | RX 150").await;
    let sent = shop.sent_templates().pop().unwrap();
    assert_eq!(sent["components"][0]["parameters"][0]["parameter_name"], json!("quien"), "{sent}");
    assert!(shop.ana.heard().last().unwrap().contains("Tu RX 150 está lista"), "{:?}", shop.ana.heard());
}

#[tokio::test]
async fn what_does_not_fit_the_template_is_said_before_meta_is_asked() {
    let shop = OpenChat::open().await;
    let picture = template("foto", "UTILITY", &json!([{ "type": "HEADER", "format": "IMAGE" }, body("Hola")]));
    let link =
        json!([body("Hola"), { "type": "BUTTONS", "buttons": [{ "type": "URL", "url": "https://x.example/{{1}}" }] }]);
    shop.offers(vec![follow_up(), picture, template("enlace", "UTILITY", &link)]).await;
    let long = "x".repeat(1020);
    let cases = [
        ("seguimiento", json!({ "body": { "1": "Ana" } }), "falta un valor"),
        ("seguimiento", json!({ "body": { "1": "Ana", "2": " " } }), "falta un valor"),
        ("seguimiento", json!({ "body": { "1": "Ana", "2": "RX\n150" } }), "saltos de línea"),
        ("seguimiento", json!({ "body": { "1": "Ana", "2": "RX     150" } }), "saltos de línea"),
        ("seguimiento", json!({ "body": { "1": "Ana", "2": long } }), "más larga de lo que admite"),
        ("foto", json!({ "body": {} }), "lleva un archivo en el encabezado"),
        ("foto", json!({ "header": { "media_url": "file:///etc/passwd" } }), "no es del tipo que pide"),
        ("enlace", json!({ "body": {} }), "falta el valor de un botón"),
        ("otra", json!({ "body": {} }), "no existe en WhatsApp"),
    ];
    for (name, processed, words) in cases {
        let message = shop.picks(name, &processed, "Hola").await;
        assert!(shop.mark(message).contains(words), "{name} {processed}: {}", shop.mark(message));
    }
    let mut english = params("seguimiento", &ana());
    english["language"] = "en_US".into();
    let message = shop.sofia.picks_template(shop.conversation, english, CONTENT).await;
    shop.world.work().await.unwrap();
    assert!(shop.mark(message).contains("en ese idioma"), "{}", shop.mark(message));
    assert!(shop.world.meta.requests().is_empty());
}

#[tokio::test]
async fn a_header_file_that_cannot_be_read_and_a_code_have_words_of_their_own() {
    let shop = OpenChat::open().await;
    let picture = template("foto", "UTILITY", &json!([{ "type": "HEADER", "format": "IMAGE" }, body("Hola")]));
    let code =
        json!([body("Su código es {{1}}"), { "type": "BUTTONS", "buttons": [{ "type": "OTP", "text": "Copiar" }] }]);
    shop.offers(vec![picture, template("codigo", "AUTHENTICATION", &code)]).await;
    let message = shop.picks("codigo", &json!({ "body": { "1": "1234" } }), "Su código es 1234").await;
    assert!(shop.mark(message).contains("códigos de verificación"), "{}", shop.mark(message));
    let address = format!("{}/rails/active_storage/blobs/redirect/none/moto.png", shop.world.chatwoot.url());
    let processed = json!({ "header": { "media_url": address, "media_type": "image" } });
    let message = shop.picks("foto", &processed, "Hola").await;
    goes_by(&shop.world, 40 * MINUTE, 5 * MINUTE).await;
    assert!(shop.mark(message).contains("el archivo del encabezado"), "{}", shop.mark(message));
    assert!(shop.world.meta.requests().is_empty());
}

#[tokio::test]
async fn who_wants_no_marketing_gets_none_and_still_gets_service() {
    let shop = OpenChat::open().await;
    let offer = template("oferta", "MARKETING", &json!([body("Estrena hoy, {{1}}")]));
    shop.offers(vec![follow_up(), offer]).await;
    let stop = json!({"user_preferences": [{"wa_id": "5215555550123", "detail": "x", "category": "marketing_messages",
        "value": "stop", "timestamp": 1_795_190_400}], "contacts": [{"profile": {"name": "Ana"}, "wa_id": "5215555550123"}]});
    assert_eq!(crate::fixtures::post(&shop.world, &crate::fixtures::body("user_preferences", &stop)).await, 200);
    shop.world.work().await.unwrap();
    let message = shop.picks("oferta", &json!({ "body": { "1": "Ana" } }), "Estrena hoy, Ana").await;
    assert!(shop.mark(message).contains("pidió no recibir promociones"), "{}", shop.mark(message));
    shop.picks("seguimiento", &ana(), CONTENT).await;
    assert_eq!(shop.ana.heard(), [CONTENT]);
}

#[tokio::test]
async fn a_conversation_an_agent_begins_begins_with_a_template_and_the_answer_comes_into_it() {
    let shop = OpenChat::open().await;
    shop.offers(vec![follow_up()]).await;
    let caro = shop.world.meta.customer("Caro", "5215555550166");
    let contact = shop.sofia.adds_contact("Carolina", Some("+525555550166")).await;
    let (conversation, message) = shop.sofia.starts_conversation(contact, 14, "Hola, Caro").await;
    shop.world.work().await.unwrap();
    let of = |id: i64| shop.world.chatwoot.messages(conversation).into_iter().find(|one| one.id == id).unwrap();
    assert_eq!(
        of(message).external_error.as_deref(),
        Some("No entregado: esta persona aún no ha escrito por WhatsApp; usa una plantilla para empezar.")
    );
    let picked = json!({ "body": { "1": "Caro", "2": "RX 150" } });
    let content = "Hola Caro, ¿pudiste ver la cotización de la RX 150?";
    let message = shop.sofia.picks_template(conversation, params("seguimiento", &picked), content).await;
    shop.world.work().await.unwrap();
    assert_eq!((caro.heard(), of(message).status.as_str()), (vec![content.to_owned()], "sent"));
    caro.writes("sí, gracias").await.unwrap();
    shop.world.work().await.unwrap();
    let last = shop.world.chatwoot.messages(conversation).pop().unwrap();
    assert_eq!((last.content.as_str(), last.message_type.as_str()), ("sí, gracias", "incoming"));
    shop.sofia.replies(conversation, "¡Qué bien!").await;
    shop.world.work().await.unwrap();
    assert_eq!(caro.heard().len(), 2);
}

#[tokio::test]
async fn who_wrote_to_another_of_the_shops_numbers_is_reached_from_this_one_by_a_template() {
    let shop = OpenChat::open().await;
    shop.offers(vec![follow_up()]).await;
    let contact = shop.world.chatwoot.contacts()[0].id;
    // In the workshop's inbox Chatwoot makes up a source id; the contact is ours.
    let (conversation, _) = shop.sofia.starts_conversation(contact, 15, "Su moto está lista").await;
    shop.sofia.picks_template(conversation, params("seguimiento", &ana()), CONTENT).await;
    shop.world.work().await.unwrap();
    assert_eq!(shop.ana.at(stories::COEXISTENCE_CHANNEL).heard(), [CONTENT], "only the template");
}

#[tokio::test]
async fn a_template_whose_callback_was_lost_is_found_where_chatwoot_still_shows_it() {
    let shop = OpenChat::open().await;
    shop.offers(vec![follow_up()]).await;
    shop.world.pass(2 * DAY);
    shop.world.chatwoot.callbacks().lose(1);
    let message = shop.picks("seguimiento", &ana(), CONTENT).await;
    assert!(shop.ana.heard().is_empty());
    shop.later(5 * MINUTE).await;
    shop.reconciles().await;
    assert_eq!((shop.ana.heard(), shop.mark(message).as_str()), (vec![CONTENT.to_owned()], "sent"));
    assert_eq!(shop.sent_templates().pop().unwrap()["name"], json!("seguimiento"));
}

#[tokio::test]
async fn callbacks_that_swap_places_change_neither_the_order_nor_the_kind() {
    let shop = OpenChat::open().await;
    shop.offers(vec![follow_up()]).await;
    for seed in 0..4 {
        let before = shop.ana.heard().len();
        shop.world.chatwoot.callbacks().shuffle(seed);
        shop.world.chatwoot.callbacks().hold();
        shop.sofia.picks_template(shop.conversation, params("seguimiento", &ana()), CONTENT).await;
        shop.sofia.replies(shop.conversation, "¿La vio?").await;
        shop.world.chatwoot.callbacks().release();
        shop.world.work().await.unwrap();
        goes_by(&shop.world, 10 * SECOND, SECOND).await;
        assert_eq!(shop.ana.heard()[before..], [CONTENT, "¿La vio?"], "{seed}");
    }
    assert_eq!(shop.sent_templates().iter().filter(|sent| sent["name"] == "seguimiento").count(), 4);
}

#[tokio::test]
async fn a_template_meta_refused_or_kept_waiting_goes_out_as_a_template_later() {
    let shop = OpenChat::open().await;
    shop.offers(vec![follow_up()]).await;
    shop.meta_will(refuses(400, 131_026), 1);
    let message = shop.picks("seguimiento", &ana(), CONTENT).await;
    assert!(shop.mark(message).starts_with("No entregado: no se pudo entregar"), "{}", shop.mark(message));
    shop.retries(message).await;
    assert_eq!((shop.ana.heard().len(), shop.mark(message).as_str()), (1, "sent"));
    shop.meta_will(refuses(503, 131_016), 4);
    shop.picks("seguimiento", &ana(), CONTENT).await;
    goes_by(&shop.world, 3 * MINUTE, 10 * SECOND).await;
    assert_eq!(shop.ana.heard(), [CONTENT, CONTENT]);
    assert!(shop.sent_templates().iter().all(|sent| sent["name"] == "seguimiento"));
}

#[tokio::test]
async fn a_template_waits_with_its_values_while_the_number_is_down() {
    let shop = OpenChat::open().await;
    shop.offers(vec![follow_up()]).await;
    let account = |at: i64, event: &str| {
        json!({"object": "whatsapp_business_account", "entry": [{"id": WABA, "time": at, "changes": [{"field": "account_update",
            "value": {"phone_number": "525555550100", "event": event}}]}]})
    };
    let now = domain::Clock::now(&shop.world.clock).as_secs();
    assert_eq!(crate::fixtures::post(&shop.world, &account(now + 1, "ACCOUNT_OFFBOARDED")).await, 200);
    shop.world.work().await.unwrap();
    shop.world.pass(MINUTE);
    let message = shop.picks("seguimiento", &ana(), CONTENT).await;
    for _ in 0..4 {
        shop.later(15 * MINUTE).await;
        shop.reconciles().await;
    }
    assert_eq!((shop.ana.heard().len(), shop.notes().len(), shop.mark(message).as_str()), (0, 1, "sent"));
    assert_eq!(crate::fixtures::post(&shop.world, &account(now + 9000, "ACCOUNT_RECONNECTED")).await, 200);
    shop.world.work().await.unwrap();
    goes_by(&shop.world, 15 * MINUTE, MINUTE).await;
    assert_eq!(shop.ana.heard(), [CONTENT]);
    assert_eq!(shop.sent_templates().pop().unwrap()["name"], json!("seguimiento"));
}
