//! What always holds, one test for each rule and named after it.
//!
//! Two rules stand elsewhere: 8 (who was erased stays erased) comes with erasure, and 9 (nothing personal outside the
//! stores) is the canary's.

use std::time::Duration;

use serde_json::json;
use simulator_chatwoot::Language;
use simulator_wire::Effect;
use stories::{CHANNEL, World};

use crate::fixtures::{
    HOUR, MINUTE, always, ana, ana_wrote, answer, berta, body, columns, goes_by, once, patience, post, post_all_again,
    profile, sheet, source_ids, status, text,
};

#[tokio::test]
async fn rule_1_durable_before_acknowledged() {
    let world = World::start().await.unwrap();
    let (_, conversation) = ana_wrote(&world).await;
    // The second batch of ten cannot be stored, so nothing of the body is acknowledged.
    let message = |n: i32| text("5215555550124", &format!("wamid.B{n}"), 1_795_190_400, &n.to_string());
    let messages: Vec<_> = (0..15).map(message).collect();
    let many = body("messages", &json!({"contacts": [profile("Berta", "5215555550124")], "messages": messages}));
    let mut fault = always("POST", "/", answer(500));
    fault.skip = 1;
    world.stage.aws.faults().add(fault);
    assert_eq!(post(&world, &many).await, 500);
    world.stage.aws.faults().clear();
    world.work().await.unwrap();
    world.meta.redeliver().await.unwrap();
    world.work().await.unwrap();
    let expected: Vec<_> = (0..15).map(|n| format!("Berta: {n}")).collect();
    assert_eq!(world.agent_reads("Berta"), expected);

    // Chatwoot posts a callback once; what could not be stored is found by the next round.
    world.stage.aws.faults().add(always("POST", "/", answer(500)));
    world.chatwoot.agent("Sofía").replies(conversation, "¿En qué puedo ayudarle?").await;
    world.calm().await;
    assert!(world.chatwoot.callbacks().log().iter().any(|post| post.status == Some(500)));
    world.stage.aws.faults().clear();
    world.reconcile().await.unwrap();
    world.work().await.unwrap();
    assert_eq!(ana(&world).heard(), ["¿En qué puedo ayudarle?"]);
}

#[tokio::test]
async fn rule_2_every_item_has_a_fate() {
    let world = World::start().await.unwrap();
    // One body: two entries, a good message, one twice, one for a number nobody knows, one unreadable, one unknown field.
    let good = text("5215555550123", "wamid.1", 1_795_190_400, "hola");
    let contacts = json!([profile("Ana", "5215555550123")]);
    let mut all = body("messages", &json!({"contacts": contacts, "messages": [good, good, {"type": "text"}]}));
    let other = body("fresh_field", &json!({"something": 1}));
    all["entry"].as_array_mut().unwrap().push(other["entry"][0].clone());
    assert_eq!(post(&world, &all).await, 200);
    assert_eq!(post(&world, &body("messages", &json!({"contacts": contacts, "messages": [good]}))).await, 200);
    // At once, and long after.
    world.work().await.unwrap();
    world.pass(10 * MINUTE);
    assert_eq!(post(&world, &body("messages", &json!({"contacts": contacts, "messages": [good]}))).await, 200);
    world.work().await.unwrap();
    assert_eq!(world.agent_reads("Ana"), ["Ana: hola"]);
    let expected = columns(&[
        ("done", 1),
        ("duplicate", 3),
        ("received", 6),
        ("refused_unknown_field", 1),
        ("refused_unreadable_item", 1),
    ]);
    assert_eq!(sheet(&world, CHANNEL).await, expected);
    let mut reasons: Vec<_> = world.dead_letters("inbound").into_iter().map(|(reason, _)| reason).collect();
    reasons.sort();
    assert_eq!(reasons, ["unknown_field", "unreadable_item"]);
    assert_eq!(world.queued("inbound"), 0);
}

#[tokio::test]
async fn rule_3_order_per_customer_and_an_outage_loses_nothing() {
    let world = World::start().await.unwrap();
    let (ana, conversation) = ana_wrote(&world).await;
    let berta = berta(&world);
    // What Chatwoot does not take of Ana's holds back Ana alone.
    let path = format!("/conversations/{conversation}/messages");
    world.chatwoot.faults().add(always("POST", &path, answer(500)));
    for n in 0..3 {
        ana.writes(&format!("a{n}")).await.unwrap();
        berta.writes(&format!("b{n}")).await.unwrap();
    }
    world.work().await.unwrap();
    assert_eq!(world.agent_reads("Ana"), ["Ana: hola"]);
    assert_eq!(world.agent_reads("Berta"), ["Berta: b0", "Berta: b1", "Berta: b2"]);
    goes_by(&world, 30 * HOUR, HOUR).await;
    assert_eq!(world.dead_letters("inbound"), []);
    world.chatwoot.faults().clear();
    patience(&world).await;
    assert_eq!(world.agent_reads("Ana"), ["Ana: hola", "Ana: a0", "Ana: a1", "Ana: a2"]);
}

