//! Who is who: one person stays one through new numbers, new ids and hidden phones, and two people never become one.

use serde_json::{Value, json};
use stories::World;

use crate::fixtures::{HOUR, MINUTE, ana, body, goes_by, post, text};

pub(crate) const OLD: &str = "5215555550123";
pub(crate) const NEW: &str = "5215555550199";
pub(crate) const ANA: &str = "MX.24518830917745120033";
const ANA_LATER: &str = "MX.88120045519367720114";
pub(crate) const AT: i64 = 1_795_190_400;

/// A text of somebody who shows a phone, a user id, or both.
pub(crate) fn from(phone: Option<&str>, user: Option<&str>, wamid: &str, at: i64, words: &str) -> Value {
    let mut message = text("", wamid, at, words);
    let mut contact = json!({"profile": {"name": "Ana"}});
    if let Some(phone) = phone {
        message["from"] = json!(phone);
        contact["wa_id"] = json!(phone);
    }
    if let Some(user) = user {
        message["from_user_id"] = json!(user);
        contact["user_id"] = json!(user);
    }
    body("messages", &json!({"contacts": [contact], "messages": [message]}))
}

/// A message of the system; `sender` holds `from` or `from_user_id`.
pub(crate) fn system(sender: &Value, wamid: &str, at: i64, system: &Value) -> Value {
    let mut message = json!({"id": wamid, "timestamp": at.to_string(), "type": "system", "system": system});
    for (name, value) in sender.as_object().into_iter().flatten() {
        message[name] = value.clone();
    }
    body("messages", &json!({"messages": [message]}))
}

pub(crate) async fn arrives(world: &World, body: &Value) {
    assert_eq!(post(world, body).await, 200);
    world.work().await.unwrap();
}

/// The texts in each conversation, the oldest conversation first; notices about changes left out.
pub(crate) fn conversations(world: &World) -> Vec<Vec<String>> {
    let texts = |id| world.chatwoot.messages(id).into_iter().map(|message| message.content);
    let plain = |text: &String| !text.starts_with(['ℹ', '🔗']) && !text.starts_with("Sofía");
    world.chatwoot.conversations().into_iter().map(|row| texts(row.id).filter(plain).collect()).collect()
}

/// To whom the last message went, as it was addressed.
fn last_to(world: &World) -> String {
    world.meta.requests().pop().map(|request| request.to).unwrap_or_default()
}

pub(crate) async fn answers(world: &World, conversation: i64, words: &str) {
    world.chatwoot.agent("Sofía").replies(conversation, words).await;
    world.work().await.unwrap();
}

#[tokio::test]
async fn a_new_number_in_every_form_of_the_announcement_is_the_same_customer() {
    let number = |extra: &Value| {
        let mut system = json!({"body": "changed", "wa_id": NEW, "type": "user_changed_number"});
        extra.as_object().unwrap().iter().for_each(|(name, value)| system[name] = value.clone());
        system
    };
    let legacy = json!({"body": "changed", "new_wa_id": NEW, "type": "customer_changed_number"});
    let announcements = [number(&json!({})), number(&json!({"user_id": ANA_LATER, "previous_user_id": ANA})), legacy];
    for announcement in announcements {
        let world = World::start().await.unwrap();
        arrives(&world, &from(Some(OLD), Some(ANA), "wamid.1", AT, "uno")).await;
        arrives(&world, &system(&json!({"from": OLD}), "wamid.s", AT + 1, &announcement)).await;
        let contact = world.chatwoot.contacts().pop().unwrap();
        assert_eq!(contact.phone_number.as_deref(), Some("+5215555550199"), "{announcement}");
        // An answer goes to the new number before anything came from it.
        let first = world.chatwoot.conversations()[0].id;
        answers(&world, first, "¿sigue interesada?").await;
        assert_eq!(last_to(&world), NEW, "{announcement}");
        arrives(&world, &from(Some(NEW), Some(ANA_LATER), "wamid.2", AT + 2, "dos")).await;
        arrives(&world, &from(None, Some(ANA_LATER), "wamid.3", AT + 3, "tres")).await;
        let seen = conversations(&world);
        assert_eq!(seen, [["uno", "¿sigue interesada?", "dos", "tres"]], "{announcement}");
        // Whoever gets the old number is somebody new, and her older id is still hers.
        arrives(&world, &from(Some(OLD), Some("MX.999"), "wamid.4", AT + 4, "soy Zoe")).await;
        arrives(&world, &from(None, Some(ANA), "wamid.5", AT + 5, "cuatro")).await;
        assert_eq!(conversations(&world)[1], ["soy Zoe"]);
        assert_eq!(conversations(&world)[0].last().unwrap(), "cuatro");
    }
}

