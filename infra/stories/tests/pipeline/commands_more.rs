//! Commands that send something: reactions, retries, and the question for a number.

use serde_json::json;
use simulator_wire::Effect;

use crate::{
    fixtures::{MINUTE, always, answer, once},
    open_chat::{OpenChat, UNCONFIRMED, proxy_page, refuses},
    templates,
};

impl OpenChat {
    /// Sofía writes a note that quotes a message, and the bridge works.
    async fn asks_about(&self, quoted: i64, note: &str) -> i64 {
        let id = self.sofia.notes_about(self.conversation, quoted, note).await;
        self.world.work().await.unwrap();
        id
    }

    /// The reactions on Ana's phone: the emoji, and the text it is on.
    fn reactions(&self) -> Vec<(String, String)> {
        let phone = self.ana.phone();
        let on = |wamid: &str| phone.iter().find(|shown| shown.wamid == wamid).map(|shown| shown.text.clone()).unwrap();
        let reactions = phone.iter().filter(|shown| shown.kind == "reaction" && shown.from_business);
        reactions.map(|shown| (shown.text.clone(), on(shown.quoted.as_deref().unwrap()))).collect()
    }
}

fn shown(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(emoji, on)| ((*emoji).to_owned(), (*on).to_owned())).collect()
}

#[tokio::test]
async fn a_reaction_goes_on_the_quoted_message_or_the_customers_last() {
    let shop = OpenChat::open().await;
    let first = shop.message_of("hola").id;
    let offer = shop.says("Sí hay, en rojo").await;
    let wamid = shop.ana.writes("¿la 250Z?").await.unwrap();
    shop.ana.reacts(&wamid, "🔥").await.unwrap();
    shop.world.work().await.unwrap();
    shop.asks("/reaccionar 👍").await;
    shop.asks_about(first, "/react ❤️").await;
    shop.asks_about(offer, "/reaccionar 👍🏽").await;
    let on = shown(&[("👍", "¿la 250Z?"), ("❤️", "hola"), ("👍🏽", "Sí hay, en rojo")]);
    assert_eq!(shop.reactions(), on, "{:?}", shop.answers());
    shop.ana.reads_all().await;
    shop.world.work().await.unwrap();
    assert_eq!(shop.mark(shop.message_of("❤️").id), "read");
    assert!(shop.answers()[0].contains("👍 va como reacción"), "{:?}", shop.answers());
}

#[tokio::test]
async fn a_reaction_that_cannot_be_is_answered_in_words_and_nothing_goes_out() {
    let shop = OpenChat::open().await;
    let note = shop.asks("para el equipo").await;
    shop.asks("/reaccionar").await;
    shop.asks("/reaccionar gracias").await;
    shop.asks_about(note, "/reaccionar 👍").await;
    shop.later(25 * 60 * MINUTE).await;
    shop.asks("/reaccionar 👍").await;
    let answers = shop.answers();
    for (answer, told) in answers.iter().zip(["un solo emoji", "un solo emoji", "No hay a qué", "ventana de 24 h"]) {
        assert!(answer.contains(told), "{told}: {answer}");
    }
    assert_eq!((answers.len(), shop.ana.received().len()), (4, 0));
}

#[tokio::test]
async fn a_reaction_is_one_whatever_breaks_off_and_retry_sends_no_words() {
    for effect in [Effect::DropBefore, Effect::DropAfter, answer(502)] {
        let shop = OpenChat::open().await;
        shop.sofia.notes(shop.conversation, "/reaccionar 👍").await;
        shop.world.chatwoot.faults().add(once("POST", "/messages", effect.clone()));
        shop.world.work().await.unwrap();
        for _ in 0..3 {
            shop.later(5 * MINUTE).await;
            shop.reconciles().await;
        }
        assert_eq!((shop.reactions().len(), shop.answers().len()), (1, 1), "{effect:?}");
    }
    let shop = OpenChat::open().await;
    shop.meta_will(refuses(400, 131_026), 1);
    shop.asks("/reaccionar 👍").await;
    let message = shop.message_of("👍").id;
    assert!(shop.mark(message).contains("No entregado"), "{}", shop.mark(message));
    shop.retries(message).await;
    assert_eq!((shop.reactions(), shop.ana.received().len()), (shown(&[("👍", "hola")]), 1));
}

#[tokio::test]
async fn retry_sends_all_that_failed_in_its_order_and_nothing_else() {
    let shop = OpenChat::open().await;
    shop.says("ya salió").await;
    shop.meta_will(refuses(400, 131_026), 3);
    for text in ["uno", "dos", "tres"] {
        shop.says(text).await;
    }
    shop.later(MINUTE).await;
    shop.asks("/reintentar").await;
    assert_eq!(shop.ana.heard(), ["ya salió", "uno", "dos", "tres"]);
    assert!(shop.answers()[0].contains("3 mensajes"), "{:?}", shop.answers());
    shop.later(MINUTE).await;
    shop.asks("/retry").await;
    assert!(shop.answers()[1].contains("Nada que reintentar"), "{:?}", shop.answers());
    assert_eq!(shop.ana.heard().len(), 4);
}

