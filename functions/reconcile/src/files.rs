//! Customers' files that could not be fetched: `forward` is told to ask for each again, with growing gaps, in the group of
//! its customer, so that nothing overtakes anything.

use app::BridgeError;
use domain::{Channel, FileHint, InboundTask};
use queue::Letter;
use uuid::Uuid;

use crate::{AT_ONCE, Reconcile};

impl Reconcile {
    /// Gives the hints whose time has come.
    pub(crate) async fn files(&self, channel: &Channel) -> Result<(), BridgeError> {
        let number = &channel.phone_number_id;
        let missing = self.clients.files.all(number).await?;
        self.files_missing.fetch_add(missing.len() as u64, std::sync::atomic::Ordering::Relaxed);
        let now = self.clients.clock.now();
        for file in missing.iter().filter(|file| file.next_at <= now).take(AT_ONCE) {
            // Put off first: a hint that is lost is given again, one given twice costs a look.
            if !self.clients.files.put_off(file).await? {
                continue;
            }
            let task = InboundTask::FileV1(FileHint { channel: number.clone(), item: file.item.clone() });
            self.inbound.send(Letter::new(file.group.as_str(), Uuid::new_v4().to_string(), &task)?).await?;
        }
        Ok(())
    }
}
