//! Statuses come in any order, twice, too early, or by the message's id alone; what the agent sees in the end is the same.

use std::{future::Future, pin::pin, task::Poll};

use domain::Clock as _;
use serde_json::{Value, json};
use simulator_chatwoot::MessageView;
use simulator_meta::{Customer, Rules};
use stories::{CHANNEL, COEXISTENCE_CHANNEL, World};

use crate::fixtures::{
    HOUR, MINUTE, always, ana, ana_wrote, answer, columns, counted, goes_by, once, patience, post, rounds, sheet,
    sheet_of, status,
};

const WORDS: [&str; 4] = ["sent", "failed", "delivered", "read"];

/// Every order of every choice of the four.
fn orders() -> Vec<Vec<&'static str>> {
    let mut all: Vec<Vec<&str>> = WORDS.iter().map(|word| vec![*word]).collect();
    let mut longer = all.clone();
    for _ in 1..WORDS.len() {
        let with = |order: &Vec<&'static str>| {
            let order = order.clone();
            let rest = WORDS.iter().filter(|word| !order.contains(word)).copied().collect::<Vec<_>>();
            rest.into_iter().map(move |word| [order.clone(), vec![word]].concat())
        };
        longer = longer.iter().flat_map(with).collect();
        all.extend(longer.iter().cloned());
    }
    all
}

/// What the agent should see: the furthest of them. What was delivered did not fail.
fn furthest(order: &[&str]) -> &'static str {
    WORDS.iter().rev().find(|word| order.contains(word)).copied().unwrap_or("sent")
}

/// Several statuses in one body, each with the reference of the message or without.
pub(crate) fn several(words: &[&str], wamid: &str, reference: Option<&str>) -> Value {
    let mut all = status(wamid, words[0], reference);
    let value = "/entry/0/changes/0/value/statuses/0";
    let statuses: Vec<_> = words.iter().map(|word| status(wamid, word, reference).pointer(value).cloned()).collect();
    all["entry"][0]["changes"][0]["value"]["statuses"] = json!(statuses);
    all
}

pub(crate) async fn answered(world: &World) -> (Customer, i64) {
    let (ana, conversation) = ana_wrote(world).await;
    world.meta.set_rules(Rules { pair_rate: false, throughput: false, ..Rules::default() });
    (ana, conversation)
}

pub(crate) fn message(world: &World, conversation: i64, id: i64) -> MessageView {
    world.chatwoot.messages(conversation).into_iter().find(|message| message.id == id).unwrap()
}

/// The reference the bridge wrote into its latest send, and the id Meta gave it.
pub(crate) fn latest(world: &World) -> (String, String) {
    let sent = world.meta.requests().into_iter().rfind(|request| request.wamid.is_some()).unwrap();
    (sent.body["biz_opaque_callback_data"].as_str().unwrap().to_owned(), sent.wamid.unwrap())
}

async fn every_order_ends_the_same(with_reference: bool) {
    let world = World::start().await.unwrap();
    let (_, conversation) = answered(&world).await;
    let sofia = world.chatwoot.agent("Sofía");
    let mut sent = Vec::new();
    for order in orders() {
        let id = sofia.replies(conversation, &order.join(" ")).await;
        world.later(MINUTE / 4).await.unwrap();
        let (reference, wamid) = latest(&world);
        let reference = with_reference.then_some(reference);
        assert_eq!(post(&world, &several(&order, &wamid, reference.as_deref())).await, 200);
        world.work().await.unwrap();
        let shown = message(&world, conversation, id);
        assert_eq!(shown.status, furthest(&order), "{order:?}");
        assert_eq!(shown.external_error.is_some(), furthest(&order) == "failed", "{order:?}");
        sent.push((id, order, wamid, reference));
    }
    // All of it again, in the reverse order, when the queue no longer remembers.
    world.pass(10 * MINUTE);
    for (id, order, wamid, reference) in sent {
        let again: Vec<_> = order.iter().rev().copied().collect();
        post(&world, &several(&again, &wamid, reference.as_deref())).await;
        world.work().await.unwrap();
        assert_eq!(message(&world, conversation, id).status, furthest(&order), "{again:?}");
    }
    assert_eq!(world.dead_letters("inbound"), []);
}

