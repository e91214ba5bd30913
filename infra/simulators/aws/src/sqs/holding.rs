//! Messages that a running function has in hand. An invocation takes no time of a clock that is moved: in the cloud the
//! function would have been done, or killed, long before the visibility timeout is over.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use domain::Clock as _;

use super::{Handed, Sqs, receipt, store::Change};
use crate::error::ApiError;

/// A queue and the receipt handles of some of its messages.
type Batch = (String, Vec<String>);

/// What running functions have in hand.
#[derive(Clone, Debug, Default)]
pub(crate) struct InHand(Arc<Mutex<(u64, HashMap<u64, Batch>)>>);

/// Messages are in hand until this is dropped.
#[derive(Debug)]
#[must_use = "dropping it says that the function is done"]
pub struct Hold {
    number: u64,
    of: InHand,
}

impl InHand {
    /// From now on a function works on these.
    pub(crate) fn take(&self, queue: &str, handed: &[Handed]) -> Hold {
        let handles = handed.iter().map(|handed| handed.receipt_handle.clone()).collect();
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.0 += 1;
        let number = held.0;
        held.1.insert(number, (queue.to_owned(), handles));
        Hold { number, of: self.clone() }
    }

    fn all(&self) -> Vec<Batch> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1.values().cloned().collect()
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.of.0.lock().unwrap_or_else(PoisonError::into_inner).1.remove(&self.number);
    }
}

impl Sqs {
    /// Moves the clock. What is in hand stays hidden as long as it would have without that; what the function itself hid for a
    /// time of its own is not its any more.
    pub(crate) fn advance(&self, by: Duration) -> Result<(), ApiError> {
        let mut store = self.lock();
        let now = self.clock.now();
        let mut changes = Vec::new();
        for (name, handles) in self.in_hand.all() {
            let Ok(queue) = store.queue(&name) else { continue };
            for handle in handles {
                let (order, receipt) = receipt::read(&name, Some(&handle))?;
                let flight = queue.messages.get(&order).and_then(|message| message.flight.as_ref());
                let held = flight.filter(|flight| flight.receipt == receipt && flight.until > now);
                if held.is_some_and(|flight| flight.is_plain(queue.attributes.visibility)) {
                    changes.push(Change::Kept { queue: name.clone(), order, by });
                }
            }
        }
        self.commit(&mut store, changes, now)?;
        self.clock.advance(by);
        self.moved(&mut store)
    }
}
