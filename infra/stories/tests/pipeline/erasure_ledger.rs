//! The ledger of erasures: whichever doors are used in whichever order, however late, one request is open and its promise is told
//! as it is.

use std::time::Duration;

use domain::{
    AccountId, ContactId, HashKey, Identity, UserId, WaId,
    erasure::{DataLocation, ErasureDeadlines, RequestSource},
};
use proptest::{
    prelude::*,
    test_runner::{Config, TestCaseError, TestRunner},
};
use serde_json::json;
use store::{CustomerStore, DataInventory, DataSubject, ErasureEntry, ErasureLedger, ErasureRequests, Table};
use stories::{ACCOUNT, World};

use crate::{
    erasure::{done, is_done, operator_asks, state},
    erasure_doors::code_in,
    fixtures::{HOUR, MINUTE, always, ana_wrote, answer, goes_by},
};

const DAY: Duration = Duration::from_secs(86_400);

const KEY: &str = "subject-key-of-the-stories";

/// What happens to somebody's requests.
#[derive(Clone, Debug)]
enum Act {
    /// Somebody asks, and names them by what they know: phone, user id, our id, the contact.
    Asks { door: RequestSource, by: u8 },
    /// Whoever is open is withdrawn, if it still can be.
    Withdraws,
    /// Whoever is open is brought to its end, and they are gone.
    Ends,
    /// They write, with their phone, their user id or both.
    Writes { phone: bool, user: bool },
    /// Time passes.
    Passes { hours: u64 },
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let door = prop::sample::select(vec![
        RequestSource::Operator,
        RequestSource::Agent,
        RequestSource::Customer,
        RequestSource::Chatwoot,
    ]);
    let asks = (door, 1..16_u8).prop_map(|(door, by)| Act::Asks { door, by });
    let writes = (any::<bool>(), any::<bool>()).prop_map(|(phone, user)| Act::Writes { phone: phone || !user, user });
    prop::collection::vec(
        prop_oneof![6 => asks, 2 => Just(Act::Withdraws), 2 => Just(Act::Ends), 2 => writes,
            1 => (1..40_u64).prop_map(|hours| Act::Passes { hours })],
        1..20,
    )
}

/// Somebody's requests, in a table of all.
struct Person<'w> {
    world: &'w World,
    table: Table,
    requests: ErasureRequests,
    phone: WaId,
    user: UserId,
    contact: ContactId,
}

impl Person<'_> {
    fn named(&self, by: u8, customer: Option<domain::CustomerId>) -> DataSubject {
        DataSubject {
            phones: (by & 1 != 0).then(|| self.phone.clone()).into_iter().collect(),
            users: (by & 2 != 0).then(|| self.user.clone()).into_iter().collect(),
            customers: customer.filter(|_| by & 4 != 0).into_iter().collect(),
            contacts: (by & 8 != 0).then_some((AccountId(ACCOUNT), self.contact)).into_iter().collect(),
            ..DataSubject::default()
        }
    }

    fn identity(&self, phone: bool, user: bool) -> Identity {
        Identity {
            phone: phone.then(|| self.phone.clone()),
            user_id: user.then(|| self.user.clone()),
            ..Identity::default()
        }
    }

    async fn customer(&self) -> Option<domain::CustomerId> {
        let customers = CustomerStore::new(self.table.clone(), HashKey::new(KEY.into()));
        customers.find(AccountId(ACCOUNT), &self.identity(true, true)).await.unwrap()
    }

    /// The open requests about them, by anything.
    async fn open(&self) -> Vec<ErasureEntry> {
        let mut open: Vec<ErasureEntry> = Vec::new();
        for by in [1, 2, 4, 8] {
            let found = self.requests.open_about(&self.named(by, self.customer().await)).await.unwrap();
            open.extend(found.filter(|found| open.iter().all(|one| one.erasure.code() != found.erasure.code())));
        }
        open
    }

    async fn act(&self, act: &Act) -> Result<(), TestCaseError> {
        let (now, erasures) = (self.table.now(), ErasureLedger::new(self.table.clone()));
        match *act {
            Act::Asks { door, by } => {
                let target = self.named(by, self.customer().await);
                let was_open = self.requests.open_about(&target).await.unwrap();
                let asked = self.requests.ask(door, target.clone(), now).await;
                let Ok(asked) = asked else { return Err(TestCaseError::fail(format!("{asked:?}"))) };
                if let Some(open) = was_open {
                    prop_assert_eq!(&asked.entry.erasure.code(), &open.erasure.code());
                }
                if !asked.entry.erasure.is_closed() {
                    // Whoever names them by any of this meets this request.
                    for by in [1, 2, 4, 8].into_iter().filter(|one| by & one != 0) {
                        let again = self.named(by, self.customer().await);
                        if again == DataSubject::default() {
                            continue;
                        }
                        let open = self.requests.open_about(&again).await.unwrap();
                        prop_assert!(open.is_some(), "{by}");
                    }
                }
            }
            Act::Withdraws => {
                for entry in self.open().await {
                    if let Ok(withdrawn) = entry.erasure.clone().withdraw(now) {
                        erasures.save(&entry, withdrawn).await.unwrap().unwrap();
                    }
                }
            }
            Act::Ends => {
                for entry in self.open().await {
                    let erasure = entry.erasure.clone();
                    let certain = erasure.clone().confirm(now).unwrap_or(erasure);
                    let mut begun = certain.begin(now).unwrap();
                    for place in DataLocation::ALL {
                        begun = begun.clear(place, now).unwrap();
                    }
                    erasures.save(&entry, begun.finish(now).unwrap()).await.unwrap().unwrap();
                }
                let belongings = DataInventory::new(self.table.clone(), HashKey::new(KEY.into()));
                let mut target = self.named(3, None);
                belongings.gather(&mut target).await.unwrap();
                belongings.delete(&belongings.keys(&target).await.unwrap()).await.unwrap();
            }
            Act::Writes { phone, user } => {
                let customers = CustomerStore::new(self.table.clone(), HashKey::new(KEY.into()));
                customers.identify(AccountId(ACCOUNT), &self.identity(phone, user), now).await.unwrap();
            }
            Act::Passes { hours } => self.world.pass(Duration::from_secs(hours * 3600)),
        }
        Ok(())
    }
}

