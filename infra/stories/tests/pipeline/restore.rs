//! The drill of `docs/runbook/restore.md`: a table put back to yesterday does not bring back who was erased today.

use std::time::Duration;

use domain::{
    AccountId,
    erasure::{ErasureDeadlines, RequestSource},
};
use serde_json::json;
use store::{DataInventory, DataSubject, ErasureRequests, LedgerCopy, Restore};
use stories::{ACCOUNT, World};

use crate::{
    erasure::{done, is_done, items, operator_asks, state, two_customers},
    erasure_places::outlived,
    fixtures::{HOUR, MINUTE, always, ana, ana_wrote, answer, goes_by, key, post_all_again, table},
    retention_sweep::{hers, wrote_to_another_dealer},
};

const DAY: Duration = Duration::from_secs(86_400);

fn restore(world: &World) -> Restore {
    Restore::new(table(world), DataInventory::new(table(world), key()))
}

/// The whole table, to be put back later.
async fn backup(world: &World) -> Vec<std::collections::HashMap<String, aws_sdk_dynamodb::types::AttributeValue>> {
    let aws = platform::aws::Aws::from_env(world.stage.operator()).unwrap();
    aws.dynamodb.scan().table_name(world.stage.table().unwrap()).send().await.unwrap().items.unwrap()
}

async fn put_back(
    world: &World,
    backup: Vec<std::collections::HashMap<String, aws_sdk_dynamodb::types::AttributeValue>>,
) {
    let aws = platform::aws::Aws::from_env(world.stage.operator()).unwrap();
    let name = world.stage.table().unwrap();
    for item in self::backup(world).await {
        let key = ["pk", "sk"].map(|part| (part.to_owned(), item[part].clone()));
        aws.dynamodb.delete_item().table_name(name).set_key(Some(key.into())).send().await.unwrap();
    }
    for item in backup {
        aws.dynamodb.put_item().table_name(name).set_item(Some(item)).send().await.unwrap();
    }
}

#[tokio::test]
async fn a_restored_table_is_erased_again_before_traffic_and_keeps_its_receipts() {
    let world = World::start().await.unwrap();
    two_customers(&world).await;
    let yesterday = backup(&world).await;
    let berta = items(&world).await.into_iter().filter(|item| item.contains("5550124")).collect::<Vec<_>>();
    world.pass(DAY);
    let code = operator_asks(&world, json!({ "phone": "+5215555550123" })).await;
    done(&world, &code).await;
    let receipt = world.operator(json!({ "receipt": code })).await.unwrap();

    let kept = restore(&world).export().await.unwrap();
    let text = json!(kept).to_string();
    assert!(!text.contains("5550123") && !text.contains("MX.") && !text.contains("wamid"), "{text}");
    put_back(&world, yesterday).await;
    assert!(items(&world).await.iter().any(|item| item.contains("5550123")));

    let dry = restore(&world).apply(&kept, true).await.unwrap();
    assert_eq!((dry.requests, dry.customers), (1, 1));
    assert!(dry.items > 10 && dry.tombstones >= 2, "{dry:?}");
    assert!(!is_done(&world, &code).await);
    let applied = restore(&world).apply(&kept, false).await.unwrap();
    assert_eq!(applied, dry);
    let again = restore(&world).apply(&kept, false).await.unwrap();
    assert_eq!((again.customers, again.items), (0, 0));

    let left = items(&world).await;
    assert!(!left.iter().any(|item| item.contains("5550123")));
    assert!(berta.iter().all(|item| left.contains(item)), "the other is untouched");
    assert_eq!(world.operator(json!({ "receipt": code })).await.unwrap(), receipt);
    // With traffic: whatever Meta repeats stays away, and she may come back herself.
    post_all_again(&world).await;
    goes_by(&world, HOUR, 15 * MINUTE).await;
    assert!(world.conversation("Ana").is_err());
    ana(&world).writes("hola").await.unwrap();
    world.work().await.unwrap();
    assert_eq!(world.agent_reads("Ana"), ["Ana: hola"]);
}

#[tokio::test]
async fn whom_the_index_of_a_restored_table_does_not_show_yet_is_erased_again_with_everything() {
    let world = World::start().await.unwrap();
    two_customers(&world).await;
    let yesterday = backup(&world).await;
    world.pass(DAY);
    let code = operator_asks(&world, json!({ "phone": "+5215555550123" })).await;
    done(&world, &code).await;
    let kept = restore(&world).export().await.unwrap();
    world.lag().unwrap();
    put_back(&world, yesterday).await;
    let applied = restore(&world).apply(&kept, false).await.unwrap();
    assert!(applied.customers == 1 && applied.items > 10, "{applied:?}");
    world.pass(HOUR);
    let again = restore(&world).apply(&kept, true).await.unwrap();
    assert_eq!((again.customers, again.items), (0, 0));
    // Whatever names anybody names the other.
    let theirs: std::collections::BTreeSet<String> = items(&world)
        .await
        .into_iter()
        .filter_map(|item| Some(item.split("customer=S(\"").nth(1)?.split('"').next()?.to_owned()))
        .collect();
    assert_eq!(theirs.len(), 1, "{theirs:?}");
    assert!(!items(&world).await.iter().any(|item| item.contains("5550123")));
    assert!(items(&world).await.iter().any(|item| item.contains("5550124")));
}

