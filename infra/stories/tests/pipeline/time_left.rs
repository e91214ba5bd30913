//! The time an invocation has left is told by the clock it was given.

use std::time::Duration;

use simulator_wire::{Effect, Fault};

use crate::{
    fixtures::{MINUTE, ana_wrote},
    open_chat::OpenChat,
};

/// The table's next answer to such a call comes late.
fn late(target: &str, time: Duration) -> Fault {
    let millis = u64::try_from(time.as_millis()).unwrap();
    Fault { method: None, path: target.to_owned(), skip: 0, times: Some(1), effect: Effect::Late { millis } }
}

#[tokio::test]
async fn a_message_is_not_begun_when_too_little_time_is_left() {
    for (time, read) in [(Duration::from_secs(99), "Ana: dos"), (Duration::from_secs(101), "Ana: uno")] {
        let world = stories::World::start().await.unwrap();
        let (ana, _) = ana_wrote(&world).await;
        world.pass(MINUTE);
        ana.writes("uno").await.unwrap();
        ana.writes("dos").await.unwrap();
        world.stage.aws.faults().add(late("DynamoDB_20120810.UpdateItem", time));
        assert!(world.forward_once().await.unwrap());
        assert_eq!(world.agent_reads("Ana").pop().unwrap(), read);
        world.work().await.unwrap();
        assert_eq!(world.agent_reads("Ana").pop().unwrap(), "Ana: dos");
    }
}

#[tokio::test]
async fn a_conversation_makes_way_for_others_after_ten_seconds() {
    for (time, heard) in [(Duration::from_secs(0), 3), (Duration::from_secs(11), 1)] {
        let shop = OpenChat::open().await;
        let berta = shop.world.meta.customer("Berta", "5215555550124");
        berta.writes("hola").await.unwrap();
        shop.world.work().await.unwrap();
        shop.world.pass(MINUTE);
        for text in ["uno", "dos", "tres"] {
            shop.sofia.replies(shop.conversation, text).await;
        }
        shop.sofia.replies(shop.world.conversation("Berta").unwrap(), "Buenas").await;
        shop.world.calm().await;
        shop.world.meta.faults().add(Fault { path: "/messages".to_owned(), ..late("", time) });
        assert!(shop.world.send_once().await.unwrap());
        assert_eq!((shop.ana.heard().len(), berta.heard().len()), (heard, 1), "{time:?}");
        shop.world.work().await.unwrap();
        assert_eq!(shop.ana.heard(), ["uno", "dos", "tres"]);
    }
}
