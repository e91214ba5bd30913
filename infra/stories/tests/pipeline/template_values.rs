//! What was picked in a template comes with one callback and stands in the queue: among many others, late, lost, or told again.

use serde_json::{Value, json};
use simulator_wire::{Effect, Fault};
use std::time::Duration;

use crate::{
    fixtures::{HOUR, MINUTE, goes_by},
    open_chat::{OpenChat, refuses},
    templates::{CONTENT, ana, body, follow_up, params, template},
};

const SECOND: Duration = Duration::from_secs(1);

fn list_fails(shop: &OpenChat, effect: Effect, times: Option<u32>) {
    let path = "/message_templates".to_owned();
    shop.world.meta.faults().add(Fault { method: Some("GET".to_owned()), path, skip: 0, times, effect });
}

impl OpenChat {
    /// Sofía writes so many answers, picks a template, and writes one more, before the bridge does anything.
    async fn writes_around_a_template(&self, before: usize) -> (Vec<String>, i64) {
        let mut texts: Vec<String> = (0..before).map(|at| format!("respuesta {at}")).collect();
        for text in &texts {
            self.sofia.replies(self.conversation, text).await;
        }
        let template = self.sofia.picks_template(self.conversation, params("seguimiento", &ana()), CONTENT).await;
        self.sofia.replies(self.conversation, "¿La vio?").await;
        texts.extend([CONTENT.to_owned(), "¿La vio?".to_owned()]);
        (texts, template)
    }
}

#[tokio::test]
async fn a_template_among_more_answers_than_a_batch_holds_keeps_its_values() {
    for before in [9, 12, 31] {
        let shop = OpenChat::open().await;
        shop.offers(vec![follow_up()]).await;
        let (texts, _) = shop.writes_around_a_template(before).await;
        goes_by(&shop.world, 10 * SECOND, SECOND).await;
        assert_eq!(shop.ana.heard(), texts, "{before}");
        assert_eq!(shop.sent_templates().len(), 1, "{before}");
    }
}

#[tokio::test]
async fn a_template_among_more_than_one_person_may_get_keeps_its_values() {
    let shop = OpenChat::open().await;
    shop.offers(vec![follow_up()]).await;
    let (texts, _) = shop.writes_around_a_template(58).await;
    goes_by(&shop.world, 3 * MINUTE, SECOND).await;
    assert_eq!(shop.ana.heard(), texts);
    assert_eq!(shop.sent_templates().len(), 1);
}

#[tokio::test]
async fn a_template_picked_while_meta_has_been_away_for_long_goes_out_as_a_template() {
    let shop = OpenChat::open().await;
    shop.offers(vec![follow_up()]).await;
    shop.world.meta.server().refuse().await;
    shop.says("uno").await;
    // Every round brings a hint without values.
    for _ in 0..14 {
        shop.later(5 * MINUTE).await;
        shop.reconciles().await;
    }
    let (texts, _) = shop.writes_around_a_template(0).await;
    shop.world.work().await.unwrap();
    shop.later(5 * MINUTE).await;
    shop.reconciles().await;
    shop.meta_is_back();
    goes_by(&shop.world, HOUR, 5 * MINUTE).await;
    assert_eq!(shop.ana.heard(), [vec!["uno".to_owned()], texts].concat());
    assert_eq!(shop.sent_templates().len(), 1);
}

#[tokio::test]
async fn values_that_come_late_are_used_unless_the_agent_was_told_it_is_too_late() {
    for (late, sent) in [(2 * MINUTE, true), (2 * HOUR, false)] {
        let shop = OpenChat::open().await;
        shop.offers(vec![follow_up()]).await;
        shop.world.chatwoot.callbacks().hold();
        let message = shop.sofia.picks_template(shop.conversation, params("seguimiento", &ana()), CONTENT).await;
        // It is not the last any more, and nothing goes out behind it.
        shop.ana.writes("hola").await.unwrap();
        shop.later(late).await;
        shop.reconciles().await;
        goes_by(&shop.world, 2 * MINUTE, 10 * SECOND).await;
        assert!(shop.mark(message).contains("o entregado: "), "{}", shop.mark(message));
        shop.world.chatwoot.callbacks().release();
        goes_by(&shop.world, 10 * SECOND, SECOND).await;
        assert_eq!(shop.sent_templates().len(), usize::from(sent), "{late:?}");
        if sent {
            assert_eq!(shop.mark(message), "sent");
            continue;
        }
        shop.retries(message).await;
        assert_eq!((shop.sent_templates().len(), shop.mark(message).as_str()), (1, "sent"));
    }
}

