//! Stores the links by which numbers are connected, and how far each is.
//! Every write is conditional on the one before, so that of two workers one goes on. What they are about belongs to dealers:
//! no customer stands in it.

use std::{collections::BTreeSet, time::Duration};

use domain::{
    KeyedHash, PhoneNumberId, Signup, SignupId, Timestamp, WabaId,
    keyed_hash::Administrator,
    signup::{Finish, SignupStep},
};
use serde::{Deserialize, Serialize};

use crate::{
    StoreError, Table,
    keys::{ItemKey, Key, Range},
    table::{Item, ItemUpdate, integer, strings, text, with_key},
};

/// How long a worker has a signup, or a number, to itself: longer than the function runs.
const LEASE: Duration = Duration::from_secs(40);

/// How long it is known what a page told, and that Meta told of an account.
const TOLD_TTL: Duration = Duration::from_secs(86_400);

/// How much may lie between what Meta or the window told and the code of the same dialog.
const TOLD_BEFORE: Duration = Duration::from_secs(60);
const HINTED_BEFORE: Duration = Duration::from_secs(3600);

/// How often a write is tried that others may cross.
const CONTENTION: usize = 8;

/// How long it is known that a token was looked at.
const CHECK_TTL: Duration = Duration::from_secs(30 * 86_400);

/// How long it is known who connected a number.
const ADMINISTRATOR_TTL: Duration = Duration::from_secs(3 * 365 * 86_400);

/// The signups.
#[derive(Clone, Debug)]
pub struct Signups {
    table: Table,
}

/// What the page told of a dialog that was gone through. It is an item of its own, so that no worker's write is in its way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// The accounts it named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accounts: Vec<WabaId>,
    /// The number it named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<PhoneNumberId>,
    /// How the dialog ended, if that matters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finish: Option<Finish>,
}

#[derive(Serialize, Deserialize)]
struct ToldRow {
    #[serde(flatten)]
    told: Told,
    at: Timestamp,
    expires_at: i64,
}

#[derive(Serialize, Deserialize)]
struct HintRow {
    account: WabaId,
    at: Timestamp,
    expires_at: i64,
}

#[derive(Serialize, Deserialize)]
struct NumberRow {
    signup: SignupId,
    expires_at: i64,
}

impl Signups {
    /// Signups of this table.
    pub fn new(table: Table) -> Self {
        Self { table }
    }

    /// A signup; nothing if there is none, or it is long over.
    pub async fn get(&self, id: &SignupId) -> Result<Option<Signup>, StoreError> {
        self.table.get(&key(id)).await
    }

    /// All of them.
    pub async fn all(&self) -> Result<Vec<Signup>, StoreError> {
        self.table.range(Range::signups()).await
    }

    /// Writes a new one.
    pub async fn create(&self, signup: &Signup) -> Result<(), StoreError> {
        let item = with_key(&key(&signup.id), signup)?;
        if self.table.put_if(item, "attribute_not_exists(pk)", Item::new()).await? {
            Ok(())
        } else {
            Err(StoreError::Contended)
        }
    }

    /// Writes one that was read before. `false` means that somebody else wrote it since: nothing is written then.
    pub async fn save(&self, signup: &mut Signup) -> Result<bool, StoreError> {
        let seen = signup.stamp;
        let next = Signup { stamp: seen + 1, ..signup.clone() };
        let values = Item::from([(":seen".to_owned(), integer(seen))]);
        let saved = self.table.put_if(with_key(&key(&signup.id), &next)?, "stamp = :seen", values).await?;
        if saved {
            *signup = next;
        }
        Ok(saved)
    }

    /// Takes a signup for one worker. `false` means that another one has it.
    pub async fn lease(&self, signup: &mut Signup) -> Result<bool, StoreError> {
        let now = self.table.now();
        if signup.leased_until > now {
            return Ok(false);
        }
        signup.leased_until = now + LEASE;
        self.save(signup).await
    }

    /// Takes a number for a signup for a while: two links to one number must not make two inboxes.
    pub async fn hold(&self, number: &PhoneNumberId, signup: &SignupId) -> Result<bool, StoreError> {
        let key: Key = ItemKey::SignupNumber(number.clone()).into();
        let now = self.table.now();
        let row = NumberRow { signup: signup.clone(), expires_at: (now + LEASE).as_secs() };
        let values =
            Item::from([(":now".to_owned(), integer(now.as_secs())), (":me".to_owned(), text(signup.as_str()))]);
        let free = "attribute_not_exists(pk) OR expires_at <= :now OR signup = :me";
        self.table.put_if(with_key(&key, &row)?, free, values).await
    }

