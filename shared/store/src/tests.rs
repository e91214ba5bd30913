//! The table that the tests of the aggregates run on: on the embedded AWS, with a clock that the test moves.

use std::{sync::Arc, time::Duration};

use domain::{
    AccountId, Channel, CustomerId, HashKey, Identity, InboxId, PhoneNumberId, Timestamp, UserId, WaId, WabaId, Wamid,
    channel::{ChannelEvent, ChannelState, DisconnectReason, EchoForm, Mode, ReceiptSettings},
};
use serde_json::json;
use simulator_aws::{Aws, Settings, bridge};
use simulator_wire::MovableClock;

use crate::{
    Channels, CustomerStore, Table,
    keys::{ItemKey, Key, Range},
    pager::Limit,
    table::{Item, integer, text},
};

/// When the tests begin.
pub(crate) const NOW: Timestamp = Timestamp::from_secs(1_795_190_400);

pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const DAY: Duration = Duration::from_secs(86_400);

/// The account of [`channel`], and that of another dealer.
pub(crate) const ACCOUNT: AccountId = AccountId(3);
pub(crate) const OTHER_ACCOUNT: AccountId = AccountId(4);

pub(crate) struct Stage {
    pub(crate) aws: Aws,
    pub(crate) table: Table,
    pub(crate) customers: CustomerStore,
}

impl Stage {
    pub(crate) async fn new() -> Self {
        let clock = MovableClock::frozen(NOW);
        let settings = Settings { listen: ([127, 0, 0, 1], 0).into(), clock: clock.clone(), data: None };
        let aws = Aws::start(settings).await.unwrap();
        aws.create_table(bridge::table("bridge")).unwrap();
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(aws_sdk_dynamodb::config::BehaviorVersion::latest())
            .region(aws_sdk_dynamodb::config::Region::new(simulator_aws::REGION))
            .credentials_provider(aws_sdk_dynamodb::config::Credentials::new("anyone", "anything", None, None, "test"))
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .endpoint_url(aws.url());
        let client = aws_sdk_dynamodb::Client::from_conf(config.build());
        let table = Table::new(client, "bridge".to_owned(), Arc::new(clock), 365 * DAY);
        Self { aws, customers: CustomerStore::new(table.clone(), key_of_tests()), table }
    }

    /// Lets time pass.
    pub(crate) fn pass(&self, time: Duration) {
        self.aws.advance(time);
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.table.now()
    }

    /// Stores [`channel`].
    pub(crate) async fn with_channel(self) -> Self {
        Channels::new(self.table.clone()).put(&channel()).await.unwrap();
        self
    }

    /// The customer with an identity that is seen now.
    pub(crate) async fn identify(&self, identity: &Identity) -> CustomerId {
        self.customers.identify(ACCOUNT, identity, self.now()).await.unwrap()
    }

    /// The customer with an identity, if there is one.
    pub(crate) async fn find(&self, identity: &Identity) -> Option<CustomerId> {
        self.customers.find(ACCOUNT, identity).await.unwrap()
    }

    /// All items, expired or not.
    pub(crate) async fn items(&self) -> Vec<Item> {
        self.table.table_pages("attribute_exists(pk)", Item::new()).all().await.unwrap()
    }

    /// How many calls something takes.
    pub(crate) async fn calls<T>(&self, work: impl Future<Output = T>) -> (T, usize) {
        self.aws.calls().record();
        self.aws.calls().take();
        let outcome = work.await;
        (outcome, self.aws.calls().take().len())
    }
}

pub(crate) fn key_of_tests() -> HashKey {
    HashKey::new("key of the tests".into())
}

pub(crate) fn number() -> PhoneNumberId {
    PhoneNumberId::new("104857600123456")
}

pub(crate) fn channel() -> Channel {
    Channel {
        phone_number_id: number(),
        waba_id: WabaId::new("98765"),
        display_phone_number: "+52 55 5555 0100".to_owned(),
        account: ACCOUNT,
        inbox: InboxId(7),
        mode: Mode::Cloud,
        state: ChannelState::Live,
        state_at: NOW,
        paused: false,
        paused_incoming: false,
        receipts: ReceiptSettings::default(),
        echoes: EchoForm::default(),
        secret: "secret".to_owned(),
        since: None,
        offered: None,
    }
}

pub(crate) fn phone(digits: &str) -> Identity {
    Identity { phone: Some(WaId::new(digits)), ..Identity::default() }
}

pub(crate) fn user(id: &str) -> Identity {
    Identity { user_id: Some(UserId::new(id)), ..Identity::default() }
}

pub(crate) fn both(id: &str, digits: &str) -> Identity {
    Identity { phone: Some(WaId::new(digits)), ..user(id) }
}

pub(crate) fn wamid(id: &str) -> Wamid {
    Wamid::new(format!("wamid.{id}"))
}

/// Five items of a partition, of which three fill a page.
async fn five_large_items(stage: &Stage) -> Range {
    let watch = |id| ItemKey::Watch(number(), ACCOUNT, domain::ConversationId(id));
    for id in 1..=5 {
        let end = (stage.now() + DAY).as_secs();
        let row = json!({ "text": "x".repeat(350_000), "expires_at": end });
        stage.table.put(&watch(id).into(), &row).await.unwrap();
    }
    Range::watched(&number())
}

#[tokio::test]
async fn a_partition_of_several_pages_is_read_to_its_end() {
    let stage = Stage::new().await;
    let range = five_large_items(&stage).await;
    assert_eq!(stage.table.pages(&range).all().await.unwrap().len(), 5);
    assert_eq!(stage.table.pages(&range).count().await.unwrap(), 5);
    let whole = stage.table.table_pages("attribute_exists(pk)", Item::new());
    assert_eq!(whole.consistent().all().await.unwrap().len(), 5);
    stage.pass(2 * DAY);
    assert_eq!(stage.table.pages(&range).count().await.unwrap(), 0, "what is expired does not count");
    assert_eq!(stage.table.items(range).await.unwrap().len(), 0);
}

