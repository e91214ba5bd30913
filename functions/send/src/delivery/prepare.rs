//! Prepares what a call sends. A file is brought to Meta first, a template is filled in.

use std::time::Duration;

use app::HandlerError;
use domain::{
    Outgoing, Part, SendFailure, Timestamp,
    channel::SendHold,
    outgoing::{Awaited, FileWay, MessageKind, SentFile},
    template::Fault,
};
use tokio::time::timeout;
use whatsapp::{Graph, compose::GraphPayload};

use super::{
    Attempt, CALL_MIN_TIME, ConversationContext, Delivery, Stop,
    check::{Checked, Recipient},
    deferral::FILE_MISSING_MAX_WAIT,
};
use crate::{
    Handler,
    convert::{
        media::{NotUploaded, upload},
        parts::PartContent,
    },
};

/// How long Chatwoot's storage may fail, or Meta's uploads.
const FILE_FAULT_MAX_WAIT: Duration = Duration::from_secs(3600);

/// A part whose payload is complete. Only a [`Checked`] becomes one.
pub(super) struct Prepared<'a> {
    checked: Checked<'a>,
    payload: GraphPayload,
    way: Option<FileWay>,
    graph: Graph,
}

impl Prepared<'_> {
    /// The part as it was when it was checked.
    pub(super) fn part(&self) -> &Part {
        self.checked.part()
    }

    /// Its last call; of number 0 if there was none.
    pub(super) fn last(&self) -> Attempt {
        self.checked.last()
    }

    /// What the call sends.
    pub(super) fn payload(&self) -> &GraphPayload {
        &self.payload
    }

    /// How its file goes, if it has one.
    pub(super) fn file(&self) -> Option<SentFile> {
        let Attempt { at, captioned, .. } = self.last();
        self.way.map(|way| SentFile { part: at, captioned, way })
    }

    /// What makes the call.
    pub(super) fn into_graph(self) -> Graph {
        self.graph
    }
}

/// What becomes of a part that could not be prepared.
#[derive(Debug, PartialEq, Eq)]
enum Unprepared {
    WaitsForFile,
    WaitsForMeta { after: Option<Duration> },
    Fails(SendFailure),
}

/// Why a part waits that would fail.
enum NotNow {
    /// Its number cannot send.
    Held(SendHold),
    /// Meta answers nothing else either.
    Away,
}

