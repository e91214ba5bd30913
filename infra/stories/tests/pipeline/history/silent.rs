//! An import is silent: no agent is told, no bot is woken, nothing is greeted, rated or opened again.

use serde_json::{Value, json};
use simulator_chatwoot::{Notification, Robot, Role};
use stories::World;

use super::{
    ANA, BERTA, DAY, NOW, chunk,
    files::{file, picture},
    imported, notes, ours, posted, status, theirs, thread, times,
};
use crate::{
    fixtures::{MINUTE, ana, goes_by, once},
    open_chat,
};

/// The inbox greets who is new, and asks for a rating when a conversation is resolved. It knows its window, as since its signup.
pub(super) async fn greets_and_surveys(world: &World) {
    world.reconcile().await.unwrap();
    let body = json!({"greeting_enabled": true, "greeting_message": "¡Bienvenido!", "csat_survey_enabled": true});
    let token = world.chatwoot.token("Admin", Role::Administrator);
    let headers = [("api_access_token", token.as_str()), ("content-type", "application/json")];
    let path = format!("/api/v1/accounts/{}/inboxes/14", stories::ACCOUNT);
    let (status, answer) =
        open_chat::call("PATCH", &world.chatwoot.url(), &path, &headers, body.to_string().as_bytes()).await;
    assert_eq!(status, 200, "{answer}");
}

/// Whom Chatwoot told of anything.
pub(super) fn told(world: &World) -> Vec<Notification> {
    world.chatwoot.notifications()
}

/// Three slices of Ana's past, the newest first, and one of Berta's.
fn past() -> [Value; 3] {
    let part = |n: i64| {
        let at = NOW - n * 30 * DAY;
        let hers =
            [theirs(ANA, &format!("wamid.a{n}"), at, "pregunta"), ours(&format!("wamid.o{n}"), at + 60, "respuesta")];
        let mut threads = vec![thread(ANA, &hers)];
        threads.extend((n == 1).then(|| thread(BERTA, &[theirs(BERTA, "wamid.b", at, "pregunta")])));
        chunk(n - 1, 1, 40 + 20 * n, &threads)
    };
    [1, 2, 3].map(part)
}

#[tokio::test]
async fn people_who_are_new_are_told_to_no_one() {
    let world = World::start().await.unwrap();
    let _agents = [world.chatwoot.agent("Sofía"), world.chatwoot.agent("Luz")];
    greets_and_surveys(&world).await;
    world.chatwoot.add_robot(Robot {
        customers_only: false,
        name: "Robot".to_owned(),
        says: "¿En qué puedo ayudarle?".to_owned(),
        private: false,
        as_user: false,
        on_updates: false,
    });
    posted(&world, &past()).await;
    imported(&world).await;
    assert_eq!(told(&world), []);
    for who in [ANA, BERTA] {
        let conversation = world.conversation(&format!("+{who}")).unwrap();
        assert_eq!((status(&world, conversation).as_str(), world.chatwoot.resolutions(conversation)), ("resolved", 1));
        let all = world.chatwoot.messages(conversation);
        let public = all.iter().filter(|one| !one.private && one.sender.as_deref() != Some("Robot"));
        assert!(public.clone().all(|one| one.message_type == "activity"), "{:#?}", public.collect::<Vec<_>>());
    }
    // What a bot says to notes is held back.
    assert_eq!(ana(&world).heard(), Vec::<String>::new());
}

#[tokio::test]
async fn a_conversation_that_is_there_stays_as_it_is() {
    for resolved in [false, true] {
        let world = World::start().await.unwrap();
        let sofia = world.chatwoot.agent("Sofía");
        ana(&world).writes("hola").await.unwrap();
        world.work().await.unwrap();
        let conversation = world.conversation("Ana").unwrap();
        if resolved {
            sofia.resolves(conversation).await;
            world.work().await.unwrap();
        }
        greets_and_surveys(&world).await;
        let (before, unread) = (told(&world), world.chatwoot.conversations()[0].unread_count);
        posted(&world, &past()).await;
        imported(&world).await;
        assert_eq!(told(&world), before, "resolved: {resolved}");
        assert_eq!(status(&world, conversation), if resolved { "resolved" } else { "open" });
        assert_eq!(world.chatwoot.resolutions(conversation), usize::from(resolved));
        assert_eq!(world.chatwoot.conversations()[0].unread_count, unread);
        assert_eq!(times(&notes(&world, "Ana").join("\n"), "pregunta"), 3);
        assert_eq!(ana(&world).heard(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn neither_the_assignee_nor_who_takes_part_is_told_of_the_past() {
    for left in [false, true] {
        let world = World::start().await.unwrap();
        let (sofia, luz) = (world.chatwoot.agent("Sofía"), world.chatwoot.agent("Luz"));
        ana(&world).writes("hola").await.unwrap();
        world.work().await.unwrap();
        let conversation = world.conversation("Ana").unwrap();
        luz.takes(conversation).await;
        sofia.takes(conversation).await;
        if left {
            sofia.leaves(conversation).await;
        }
        let before = told(&world);
        let [newest, ..] = past();
        let pictures =
            chunk(0, 2, 60, &[thread(ANA, &[picture("wamid.p1", NOW - DAY), picture("wamid.p2", NOW - DAY)])]);
        let large = usize::try_from(20 << 20).unwrap() + 1;
        let files = [file(&world, "wamid.p1", NOW - DAY, 1_000), file(&world, "wamid.p2", NOW - DAY, large)];
        posted(&world, &[newest, pictures]).await;
        posted(&world, &past()[1..]).await;
        posted(&world, &files).await;
        imported(&world).await;
        for _ in 0..4 {
            goes_by(&world, 10 * MINUTE, MINUTE).await;
            world.reconcile().await.unwrap();
            world.work().await.unwrap();
        }
        let all = notes(&world, "Ana").join("\n");
        assert_eq!((times(&all, "pregunta"), times(&all, "respuesta"), times(&all, "quedó en el celular")), (3, 3, 1));
        let messages = world.chatwoot.messages(conversation);
        assert_eq!(messages.iter().filter(|one| !one.attachments.is_empty()).count(), 1);
        assert_eq!(told(&world), before, "left: {left}");
        assert_eq!(status(&world, conversation), "open");
        assert_eq!(ana(&world).heard(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_chatwoot_that_knows_no_silent_note_gets_an_ordinary_one() {
    let world = World::start().await.unwrap();
    let sofia = world.chatwoot.agent("Sofía");
    ana(&world).writes("hola").await.unwrap();
    world.work().await.unwrap();
    let conversation = world.conversation("Ana").unwrap();
    sofia.takes(conversation).await;
    let before = told(&world).len();
    let [newest, ..] = past();
    posted(&world, &[newest]).await;
    world.chatwoot.faults().add(once("POST", "/messages", crate::fixtures::answer(422)));
    goes_by(&world, 2 * 60 * MINUTE, 10 * MINUTE).await;
    assert_eq!(times(&notes(&world, "Ana").join("\n"), "pregunta"), 1);
    assert_eq!(told(&world).len(), before + 1, "she is told once");
}
