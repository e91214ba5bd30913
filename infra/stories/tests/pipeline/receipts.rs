//! What the customer sees of agents who read and type; and that none of it costs a message anything.

use std::time::Duration;

use domain::{Channel, Clock as _, Timestamp, channel::ReceiptSettings};
use simulator_wire::Effect;
use store::Channels;
use stories::{CHANNEL, COEXISTENCE_CHANNEL, World};

use crate::{
    fixtures::{MINUTE, always, goes_by, table},
    open_chat::{OpenChat, at, proxy_page, refuses},
};

const SECOND: Duration = Duration::from_secs(1);

impl OpenChat {
    /// Sofía types, and the bridge works.
    async fn types(&self) {
        self.sofia.types(self.conversation, true).await;
        self.world.work().await.unwrap();
    }

    async fn writes_again(&self, text: &str) {
        self.world.pass(SECOND);
        self.ana.writes(text).await.unwrap();
        self.world.work().await.unwrap();
    }

    fn marks(&self) -> usize {
        self.world.meta.marks().len()
    }
}

async fn with_receipts(world: &World, receipts: ReceiptSettings) {
    let channels = Channels::new(table(world));
    let known = channels.get(&domain::PhoneNumberId::new(CHANNEL)).await.unwrap().unwrap();
    channels.put(&Channel { receipts, ..(*known).clone() }).await.unwrap();
    // Channels are remembered for a minute.
    world.pass(2 * MINUTE);
}

#[tokio::test]
async fn an_answer_ticks_what_was_written_before_it() {
    let shop = OpenChat::open().await;
    shop.writes_again("¿siguen abiertos?").await;
    assert!(shop.ana.ticked().is_empty(), "nobody has answered");
    shop.says("Sí, hasta las siete").await;
    assert_eq!(shop.ana.ticked(), ["hola", "¿siguen abiertos?"]);
    assert_eq!(shop.marks(), 1);
    shop.says("Aquí la esperamos").await;
    assert_eq!(shop.marks(), 1, "there is nothing new to tick");
    shop.writes_again("voy").await;
    assert_eq!(shop.ana.ticked().len(), 2);
    shop.later(Duration::from_secs(3600)).await;
    shop.reconciles().await;
    shop.says("Perfecto").await;
    assert_eq!((shop.ana.ticked().len(), shop.marks()), (3, 2));
}

#[tokio::test]
async fn what_came_after_the_answer_is_not_ticked_by_it() {
    let shop = OpenChat::open().await;
    shop.world.chatwoot.callbacks().hold();
    shop.sofia.replies(shop.conversation, "Buenas").await;
    shop.writes_again("otra cosa").await;
    shop.world.chatwoot.callbacks().release();
    shop.world.work().await.unwrap();
    assert_eq!(shop.ana.heard(), ["Buenas"]);
    assert_eq!(shop.ana.ticked(), ["hola"]);
}

#[tokio::test]
async fn an_answer_hours_later_ticks_what_left_the_list_long_ago() {
    let shop = OpenChat::open().await;
    shop.sofia.notes(shop.conversation, "llamar mañana").await;
    shop.later(30 * MINUTE).await;
    shop.reconciles().await;
    shop.later(120 * MINUTE).await;
    shop.reconciles().await;
    shop.says("Buenas tardes").await;
    assert_eq!(shop.ana.ticked(), ["hola"]);
}

#[tokio::test]
async fn resolving_ticks_and_notes_greetings_and_reopening_do_not() {
    let shop = OpenChat::open().await;
    shop.sofia.notes(shop.conversation, "ya vino a la tienda").await;
    let rule = serde_json::json!({ "content": "Gracias por escribir", "message_type": "template" });
    assert_eq!(shop.calls_chatwoot(&format!("/conversations/{}/messages", shop.conversation), &rule).await, 200);
    shop.world.work().await.unwrap();
    assert_eq!(shop.ana.heard(), ["Gracias por escribir"]);
    assert_eq!(shop.marks(), 0);
    shop.sofia.resolves(shop.conversation).await;
    shop.world.work().await.unwrap();
    assert_eq!(shop.ana.ticked(), ["hola"]);
    shop.sofia.reopens(shop.conversation).await;
    shop.world.work().await.unwrap();
    assert_eq!(shop.marks(), 1);
}

#[tokio::test]
async fn what_is_written_after_resolving_stays_unread() {
    let shop = OpenChat::open().await;
    shop.world.pass(SECOND);
    shop.sofia.resolves(shop.conversation).await;
    shop.world.calm().await;
    shop.world.pass(2 * SECOND);
    shop.ana.writes("una cosa más").await.unwrap();
    shop.world.forward_once().await.unwrap();
    shop.world.work().await.unwrap();
    assert_eq!(shop.ana.ticked(), ["hola"]);
}

