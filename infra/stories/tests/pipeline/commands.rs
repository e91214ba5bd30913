//! Agents' commands: private notes that begin with `/`.

use std::time::Duration;

use serde_json::json;
use simulator_wire::Effect;

use crate::{
    fixtures::{MINUTE, always, answer, once, source_ids},
    open_chat::{OpenChat, refuses},
    templates,
};

impl OpenChat {
    /// Sofía writes a note, and the bridge works.
    pub(crate) async fn asks(&self, note: &str) -> i64 {
        let id = self.sofia.notes(self.conversation, note).await;
        self.world.work().await.unwrap();
        id
    }

    /// The bridge's answers.
    pub(crate) fn answers(&self) -> Vec<String> {
        let messages = self.world.chatwoot.messages(self.conversation).into_iter();
        let ours = |id: &Option<String>| id.as_deref().is_some_and(|id| id.starts_with("lmotos:command:"));
        messages.filter(|message| message.private && ours(&message.source_id)).map(|message| message.content).collect()
    }
}

#[tokio::test]
async fn state_tells_of_the_window_the_last_messages_and_the_number() {
    let shop = OpenChat::open().await;
    let sent = shop.says("Buenas, ¿en qué puedo ayudarle?").await;
    shop.later(2 * 60 * MINUTE).await;
    shop.ana.reads_all().await;
    shop.world.work().await.unwrap();
    assert_eq!(shop.mark(sent), "read");
    shop.meta_will(refuses(400, 131_026), 1);
    shop.says("¿Sigue ahí?").await;
    shop.asks("/estado").await;
    let answers = shop.answers();
    let [answer] = answers.as_slice() else { panic!("{answers:?}") };
    for told in [
        "abierta; se cierra en 22 h",
        "hace 2 h «Buenas, ¿en qué puedo ayudarle?»: leído",
        "«¿Sigue ahí?»: No entregado",
        "525555550100: conectado",
    ] {
        assert!(answer.contains(told), "{told}: {answer}");
    }
    assert_eq!(shop.ana.heard(), ["Buenas, ¿en qué puedo ayudarle?"], "no note ever leaves");
}

#[tokio::test]
async fn state_is_told_at_once_while_a_message_waits() {
    let shop = OpenChat::open().await;
    shop.meta_will(refuses(503, 2), 100);
    shop.says("uno").await;
    for _ in 0..20 {
        shop.later(MINUTE).await;
    }
    shop.asks("/estado").await;
    assert!(shop.answers()[0].contains("«uno»: en espera; se reintenta solo"), "{:?}", shop.answers());
    assert!(shop.ana.heard().is_empty());
}

#[tokio::test]
async fn state_promises_nothing_of_what_is_from_before_the_bridge() {
    let shop = OpenChat::open().await;
    let contact = shop.sofia.adds_contact("Caro", Some("+525555550177")).await;
    shop.world.chatwoot.callbacks().lose(10);
    let (conversation, _) = shop.sofia.starts_conversation(contact, 14, "de otra época").await;
    shop.world.calm().await;
    shop.world.chatwoot.callbacks().lose(0);
    shop.world.pass(Duration::from_secs(30 * 3600));
    shop.sofia.notes(conversation, "/estado").await;
    shop.world.work().await.unwrap();
    let notes: Vec<_> = shop.world.chatwoot.messages(conversation).into_iter().filter(|one| one.private).collect();
    let answer = &notes.last().unwrap().content;
    assert!(answer.contains("«de otra época»: es de antes de conectar esta conversación"), "{answer}");
}

#[tokio::test]
async fn help_and_what_does_not_exist_are_answered_with_the_list() {
    let shop = OpenChat::open().await;
    shop.asks("/ayuda").await;
    shop.asks("/borra todo").await;
    shop.asks("/mi\\_comando2 x").await;
    shop.asks("/Ayuda.").await;
    let answers = shop.answers();
    assert!(answers[2].starts_with("No hay ningún comando `/mi_comando2`."), "{answers:?}");
    assert_eq!(answers[3], answers[0]);
    assert!(answers[0].contains("`/estado`") && answers[0].contains("`/plantilla nombre"), "{answers:?}");
    assert!(
        answers[1].starts_with("No hay ningún comando `/borra`.") && answers[1].contains("`/ayuda`"),
        "{answers:?}"
    );
}

