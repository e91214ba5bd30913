//! Several dealers on one installation: what is asked at one of them is not asked of another with the same customer.

use domain::{
    AccountId, CustomerId, PhoneNumberId, Timestamp,
    erasure::{ErasureDeadlines, ErasureState, RequestSource},
};
use serde_json::json;
use simulator_wire::Fault;
use store::{CustomerStore, DataSubject, ErasureCheck, ErasureRequests, Tombstone, Tombstones};
use stories::{ACCOUNT, World};

use crate::{
    erasure::{done, is_done, operator_asks},
    erasure_doors::code_in,
    fixtures::{HOUR, MINUTE, always, ana_wrote, answer, body, goes_by, key, post, table},
    retention_sweep::{hers, wrote_to_another_dealer},
};

/// The other dealer's account, of which Chatwoot knows nothing.
const OTHER: AccountId = AccountId(9);

const HERE: AccountId = AccountId(ACCOUNT);

fn tombstones(world: &World) -> Tombstones {
    Tombstones::new(table(world), key())
}

fn requests(world: &World) -> ErasureRequests {
    let promise = ErasureDeadlines { deletion_days: 30, warn_days: vec![7, 20, 27], confirm_hours: 24 };
    ErasureRequests::new(table(world), key(), promise)
}

/// Whether what she sent then is gone at each of the two.
async fn is_gone(world: &World, at: Timestamp) -> [bool; 2] {
    let mut gone = [false; 2];
    for (gone, account) in gone.iter_mut().zip([HERE, OTHER]) {
        *gone = matches!(tombstones(world).check(account, &hers(), at).await.unwrap().0, ErasureCheck::Erased(_));
    }
    gone
}

/// Ana is a customer of both dealers.
struct Both {
    customers: CustomerStore,
    theirs: CustomerId,
    wrote_at: Timestamp,
}

impl Both {
    async fn begin(world: &World) -> Self {
        let (customers, theirs) = wrote_to_another_dealer(world).await;
        Self { customers, theirs, wrote_at: table(world).now() }
    }

    /// She is forgotten here, and nothing is different at the other dealer.
    async fn only_here(&self, world: &World) {
        assert_eq!(self.customers.find(HERE, &hers()).await.unwrap(), None);
        assert_eq!(self.customers.find(OTHER, &hers()).await.unwrap(), Some(self.theirs.clone()));
        let thread = self.customers.thread(&self.theirs, &PhoneNumberId::new("999")).await.unwrap();
        assert!(thread.is_some());
        assert_eq!(is_gone(world, self.wrote_at).await, [true, false]);
        assert!(tombstones(world).of_customer(OTHER, &self.theirs).await.unwrap().is_none());
        // What `send` asks before an agent's first message to that phone.
        let aliases = hers().aliases(&key());
        let aliases = || aliases.iter().map(|alias| &alias.subject);
        assert!(tombstones(world).among(Some(OTHER), aliases()).await.unwrap().is_empty());
        assert!(!tombstones(world).among(Some(HERE), aliases()).await.unwrap().is_empty());
        let open = store::ErasureLedger::new(table(world)).all_open().await.unwrap();
        assert!(open.is_empty(), "nobody waits for the other account");
    }
}

#[tokio::test]
async fn an_agent_s_label_speaks_for_the_agent_s_own_account() {
    let world = World::start().await.unwrap();
    let (_, conversation) = ana_wrote(&world).await;
    let both = Both::begin(&world).await;
    world.chatwoot.agent("Sofía").labels(conversation, &["borrar-datos"]).await;
    world.work().await.unwrap();
    let code = code_in(&world.agent_reads("Ana").pop().unwrap());
    goes_by(&world, 25 * HOUR, 5 * HOUR).await;
    done(&world, &code).await;
    both.only_here(&world).await;
}