#[tokio::test]
async fn a_late_message_from_the_old_number_does_not_undo_the_change() {
    let number = json!({"body": "changed", "wa_id": NEW, "type": "user_changed_number"});
    let with_ids = json!({"body": "changed", "wa_id": NEW, "user_id": ANA_LATER, "previous_user_id": ANA,
        "type": "user_changed_number"});
    for changed in [number, with_ids] {
        for (phone, user) in [(Some(OLD), Some(ANA)), (Some(OLD), None), (None, Some(ANA))] {
            let world = World::start().await.unwrap();
            arrives(&world, &from(Some(OLD), Some(ANA), "wamid.0", AT - 10, "antes")).await;
            arrives(&world, &system(&json!({"from": OLD}), "wamid.s", AT + 1, &changed)).await;
            arrives(&world, &from(phone, user, "wamid.1", AT, "tarde")).await;
            assert_eq!(conversations(&world), [["antes", "tarde"]], "{changed}");
            answers(&world, world.chatwoot.conversations()[0].id, "sí").await;
            assert_eq!(last_to(&world), NEW, "{changed}");
            // The old number is free for somebody else, also for one whose user id does not show.
            arrives(&world, &from(Some(OLD), None, "wamid.z", AT + 2, "soy Zoe")).await;
            arrives(&world, &from(Some(NEW), Some(ANA_LATER), "wamid.2", AT + 3, "dos")).await;
            assert_eq!(conversations(&world), [vec!["antes", "tarde", "sí", "dos"], vec!["soy Zoe"]], "{changed}");
            answers(&world, world.chatwoot.conversations()[1].id, "hola").await;
            assert_eq!(last_to(&world), OLD, "{changed}");
        }
    }
}

#[tokio::test]
async fn a_change_of_number_that_comes_before_all_messages_leaves_one_customer() {
    let changed = json!({"body": "changed", "new_wa_id": NEW, "type": "customer_changed_number"});
    let announcement = system(&json!({"from": OLD}), "wamid.s", AT + 1, &changed);
    let pairs = [
        [from(Some(OLD), None, "wamid.1", AT, "uno"), from(Some(NEW), None, "wamid.2", AT + 2, "dos")],
        [from(Some(OLD), Some(ANA), "wamid.1", AT, "uno"), from(Some(NEW), Some(ANA_LATER), "wamid.2", AT + 2, "dos")],
    ];
    for [before, after] in &pairs {
        for late in [[before, after], [after, before]] {
            let world = World::start().await.unwrap();
            arrives(&world, &announcement).await;
            for message in late {
                arrives(&world, message).await;
            }
            let mut seen = conversations(&world);
            for texts in &mut seen {
                texts.sort();
            }
            assert_eq!(seen, [["dos", "uno"]], "{late:?}");
            assert_eq!(world.chatwoot.contacts().len(), 1, "{late:?}");
            answers(&world, world.chatwoot.conversations()[0].id, "sí").await;
            assert_eq!(last_to(&world), NEW, "{late:?}");
            arrives(&world, &from(Some(OLD), Some("MX.999"), "wamid.z", AT + 3, "soy Zoe")).await;
            assert_eq!(conversations(&world)[1], ["soy Zoe"], "{late:?}");
        }
    }
}

#[tokio::test]
async fn who_was_known_by_the_user_id_alone_is_whose_number_changed() {
    let world = World::start().await.unwrap();
    arrives(&world, &from(None, Some(ANA), "wamid.0", AT - 10, "cero")).await;
    let changed = json!({"body": "changed", "new_wa_id": NEW, "type": "customer_changed_number"});
    arrives(&world, &system(&json!({"from": OLD}), "wamid.s", AT + 1, &changed)).await;
    arrives(&world, &from(Some(OLD), Some(ANA), "wamid.1", AT, "uno")).await;
    arrives(&world, &from(Some(NEW), Some(ANA_LATER), "wamid.2", AT + 2, "dos")).await;
    arrives(&world, &from(Some(OLD), Some("MX.999"), "wamid.late", AT - 5, "otra persona")).await;
    let seen = conversations(&world);
    assert!(seen.contains(&vec!["cero".to_owned(), "uno".to_owned(), "dos".to_owned()]), "{seen:?}");
    assert!(seen.contains(&vec!["otra persona".to_owned()]), "{seen:?}");
    let hers = world.chatwoot.conversations()[0].id;
    answers(&world, hers, "sí").await;
    assert_eq!(last_to(&world), NEW);
}