#[tokio::test]
async fn what_nobody_is_known_by_any_more_is_erased_again_as_well() {
    let world = World::start().await.unwrap();
    outlived(&world).await;
    let yesterday = backup(&world).await;
    world.pass(6 * HOUR);
    let code = operator_asks(&world, json!({ "phone": "+5215555550123" })).await;
    done(&world, &code).await;
    let kept = restore(&world).export().await.unwrap();
    put_back(&world, yesterday).await;
    assert!(items(&world).await.iter().any(|item| item.contains("wamid.")));
    let applied = restore(&world).apply(&kept, false).await.unwrap();
    assert!(applied.customers == 1 && applied.items > 0, "{applied:?}");
    assert!(!items(&world).await.iter().any(|item| item.contains("wamid.") || item.contains("5550123")));
    let again = restore(&world).apply(&kept, false).await.unwrap();
    assert_eq!((again.customers, again.items), (0, 0));
}

#[tokio::test]
async fn what_was_erased_at_one_dealer_is_not_erased_at_another_after_a_restore() {
    for door in [RequestSource::Retention, RequestSource::Chatwoot] {
        let world = World::start().await.unwrap();
        ana(&world).writes("hola").await.unwrap();
        world.work().await.unwrap();
        let quiet_since = Some(table(&world).now()).filter(|_| door == RequestSource::Retention);
        let (customers, theirs) = wrote_to_another_dealer(&world).await;
        world.pass(DAY);
        let yesterday = backup(&world).await;
        let hers_here = customers.find(AccountId(ACCOUNT), &hers()).await.unwrap();
        let only = Some(AccountId(ACCOUNT));
        let target =
            DataSubject { only, quiet_since, customers: hers_here.into_iter().collect(), ..DataSubject::default() };
        let promise = ErasureDeadlines { deletion_days: 30, warn_days: vec![], confirm_hours: 24 };
        let requests = ErasureRequests::new(table(&world), key(), promise);
        let asked = requests.ask(door, target, table(&world).now()).await.unwrap();
        let report = world.retention().await.unwrap();
        assert!(report.trouble.is_some() && report.overdue > 0, "the other account is told to be in trouble");
        goes_by(&world, 8 * MINUTE, MINUTE).await;
        assert!(is_done(&world, asked.entry.erasure.code().as_str()).await, "{door:?}");
        let kept = restore(&world).export().await.unwrap();
        put_back(&world, yesterday).await;
        let applied = restore(&world).apply(&kept, false).await.unwrap();
        assert_eq!((applied.requests, applied.customers), (1, 1), "{door:?}");
        assert_eq!(customers.find(AccountId(9), &hers()).await.unwrap(), Some(theirs));
        assert_eq!(customers.find(AccountId(ACCOUNT), &hers()).await.unwrap(), None);
        // And what bars her bars her here alone.
        let graves = store::Tombstones::new(table(&world), key());
        let first = table(&world).now() - 2 * DAY;
        for (account, barred) in [(AccountId(ACCOUNT), true), (AccountId(9), false)] {
            let (bars, _) = graves.check(account, &hers(), first).await.unwrap();
            assert_eq!(matches!(bars, store::ErasureCheck::Erased(_)), barred, "{door:?} {account}");
        }
    }
}

#[tokio::test]
async fn a_request_that_was_open_is_open_after_a_restore_and_done_only_when_chatwoot_is_clear() {
    let world = World::start().await.unwrap();
    two_customers(&world).await;
    let yesterday = backup(&world).await;
    world.pass(DAY);
    world.chatwoot.faults().add(always("DELETE", "/", answer(503)));
    let code = operator_asks(&world, json!({ "phone": "+5215555550123" })).await;
    goes_by(&world, HOUR, 15 * MINUTE).await;
    assert_eq!(state(&world, &code).await["state"], "waiting");

    let kept = restore(&world).export().await.unwrap();
    let text = json!(kept).to_string();
    assert!(!text.contains("5550123") && !text.contains("MX.") && !text.contains("wamid"), "{text}");
    put_back(&world, yesterday).await;
    for _ in 0..2 {
        let applied = restore(&world).apply(&kept, false).await.unwrap();
        // Her items lead to what is still in Chatwoot.
        assert_eq!((applied.requests, applied.customers, applied.items), (1, 0, 0));
    }
    assert!(items(&world).await.iter().any(|item| item.contains("5550123")));
    assert_eq!(world.retention().await.unwrap().open, 1);
    goes_by(&world, HOUR, 15 * MINUTE).await;
    assert!(!is_done(&world, &code).await && world.conversation("Ana").is_ok());
    world.chatwoot.faults().clear();
    goes_by(&world, HOUR, 15 * MINUTE).await;
    assert!(is_done(&world, &code).await, "{}", state(&world, &code).await);
    assert!(world.conversation("Ana").is_err() && world.conversation("Berta").is_ok());
    assert!(!items(&world).await.iter().any(|item| item.contains("5550123")));
    let receipt = world.operator(json!({ "receipt": code })).await.unwrap();
    let found = |place: usize| receipt["receipt"]["places"][place]["found"].as_u64().unwrap();
    assert!(found(3) == 2 && found(4) > 10, "{receipt}");
}