/// Nobody is locked out by what they asked before, whichever doors they took.
#[test]
fn whichever_doors_are_used_in_whichever_order_the_next_request_is_taken() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let world = runtime.block_on(World::start()).unwrap();
    let table = crate::fixtures::table(&world);
    let promise = ErasureDeadlines { deletion_days: 30, warn_days: vec![7, 20, 27], confirm_hours: 24 };
    let requests = ErasureRequests::new(table.clone(), HashKey::new(KEY.into()), promise);
    let number = std::cell::Cell::new(0_i64);
    let config = Config { cases: 32, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&acts(), |acts| {
        number.set(number.get() + 1);
        let number = number.get();
        let person = Person {
            world: &world,
            table: table.clone(),
            requests: requests.clone(),
            phone: WaId::new(format!("5730055{number:05}")),
            user: UserId::new(format!("CO.{number}")),
            contact: ContactId(1_000 + number),
        };
        runtime.block_on(async {
            for act in &acts {
                person.act(act).await?;
            }
            Ok(())
        })
    });
    outcome.unwrap();
}

#[tokio::test]
async fn after_31_days_it_is_a_breach_though_nobody_ever_began() {
    let world = World::start().await.unwrap();
    ana_wrote(&world).await;
    let code = operator_asks(&world, json!({ "phone": "+5215555550123" })).await;
    world.pass(31 * DAY);
    assert_eq!(state(&world, &code).await, json!({ "state": "failed", "days_left": 0 }));
    let report = world.retention().await.unwrap();
    assert_eq!((report.open, report.breached), (1, 1));
    goes_by(&world, HOUR, 15 * MINUTE).await;
    assert!(is_done(&world, &code).await);
    let receipt = world.operator(json!({ "receipt": code })).await.unwrap();
    assert!(receipt["receipt"]["breached_at"].is_number());
}

#[tokio::test]
async fn after_31_days_without_a_look_at_the_label_it_is_a_breach() {
    let world = World::start().await.unwrap();
    let (_, conversation) = ana_wrote(&world).await;
    world.chatwoot.agent("Sofía").labels(conversation, &["borrar-datos"]).await;
    world.work().await.unwrap();
    let code = code_in(&world.agent_reads("Ana").pop().unwrap());
    world.chatwoot.faults().add(always("GET", "/labels", answer(503)));
    let mut breached = 0;
    for _ in 0..31 {
        world.later(DAY).await.unwrap();
        breached = world.retention().await.unwrap().breached;
        world.work().await.unwrap();
    }
    assert_eq!(breached, 1);
    assert_eq!(state(&world, &code).await, json!({ "state": "failed", "days_left": 0 }));
    world.chatwoot.faults().clear();
    goes_by(&world, HOUR, 15 * MINUTE).await;
    assert!(is_done(&world, &code).await);
    let receipt = world.operator(json!({ "receipt": code })).await.unwrap();
    assert!(receipt["receipt"]["breached_at"].is_number());
}

