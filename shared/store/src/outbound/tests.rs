//! What goes out: no writer overwrites another, and no two messages get one slot.

use std::time::Duration;

use domain::{
    ContactId, ConversationId, CustomerId, MessageId, Outgoing, PartEvent, Timestamp, rate_limit::RecipientRateLimit,
};

use crate::{
    Conversation, Conversations, MessageLinks, NumberRateLimit, Outbox, OutboxEntry, ReconcileCursor, Slot, StoreError,
    SyncResult,
    keys::ItemKey,
    tests::{ACCOUNT, DAY, MINUTE, NOW, Stage, channel, key_of_tests, number, phone},
};

const CONVERSATION: ConversationId = ConversationId(9);

fn entry(message: i64) -> OutboxEntry {
    OutboxEntry::new(ACCOUNT, CONVERSATION, MessageId(message), None, after(0))
}

/// What became of a message, as it was found after so many seconds.
fn after(seconds: u64) -> Outgoing {
    Outgoing::new(NOW + Duration::from_secs(seconds), 1)
}

impl Stage {
    fn outbox(&self) -> Outbox {
        Outbox::new(self.table.clone())
    }

    async fn read(&self, message: i64) -> OutboxEntry {
        self.outbox().get(ACCOUNT, CONVERSATION, MessageId(message)).await.unwrap().unwrap()
    }

    async fn bound(&self) -> (Conversations, CustomerId) {
        let conversations = Conversations::new(self.table.clone());
        let customer = self.identify(&phone("5215555550123")).await;
        conversations.bind(&self.customers, &customer, &channel(), ContactId(5), CONVERSATION, false).await.unwrap();
        (conversations, customer)
    }
}

