//! The two outside worlds: simulated, or somebody else's at a given address.

use std::{net::SocketAddr, sync::Arc};

use anyhow::Context as _;
use axum::Router;
use domain::{SharedClock, Timestamp};
use serde_json::Value;
use simulator_chatwoot::{Chatwoot, Inbox};
use simulator_meta::{Meta, Number, Past, Statuses, prospect};
use simulator_wire::MovableClock;
use url::Url;

use crate::{
    config::{Channel, Config},
    guard,
    options::Options,
};

/// From when on the ids of a Chatwoot that is started again and again are counted, one for each hundredth of a second.
const IDS_BEGIN: Timestamp = Timestamp::from_secs(1_767_225_600);

/// What every simulated account has on Meta's list from the start, in the form of that list.
const TEMPLATES: &str = include_str!("templates.json");

/// Meta and Chatwoot as this runner has them.
#[derive(Debug)]
pub(crate) struct Simulators {
    meta: Option<Meta>,
    chatwoot: Option<Chatwoot>,
    pub(crate) meta_url: String,
    pub(crate) chatwoot_url: String,
}

impl Simulators {
    /// Starts what `options` give no address of. Both post to the gateway at `api_url`.
    pub(crate) async fn start(
        options: &Options,
        config: &Config,
        clock: &MovableClock,
        api_url: &str,
    ) -> anyhow::Result<Self> {
        let clock: SharedClock = Arc::new(clock.clone());
        let meta = async {
            if options.meta_url.is_some() {
                return Ok(None);
            }
            start_meta(config, clock.clone(), api_url).await.map(Some)
        };
        let chatwoot = async {
            if options.chatwoot_url.is_some() {
                return Ok(None);
            }
            let chatwoot = start_chatwoot(config, clock.clone(), api_url).await?;
            if options.data.is_some() {
                // The table remembers the ids of the one before, which forgot everything: none may come again.
                chatwoot.skip_ids((clock.now().as_millis() - IDS_BEGIN.as_millis()) / 10);
            }
            Ok(Some(chatwoot))
        };
        let (meta, chatwoot) = tokio::try_join!(meta, chatwoot)?;
        let url = |given: &Option<String>, own: Option<String>| given.clone().or(own).unwrap_or_default();
        Ok(Self {
            meta_url: url(&options.meta_url, meta.as_ref().map(Meta::url)),
            chatwoot_url: url(&options.chatwoot_url, chatwoot.as_ref().map(Chatwoot::url)),
            meta,
            chatwoot,
        })
    }

    /// The routes that move them, below `/_local`.
    pub(crate) fn control(&self) -> Router {
        let mut router = Router::new();
        if let Some(meta) = &self.meta {
            router = router.nest("/meta", meta.control());
        }
        if let Some(chatwoot) = &self.chatwoot {
            router = router.nest("/chatwoot", chatwoot.control());
        }
        router
    }

    /// Whether both sides are on this machine, simulated or not.
    pub(crate) fn are_here(&self) -> bool {
        guard::leads_here(&self.meta_url) && guard::leads_here(&self.chatwoot_url)
    }

    /// Whether both sides are simulated, so that a person can play both.
    pub(crate) fn both(&self) -> bool {
        self.meta.is_some() && self.chatwoot.is_some()
    }
}

fn free_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

async fn start_meta(config: &Config, clock: SharedClock, api_url: &str) -> anyhow::Result<Meta> {
    let numbers = config.channels.iter().map(|channel| Number {
        phone_number_id: channel.phone_number_id.clone(),
        waba_id: channel.waba_id.clone(),
        display_phone_number: channel.display_phone_number.chars().filter(char::is_ascii_digit).collect(),
        access_token: channel.access_token.clone(),
        coexistence: channel.coexistence,
    });
    let now = clock.now();
    let meta = Meta::start(simulator_meta::Settings {
        listen: free_port(),
        clock,
        app_secret: config.app.app_secret.clone(),
        numbers: numbers.collect(),
        statuses: Statuses::Automatic,
    })
    .await?;
    let templates: Vec<Value> = serde_json::from_str(TEMPLATES).context("the templates of the simulated accounts")?;
    // Who is connected while the runner runs has a past, and templates, too.
    meta.set_past(prospect::NUMBER, Past::sample(prospect::DISPLAY, now));
    for account in [prospect::ACCOUNT, prospect::SECOND_ACCOUNT] {
        meta.set_templates(account, templates.clone());
    }
    for channel in &config.channels {
        meta.set_templates(&channel.waba_id, templates.clone());
    }
    meta.set_webhook(&format!("{api_url}/webhooks/meta"));
    meta.set_app_id(&config.app.app_id);
    Ok(meta)
}

/// Where Chatwoot posts; a channel with a secret for the path has it there, as an operator of an older Chatwoot would write it.
fn callback_url(api_url: &str, channel: &Channel) -> String {
    let door = format!("{api_url}/callbacks/chatwoot/{}", channel.phone_number_id);
    let with_secret = channel.callback_path_secret.as_ref().and_then(|secret| {
        let mut url = Url::parse(&door).ok()?;
        url.path_segments_mut().ok()?.push(secret);
        Some(url.into())
    });
    with_secret.unwrap_or(door)
}

async fn start_chatwoot(config: &Config, clock: SharedClock, api_url: &str) -> anyhow::Result<Chatwoot> {
    let inboxes = config.channels.iter().map(|channel| Inbox {
        id: channel.inbox_id,
        name: format!("WhatsApp {}", channel.display_phone_number),
        webhook_url: callback_url(api_url, channel),
        secret: channel.callback_secret.clone(),
        lock_to_single_conversation: true,
    });
    Chatwoot::start(simulator_chatwoot::Settings {
        listen: free_port(),
        clock,
        account_id: config.chatwoot.account_id,
        token: config.chatwoot.token.clone(),
        inboxes: inboxes.collect(),
    })
    .await
}