impl Handler {
    /// Prepares a part, within the time that is left.
    pub(super) async fn prepare<'a>(
        &self,
        delivery: &mut Delivery<'a>,
        checked: Checked<'a>,
    ) -> Result<Prepared<'a>, Stop> {
        let context = delivery.context;
        let graph = self.clients.graph(context.channel).await.map_err(HandlerError::from)?;
        // The call itself, and the saves around it, still have to fit into the invocation.
        let limit = context.until.since(self.clients.clock.now()).saturating_sub(CALL_MIN_TIME);
        let made = timeout(limit, self.payload(delivery, checked.content(), &graph)).await;
        let made = made.unwrap_or_else(|_| {
            tracing::warn!(channel.id = %context.channel.phone_number_id, "part not prepared within the time that was left");
            Err(if checked.content().has_file() { NotUploaded::Slow } else { NotUploaded::NotNow { after: None } })
        });
        let now = self.clients.clock.now();
        let (payload, way) = match made {
            Ok(made) => made,
            Err(error) => {
                let attempt = checked.last();
                let waited = Waited::of(&delivery.entry.outgoing, checked.part(), now);
                let awaited = if checked.content().has_file() { Awaited::Upload } else { Awaited::Meta };
                let outcome = match unprepared(&error, waited, delivery.entry.outgoing.kind()) {
                    Unprepared::WaitsForFile => self.defer_for_file(delivery, attempt).await?,
                    Unprepared::WaitsForMeta { after } => {
                        self.defer_for_meta(delivery, attempt, awaited, after).await?
                    }
                    Unprepared::Fails(failure) => match self.not_now(context, &error, failure).await? {
                        Some(NotNow::Held(hold)) => self.defer_for_number(delivery, attempt, hold).await?,
                        Some(NotNow::Away) => self.defer_for_meta(delivery, attempt, awaited, None).await?,
                        None => self.fail(delivery, attempt, failure).await?,
                    },
                };
                return Err(outcome.into());
            }
        };
        if let GraphPayload::File { id, .. } = &payload {
            self.note_upload(context, id).await?;
        }
        // A file takes time, so check for refusals again as late as possible.
        let refused = Recipient::of(context).refusal(&delivery.entry.outgoing, None, now);
        if let Some(failure) = refused {
            let attempt = Attempt { captioned: false, ..checked.last() };
            return Err(self.fail(delivery, attempt, failure).await?.into());
        }
        Ok(Prepared { checked, payload, way, graph })
    }

    /// Whether what would fail has to wait all the same: Meta refuses it because of a state of the number, or takes nothing else
    /// either.
    async fn not_now(
        &self,
        context: &ConversationContext<'_>,
        error: &NotUploaded,
        failure: SendFailure,
    ) -> Result<Option<NotNow>, HandlerError> {
        Ok(match (error, failure) {
            (_, SendFailure::Refused { .. }) => self.held_meanwhile(context).await?.map(NotNow::Held),
            (NotUploaded::NotNow { .. }, _) => {
                app::has_channel_access(&self.clients, context.channel).await.is_err().then_some(NotNow::Away)
            }
            _ => None,
        })
    }

    /// What the call sends, and how its file goes; a file that can be uploaded is uploaded first.
    async fn payload(
        &self,
        delivery: &Delivery<'_>,
        content: &PartContent<'_>,
        graph: &Graph,
    ) -> Result<(GraphPayload, Option<FileWay>), NotUploaded> {
        match self.try_payload(delivery, content, graph).await {
            Err(NotUploaded::TokenRenewed) => self.try_payload(delivery, content, graph).await,
            made => made,
        }
    }

    async fn try_payload(
        &self,
        delivery: &Delivery<'_>,
        content: &PartContent<'_>,
        graph: &Graph,
    ) -> Result<(GraphPayload, Option<FileWay>), NotUploaded> {
        let ConversationContext { chatwoot, channel, .. } = delivery.context;
        Ok(match content {
            PartContent::Text(text) => (GraphPayload::Text(text.clone()), None),
            PartContent::Menu(menu) => (GraphPayload::Menu(menu.clone()), None),
            PartContent::Location(location) => (GraphPayload::Location(location.clone()), None),
            PartContent::NumberRequest(text) => (GraphPayload::NumberRequest(text.clone()), None),
            PartContent::Reaction(emoji) => {
                let to = delivery.entry.outgoing.quote_of(0).cloned();
                let to = to.ok_or(NotUploaded::Never(SendFailure::NothingToReactTo))?;
                (GraphPayload::Reaction { emoji: emoji.clone(), to }, None)
            }
            PartContent::Template(picked) => {
                (self.fill_template(delivery.context, delivery.message, picked, graph).await?, None)
            }
            PartContent::File { file, caption } => upload(chatwoot, channel, graph, file, caption.as_deref()).await?,
        })
    }
}

/// How long a part has waited. If one file of a message was waited for in vain, the wait counts for the next file as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Waited {
    /// For Chatwoot to deliver its file.
    for_file: Duration,
    /// For Meta to take its file.
    for_upload: Duration,
}

impl Waited {
    fn of(outgoing: &Outgoing, part: &Part, now: Timestamp) -> Self {
        let in_vain = |failures: &[SendFailure]| {
            let is_one = |part: &Part| matches!(part, Part::Failed { failure, .. } if failures.contains(failure));
            outgoing.parts().iter().any(is_one)
        };
        let so_far = |awaited| part.awaits_since(awaited).map_or(Duration::ZERO, |since| now.since(since));
        let or = |is_in_vain, awaited| if is_in_vain { FILE_FAULT_MAX_WAIT } else { so_far(awaited) };
        Self {
            for_file: or(in_vain(&[SendFailure::FileUnreadable, SendFailure::FileSlow]), Awaited::File),
            for_upload: or(in_vain(&[SendFailure::FileSlow]), Awaited::Upload),
        }
    }
}

fn unprepared(error: &NotUploaded, waited: Waited, kind: MessageKind) -> Unprepared {
    match error {
        NotUploaded::Missing if waited.for_file < FILE_MISSING_MAX_WAIT => Unprepared::WaitsForFile,
        NotUploaded::Unwell | NotUploaded::Slow if waited.for_file < FILE_FAULT_MAX_WAIT => Unprepared::WaitsForFile,
        // Meta may refuse uploads alone; what stands behind the file does not wait for them for ever.
        NotUploaded::NotNow { after } if waited.for_upload < FILE_FAULT_MAX_WAIT => {
            Unprepared::WaitsForMeta { after: *after }
        }
        never => Unprepared::Fails(match never.failure() {
            SendFailure::FileUnreadable if kind == MessageKind::Template => {
                SendFailure::Template { fault: Fault::FileUnreadable }
            }
            failure => failure,
        }),
    }
}

