//! DynamoDB: `dynoxide`, served on a loopback port of its own that only the front speaks to.
//!
//! Its router is private, and it is the router that checks requests as DynamoDB does; so calls are handed on over HTTP. What
//! the owner does in process (make a table, sweep what is past its TTL) goes to the database directly. What `dynoxide` takes and
//! DynamoDB does not is refused on the way.

mod key_values;
mod late_index;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::Context as _;
use axum::{
    body::Body,
    http::{Response, StatusCode, header, request::Parts},
};
use bytes::Bytes;
use domain::{Clock as _, Timestamp};
use dynoxide::{
    AttributeValue, Database, DynoxideError, Item,
    actions::{delete_item::DeleteItemRequest, scan::ScanRequest},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use simulator_wire::MovableClock;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle, time::timeout};

use self::late_index::{Key, LateIndexes};
use crate::{
    error::{ApiError, request_id},
    lag::Lagging,
    proxy::Proxy,
};

const CONTENT_TYPE: &str = "application/x-amz-json-1.0";

/// How long a call may go on after the end was asked for.
const MAX_WAIT: Duration = Duration::from_secs(2);

/// The service.
#[derive(Debug)]
pub(crate) struct Dynamo {
    proxy: Proxy,
    path: Option<PathBuf>,
    running: Mutex<Option<Running>>,
    clock: MovableClock,
    lagging: Lagging,
    /// The calls by which the tables were made.
    tables: Mutex<Vec<Value>>,
    late: Mutex<Option<LateIndexes>>,
}

struct Running {
    database: Database,
    stop: oneshot::Sender<()>,
    server: JoinHandle<Result<(), String>>,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Running")
    }
}

impl Dynamo {
    /// Starts on the file at `path`, or in memory.
    pub(crate) async fn start(path: Option<PathBuf>, clock: MovableClock, lagging: Lagging) -> anyhow::Result<Self> {
        let database = match &path {
            Some(path) => Database::new(utf8(path)?),
            None => Database::memory(),
        };
        let database = database.map_err(told)?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let proxy = Proxy::to(listener.local_addr()?);
        let (stop, stopped) = oneshot::channel();
        let server = tokio::spawn(dynoxide::server::serve_with_shutdown(listener, database.clone(), async {
            // The sender's end means the same as its word.
            let _ = stopped.await;
        }));
        let running = Mutex::new(Some(Running { database, stop, server }));
        let (tables, late) = (Mutex::default(), Mutex::default());
        Ok(Self { proxy, path, running, clock, lagging, tables, late })
    }

    /// One API call.
    pub(crate) async fn call(&self, operation: &str, parts: Parts, body: Bytes) -> Response<Body> {
        if let Err(refused) = key_values::check(operation, &body) {
            return refused.response(CONTENT_TYPE);
        }
        match self.answer(operation, parts, body).await {
            Ok(response) => response,
            Err(error) => ApiError::internal(format!("{error:#}")).response(CONTENT_TYPE),
        }
    }

    async fn answer(&self, operation: &str, parts: Parts, body: Bytes) -> anyhow::Result<Response<Body>> {
        let response = self.proxy.forward(parts, body.clone()).await?;
        if response.status() != StatusCode::OK {
            return Ok(response);
        }
        if operation == "CreateTable" {
            let request = serde_json::from_slice(&body)?;
            self.tables().push(request);
        }
        let mut late = self.late();
        let Some(late) = late.as_mut() else { return Ok(response) };
        let request: Value = serde_json::from_slice(&body)?;
        let now = self.clock.now();
        if operation == "Query" && request["IndexName"].is_string() {
            let found = late.query(request, now - self.lagging.get().indexes)?;
            let response =
                Response::builder().header(header::CONTENT_TYPE, CONTENT_TYPE).header("x-amzn-requestid", request_id());
            return Ok(response.body(Body::from(found.to_string()))?);
        }
        let written = late.written(operation, &request);
        late.note(&self.database()?, written, now)?;
        Ok(response)
    }

    /// How far it is behind itself was changed.
    pub(crate) fn lag(&self) -> anyhow::Result<()> {
        let wanted = !self.lagging.get().indexes.is_zero();
        let mut late = self.late();
        match (&*late, wanted) {
            (None, true) => *late = Some(LateIndexes::of(&self.database()?, &self.tables())?),
            (Some(_), false) => *late = None,
            _ => {}
        }
        Ok(())
    }