#[tokio::test]
async fn every_order_with_duplicates_ends_the_same() {
    every_order_ends_the_same(true).await;
}

#[tokio::test]
async fn every_order_ends_the_same_by_the_id_alone() {
    every_order_ends_the_same(false).await;
}

/// Lets the bridge send, stops it in the moment Meta has the message, lets `meanwhile` happen, and lets it go on.
pub(crate) async fn meanwhile<F: Future<Output = ()>>(
    world: &World,
    ana: &Customer,
    meanwhile: impl FnOnce(String) -> F,
) {
    let before = ana.heard().len();
    world.calm().await;
    let mut sending = pin!(world.send_once());
    let meta_has_it = std::future::poll_fn(|context| {
        assert!(sending.as_mut().poll(context).is_pending(), "the send was over too soon");
        context.waker().wake_by_ref();
        if ana.heard().len() > before { Poll::Ready(()) } else { Poll::Pending }
    });
    meta_has_it.await;
    meanwhile(ana.phone().pop().unwrap().wamid).await;
    sending.await.unwrap();
    world.work().await.unwrap();
}

#[tokio::test]
async fn a_status_before_the_send_result_is_stored_is_not_lost() {
    let world = World::start().await.unwrap();
    let (ana, conversation) = answered(&world).await;
    for with_reference in [true, false] {
        for order in [["read", "delivered"], ["delivered", "read"], ["failed", "sent"], ["sent", "delivered"]] {
            let id = world.chatwoot.agent("Sofía").replies(conversation, "Sí").await;
            meanwhile(&world, &ana, async |wamid| {
                let reference = with_reference.then(|| latest(&world).0);
                assert_eq!(post(&world, &several(&order, &wamid, reference.as_deref())).await, 200);
                assert!(world.forward_once().await.unwrap());
            })
            .await;
            world.reconcile().await.unwrap();
            world.work().await.unwrap();
            assert_eq!(message(&world, conversation, id).status, furthest(&order), "{order:?} {with_reference}");
        }
    }
    assert_eq!(ana.heard().len(), 8);
}

#[tokio::test]
async fn a_send_whose_result_was_never_stored_is_settled_by_its_first_status() {
    let world = World::start().await.unwrap();
    let (ana, conversation) = answered(&world).await;
    let mut awaits = 0;
    let id = loop {
        let id = world.chatwoot.agent("Sofía").replies(conversation, "Sí").await;
        world.calm().await;
        let before = ana.heard().len();
        assert!(world.send_killed(awaits).await.unwrap(), "it was sent and stored");
        if ana.heard().len() > before {
            break id;
        }
        awaits += 1;
        world.later(13 * MINUTE).await.unwrap();
    };
    let heard = ana.heard();
    ana.status(&ana.phone().pop().unwrap().wamid, "delivered", None).await;
    world.work().await.unwrap();
    goes_by(&world, HOUR, 5 * MINUTE).await;
    assert_eq!(message(&world, conversation, id).status, "delivered");
    assert_eq!(ana.heard(), heard);
}

