//! Both outside worlds as a test's own simulators, and the configuration that leads a runner to them.

use std::{fs, path::PathBuf, process::Command, sync::Arc, time::Duration};

use simulator_chatwoot::{Chatwoot, Inbox};
use simulator_meta::{Meta, Number, Statuses};
use simulator_wire::MovableClock;
use tempfile::TempDir;

use crate::support::Runner;

pub(crate) const CHANNEL: &str = "104857600777777";
pub(crate) const WABA: &str = "109876543277777";

/// What only the bridge and its owner know.
pub(crate) const SECRETS: [&str; 8] = [
    "link-key-canario",
    "app-secret-canario",
    "verify-token-canario",
    "subject-key-canario",
    "chatwoot-token-canario",
    "access-token-canario",
    "callback-secret-canario",
    "path-secret-canario",
];

pub(crate) struct Sides {
    pub(crate) meta: Meta,
    pub(crate) chatwoot: Chatwoot,
    pub(crate) clock: MovableClock,
    pub(crate) directory: TempDir,
    config: PathBuf,
}

impl Sides {
    pub(crate) async fn start() -> Self {
        let [_, app_secret, verify_token, subject_key, token, access_token, callback_secret, path_secret] =
            SECRETS.map(str::to_owned);
        let clock = MovableClock::running(Duration::ZERO);
        let any_port = "127.0.0.1:0".parse().unwrap();
        let number = Number {
            phone_number_id: CHANNEL.to_owned(),
            waba_id: WABA.to_owned(),
            display_phone_number: "525555550100".to_owned(),
            access_token: access_token.clone(),
            coexistence: true,
        };
        let settings = simulator_meta::Settings {
            listen: any_port,
            clock: Arc::new(clock.clone()),
            app_secret: app_secret.clone(),
            numbers: vec![number],
            statuses: Statuses::Manual,
        };
        let meta = Meta::start(settings).await.unwrap();
        meta.set_app_id("1");
        let inbox = Inbox {
            id: 14,
            name: "Ventas".to_owned(),
            webhook_url: String::new(),
            secret: callback_secret.clone(),
            lock_to_single_conversation: true,
        };
        let settings = simulator_chatwoot::Settings {
            listen: any_port,
            clock: Arc::new(clock.clone()),
            account_id: 3,
            token: token.clone(),
            inboxes: vec![inbox],
        };
        let chatwoot = Chatwoot::start(settings).await.unwrap();
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("bridge.toml");
        let text = format!(
            "[app]\napp_id = \"1\"\napp_secret = \"{app_secret}\"\nverify_token = \"{verify_token}\"\n\
             subject_key = \"{subject_key}\"\n\
             link_key = \"link-key-canario\"\n[chatwoot]\naccount_id = 3\ntoken = \"{token}\"\n[[channel]]\n\
             phone_number_id = \"{CHANNEL}\"\nwaba_id = \"{WABA}\"\ndisplay_phone_number = \"525555550100\"\n\
             access_token = \"{access_token}\"\ninbox_id = 14\ncallback_secret = \"{callback_secret}\"\n\
             callback_path_secret = \"{path_secret}\"\ncoexistence = true\n"
        );
        fs::write(&config, text).unwrap();
        Self { meta, chatwoot, clock, directory, config }
    }

    /// Starts a runner between the two, and tells them where it is.
    pub(crate) fn launch(&self, command: &mut Command) -> Runner {
        command.args(["--config", self.config.to_str().unwrap()]);
        command.args(["--meta-url", &self.meta.url(), "--chatwoot-url", &self.chatwoot.url()]);
        let runner = Runner::launch(command);
        self.meta.set_webhook(&format!("{}/webhooks/meta", runner.said("ready")));
        self.chatwoot.set_callback_url(14, &format!("{}/callbacks/chatwoot/{CHANNEL}", runner.said("ready")));
        runner
    }
}