#[tokio::test]
async fn reading_ends_where_its_caller_says_and_goes_on_there() {
    let stage = Stage::new().await;
    let range = five_large_items(&stage).await;
    let over = Limit { items: usize::MAX, until: Some(stage.now()) };
    let later = Limit { items: usize::MAX, until: Some(stage.now() + DAY) };
    for (limit, whole) in [(Limit::PAGE, false), (over, false), (later, true), (Limit::NONE, true)] {
        let mut keys = Vec::new();
        let next = stage.table.pages(&range).each(limit, |item| keys.extend(Key::of(&item))).await.unwrap();
        assert_eq!((next.is_none(), keys.len() == 5), (whole, whole), "{limit:?}");
        stage.table.pages(&range).after(next.as_ref().or(keys.last())).all().await.unwrap().iter().for_each(|item| {
            keys.extend(Key::of(item));
        });
        assert_eq!(keys.len(), 5, "each once: {limit:?}");
    }
}

#[tokio::test]
async fn an_id_that_can_be_no_key_belongs_to_nothing() {
    let stage = Stage::new().await;
    let long = CustomerId::new("x".repeat(3000));
    assert_eq!(stage.customers.thread(&long, &number()).await.unwrap(), None);
    assert_eq!(stage.table.pages(&Range::threads(&long)).all().await.unwrap(), []);
    for id in [&long, &CustomerId::new("")] {
        assert_eq!(stage.table.pages_naming(id).all().await.unwrap(), []);
    }
    assert!(stage.table.put(&ItemKey::Customer(long).into(), &json!({})).await.is_err());
}

#[tokio::test]
async fn what_is_expired_is_not_there_whenever_it_is_deleted() {
    let stage = Stage::new().await;
    let key: Key = ItemKey::Missed.into();
    let end = (stage.now() + DAY).as_secs();
    stage.table.put(&key, &json!({ "expires_at": end })).await.unwrap();
    stage.table.delete_expired(&key).await.unwrap();
    assert!(stage.table.item(&key).await.unwrap().is_some());
    stage.pass(DAY);
    assert_eq!(stage.table.item(&key).await.unwrap(), None);
    assert_eq!(stage.items().await.len(), 1, "it is only hidden");
    stage.table.delete_expired(&key).await.unwrap();
    assert_eq!(stage.items().await, []);
}

#[tokio::test]
async fn more_than_a_hundred_items_are_written_and_read_at_once() {
    let stage = Stage::new().await;
    let keys: Vec<Key> = (0..130).map(|id| ItemKey::Sweep(format!("s{id}")).into()).collect();
    let put = |key: &Key| {
        let item: Item = key.attributes().into_iter().chain([("n".to_owned(), integer(1))]).collect();
        let put = aws_sdk_dynamodb::types::PutRequest::builder().set_item(Some(item)).build().unwrap();
        aws_sdk_dynamodb::types::WriteRequest::builder().put_request(put).build()
    };
    stage.table.write_all(keys.iter().map(put).collect()).await.unwrap();
    assert_eq!(stage.table.get_all(keys).await.unwrap().len(), 130);
}

#[tokio::test]
async fn the_newest_event_decides_the_state_of_a_channel() {
    let stage = Stage::new().await.with_channel().await;
    let channels = Channels::new(stage.table.clone());
    let banned = channels
        .apply_event(&number(), ChannelEvent::Cut(DisconnectReason::Banned), NOW + MINUTE)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((banned.0.state, banned.1.state == ChannelState::Live), (ChannelState::Live, false));
    let older = channels.apply_event(&number(), ChannelEvent::Reinstated, NOW).await.unwrap();
    assert_eq!(older, None, "an older event changes nothing");
    channels.apply_event(&number(), ChannelEvent::Reinstated, NOW + 2 * MINUTE).await.unwrap().unwrap();
    assert_eq!(channels.look_again(&number()).await.unwrap().unwrap().state, ChannelState::Live);
    let unknown = PhoneNumberId::new("1");
    assert_eq!(
        channels.apply_event(&unknown, ChannelEvent::Cut(DisconnectReason::Banned), stage.now()).await.unwrap(),
        None
    );
}

#[tokio::test]
async fn guessed_numbers_cost_one_read_and_a_new_channel_is_seen_soon() {
    let stage = Stage::new().await;
    let channels = Channels::new(stage.table.clone());
    let (found, calls) = stage
        .calls(async {
            let mut found = Vec::new();
            for guess in ["1", "22", "not a number", "333", number().as_str()] {
                found.extend(channels.by_path_id(guess).await.unwrap());
            }
            found
        })
        .await;
    assert_eq!((found, calls), (Vec::new(), 1));
    channels.put(&channel()).await.unwrap();
    stage.pass(Duration::from_secs(5));
    assert_eq!(channels.by_path_id(number().as_str()).await.unwrap().as_deref(), Some(&channel()));
}

#[tokio::test]
async fn a_value_of_an_update_may_be_named_like_a_word_of_dynamodbs() {
    let stage = Stage::new().await.with_channel().await;
    let held = stage.table.item(&ItemKey::Channel(number()).into()).await.unwrap().unwrap();
    assert_eq!(held.get("phone_number_id"), Some(&text(number().as_str())));
    assert!(held.contains_key("state"), "`state` is reserved, and stored all the same");
}
