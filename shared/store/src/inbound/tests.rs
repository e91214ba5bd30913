//! What came in: an item is worked on by one worker, and counted once.

use domain::{
    Author, ConversationId, CustomerId, Delivery, KeyedHash, MediaId, MessageId, RefusalReason, keyed_hash::WorkItem,
    message::MediaKind,
};

use crate::{
    Claim, ClaimGuard, Claims, DailyTotals, ItemLedger, ItemOutcome, MessageLink, MessageLinks, OrphanStatuses,
    PendingFile, PendingMedia, Revocation, Revocations, StatusMatch,
    inbound::claims::{ClaimState, StoredClaim, key},
    tests::{ACCOUNT, DAY, MINUTE, NOW, Stage, key_of_tests, number, wamid},
};

const CHANNEL: &str = "104857600123456";

fn item(name: &str) -> KeyedHash<WorkItem> {
    key_of_tests().item([name])
}

fn link(id: &str) -> MessageLink {
    MessageLink {
        wamid: wamid(id),
        customer: CustomerId::new("c"),
        account: ACCOUNT,
        conversation: ConversationId(9),
        message: MessageId(5),
        author: Author::Customer,
        part: None,
        sent_at: Some(NOW),
        imported: false,
        early: None,
    }
}

impl Stage {
    fn claims(&self) -> Claims {
        Claims::new(self.table.clone())
    }

    fn ledger(&self) -> ItemLedger {
        ItemLedger::new(self.table.clone())
    }

    fn links(&self) -> MessageLinks {
        MessageLinks::new(self.table.clone(), key_of_tests())
    }

    fn revocations(&self) -> Revocations {
        Revocations::new(self.table.clone(), key_of_tests())
    }

    async fn take(&self, name: &str, holder: &str) -> Claim {
        self.claims().take(&item(name), holder).await.unwrap()
    }

    /// The claim that a worker gets.
    async fn guard(&self, name: &str, holder: &str) -> ClaimGuard {
        match self.take(name, holder).await {
            Claim::Won(guard) | Claim::Retaken { guard, .. } => guard,
            other => panic!("{other:?}"),
        }
    }

    async fn receive(&self, names: &[&str]) {
        let items: Vec<_> = names.iter().map(|name| item(name)).collect();
        self.ledger().receive(CHANNEL, &items.iter().collect::<Vec<_>>()).await.unwrap();
    }

    /// Today's row: it always adds up.
    async fn totals(&self) -> DailyTotals {
        let day = self.now().day();
        let totals = self.ledger().daily_totals(CHANNEL, day, day).await.unwrap().remove(&day).unwrap_or_default();
        assert_eq!(totals.difference(0), 0, "{totals:?}");
        totals
    }

    /// Received, done, duplicate, refused, waiting.
    async fn counts(&self) -> [i64; 5] {
        let totals = self.totals().await;
        [totals.received, totals.done, totals.duplicate, totals.refused.values().sum(), totals.waiting]
    }

    /// The state of a claim as it is stored.
    async fn state(&self, name: &str) -> ClaimState {
        let stored = self.table.item(&key(&item(name))).await.unwrap().unwrap();
        let state = StoredClaim::read(&stored).unwrap().state;
        let is_leased = matches!(state, ClaimState::Leased { .. });
        assert_eq!(stored.contains_key("leased_until"), is_leased, "one state: {stored:?}");
        state
    }
}

#[tokio::test]
async fn one_worker_has_an_item_until_its_lease_is_over() {
    let stage = Stage::new().await;
    assert!(matches!(stage.take("a", "one").await, Claim::Won(_)));
    let Claim::Busy { for_at_most } = stage.take("a", "two").await else { panic!("not busy") };
    stage.pass(for_at_most / 2);
    assert!(matches!(stage.take("a", "two").await, Claim::Busy { .. }));
    stage.pass(for_at_most / 2);
    let retaken = stage.take("a", "two").await;
    assert!(matches!(retaken, Claim::Retaken { crashes: 1, refusals: 0, .. }), "{retaken:?}");
    // Its own task may come again at once: SQS shows it only when the work on it has ended.
    let again = stage.take("a", "two").await;
    assert!(matches!(again, Claim::Retaken { crashes: 2, .. }), "{again:?}");
}

