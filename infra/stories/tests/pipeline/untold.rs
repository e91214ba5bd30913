//! Messages whose callback is late or lost: what is a template is never sent as words, whatever its text is.

use std::time::Duration;

use axum::{Router, http::StatusCode};
use serde_json::{Value, json};
use simulator_wire::{Faults, Server};

use crate::{
    fixtures::{MINUTE, always, answer, goes_by},
    open_chat::{OpenChat, refuses},
    templates::{CONTENT, ana, follow_up, params},
};

const SECOND: Duration = Duration::from_secs(1);

/// What an integration writes where a template goes out.
const PLACEHOLDER: &str = "Plantilla: seguimiento";

/// Words that may be one, since its name is among them.
const NAMED: &str = "¿Vio el seguimiento?";

const ASKED: &str = "Aún no entregado: Chatwoot no dijo si este mensaje es una plantilla";

impl OpenChat {
    async fn open_with_templates() -> Self {
        let shop = Self::open().await;
        shop.offers(vec![follow_up()]).await;
        shop
    }

    async fn injects(&self, content: &str) -> i64 {
        self.sofia.picks_template(self.conversation, params("seguimiento", &ana()), content).await
    }

    async fn seconds(&self, count: u32) {
        goes_by(&self.world, SECOND * count, SECOND).await;
    }
}

#[tokio::test]
async fn a_text_whose_hint_comes_first_waits_for_the_templates_callback() {
    let shop = OpenChat::open_with_templates().await;
    shop.world.chatwoot.callbacks().hold();
    let message = shop.injects(PLACEHOLDER).await;
    shop.sofia.replies(shop.conversation, "¿La vio?").await;
    shop.reconciles().await;
    assert_eq!((shop.ana.heard().len(), shop.mark(message).as_str()), (0, "sent"));
    shop.world.chatwoot.callbacks().release();
    shop.seconds(1).await;
    assert_eq!(shop.ana.heard(), [CONTENT, "¿La vio?"]);
    assert_eq!(shop.sent_templates().len(), 1);
}

#[tokio::test]
async fn a_callback_that_waits_in_chatwoots_own_queue_for_minutes_is_waited_for() {
    let shop = OpenChat::open_with_templates().await;
    shop.world.chatwoot.callbacks().hold();
    shop.injects("x").await;
    shop.sofia.replies(shop.conversation, "¿La vio?").await;
    for _ in 0..3 {
        shop.reconciles().await;
        goes_by(&shop.world, MINUTE, 10 * SECOND).await;
    }
    assert!(shop.ana.heard().is_empty(), "{:?}", shop.ana.heard());
    shop.world.chatwoot.callbacks().release();
    goes_by(&shop.world, 30 * SECOND, 10 * SECOND).await;
    assert_eq!(shop.ana.heard(), [CONTENT, "¿La vio?"]);
    assert_eq!(shop.sent_templates().len(), 1);
}

#[tokio::test]
async fn a_template_whose_callback_is_lost_goes_out_as_a_template_in_its_place() {
    for (content, count) in [(PLACEHOLDER, 1), (CONTENT, 1), ("x", 3)] {
        let shop = OpenChat::open_with_templates().await;
        shop.world.chatwoot.callbacks().lose(count);
        for _ in 0..count {
            shop.injects(content).await;
        }
        let text = shop.sofia.replies(shop.conversation, "¿La vio?").await;
        shop.world.work().await.unwrap();
        shop.seconds(3 * count).await;
        let expected: Vec<_> = (0..count).map(|_| CONTENT).chain(["¿La vio?"]).collect();
        assert_eq!(shop.ana.heard(), expected, "{content}");
        assert_eq!((shop.sent_templates().len(), shop.mark(text).as_str()), (count as usize, "sent"), "{content}");
        let red =
            shop.world.chatwoot.messages(shop.conversation).into_iter().filter(|one| one.status == "failed").count();
        assert_eq!(red, 0, "{content}");
    }
}

#[tokio::test]
async fn a_template_written_before_the_bridge_knew_of_any_is_none_the_less_one() {
    for content in [PLACEHOLDER, CONTENT] {
        let shop = OpenChat::open().await;
        shop.reconciles().await;
        shop.world.meta.set_templates("109876543210987", vec![follow_up()]);
        shop.world.chatwoot.callbacks().lose(1);
        shop.injects(content).await;
        shop.says("¿La vio?").await;
        shop.seconds(3).await;
        assert_eq!(shop.ana.heard(), [CONTENT, "¿La vio?"], "{content}");
        assert_eq!(shop.sent_templates().len(), 1, "{content}");
    }
}