#[tokio::test]
async fn a_message_of_several_parts_is_as_far_as_its_slowest() {
    let world = World::start().await.unwrap();
    let (ana, conversation) = answered(&world).await;
    let file = |name: &str| (name.to_owned(), "application/pdf".to_owned(), b"%PDF".to_vec());
    let sofia = world.chatwoot.agent("Sofía");
    let files = vec![file("a.pdf"), file("b.pdf"), file("c.pdf")];
    let id = sofia.sends_files(conversation, None, files).await;
    world.work().await.unwrap();
    let parts: Vec<_> = ana.received().into_iter().map(|b| b.wamid).collect();
    assert_eq!(parts.len(), 3);
    let steps = [
        (2, "read", "sent"),
        (0, "delivered", "sent"),
        (1, "delivered", "delivered"),
        (0, "read", "delivered"),
        (1, "read", "read"),
        (2, "sent", "read"),
    ];
    for (part, word, expected) in steps {
        ana.status(&parts[part], word, None).await;
        world.work().await.unwrap();
        assert_eq!(message(&world, conversation, id).status, expected, "part {part} {word}");
    }
    // One of them fails: the agent reads how many went out.
    let id = sofia.sends_files(conversation, None, vec![file("d.pdf"), file("e.pdf")]).await;
    world.work().await.unwrap();
    let failed = ana.phone().pop().unwrap().wamid;
    ana.status(&failed, "failed", Some(json!([{"code": 131_053, "title": "Media upload error"}]))).await;
    world.work().await.unwrap();
    let told = message(&world, conversation, id).external_error.unwrap();
    assert!(told.starts_with("Salieron 1 de 2 partes. No entregado: WhatsApp no aceptó este archivo"), "{told}");
}

#[tokio::test]
async fn chatwoot_cannot_be_told_for_a_while() {
    let world = World::start().await.unwrap();
    let (ana, conversation) = answered(&world).await;
    let id = world.chatwoot.agent("Sofía").replies(conversation, "Sí").await;
    world.work().await.unwrap();
    world.chatwoot.faults().add(always("PATCH", "/messages", answer(502)));
    let wamid = ana.phone().pop().unwrap().wamid;
    for word in ["sent", "delivered", "read"] {
        ana.status(&wamid, word, None).await;
        world.work().await.unwrap();
        goes_by(&world, 2 * HOUR, 10 * MINUTE).await;
    }
    assert_eq!(message(&world, conversation, id).status, "sent");
    world.chatwoot.faults().clear();
    patience(&world).await;
    assert_eq!(message(&world, conversation, id).status, "read");
    for status in [401, 429, 500] {
        let id = world.chatwoot.agent("Sofía").replies(conversation, "¿Algo más?").await;
        world.work().await.unwrap();
        world.chatwoot.faults().add(once("PATCH", "/messages", answer(status)));
        ana.status(&ana.phone().pop().unwrap().wamid, "delivered", None).await;
        world.work().await.unwrap();
        goes_by(&world, MINUTE, MINUTE / 6).await;
        assert_eq!(message(&world, conversation, id).status, "delivered", "after {status}");
    }
}

#[tokio::test]
async fn a_status_of_a_message_somebody_else_sent_changes_nothing() {
    let world = World::start().await.unwrap();
    let (_, conversation) = answered(&world).await;
    world.chatwoot.agent("Sofía").replies(conversation, "Sí").await;
    world.work().await.unwrap();
    let before = world.agent_reads("Ana");
    for reference in [None, Some("campaign-7"), Some("lm1:3:1:1:0:1"), Some("lm1:99:481:90201:0:1")] {
        for word in ["delivered", "read", "failed", "warning"] {
            post(&world, &status("wamid.of-another-app", word, reference)).await;
        }
    }
    world.work().await.unwrap();
    assert_eq!(world.agent_reads("Ana"), before);
    assert_eq!((world.queued("inbound"), world.dead_letters("inbound").len()), (0, 0));
}

#[tokio::test]
async fn a_status_nobody_can_place_waits_a_day_and_is_counted_then() {
    let world = World::start().await.unwrap();
    answered(&world).await;
    for word in ["delivered", "read"] {
        post(&world, &status("wamid.of-another-app", word, None)).await;
    }
    // A repeat of one that waits is a repeat.
    world.work().await.unwrap();
    post(&world, &status("wamid.of-another-app", "read", None)).await;
    world.work().await.unwrap();
    let waiting = columns(&[("done", 1), ("duplicate", 1), ("received", 4), ("waiting", 2)]);
    assert_eq!(sheet(&world, CHANNEL).await, waiting);
    let day = world.clock.now().day();
    rounds(&world, 23 * HOUR, HOUR).await;
    assert_eq!(sheet_of(&world, CHANNEL, day).await, waiting);
    rounds(&world, 65 * MINUTE, 5 * MINUTE).await;
    let refused = columns(&[("done", 1), ("duplicate", 1), ("received", 4), ("refused_unknown_message", 2)]);
    assert_eq!(sheet_of(&world, CHANNEL, day).await, refused);
    // Long after, it is still a repeat.
    post(&world, &status("wamid.of-another-app", "read", None)).await;
    rounds(&world, HOUR, 5 * MINUTE).await;
    assert_eq!(sheet(&world, CHANNEL).await, columns(&[("duplicate", 1), ("received", 1)]));
    assert_eq!((world.queued("inbound"), world.dead_letters("inbound").len()), (0, 0));
}