#[tokio::test]
async fn a_slash_elsewhere_is_no_command_and_one_for_the_customer_is_held_back() {
    let shop = OpenChat::open().await;
    for note in ["ver /estado", "24/7", "/ mañana", "/etc/hosts", "precio 5/6", "/!"] {
        shop.asks(note).await;
    }
    for reply in ["/estado", "/Plantilla saludo Ana", "/help."] {
        let message = shop.says(reply).await;
        assert!(shop.mark(message).contains("escríbelo como nota privada"), "{}", shop.mark(message));
        shop.retries(message).await;
        assert!(shop.mark(message).contains("es un comando"), "{}", shop.mark(message));
    }
    for reply in ["/mañana", "24/7", "ver /estado"] {
        shop.says(reply).await;
    }
    shop.reconciles().await;
    assert!(shop.answers().is_empty());
    assert_eq!(shop.ana.heard(), ["/mañana", "24/7", "ver /estado"]);
}

#[tokio::test]
async fn state_says_what_a_message_without_words_was_and_tells_of_an_erasure() {
    let shop = OpenChat::open().await;
    let files = vec![crate::open_chat::file("moto.png", "image/png", b"\x89PNG moto")];
    shop.sofia.sends_files(shop.conversation, None, files).await;
    shop.world.work().await.unwrap();
    shop.asks("/estado").await;
    assert!(shop.answers()[0].contains("(una foto): enviado"), "{:?}", shop.answers());
    assert!(!shop.answers()[0].contains("UTC") && !shop.answers()[0].contains("Borrado"), "{:?}", shop.answers());
    shop.sofia.labels(shop.conversation, &["borrar-datos"]).await;
    shop.world.work().await.unwrap();
    shop.later(60 * MINUTE).await;
    shop.asks("/estado").await;
    assert!(shop.answers()[1].contains("`borrar-datos`; empieza en 23 h"), "{:?}", shop.answers());
    shop.sofia.labels(shop.conversation, &[]).await;
    shop.world.work().await.unwrap();
    shop.asks("/estado").await;
    assert!(!shop.answers()[2].contains("Borrado"), "{:?}", shop.answers());
}

#[tokio::test]
async fn a_command_whose_callback_was_lost_is_found_by_the_next_round() {
    let shop = OpenChat::open().await;
    shop.world.chatwoot.callbacks().lose(1);
    shop.asks("/estado").await;
    assert!(shop.answers().is_empty());
    shop.world.pass(5 * MINUTE);
    shop.reconciles().await;
    assert_eq!(shop.answers().len(), 1);
    for _ in 0..4 {
        shop.world.pass(5 * MINUTE);
        shop.reconciles().await;
    }
    assert_eq!(shop.answers().len(), 1);
}

#[tokio::test]
async fn a_command_is_answered_once_whatever_is_doubled_or_breaks_off() {
    for effect in [Effect::DropBefore, Effect::DropAfter, answer(502)] {
        let shop = OpenChat::open().await;
        shop.world.chatwoot.callbacks().duplicate(1, simulator_chatwoot::Duplicate::NewDelivery);
        let id = shop.sofia.notes(shop.conversation, "/ayuda").await;
        shop.world.chatwoot.faults().add(once("POST", "/messages", effect.clone()));
        shop.world.work().await.unwrap();
        for _ in 0..3 {
            shop.later(5 * MINUTE).await;
            shop.reconciles().await;
        }
        assert_eq!(shop.answers().len(), 1, "{effect:?}");
        let source = format!("lmotos:command:{id}");
        assert_eq!(source_ids(&shop.world).iter().filter(|id| **id == source).count(), 1);
    }
}

