//! Who is who: aliases, changes of number, threads and profiles.

use domain::{Address, ConversationId, CustomerId, Identity, Timestamp};
use simulator_aws::Lag;

use crate::{
    Profiles, Reach, Thread,
    keys::ItemKey,
    tests::{ACCOUNT, DAY, MINUTE, NOW, OTHER_ACCOUNT, Stage, both, channel, key_of_tests, number, phone, user},
};

const ANA: &str = "5215555550123";
const NEW: &str = "5215555550199";

impl Stage {
    /// A message of a customer's that is written now.
    async fn touch(&self, customer: &CustomerId, identity: &Identity, written_at: Timestamp) -> Thread {
        let (at, said) = (Some(written_at), Some(written_at));
        self.customers.touch(customer, &number(), identity, at, said).await.unwrap()
    }

    async fn change_number(&self, before: &str, now: &str, at: Timestamp) -> CustomerId {
        self.customers.change_number(ACCOUNT, &phone(before), &phone(now), at).await.unwrap()
    }

    async fn reach(&self, customer: &CustomerId) -> Reach {
        self.customers.reach(ACCOUNT, customer, &number()).await.unwrap()
    }
}

#[tokio::test]
async fn a_person_is_one_customer_whichever_of_their_ids_an_event_names() {
    let stage = Stage::new().await;
    let ana = stage.identify(&phone(ANA)).await;
    assert_eq!(stage.identify(&both("MX.1", ANA)).await, ana);
    assert_eq!(stage.identify(&user("MX.1")).await, ana);
    assert_eq!(stage.identify(&phone("525555550123")).await, ana, "another spelling of the number");
    let elsewhere = stage.customers.find(OTHER_ACCOUNT, &phone(ANA)).await.unwrap();
    assert_eq!(elsewhere, None, "another dealer does not know them");
}

#[tokio::test]
async fn workers_who_meet_a_person_at_once_make_one_customer() {
    let stage = Stage::new().await;
    let (ana, by_phone) = (both("MX.1", ANA), phone(ANA));
    let (one, two, three) = tokio::join!(stage.identify(&ana), stage.identify(&ana), stage.identify(&by_phone));
    assert_eq!((&one, &one), (&two, &three));
    let items = stage.items().await;
    let customers = items.iter().filter_map(ItemKey::of).filter(|key| matches!(key, ItemKey::Customer(_)));
    assert_eq!(customers.count(), 1);
}

#[tokio::test]
async fn a_phone_that_comes_with_another_user_id_is_another_persons_now() {
    let stage = Stage::new().await;
    let ana = stage.identify(&both("MX.1", ANA)).await;
    stage.pass(MINUTE);
    let eva = stage.identify(&both("MX.2", ANA)).await;
    assert_ne!(eva, ana);
    assert_eq!(stage.find(&phone(ANA)).await, Some(eva.clone()));
    assert_eq!(stage.find(&user("MX.1")).await, Some(ana.clone()));
    // An older message of Ana's arrives late. It is hers, and takes nothing back.
    assert_eq!(stage.customers.identify(ACCOUNT, &both("MX.1", ANA), NOW).await.unwrap(), ana);
    assert_eq!(stage.find(&phone(ANA)).await, Some(eva));
}

#[tokio::test]
async fn two_customers_who_turn_out_to_be_one_person_are_merged() {
    let stage = Stage::new().await;
    let (by_phone, by_user) = (stage.identify(&phone(ANA)).await, stage.identify(&user("MX.1")).await);
    assert_ne!(by_phone, by_user);
    assert_eq!(stage.identify(&both("MX.1", ANA)).await, by_user, "the user id decides");
    assert_eq!(stage.customers.survivor(&by_phone).await.unwrap(), by_user);
    assert_eq!(stage.customers.joined(&by_user).await.unwrap(), [by_phone]);
    assert_eq!(stage.identify(&phone(ANA)).await, by_user);
}

#[tokio::test]
async fn a_merge_takes_along_what_the_index_does_not_show_yet() {
    let stage = Stage::new().await;
    stage.aws.lag(Lag { indexes: MINUTE, ..Lag::default() }).unwrap();
    let ana = stage.identify(&user("MX.1")).await;
    // The change of number tells of phones alone; only the next message says whose they are.
    assert_ne!(stage.change_number(ANA, NEW, NOW + MINUTE).await, ana);
    assert_eq!(stage.customers.identify(ACCOUNT, &both("MX.1", ANA), NOW).await.unwrap(), ana);
    assert_eq!(stage.find(&phone(NEW)).await, Some(ana));
}

