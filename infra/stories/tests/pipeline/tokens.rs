//! A token that is replaced while the bridge works: the call it was refused for is made once more, and no other.

use stories::World;

use crate::{
    fixtures::{MINUTE, ana_wrote, answer, once},
    open_chat::{OpenChat, refuses},
};

/// How often Chatwoot was called like this since its calls were recorded or last counted. Refused calls count.
fn called(world: &World, method: &str, path: &str) -> usize {
    let calls = world.chatwoot.server().calls().take();
    calls.iter().filter(|call| call.method == method && call.path.ends_with(path)).count()
}

#[tokio::test]
async fn a_customers_message_is_written_by_the_call_after_the_refused_one() {
    let world = World::start().await.unwrap();
    let (ana, _) = ana_wrote(&world).await;
    world.chatwoot.server().calls().record();
    for (status, text) in [(401, "uno"), (403, "dos")] {
        world.pass(MINUTE);
        world.chatwoot.faults().add(once("POST", "/messages", answer(status)));
        ana.writes(text).await.unwrap();
        assert!(world.forward_once().await.unwrap());
        assert_eq!(called(&world, "POST", "/messages"), 2);
        assert_eq!(world.agent_reads("Ana").pop().unwrap(), format!("Ana: {text}"));
    }
}

#[tokio::test]
async fn a_customers_file_is_fetched_anew_for_the_call_after_the_refused_one() {
    let world = World::start().await.unwrap();
    let (ana, _) = ana_wrote(&world).await;
    world.pass(MINUTE);
    world.chatwoot.server().calls().record();
    world.chatwoot.faults().add(once("POST", "/messages", answer(401)));
    ana.sends_file("image", b"a picture".to_vec(), "image/jpeg", None, None).await.unwrap();
    assert!(world.forward_once().await.unwrap());
    assert_eq!(called(&world, "POST", "/messages"), 2);
    assert_eq!(world.agent_reads("Ana").pop().unwrap(), "Ana:  [image.jpg]");
}

#[tokio::test]
async fn what_was_not_sent_is_marked_by_the_call_after_the_refused_one() {
    let shop = OpenChat::open().await;
    let calls = shop.world.chatwoot.server().calls();
    calls.record();
    let mut lists = Vec::new();
    for refusals in [0, 1] {
        shop.world.pass(MINUTE);
        shop.meta_will(refuses(400, 131_026), 1);
        for _ in 0..refusals {
            shop.world.chatwoot.faults().add(once("PATCH", "/messages/", answer(401)));
        }
        let message = shop.says("dos").await;
        assert_eq!(shop.message(message).status, "failed");
        let called = calls.take();
        let count =
            |method, path: &str| called.iter().filter(|call| call.method == method && call.path.contains(path)).count();
        assert_eq!(count("PATCH", "/messages/"), 1 + refusals);
        lists.push(count("GET", "/messages"));
    }
    assert_eq!(lists[0], lists[1], "nothing but the refused call is made again");
}

#[tokio::test]
async fn an_agents_file_is_opened_anew_for_the_upload_after_the_refused_one() {
    let shop = OpenChat::open().await;
    shop.meta_will_at("/media", refuses(401, 190), 1);
    shop.attaches(None, &[("a.pdf", "application/pdf", b"%PDF-1")]).await;
    assert_eq!(shop.got(), ["a.pdf"]);
}
