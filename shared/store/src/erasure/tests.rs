//! What an erasure needs: one request for one person, all of theirs found, and nothing of anyone else's.

use std::{collections::BTreeSet, time::Duration};

use domain::{
    AccountId, Author, ContactId, ConversationId, CustomerId, Erasure, MediaId, MessageGroup, MessageId, UserId, WaId,
    erasure::{ErasureDeadlines, RequestSource},
};
use simulator_aws::Lag;

use crate::{
    Conversations, DataInventory, DataSubject, ErasureCheck, ErasureEntry, ErasureLedger, ErasureRequests, MediaAtMeta,
    MessageLink, MessageLinks, OrphanStatuses, Profiles, RequestOutcome, Restore, TableSweep, Tombstone, Tombstones,
    keys::{ItemKey, Key},
    tests::{ACCOUNT, DAY, MINUTE, NOW, OTHER_ACCOUNT, Stage, both, channel, key_of_tests, number, phone, user, wamid},
};

const ANA: &str = "5215555550123";
const EVA: &str = "5215555550124";
const CONVERSATION: ConversationId = ConversationId(9);

fn deadlines() -> ErasureDeadlines {
    ErasureDeadlines { deletion_days: 30, warn_days: vec![7], confirm_hours: 24 }
}

fn about(digits: &str) -> DataSubject {
    DataSubject { phones: [WaId::new(digits)].into(), ..DataSubject::default() }
}

impl Stage {
    fn erasures(&self) -> ErasureLedger {
        ErasureLedger::new(self.table.clone())
    }

    fn tombstones(&self) -> Tombstones {
        Tombstones::new(self.table.clone(), key_of_tests())
    }

    fn inventory(&self) -> DataInventory {
        DataInventory::new(self.table.clone(), key_of_tests())
    }

    async fn ask(&self, source: RequestSource, subject: DataSubject) -> RequestOutcome {
        let requests = ErasureRequests::new(self.table.clone(), key_of_tests(), deadlines());
        requests.ask(source, subject, self.now()).await.unwrap()
    }

    async fn save(&self, entry: &ErasureEntry, erasure: Erasure) -> ErasureEntry {
        self.erasures().save(entry, erasure).await.unwrap().unwrap()
    }

    /// A customer with everything the table can hold of one.
    async fn customer(&self, digits: &str, id: &str, conversation: ConversationId) -> CustomerId {
        let identity = both(id, digits);
        let customer = self.identify(&identity).await;
        let now = self.now();
        self.customers.touch(&customer, &number(), &identity, Some(now), Some(now)).await.unwrap();
        let conversations = Conversations::new(self.table.clone());
        conversations.bind(&self.customers, &customer, &channel(), ContactId(5), conversation, false).await.unwrap();
        Profiles::new(self.table.clone(), key_of_tests()).rename(&customer, id, None).await.unwrap();
        let links = MessageLinks::new(self.table.clone(), key_of_tests());
        let link = MessageLink {
            wamid: wamid(id),
            customer: customer.clone(),
            account: ACCOUNT,
            conversation,
            message: MessageId(1),
            author: Author::Customer,
            part: None,
            sent_at: Some(now),
            imported: false,
            early: None,
        };
        assert!(self.table.transact(vec![links.write(&link).unwrap()]).await.unwrap());
        let media = MediaAtMeta::new(self.table.clone());
        media.received(&customer, &number(), &MediaId::new(id), now, Some(links.hash(&wamid(id)))).await.unwrap();
        let orphans = OrphanStatuses::new(self.table.clone());
        orphans.add(&number(), &key_of_tests().item([id]), links.hash(&wamid(id))).await.unwrap();
        crate::ReconcileCursor::new(self.table.clone()).watch(&number(), ACCOUNT, conversation).await.unwrap();
        customer
    }

    async fn gathered(&self, mut subject: DataSubject) -> DataSubject {
        self.inventory().gather(&mut subject).await.unwrap();
        subject
    }

    async fn keys(&self) -> BTreeSet<Key> {
        self.items().await.iter().filter_map(Key::of).collect()
    }
}

