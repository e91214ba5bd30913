//! Writes the channels of the configuration into the table, as the operator does in the cloud.

use std::time::Duration;

use anyhow::{Context as _, anyhow};
use domain::{AccountId, Channel, InboxId, PhoneNumberId, SharedClock, Timestamp, WabaId, channel};
use platform::{Environment, aws::Aws as Clients};
use store::{Channels, Signups, Table};

use crate::{
    balance::Balance,
    config::{self, Config},
    intrinsics::{ACCOUNT, REGION},
    resources,
    signups::Links,
    template::Template,
    watch::Watch,
};

/// Puts every channel. One that was bound like this before keeps its state, paused for instance.
pub(crate) async fn put(aws_url: &str, template: &Template, config: &Config, clock: SharedClock) -> anyhow::Result<()> {
    let channels = Channels::new(table(aws_url, template, clock.clone())?.1);
    for wanted in &config.channels {
        let secret = resources::channel_secret(template, &wanted.phone_number_id)?;
        let mut channel = bound(wanted, config.chatwoot.account_id, secret);
        let known = channels.get(&channel.phone_number_id).await?;
        channel.since = Some(clock.now());
        if let Some(known) = &known {
            (channel.state, channel.state_at, channel.paused) = (known.state, known.state_at, known.paused);
            (channel.since, channel.paused_incoming) = (known.since, known.paused_incoming);
        }
        if known.as_deref() != Some(&channel) {
            channels.put(&channel).await?;
        }
    }
    Ok(())
}

/// What is watched of the table.
pub(crate) fn watch(aws_url: &str, template: &Template, clock: SharedClock) -> anyhow::Result<Watch> {
    let (clients, table, name) = table(aws_url, template, clock)?;
    Ok(Watch::new(clients, &table, &name))
}

/// What makes links to connect numbers.
pub(crate) fn links(
    aws_url: &str,
    template: &Template,
    config: &Config,
    api_url: &str,
    clock: SharedClock,
) -> anyhow::Result<Links> {
    let (_, table, _) = table(aws_url, template, clock.clone())?;
    let account = config.chatwoot.account_id;
    Ok(Links::new(Signups::new(table), config.app.link_key.as_ref(), account, api_url, clock))
}

/// The balance sheet of the table.
pub(crate) fn balance(aws_url: &str, template: &Template, clock: SharedClock) -> anyhow::Result<Balance> {
    let (clients, table, name) = table(aws_url, template, clock)?;
    Ok(Balance::new(clients, &table, &name))
}

fn table(aws_url: &str, template: &Template, clock: SharedClock) -> anyhow::Result<(Clients, Table, String)> {
    let clients = clients(aws_url).context("the AWS clients cannot be made")?;
    let name = template.tables.first().ok_or_else(|| anyhow!("there is no table"))?.name.clone();
    // Channels stay until they are offboarded; the retention is for what belongs to customers.
    let table = Table::new(clients.dynamodb.clone(), name.clone(), clock, Duration::ZERO);
    Ok((clients, table, name))
}

fn bound(wanted: &config::Channel, account: i64, secret: String) -> Channel {
    Channel {
        phone_number_id: PhoneNumberId::new(&wanted.phone_number_id),
        waba_id: WabaId::new(&wanted.waba_id),
        display_phone_number: wanted.display_phone_number.clone(),
        account: AccountId(account),
        inbox: InboxId(wanted.inbox_id),
        mode: if wanted.coexistence { channel::Mode::Coexistence } else { channel::Mode::Cloud },
        state: channel::ChannelState::Live,
        state_at: Timestamp::default(),
        paused: false,
        paused_incoming: false,
        receipts: channel::ReceiptSettings { read: wanted.read_receipts, typing: wanted.typing },
        echoes: if wanted.echoes_as_notes { channel::EchoForm::Note } else { channel::EchoForm::Message },
        secret,
        since: None,
        offered: None,
    }
}

/// The clients a function would have.
pub(crate) fn clients(aws_url: &str) -> Option<Clients> {
    let variables = [
        ("AWS_REGION", REGION),
        ("AWS_ACCESS_KEY_ID", ACCOUNT),
        ("AWS_SECRET_ACCESS_KEY", "local"),
        ("AWS_ENDPOINT_URL", aws_url),
    ];
    Clients::from_env(Environment::given(variables.map(|(name, value)| (name.to_owned(), value.to_owned())))).ok()
}