#[tokio::test]
async fn what_cannot_be_known_is_held_in_words_and_retry_sends_it_as_what_it_is() {
    let shop = OpenChat::open_with_templates().await;
    shop.world.chatwoot.callbacks().lose(1000);
    let template = shop.injects(PLACEHOLDER).await;
    let words = shop.sofia.replies(shop.conversation, NAMED).await;
    shop.sofia.replies(shop.conversation, "¿La vio?").await;
    shop.world.calm().await;
    for _ in 0..3 {
        shop.later(5 * MINUTE).await;
        shop.reconciles().await;
        goes_by(&shop.world, 2 * MINUTE, 10 * SECOND).await;
    }
    assert_eq!(shop.ana.heard(), ["¿La vio?"], "the last message is shown whole");
    assert!(shop.mark(template).starts_with(ASKED) && shop.mark(words).starts_with(ASKED), "{}", shop.mark(words));
    shop.world.chatwoot.callbacks().lose(0);
    for message in [template, words] {
        shop.retries(message).await;
        shop.seconds(2).await;
        assert_eq!(shop.mark(message), "sent");
    }
    assert_eq!(shop.ana.heard(), ["¿La vio?", CONTENT, NAMED]);
}

#[tokio::test]
async fn where_no_callback_arrives_what_cannot_be_a_template_goes_out_as_words_in_its_place() {
    let shop = OpenChat::open_with_templates().await;
    shop.world.chatwoot.callbacks().lose(100_000);
    let first = shop.sofia.replies(shop.conversation, "Buenas").await;
    let held = [
        shop.injects(PLACEHOLDER).await,
        shop.sofia.replies(shop.conversation, NAMED).await,
        shop.sofia.replies(shop.conversation, "Aviso: ¿pudiste ver la cotización de la RX 150?").await,
    ];
    let second = shop.sofia.replies(shop.conversation, "¿La vio?").await;
    shop.reconciles().await;
    goes_by(&shop.world, 50 * SECOND, 10 * SECOND).await;
    // Its callback may still come; and what is written now does not go past them.
    assert!(shop.ana.heard().is_empty(), "{:?}", shop.ana.heard());
    let third = shop.sofia.replies(shop.conversation, "Aquí sigo").await;
    shop.reconciles().await;
    assert!(shop.ana.heard().is_empty(), "{:?}", shop.ana.heard());
    for _ in 0..3 {
        goes_by(&shop.world, 2 * MINUTE, 10 * SECOND).await;
        shop.reconciles().await;
    }
    assert_eq!(shop.ana.heard(), ["Buenas", "¿La vio?", "Aquí sigo"]);
    for message in [first, second, third] {
        assert_eq!(shop.mark(message), "sent");
    }
    for message in held {
        assert!(shop.mark(message).starts_with(ASKED), "{}", shop.mark(message));
    }
}

#[tokio::test]
async fn what_becomes_known_late_goes_out_by_itself_while_nothing_went_out_behind_it() {
    let shop = OpenChat::open_with_templates().await;
    shop.world.chatwoot.callbacks().hold();
    let template = shop.injects(PLACEHOLDER).await;
    let words = shop.sofia.replies(shop.conversation, NAMED).await;
    shop.ana.writes("hola").await.unwrap();
    shop.reconciles().await;
    goes_by(&shop.world, 5 * MINUTE, 10 * SECOND).await;
    assert!(shop.mark(template).starts_with(ASKED) && shop.mark(words).starts_with(ASKED));
    shop.world.chatwoot.callbacks().release();
    shop.seconds(5).await;
    assert_eq!(shop.ana.heard(), [CONTENT, NAMED]);
    assert_eq!((shop.mark(template), shop.mark(words)), ("sent".to_owned(), "sent".to_owned()));
}

#[tokio::test]
async fn what_becomes_known_once_a_later_message_is_out_waits_for_retry() {
    let shop = OpenChat::open_with_templates().await;
    shop.world.chatwoot.callbacks().hold();
    let template = shop.injects(PLACEHOLDER).await;
    let words = shop.sofia.replies(shop.conversation, NAMED).await;
    shop.sofia.replies(shop.conversation, "¿La vio?").await;
    shop.reconciles().await;
    goes_by(&shop.world, 5 * MINUTE, 10 * SECOND).await;
    assert_eq!(shop.ana.heard(), ["¿La vio?"]);
    shop.world.chatwoot.callbacks().release();
    shop.seconds(5).await;
    assert_eq!(shop.ana.heard(), ["¿La vio?"], "nothing changes its place by itself");
    for message in [words, template] {
        assert!(shop.mark(message).starts_with(ASKED), "{}", shop.mark(message));
        shop.retries(message).await;
        shop.seconds(3).await;
        assert_eq!(shop.mark(message), "sent");
    }
    assert_eq!(shop.ana.heard(), ["¿La vio?", NAMED, CONTENT]);
}

