//! No receipt without every location clear, and none before the second check.

use domain::Erasure;
use serde_json::json;
use store::DataSubject;

use super::*;
use crate::{
    intake::Sealed,
    receipt,
    tests::{Bench, restaged},
};

/// Every location but `but` is clear since now.
fn cleared(bench: &Bench, erasure: Erasure, but: Option<DataLocation>) -> Erasure {
    let now = bench.now();
    let locations = DataLocation::ALL.into_iter().filter(|location| Some(*location) != but);
    locations.fold(erasure.begin(now).unwrap(), |erasure, location| erasure.clear(location, now).unwrap())
}

#[tokio::test]
async fn an_erasure_that_is_not_clear_everywhere_is_not_finished() {
    let bench = Bench::start().await;
    let subject = bench.gathered();
    for but in DataLocation::ALL {
        let entry = bench.request(&subject, |erasure| cleared(&bench, erasure, Some(but))).await;
        let code = entry.erasure.code().clone();
        let refused = receipt::finish(Checked(bench.run(entry, subject.clone()))).await;
        assert!(matches!(refused, Err(Stop::Refused(_))), "{but:?}: {refused:?}");
        assert_eq!(bench.handler.clients.erasures.receipt(&code).await.unwrap(), None, "{but:?}");
        assert!(!bench.entry(&code).await.erasure.is_closed(), "{but:?}");
    }
}

#[tokio::test]
async fn a_second_check_of_a_request_that_is_not_underway_is_refused() {
    let bench = Bench::start().await;
    let subject = bench.gathered();
    let early = |erasure| {
        let all = cleared(&bench, Erasure::clone(&erasure), None).cleared().clone();
        restaged(&erasure, "cleared", json!(all))
    };
    let entry = bench.request(&subject, early).await;
    let code = entry.erasure.code().clone();
    let sealed = Sealed::assume(bench.run(entry, subject));
    let cleared = Cleared::clear(sealed).await.unwrap();
    let refused = Checked::check(cleared).await.err();
    assert!(matches!(refused, Some(Stop::Refused(_))), "{refused:?}");
    assert_eq!(bench.entry(&code).await.erasure.cleared().len(), DataLocation::ALL.len());
}

#[tokio::test]
async fn the_second_check_waits_until_aws_shows_what_it_shows_late() {
    let bench = Bench::start().await;
    let subject = DataSubject { gathered: true, ..bench.gathered() };
    let entry = bench.request(&subject, |erasure| cleared(&bench, erasure, None)).await;
    let code = entry.erasure.code().clone();
    let cleared = Cleared::clear(Sealed::assume(bench.run(entry, subject))).await.unwrap();
    let early = Checked::check(cleared).await.err();
    assert!(matches!(early, Some(Stop::Verdict(_))), "{early:?}");
    let then = bench.now() + SECOND_CHECK_DELAY;
    assert_eq!(bench.entry(&code).await.erasure.wake_at(), Some(then));
}
