//! Finds a customer's items: their own partition, and what names them elsewhere.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use domain::CustomerId;

use crate::{
    DataInventory, StoreError,
    sort_keys::Owner,
    table::{Item, Key, text},
};

/// The keys of the items that name a customer.
pub(crate) type Seen = BTreeMap<CustomerId, BTreeSet<(String, String)>>;

/// The id of the customer that an item names.
pub(crate) fn named(item: &Item) -> Option<&String> {
    item.get("customer")?.as_s().ok()
}

/// Whether an item is in a customer's own partition.
pub(crate) fn is_own(customer: &CustomerId, key: &Key) -> bool {
    key.pk.strip_prefix("customer#") == Some(customer.as_str())
}

pub(crate) fn pair(item: &Item) -> Option<(String, String)> {
    Some((item.get("pk")?.as_s().ok()?.clone(), item.get("sk")?.as_s().ok()?.clone()))
}

impl DataInventory {
    /// The keys of a customer's own partition, and of other items that name them.
    pub(crate) async fn keys_of(&self, customer: &CustomerId) -> Result<Vec<Key>, StoreError> {
        let Some(owner) = Owner::of(customer) else { return Ok(Vec::new()) };
        let mut keys: BTreeSet<(String, String)> =
            self.partition(&format!("customer#{customer}")).await?.into_iter().collect();
        match &self.seen {
            Some(seen) => keys.extend(seen.get(customer).into_iter().flatten().cloned()),
            None => keys.extend(self.indexed(&owner).await?),
        }
        Ok(keys.into_iter().map(|(pk, sk)| Key::new(pk, sk)).collect())
    }

    /// The same data, by what in the table itself names these customers now, since an index is late. Reads the whole table.
    pub(crate) async fn read_whole(&self, customers: &BTreeSet<CustomerId>) -> Result<Self, StoreError> {
        let (mut seen, mut start) = (Seen::new(), None);
        loop {
            let page = self
                .table
                .client
                .scan()
                .table_name(&self.table.name)
                .consistent_read(true)
                .filter_expression("attribute_exists(customer)")
                .projection_expression("pk, sk, customer")
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(StoreError::call)?;
            for item in page.items.unwrap_or_default() {
                let customer = named(&item).map(|id| CustomerId::new(id.as_str()));
                if let (Some(customer), Some(key)) = (customer.filter(|one| customers.contains(one)), pair(&item)) {
                    seen.entry(customer).or_default().insert(key);
                }
            }
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(Self { seen: Some(Arc::new(seen)), ..self.clone() });
            }
        }
    }

    /// What the index shows, which may be late.
    async fn indexed(&self, owner: &Owner) -> Result<Vec<(String, String)>, StoreError> {
        let values = Item::from([(":customer".to_owned(), owner.value())]);
        let shown = self.table.indexed("customer", "customer = :customer", values).await?;
        Ok(shown.iter().filter_map(pair).collect())
    }

    pub(crate) async fn partition(&self, pk: &str) -> Result<Vec<(String, String)>, StoreError> {
        let (mut keys, mut start) = (Vec::new(), None);
        loop {
            let page = self
                .table
                .client
                .query()
                .table_name(&self.table.name)
                .consistent_read(true)
                .key_condition_expression("pk = :pk")
                .expression_attribute_values(":pk", text(pk))
                .projection_expression("pk, sk")
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(StoreError::call)?;
            keys.extend(page.items.unwrap_or_default().iter().filter_map(pair));
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(keys);
            }
        }
    }

    /// An item that an index shows as a customer's, if it is still theirs: an index lags, and the key may be another's by now.
    pub(crate) async fn theirs(&self, customer: &CustomerId, key: &Key) -> Result<Option<Item>, StoreError> {
        let item = self.raw(key).await?;
        Ok(item.filter(|item| is_own(customer, key) || named(item).is_some_and(|named| named == customer.as_str())))
    }

    /// An item, expired or not.
    pub(crate) async fn raw(&self, key: &Key) -> Result<Option<Item>, StoreError> {
        let request = self.table.client.get_item().table_name(&self.table.name).set_key(Some(key.item()));
        Ok(request.consistent_read(true).send().await.map_err(StoreError::call)?.item.filter(|item| !item.is_empty()))
    }
}