#[tokio::test]
async fn a_status_of_what_went_to_the_old_number_does_not_give_it_back() {
    let world = World::start().await.unwrap();
    arrives(&world, &from(Some(OLD), Some(ANA), "wamid.1", AT, "uno")).await;
    let conversation = world.chatwoot.conversations()[0].id;
    answers(&world, conversation, "sí").await;
    let sent = world.meta.requests().pop().unwrap().wamid.unwrap();
    let changed = json!({"body": "changed", "wa_id": NEW, "type": "user_changed_number"});
    arrives(&world, &system(&json!({"from": OLD}), "wamid.s", AT + 1, &changed)).await;
    let status = json!({"id": sent, "status": "read", "timestamp": (AT + 2).to_string(), "recipient_id": OLD,
        "recipient_user_id": ANA});
    arrives(&world, &body("messages", &json!({"statuses": [status]}))).await;
    arrives(&world, &from(Some(OLD), None, "wamid.z", AT + 3, "soy Zoe")).await;
    assert_eq!(conversations(&world), [vec!["uno", "sí"], vec!["soy Zoe"]]);
}

#[tokio::test]
async fn a_new_user_id_is_the_same_customer_also_by_the_field_that_was_withdrawn() {
    let changed = json!({"body": "changed", "user_id": ANA_LATER, "previous_user_id": ANA,
        "type": "user_changed_user_id"});
    let update = body(
        "user_id_update",
        &json!({"user_id_update": [{"wa_id": OLD, "user_id": {"previous": ANA, "current": ANA_LATER},
            "timestamp": (AT + 1).to_string()}]}),
    );
    for announcement in [
        system(&json!({"from_user_id": ANA}), "wamid.s", AT + 1, &changed),
        // Where it names its sender nowhere but inside.
        system(&json!({}), "wamid.s", AT + 1, &changed),
        update,
    ] {
        let world = World::start().await.unwrap();
        arrives(&world, &from(None, Some(ANA), "wamid.1", AT, "uno")).await;
        arrives(&world, &announcement).await;
        // Doing it twice changes nothing.
        world.pass(10 * MINUTE);
        arrives(&world, &announcement).await;
        arrives(&world, &from(None, Some(ANA_LATER), "wamid.2", AT + 2, "dos")).await;
        assert_eq!(conversations(&world), [["uno", "dos"]]);
        answers(&world, world.chatwoot.conversations()[0].id, "sí").await;
        assert_eq!(last_to(&world), ANA_LATER);
    }
}

#[tokio::test]
async fn a_change_that_is_announced_after_the_first_message_under_the_new_name_joins_the_two() {
    let world = World::start().await.unwrap();
    arrives(&world, &from(Some(OLD), Some(ANA), "wamid.1", AT, "uno")).await;
    arrives(&world, &from(Some(NEW), Some(ANA_LATER), "wamid.2", AT + 9, "dos")).await;
    assert_eq!(conversations(&world).len(), 2);
    let changed = json!({"body": "changed", "wa_id": NEW, "user_id": ANA_LATER, "previous_user_id": ANA,
        "type": "user_changed_number"});
    arrives(&world, &system(&json!({"from": OLD}), "wamid.s", AT + 5, &changed)).await;
    arrives(&world, &from(Some(NEW), Some(ANA_LATER), "wamid.3", AT + 10, "tres")).await;
    assert_eq!(conversations(&world), [vec!["uno", "tres"], vec!["dos"]]);
    // Both conversations reach her.
    for row in world.chatwoot.conversations() {
        answers(&world, row.id, "aquí").await;
        assert_eq!(last_to(&world), NEW);
    }
}

