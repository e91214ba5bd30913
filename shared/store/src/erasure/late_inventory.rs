//! Finds and deletes items that an index shows late.
//! By then the person may have begun anew, and what is new must stay.

use std::collections::BTreeSet;

use domain::CustomerId;

use crate::{
    DataInventory, DataSubject, StoreError,
    erasure::owned::named,
    keys::{ItemKey, Key, Range},
    table::text,
};

/// An item that an index, or an item found by it, has shown late.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LateKey {
    key: Key,
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
                    if let Some(ItemKey::Link(message) | ItemKey::Revocation(message)) = ItemKey::read(&key) {
                        messages.insert(message);
                    }
                    keys.push(LateKey { key, customer: Some(customer.clone()) });
                }
            }
        }
        for (account, id, _) in &subject.conversations {
            let conversation = ItemKey::Conversation(*account, *id);
            let of = self.raw(&conversation.clone().into()).await?.as_ref().and_then(named);
            if of.is_none_or(|of| subject.customers.contains(&of)) {
                let known: BTreeSet<_> = keys.iter().map(|late| late.key.clone()).collect();
                let more =
                    self.keys_in(Range::beside(conversation)).await?.into_iter().filter(|key| !known.contains(key));
                keys.extend(more.map(|key| LateKey { key, customer: None }));
            }
        }
        let orphans = self.orphans_of(&messages).await?.into_iter();
        keys.extend(orphans.map(|key| LateKey { key, customer: None }));
        Ok(keys)
    }

    /// Deletes items that were found late, if they still name their customer: a key may be another's by now.
    pub async fn delete_late(&self, keys: &[LateKey]) -> Result<(), StoreError> {
        for LateKey { key, customer } in keys {
            self.settle_orphan(key).await?;
            match customer {
                Some(customer) if !key.is_own(customer) => {
                    let is_theirs = (":customer", text(customer.as_str()));
                    self.table.delete_if(key, "customer = :customer", is_theirs).await?;
                }
                _ => self.table.delete(key).await?,
            }
        }
        Ok(())
    }
}