#[tokio::test]
async fn rule_4_once_into_chatwoot_and_at_most_once_out_by_itself() {
    let world = World::start().await.unwrap();
    let (ana, conversation) = ana_wrote(&world).await;
    // In: written, and the answer lost.
    world.chatwoot.faults().add(once("POST", "/messages", Effect::DropAfter));
    ana.writes("¿sigue ahí?").await.unwrap();
    world.work().await.unwrap();
    world.later(MINUTE).await.unwrap();
    assert_eq!(world.agent_reads("Ana"), ["Ana: hola", "Ana: ¿sigue ahí?"]);
    // Out: sent, and the answer lost. Nobody repeats it but the agent.
    world.meta.faults().add(once("POST", "/messages", Effect::DropAfter));
    world.chatwoot.agent("Sofía").replies(conversation, "Sí").await;
    world.work().await.unwrap();
    goes_by(&world, 3 * HOUR, 10 * MINUTE).await;
    world.reconcile().await.unwrap();
    world.work().await.unwrap();
    assert_eq!(ana.heard(), ["Sí"]);
    let told = world.agent_reads("Ana").pop().unwrap();
    assert!(told.starts_with("agent: Sí ✗ Sin confirmar: "), "{told}");
    // A status says what is true.
    ana.reads_all().await;
    world.work().await.unwrap();
    assert_eq!(world.agent_reads("Ana").pop().unwrap(), "agent: Sí ✓✓ read");
}

#[tokio::test]
async fn rule_5_statuses_only_move_forward() {
    let world = World::start().await.unwrap();
    let (ana, conversation) = ana_wrote(&world).await;
    world.chatwoot.agent("Sofía").replies(conversation, "Sí").await;
    world.work().await.unwrap();
    let wamid = ana.phone().pop().unwrap().wamid;
    for word in ["read", "delivered", "sent", "read"] {
        assert_eq!(post(&world, &status(&wamid, word, None)).await, 200);
        world.work().await.unwrap();
        assert_eq!(world.agent_reads("Ana").pop().unwrap(), "agent: Sí ✓✓ read", "after {word}");
    }
}

#[tokio::test]
async fn rule_6_the_window_is_ours() {
    let world = World::start().await.unwrap();
    let (ana, conversation) = ana_wrote(&world).await;
    // Meta would let it pass; the bridge must not.
    world.meta.set_rules(simulator_meta::Rules { window: false, ..simulator_meta::Rules::default() });
    let sofia = world.chatwoot.agent("Sofía");
    world.pass((24 * HOUR).saturating_sub(Duration::from_secs(1)));
    sofia.replies(conversation, "a tiempo").await;
    world.work().await.unwrap();
    assert_eq!(ana.heard(), ["a tiempo"]);
    world.pass(Duration::from_secs(1));
    sofia.replies(conversation, "tarde").await;
    world.work().await.unwrap();
    assert_eq!(ana.heard(), ["a tiempo"]);
    let told = world.agent_reads("Ana").pop().unwrap();
    assert!(told.contains("✗ No entregado: pasaron más de 24 h"), "{told}");
    // A message whose webhook comes late opens no more than is left of its own 24 hours.
    let written = 1_795_190_400 + 2 * 3600;
    let late = text("5215555550123", "wamid.late", written, "sigo aquí");
    assert_eq!(post(&world, &body("messages", &json!({"messages": [late]}))).await, 200);
    world.work().await.unwrap();
    sofia.replies(conversation, "ahora sí").await;
    world.work().await.unwrap();
    assert_eq!(ana.heard(), ["a tiempo", "ahora sí"]);
    world.pass(2 * HOUR);
    sofia.replies(conversation, "otra vez tarde").await;
    world.work().await.unwrap();
    assert_eq!(ana.heard(), ["a tiempo", "ahora sí"]);
}