#[tokio::test]
async fn what_the_other_side_refused_is_no_crash() {
    let stage = Stage::new().await;
    for refusals in 1..=3 {
        stage.guard("a", "one").await;
        assert_eq!(stage.claims().record_failure(&item("a"), true).await.unwrap().refusals, Some(refusals));
    }
    let retaken = stage.take("a", "one").await;
    assert!(matches!(retaken, Claim::Retaken { crashes: 0, refusals: 3, .. }), "{retaken:?}");
    assert_eq!(stage.claims().record_failure(&item("b"), true).await.unwrap().refusals, None, "never taken");
}

#[tokio::test]
async fn a_done_item_is_done_for_every_task_and_its_own_is_told_apart() {
    let stage = Stage::new().await;
    stage.receive(&["a"]).await;
    let guard = stage.guard("a", "one").await;
    stage.ledger().close(CHANNEL, &guard, ItemOutcome::Done).await.unwrap();
    assert_eq!(stage.state("a").await, ClaimState::Done);
    assert_eq!(stage.take("a", "one").await, Claim::Finished);
    assert_eq!(stage.take("a", "two").await, Claim::Done);
    for _ in 0..2 {
        stage.ledger().repeat(CHANNEL, &item("a"), "two").await.unwrap();
        assert_eq!(stage.take("a", "two").await, Claim::Finished);
    }
    assert_eq!(stage.counts().await, [2, 1, 1, 0, 0], "a repeat is counted once for each task");
}

#[tokio::test]
async fn a_parked_item_waits_for_the_worker_that_resumes_it() {
    let stage = Stage::new().await;
    stage.receive(&["a"]).await;
    let guard = stage.guard("a", "one").await;
    stage.claims().park(&guard).await.unwrap();
    assert_eq!(stage.state("a").await, ClaimState::Parked);
    assert_eq!((stage.take("a", "one").await, stage.take("a", "two").await), (Claim::Finished, Claim::Done));
    stage.pass(DAY / 2);
    let resumed = stage.claims().resume(&item("a")).await.unwrap().unwrap();
    stage.ledger().close(CHANNEL, &resumed, ItemOutcome::Done).await.unwrap();
    assert_eq!(stage.claims().resume(&item("a")).await.unwrap(), None);
    // A worker that is late does not open it again.
    stage.claims().park(&guard).await.unwrap();
    assert_eq!(stage.state("a").await, ClaimState::Done);
}

#[tokio::test]
async fn a_dead_letter_is_done_for_its_task_and_open_for_a_redriven_one() {
    let stage = Stage::new().await;
    stage.receive(&["a"]).await;
    let guard = stage.guard("a", "one").await;
    stage.claims().record_failure(&item("a"), true).await.unwrap();
    stage.ledger().dead_letter(CHANNEL, &guard, RefusalReason::UnreadableTask).await.unwrap();
    assert_eq!(stage.state("a").await, ClaimState::DeadLettered);
    assert_eq!(stage.counts().await, [1, 0, 0, 1, 0]);
    assert_eq!(stage.take("a", "one").await, Claim::Finished);
    let redriven = stage.take("a", "two").await;
    let Claim::Retaken { guard, crashes: 0, refusals: 0 } = redriven else { panic!("{redriven:?}") };
    stage.ledger().close(CHANNEL, &guard, ItemOutcome::Done).await.unwrap();
    assert_eq!(stage.counts().await, [2, 1, 0, 1, 0], "it is received anew");
}

#[tokio::test]
async fn an_item_is_counted_once_however_often_it_comes_and_whoever_closes_it() {
    let stage = Stage::new().await;
    stage.receive(&["a", "b", "a"]).await;
    stage.receive(&["b", "c"]).await;
    assert_eq!(stage.counts().await, [3, 0, 0, 0, 3]);
    let guard = stage.guard("a", "one").await;
    let ledger = stage.ledger();
    let close = async || ledger.close(CHANNEL, &guard, ItemOutcome::Done).await.unwrap();
    tokio::join!(close(), close(), close());
    assert_eq!(stage.counts().await, [3, 1, 0, 0, 2]);
    // Counted as waiting by another worker meanwhile, while this one knows of no count.
    let unknown = ClaimGuard { line: None, ..stage.guard("b", "one").await };
    ledger.wait(CHANNEL, &unknown).await.unwrap();
    ledger.close(CHANNEL, &unknown, ItemOutcome::Refused(RefusalReason::CrashesTheFunction)).await.unwrap();
    assert_eq!(stage.counts().await, [3, 1, 0, 1, 1]);
}