#[tokio::test]
async fn a_customer_s_words_are_said_to_the_dealer_who_hears_them() {
    let world = World::start().await.unwrap();
    let (ana, _) = ana_wrote(&world).await;
    let both = Both::begin(&world).await;
    // What the other dealer has in the dead letters is that one's.
    let mut theirs = body("new_field", &json!({ "who": "5215555550123" }));
    theirs["entry"][0]["changes"][0]["value"]["metadata"]["phone_number_id"] = json!("999");
    post(&world, &theirs).await;
    post(&world, &body("new_field", &json!({ "who": "5215555550123" }))).await;
    ana.writes("BORRAR MIS DATOS").await.unwrap();
    world.work().await.unwrap();
    assert_eq!(world.dead_letters("inbound").len(), 2);
    let code = code_in(&ana.heard().pop().unwrap());
    world.pass(MINUTE);
    ana.writes("SÍ BORRAR").await.unwrap();
    done(&world, &code).await;
    both.only_here(&world).await;
    let left = world.dead_letters("inbound");
    assert!(left.len() == 1 && left[0].1.contains("\"999\""), "{left:?}");
    // Of hers from before, what comes again to the other dealer is kept there, and here it is dropped.
    post(&world, &theirs).await;
    post(&world, &body("new_field", &json!({ "who": "5215555550123" }))).await;
    world.work().await.unwrap();
    let left = world.dead_letters("inbound");
    assert!(left.len() == 2 && left.iter().all(|letter| letter.1.contains("\"999\"")), "{left:?}");
    // Where nobody can tell whose number it was, nothing of her is kept.
    let broken = "{\"object\":\"whatsapp\",\"entry\":[{\"from\":\"5215555550123\",\"text\":\"secreto\"";
    assert_eq!(world.meta.post(broken.as_bytes()).await.unwrap(), 200);
    assert_eq!(world.dead_letters("inbound").len(), 2);
}

#[tokio::test]
async fn a_contact_deleted_at_one_dealer_is_not_deleted_at_another() {
    for by_the_daily_run in [true, false] {
        let world = World::start().await.unwrap();
        let (ana, _) = ana_wrote(&world).await;
        let both = Both::begin(&world).await;
        let contact = world.chatwoot.contacts()[0].id;
        world.chatwoot.agent("Sofía").deletes_contact(contact).await;
        world.later(MINUTE).await.unwrap();
        if by_the_daily_run {
            let report = world.retention().await.unwrap();
            assert!(report.trouble.is_some() && report.overdue > 0, "the other account is told to be in trouble");
            goes_by(&world, 8 * MINUTE, MINUTE).await;
            both.only_here(&world).await;
        } else {
            ana.writes("hola de nuevo").await.unwrap();
            goes_by(&world, 5 * MINUTE, MINUTE / 6).await;
            assert_eq!(world.agent_reads("Ana"), ["Ana: hola de nuevo"]);
            assert_eq!(both.customers.find(OTHER, &hers()).await.unwrap(), Some(both.theirs.clone()));
            assert!(!is_gone(&world, both.wrote_at).await[1]);
        }
    }
}

#[tokio::test]
async fn the_operator_s_word_means_every_account_and_takes_a_label_s_request_along() {
    for labeled in [false, true] {
        let world = World::start().await.unwrap();
        let (_, conversation) = ana_wrote(&world).await;
        let both = Both::begin(&world).await;
        let mut code = None;
        if labeled {
            world.chatwoot.agent("Sofía").labels(conversation, &["borrar-datos"]).await;
            world.work().await.unwrap();
            code = Some(code_in(&world.agent_reads("Ana").pop().unwrap()));
        }
        let asked = operator_asks(&world, json!({ "phone": "+5215555550123" })).await;
        assert_eq!(code.unwrap_or_else(|| asked.clone()), asked);
        assert_eq!(is_gone(&world, both.wrote_at).await, [true, true]);
        done(&world, &asked).await;
        for account in [HERE, OTHER] {
            assert_eq!(both.customers.find(account, &hers()).await.unwrap(), None, "{account}");
        }
    }
}

