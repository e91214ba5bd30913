//! Deletes what Meta has of a person and lets us delete. That is files, and the entry in the contact book. Meta's own
//! copies of messages are Meta's.

use std::{collections::BTreeMap, time::Duration};

use app::HandlerError;
use domain::{
    Channel, Class, Classify as _, MediaId, PhoneNumberId, UserId, WabaId, channel,
    erasure::{DataLocation, ErasureState},
};

use crate::{locations::ClearOutcome, run::ErasureRun};

/// How long to wait for a token that Meta refuses.
const META_ERASURE_MAX_WAIT: Duration = Duration::from_secs(3 * 86_400);

impl ErasureRun<'_> {
    pub(crate) async fn clear_media(&mut self) -> Result<ClearOutcome, HandlerError> {
        self.note(DataLocation::MetaMedia, self.subject.media.len()).await?;
        let mut left = 0;
        for (number, media) in &self.subject.media {
            // For a number that is no longer ours, no token gives access to the files; Meta deletes them within thirty
            // days.
            let channel = self.handler.clients.channels.get(number).await?;
            let Some(channel) = channel.filter(|channel| !is_withdrawn(channel)) else {
                left += 1;
                continue;
            };
            match self.delete_media(&channel, number, media).await {
                Ok(false) => {}
                Ok(true) => return Ok(ClearOutcome::Later),
                Err(error) if self.is_out_of_reach(DataLocation::MetaMedia, &channel, &error) => left += 1,
                Err(error) => return Err(error),
            }
        }
        self.leave(DataLocation::MetaMedia, left).await?;
        Ok(ClearOutcome::Clear)
    }

    /// Deletes a file; tells whether it is still there.
    async fn delete_media(
        &self,
        channel: &Channel,
        number: &PhoneNumberId,
        media: &MediaId,
    ) -> Result<bool, HandlerError> {
        let graph = self.handler.clients.graph(channel).await?;
        graph.delete_media(media).await?;
        Ok(graph.has_media(media, number).await?)
    }

    /// Deletes the entry by user id, since the contact book has no other key; a person without a user id has no entry.
    pub(crate) async fn clear_contact_book(&mut self) -> Result<ClearOutcome, HandlerError> {
        let (erasure, subject) = (&self.entry.erasure, &self.subject);
        let before = erasure.left(DataLocation::MetaContactBook);
        let known = erasure.found(DataLocation::MetaContactBook);
        let mut found = usize::try_from(known.saturating_sub(before)).unwrap_or(usize::MAX);
        let mut accounts: BTreeMap<WabaId, Vec<Channel>> = BTreeMap::new();
        let channels = self.handler.clients.channels.all().await?.into_iter();
        for channel in channels.filter(|channel| subject.only.is_none_or(|only| only == channel.account)) {
            accounts.entry(channel.waba_id.clone()).or_default().push(channel);
        }
        let mut left = 0;
        for user in &subject.users.clone() {
            for numbers in accounts.values() {
                match self.forget(numbers, user).await? {
                    Some(true) => found += 1,
                    Some(false) => {}
                    None => left += 1,
                }
                self.note(DataLocation::MetaContactBook, found + left).await?;
            }
        }
        self.leave(DataLocation::MetaContactBook, left).await?;
        Ok(ClearOutcome::Clear)
    }

    /// Tries any number of an account: one of them may be disconnected, and the contact book is the same. Gives nothing if
    /// it is out of reach.
    async fn forget(&self, numbers: &[Channel], user: &UserId) -> Result<Option<bool>, HandlerError> {
        let mut failure = None;
        for channel in numbers.iter().filter(|channel| !is_withdrawn(channel)) {
            let forget = async || {
                let graph = self.handler.clients.graph(channel).await?;
                Ok(graph.forget_contact(&channel.phone_number_id, user).await?)
            };
            match forget().await {
                Ok(known) => return Ok(Some(known)),
                Err(error) if self.is_out_of_reach(DataLocation::MetaContactBook, channel, &error) => {}
                Err(error) => {
                    failure.get_or_insert(error);
                }
            }
        }
        failure.map_or(Ok(None), Err)
    }

    /// Whether waiting longer for a number is useless: it is not connected any more, or Meta refuses us for good. A token
    /// may be renewed, so that is waited for, but not for ever.
    fn is_out_of_reach(&self, location: DataLocation, channel: &Channel, error: &HandlerError) -> bool {
        let HandlerError::Graph(error) = error else { return false };
        if error.class() == Class::Permanent {
            return true;
        }
        let waited = match self.entry.erasure.state() {
            ErasureState::Waiting { location: waited, since, .. }
            | ErasureState::Failed { location: waited, since, .. } => {
                waited == location && self.now().since(since) >= META_ERASURE_MAX_WAIT
            }
            _ => false,
        };
        error.is_unauthorized() && (waited || matches!(channel.state, channel::ChannelState::Disconnected { .. }))
    }
}

/// Whether our access to a number was withdrawn: then Meta's answers about it mean nothing.
fn is_withdrawn(channel: &Channel) -> bool {
    matches!(
        channel.state,
        channel::ChannelState::Disconnected {
            why: channel::DisconnectReason::Removed | channel::DisconnectReason::Deleted,
            ..
        }
    )
}