#[tokio::test]
async fn asking_twice_gives_one_request() {
    let stage = Stage::new().await.with_channel().await;
    stage.customer(ANA, "MX.1", CONVERSATION).await;
    let first = stage.ask(RequestSource::Operator, about(ANA)).await;
    let by_user = DataSubject { users: [UserId::new("MX.1")].into(), ..DataSubject::default() };
    for subject in [about(ANA), about("525555550123"), by_user] {
        let again = stage.ask(RequestSource::Operator, subject).await;
        assert_eq!((again.is_new, again.entry.erasure.code()), (false, first.entry.erasure.code()));
    }
    assert!(first.is_new && stage.ask(RequestSource::Operator, about(EVA)).await.is_new);
    assert_eq!(stage.erasures().all_open().await.unwrap().len(), 2);
}

#[tokio::test]
async fn two_who_ask_at_once_get_one_request() {
    let stage = Stage::new().await.with_channel().await;
    let ask = async || stage.ask(RequestSource::Operator, about(ANA)).await;
    let (one, other) = tokio::join!(ask(), ask());
    assert_eq!(one.entry.erasure.code(), other.entry.erasure.code());
    assert_ne!(one.is_new, other.is_new);
}

#[tokio::test]
async fn a_request_about_one_account_does_not_touch_another_dealers() {
    let stage = Stage::new().await.with_channel().await;
    let in_account = |account: AccountId| DataSubject { only: Some(account), ..about(ANA) };
    let ours = stage.ask(RequestSource::Agent, in_account(ACCOUNT)).await;
    let theirs = stage.ask(RequestSource::Agent, in_account(OTHER_ACCOUNT)).await;
    assert!(ours.is_new && theirs.is_new);
    // One about all accounts widens the one that has not begun, and is certain.
    let all = stage.ask(RequestSource::Operator, about(ANA)).await;
    assert_eq!((all.is_new, all.entry.erasure.code()), (false, ours.entry.erasure.code()));
    assert!(all.entry.erasure.confirmed_at().is_some());
    let subject = stage.erasures().data_subject(ours.entry.erasure.code()).await.unwrap().unwrap();
    assert_eq!(subject.only, None);
}

#[tokio::test]
async fn a_request_that_another_worker_changed_is_not_overwritten() {
    let stage = Stage::new().await.with_channel().await;
    let read = stage.ask(RequestSource::Agent, about(ANA)).await.entry;
    let confirmed = read.erasure.clone().confirm(stage.now()).unwrap();
    let theirs = stage.save(&read, confirmed).await;
    let withdrawn = read.erasure.clone().withdraw(stage.now()).unwrap();
    assert_eq!(stage.erasures().save(&read, withdrawn).await.unwrap(), Err(theirs));
}

#[tokio::test]
async fn a_closed_request_is_kept_without_the_person() {
    let stage = Stage::new().await.with_channel().await;
    let entry = stage.ask(RequestSource::Agent, about(ANA)).await.entry;
    let code = entry.erasure.code().clone();
    assert!(stage.erasures().data_subject(&code).await.unwrap().is_some());
    let withdrawn = entry.erasure.clone().withdraw(stage.now()).unwrap();
    stage.save(&entry, withdrawn).await;
    assert_eq!(stage.erasures().data_subject(&code).await.unwrap(), None);
    assert_eq!(stage.erasures().all_open().await.unwrap(), []);
    assert!(stage.erasures().get(&code).await.unwrap().is_some());
}

#[tokio::test]
async fn drain_markers_are_awaited_until_each_has_come_out() {
    let stage = Stage::new().await;
    let (erasures, code) = (stage.erasures(), domain::ConfirmationCode::new("c0de"));
    let groups: Vec<MessageGroup> =
        (0..30).map(|id| MessageGroup::Conversation(number(), ConversationId(id))).collect();
    erasures.await_drain_markers(&code, "outbound", &groups).await.unwrap();
    erasures.await_drain_markers(&code, "inbound", &[MessageGroup::Number(number())]).await.unwrap();
    erasures.drain_marker_is_out(&code, "outbound", &groups[7]).await.unwrap();
    let awaited: BTreeSet<_> = erasures.awaited(&code, "outbound").await.unwrap().into_iter().collect();
    assert_eq!((awaited.len(), awaited.contains(&groups[7])), (29, false));
    let alias = phone(ANA).aliases(&key_of_tests()).remove(0).subject;
    erasures.learn(&code, &alias).await.unwrap();
    assert_eq!(erasures.learnt(&code).await.unwrap(), [alias].into());
    erasures.forget_drain_markers(&code).await.unwrap();
    assert_eq!(stage.items().await, []);
}