#[tokio::test]
async fn where_no_callback_arrives_retry_sends_words_once_and_never_what_may_be_a_template() {
    let shop = OpenChat::open_with_templates().await;
    shop.world.chatwoot.callbacks().lose(100_000);
    // What Meta does not list nobody can tell from words.
    shop.world.meta.faults().add(always("GET", "/message_templates", answer(500)));
    let like = shop.sofia.replies(shop.conversation, CONTENT).await;
    let first = shop.sofia.replies(shop.conversation, "Buenas").await;
    shop.sofia.replies(shop.conversation, "¿La vio?").await;
    let rounds = async || {
        for _ in 0..3 {
            shop.later(5 * MINUTE).await;
            shop.reconciles().await;
            goes_by(&shop.world, 2 * MINUTE, 10 * SECOND).await;
        }
    };
    rounds().await;
    assert_eq!(shop.ana.heard(), ["¿La vio?"]);
    shop.world.meta.faults().clear();
    for message in [first, like] {
        shop.retries(message).await;
        rounds().await;
    }
    assert_eq!(shop.ana.heard(), ["¿La vio?", "Buenas"]);
    assert_eq!(shop.mark(first), "sent");
    assert!(shop.mark(like).contains("podría serlo"), "{}", shop.mark(like));
}

/// Chatwoot gets 401 for each callback; the door says so as long as it is held.
async fn callbacks_are_refused(shop: &OpenChat) -> Server {
    let router = Router::new().fallback(async || StatusCode::UNAUTHORIZED);
    let server = Server::start("127.0.0.1:0".parse().unwrap(), router, Faults::default()).await.unwrap();
    shop.world.chatwoot.set_callback_url(14, &server.url());
    server
}

impl OpenChat {
    async fn looks(&self, times: u32) {
        for _ in 0..times {
            self.later(5 * MINUTE).await;
            self.reconciles().await;
            self.seconds(90).await;
            self.world.calm().await;
        }
    }

    /// Retry, whose own callback fails at once.
    async fn retries_in_vain(&self, message: i64) {
        self.world.pass(SECOND);
        self.sofia.retries(self.conversation, message).await;
        self.world.calm().await;
        assert_eq!(self.mark(message), "401 Unauthorized");
    }

    fn lines(&self) -> Vec<String> {
        let messages = self.world.chatwoot.messages(self.conversation).into_iter();
        messages.map(|message| message.content).filter(|content| content.starts_with("⚠️ Chatwoot no logra")).collect()
    }
}

#[tokio::test]
async fn where_every_callback_is_refused_retry_still_sends_a_held_answer_once() {
    for newer in [false, true] {
        let shop = OpenChat::open_with_templates().await;
        shop.world.chatwoot.retry_like_newer_versions(newer);
        let _door = callbacks_are_refused(&shop).await;
        // What Meta does not list nobody can tell from words.
        shop.world.meta.faults().add(always("GET", "/message_templates", answer(500)));
        let first = shop.sofia.replies(shop.conversation, "Buenas tardes").await;
        shop.sofia.replies(shop.conversation, "¿La vio?").await;
        shop.looks(3).await;
        assert_eq!((shop.ana.heard(), shop.mark(first).as_str()), (vec!["¿La vio?".to_owned()], "401 Unauthorized"));
        // Her reason stands in a line, since Chatwoot's words stand on the message.
        assert_eq!(shop.lines().len(), 1, "{:?}", shop.lines());
        assert!(shop.lines()[0].contains("«Buenas tardes»") && shop.lines()[0].contains(ASKED), "{:?}", shop.lines());
        shop.world.meta.faults().clear();
        shop.retries_in_vain(first).await;
        shop.looks(4).await;
        // Later versions leave everything but the error as it was: there nothing tells of a Retry.
        let expected = if newer { vec!["¿La vio?"] } else { vec!["¿La vio?", "Buenas tardes"] };
        assert_eq!(shop.ana.heard(), expected);
        shop.looks(3).await;
        assert_eq!((shop.ana.heard(), shop.lines().len()), (expected.iter().map(ToString::to_string).collect(), 1));
    }
}