#[tokio::test]
async fn who_is_asked_a_day_late_has_a_whole_day_to_confirm() {
    let world = World::start().await.unwrap();
    let (ana, _) = ana_wrote(&world).await;
    world.chatwoot.server().refuse().await;
    ana.writes("BORRAR MIS DATOS").await.unwrap();
    goes_by(&world, 20 * HOUR, 15 * MINUTE).await;
    // Her newest message keeps the window open for the question.
    ana.writes("¿hola?").await.unwrap();
    goes_by(&world, 5 * HOUR, 15 * MINUTE).await;
    world.chatwoot.server().accept().unwrap();
    goes_by(&world, HOUR, 15 * MINUTE).await;
    let code = code_in(&ana.heard().pop().unwrap());
    // The promise counts from when she asked.
    assert_eq!(state(&world, &code).await, json!({ "state": "received", "days_left": 29 }));
    goes_by(&world, 22 * HOUR, 11 * HOUR).await;
    ana.writes("SÍ BORRAR").await.unwrap();
    done(&world, &code).await;
    assert!(world.conversation("Ana").is_err());
}

#[tokio::test]
async fn a_confirmation_that_comes_too_late_is_answered_in_words() {
    let world = World::start().await.unwrap();
    let (ana, _) = ana_wrote(&world).await;
    for answer in ["sí borrar", "sí"] {
        ana.writes("BORRAR MIS DATOS").await.unwrap();
        world.work().await.unwrap();
        let code = code_in(&ana.heard().pop().unwrap());
        goes_by(&world, 25 * HOUR, 5 * HOUR).await;
        ana.writes(answer).await.unwrap();
        world.later(MINUTE).await.unwrap();
        let heard = ana.heard().pop().unwrap();
        assert!(heard.starts_with("No borramos nada") && heard.contains("BORRAR MIS DATOS"), "{heard}");
        assert_eq!(state(&world, &code).await, json!(404));
    }
    assert!(world.conversation("Ana").is_ok());
}

#[tokio::test]
async fn what_is_written_after_the_request_and_before_anybody_began_starts_clean() {
    let world = World::start().await.unwrap();
    let (ana, _) = ana_wrote(&world).await;
    let code = operator_asks(&world, json!({ "phone": "+5215555550123" })).await;
    world.pass(10 * MINUTE);
    ana.writes("¿sigue la moto?").await.unwrap();
    while world.forward_once().await.unwrap() {}
    done(&world, &code).await;
    goes_by(&world, 5 * MINUTE, MINUTE / 2).await;
    assert_eq!(world.agent_reads("Ana"), ["Ana: ¿sigue la moto?"]);
}

#[tokio::test]
async fn a_label_on_two_conversations_is_withdrawn_with_the_last_of_them() {
    let world = World::start().await.unwrap();
    world.chatwoot.lock_to_single_conversation(14, false);
    let (ana, first) = ana_wrote(&world).await;
    let agent = world.chatwoot.agent("Sofía");
    agent.resolves(first).await;
    ana.writes("otra cosa").await.unwrap();
    world.work().await.unwrap();
    let second = world.conversation("Ana").unwrap();
    assert_ne!(first, second);
    for conversation in [first, second] {
        agent.labels(conversation, &["borrar-datos"]).await;
        world.work().await.unwrap();
    }
    let note = world.chatwoot.messages(first).pop().unwrap().content;
    let code = code_in(&note);
    agent.labels(first, &[]).await;
    world.work().await.unwrap();
    assert_eq!(state(&world, &code).await["state"], "received");
    agent.labels(second, &[]).await;
    world.work().await.unwrap();
    assert_eq!(state(&world, &code).await, json!(404));
    goes_by(&world, 2 * DAY, 12 * HOUR).await;
    assert!(world.conversation("Ana").is_ok());
}