async fn known(conversations: &Conversations) -> Conversation {
    conversations.get(ACCOUNT, CONVERSATION).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_writer_who_read_an_older_entry_gets_the_newer_one() {
    let stage = Stage::new().await;
    let outbox = stage.outbox();
    let read = outbox.save(entry(1)).await.unwrap().unwrap();
    let theirs = outbox.save(read.clone().with(after(1))).await.unwrap().unwrap();
    let lost = outbox.save(read.with(after(2))).await.unwrap();
    assert_eq!(lost, Err(theirs.clone()));
    assert_eq!(outbox.save(entry(1)).await.unwrap(), Err(theirs.clone()), "nor is it made anew");
    assert_eq!(stage.read(1).await, theirs);
}

#[tokio::test]
async fn a_change_is_made_again_on_what_another_writer_left() {
    let stage = Stage::new().await;
    let outbox = stage.outbox();
    let read = outbox.save(entry(1)).await.unwrap().unwrap();
    outbox.save(read.clone().with(after(1))).await.unwrap().unwrap();
    let mut seen = Vec::new();
    let change = outbox.change(&read, |outgoing| {
        seen.push(outgoing.clone());
        *outgoing = after(2);
        Ok(())
    });
    let changed = change.await.unwrap().unwrap();
    assert_eq!(seen, [after(0), after(1)]);
    assert_eq!((&changed.outgoing, &stage.read(1).await), (&after(2), &changed));
    let refused = outbox.change(&changed, |outgoing| outgoing.apply(0, PartEvent::Reopened)).await;
    assert!(matches!(refused, Err(StoreError::Transition(_))), "{refused:?}");
    assert_eq!(stage.read(1).await, changed);
}

#[tokio::test]
async fn an_entry_that_was_erased_does_not_come_back() {
    let stage = Stage::new().await;
    let outbox = stage.outbox();
    let read = outbox.save(entry(1)).await.unwrap().unwrap();
    stage.table.delete(&ItemKey::Outgoing(ACCOUNT, CONVERSATION, MessageId(1)).into()).await.unwrap();
    let change = outbox.change(&read, |outgoing| {
        *outgoing = after(1);
        Ok(())
    });
    assert_eq!(change.await.unwrap(), None);
    assert!(matches!(outbox.save(read).await, Err(StoreError::Contended)));
    assert_eq!(stage.items().await, []);
}

#[tokio::test]
async fn a_message_and_its_link_are_written_together_or_not_at_all() {
    let stage = Stage::new().await;
    let (outbox, links) = (stage.outbox(), MessageLinks::new(stage.table.clone(), key_of_tests()));
    let link = crate::MessageLink {
        wamid: crate::tests::wamid("a"),
        customer: CustomerId::new("c"),
        account: ACCOUNT,
        conversation: CONVERSATION,
        message: MessageId(1),
        author: domain::Author::Business,
        part: Some((0, 1)),
        sent_at: None,
        imported: false,
        early: None,
    };
    let read = outbox.save(entry(1)).await.unwrap().unwrap();
    let theirs = outbox.save(read.clone()).await.unwrap().unwrap();
    assert_eq!(outbox.save_linked(read, Some((&links, &link))).await.unwrap(), Err(theirs.clone()));
    assert_eq!(links.get(&link.wamid).await.unwrap(), None);
    outbox.save_linked(theirs, Some((&links, &link))).await.unwrap().unwrap();
    assert_eq!(links.get(&link.wamid).await.unwrap(), Some(link));
}

#[tokio::test]
async fn a_conversations_messages_come_in_the_order_of_their_ids() {
    let stage = Stage::new().await;
    let outbox = stage.outbox();
    for id in [100, 9, 10] {
        outbox.save(entry(id)).await.unwrap().unwrap();
    }
    let listed = async |id: Option<i64>| {
        let listed = outbox.after(ACCOUNT, CONVERSATION, id.map(MessageId)).await.unwrap();
        listed.into_iter().map(|entry| entry.message.0).collect::<Vec<_>>()
    };
    assert_eq!(listed(None).await, [9, 10, 100]);
    assert_eq!(listed(Some(9)).await, [10, 100]);
    assert_eq!(listed(Some(i64::MAX)).await, [0_i64; 0]);
}

#[tokio::test]
async fn a_conversation_bound_again_is_known_since_the_first_time() {
    let stage = Stage::new().await;
    let (conversations, customer) = stage.bound().await;
    stage.pass(DAY);
    stage.bound().await;
    let conversation = known(&conversations).await;
    assert_eq!((conversation.known_since, conversation.customer), (NOW, Some(customer)));
}

#[tokio::test]
async fn a_sync_does_not_settle_what_was_reopened_meanwhile() {
    let stage = Stage::new().await;
    let (conversations, _) = stage.bound().await;
    let settled = |id| SyncResult { settled: Some(MessageId(id)), ..SyncResult::default() };
    let at_first = known(&conversations).await;
    conversations.record_sync(&at_first, NOW, &settled(10)).await.unwrap();
    let seen = known(&conversations).await;
    conversations.reopen(ACCOUNT, CONVERSATION, MessageId(12)).await.unwrap();
    assert_eq!(known(&conversations).await.settled, Some(MessageId(10)), "it is not settled yet");
    conversations.reopen(ACCOUNT, CONVERSATION, MessageId(7)).await.unwrap();
    conversations.record_sync(&seen, NOW + MINUTE, &settled(20)).await.unwrap();
    let now = known(&conversations).await;
    assert_eq!((now.settled, now.synced_at), (Some(MessageId(6)), Some(NOW)));
    conversations.record_sync(&now, NOW + MINUTE, &settled(20)).await.unwrap();
    assert_eq!(known(&conversations).await.settled, Some(MessageId(20)));
}

#[tokio::test]
async fn the_conversations_in_which_something_happened_are_found_by_time() {
    let stage = Stage::new().await;
    let (conversations, _) = stage.bound().await;
    stage.pass(DAY);
    let active = async |since: Timestamp| conversations.active(&number(), since).await.unwrap();
    assert_eq!(active(NOW).await, [(ACCOUNT, CONVERSATION)]);
    assert_eq!(active(NOW + MINUTE).await, []);
    let limit = RecipientRateLimit::default().sent(stage.now());
    conversations.sent(&known(&conversations).await, limit).await.unwrap();
    assert_eq!(active(NOW + MINUTE).await, [(ACCOUNT, CONVERSATION)]);
    assert_eq!(known(&conversations).await.recipient_rate, limit);
}

#[tokio::test]
async fn nothing_is_written_of_a_conversation_that_was_erased() {
    let stage = Stage::new().await;
    let (conversations, _) = stage.bound().await;
    let read = known(&conversations).await;
    stage.table.delete(&ItemKey::Conversation(ACCOUNT, CONVERSATION).into()).await.unwrap();
    conversations.set_wait_note(&read).await.unwrap();
    conversations.ticked(&read, MessageId(4)).await.unwrap();
    conversations.record_sync(&read, stage.now(), &SyncResult::default()).await.unwrap();
    assert_eq!(conversations.get(ACCOUNT, CONVERSATION).await.unwrap(), None);
}

#[tokio::test]
async fn two_processes_never_get_the_same_slot() {
    let stage = Stage::new().await;
    let processes = [(); 2].map(|()| NumberRateLimit::new(stage.table.clone()));
    let (mut slots, mut refused) = (Vec::new(), 0);
    for at in 0..60 {
        match processes[at % 2].take(&number(), 20, Duration::ZERO).await.unwrap() {
            Slot::At(at) => slots.push(at),
            Slot::NotBefore(after) => {
                assert!(after > Duration::ZERO);
                refused += 1;
            }
        }
    }
    let gaps: Vec<u64> = slots.windows(2).map(|pair| pair[1].as_millis().abs_diff(pair[0].as_millis())).collect();
    assert!(gaps.iter().all(|gap| *gap >= 50), "{gaps:?}");
    assert!(slots.len() > 15 && refused > 20, "{} slots of a second or so are given away", slots.len());
    stage.pass(2 * MINUTE);
    let next = processes[0].take(&number(), 20, Duration::ZERO).await.unwrap();
    assert!(matches!(next, Slot::At(at) if at >= stage.now()), "{next:?}");
}

#[tokio::test]
async fn a_conversation_is_never_watched_for_a_shorter_time() {
    let stage = Stage::new().await;
    let cursor = ReconcileCursor::new(stage.table.clone());
    cursor.watch(&number(), ACCOUNT, CONVERSATION).await.unwrap();
    cursor.watch_for(&number(), ACCOUNT, CONVERSATION, MINUTE).await.unwrap();
    stage.pass(DAY);
    assert_eq!(cursor.watched(&number()).await.unwrap(), [(ACCOUNT, CONVERSATION)]);
    cursor.watch_for(&number(), ACCOUNT, CONVERSATION, 7 * DAY).await.unwrap();
    stage.pass(6 * DAY);
    assert_eq!(cursor.watched(&number()).await.unwrap(), [(ACCOUNT, CONVERSATION)]);
    stage.pass(DAY);
    assert_eq!(cursor.watched(&number()).await.unwrap(), []);
}

#[tokio::test]
async fn items_are_missing_once_every_check_for_ten_minutes_says_so() {
    let stage = Stage::new().await;
    let cursor = ReconcileCursor::new(stage.table.clone());
    assert_eq!(cursor.missed(5).await.unwrap(), 0);
    stage.pass(9 * MINUTE);
    assert_eq!(cursor.missed(3).await.unwrap(), 0);
    stage.pass(MINUTE);
    assert_eq!(cursor.missed(4).await.unwrap(), 3, "the fewest that every check has found");
    assert_eq!(cursor.missed(0).await.unwrap(), 0);
    stage.pass(MINUTE);
    assert_eq!(cursor.missed(4).await.unwrap(), 0, "it begins anew");
}

#[tokio::test]
async fn a_round_and_a_blind_time_are_kept_apart() {
    let stage = Stage::new().await;
    let cursor = ReconcileCursor::new(stage.table.clone());
    cursor.went_blind(&number(), NOW).await.unwrap();
    assert_eq!(cursor.completed_at(&number()).await.unwrap(), None);
    cursor.completed(&number(), NOW + MINUTE).await.unwrap();
    assert_eq!(cursor.blind_since(&number()).await.unwrap(), Some(NOW));
    cursor.sees(&number()).await.unwrap();
    assert_eq!(cursor.completed_at(&number()).await.unwrap(), Some(NOW + MINUTE));
    assert_eq!(cursor.blind_since(&number()).await.unwrap(), None);
}