#[tokio::test]
async fn a_customer_keeps_their_history_with_a_new_number_and_the_old_one_is_free() {
    let stage = Stage::new().await;
    let ana = stage.identify(&phone(ANA)).await;
    stage.pass(MINUTE);
    let at = stage.now();
    for _ in 0..2 {
        assert_eq!(stage.change_number(ANA, NEW, at).await, ana, "telling it twice changes nothing");
        assert_eq!(stage.find(&phone(NEW)).await, Some(ana.clone()));
        assert_eq!(stage.find(&phone(ANA)).await, None);
    }
    let before = stage.customers.identify(ACCOUNT, &phone(ANA), NOW).await.unwrap();
    assert_eq!(before, ana, "what was sent before the change is theirs");
    stage.pass(MINUTE);
    assert_ne!(stage.identify(&phone(ANA)).await, ana, "the next person with the old number is new");
}

#[tokio::test]
async fn the_first_user_id_after_a_change_of_number_is_the_customers_for_a_month() {
    for (later, same) in [(29 * DAY, true), (31 * DAY, false)] {
        let stage = Stage::new().await;
        let ana = stage.identify(&both("MX.1", ANA)).await;
        stage.pass(MINUTE);
        stage.change_number(ANA, NEW, stage.now()).await;
        stage.pass(later);
        assert_eq!(stage.identify(&both("MX.2", NEW)).await == ana, same, "{later:?}");
    }
}

#[tokio::test]
async fn what_meta_reports_of_our_own_message_is_learnt_only_where_nothing_else_is_known() {
    let stage = Stage::new().await;
    let (ana, eva) = (stage.identify(&phone(ANA)).await, stage.identify(&user("MX.2")).await);
    let learn = async |identity| stage.customers.learn(ACCOUNT, &ana, &identity, stage.now()).await.unwrap();
    learn(user("MX.2")).await;
    assert_eq!(stage.find(&user("MX.2")).await, Some(eva), "it is another's already");
    learn(user("MX.1")).await;
    assert_eq!(stage.find(&user("MX.1")).await, Some(ana.clone()));
    learn(user("MX.3")).await;
    assert_eq!(stage.find(&user("MX.3")).await, None, "nobody has two user ids by a report");
}

#[tokio::test]
async fn an_alias_lives_as_long_as_its_customer_is_active() {
    let stage = Stage::new().await;
    let ana = stage.identify(&phone(ANA)).await;
    stage.pass(200 * DAY);
    assert_eq!(stage.identify(&phone(ANA)).await, ana);
    stage.pass(200 * DAY);
    assert_eq!(stage.find(&phone(ANA)).await, Some(ana.clone()));
    stage.pass(200 * DAY);
    assert_eq!(stage.find(&phone(ANA)).await, None);
    assert_ne!(stage.identify(&phone(ANA)).await, ana);
}

#[tokio::test]
async fn an_older_message_neither_moves_the_window_nor_the_address() {
    let stage = Stage::new().await;
    let ana = stage.identify(&both("MX.1", NEW)).await;
    stage.pass(10 * MINUTE);
    let newest = stage.touch(&ana, &both("MX.1", NEW), stage.now()).await;
    let older = stage.touch(&ana, &both("MX.0", ANA), NOW).await;
    assert_eq!((older.window, &older.address, &older.user), (newest.window, &newest.address, &newest.user));
    assert_eq!(older.address, phone(NEW).address());
    // From the same address it may tell what was not known.
    let eva = stage.identify(&phone("5215555550111")).await;
    stage.touch(&eva, &phone("5215555550111"), stage.now()).await;
    let thread = stage.touch(&eva, &both("MX.5", "5215555550111"), NOW).await;
    assert_eq!(thread.user, user("MX.5").user_id);
}

#[tokio::test]
async fn an_answer_goes_to_where_the_customer_is_now() {
    let stage = Stage::new().await;
    let ana = stage.identify(&phone(ANA)).await;
    assert_eq!(stage.reach(&ana).await, Reach::Unheard);
    stage.touch(&ana, &phone(ANA), NOW).await;
    stage.pass(MINUTE);
    stage.change_number(ANA, NEW, stage.now()).await;
    let Reach::At(thread) = stage.reach(&ana).await else { panic!("not reached") };
    assert_eq!(thread.address, phone(NEW).address());
}

#[tokio::test]
async fn an_answer_never_goes_to_the_next_owner_of_a_number() {
    let stage = Stage::new().await;
    let ana = stage.identify(&both("MX.1", ANA)).await;
    stage.touch(&ana, &both("MX.1", ANA), NOW).await;
    stage.pass(MINUTE);
    let eva = stage.identify(&both("MX.2", ANA)).await;
    let Reach::At(thread) = stage.reach(&ana).await else { panic!("not reached") };
    assert_eq!(thread.address, Some(Address::User(user("MX.1").user_id.unwrap())));
    assert_eq!(stage.reach(&eva).await, Reach::Unheard);
    // Without a user id there is no way to them any more.
    let bob = stage.identify(&phone(NEW)).await;
    stage.touch(&bob, &phone(NEW), stage.now()).await;
    stage.change_number(NEW, "5215555550100", stage.now() + MINUTE).await;
    stage.pass(2 * MINUTE);
    stage.identify(&phone(NEW)).await;
    let Reach::At(thread) = stage.reach(&bob).await else { panic!("not reached") };
    assert_eq!(thread.address, phone("5215555550100").address());
}