#[tokio::test]
async fn where_every_callback_is_refused_retry_sends_what_failed_for_another_reason_once() {
    let shop = OpenChat::open().await;
    let _door = callbacks_are_refused(&shop).await;
    shop.meta_will(refuses(400, 131_000), 1);
    shop.meta_will(refuses(400, 131_009), 1);
    let message = shop.sofia.replies(shop.conversation, "Con gusto").await;
    shop.looks(4).await;
    assert!(shop.ana.heard().is_empty());
    assert_eq!((shop.mark(message).as_str(), shop.lines().len()), ("401 Unauthorized", 1));
    shop.world.meta.faults().clear();
    for _ in 0..2 {
        shop.retries_in_vain(message).await;
        shop.looks(3).await;
        assert_eq!(shop.ana.heard(), ["Con gusto"]);
    }
}

#[tokio::test]
async fn where_no_tag_stands_the_line_says_that_retry_is_not_noticed() {
    let shop = OpenChat::open_with_templates().await;
    shop.world.chatwoot.faults().add(always("PATCH", "/public/api", answer(404)));
    shop.world.meta.faults().add(always("GET", "/message_templates", answer(500)));
    let _door = callbacks_are_refused(&shop).await;
    shop.sofia.replies(shop.conversation, "Buenas tardes").await;
    shop.sofia.replies(shop.conversation, "¿La vio?").await;
    shop.looks(3).await;
    assert!(shop.lines().len() == 1 && shop.lines()[0].contains("escríbelo de nuevo"), "{:?}", shop.lines());
    shop.sofia.replies(shop.conversation, "Buenas tardes").await;
    shop.looks(1).await;
    assert_eq!(shop.ana.heard(), ["¿La vio?", "Buenas tardes"]);
}

#[tokio::test]
async fn where_a_mark_cannot_be_taken_back_nothing_goes_out_and_stays_red() {
    let shop = OpenChat::open_with_templates().await;
    shop.world.chatwoot.let_failed_stay(true);
    shop.world.chatwoot.callbacks().lose(1);
    let first = shop.says("uno").await;
    let second = shop.says("dos").await;
    shop.seconds(3).await;
    for message in [first, second] {
        let out = shop.ana.heard().contains(&shop.message(message).content);
        assert_eq!(out, shop.mark(message) == "sent", "{}", shop.mark(message));
    }
    shop.retries(first).await;
    shop.seconds(3).await;
    assert_eq!(shop.ana.heard().iter().filter(|text| *text == "uno").count(), 1);
    assert_eq!((shop.mark(first), shop.mark(second)), ("sent".to_owned(), "sent".to_owned()));
}

#[tokio::test]
async fn plain_words_whose_callback_is_lost_are_hardly_later_and_keep_their_place() {
    let shop = OpenChat::open_with_templates().await;
    shop.world.chatwoot.callbacks().lose(1);
    let first = shop.says("uno").await;
    let second = shop.says("dos").await;
    assert!(shop.ana.heard().is_empty());
    shop.seconds(2).await;
    assert_eq!(shop.ana.heard(), ["uno", "dos"]);
    assert_eq!((shop.mark(first), shop.mark(second)), ("sent".to_owned(), "sent".to_owned()));
    // Where nothing is lost nothing waits, and where there are no templates nothing does either.
    for text in ["tres", "cuatro", "cinco"] {
        shop.sofia.replies(shop.conversation, text).await;
    }
    shop.world.work().await.unwrap();
    assert_eq!(shop.ana.heard().len(), 5);
    let shop = OpenChat::open().await;
    shop.world.chatwoot.callbacks().lose(1);
    shop.says("uno").await;
    shop.says("dos").await;
    assert_eq!(shop.ana.heard(), ["uno", "dos"]);
}

#[tokio::test]
async fn a_template_a_bot_writes_by_the_api_is_one_whatever_stands_behind_it() {
    let shop = OpenChat::open_with_templates().await;
    shop.world.chatwoot.callbacks().lose(1);
    let path = format!("/conversations/{}/messages", shop.conversation);
    let picked: Value = params("seguimiento", &ana());
    let body = json!({ "content": PLACEHOLDER, "template_params": picked });
    assert_eq!(shop.calls_chatwoot(&path, &body).await, 200);
    // The customer writes, and an agent a note.
    shop.ana.writes("hola").await.unwrap();
    shop.sofia.notes(shop.conversation, "/estado").await;
    shop.world.work().await.unwrap();
    shop.reconciles().await;
    shop.seconds(3).await;
    assert_eq!(shop.ana.heard(), [CONTENT]);
    assert_eq!(shop.sent_templates().len(), 1);
}
