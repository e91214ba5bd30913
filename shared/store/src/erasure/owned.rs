//! Finds a customer's items: their own partition, and what names them elsewhere.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use domain::CustomerId;

use crate::{
    DataInventory, StoreError,
    keys::{ItemKey, Key, Range},
    pager::Limit,
    table::{Item, string},
};

/// The keys of the items that name a customer.
pub(crate) type Seen = BTreeMap<CustomerId, BTreeSet<Key>>;

/// The customer that an item names.
pub(crate) fn named(item: &Item) -> Option<CustomerId> {
    string(item, "customer").map(CustomerId::new)
}

impl DataInventory {
    /// The keys of a customer's own partition, and of other items that name them.
    pub(crate) async fn keys_of(&self, customer: &CustomerId) -> Result<Vec<Key>, StoreError> {
        // No customer has an empty id.
        if customer.as_str().is_empty() {
            return Ok(Vec::new());
        }
        let own = self.keys_in(Range::beside(ItemKey::Customer(customer.clone()))).await?;
        let mut keys: BTreeSet<Key> = own.into_iter().collect();
        match &self.seen {
            Some(seen) => keys.extend(seen.get(customer).into_iter().flatten().cloned()),
            // It may be late.
            None => keys.extend(self.table.pages_naming(customer).all().await?.iter().filter_map(Key::of)),
        }
        Ok(keys.into_iter().collect())
    }

    /// The same data, by what in the table itself names these customers now, since an index is late. Reads the whole table.
    pub(crate) async fn read_whole(&self, customers: &BTreeSet<CustomerId>) -> Result<Self, StoreError> {
        let mut seen = Seen::new();
        let pages = self.table.table_pages("attribute_exists(customer)", Item::new()).consistent();
        pages
            .only("pk, sk, customer")
            .each(Limit::NONE, |item| {
                let customer = named(&item).filter(|customer| customers.contains(customer));
                if let Some((customer, key)) = customer.zip(Key::of(&item)) {
                    seen.entry(customer).or_default().insert(key);
                }
            })
            .await?;
        Ok(Self { seen: Some(Arc::new(seen)), ..self.clone() })
    }

    /// The keys of a range, expired or not.
    pub(crate) async fn keys_in(&self, range: Range) -> Result<Vec<Key>, StoreError> {
        Ok(self.table.pages(&range).only("pk, sk").all().await?.iter().filter_map(Key::of).collect())
    }

    /// An item that an index shows as a customer's, if it is still theirs: an index lags, and the key may be another's by now.
    pub(crate) async fn theirs(&self, customer: &CustomerId, key: &Key) -> Result<Option<Item>, StoreError> {
        let item = self.raw(key).await?;
        Ok(item.filter(|item| key.is_own(customer) || named(item).is_some_and(|named| named == *customer)))
    }

    /// An item, expired or not.
    pub(crate) async fn raw(&self, key: &Key) -> Result<Option<Item>, StoreError> {
        let request = self.table.client.get_item().table_name(&self.table.name).set_key(Some(key.attributes()));
        Ok(request.consistent_read(true).send().await.map_err(StoreError::call)?.item.filter(|item| !item.is_empty()))
    }
}