#[tokio::test]
async fn whichever_call_fails_a_request_means_all_accounts_as_soon_as_the_operator_s_word_counts() {
    let world = World::start().await.unwrap();
    let (_, conversation) = ana_wrote(&world).await;
    let both = Both::begin(&world).await;
    world.chatwoot.agent("Sofía").labels(conversation, &["borrar-datos"]).await;
    world.work().await.unwrap();
    let code = domain::ConfirmationCode::new(code_in(&world.agent_reads("Ana").pop().unwrap()));
    let erasures = store::ErasureLedger::new(table(&world));
    let mut widened = Vec::new();
    for skip in 0.. {
        // A secret that could not be had is not asked for again at once.
        world.pass(MINUTE);
        world.stage.aws.faults().add(Fault { skip, ..always("POST", "/", answer(400)) });
        let asked = world.operator(json!({ "phone": "+5215555550123" })).await;
        world.stage.aws.faults().clear();
        let entry = erasures.get(&code).await.unwrap().unwrap();
        let target = erasures.data_subject(&code).await.unwrap().unwrap();
        let certain = matches!(entry.erasure.state(), ErasureState::Confirmed { .. });
        assert_eq!(target.only, Some(HERE).filter(|_| !certain), "{skip}");
        widened.push(certain);
        assert!(skip < 200, "{asked:?}");
        if asked.is_ok() {
            break;
        }
    }
    assert!(!widened[0] && widened[widened.len() - 2], "it failed before and after: {widened:?}");
    assert_eq!(is_gone(&world, both.wrote_at).await, [true, true]);
    assert_eq!(erasures.all_open().await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_is_underway_at_one_dealer_stays_what_it_is_beside_the_operator_s() {
    let world = World::start().await.unwrap();
    let (ana, _) = ana_wrote(&world).await;
    let both = Both::begin(&world).await;
    ana.writes("BORRAR MIS DATOS").await.unwrap();
    world.work().await.unwrap();
    let here = code_in(&ana.heard().pop().unwrap());
    world.chatwoot.faults().add(always("DELETE", "/", answer(503)));
    world.pass(MINUTE);
    ana.writes("SÍ BORRAR").await.unwrap();
    world.later(MINUTE).await.unwrap();
    assert_eq!(is_gone(&world, both.wrote_at).await, [true, false]);
    let all = operator_asks(&world, json!({ "phone": "+5215555550123" })).await;
    assert_ne!(all, here);
    assert_eq!(is_gone(&world, both.wrote_at).await, [true, true]);
    world.chatwoot.faults().clear();
    goes_by(&world, HOUR, 15 * MINUTE).await;
    for code in [&here, &all] {
        assert!(is_done(&world, code).await, "{code}");
    }
    for account in [HERE, OTHER] {
        assert_eq!(both.customers.find(account, &hers()).await.unwrap(), None, "{account}");
    }
}

#[tokio::test]
async fn a_request_at_each_of_two_dealers_is_two_and_one_for_all_covers_both() {
    let world = World::start().await.unwrap();
    ana_wrote(&world).await;
    let both = Both::begin(&world).await;
    // An index knows her by now.
    world.pass(2 * MINUTE);
    let requests = requests(&world);
    let ask = async |door, only| {
        let target = DataSubject { only, ..DataSubject::of(&hers()) };
        let asked = requests.ask(door, target, table(&world).now()).await.unwrap();
        requests.bar(&asked.entry).await.unwrap();
        (asked.entry.erasure.code().clone(), asked.is_new)
    };
    let (here, is_new) = ask(RequestSource::Chatwoot, Some(HERE)).await;
    assert_eq!((is_new, is_gone(&world, both.wrote_at - MINUTE).await), (true, [true, false]));
    let (there, is_new) = ask(RequestSource::Chatwoot, Some(OTHER)).await;
    assert!(is_new && here != there);
    for (account, code) in [(HERE, &here), (OTHER, &there)] {
        assert_eq!(ask(RequestSource::Agent, Some(account)).await, (code.clone(), false));
    }
    // One of the two means all of them from now on, and whoever asks again at any meets one that means it.
    let (all, is_new) = ask(RequestSource::Operator, None).await;
    assert!(!is_new && all == here, "{all} {here} {there}");
    assert_eq!(ask(RequestSource::Operator, None).await, (all.clone(), false));
    assert_eq!(ask(RequestSource::Customer, Some(HERE)).await, (all, false));
}

#[tokio::test]
async fn a_tombstone_for_all_accounts_and_one_for_each_leave_one_another_alone() {
    let world = World::start().await.unwrap();
    let (now, graves) = (table(&world).now(), tombstones(&world));
    let subject = &hers().aliases(&key())[0].subject;
    let stone = |code: &str, erased_at, only| Tombstone {
        code: domain::ConfirmationCode::new(code),
        erased_at,
        sealed: false,
        inserted_at: None,
        only,
    };
    let all =
        [stone("all", now, None), stone("here", now + MINUTE, Some(HERE)), stone("there", now + HOUR, Some(OTHER))];
    for stone in &all {
        graves.insert(subject, stone).await.unwrap();
    }
    let gone = async |at| is_gone(&world, at).await;
    assert_eq!(gone(now).await, [true, true]);
    assert_eq!(gone(now + MINUTE).await, [true, true]);
    assert_eq!(gone(now + HOUR).await, [false, true]);
    let among = async |account| graves.among(account, [subject]).await.unwrap()[subject].code.to_string();
    assert_eq!([among(Some(HERE)).await, among(Some(OTHER)).await, among(None).await], ["here", "there", "there"]);
    graves.remove(subject, &all[2].code, Some(OTHER)).await.unwrap();
    assert_eq!((gone(now + MINUTE).await, gone(now).await), ([true, false], [true, true]));
    graves.remove(subject, &all[0].code, None).await.unwrap();
    assert_eq!(gone(now).await, [true, false]);
}