    /// Lets another signup have the number at once. One that died lets it go by time.
    pub async fn let_go(&self, number: &PhoneNumberId, signup: &SignupId) -> Result<(), StoreError> {
        let key: Key = ItemKey::SignupNumber(number.clone()).into();
        self.table.delete_if(&key, "signup = :me", (":me", text(signup.as_str()))).await
    }

    /// When Meta was last asked about a number's token.
    pub async fn checked_at(&self, number: &PhoneNumberId) -> Result<Option<Timestamp>, StoreError> {
        let item = self.table.item(&ItemKey::TokenCheck(number.clone()).into()).await?;
        Ok(item.and_then(|item| crate::table::number(&item, "checked_at")).map(Timestamp::from_millis))
    }

    /// Records that it was.
    pub async fn checked(&self, number: &PhoneNumberId) -> Result<(), StoreError> {
        #[derive(Serialize)]
        struct Check {
            checked_at: Timestamp,
            expires_at: i64,
        }
        let now = self.table.now();
        let row = Check { checked_at: now, expires_at: (now + CHECK_TTL).as_secs() };
        self.table.put(&ItemKey::TokenCheck(number.clone()).into(), &row).await
    }

    /// Changes one, whoever else writes it meanwhile, and gives it back as it stands then; nothing if there is none. A worker
    /// that has it reads it again before it goes on. `change` may refuse.
    pub async fn amend<E: From<StoreError>>(
        &self,
        id: &SignupId,
        change: impl Fn(&mut Signup) -> Result<(), E>,
    ) -> Result<Option<Signup>, E> {
        for _ in 0..CONTENTION {
            let Some(mut signup) = self.get(id).await? else { return Ok(None) };
            change(&mut signup)?;
            if self.save(&mut signup).await? {
                return Ok(Some(signup));
            }
        }
        Err(StoreError::Contended.into())
    }

    /// Notes what the page told of a dialog.
    pub async fn tell(&self, id: &SignupId, told: Told) -> Result<(), StoreError> {
        let at = self.table.now();
        let row = ToldRow { told, at, expires_at: (at + TOLD_TTL).as_secs() };
        self.table.put(&ItemKey::SignupTold(id.clone()).into(), &row).await
    }

    /// What it told of the dialog whose code came at `since`.
    pub async fn told(&self, id: &SignupId, since: Timestamp) -> Result<Told, StoreError> {
        let row: Option<ToldRow> = self.table.get(&ItemKey::SignupTold(id.clone()).into()).await?;
        Ok(row.filter(|row| row.at + TOLD_BEFORE >= since).map(|row| row.told).unwrap_or_default())
    }

    /// Notes an account that came to the app, as Meta told us: it may come before the code of its signup.
    pub async fn hint(&self, waba: &WabaId) -> Result<(), StoreError> {
        let at = self.table.now();
        let row = HintRow { account: waba.clone(), at, expires_at: (at + TOLD_TTL).as_secs() };
        self.table.put(&ItemKey::SignupHint(waba.clone()).into(), &row).await
    }

    /// The accounts that came about when a code did, or since; the newest first. Which of them a token sees, Graph says.
    pub async fn hinted(&self, since: Timestamp) -> Result<Vec<WabaId>, StoreError> {
        let mut rows: Vec<HintRow> = self.table.range(Range::signup_hints()).await?;
        rows.retain(|row| row.at + HINTED_BEFORE >= since);
        rows.sort_by_key(|row| std::cmp::Reverse(row.at));
        Ok(rows.into_iter().map(|row| row.account).collect())
    }

    /// Those with more to do whose time has come, and those whose worker died over a code.
    pub async fn due(&self) -> Result<Vec<Signup>, StoreError> {
        let now = self.table.now();
        let is_due = |signup: &Signup| {
            let goes_on = signup.is_underway() && signup.need.is_none() && signup.next_at <= now;
            goes_on || signup.is_exchanging() || signup.is_over(now)
        };
        Ok(self.all().await?.into_iter().filter(|signup| signup.leased_until <= now && is_due(signup)).collect())
    }

    /// Of several, how many have stood still that long.
    pub fn standing(signups: &[Signup], time: Duration, now: Timestamp) -> u64 {
        let stands = |signup: &&Signup| {
            let in_hand = signup.is_underway() && signup.step != SignupStep::Done;
            in_hand && now.since(signup.moved_at) >= time
        };
        signups.iter().filter(stands).count() as u64
    }
}

