//! Finds and deletes items that an index shows late.
//! By then the person may have begun anew, and what is new must stay.

use std::collections::BTreeSet;

use domain::{CustomerId, KeyedHash};

use crate::{
    DataInventory, DataSubject, StoreError,
    erasure::owned::{is_own, named},
    outbound::conversations,
    table::{Key, text},
};

/// An item that an index, or an item found by it, has shown late.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LateKey {
    key: (String, String),
    /// The customer it names. Without one it is in a conversation of theirs.
    customer: Option<CustomerId>,
}

impl DataInventory {
    /// The keys of all items that still name one of their customers, each with its customer, and of the other items in the
    /// partitions of their conversations. What else was theirs may belong to a person who has begun anew.
    pub async fn late_keys(&self, subject: &DataSubject) -> Result<Vec<LateKey>, StoreError> {
        let (mut keys, mut messages) = (Vec::new(), BTreeSet::new());
        for customer in &subject.customers {
            for key in self.keys_of(customer).await? {
                if self.theirs(customer, &key).await?.is_some() {
                    messages.extend(key.pk.strip_prefix("wamid#").map(KeyedHash::new));
                    keys.push(LateKey { key: (key.pk, key.sk), customer: Some(customer.clone()) });
                }
            }
        }
        for (account, id, _) in &subject.conversations {
            let head = conversations::key(*account, *id);
            let of = self.raw(&head).await?.as_ref().and_then(named).map(|id| CustomerId::new(id.as_str()));
            if of.is_none_or(|of| subject.customers.contains(&of)) {
                let known: BTreeSet<_> = keys.iter().map(|late| late.key.clone()).collect();
                let more = self.partition(&head.pk).await?.into_iter().filter(|key| !known.contains(key));
                keys.extend(more.map(|key| LateKey { key, customer: None }));
            }
        }
        let early = self.early_of(&messages).await?.into_iter();
        keys.extend(early.map(|key| LateKey { key, customer: None }));
        Ok(keys)
    }

    /// Deletes items that were found late, if they still name their customer: a key may be another's by now.
    pub async fn delete_late(&self, keys: &[LateKey]) -> Result<(), StoreError> {
        for LateKey { key: (pk, sk), customer } in keys {
            self.settle_early(pk, sk).await?;
            let key = Key::new(pk, sk);
            match customer {
                Some(customer) if !is_own(customer, &key) => {
                    let is_theirs = (":customer", text(customer.as_str()));
                    self.table.delete_if(&key, "customer = :customer", is_theirs).await?;
                }
                _ => self.table.delete(&key).await?,
            }
        }
        Ok(())
    }
}