#[tokio::test]
async fn what_may_have_gone_out_is_retried_only_after_the_question() {
    let shop = OpenChat::open().await;
    shop.meta_will(proxy_page(502), 1);
    let unsure = shop.says("¿llegó?").await;
    assert!(shop.mark(unsure).starts_with(UNCONFIRMED), "{}", shop.mark(unsure));
    shop.meta_will(refuses(400, 131_026), 1);
    shop.says("seguro que no").await;
    shop.later(MINUTE).await;
    shop.asks("/reintentar todo").await;
    assert_eq!(shop.ana.heard(), ["seguro que no"], "it was not asked yet");
    assert!(shop.answers()[0].contains("Sin confirmar: 1"), "{:?}", shop.answers());
    shop.later(MINUTE).await;
    shop.asks("/reintentar").await;
    assert_eq!(shop.ana.heard(), ["seguro que no"], "it does not say that all is meant");
    shop.later(MINUTE).await;
    shop.asks("/reintentar todo").await;
    assert_eq!(shop.ana.heard(), ["seguro que no", "¿llegó?"]);
}

#[tokio::test]
async fn a_retry_that_breaks_off_sends_each_message_once_and_says_how_many() {
    for effect in [Effect::DropBefore, Effect::DropAfter, answer(502)] {
        let shop = OpenChat::open().await;
        shop.meta_will(refuses(400, 131_026), 2);
        shop.says("uno").await;
        shop.says("dos").await;
        shop.later(MINUTE).await;
        shop.sofia.notes(shop.conversation, "/reintentar").await;
        shop.world.chatwoot.faults().add(once("POST", "/messages", effect.clone()));
        shop.world.work().await.unwrap();
        for _ in 0..3 {
            shop.later(5 * MINUTE).await;
            shop.reconciles().await;
        }
        assert_eq!(shop.ana.heard(), ["uno", "dos"], "{effect:?}");
        let answers = shop.answers();
        assert!(answers.len() == 1 && answers[0].contains("2 mensajes"), "{effect:?}: {answers:?}");
    }
}

#[tokio::test]
async fn state_tells_what_meta_says_of_number_token_and_templates() {
    let shop = OpenChat::open().await;
    let of = |name: &str, status: &str| {
        let mut template = templates::template(name, "UTILITY", &json!([templates::body("Hola.")]));
        template["status"] = status.into();
        template
    };
    let all = [("saludo", "APPROVED"), ("oferta", "PAUSED"), ("sorteo", "REJECTED"), ("nueva", "PENDING")];
    shop.offers(all.into_iter().map(|(name, status)| of(name, status)).collect()).await;
    shop.world.meta.set_quality("YELLOW");
    shop.asks("/estado").await;
    let told = [
        "Calidad: media (amarilla); límite: plantillas a 1000 personas en 24 h; permiso (token): vigente.",
        "**Plantillas**: 1 aprobada; en pausa: `oferta`; rechazadas: `sorteo`.",
    ];
    for told in told {
        assert!(shop.answers()[0].contains(told), "{told}: {:?}", shop.answers());
    }
    shop.world.meta.faults().add(always("GET", "/", refuses(401, 190)));
    shop.asks("/estado").await;
    assert!(shop.answers()[1].contains("rechaza el permiso (token)"), "{:?}", shop.answers());
    assert!(shop.answers()[1].contains("**Ventana**: abierta"), "{:?}", shop.answers());
    shop.world.meta.faults().clear();
    shop.world.meta.faults().add(always("GET", "/", answer(502)));
    shop.asks("/estado").await;
    assert!(shop.answers()[2].contains("no dice ahora su calidad"), "{:?}", shop.answers());
}

#[tokio::test]
async fn a_message_that_meta_took_and_never_reported_on_is_told_after_a_day() {
    let shop = OpenChat::open().await;
    shop.says("nunca se supo").await;
    for text in ["a", "b", "c", "d", "e"] {
        shop.says(text).await;
    }
    for shown in shop.ana.received().iter().skip(1) {
        shop.ana.status(&shown.wamid, "sent", None).await;
    }
    shop.world.work().await.unwrap();
    shop.later(23 * 60 * MINUTE).await;
    shop.asks("/estado").await;
    assert!(!shop.answers()[0].contains("no dijo nada más"), "{:?}", shop.answers());
    shop.later(61 * MINUTE).await;
    shop.asks("/estado").await;
    let answer = &shop.answers()[1];
    let silent = "«nunca se supo»: WhatsApp lo aceptó y en más de un día no dijo nada más";
    assert!(answer.contains(silent) && answer.matches("no dijo nada más").count() == 1, "{answer}");
}