#[cfg(test)]
mod tests {
    use domain::PartEvent;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_795_190_400);

    #[test]
    fn a_file_is_waited_for_as_long_as_it_may_still_come() {
        let waited = |for_file| Waited { for_file, ..Waited::default() };
        let plain = |error: &NotUploaded, for_file| unprepared(error, waited(for_file), MessageKind::Plain);
        let unreadable = Unprepared::Fails(SendFailure::FileUnreadable);
        assert_eq!(plain(&NotUploaded::Missing, Duration::ZERO), Unprepared::WaitsForFile);
        assert_eq!(plain(&NotUploaded::Missing, FILE_MISSING_MAX_WAIT), unreadable);
        assert_eq!(plain(&NotUploaded::Unwell, FILE_MISSING_MAX_WAIT), Unprepared::WaitsForFile);
        assert_eq!(plain(&NotUploaded::Unwell, FILE_FAULT_MAX_WAIT), unreadable);
        assert_eq!(plain(&NotUploaded::Slow, FILE_FAULT_MAX_WAIT), Unprepared::Fails(SendFailure::FileSlow));
        let after = Some(Duration::from_secs(9));
        assert_eq!(plain(&NotUploaded::NotNow { after }, FILE_FAULT_MAX_WAIT), Unprepared::WaitsForMeta { after });
        let refused = Waited { for_upload: FILE_FAULT_MAX_WAIT, ..Waited::default() };
        let slow = Unprepared::Fails(SendFailure::FileSlow);
        assert_eq!(unprepared(&NotUploaded::NotNow { after }, refused, MessageKind::Plain), slow);
        let never = NotUploaded::Never(SendFailure::FileEmpty);
        assert_eq!(plain(&never, Duration::ZERO), Unprepared::Fails(SendFailure::FileEmpty));
        let of_template = SendFailure::Template { fault: Fault::FileUnreadable };
        assert_eq!(
            unprepared(&NotUploaded::Missing, waited(FILE_MISSING_MAX_WAIT), MessageKind::Template),
            Unprepared::Fails(of_template)
        );
    }

    #[test]
    fn the_wait_for_one_file_counts_for_the_next() {
        let mut message = Outgoing::new(NOW, 2);
        let waited =
            |message: &Outgoing, at: usize| Waited::of(message, &message.parts()[at], NOW + FILE_MISSING_MAX_WAIT);
        message.apply(0, PartEvent::Deferred { attempt: 0, awaited: Awaited::File, at: NOW }).unwrap();
        let for_file = Waited { for_file: FILE_MISSING_MAX_WAIT, ..Waited::default() };
        assert_eq!((waited(&message, 0), waited(&message, 1)), (for_file, Waited::default()));
        let failed = |failure| PartEvent::Failed { attempt: 0, failure, captioned: false };
        let mut unreadable = message.clone();
        unreadable.apply(0, failed(SendFailure::FileUnreadable)).unwrap();
        assert_eq!(waited(&unreadable, 1), Waited { for_file: FILE_FAULT_MAX_WAIT, ..Waited::default() });
        message.apply(0, failed(SendFailure::FileSlow)).unwrap();
        let both = Waited { for_file: FILE_FAULT_MAX_WAIT, for_upload: FILE_FAULT_MAX_WAIT };
        assert_eq!(waited(&message, 1), both);
    }

    #[test]
    fn a_number_on_hold_takes_nothing_off_the_time_for_an_upload() {
        let mut message = Outgoing::new(NOW, 1);
        let mut defer = |awaited, at| message.apply(0, PartEvent::Deferred { attempt: 0, awaited, at }).unwrap();
        defer(Awaited::Meta, NOW);
        let (end, later) = (NOW + FILE_FAULT_MAX_WAIT, NOW + FILE_FAULT_MAX_WAIT * 2);
        defer(Awaited::Upload, end);
        let waited = Waited::of(&message, &message.parts()[0], later);
        assert_eq!(waited, Waited { for_upload: FILE_FAULT_MAX_WAIT, ..Waited::default() });
        assert_eq!(Waited::of(&message, &message.parts()[0], end), Waited::default());
    }
}
