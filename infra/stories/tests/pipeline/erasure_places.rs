//! What is somebody else's stays, what is hidden is found, and what is out of reach is called that.

use std::time::Duration;

use domain::{AccountId, Identity, UserId, WaId};
use serde_json::{Value, json};
use store::{DataInventory, DataSubject, Tombstones};
use stories::{CHANNEL, World};

use crate::{
    erasure::{done, is_done, items, operator_asks, state, two_customers},
    fixtures::{HOUR, MINUTE, always, ana_wrote, answer, berta, goes_by, key, table},
    identity::answers,
    open_chat::{OpenChat, file, refuses},
    retention_sweep::wrote_to_another_dealer,
    templates::{body, params, template},
};

const DAY: Duration = Duration::from_secs(86_400);

pub(crate) async fn receipt(world: &World, code: &str) -> Value {
    world.operator(json!({ "receipt": code })).await.unwrap()["receipt"].clone()
}

/// A place in a receipt.
pub(crate) fn place<'r>(receipt: &'r Value, name: &str) -> &'r Value {
    receipt["places"].as_array().unwrap().iter().find(|place| place["place"] == name).unwrap()
}

#[tokio::test]
async fn whoever_shares_a_merged_contact_keeps_their_conversation() {
    for ana_is_kept in [true, false] {
        let world = World::start().await.unwrap();
        ana_wrote(&world).await;
        let berta = berta(&world);
        berta.writes("buenas").await.unwrap();
        world.work().await.unwrap();
        let (hers, theirs) = (world.conversation("Ana").unwrap(), world.conversation("Berta").unwrap());
        let contacts = world.chatwoot.contacts();
        let (base, other) = if ana_is_kept { (0, 1) } else { (1, 0) };
        world.chatwoot.agent("Sofía").merges(contacts[base].id, contacts[other].id).await;
        world.work().await.unwrap();
        let before: Vec<String> = items(&world).await.into_iter().filter(|item| item.contains("5550124")).collect();
        assert!(!before.is_empty());

        let code = operator_asks(&world, json!({ "phone": "+5215555550123" })).await;
        done(&world, &code).await;
        let rows: Vec<i64> = world.chatwoot.conversations().into_iter().map(|row| row.id).collect();
        assert_eq!(rows, [theirs], "{hers} goes, kept {ana_is_kept}");
        let after = items(&world).await;
        assert!(before.iter().all(|item| after.contains(item)), "{ana_is_kept}");
        assert!(!after.iter().any(|item| item.contains("5550123")));
        let kept = world.chatwoot.contacts().pop().unwrap();
        let shown = format!("{kept:?}");
        assert!(!shown.contains("5550123") && !shown.contains("Ana"), "{shown}");
        assert_eq!(place(&receipt(&world, &code).await, "chatwoot")["left"], 1);
        // She writes and is answered as before.
        berta.writes("¿y la moto?").await.unwrap();
        world.work().await.unwrap();
        answers(&world, theirs, "Aquí está").await;
        assert_eq!(berta.heard().pop().unwrap(), "Aquí está");
        assert_eq!(world.chatwoot.conversations().len(), 1);
    }
}

#[tokio::test]
async fn more_conversations_than_chatwoot_shows_go_all_the_same_and_are_counted() {
    let world = World::start().await.unwrap();
    ana_wrote(&world).await;
    let contact = world.chatwoot.contacts()[0].id;
    world.chatwoot.lock_to_single_conversation(14, false);
    // The bridge never hears of these.
    world.chatwoot.set_callback_url(14, &format!("http://127.0.0.1:9/callbacks/chatwoot/{CHANNEL}"));
    let agent = world.chatwoot.agent("Sofía");
    for number in 0..44 {
        agent.starts_conversation(contact, 14, &format!("aviso {number}")).await;
    }
    assert_eq!(world.chatwoot.conversations().len(), 45);
    let code = operator_asks(&world, json!({ "phone": "+5215555550123" })).await;
    done(&world, &code).await;
    assert_eq!((world.chatwoot.conversations().len(), world.chatwoot.contacts().len()), (0, 0));
    assert_eq!(place(&receipt(&world, &code).await, "chatwoot")["found"], 46);
}

