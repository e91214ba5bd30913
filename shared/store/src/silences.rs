//! Remembers which side does not answer, for the operator.
//! Functions write here when calls begin or cease to rest, and never while all is well.

use std::time::Duration;

use domain::Timestamp;

use crate::{
    StoreError, Table,
    keys::ItemKey,
    table::{Item, ItemUpdate, integer, number},
};

/// A process that rests writes at each try; what is older is over.
const SILENCE_TTL: Duration = Duration::from_secs(1_800);

/// One of the two sides that the bridge calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Graph.
    Meta,
    /// Chatwoot.
    Chatwoot,
}

impl Side {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Meta, Self::Chatwoot];

    /// Its name in the table and for the operator.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Chatwoot => "chatwoot",
        }
    }
}

/// The sides that are silent.
#[derive(Clone, Debug)]
pub struct Silences {
    table: Table,
}

impl Silences {
    /// Those in this table.
    pub fn new(table: Table) -> Self {
        Self { table }
    }

    /// Calls rest since then, or no longer.
    pub async fn note(&self, side: Side, since: Option<Timestamp>) -> Result<(), StoreError> {
        let key = ItemKey::Silence(side).into();
        let Some(since) = since else { return self.table.delete(&key).await };
        let end = (self.table.now() + SILENCE_TTL).as_secs();
        let update = "SET silent_since = if_not_exists(silent_since, :since), expires_at = :end".to_owned();
        let values = Item::from([(":since".to_owned(), integer(since.as_millis())), (":end".to_owned(), integer(end))]);
        self.table.change(ItemUpdate { key, update, condition: None, values }).await
    }

    /// Since when calls to a side rest, as far as a function said so lately.
    pub async fn since(&self, side: Side) -> Result<Option<Timestamp>, StoreError> {
        let item = self.table.item(&ItemKey::Silence(side).into()).await?;
        Ok(item.and_then(|item| number(&item, "silent_since")).map(Timestamp::from_millis))
    }
}