#[tokio::test]
async fn a_status_that_came_too_early_is_done_once_its_message_is_known() {
    let world = World::start().await.unwrap();
    let (ana, conversation) = answered(&world).await;
    let id = world.chatwoot.agent("Sofía").replies(conversation, "Sí").await;
    meanwhile(&world, &ana, async |wamid| {
        assert_eq!(post(&world, &several(&["sent", "delivered"], &wamid, None)).await, 200);
        world.forward_once().await.unwrap();
        assert_eq!(counted(&world, "waiting").await, 2);
    })
    .await;
    assert_eq!(message(&world, conversation, id).status, "delivered");
    world.reconcile().await.unwrap();
    assert_eq!(sheet(&world, CHANNEL).await, columns(&[("done", 3), ("received", 3)]));
}

#[tokio::test]
async fn a_status_of_what_was_written_on_the_phone_is_done() {
    let world = World::start().await.unwrap();
    let ana = ana(&world).at(COEXISTENCE_CHANNEL);
    ana.writes("hola").await.unwrap();
    world.meta.echo(&ana, "le atiendo desde el taller").await.unwrap();
    world.work().await.unwrap();
    let echo = world.chatwoot.messages(world.conversation("Ana").unwrap()).pop().unwrap().source_id.unwrap();
    let mut read = status(&echo, "read", None);
    read["entry"][0]["changes"][0]["value"]["metadata"]["phone_number_id"] = json!(COEXISTENCE_CHANNEL);
    post(&world, &read).await;
    world.work().await.unwrap();
    assert_eq!(sheet(&world, COEXISTENCE_CHANNEL).await, columns(&[("done", 3), ("received", 3)]));
}

#[tokio::test]
async fn a_voice_note_that_was_played_counts_as_read_whatever_comes_after() {
    let world = World::start().await.unwrap();
    let (ana, conversation) = answered(&world).await;
    for order in [["played", "read", "delivered"], ["read", "played", "sent"], ["failed", "played", "failed"]] {
        let id = world.chatwoot.agent("Sofía").replies(conversation, "Sí").await;
        world.work().await.unwrap();
        let wamid = ana.phone().pop().unwrap().wamid;
        post(&world, &several(&order, &wamid, None)).await;
        world.work().await.unwrap();
        assert_eq!(message(&world, conversation, id).status, "read", "{order:?}");
    }
}

#[tokio::test]
async fn a_price_in_words_of_the_future_is_no_reason_to_fail() {
    let world = World::start().await.unwrap();
    let (ana, conversation) = answered(&world).await;
    let prices = [
        json!({"billable": true, "pricing_model": "PMP", "category": "service", "type": "regular"}),
        json!({"category": "telepathy", "type": {"new": 1}, "billable": "perhaps"}),
        json!("free"),
        json!(null),
        json!([]),
    ];
    for price in prices {
        let id = world.chatwoot.agent("Sofía").replies(conversation, "Sí").await;
        world.work().await.unwrap();
        let mut delivered = status(&ana.phone().pop().unwrap().wamid, "delivered", None);
        delivered["entry"][0]["changes"][0]["value"]["statuses"][0]["pricing"] = price.clone();
        post(&world, &delivered).await;
        world.work().await.unwrap();
        assert_eq!(message(&world, conversation, id).status, "delivered", "{price}");
    }
}