#[tokio::test]
async fn what_a_refused_token_keeps_out_of_reach_is_called_that_and_an_outage_is_waited_for() {
    for (effect, forever) in [(refuses(401, 190), true), (answer(503), false)] {
        let world = World::start().await.unwrap();
        two_customers(&world).await;
        world.meta.faults().add(always("DELETE", "/", effect));
        let code = operator_asks(&world, json!({ "phone": "+5215555550123" })).await;
        goes_by(&world, HOUR, 15 * MINUTE).await;
        assert_eq!(state(&world, &code).await["state"], "waiting");
        for _ in 0..8 {
            world.later(DAY).await.unwrap();
            world.retention().await.unwrap();
            world.work().await.unwrap();
        }
        assert_eq!(is_done(&world, &code).await, forever);
        world.meta.faults().clear();
        goes_by(&world, HOUR, 15 * MINUTE).await;
        let receipt = receipt(&world, &code).await;
        let (media, book) = (place(&receipt, "meta_media"), place(&receipt, "meta_contact_book"));
        if forever {
            assert_eq!((&media["erased"], &media["left"], &book["left"]), (&json!(0), &media["found"], &json!(1)));
            assert!(media["left_because"].as_str().unwrap().contains("30 days"));
        } else {
            assert_eq!(
                (&media["erased"], &media["left"], &book["left"]),
                (&media["found"], &json!(null), &json!(null))
            );
        }
    }
}

fn left(items: &[String], what: &str) -> usize {
    items.iter().filter(|item| item.contains(what)).count()
}

/// What Ana was known by is past its end and deleted, and links of hers are not.
pub(crate) async fn outlived(world: &World) {
    let (_, conversation) = ana_wrote(world).await;
    goes_by(world, 23 * HOUR, HOUR).await;
    answers(world, conversation, "¿sigue interesada?").await;
    world.pass(364 * DAY + 13 * HOUR);
    world.retention().await.unwrap();
    let before = items(world).await;
    assert!(left(&before, "alias#") == 0 && left(&before, "wamid.") > 0, "{before:?}");
}

#[tokio::test]
async fn what_outlived_the_table_s_memory_of_somebody_is_found_by_what_chatwoot_shows() {
    let world = World::start().await.unwrap();
    outlived(&world).await;
    let code = operator_asks(&world, json!({ "phone": "+5215555550123" })).await;
    done(&world, &code).await;
    let after = items(&world).await;
    assert_eq!((left(&after, "wamid."), left(&after, "5550123")), (0, 0), "{after:?}");
}

#[tokio::test]
async fn a_template_s_file_is_erased_at_meta_like_any_other() {
    let shop = OpenChat::open().await;
    let picture = json!([{ "type": "HEADER", "format": "DOCUMENT" }, body("Le mando su cotización.")]);
    shop.offers(vec![template("cotizacion", "UTILITY", &picture)]).await;
    let files = vec![file("cotizacion Ana.pdf", "application/pdf", b"%PDF Ana")];
    shop.sofia.sends_files(shop.conversation, None, files).await;
    shop.world.work().await.unwrap();
    let held = shop.world.meta.media_held();
    let path = format!("/conversations/{}/messages", shop.conversation);
    let listed = shop.reads_chatwoot(&path).await;
    let address = listed["payload"].as_array().unwrap().last().unwrap()["attachments"][0]["data_url"].clone();
    let picked = json!({ "header": { "media_url": address, "media_type": "document" } });
    shop.sofia.picks_template(shop.conversation, params("cotizacion", &picked), "Le mando su cotización.").await;
    shop.world.work().await.unwrap();
    assert_eq!((shop.sent_templates().len(), shop.world.meta.media_held()), (1, held + 1));
    let code = operator_asks(&shop.world, json!({ "phone": "+5215555550123" })).await;
    done(&shop.world, &code).await;
    assert_eq!(shop.world.meta.media_held(), 0);
}

#[tokio::test]
async fn what_was_read_of_somebody_before_they_were_erased_leads_nobody_to_them_after() {
    let world = World::start().await.unwrap();
    let (customers, _) = wrote_to_another_dealer(&world).await;
    let (account, at) = (AccountId(9), table(&world).now());
    let by_id = Identity { user_id: Some(UserId::new("MX.777")), ..Identity::default() };
    let both = Identity { phone: Some(WaId::new("5215555550777")), ..by_id.clone() };
    let before = customers.identify(account, &by_id, at).await.unwrap();
    let (_, known) = Tombstones::new(table(&world), key()).check(account, &both, at).await.unwrap();
    let mut target = DataSubject { only: Some(account), customers: [before.clone()].into(), ..DataSubject::default() };
    let belongings = DataInventory::new(table(&world), key());
    belongings.gather(&mut target).await.unwrap();
    belongings.delete(&belongings.keys(&target).await.unwrap()).await.unwrap();
    let after = customers.identify_known(known, at).await.unwrap();
    assert_ne!(after, before);
    assert_eq!(customers.find(account, &both).await.unwrap(), Some(after));
}