#[tokio::test]
async fn a_look_between_retry_and_its_callback_waits_for_the_values() {
    let shop = OpenChat::open().await;
    shop.offers(vec![follow_up()]).await;
    shop.meta_will(refuses(400, 131_026), 1);
    let message = shop.sofia.picks_template(shop.conversation, params("seguimiento", &ana()), CONTENT).await;
    shop.world.work().await.unwrap();
    shop.says("¿La vio?").await;
    shop.world.pass(SECOND);
    shop.world.chatwoot.callbacks().hold();
    shop.sofia.retries(shop.conversation, message).await;
    shop.world.pass(SECOND);
    // Somebody looks before Retry's callback is there.
    shop.reconciles().await;
    assert_eq!(shop.mark(message), "sent", "nothing is known to be wrong with it");
    shop.world.chatwoot.callbacks().release();
    goes_by(&shop.world, 10 * SECOND, SECOND).await;
    assert_eq!((shop.sent_templates().len(), shop.mark(message).as_str()), (1, "sent"));
}

#[tokio::test]
async fn while_meta_does_not_list_its_templates_one_without_a_callback_waits_with_what_stands_behind_it() {
    for effect in [Effect::DropBefore, refuses(429, 80_007)] {
        let shop = OpenChat::open().await;
        shop.offers(vec![follow_up()]).await;
        // A fresh function: nothing is remembered.
        list_fails(&shop, effect, Some(6));
        shop.world.chatwoot.callbacks().lose(1);
        let message = shop.sofia.picks_template(shop.conversation, params("seguimiento", &ana()), CONTENT).await;
        let second = shop.sofia.replies(shop.conversation, "¿La vio?").await;
        shop.world.work().await.unwrap();
        goes_by(&shop.world, 4 * SECOND, SECOND).await;
        // What it is is known by then; it waits for Meta alone.
        assert_eq!((shop.mark(message).as_str(), shop.ana.heard().len()), ("sent", 0));
        goes_by(&shop.world, 20 * MINUTE, 10 * SECOND).await;
        assert_eq!((shop.mark(message).as_str(), shop.mark(second).as_str()), ("sent", "sent"));
        assert_eq!(
            (shop.ana.heard(), shop.sent_templates().len()),
            (vec![CONTENT.to_owned(), "¿La vio?".to_owned()], 1)
        );
    }
}

#[tokio::test]
async fn a_list_that_may_not_be_read_is_said_in_its_own_words() {
    let shop = OpenChat::open().await;
    shop.offers(vec![follow_up()]).await;
    list_fails(&shop, refuses(403, 200), None);
    let message = shop.sofia.picks_template(shop.conversation, params("seguimiento", &ana()), CONTENT).await;
    shop.world.work().await.unwrap();
    assert!(shop.mark(message).contains("no deja que el puente consulte las plantillas"), "{}", shop.mark(message));
    let text = shop.says("Buenas").await;
    assert_eq!((shop.mark(text).as_str(), shop.ana.heard()), ("sent", vec!["Buenas".to_owned()]));
}

#[tokio::test]
async fn without_a_language_the_template_that_can_be_sent_and_reads_like_the_message_is_meant() {
    let in_language = |language: &str, status: &str, text: &str| -> Value {
        let mut one = template("aviso", "UTILITY", &json!([body(text)]));
        one["language"] = language.into();
        one["status"] = status.into();
        one
    };
    let shop = OpenChat::open().await;
    let all = vec![
        in_language("en_US", "APPROVED", "Your {{1}} is ready at the shop."),
        in_language("es_AR", "REJECTED", "Vení a buscar tu {{1}} cuando quieras."),
        in_language("es_MX", "APPROVED", "Tu {{1}} está lista en el taller."),
    ];
    shop.offers(all).await;
    for (content, language) in [
        ("Your RX 150 is ready at the shop.", "en_US"),
        ("Tu RX 150 está lista en el taller.", "es_MX"),
        ("otra cosa", "es_MX"),
    ] {
        let picked = json!({ "name": "aviso", "processed_params": { "body": { "1": "RX 150" } } });
        let message = shop.sofia.picks_template(shop.conversation, picked, content).await;
        shop.world.work().await.unwrap();
        assert_eq!(shop.mark(message), "sent", "{content}");
        assert_eq!(shop.sent_templates().pop().unwrap()["language"]["code"], json!(language), "{content}");
    }
}