#[tokio::test]
async fn a_tombstone_keeps_out_what_was_sent_before_and_holds_back_what_is_newer() {
    let stage = Stage::new().await.with_channel().await;
    let entry = stage.ask(RequestSource::Operator, about(ANA)).await.entry;
    let code = entry.erasure.code().clone();
    let subject = stage.gathered(about(ANA)).await;
    let tombstones = stage.tombstones();
    tombstones.insert_all(&entry.erasure, &subject, true).await.unwrap();
    let check = async |identity, at| tombstones.check(ACCOUNT, &identity, at).await.unwrap().0;
    assert_eq!(check(phone(ANA), NOW).await, ErasureCheck::Erased(code.clone()));
    assert_eq!(check(phone(EVA), NOW).await, ErasureCheck::No);
    assert_eq!(check(phone(ANA), NOW + MINUTE).await, ErasureCheck::NotYet(code.clone()));
    // An event from before that names a further id of theirs: that id is theirs, too.
    assert_eq!(check(both("MX.1", ANA), NOW).await, ErasureCheck::Erased(code.clone()));
    assert_eq!(check(user("MX.1"), NOW).await, ErasureCheck::Erased(code.clone()));
    let learnt = user("MX.1").aliases(&key_of_tests()).remove(0).subject;
    assert_eq!(stage.erasures().learnt(&code).await.unwrap(), [learnt].into());
    // Done: they may begin anew.
    tombstones.insert_all(&entry.erasure, &subject, false).await.unwrap();
    assert_eq!(check(phone(ANA), NOW + MINUTE).await, ErasureCheck::No);
    assert_eq!(check(phone(ANA), NOW).await, ErasureCheck::Erased(code));
    stage.pass(36 * DAY);
    assert_eq!(check(phone(ANA), NOW).await, ErasureCheck::No);
}

#[tokio::test]
async fn of_two_tombstones_the_one_that_erases_more_stands() {
    let stage = Stage::new().await;
    let tombstones = stage.tombstones();
    let alias = phone(ANA).aliases(&key_of_tests()).remove(0).subject;
    let tombstone = |code: &str, after: Duration, only| Tombstone {
        code: domain::ConfirmationCode::new(code),
        erased_at: NOW + after,
        sealed: false,
        inserted_at: None,
        only,
    };
    tombstones.insert(&alias, &tombstone("late", DAY, None)).await.unwrap();
    tombstones.insert(&alias, &tombstone("early", MINUTE, None)).await.unwrap();
    tombstones.insert(&alias, &tombstone("theirs", 2 * DAY, Some(OTHER_ACCOUNT))).await.unwrap();
    let stands = async |account| {
        let found = tombstones.among(account, [&alias]).await.unwrap().remove(&alias).unwrap();
        (found.code.as_str().to_owned(), found.erased_at)
    };
    assert_eq!(stands(Some(ACCOUNT)).await, ("late".to_owned(), NOW + DAY));
    assert_eq!(stands(Some(OTHER_ACCOUNT)).await, ("theirs".to_owned(), NOW + 2 * DAY));
    assert_eq!(stands(None).await, ("theirs".to_owned(), NOW + 2 * DAY), "where the account is not known");
    tombstones.remove(&alias, &domain::ConfirmationCode::new("early"), None).await.unwrap();
    assert_eq!(stands(Some(ACCOUNT)).await.0, "late", "it is not that erasure's");
}

#[tokio::test]
async fn marks_say_which_of_many_hashes_may_have_a_tombstone() {
    let stage = Stage::new().await.with_channel().await;
    let tombstones = stage.tombstones();
    assert!(tombstones.marks().await.unwrap().is_empty());
    let entry = stage.ask(RequestSource::Operator, about(ANA)).await.entry;
    let subject = stage.gathered(about(ANA)).await;
    tombstones.insert_all(&entry.erasure, &subject, true).await.unwrap();
    let [ana, eva] = [ANA, EVA].map(|digits| phone(digits).aliases(&key_of_tests()).remove(0).subject);
    assert_eq!(tombstones.marks().await.unwrap().among([eva, ana.clone()]), [ana]);
}