#[tokio::test]
async fn an_item_that_is_closed_tomorrow_is_counted_on_the_day_it_came() {
    let stage = Stage::new().await;
    stage.receive(&["a"]).await;
    let today = stage.now().day();
    stage.pass(DAY);
    let guard = stage.guard("a", "one").await;
    stage.ledger().close(CHANNEL, &guard, ItemOutcome::Done).await.unwrap();
    let days = stage.ledger().daily_totals(CHANNEL, today, today + 1).await.unwrap();
    assert_eq!(days.keys().collect::<Vec<_>>(), [&today]);
    assert_eq!((days[&today].done, days[&today].waiting), (1, 0));
}

#[tokio::test]
async fn several_hundred_items_are_received_at_once() {
    let stage = Stage::new().await;
    let names: Vec<String> = (0..250).map(|id| id.to_string()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    stage.receive(&names).await;
    stage.receive(&names).await;
    assert_eq!(stage.counts().await, [250, 0, 0, 0, 250]);
}

#[tokio::test]
async fn a_claim_past_its_time_counts_no_longer() {
    let stage = Stage::new().await;
    let guard = stage.guard("a", "one").await;
    stage.ledger().close(CHANNEL, &guard, ItemOutcome::Done).await.unwrap();
    stage.pass(15 * DAY);
    assert_eq!(stage.take("a", "two").await, Claim::Done);
    stage.pass(2 * DAY);
    assert!(matches!(stage.take("a", "two").await, Claim::Won(_)));
}

#[tokio::test]
async fn the_restart_of_a_machine_is_no_crash_of_an_item() {
    let stage = Stage::new().await;
    for name in ["open", "done"] {
        stage.guard(name, "one").await;
    }
    let done = stage.guard("done", "one").await;
    stage.ledger().close(CHANNEL, &done, ItemOutcome::Done).await.unwrap();
    stage.receive(&["waits"]).await;
    assert_eq!(stage.claims().forgive_restart().await.unwrap(), 1);
    let retaken = stage.take("open", "one").await;
    assert!(matches!(retaken, Claim::Retaken { crashes: 0, .. }), "{retaken:?}");
}

#[tokio::test]
async fn a_message_takes_one_call_to_claim_and_one_to_close() {
    let stage = Stage::new().await;
    stage.receive(&["a"]).await;
    let (guard, taking) = stage.calls(stage.guard("a", "one")).await;
    let ledger = stage.ledger();
    let links = stage.links();
    let (closed, closing) = stage.calls(links.close(&link("a"), &ledger, CHANNEL, &guard)).await;
    closed.unwrap();
    let (_, repeating) = stage.calls(stage.take("a", "two")).await;
    assert_eq!((taking, closing, repeating), (1, 1, 1));
}

#[tokio::test]
async fn a_status_that_comes_before_its_message_waits_beside_the_link() {
    let stage = Stage::new().await;
    let links = stage.links();
    for delivery in [Delivery::Delivered, Delivery::Sent] {
        assert_eq!(links.match_status(&wamid("a"), delivery).await.unwrap(), StatusMatch::Unknown);
    }
    assert_eq!(links.get(&wamid("a")).await.unwrap(), None, "a status is no link");
    assert_eq!(links.orphan_status(&wamid("a")).await.unwrap(), Some(Delivery::Delivered), "the furthest counts");
    let guard = stage.guard("a", "one").await;
    links.close(&link("a"), &stage.ledger(), CHANNEL, &guard).await.unwrap();
    let known = MessageLink { early: Some(Delivery::Delivered), ..link("a") };
    let matched = links.match_status(&wamid("a"), Delivery::Read).await.unwrap();
    assert_eq!(matched, StatusMatch::Known(Box::new(known)));
}

#[tokio::test]
async fn an_echo_of_our_own_message_does_not_replace_its_link() {
    let stage = Stage::new().await;
    let links = stage.links();
    let ours = MessageLink { author: Author::Business, part: Some((0, 1)), ..link("a") };
    let echo = MessageLink { author: Author::Business, message: MessageId(77), ..link("a") };
    assert!(stage.table.transact(vec![links.write(&ours).unwrap()]).await.unwrap());
    assert!(!stage.table.transact(vec![links.write(&echo).unwrap()]).await.unwrap());
    assert_eq!(links.get(&wamid("a")).await.unwrap(), Some(ours));
}

#[tokio::test]
async fn a_message_that_was_revoked_first_is_neither_linked_nor_counted_as_shown() {
    let stage = Stage::new().await;
    let (links, revocations, ledger) = (stage.links(), stage.revocations(), stage.ledger());
    stage.receive(&["a"]).await;
    let guard = stage.guard("a", "one").await;
    revocations.revoke(&wamid("a"), None).await.unwrap();
    let close = async |id: &str, guard: &ClaimGuard| {
        links.close_unless_revoked(&link(id), &ledger, &revocations, CHANNEL, guard, None).await.unwrap()
    };
    assert!(!close("a", &guard).await);
    assert_eq!(links.get(&wamid("a")).await.unwrap(), None);
    assert_eq!(stage.counts().await, [1, 0, 0, 0, 1], "all or nothing");
    let other = stage.guard("b", "one").await;
    assert!(close("b", &other).await);
    stage.pass(16 * DAY);
    assert_eq!(revocations.get(&wamid("a")).await.unwrap(), Revocation::default());
}

#[tokio::test]
async fn the_edits_of_a_message_are_known_once_each_and_in_order() {
    let stage = Stage::new().await;
    let revocations = stage.revocations();
    for message in [12, 7, 12] {
        let (customer, conversation) = (CustomerId::new("c"), ConversationId(9));
        revocations.follow(&wamid("a"), &customer, conversation, MessageId(message)).await.unwrap();
    }
    let followers = [7, 12].map(|id| (ConversationId(9), MessageId(id))).to_vec();
    let known = revocations.revoke(&wamid("a"), None).await.unwrap();
    assert_eq!(known, Revocation { revoked: true, followers });
}

#[tokio::test]
async fn an_orphan_status_does_not_wait_longer_for_being_added_again() {
    let stage = Stage::new().await;
    let orphans = OrphanStatuses::new(stage.table.clone());
    let message = key_of_tests().wamid(&wamid("a"));
    assert!(orphans.add(&number(), &item("a"), message.clone()).await.unwrap());
    stage.pass(MINUTE);
    assert!(!orphans.add(&number(), &item("a"), message.clone()).await.unwrap());
    let waiting = orphans.all(&number()).await.unwrap();
    assert_eq!((waiting[0].until, &waiting[0].message), (NOW + DAY, &message));
    assert_eq!(orphans.count(&number()).await.unwrap(), 1);
    orphans.remove(&number(), &item("a")).await.unwrap();
    assert_eq!(orphans.count(&number()).await.unwrap(), 0);
}

#[tokio::test]
async fn a_file_is_asked_for_by_one_worker_at_a_time() {
    let stage = Stage::new().await;
    let (links, revocations, ledger) = (stage.links(), stage.revocations(), stage.ledger());
    let files = PendingMedia::new(stage.table.clone());
    let file = PendingFile {
        number: number(),
        item: item("a"),
        wamid: wamid("a"),
        customer: CustomerId::new("c"),
        account: ACCOUNT,
        conversation: ConversationId(9),
        placeholder: MessageId(5),
        author: Author::Customer,
        group: "1#a".into(),
        media: MediaId::new("m"),
        kind: MediaKind::Image,
        mime_type: None,
        sent_at: NOW,
        past: None,
        tries: 1,
        next_at: NOW,
    };
    let guard = stage.guard("a", "one").await;
    let closed = links.close_unless_revoked(&link("a"), &ledger, &revocations, CHANNEL, &guard, Some(&file)).await;
    assert!(closed.unwrap());
    assert_eq!(files.all(&number()).await.unwrap(), std::slice::from_ref(&file));
    assert!(files.put_off(&file).await.unwrap());
    assert!(!files.put_off(&file).await.unwrap(), "the other worker read it before");
    let stored = files.get(&number(), &item("a")).await.unwrap().unwrap();
    assert_eq!((stored.tries, stored.next_at > stage.now()), (2, true));
    stage.pass(9 * DAY);
    assert_eq!(files.all(&number()).await.unwrap(), [], "Meta does not have it any more");
}
