//! Who is who, whatever happens in whatever order: people write and show what they like, change numbers, and numbers go to
//! others. The table is the true one, on the embedded AWS.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use domain::{AccountId, CustomerId, HashKey, Identity, SharedClock, Timestamp, UserId, WaId};
use proptest::{
    prelude::*,
    test_runner::{Config, TestCaseError, TestRunner},
};
use store::{CustomerStore, Table};
use stories::World;

const PEOPLE: usize = 4;
const PHONES: usize = 6;
const BEGINNING: i64 = 1_795_190_400;

/// What somebody does.
#[derive(Clone, Debug)]
enum Act {
    /// Writes, showing phone, user id or both; perhaps the message is a few events late and comes from the phone and the user
    /// id of then, perhaps it is worked on twice.
    Writes { who: usize, phone: bool, user: bool, late: bool, twice: bool },
    /// Takes another number, if it is free, and Meta announces it, with the ids or without.
    Moves { who: usize, to: usize, ids: bool, twice: bool },
    /// Gets another user id, and Meta announces it.
    Renews { who: usize, twice: bool },
    /// Two numbers pass on, and nobody announces it: each of the two writes from the other's.
    Swap { one: usize, other: usize },
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let who = 0..PEOPLE;
    let writes = (who.clone(), any::<bool>(), any::<bool>(), prop::bool::weighted(0.1), prop::bool::weighted(0.1));
    let writes = writes.prop_map(|(who, phone, user, late, twice)| Act::Writes { who, phone, user, late, twice });
    let moves = (who.clone(), 0..PHONES, any::<bool>(), any::<bool>());
    let moves = moves.prop_map(|(who, to, ids, twice)| Act::Moves { who, to, ids, twice });
    let renews = (who.clone(), any::<bool>()).prop_map(|(who, twice)| Act::Renews { who, twice });
    let swaps = (who.clone(), who).prop_map(|(one, other)| Act::Swap { one, other });
    prop::collection::vec(prop_oneof![6 => writes, 2 => moves, 1 => renews, 2 => swaps], 1..30)
}

/// What is true about somebody, whatever the bridge knows.
struct Person {
    phone: usize,
    /// All user ids so far, the newest last.
    users: Vec<String>,
    /// From when on they had which phone and user id, the newest last.
    past: Vec<(i64, usize, String)>,
    /// Phones they had before Meta announced another, and had not again.
    given_up: BTreeSet<usize>,
}

impl Person {
    /// The phone and the user id they had then.
    fn then(&self, at: i64) -> (usize, String) {
        let known = self.past.iter().rev().find(|(since, ..)| *since <= at);
        known.map_or((self.phone, self.users[0].clone()), |(_, phone, user)| (*phone, user.clone()))
    }
}

/// Customers of one account, and the time.
struct Books {
    customers: CustomerStore,
    account: AccountId,
    people: Vec<Person>,
    /// Which person each user id that was seen belongs to.
    seen: BTreeMap<String, usize>,
    at: i64,
}

fn phone(number: usize) -> WaId {
    WaId::new(format!("5730055501{number:02}"))
}

fn user(id: &str) -> Identity {
    Identity { user_id: Some(UserId::new(id)), ..Identity::default() }
}

impl Books {
    fn open(customers: CustomerStore, account: i64) -> Self {
        let person = |who: usize| {
            let user = format!("CO.{who}.0");
            let (users, past) = (vec![user.clone()], vec![(i64::MIN, who, user)]);
            Person { phone: who, users, past, given_up: BTreeSet::new() }
        };
        let people = (0..PEOPLE).map(person).collect();
        Self { customers, account: AccountId(account), people, seen: BTreeMap::new(), at: BEGINNING }
    }

    async fn identify(&self, identity: &Identity, at: i64) -> CustomerId {
        self.customers.identify(self.account, identity, Timestamp::from_secs(at)).await.unwrap()
    }

    async fn act(&mut self, act: &Act) -> Result<(), TestCaseError> {
        self.at += 1;
        match *act {
            Act::Writes { who, phone: shows_phone, user: shows_user, late, twice } => {
                let at = if late { self.at - 5 } else { self.at };
                let (number, newest) = self.people[who].then(at);
                let identity = Identity {
                    phone: shows_phone.then(|| phone(number)),
                    user_id: (shows_user || !shows_phone).then(|| UserId::new(newest.as_str())),
                    ..Identity::default()
                };
                let first = self.identify(&identity, at).await;
                if twice {
                    prop_assert_eq!(&self.identify(&identity, at).await, &first);
                }
                if identity.user_id.is_some() {
                    self.seen.insert(newest.clone(), who);
                }
                if let (Some(phone), Some(_), false) = (&identity.phone, &identity.user_id, late) {
                    // Seen together and newer than all else: from now on either of them alone leads to the same customer.
                    let alone = Identity { phone: Some(phone.clone()), ..Identity::default() };
                    prop_assert_eq!(&self.identify(&alone, self.at).await, &first);
                    prop_assert_eq!(&self.identify(&user(&newest), self.at).await, &first);
                }
            }
            Act::Moves { who, to, ids, twice } => {
                if self.people.iter().any(|person| person.phone == to) {
                    return Ok(());
                }
                let old = std::mem::replace(&mut self.people[who].phone, to);
                self.people[who].given_up.insert(old);
                let before = self.people[who].users.last().unwrap().clone();
                let after = format!("CO.{who}.{}", self.people[who].users.len());
                self.people[who].users.push(after.clone());
                let id = |id: &str| ids.then(|| UserId::new(id));
                let was = Identity { phone: Some(phone(old)), user_id: id(&before), ..Identity::default() };
                let is = Identity { phone: Some(phone(to)), user_id: id(&after), ..Identity::default() };
                self.announced(&was, &is, twice).await?;
                if ids {
                    self.seen.insert(before, who);
                    self.seen.insert(after, who);
                } else {
                    // The number is all that links the two; the person shows both at once before anything else happens.
                    self.at += 1;
                    let both = Identity { user_id: Some(UserId::new(after.as_str())), ..is };
                    self.identify(&both, self.at).await;
                    self.seen.insert(after, who);
                }
            }
            Act::Swap { one, other } => {
                let (first, second) = (self.people[one].phone, self.people[other].phone);
                (self.people[one].phone, self.people[other].phone) = (second, first);
                for who in [one, other] {
                    self.at += 1;
                    let newest = self.people[who].users.last().unwrap().clone();
                    let both = Identity { phone: Some(phone(self.people[who].phone)), ..user(&newest) };
                    self.identify(&both, self.at).await;
                    self.seen.insert(newest, who);
                }
            }
            Act::Renews { who, twice } => {
                let before = self.people[who].users.last().unwrap().clone();
                let after = format!("CO.{who}.{}", self.people[who].users.len());
                self.people[who].users.push(after.clone());
                self.announced(&user(&before), &user(&after), twice).await?;
                self.seen.insert(before, who);
                self.seen.insert(after, who);
            }
        }
        for person in &mut self.people {
            let now = (person.phone, person.users.last().unwrap().clone());
            person.given_up.remove(&person.phone);
            if person.then(self.at) != now {
                person.past.push((self.at, now.0, now.1));
            }
        }
        self.hold().await
    }