#[tokio::test]
async fn a_phone_alone_and_a_user_id_alone_become_one_when_a_message_carries_both() {
    let world = World::start().await.unwrap();
    arrives(&world, &from(Some(OLD), None, "wamid.1", AT, "por teléfono")).await;
    arrives(&world, &from(None, Some(ANA), "wamid.2", AT + 1, "por usuario")).await;
    arrives(&world, &from(Some(OLD), Some(ANA), "wamid.3", AT + 2, "ambos")).await;
    arrives(&world, &from(Some(OLD), None, "wamid.4", AT + 3, "otra vez por teléfono")).await;
    let seen = conversations(&world);
    assert_eq!(seen, [vec!["por teléfono"], vec!["por usuario", "ambos", "otra vez por teléfono"]]);
    // The agent who answers where the phone wrote reaches the same person.
    let first = world.chatwoot.conversations()[0].id;
    answers(&world, first, "¿en qué ayudo?").await;
    assert_eq!(last_to(&world), OLD);
    assert_eq!(world.chatwoot.messages(first).pop().unwrap().status, "sent");
}

#[tokio::test]
async fn first_messages_at_the_same_instant_in_one_body_and_in_any_order_make_one_customer() {
    let kinds = [(Some(OLD), Some(ANA)), (Some(OLD), None), (None, Some(ANA))];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [2, 0, 1]] {
        let world = World::start().await.unwrap();
        // All three are in the queue before the first is worked on; the groups run side by side.
        for at in order {
            let (phone, user) = kinds[at];
            assert_eq!(post(&world, &from(phone, user, &format!("wamid.{at}"), AT, &at.to_string())).await, 200);
        }
        world.work().await.unwrap();
        goes_by(&world, 2 * MINUTE, MINUTE / 4).await;
        arrives(&world, &from(Some(OLD), Some(ANA), "wamid.9", AT + 9, "después")).await;
        let all: usize = conversations(&world).iter().map(Vec::len).sum();
        assert_eq!(all, 4, "{order:?}");
        arrives(&world, &from(Some(OLD), None, "wamid.10", AT + 10, "a")).await;
        arrives(&world, &from(None, Some(ANA), "wamid.11", AT + 11, "b")).await;
        let with = |words: &str| conversations(&world).iter().position(|texts| texts.iter().any(|t| t == words));
        assert_eq!((with("a"), with("b")), (with("después"), with("después")), "{order:?}");
    }
}

#[tokio::test]
async fn a_recycled_number_is_a_new_customer_and_the_former_owner_is_reached_by_the_user_id() {
    let world = World::start().await.unwrap();
    world.meta.person("Ana", Some(OLD), ANA).writes("uno").await.unwrap();
    world.work().await.unwrap();
    let first = world.conversation("Ana").unwrap();
    let zoe = world.meta.person("Zoe", Some(OLD), "MX.99991208655302741999");
    zoe.writes("número nuevo").await.unwrap();
    world.work().await.unwrap();
    assert_eq!(world.agent_reads("Zoe"), ["Zoe: número nuevo"]);
    let phones: Vec<_> = world.chatwoot.contacts().into_iter().map(|contact| contact.phone_number).collect();
    assert_eq!(phones, [None, Some("+5215555550123".to_owned())], "the number is on its new owner's contact only");
    answers(&world, first, "para Ana").await;
    assert_eq!(last_to(&world), ANA);
    assert_eq!(zoe.heard(), [""; 0]);
    // A repeat of an old message of Ana's, late and under another id, takes nothing back.
    arrives(&world, &from(Some(OLD), Some(ANA), "wamid.late", AT - 3600, "tarde")).await;
    answers(&world, world.conversation("Zoe").unwrap(), "para Zoe").await;
    assert_eq!(last_to(&world), OLD);
}

#[tokio::test]
async fn a_number_given_on_request_is_the_senders_and_a_shared_card_is_nobodys() {
    let world = World::start().await.unwrap();
    let card = |origin: &str, wamid: &str| {
        let card = json!({"phones": [{"phone": "+52 1 55 5555 0199", "wa_id": NEW}], "origin": origin});
        let mut one = from(None, Some(ANA), wamid, AT, "");
        let message = &mut one["entry"][0]["changes"][0]["value"]["messages"][0];
        message["type"] = json!("contacts");
        message["contacts"] = json!([card]);
        one
    };
    arrives(&world, &from(None, Some(ANA), "wamid.1", AT, "hola")).await;
    arrives(&world, &card("other", "wamid.2")).await;
    arrives(&world, &from(Some(NEW), None, "wamid.3", AT + 1, "soy otro")).await;
    assert_eq!(conversations(&world).len(), 2);
    let world = World::start().await.unwrap();
    arrives(&world, &from(None, Some(ANA), "wamid.1", AT, "hola")).await;
    arrives(&world, &card("contact_request", "wamid.2")).await;
    assert_eq!(world.chatwoot.contacts()[0].phone_number.as_deref(), Some("+5215555550199"));
    arrives(&world, &from(Some(NEW), None, "wamid.3", AT + 1, "soy yo")).await;
    assert_eq!(conversations(&world).len(), 1);
}