    fn late(&self) -> MutexGuard<'_, Option<LateIndexes>> {
        self.late.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tables(&self) -> MutexGuard<'_, Vec<Value>> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a table from a `CreateTable` body; one that is there is left as it is. A `TimeToLiveSpecification`, as a template
    /// has it, is switched on.
    pub(crate) fn create_table(&self, request: Value) -> anyhow::Result<()> {
        let database = self.database()?;
        let name = request["TableName"].clone();
        let time_to_live = request["TimeToLiveSpecification"].clone();
        self.tables().push(request.clone());
        match database.create_table(read(request)?) {
            Ok(_) => {}
            Err(DynoxideError::ResourceInUseException(_)) => return Ok(()),
            Err(error) => return Err(told(error)),
        }
        if time_to_live["Enabled"] == json!(true) {
            let wanted = json!({"TableName": name, "TimeToLiveSpecification": time_to_live});
            database.update_time_to_live(read(wanted)?).map_err(told)?;
        }
        Ok(())
    }

    /// Deletes the items that are past their TTL at `now`.
    pub(crate) fn sweep(&self, now: Timestamp) -> anyhow::Result<usize> {
        let database = self.database()?;
        let mut deleted = 0;
        for table in database.list_tables(read(json!({}))?).map_err(told)?.table_names {
            let named = json!({"TableName": table});
            let time_to_live =
                database.describe_time_to_live(read(named.clone())?).map_err(told)?.time_to_live_description;
            if time_to_live.time_to_live_status != "ENABLED" {
                continue;
            }
            let Some(attribute) = time_to_live.attribute_name else { continue };
            let described = serde_json::to_value(database.describe_table(read(named)?).map_err(told)?)?;
            let schema = described["Table"]["KeySchema"].as_array().cloned().unwrap_or_default();
            let keys: Vec<String> =
                schema.iter().filter_map(|key| key["AttributeName"].as_str().map(str::to_owned)).collect();
            let gone = sweep_table(&database, &table, &attribute, &keys, now)?;
            deleted += gone.len();
            if let Some(late) = self.late().as_mut() {
                late.note(&database, gone.into_iter().map(|key| (table.clone(), key)).collect(), now)?;
            }
        }
        Ok(deleted)
    }

    /// Stops; nothing that was deleted is left in the file.
    pub(crate) async fn close(&self) -> anyhow::Result<()> {
        let Some(Running { database, stop, server }) = self.lock().take() else { return Ok(()) };
        let _ = stop.send(());
        self.proxy.close();
        if let Ok(ended) = timeout(MAX_WAIT, server).await {
            ended?.map_err(anyhow::Error::msg)?;
        } else {
            tracing::warn!("a call to DynamoDB was still running at the end");
        }
        drop(database);
        let Some(path) = &self.path else { return Ok(()) };
        let connection = rusqlite::Connection::open(path)?;
        connection.busy_timeout(MAX_WAIT)?;
        connection.execute_batch("VACUUM; PRAGMA wal_checkpoint(TRUNCATE);").context("cannot clean the table file")?;
        Ok(())
    }

    fn database(&self) -> anyhow::Result<Database> {
        self.lock().as_ref().map(|running| running.database.clone()).context("the embedded AWS is closed")
    }

    fn lock(&self) -> MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn sweep_table(
    database: &Database,
    table: &str,
    attribute: &str,
    keys: &[String],
    now: Timestamp,
) -> anyhow::Result<Vec<Key>> {
    let names = HashMap::from([("#ttl".to_owned(), attribute.to_owned())]);
    let values = HashMap::from([(":now".to_owned(), AttributeValue::N(now.as_secs().to_string()))]);
    let mut deleted = Vec::new();
    let mut start = None;
    loop {
        let page = database
            .scan(ScanRequest {
                table_name: table.to_owned(),
                filter_expression: Some("#ttl <= :now".into()),
                expression_attribute_names: Some(names.clone()),
                expression_attribute_values: Some(values.clone()),
                exclusive_start_key: start,
                ..ScanRequest::default()
            })
            .map_err(told)?;
        for item in page.items.unwrap_or_default() {
            let key = key_of(item, keys);
            let gone = database.delete_item(DeleteItemRequest {
                table_name: table.to_owned(),
                key: key.clone(),
                condition_expression: Some("#ttl <= :now".into()),
                expression_attribute_names: Some(names.clone()),
                expression_attribute_values: Some(values.clone()),
                ..DeleteItemRequest::default()
            });
            match gone {
                Ok(_) => deleted.push(key),
                // Its time was put off meanwhile.
                Err(DynoxideError::ConditionalCheckFailedException(..)) => {}
                Err(error) => return Err(told(error)),
            }
        }
        start = page.last_evaluated_key;
        if start.is_none() {
            return Ok(deleted);
        }
    }
}

fn key_of(item: Item, keys: &[String]) -> HashMap<String, AttributeValue> {
    item.into_iter().filter(|(name, _)| keys.contains(name)).collect()
}

fn read<T: DeserializeOwned>(request: Value) -> anyhow::Result<T> {
    serde_json::from_value(request).context("the request cannot be read")
}

fn told(error: DynoxideError) -> anyhow::Error {
    anyhow::anyhow!("{error}")
}

fn utf8(path: &Path) -> anyhow::Result<&str> {
    path.to_str().context("the data directory's name is not UTF-8")
}
