//! Messages, and a handler between an embedded AWS and a Chatwoot, for the tests of this crate.

use std::{sync::Arc, time::Duration};

use aws_lambda_events::sqs::SqsEvent;
use domain::{
    AccountId, Author, Channel, Content, Identity, InboundTask, InboxId, KeyedHash, Message, PhoneNumberId,
    SharedClock, Timestamp, WaId, WabaId, Wamid, channel,
};
use platform::Environment;
use serde_json::Value;
use simulator_aws::bridge::{self, Bridge};
use simulator_chatwoot::{Chatwoot, Inbox, Settings};

use crate::Handler;

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
            account_id: 3,
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

    /// Hands a task to the handler, as it is received for the so-manieth time. Tells whether it is done.
    pub(crate) async fn receive(&self, task: &InboundTask, sent_at: Timestamp, receives: u32) -> bool {
        let task = serde_json::to_value(task).unwrap();
        let event: SqsEvent = serde_json::from_value(bridge::event("group-1", &task, sent_at, receives)).unwrap();
        let answer = Box::pin(app::work_off(&self.handler, event, self.now() + INVOCATION)).await;
        answer.batch_item_failures.is_empty()
    }

    /// The reasons of the dead letters.
    pub(crate) async fn dead_letters(&self) -> Vec<String> {
        let reason = |attributes: &Value| attributes["reason"]["stringValue"].as_str().unwrap_or_default().to_owned();
        let received = self.bridge.receive("inbound-dead-letters").await;
        received.iter().map(|message| reason(&message.message_attributes)).collect()
    }
}

/// The number the tests play on.
pub(crate) fn sales() -> Channel {
    Channel {
        phone_number_id: PhoneNumberId::new(CHANNEL),
        waba_id: WabaId::new("109876543210987"),
        display_phone_number: "525555550100".to_owned(),
        account: AccountId(3),
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

pub(crate) fn ana() -> Identity {
    Identity { phone: Some(WaId::new("5215555550123")), ..Identity::default() }
}

/// A message of Ana's.
pub(crate) fn message(content: Content) -> Message {
    Message {
        channel: PhoneNumberId::new(CHANNEL),
        item: KeyedHash::new("item-1"),
        id: Some(Wamid::new("wamid.ana-1")),
        author: Author::Customer,
        customer: ana(),
        name: Some("Ana".to_owned()),
        username: None,
        sent_at: Timestamp::from_secs(1_795_190_000),
        reply_to: None,
        forwarded: false,
        forwarded_often: false,
        referral: None,
        product: None,
        speaker: None,
        part_of: None,
        standby: false,
        content,
    }
}

pub(crate) fn text(body: &str) -> Content {
    Content::Text { body: body.to_owned() }
}
