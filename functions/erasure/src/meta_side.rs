//! What Meta has of a person and lets us delete: files, and the line in the contact book. Its own copies of messages are its own.

use std::collections::BTreeMap;

use bridge::BridgeError;
use domain::{Channel, UserId, WabaId, erasure::Place};
use secrecy::SecretString;
use store::{ErasureEntry, Target};
use whatsapp::GraphError;

use crate::{Came, Eraser};

impl Eraser {
    pub(crate) async fn clear_media(&self, entry: &mut ErasureEntry, target: &Target) -> Result<Came, BridgeError> {
        self.note(entry, Place::MetaMedia, target.media.len()).await?;
        for (number, media) in &target.media {
            // Of a number that is ours no more no token lets us at the files; Meta drops them within thirty days.
            let Some(channel) = self.clients.channels.get(number).await? else { continue };
            let graph = &self.clients.graph;
            self.with_token(&channel, async |token| graph.delete_media(media, &token).await).await?;
            if self.with_token(&channel, async |token| graph.has_media(media, number, &token).await).await? {
                return Ok(Came::Later);
            }
        }
        Ok(Came::Clear)
    }

    /// By user id, since the book knows no other key; somebody without one is in it under none.
    pub(crate) async fn clear_contact_book(
        &self,
        entry: &mut ErasureEntry,
        target: &Target,
    ) -> Result<Came, BridgeError> {
        let mut found = entry.erasure.found.get(&Place::MetaContactBook).copied().unwrap_or_default();
        let mut accounts: BTreeMap<WabaId, Vec<Channel>> = BTreeMap::new();
        let channels = self.clients.channels.all().await?.into_iter();
        for channel in channels.filter(|channel| target.only.is_none_or(|only| only == channel.account)) {
            accounts.entry(channel.waba_id.clone()).or_default().push(channel);
        }
        for user in &target.users {
            for numbers in accounts.values() {
                if self.forget(numbers, user).await? {
                    found += 1;
                    self.note(entry, Place::MetaContactBook, usize::try_from(found).unwrap_or(usize::MAX)).await?;
                }
            }
        }
        Ok(Came::Clear)
    }

    /// By any number of an account: one of them may be disconnected, and the book is the same.
    async fn forget(&self, numbers: &[Channel], user: &UserId) -> Result<bool, BridgeError> {
        let mut trouble = None;
        for channel in numbers {
            let (graph, number) = (&self.clients.graph, &channel.phone_number_id);
            let forget = async |token: SecretString| graph.forget_contact(number, user, &token).await;
            match self.with_token(channel, forget).await {
                Ok(known) => return Ok(known),
                Err(error) => {
                    trouble.get_or_insert(error);
                }
            }
        }
        trouble.map_or(Ok(false), Err)
    }

    /// A call with the channel's token, and once more with a newer one.
    async fn with_token<T>(
        &self,
        channel: &Channel,
        call: impl AsyncFn(SecretString) -> Result<T, GraphError>,
    ) -> Result<T, BridgeError> {
        let token = self.clients.token(channel).await?;
        let answered = call(token.clone()).await;
        if answered.as_ref().is_err_and(GraphError::is_unauthorized)
            && let Some(renewed) = self.clients.renew_token(channel, &token).await
        {
            return Ok(call(renewed).await?);
        }
        Ok(answered?)
    }
}