#[tokio::test]
async fn the_customer_sees_an_agent_type_until_the_answer_or_for_25_seconds() {
    let shop = OpenChat::open().await;
    shop.types().await;
    assert!(shop.ana.sees_typing());
    assert_eq!(shop.ana.ticked(), ["hola"], "Meta shows one only with the other");
    shop.world.pass(SECOND);
    shop.says("Buenas").await;
    assert!(!shop.ana.sees_typing());
    assert_eq!(shop.marks(), 1, "what typing ticked is not ticked again");
    shop.world.pass(10 * SECOND);
    shop.types().await;
    assert!(shop.ana.sees_typing());
    shop.world.pass(26 * SECOND);
    assert!(!shop.ana.sees_typing());
}

#[tokio::test]
async fn nobody_is_shown_to_type_who_types_a_note_or_too_late_or_has_sent_it_already() {
    let shop = OpenChat::open().await;
    shop.sofia.types_a_note(shop.conversation).await;
    shop.sofia.types(shop.conversation, false).await;
    shop.world.work().await.unwrap();
    assert_eq!(shop.marks(), 0);

    shop.sofia.types(shop.conversation, true).await;
    shop.world.calm().await;
    shop.later(30 * SECOND).await;
    assert_eq!(shop.marks(), 0, "told of too late");

    shop.sofia.types(shop.conversation, true).await;
    shop.says("Buenas").await;
    assert!(!shop.ana.sees_typing(), "the answer was faster");

    shop.later(Duration::from_secs(25 * 3600)).await;
    let before = shop.marks();
    shop.types().await;
    assert_eq!(shop.marks(), before, "the window is closed");
}

#[tokio::test]
async fn both_can_be_switched_off() {
    let shop = OpenChat::open().await;
    with_receipts(&shop.world, ReceiptSettings { read: true, typing: false }).await;
    shop.types().await;
    assert_eq!(shop.marks(), 0);
    shop.says("Buenas").await;
    assert_eq!(shop.marks(), 1);

    let shop = OpenChat::open().await;
    with_receipts(&shop.world, ReceiptSettings { read: false, typing: true }).await;
    shop.types().await;
    shop.says("Buenas").await;
    shop.sofia.resolves(shop.conversation).await;
    shop.world.work().await.unwrap();
    assert_eq!((shop.marks(), shop.ana.heard().len()), (0, 1));
}

#[tokio::test]
async fn receipts_that_fail_cost_no_message_anything_and_are_not_repeated() {
    for effect in [Effect::DropBefore, Effect::DropAfter, proxy_page(502), refuses(400, 131_009), refuses(400, 130_429)]
    {
        let shop = OpenChat::open().await;
        let mut second = at("/messages", effect.clone(), Some(1));
        second.skip = 1;
        shop.world.meta.faults().add(second);
        let first = shop.says("uno").await;
        let next = shop.says("dos").await;
        assert_eq!(shop.ana.heard(), ["uno", "dos"], "{effect:?}");
        assert_eq!((shop.mark(first), shop.mark(next)), ("sent".to_owned(), "sent".to_owned()), "{effect:?}");
        assert!(shop.marks() <= 1, "{effect:?}");
        assert_eq!((shop.world.queued("outbound"), shop.notes().len()), (0, 0), "{effect:?}");
        shop.later(2 * MINUTE).await;
        shop.writes_again("¿hola?").await;
        shop.says("tres").await;
        assert_eq!(shop.ana.ticked().len(), 2, "the next answer ticks all of it: {effect:?}");
    }
}

#[tokio::test]
async fn while_a_message_waits_typing_does_not_wait_behind_it() {
    let shop = OpenChat::open().await;
    shop.meta_will(refuses(503, 2), 100);
    shop.says("uno").await;
    goes_by(&shop.world, 20 * MINUTE, MINUTE).await;
    assert!(shop.ana.heard().is_empty() && shop.ana.ticked().is_empty(), "what is not out ticks nothing");
    shop.world.meta.faults().clear();
    shop.sofia.types(shop.conversation, true).await;
    shop.world.calm().await;
    shop.world.send_once().await.unwrap();
    assert!(shop.ana.sees_typing() && shop.ana.heard().is_empty());
    goes_by(&shop.world, 30 * MINUTE, 15 * MINUTE).await;
    assert_eq!(shop.ana.heard(), ["uno"]);
}

#[tokio::test]
async fn where_chatwoots_list_cannot_be_had_typing_is_let_go() {
    let shop = OpenChat::open().await;
    shop.world.chatwoot.faults().add(always("GET", "/messages", crate::fixtures::answer(500)));
    shop.types().await;
    assert_eq!((shop.marks(), shop.world.queued("outbound")), (0, 0));
}