#[tokio::test]
async fn a_command_that_lay_in_the_queue_in_time_is_answered_late_and_one_taken_back_never() {
    let shop = OpenChat::open().await;
    shop.world.chatwoot.faults().add(always("GET", "/messages", answer(503)));
    shop.asks("/estado").await;
    let second = shop.asks("/ayuda").await;
    shop.sofia.deletes(shop.conversation, second).await;
    shop.world.chatwoot.faults().clear();
    shop.later(61 * MINUTE).await;
    shop.reconciles().await;
    assert_eq!(shop.answers().len(), 1, "{:?}", shop.answers());
    assert_eq!((shop.world.queued("outbound"), shop.world.dead_letters("outbound").len()), (0, 0));
}

#[tokio::test]
async fn a_command_nobody_heard_of_within_the_hour_does_nothing() {
    let shop = OpenChat::open().await;
    shop.world.chatwoot.callbacks().lose(1);
    shop.asks("/estado").await;
    shop.later(61 * MINUTE).await;
    shop.reconciles().await;
    assert!(shop.answers().is_empty(), "{:?}", shop.answers());
}

#[tokio::test]
async fn commands_hold_up_no_message() {
    let shop = OpenChat::open().await;
    shop.world.chatwoot.faults().add(always("POST", "/messages", answer(500)));
    shop.asks("/estado").await;
    shop.says("Buenas").await;
    assert_eq!(shop.ana.heard(), ["Buenas"]);
    shop.world.chatwoot.faults().clear();
    shop.later(Duration::from_secs(1200)).await;
    assert_eq!(shop.answers().len(), 1);
}

impl OpenChat {
    /// The inbox has this one template.
    async fn has_a_template(&self, text: &str) {
        let components = json!([templates::body(text)]);
        self.offers(vec![templates::template("recordatorio_servicio", "UTILITY", &components)]).await;
    }

    /// Messages to the customer.
    fn written(&self) -> Vec<String> {
        let messages = self.world.chatwoot.messages(self.conversation).into_iter();
        messages.filter(|one| !one.private && one.message_type == "outgoing").map(|one| one.content).collect()
    }
}

#[tokio::test]
async fn a_template_by_name_stands_in_the_conversation_as_if_it_had_been_picked() {
    for effect in [None, Some(Effect::DropBefore), Some(Effect::DropAfter), Some(answer(502))] {
        let shop = OpenChat::open().await;
        shop.has_a_template("Hola {{1}}, su {{2}} está lista.").await;
        shop.sofia.notes(shop.conversation, "/plantilla recordatorio\\_servicio Ana López | RX 150").await;
        if let Some(effect) = effect.clone() {
            shop.world.chatwoot.faults().add(once("POST", "/messages", effect));
        }
        shop.world.work().await.unwrap();
        for _ in 0..3 {
            shop.later(5 * MINUTE).await;
            shop.reconciles().await;
        }
        assert_eq!(shop.written(), ["Hola Ana López, su RX 150 está lista."], "{effect:?}");
        assert_eq!(shop.answers().len(), 1, "{effect:?}");
        assert_eq!(shop.ana.heard(), shop.written(), "{effect:?}");
    }
}

#[tokio::test]
async fn a_template_that_cannot_be_had_by_name_is_answered_in_words() {
    let shop = OpenChat::open().await;
    shop.asks("/plantilla saludo").await;
    shop.has_a_template("Hola {{1}}, su {{2}} está lista.").await;
    shop.asks("/plantilla").await;
    shop.asks("/plantilla saludo Ana").await;
    shop.asks("/template recordatorio_servicio Ana").await;
    let answers = shop.answers();
    let told = [
        "no tiene plantillas aprobadas",
        "Escribe el nombre de la plantilla",
        "No hay una plantilla aprobada `saludo`. Hay: `recordatorio_servicio`",
        "lleva 2 valor(es)",
    ];
    for (answer, told) in answers.iter().zip(told) {
        assert!(answer.contains(told), "{told}: {answer}");
    }
    assert_eq!((answers.len(), shop.written().len()), (4, 0));
}