    async fn announced(&self, before: &Identity, now: &Identity, twice: bool) -> Result<(), TestCaseError> {
        let at = Timestamp::from_secs(self.at);
        let first = self.customers.change_number(self.account, before, now, at).await.unwrap();
        if twice {
            prop_assert_eq!(&self.customers.change_number(self.account, before, now, at).await.unwrap(), &first);
        }
        for id in [before, now].into_iter().filter(|identity| identity.user_id.is_some()) {
            let by_id = Identity { user_id: id.user_id.clone(), ..Identity::default() };
            prop_assert_eq!(self.customers.find(self.account, &by_id).await.unwrap(), Some(first.clone()));
        }
        Ok(())
    }

    /// Two people are two customers, and no user id that was ever seen is lost.
    async fn hold(&self) -> Result<(), TestCaseError> {
        let mut owners: BTreeMap<CustomerId, usize> = BTreeMap::new();
        for (id, who) in &self.seen {
            let found = self.customers.find(self.account, &user(id)).await.unwrap();
            prop_assert!(found.is_some(), "{} is lost", id);
            let customer = found.unwrap();
            prop_assert_eq!(&self.customers.survivor(&customer).await.unwrap(), &customer);
            let owner = *owners.entry(customer).or_insert(*who);
            prop_assert_eq!(owner, *who, "{} shares a customer with person {}", id, owner);
        }
        // Nothing goes to a phone by which somebody was reached before they announced another.
        for (who, person) in self.people.iter().enumerate() {
            for number in &person.given_up {
                let alone = Identity { phone: Some(phone(*number)), ..Identity::default() };
                let found = self.customers.find(self.account, &alone).await.unwrap();
                let reached = found.and_then(|customer| owners.get(&customer).copied());
                prop_assert_ne!(reached, Some(who), "{} still leads to person {}", number, who);
            }
        }
        Ok(())
    }
}

/// The customers' table of a world.
fn customers(world: &World) -> CustomerStore {
    let environment = world.stage.environment("forward").unwrap();
    let clock: SharedClock = Arc::new(world.clock.clone());
    let aws = platform::aws::Aws::from_env(environment).unwrap();
    let kept = Duration::from_secs(365 * 86_400);
    let table = Table::new(aws.dynamodb, world.stage.table().unwrap().to_owned(), clock, kept);
    CustomerStore::new(table, HashKey::new("k".into()))
}

#[test]
fn two_people_are_never_one_customer_and_no_user_id_is_ever_lost() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let world = runtime.block_on(World::start()).unwrap();
    let customers = customers(&world);
    let account = std::cell::Cell::new(100);
    let config = Config { cases: 24, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&acts(), |acts| {
        account.set(account.get() + 1);
        let mut books = Books::open(customers.clone(), account.get());
        runtime.block_on(async {
            for act in &acts {
                books.act(act).await?;
            }
            Ok(())
        })
    });
    outcome.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_first_messages_at_the_same_instant_are_one_customer_in_the_end() {
    let world = World::start().await.unwrap();
    let customers = customers(&world);
    let by = |shows_phone: bool, shows_user: bool| Identity {
        phone: shows_phone.then(|| phone(1)),
        user_id: shows_user.then(|| UserId::new("CO.1")),
        ..Identity::default()
    };
    let kinds = [by(true, true), by(true, false), by(false, true)];
    let at = Timestamp::from_secs(BEGINNING);
    for case in 0..45_usize {
        let account = AccountId(i64::try_from(case).unwrap() + 1);
        let (one, other) = (&kinds[case % 3], &kinds[case / 3 % 3]);
        let (first, second) =
            tokio::join!(customers.identify(account, one, at), customers.identify(account, other, at));
        let both = customers.identify(account, &kinds[0], at).await.unwrap();
        for alone in &kinds {
            assert_eq!(customers.identify(account, alone, at).await.unwrap(), both, "{one:?} and {other:?}");
        }
        for early in [first.unwrap(), second.unwrap()] {
            assert_eq!(customers.survivor(&early).await.unwrap(), both, "{one:?} and {other:?}");
        }
    }
}