#[tokio::test]
async fn everything_of_a_person_is_found_and_deleted_and_nothing_of_anyone_else() {
    let stage = Stage::new().await.with_channel().await;
    stage.customer(EVA, "MX.2", ConversationId(10)).await;
    let before = stage.keys().await;
    let ana = stage.customer(ANA, "MX.1", CONVERSATION).await;
    let subject = stage.gathered(about(ANA)).await;
    assert_eq!(subject.customers, [ana].into());
    assert_eq!(subject.users, [UserId::new("MX.1")].into());
    assert_eq!(subject.conversations, [(ACCOUNT, CONVERSATION, number())].into());
    assert_eq!(subject.contacts, [(ACCOUNT, ContactId(5))].into());
    assert_eq!(subject.media, [(number(), MediaId::new("MX.1"))].into());
    assert_eq!(subject.active_at, Some(NOW));
    let keys = stage.inventory().keys(&subject).await.unwrap();
    let all = stage.keys().await;
    assert_eq!(keys.iter().cloned().collect::<BTreeSet<_>>(), all.difference(&before).cloned().collect());
    stage.inventory().delete(&keys).await.unwrap();
    assert_eq!(stage.keys().await, before);
    assert!(!stage.inventory().is_another_customer("MX.9", &subject).await.unwrap());
}

#[tokio::test]
async fn a_person_known_as_several_customers_is_found_by_any_of_them() {
    let stage = Stage::new().await.with_channel().await;
    let (by_phone, by_user) = (stage.identify(&phone(ANA)).await, stage.identify(&user("MX.1")).await);
    stage.identify(&both("MX.1", ANA)).await;
    let subject = stage.gathered(about(ANA)).await;
    assert_eq!(subject.customers, [by_phone, by_user].into());
}

#[tokio::test]
async fn the_groups_of_a_person_are_those_of_their_ids_their_messages_and_the_account() {
    let stage = Stage::new().await.with_channel().await;
    stage.customer(ANA, "MX.1", CONVERSATION).await;
    let subject = stage.gathered(about(ANA)).await;
    let groups = stage.inventory().groups(&subject).await.unwrap();
    let aliases = both("MX.1", ANA).aliases(&key_of_tests());
    let groups_of = [MessageGroup::Person, MessageGroup::ContactBook];
    let mut expected: BTreeSet<MessageGroup> =
        aliases.iter().flat_map(|alias| groups_of.map(|of| of(number(), alias.subject.clone()))).collect();
    expected.insert(MessageGroup::Number(number()));
    expected.insert(MessageGroup::Account(channel().waba_id));
    expected.insert(MessageGroup::Statuses(number(), key_of_tests().wamid(&wamid("MX.1"))));
    assert_eq!(groups, expected);
}

#[tokio::test]
async fn what_an_index_shows_late_is_found_later_and_what_is_new_by_then_stays() {
    let stage = Stage::new().await.with_channel().await;
    stage.aws.lag(Lag { indexes: MINUTE, ..Lag::default() }).unwrap();
    let ana = stage.customer(ANA, "MX.1", CONVERSATION).await;
    let subject = stage.gathered(DataSubject { customers: [ana.clone()].into(), ..about(ANA) }).await;
    stage.inventory().delete(&stage.inventory().keys(&subject).await.unwrap()).await.unwrap();
    stage.pass(2 * MINUTE);
    let anew = stage.identify(&phone(ANA)).await;
    stage.pass(2 * MINUTE);
    let late = stage.inventory().late_keys(&subject).await.unwrap();
    assert!(!late.is_empty());
    stage.inventory().delete_late(&late).await.unwrap();
    assert_eq!(stage.inventory().late_keys(&subject).await.unwrap(), []);
    assert_eq!(stage.find(&phone(ANA)).await, Some(anew));
    assert!(!stage.items().await.iter().any(|item| super::owned::named(item).as_ref() == Some(&ana)));
}

