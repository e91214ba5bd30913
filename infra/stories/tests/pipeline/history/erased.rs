//! Who is erased does not come back with the past of a phone.

use std::time::Duration;

use serde_json::json;
use stories::{CHANNEL, World};

use super::{ANA, BERTA, DAY, HOUR, NOW, chunk, imported, notes, posted, table, theirs, thread};

#[tokio::test]
async fn whoever_is_erased_does_not_come_back_with_the_past() {
    let world = World::start().await.unwrap();
    let hers = thread(ANA, &[theirs(ANA, "wamid.a", NOW - 20 * DAY, "secreto")]);
    let others = thread(BERTA, &[theirs(BERTA, "wamid.b", NOW - 20 * DAY, "hola")]);
    // During the import: the slice is registered and waits.
    posted(&world, &[chunk(0, 1, 100, &[hers.clone(), others])]).await;
    let code = crate::erasure::operator_asks(&world, json!({ "phone": ANA })).await;
    imported(&world).await;
    crate::erasure::done(&world, &code).await;
    assert_eq!(notes(&world, &format!("+{BERTA}")).len(), 1);
    // After it, and when the shop signs up again within the time that messages are kept.
    for wait in [Duration::ZERO, 100 * 24 * HOUR] {
        world.pass(wait);
        posted(&world, &[chunk(0, 2, 100, std::slice::from_ref(&hers))]).await;
        imported(&world).await;
        let contacts: Vec<String> = world.chatwoot.contacts().into_iter().map(|contact| contact.name).collect();
        assert!(contacts.iter().all(|name| !name.contains(ANA)), "{contacts:?}");
    }
    let rows = store::Imports::new(table(&world));
    let person =
        crate::fixtures::key().alias(domain::keyed_hash::AliasKind::Phone, &domain::WaId::new(ANA).canonical());
    let number = domain::PhoneNumberId::new(CHANNEL);
    assert_eq!(rows.waiting(&number, &person).await.unwrap(), []);
    assert_eq!(rows.of_person(&number, &person).await.unwrap(), None);
}

#[tokio::test]
async fn who_is_erased_after_the_import_leaves_nothing_of_it() {
    let world = World::start().await.unwrap();
    posted(&world, &[chunk(0, 1, 100, &[thread(ANA, &[theirs(ANA, "wamid.a", NOW - 20 * DAY, "secreto")])])]).await;
    imported(&world).await;
    assert_eq!(notes(&world, &format!("+{ANA}")).len(), 1);
    let code = crate::erasure::operator_asks(&world, json!({ "phone": ANA })).await;
    crate::erasure::done(&world, &code).await;
    assert_eq!(world.chatwoot.contacts().len(), 0);
    let person =
        crate::fixtures::key().alias(domain::keyed_hash::AliasKind::Phone, &domain::WaId::new(ANA).canonical());
    let past =
        store::Imports::new(table(&world)).of_person(&domain::PhoneNumberId::new(CHANNEL), &person).await.unwrap();
    assert_eq!(past, None);
}