#[tokio::test]
async fn what_the_shops_phone_has_read_already_may_be_ticked_once_more() {
    let shop = OpenChat::open().await;
    let beto = shop.world.meta.customer("Beto", "5215555550129").at(COEXISTENCE_CHANNEL);
    beto.writes("hola, taller").await.unwrap();
    shop.world.work().await.unwrap();
    shop.world.meta.echo(&beto, "un momento").await.unwrap();
    shop.world.work().await.unwrap();
    let conversation = shop.world.conversation("Beto").unwrap();
    shop.sofia.replies(conversation, "Dígame").await;
    shop.world.work().await.unwrap();
    assert_eq!(beto.ticked(), ["hola, taller"]);
}

#[tokio::test]
async fn a_callback_without_an_account_is_the_channels_and_another_inboxs_is_nobodys() {
    let shop = OpenChat::open().await;
    let post = async |inbox: i64| {
        let body = serde_json::json!({ "event": "conversation_typing_on", "is_private": false,
            "user": { "id": 1, "type": "user" }, "conversation": { "id": shop.conversation, "inbox_id": inbox } });
        let secret = stories::PATH_SECRET;
        let path = format!("/callbacks/chatwoot/{CHANNEL}/{secret}");
        let json = [("content-type", "application/json")];
        let status = crate::open_chat::post(&shop.world.url(), &path, &json, body.to_string().as_bytes()).await;
        shop.world.work().await.unwrap();
        status
    };
    assert_eq!((post(15).await, shop.marks()), (200, 0));
    assert_eq!((post(14).await, shop.marks()), (200, 1));
    assert!(shop.world.clock.now() > Timestamp::default());
}

#[tokio::test]
async fn resolving_a_conversation_nobody_wrote_in_makes_no_customer() {
    let shop = OpenChat::open().await;
    let contact = shop.sofia.adds_contact("Carolina", Some("+525555550166")).await;
    shop.world.chatwoot.callbacks().lose(2);
    let (conversation, _) = shop.sofia.starts_conversation(contact, 14, "hola").await;
    shop.world.work().await.unwrap();
    let before = crate::erasure::items(&shop.world).await.len();
    shop.sofia.resolves(conversation).await;
    shop.world.work().await.unwrap();
    assert_eq!(crate::erasure::items(&shop.world).await.len(), before);
}

#[tokio::test]
async fn one_numbers_trouble_silences_no_other_and_what_resolving_asked_for_is_made_up_for() {
    for effect in [Effect::HangBefore, Effect::DropBefore, proxy_page(502), refuses(400, 130_429)] {
        let shop = OpenChat::open().await;
        let beto = shop.world.meta.customer("Beto", "5215555550129").at(COEXISTENCE_CHANNEL);
        beto.writes("hola, taller").await.unwrap();
        shop.world.work().await.unwrap();
        shop.world.meta.faults().add(at(&format!("/{CHANNEL}/messages"), effect.clone(), Some(1)));
        shop.sofia.resolves(shop.conversation).await;
        shop.world.work().await.unwrap();
        assert!(shop.ana.ticked().is_empty(), "{effect:?}");

        shop.sofia.replies(shop.world.conversation("Beto").unwrap(), "Dígame").await;
        shop.world.work().await.unwrap();
        assert_eq!(beto.ticked(), ["hola, taller"], "{effect:?}");

        shop.sofia.resolves(shop.conversation).await;
        shop.reconciles().await;
        assert!(shop.ana.ticked().is_empty(), "none of this number's is tried for a minute: {effect:?}");
        for _ in 0..3 {
            shop.later(5 * MINUTE).await;
            shop.reconciles().await;
            assert_eq!(shop.ana.ticked(), ["hola"], "{effect:?}");
        }
        let ours = shop.world.meta.marks().into_iter().filter(|mark| mark.status == 200).count();
        assert_eq!(ours, 2, "one each: {effect:?}");
    }
}

#[tokio::test]
async fn ticks_do_not_wait_for_another_conversations_messages() {
    let shop = OpenChat::open().await;
    let beto = shop.world.meta.customer("Beto", "5215555550199");
    beto.writes("buenas").await.unwrap();
    shop.world.work().await.unwrap();
    let slow = Effect::Slow { millis: 5_000 };
    let mut fault = at("/messages", slow, Some(1));
    fault.method = Some("GET".to_owned());
    fault.path = format!("/conversations/{}/messages", shop.world.conversation("Beto").unwrap());
    shop.world.chatwoot.faults().add(fault);
    shop.sofia.replies(shop.conversation, "Buenas, Ana").await;
    shop.sofia.replies(shop.world.conversation("Beto").unwrap(), "Buenas, Beto").await;
    shop.world.calm().await;
    let batch = shop.world.send_once();
    let ticked = async {
        while shop.ana.ticked().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::pin!(batch);
    tokio::select! {
        biased;
        _ = &mut batch => panic!("the batch is over before anything is ticked"),
        () = ticked => assert!(beto.heard().is_empty()),
    }
    batch.await.unwrap();
    assert_eq!((beto.heard(), beto.ticked()), (vec!["Buenas, Beto".to_owned()], vec!["buenas".to_owned()]));
}