#[tokio::test]
async fn where_meta_does_not_tell_its_templates_that_is_said_at_once_and_nobody_waits() {
    for (effect, told) in [
        (Effect::DropBefore, "WhatsApp no dice ahora qué plantillas hay"),
        (answer(502), "WhatsApp no dice ahora"),
        (refuses(400, 80_007), "WhatsApp no dice ahora"),
        (refuses(401, 190), "se perdió el permiso"),
        (refuses(403, 200), "se perdió el permiso"),
    ] {
        let shop = OpenChat::open().await;
        shop.world.meta.faults().add(always("GET", "/message_templates", effect.clone()));
        shop.sofia.notes(shop.conversation, "/plantilla saludo Ana").await;
        shop.asks("/estado").await;
        let answers = shop.answers();
        assert!(answers[0].contains(told) && answers[1].contains("**Ventana**"), "{effect:?}: {answers:?}");
        assert_eq!((answers.len(), shop.written().len(), shop.world.queued("outbound")), (2, 0, 0), "{effect:?}");
    }
}

#[tokio::test]
async fn a_template_by_name_arrives_also_where_its_callback_is_lost_or_doubled() {
    for lost in [true, false] {
        let shop = OpenChat::open().await;
        shop.has_a_template("Hola {{1}}, su {{2}} está lista.").await;
        shop.sofia.notes(shop.conversation, "/plantilla recordatorio_servicio Ana | RX 150").await;
        shop.world.calm().await;
        if lost {
            shop.world.chatwoot.callbacks().lose(1);
        } else {
            shop.world.chatwoot.callbacks().duplicate(1, simulator_chatwoot::Duplicate::NewDelivery);
        }
        shop.world.work().await.unwrap();
        assert_eq!(shop.ana.heard(), ["Hola Ana, su RX 150 está lista."], "lost: {lost}");
        for _ in 0..3 {
            shop.later(5 * MINUTE).await;
            shop.reconciles().await;
        }
        assert_eq!((shop.ana.heard().len(), shop.written().len(), shop.answers().len()), (1, 1, 1), "lost: {lost}");
    }
}

#[tokio::test]
async fn two_equal_commands_are_two_templates_and_an_agents_own_words_are_none() {
    let shop = OpenChat::open().await;
    shop.has_a_template("Hola {{1}}, su {{2}} está lista.").await;
    let note = "/plantilla recordatorio_servicio Ana | RX 150";
    shop.sofia.notes(shop.conversation, note).await;
    shop.sofia.notes(shop.conversation, note).await;
    shop.sofia.replies(shop.conversation, "Hola Ana, su RX 150 está lista.").await;
    shop.world.work().await.unwrap();
    assert_eq!((shop.written().len(), shop.ana.heard().len(), shop.answers().len()), (3, 3, 2));
}

#[tokio::test]
async fn of_several_languages_the_agents_own_is_sent_or_the_one_that_was_named() {
    let shop = OpenChat::open().await;
    let of = |language: &str, status: &str| {
        let text = format!("Su moto está lista ({language}).");
        let mut template = templates::template("lista", "UTILITY", &json!([templates::body(&text)]));
        template["language"] = language.into();
        template["status"] = status.into();
        template
    };
    let all = ["en_US", "es_MX", "es_CO"].map(|language| of(language, "APPROVED"));
    shop.offers(all.into_iter().chain([of("es_AR", "PAUSED")]).collect()).await;
    for note in ["/plantilla lista", "/plantilla lista:es_MX", "/plantilla lista:en_us", "/plantilla lista:es_AR"] {
        shop.asks(note).await;
    }
    let told = |language: &str| format!("Su moto está lista ({language}).");
    assert_eq!(shop.ana.heard(), ["es_CO", "es_MX", "en_US"].map(told));
    let answers = shop.answers();
    assert!(answers[0].contains("`lista:es_CO`"), "{answers:?}");
    assert!(answers[3].contains("No hay una plantilla aprobada `lista:es_AR`"), "{answers:?}");
    assert!(answers[3].ends_with("Hay: `lista:es_CO`, `lista:es_MX`, `lista:en_US`"), "{answers:?}");
}