#[tokio::test]
async fn a_restored_table_loses_the_erased_again_and_keeps_the_others() {
    let stage = Stage::new().await.with_channel().await;
    stage.customer(EVA, "MX.2", ConversationId(10)).await;
    let ana = stage.customer(ANA, "MX.1", CONVERSATION).await;
    let entry = stage.ask(RequestSource::Operator, about(ANA)).await.entry;
    let subject = stage.gathered(about(ANA)).await;
    stage.tombstones().insert_all(&entry.erasure, &subject, true).await.unwrap();
    let restore = Restore::new(stage.table.clone(), stage.inventory());
    let open = restore.export().await.unwrap();
    assert!(!serde_json::to_string(&open).unwrap().contains(ANA), "no phone leaves the table");
    assert_eq!(restore.apply(&open, true).await.unwrap().customers, 0, "it is not done yet");
    let mut finished = entry.erasure.clone().begin(stage.now()).unwrap();
    while let Some(location) = finished.next_location() {
        finished = finished.clear(location, stage.now()).unwrap();
    }
    stage.save(&entry, finished.finish(stage.now()).unwrap()).await;
    let exported = restore.export().await.unwrap();
    let dry = restore.apply(&exported, true).await.unwrap();
    assert_eq!((dry.customers, dry.requests), (1, 1));
    assert!(dry.items > 5 && stage.customers.is_ours(&ana).await.unwrap(), "a dry run deletes nothing");
    assert_eq!(restore.apply(&exported, false).await.unwrap(), dry);
    assert!(!stage.customers.is_ours(&ana).await.unwrap());
    assert!(stage.find(&phone(EVA)).await.is_some());
    assert_eq!(restore.apply(&exported, false).await.unwrap().customers, 0, "once is enough");
}

#[tokio::test]
async fn what_is_past_its_end_is_swept_and_what_was_written_anew_lives() {
    let stage = Stage::new().await.with_channel().await;
    stage.identify(&phone(ANA)).await;
    stage.identify(&phone(EVA)).await;
    stage.pass(366 * DAY);
    let sweep = TableSweep::new(stage.table.clone());
    let page = sweep.expired(None).await.unwrap();
    assert_eq!((page.expired.len(), page.endless, page.next), (4, 0, None), "channels have no end");
    let anew = stage.identify(&phone(ANA)).await;
    sweep.delete_expired(&page.expired).await.unwrap();
    assert_eq!(stage.find(&phone(ANA)).await, Some(anew.clone()));
    let left: Vec<_> = stage.items().await.iter().filter_map(ItemKey::of).collect();
    assert_eq!(left.iter().filter(|key| matches!(key, ItemKey::Alias(..))).count(), 1);
    assert!(left.contains(&ItemKey::Customer(anew)));
}

#[tokio::test]
async fn a_sweep_goes_on_where_it_stopped_for_three_days() {
    let stage = Stage::new().await.with_channel().await;
    let customers =
        [stage.customer(ANA, "MX.1", CONVERSATION).await, stage.customer(EVA, "MX.2", ConversationId(10)).await];
    let sweep = TableSweep::new(stage.table.clone());
    let (threads, next) = sweep.threads(None, 100, stage.now() + DAY).await.unwrap();
    assert_eq!(threads.iter().map(|thread| thread.customer.clone()).collect::<BTreeSet<_>>(), customers.into());
    assert_eq!((threads[0].contact, &threads[0].channel, next), (ContactId(5), &number(), None));
    sweep.set_cursor("contacts", Some(&threads[0].key)).await.unwrap();
    let stopped_at: Option<Key> = sweep.cursor("contacts").await.unwrap();
    let (rest, _) = sweep.threads(stopped_at.as_ref(), 100, stage.now() + DAY).await.unwrap();
    assert_eq!(rest, threads[1..]);
    stage.pass(3 * DAY);
    assert_eq!(sweep.cursor::<Key>("contacts").await.unwrap(), None);
    sweep.set_cursor("Quiet#1", Some(&7_u32)).await.unwrap();
    assert_eq!(sweep.cursor("Quiet#1").await.unwrap(), Some(7_u32));
    sweep.set_cursor::<u32>("Quiet#1", None).await.unwrap();
    assert_eq!(sweep.cursor::<u32>("Quiet#1").await.unwrap(), None);
}