#[tokio::test]
async fn rule_7_identity_is_a_graph() {
    let world = World::start().await.unwrap();
    // First by phone alone, then with a user id, then without the phone: one person, one conversation.
    let by_phone = text("5215555550123", "wamid.1", 1_795_190_400, "uno");
    let contacts = json!([profile("Ana", "5215555550123")]);
    post(&world, &body("messages", &json!({"contacts": contacts, "messages": [by_phone]}))).await;
    world.work().await.unwrap();
    let ana = world.meta.person("Ana", Some("5215555550123"), "MX.13491208655302741918");
    ana.writes("dos").await.unwrap();
    world.work().await.unwrap();
    let ana = ana.without_phone();
    ana.writes("tres").await.unwrap();
    world.work().await.unwrap();
    assert_eq!(world.agent_reads("Ana"), ["Ana: uno", "Ana: dos", "Ana: tres"]);
    let first = world.conversation("Ana").unwrap();
    // The number goes to somebody else, who is a new customer and reads nothing of hers.
    let zoe = world.meta.person("Zoe", Some("5215555550123"), "MX.99991208655302741999");
    zoe.writes("número nuevo").await.unwrap();
    world.work().await.unwrap();
    assert_eq!(world.agent_reads("Zoe"), ["Zoe: número nuevo"]);
    assert_eq!(world.agent_reads("Ana").len(), 3);
    // Each answer goes to its own person.
    let sofia = world.chatwoot.agent("Sofía");
    sofia.replies(first, "para Ana").await;
    sofia.replies(world.conversation("Zoe").unwrap(), "para Zoe").await;
    world.work().await.unwrap();
    assert_eq!((ana.heard(), zoe.heard()), (vec!["para Ana".to_owned()], vec!["para Zoe".to_owned()]));
    // Chatwoot knows them by ids of our own, which tell nothing.
    for conversation in world.chatwoot.conversations() {
        assert!(!conversation.source_id.contains("5555550123") && !conversation.source_id.contains("MX."));
    }
}

#[tokio::test]
async fn rule_10_errors_know_what_happens_next_and_wording_is_never_matched() {
    for language in [Language::Spanish, Language::English, Language::Translated] {
        let world = World::start().await.unwrap();
        world.chatwoot.speak(language);
        let (ana, conversation) = ana_wrote(&world).await;
        // Transient: waits. Permanent: told, not repeated. Uncertain: told, not repeated. Poison: set aside.
        world.chatwoot.faults().add(once("POST", "/messages", answer(503)));
        ana.writes("¿precio?").await.unwrap();
        world.work().await.unwrap();
        assert_eq!(world.agent_reads("Ana"), ["Ana: hola"]);
        world.later(MINUTE).await.unwrap();
        assert_eq!(world.agent_reads("Ana"), ["Ana: hola", "Ana: ¿precio?"]);
        let refused = r#"{"error":{"message":"Something in any language","code":131026}}"#.to_owned();
        let refused = Effect::Answer { status: 400, content_type: "application/json".to_owned(), body: refused };
        world.meta.faults().add(once("POST", "/messages", refused));
        world.meta.faults().add(once("POST", "/messages", answer(502)));
        let sofia = world.chatwoot.agent("Sofía");
        sofia.replies(conversation, "uno").await;
        sofia.replies(conversation, "dos").await;
        world.work().await.unwrap();
        let read = world.agent_reads("Ana");
        assert!(read[2].starts_with("agent: uno ✗ No entregado: no se pudo entregar a este número"), "{read:?}");
        assert!(read[3].starts_with("agent: dos ✗ Sin confirmar"), "{read:?}");
        goes_by(&world, HOUR, 10 * MINUTE).await;
        assert_eq!(ana.heard(), [""; 0]);
        assert_eq!(world.meta.post(b"[]").await.unwrap(), 200);
        assert_eq!(world.dead_letters("inbound")[0].0, "unreadable_body");
    }
}

#[tokio::test]
async fn rule_11_time_is_an_argument() {
    let world = World::start().await.unwrap();
    let (ana, _) = ana_wrote(&world).await;
    // Killed at its first await, and the whole of the queue's hiding time: then the work goes on.
    ana.writes("¿sigue ahí?").await.unwrap();
    assert!(world.forward_killed(0).await.unwrap());
    world.work().await.unwrap();
    assert_eq!(world.agent_reads("Ana"), ["Ana: hola"]);
    world.later(12 * MINUTE).await.unwrap();
    assert_eq!(world.agent_reads("Ana"), ["Ana: hola", "Ana: ¿sigue ahí?"]);
    // Meta repeats for seven days, long after the queue has forgotten; claims have not.
    for _ in 0..8 {
        world.pass(24 * HOUR);
        post_all_again(&world).await;
        world.work().await.unwrap();
    }
    assert_eq!(source_ids(&world).len(), 2);
}