#[tokio::test]
async fn national_spellings_of_a_number_are_one_customer() {
    for (one, other) in
        [("5511985550167", "551185550167"), ("5491155550145", "541155550145"), ("5215555550123", "525555550123")]
    {
        let world = World::start().await.unwrap();
        arrives(&world, &from(Some(one), None, "wamid.1", AT, "uno")).await;
        arrives(&world, &from(Some(other), None, "wamid.2", AT + 1, "dos")).await;
        assert_eq!(conversations(&world), [["uno", "dos"]]);
        // The answer is spelled as Meta last did.
        answers(&world, world.chatwoot.conversations()[0].id, "sí").await;
        assert_eq!(last_to(&world), other);
    }
}

#[tokio::test]
async fn a_parent_id_names_the_same_person() {
    let world = World::start().await.unwrap();
    let with_parent = |user: Option<&str>, wamid: &str, words: &str| {
        let mut one = from(None, user, wamid, AT, words);
        one["entry"][0]["changes"][0]["value"]["messages"][0]["from_parent_user_id"] = json!("MX.ENT.7");
        one
    };
    arrives(&world, &with_parent(Some(ANA), "wamid.1", "uno")).await;
    arrives(&world, &with_parent(None, "wamid.2", "dos")).await;
    assert_eq!(conversations(&world), [["uno", "dos"]]);
}

#[tokio::test]
async fn empty_texts_are_no_ids() {
    let world = World::start().await.unwrap();
    arrives(&world, &from(Some(""), Some(ANA), "wamid.1", AT, "uno")).await;
    arrives(&world, &from(Some(""), Some("MX.2"), "wamid.2", AT, "dos")).await;
    arrives(&world, &from(Some(OLD), Some(""), "wamid.3", AT, "tres")).await;
    arrives(&world, &from(Some(NEW), Some(""), "wamid.4", AT, "cuatro")).await;
    assert_eq!(conversations(&world), [["uno"], ["dos"], ["tres"], ["cuatro"]]);
}

#[tokio::test]
async fn wherever_forward_dies_a_change_of_number_and_a_new_conversation_are_done_once() {
    let changed = json!({"body": "changed", "wa_id": NEW, "type": "user_changed_number"});
    let announcement = system(&json!({"from": OLD}), "wamid.s", AT + 1, &changed);
    let mut awaits = 0;
    loop {
        let world = World::start().await.unwrap();
        world.chatwoot.lock_to_single_conversation(14, false);
        arrives(&world, &from(Some(OLD), Some(ANA), "wamid.1", AT, "uno")).await;
        world.chatwoot.agent("Sofía").resolves(world.chatwoot.conversations()[0].id).await;
        world.calm().await;
        assert_eq!(post(&world, &announcement).await, 200);
        assert_eq!(post(&world, &from(Some(OLD), Some(ANA), "wamid.2", AT, "dos")).await, 200);
        let killed = world.forward_killed(awaits).await.unwrap();
        goes_by(&world, HOUR / 2, 5 * MINUTE).await;
        arrives(&world, &from(Some(NEW), Some(ANA_LATER), "wamid.3", AT + 2, "tres")).await;
        goes_by(&world, MINUTE, MINUTE / 4).await;
        let mut texts = conversations(&world).concat();
        texts.sort();
        assert_eq!(texts, ["dos", "tres", "uno"], "killed at {awaits}");
        assert_eq!(world.chatwoot.contacts().len(), 1, "killed at {awaits}");
        if !killed {
            return;
        }
        awaits += 7;
    }
}

#[tokio::test]
async fn the_window_and_the_address_follow_the_newest_message_whatever_the_order() {
    let world = World::start().await.unwrap();
    let ana = ana(&world);
    ana.writes("hola").await.unwrap();
    world.work().await.unwrap();
    let conversation = world.conversation("Ana").unwrap();
    // Written an hour earlier, in an older spelling, and delivered late.
    arrives(&world, &from(Some("525555550123"), Some(&ana.user_id()), "wamid.late", AT - 3600, "antes")).await;
    answers(&world, conversation, "sí").await;
    assert_eq!(last_to(&world), OLD);
}