/// Which numbers somebody connected whom only Meta's app knows.
#[derive(Clone, Debug)]
pub struct Administrators {
    table: Table,
}

/// What is known of one of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Connected {
    /// The numbers.
    pub numbers: BTreeSet<PhoneNumberId>,
    /// Those whose token is the person's own, and ends with it.
    pub own_tokens: BTreeSet<PhoneNumberId>,
}

impl Administrators {
    /// Administrators in this table.
    pub fn new(table: Table) -> Self {
        Self { table }
    }

    /// Records that one connected a number, and whether the token is the person's own and not the business's.
    pub async fn connected(
        &self,
        who: &KeyedHash<Administrator>,
        number: &PhoneNumberId,
        own_token: bool,
    ) -> Result<(), StoreError> {
        let now = self.table.now();
        let own = if own_token { ", own_tokens :number" } else { "" };
        let change = ItemUpdate {
            key: ItemKey::Administrator(who.clone()).into(),
            update: format!("SET connected_at = :at, expires_at = :end ADD numbers :number{own}"),
            condition: None,
            values: Item::from([
                (":at".to_owned(), integer(now.as_millis())),
                (":end".to_owned(), integer((now + ADMINISTRATOR_TTL).as_secs())),
                (":number".to_owned(), aws_sdk_dynamodb::types::AttributeValue::Ss(vec![number.as_str().to_owned()])),
            ]),
        };
        self.table.change(change).await
    }

    /// What one connected.
    pub async fn of(&self, who: &KeyedHash<Administrator>) -> Result<Connected, StoreError> {
        let item = self.table.item(&ItemKey::Administrator(who.clone()).into()).await?;
        let set = |name| item.iter().flat_map(|item| strings(item, name)).map(PhoneNumberId::new).collect();
        Ok(Connected { numbers: set("numbers"), own_tokens: set("own_tokens") })
    }

    /// Has the tokens of one's numbers looked at in the next round of `signup`.
    pub async fn look_again(&self, who: &KeyedHash<Administrator>) -> Result<usize, StoreError> {
        #[derive(Serialize)]
        struct Due {
            expires_at: i64,
        }
        let numbers = self.of(who).await?.numbers;
        for number in &numbers {
            // An item without a time is one that was never looked at.
            let row = Due { expires_at: (self.table.now() + CHECK_TTL).as_secs() };
            self.table.put(&ItemKey::TokenCheck(number.clone()).into(), &row).await?;
        }
        Ok(numbers.len())
    }
}

fn key(id: &SignupId) -> Key {
    ItemKey::Signup(id.clone()).into()
}

#[cfg(test)]
mod tests {
    use domain::{AccountId, channel::Mode};

    use super::*;
    use crate::tests::Stage;

    #[tokio::test]
    async fn of_two_who_work_on_a_signup_one_goes_on() {
        let stage = Stage::new().await;
        let signups = Signups::new(stage.table.clone());
        let id = SignupId::mint();
        let mut first = Signup::new(id.clone(), AccountId(3), Mode::Cloud, "https://a.example".to_owned(), stage.now());
        signups.create(&first).await.unwrap();
        assert!(signups.create(&first).await.is_err(), "there is one already");
        let mut second = signups.get(&id).await.unwrap().unwrap();
        assert_eq!(first, second);
        assert!(signups.lease(&mut first).await.unwrap());
        assert!(!signups.lease(&mut second).await.unwrap());
        second = signups.get(&id).await.unwrap().unwrap();
        assert!(!signups.lease(&mut second).await.unwrap(), "it is in hand");
        stage.pass(LEASE);
        assert!(signups.lease(&mut second).await.unwrap(), "who had it has died");
        first.done(SignupStep::Token, stage.now());
        assert!(!signups.save(&mut first).await.unwrap(), "and writes nothing any more");
    }

    #[tokio::test]
    async fn two_links_to_a_number_take_turns() {
        let stage = Stage::new().await;
        let signups = Signups::new(stage.table.clone());
        let (number, one, other) = (PhoneNumberId::new("1"), SignupId::new("a"), SignupId::new("b"));
        assert!(signups.hold(&number, &one).await.unwrap() && signups.hold(&number, &one).await.unwrap());
        assert!(!signups.hold(&number, &other).await.unwrap());
        signups.let_go(&number, &other).await.unwrap();
        assert!(!signups.hold(&number, &other).await.unwrap(), "it is not the other's to let go");
        signups.let_go(&number, &one).await.unwrap();
        assert!(signups.hold(&number, &other).await.unwrap());
        stage.pass(LEASE);
        assert!(signups.hold(&number, &one).await.unwrap());
    }
}
