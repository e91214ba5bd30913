//! Another emulator of AWS, on which the stack of the template stands already.
//!
//! Its clock cannot be moved. What the runner's clock moves is moved here by hand: hidden messages are shown again, items past
//! their time are deleted, and what the queue says of time is told in the runner's time.

use std::{
    collections::{BTreeMap, HashMap},
    future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_sqs::types::{Message, MessageSystemAttributeName};
use domain::Clock as _;
use platform::aws::Aws as Clients;
use serde_json::json;
use simulator_aws::Received;
use simulator_wire::MovableClock;
use tokio::time::{Instant, timeout};

use crate::{channels, config::Config, resources, template::Template};

/// How often an empty queue is looked into. A long poll would keep one that answers one request at a time from everybody else.
const LOOK: Duration = Duration::from_millis(200);

/// The emulator.
#[derive(Debug)]
pub(crate) struct Foreign {
    url: String,
    clock: MovableClock,
    clients: Clients,
    queues: HashMap<String, String>,
    table: String,
    /// Messages that were received and are not deleted, by their handles.
    out: Mutex<BTreeMap<String, Out>>,
}

#[derive(Debug)]
struct Out {
    queue: String,
    in_hand: bool,
}

/// A batch in a function's hands.
#[derive(Debug)]
pub(crate) struct InHand {
    foreign: Arc<Foreign>,
    handles: Vec<String>,
}

impl Drop for InHand {
    fn drop(&mut self) {
        let mut out = self.foreign.out();
        for handle in &self.handles {
            if let Some(out) = out.get_mut(handle) {
                out.in_hand = false;
            }
        }
    }
}

impl Foreign {
    /// The stack of `template` at `url`, with the secrets of `config`, which the operator puts in the cloud, too.
    pub(crate) async fn take_over(
        url: &str,
        template: &Template,
        config: &Config,
        clock: MovableClock,
    ) -> anyhow::Result<Arc<Self>> {
        let clients = channels::clients(url).context("the AWS clients cannot be made")?;
        let mut queues = HashMap::new();
        for queue in &template.queues {
            let found = clients.sqs.get_queue_url().queue_name(&queue.name).send().await;
            let found = found.with_context(|| format!("{} has no queue {}: deploy the template", url, queue.name))?;
            let found = found.queue_url.unwrap_or_default();
            // What functions are told comes from the template's references.
            ensure!(found.ends_with(&format!("/{}/{}", crate::intrinsics::ACCOUNT, queue.name)), "{found}");
            queues.insert(queue.name.clone(), found);
        }
        let table = template.tables.first().context("there is no table")?.name.clone();
        let described = clients.dynamodb.describe_table().table_name(&table).send().await;
        described.with_context(|| format!("{url} has no table {table}: deploy the template"))?;
        let foreign = Self { url: url.to_owned(), clock, clients, queues, table, out: Mutex::default() };
        for (name, value) in resources::secrets(template, config)? {
            foreign.put_secret(&name, &value).await.with_context(|| format!("the secret {name}"))?;
        }
        Ok(Arc::new(foreign))
    }

    async fn put_secret(&self, name: &str, value: &str) -> anyhow::Result<()> {
        let secrets = &self.clients.secrets;
        match secrets.put_secret_value().secret_id(name).secret_string(value).send().await {
            Ok(_) => Ok(()),
            Err(error) if matches!(error.as_service_error(), Some(error) if error.is_resource_not_found_exception()) => {
                secrets.create_secret().name(name).secret_string(value).send().await?;
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) async fn take(self: &Arc<Self>, queue: &str, max: usize, wait: Duration) -> (Vec<Received>, InHand) {
        let until = Instant::now() + wait;
        loop {
            let batch = self.receive(queue, max).await;
            if !batch.is_empty() || Instant::now() >= until {
                let handles: Vec<String> = batch.iter().map(|message| message.receipt_handle.clone()).collect();
                let mut out = self.out();
                for handle in &handles {
                    out.insert(handle.clone(), Out { queue: queue.to_owned(), in_hand: true });
                }
                drop(out);
                return (batch, InHand { foreign: Arc::clone(self), handles });
            }
            let _ = timeout(LOOK, future::pending::<()>()).await;
        }
    }

    async fn receive(&self, queue: &str, max: usize) -> Vec<Received> {
        let max = i32::try_from(max).unwrap_or(10);
        let receive = self.clients.sqs.receive_message().queue_url(self.queue(queue)).max_number_of_messages(max);
        let receive = receive.wait_time_seconds(0).message_system_attribute_names(MessageSystemAttributeName::All);
        match receive.send().await {
            Ok(answer) => {
                let ahead = i64::try_from(self.clock.offset().as_millis()).unwrap_or(i64::MAX);
                answer.messages.unwrap_or_default().into_iter().map(|message| received(message, ahead)).collect()
            }
            Err(error) => {
                tracing::warn!(queue, error = %aws_sdk_sqs::error::DisplayErrorContext(&error), "nothing can be received");
                Vec::new()
            }
        }
    }

    pub(crate) async fn delete(&self, queue: &str, handle: &str) {
        self.out().remove(handle);
        let delete = self.clients.sqs.delete_message().queue_url(self.queue(queue)).receipt_handle(handle);
        if let Err(error) = delete.send().await {
            tracing::warn!(queue, error = %aws_sdk_sqs::error::DisplayErrorContext(&error), "a message was not deleted");
        }
    }

    pub(crate) async fn show(&self, queue: &str, handle: &str) {
        self.out().remove(handle);
        let change = self.clients.sqs.change_message_visibility().queue_url(self.queue(queue)).receipt_handle(handle);
        if let Err(error) = change.visibility_timeout(0).send().await {
            // Its time may be over; then it shows anyway.
            tracing::info!(queue, error = %aws_sdk_sqs::error::DisplayErrorContext(&error), "a message was not shown again");
        }
    }

    /// Whatever waits hidden shows again, however long it was to wait; what came too early is hidden anew by its function.
    pub(crate) async fn advance(&self, by: Duration) {
        self.clock.advance(by);
        let hidden: Vec<(String, String)> = self
            .out()
            .iter()
            .filter(|(_, out)| !out.in_hand)
            .map(|(handle, out)| (out.queue.clone(), handle.clone()))
            .collect();
        for (queue, handle) in hidden {
            self.show(&queue, &handle).await;
        }
    }

    pub(crate) async fn sweep_ttl(&self) -> anyhow::Result<()> {
        let now = AttributeValue::N(self.clock.now().as_secs().to_string());
        let mut start = None;
        loop {
            let scan = self.clients.dynamodb.scan().table_name(&self.table).filter_expression("expires_at <= :now");
            let scan = scan.expression_attribute_values(":now", now.clone()).projection_expression("pk, sk");
            let page = scan.set_exclusive_start_key(start).send().await?;
            for key in page.items() {
                let delete = self.clients.dynamodb.delete_item().table_name(&self.table).set_key(Some(key.clone()));
                let delete = delete.condition_expression("expires_at <= :now");
                let gone = delete.expression_attribute_values(":now", now.clone()).send().await;
                // Its time may have been put off meanwhile.
                let put_off = |error: &aws_sdk_dynamodb::error::SdkError<_>| {
                    error.as_service_error().is_some_and(
                        aws_sdk_dynamodb::operation::delete_item::DeleteItemError::is_conditional_check_failed_exception,
                    )
                };
                if let Err(error) = gone
                    && !put_off(&error)
                {
                    return Err(error.into());
                }
            }
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(());
            }
        }
    }

    fn queue<'a>(&'a self, name: &'a str) -> &'a str {
        self.queues.get(name).map_or(name, String::as_str)
    }

    fn out(&self) -> MutexGuard<'_, BTreeMap<String, Out>> {
        self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn received(message: Message, ahead: i64) -> Received {
    let attributes = message.attributes.unwrap_or_default().into_iter();
    let attributes = attributes.map(|(name, value)| {
        let name = name.as_str().to_owned();
        let in_our_time = value.parse::<i64>().ok().filter(|_| name.ends_with("Timestamp"));
        (name, in_our_time.map_or(value, |at| at.saturating_add(ahead).to_string()))
    });
    Received {
        attributes: attributes.collect(),
        message_id: message.message_id.unwrap_or_default(),
        receipt_handle: message.receipt_handle.unwrap_or_default(),
        md5: message.md5_of_body.unwrap_or_default(),
        body: message.body.unwrap_or_default(),
        // The bridge's letters have none.
        message_attributes: json!({}),
    }
}
