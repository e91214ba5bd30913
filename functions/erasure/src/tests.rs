//! A handler between an embedded AWS and a Chatwoot, for the tests of this crate.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use aws_lambda_events::sqs::SqsEvent;
use domain::{
    AccountId, Channel, ConfirmationCode, CustomerId, Erasure, ErasureTask, Identity, InboxId, KeyedHash,
    PhoneNumberId, SharedClock, Timestamp, WaId, WabaId, channel, erasure::RequestSource, keyed_hash::Person,
};
use platform::Environment;
use simulator_aws::bridge::{self, Bridge};
use simulator_chatwoot::{Chatwoot, Inbox, Settings};
use store::{DataSubject, ErasureEntry, Pointed};

use crate::{Handler, run::ErasureRun};

pub(crate) const ACCOUNT: AccountId = AccountId(3);
pub(crate) const CHANNEL: &str = "104857600123456";

const INVOCATION: Duration = Duration::from_secs(120);

/// A handler and what is around it.
pub(crate) struct Bench {
    pub(crate) bridge: Bridge,
    pub(crate) chatwoot: Chatwoot,
    pub(crate) handler: Handler,
}

impl Bench {
    pub(crate) async fn start() -> Self {
        let bridge = Bridge::start().await.unwrap();
        let clock: SharedClock = Arc::new(bridge.clock.clone());
        let inbox = Inbox {
            id: 14,
            name: "WhatsApp Ventas".to_owned(),
            webhook_url: String::new(),
            secret: "callback-secret".to_owned(),
            lock_to_single_conversation: true,
        };
        let settings = Settings {
            listen: ([127, 0, 0, 1], 0).into(),
            clock: clock.clone(),
            account_id: ACCOUNT.0,
            token: bridge::CHATWOOT_TOKEN.to_owned(),
            inboxes: vec![inbox],
        };
        let chatwoot = Chatwoot::start(settings).await.unwrap();
        let environment = Environment::given(bridge.settings("http://127.0.0.1:9", &chatwoot.url()));
        let handler = Box::pin(Handler::from_env(environment, clock)).await.unwrap();
        handler.clients.channels.put(&sales()).await.unwrap();
        Self { bridge, chatwoot, handler }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.handler.clients.clock.now()
    }

    /// Opens a request of the operator's, certain and changed by `change`, about a data subject.
    pub(crate) async fn request(&self, subject: &DataSubject, change: impl FnOnce(Erasure) -> Erasure) -> ErasureEntry {
        let (now, requests) = (self.now(), &self.handler.requests);
        let code = ConfirmationCode::mint();
        let erasure = change(Erasure::open(code, RequestSource::Operator, now, now, requests.deadlines()));
        let erasures = &self.handler.clients.erasures;
        erasures.open(&erasure, &Pointed::new(), subject).await.unwrap().unwrap()
    }

    /// Hands the handler a task. Tells whether it is done.
    pub(crate) async fn receive(&self, task: &ErasureTask) -> bool {
        let task = serde_json::to_value(task).unwrap();
        let event: SqsEvent = serde_json::from_value(bridge::event("group-1", &task, self.now(), 1)).unwrap();
        let answer = Box::pin(app::work_off(&self.handler, event, self.now() + INVOCATION)).await;
        answer.batch_item_failures.is_empty()
    }

    /// Hands it the task to work on a request.
    pub(crate) async fn work_on(&self, code: &ConfirmationCode) -> bool {
        self.receive(&ErasureTask::RequestV1 { code: code.clone() }).await
    }

    pub(crate) async fn entry(&self, code: &ConfirmationCode) -> ErasureEntry {
        self.handler.clients.erasures.get(code).await.unwrap().unwrap()
    }

    pub(crate) fn run(&self, entry: ErasureEntry, subject: DataSubject) -> ErasureRun<'_> {
        ErasureRun { handler: &self.handler, entry, subject }
    }

    /// How many of the data subject's aliases have a tombstone.
    pub(crate) async fn tombstones(&self, subject: &DataSubject) -> usize {
        self.handler.clients.tombstones.among(Some(ACCOUNT), &subject.aliases).await.unwrap().len()
    }

    pub(crate) fn aliases(&self, identity: &Identity) -> BTreeSet<KeyedHash<Person>> {
        identity.aliases(&self.handler.clients.key).into_iter().map(|alias| alias.subject).collect()
    }

    /// Ana, as the table knows her: all there is about her is gathered, and her intake is blocked.
    pub(crate) fn gathered(&self) -> DataSubject {
        DataSubject {
            aliases: self.aliases(&ana()),
            customers: [CustomerId::new("customer-ana")].into(),
            gathered: true,
            barred: true,
            marked_at: Some(self.now()),
            ..DataSubject::default()
        }
    }
}

pub(crate) fn ana() -> Identity {
    Identity { phone: Some(WaId::new("5215555550123")), ..Identity::default() }
}

fn sales() -> Channel {
    Channel {
        phone_number_id: PhoneNumberId::new(CHANNEL),
        waba_id: WabaId::new("109876543210987"),
        display_phone_number: "525555550100".to_owned(),
        account: ACCOUNT,
        inbox: InboxId(14),
        mode: channel::Mode::Cloud,
        state: channel::ChannelState::Live,
        state_at: Timestamp::default(),
        paused: false,
        paused_incoming: false,
        receipts: channel::ReceiptSettings { read: false, typing: false },
        echoes: channel::EchoForm::default(),
        secret: "lmotos-test/channel".to_owned(),
        since: None,
        offered: None,
    }
}

/// A request with one member as no step of the code makes it.
pub(crate) fn restaged(erasure: &Erasure, member: &str, value: serde_json::Value) -> Erasure {
    let mut json = serde_json::to_value(erasure).unwrap();
    json[member] = value;
    serde_json::from_value(json).unwrap()
}
