//! Looks are recorded in order, and a removed or changed one is noticed.

use crate::{
    keys::{ItemKey, Key},
    table::text,
    tests::{DAY, MINUTE, Stage, key_of_tests},
};

use super::*;

async fn log(stage: &Stage, looks: usize) -> AccessLog {
    let log = AccessLog::new(stage.table.clone(), key_of_tests());
    for number in 0..looks {
        stage.pass(MINUTE);
        log.record(&look(stage, &format!("case {number}"))).await.unwrap();
    }
    log
}

fn look(stage: &Stage, why: &str) -> Look {
    let [who, command, subject] = ["arn:aws:iam::1:user/eva", "trace", "5b1f"].map(str::to_owned);
    Look { who, command, subject, why: why.to_owned(), at: stage.now() }
}

async fn faults(log: &AccessLog) -> (Vec<Option<AccessFault>>, Option<AccessFault>) {
    let (looks, at_end) = log.looks().await.unwrap();
    (looks.into_iter().map(|look| look.fault).collect(), at_end)
}

#[tokio::test]
async fn looks_are_recorded_in_their_order_and_two_at_once_one_after_the_other() {
    let stage = Stage::new().await;
    let log = log(&stage, 2).await;
    let (one, other) = (look(&stage, "one"), look(&stage, "other"));
    let (first, second) = tokio::join!(log.record(&one), log.record(&other));
    first.and(second).unwrap();
    let (looks, at_end) = log.looks().await.unwrap();
    assert_eq!(looks.iter().map(|look| look.number).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert!(looks.iter().all(|look| look.fault.is_none()) && at_end.is_none());
    assert_eq!(looks[1].look.why, "case 1");
}

#[tokio::test]
async fn a_removed_or_changed_record_is_noticed_wherever_it_was() {
    let stage = Stage::new().await;
    let log = log(&stage, 4).await;
    let key = |number| Key::from(ItemKey::Access(number));
    stage.table.delete(&key(2)).await.unwrap();
    assert_eq!(faults(&log).await, (vec![None, Some(AccessFault::Missing(1)), None], None));
    stage.table.delete(&key(4)).await.unwrap();
    assert_eq!(faults(&log).await.1, Some(AccessFault::Missing(1)));
    let mut changed = stage.table.item(&key(1)).await.unwrap().unwrap();
    changed.insert("who".to_owned(), text("arn:aws:iam::1:user/max"));
    stage.table.put_if(changed, "attribute_exists(pk)", Item::new()).await.unwrap();
    assert_eq!(faults(&log).await.0[0], Some(AccessFault::Changed));
}

#[tokio::test]
async fn what_went_with_its_time_is_no_removal() {
    let stage = Stage::new().await;
    let log = log(&stage, 1).await;
    stage.pass(399 * DAY);
    log.record(&look(&stage, "a year later")).await.unwrap();
    stage.pass(2 * DAY);
    stage.table.delete(&Key::from(ItemKey::Access(1))).await.unwrap();
    assert_eq!(faults(&log).await, (vec![None], None));
}
