//! After the end of the process that hosted the consumers: what they had received and not settled shows again at once.

use domain::Clock as _;

use super::{Sqs, store::Change};
use crate::error::ApiError;

impl Sqs {
    /// Shows every message again that is out on a plain receive. One whose visibility its consumer set itself stays hidden as
    /// long as that consumer wanted.
    pub(crate) fn release_received(&self) -> Result<(), ApiError> {
        let mut store = self.lock();
        let now = self.clock.now();
        let mut changes = Vec::new();
        for queue in store.queues() {
            for message in queue.messages.values() {
                let plain = message.flight.as_ref().filter(|flight| flight.is_plain(queue.attributes.visibility));
                if plain.is_some_and(|flight| flight.until > now) {
                    changes.push(Change::Visible { queue: queue.name.clone(), order: message.order, until: now });
                }
            }
        }
        self.commit(&mut store, changes, now)
    }
}
