//! Queues tasks for customers' files that could not be fetched. `forward` asks for each again, with growing gaps, in the
//! message group of its customer, so that nothing overtakes anything.

use app::HandlerError;
use domain::{Channel, InboundTask, MediaRetry};
use queue::QueueMessage;
use uuid::Uuid;

use crate::{Handler, SYNC_BATCH};

impl Handler {
    /// Queues the tasks whose time has come.
    pub(crate) async fn files(&self, channel: &Channel) -> Result<(), HandlerError> {
        let number = &channel.phone_number_id;
        let missing = self.clients.pending_media.all(number).await?;
        // What the phone's past leaves behind is missed by nobody.
        let live = missing.iter().filter(|file| file.past.is_none()).count();
        self.files_missing.fetch_add(live as u64, std::sync::atomic::Ordering::Relaxed);
        let now = self.clients.clock.now();
        for file in missing.iter().filter(|file| file.next_at <= now).take(SYNC_BATCH) {
            // Deferred first: a task that is lost is queued again, and one queued twice costs only a query.
            if !self.clients.pending_media.put_off(file).await? {
                continue;
            }
            let task = InboundTask::FileV1(MediaRetry { channel: number.clone(), item: file.item.clone() });
            self.inbound.send(QueueMessage::new(file.group.clone(), Uuid::new_v4().to_string(), &task)?).await?;
        }
        Ok(())
    }
}