#[tokio::test]
async fn somebody_the_restored_table_never_knew_is_named_once_more_and_not_taken_for_erased() {
    let world = World::start().await.unwrap();
    let yesterday = backup(&world).await;
    ana_wrote(&world).await;
    world.chatwoot.faults().add(always("DELETE", "/", answer(503)));
    let code = operator_asks(&world, json!({ "phone": "+5215555550123" })).await;
    goes_by(&world, HOUR, 15 * MINUTE).await;
    let kept = restore(&world).export().await.unwrap();
    put_back(&world, yesterday).await;
    restore(&world).apply(&kept, false).await.unwrap();
    world.chatwoot.faults().clear();
    goes_by(&world, 2 * HOUR, 15 * MINUTE).await;
    world.retention().await.unwrap();
    goes_by(&world, HOUR, 15 * MINUTE).await;
    assert_eq!(state(&world, &code).await["state"], "waiting");
    assert_eq!(operator_asks(&world, json!({ "phone": "+5215555550123" })).await, code);
    goes_by(&world, HOUR, 15 * MINUTE).await;
    assert!(is_done(&world, &code).await, "{}", state(&world, &code).await);
    assert!(world.conversation("Ana").is_err());
}

#[tokio::test]
async fn an_open_request_whose_target_is_gone_is_never_called_done() {
    let world = World::start().await.unwrap();
    ana_wrote(&world).await;
    let code = operator_asks(&world, json!({ "phone": "+5215555550123" })).await;
    let aws = platform::aws::Aws::from_env(world.stage.operator()).unwrap();
    let key = [("pk", format!("erasure#{code}")), ("sk", "target".to_owned())];
    let key = key.map(|(name, value)| (name.to_owned(), aws_sdk_dynamodb::types::AttributeValue::S(value)));
    let delete = aws.dynamodb.delete_item().table_name(world.stage.table().unwrap());
    delete.set_key(Some(key.into())).send().await.unwrap();
    goes_by(&world, HOUR, 15 * MINUTE).await;
    assert!(!is_done(&world, &code).await && world.conversation("Ana").is_ok());
}

/// The copy that is made every day.
async fn copied(world: &World) -> Vec<serde_json::Value> {
    LedgerCopy::new(table(world).named("lmotos-ledger".to_owned())).read().await.unwrap()
}

#[tokio::test]
async fn the_daily_copy_erases_again_what_a_lost_table_cannot_tell() {
    let world = World::start().await.unwrap();
    two_customers(&world).await;
    let yesterday = backup(&world).await;
    world.pass(DAY);
    let code = operator_asks(&world, json!({ "phone": "+5215555550123" })).await;
    world.ledger().await.unwrap();
    assert!(json!(copied(&world).await).to_string().contains(&code), "open requests are in it");
    done(&world, &code).await;
    world.ledger().await.unwrap();
    let kept = copied(&world).await;
    let text = json!(kept).to_string();
    assert!(!text.contains("5550123") && !text.contains("MX.") && !text.contains("wamid"), "{text}");
    assert_eq!(
        kept.len(),
        restore(&world).export().await.unwrap().len(),
        "what led to the person is gone with the request"
    );

    // The table is lost, and a backup of yesterday stands in its place: it knows of no request.
    put_back(&world, yesterday).await;
    assert!(restore(&world).export().await.unwrap().is_empty());
    // A copy made of that table takes nothing away.
    world.ledger().await.unwrap();
    assert_eq!(copied(&world).await, kept);
    let applied = restore(&world).apply(&kept, false).await.unwrap();
    assert_eq!((applied.requests, applied.customers), (1, 1));
    assert_eq!(restore(&world).apply(&kept, true).await.unwrap().customers, 0);
    assert!(is_done(&world, &code).await);
}

#[tokio::test]
async fn a_copy_of_an_older_table_does_not_open_what_is_closed() {
    let world = World::start().await.unwrap();
    two_customers(&world).await;
    let code = operator_asks(&world, json!({ "phone": "+5215555550123" })).await;
    let open = backup(&world).await;
    done(&world, &code).await;
    world.ledger().await.unwrap();
    let kept = copied(&world).await;
    put_back(&world, open).await;
    world.ledger().await.unwrap();
    let again = copied(&world).await;
    let state = |kept: &[serde_json::Value]| {
        let request = kept.iter().find(|one| one["code"] == code.as_str() && one["state"].is_object());
        request.map(|one| one["state"]["state"].clone())
    };
    assert_eq!((state(&again), state(&kept)), (Some(json!("done")), Some(json!("done"))));
}