#[tokio::test]
async fn an_advert_counts_until_it_is_answered_and_a_newer_one_begins_anew() {
    let stage = Stage::new().await;
    let ana = stage.identify(&phone(ANA)).await;
    stage.touch(&ana, &phone(ANA), NOW).await;
    stage.pass(MINUTE);
    let advert = async || stage.customers.thread(&ana, &number()).await.unwrap().unwrap().advert().unwrap();
    stage.customers.came_by_advert(&ana, &number(), NOW).await.unwrap();
    stage.customers.advert_answered(&ana, &number()).await.unwrap();
    assert_eq!((advert().await.came_at, advert().await.answered_at), (NOW, Some(stage.now())));
    stage.customers.came_by_advert(&ana, &number(), NOW - MINUTE).await.unwrap();
    assert_eq!(advert().await.came_at, NOW, "an older one changes nothing");
    stage.customers.came_by_advert(&ana, &number(), stage.now()).await.unwrap();
    assert_eq!((advert().await.came_at, advert().await.answered_at), (stage.now(), None));
}

#[tokio::test]
async fn a_conversation_that_is_gone_leaves_the_thread_without_one() {
    let stage = Stage::new().await;
    let ana = stage.identify(&phone(ANA)).await;
    let conversations = crate::Conversations::new(stage.table.clone());
    let (contact, conversation) = (domain::ContactId(5), ConversationId(6));
    conversations.bind(&stage.customers, &ana, &channel(), contact, conversation, false).await.unwrap();
    let thread = async || stage.customers.thread(&ana, &number()).await.unwrap().unwrap();
    assert_eq!((thread().await.contact, thread().await.conversation), (Some(contact), Some(conversation)));
    stage.customers.unbind(&ana, &number()).await.unwrap();
    assert_eq!((thread().await.contact, thread().await.conversation), (None, None));
}

#[tokio::test]
async fn the_last_wish_about_marketing_counts_whichever_customer_said_it() {
    let stage = Stage::new().await;
    let profiles = Profiles::new(stage.table.clone(), key_of_tests());
    let (by_phone, by_user) = (stage.identify(&phone(ANA)).await, stage.identify(&user("MX.1")).await);
    profiles.set_marketing_choice(&by_phone, false, NOW).await.unwrap();
    profiles.set_marketing_choice(&by_phone, true, NOW - MINUTE).await.unwrap();
    assert!(profiles.wants_no_marketing(&by_phone).await.unwrap(), "an older wish changes nothing");
    assert!(!profiles.wants_no_marketing(&by_user).await.unwrap());
    stage.identify(&both("MX.1", ANA)).await;
    assert!(profiles.wants_no_marketing(&by_user).await.unwrap());
    profiles.set_marketing_choice(&by_user, true, NOW + MINUTE).await.unwrap();
    assert!(!profiles.wants_no_marketing(&by_user).await.unwrap());
}

#[tokio::test]
async fn the_bridge_tells_its_own_names_from_an_agents() {
    let stage = Stage::new().await;
    let profiles = Profiles::new(stage.table.clone(), key_of_tests());
    let ana = stage.identify(&phone(ANA)).await;
    profiles.rename(&ana, "Ana", None).await.unwrap();
    profiles.rename(&ana, "Ana María", Some("Ana")).await.unwrap();
    for (name, ours) in [("Ana", true), ("Ana María", true), ("Ana (mayoreo)", false)] {
        assert_eq!(profiles.is_our_name(&ana, name).await.unwrap(), ours, "{name}");
    }
    let unknown = CustomerId::new("erased");
    profiles.rename(&unknown, "Ana", None).await.unwrap();
    assert!(!profiles.is_our_name(&unknown, "Ana").await.unwrap(), "an erased customer does not come back by a name");
}

#[tokio::test]
async fn meeting_a_known_customer_takes_one_read() {
    let stage = Stage::new().await;
    let ana = stage.identify(&both("MX.1", ANA)).await;
    let identity = both("MX.1", ANA);
    assert_eq!(stage.calls(stage.identify(&identity)).await, (ana.clone(), 1));
    let thread = stage.calls(stage.touch(&ana, &identity, NOW)).await;
    assert_eq!(thread.1, 1);
}
