//! Checks whether a part may go out now. It looks at the number, the customer, the window, and the time that is left.

use std::time::Duration;

use domain::{
    Outgoing, Part, SendFailure, Timestamp,
    channel::SendHold,
    outgoing::MessageKind,
    template::{Fault, Picked},
    window::Advert,
};
use store::Thread;
use whatsapp::{graph::file_timeout, media::MAX_MEDIA_BYTES};

use super::{Attempt, CALL_MIN_TIME, ConversationContext, Delivery, REQUEUE_DELAY, Stop};
use crate::{
    Handler,
    convert::parts::{self, PartContent},
    sync::SyncOutcome,
};

/// How long a part that was certainly not sent is tried again.
const MAX_DELIVERY_TIME: Duration = Duration::from_secs(24 * 3600);

/// What a file takes at most.
const FILE_MIN_TIME: Duration = Duration::from_secs(100);

/// What a template without a file takes at most: Meta's list is read first.
const TEMPLATE_MIN_TIME: Duration = Duration::from_secs(35);

/// A part that may go out now. Only a check makes one.
pub(super) struct Checked<'a> {
    at: usize,
    part: Part,
    content: PartContent<'a>,
}

impl Checked<'_> {
    /// The part as it was when it was checked.
    pub(super) fn part(&self) -> &Part {
        &self.part
    }

    /// What it holds.
    pub(super) fn content(&self) -> &PartContent<'_> {
        &self.content
    }

    /// Its last call.
    pub(super) fn last(&self) -> Attempt {
        Attempt { captioned: self.content.is_captioned(), ..Attempt::last(self.at, &self.part) }
    }
}

impl Handler {
    /// Checks a part. One that must not go out fails with an error text, and one that cannot go out now waits.
    pub(super) async fn check<'a>(&self, delivery: &mut Delivery<'a>, at: usize) -> Result<Checked<'a>, Stop> {
        let (context, now) = (delivery.context, self.clients.clock.now());
        let outgoing = &delivery.entry.outgoing;
        let part = outgoing.parts()[at].clone();
        let is_template = outgoing.kind() == MessageKind::Template;
        let hold = send_hold(context, is_template, now);
        let refused = Recipient::of(context).refusal(outgoing, hold, now);
        let contents = match delivery.picked {
            _ if !is_template => parts::plan_of(delivery.message, outgoing, self.clients.locale),
            Some(picked) => vec![PartContent::Template(picked)],
            None => Vec::new(),
        };
        let content = contents.into_iter().nth(at).ok_or_else(|| {
            let lost = SendFailure::Template { fault: Fault::Lost };
            if is_template { lost } else { parts::why_empty(delivery.message) }
        });
        let last = Attempt::last(at, &part);
        let content = match refused.map_or(content, Err) {
            Ok(content) => content,
            Err(failure) => return Err(self.fail(delivery, last, failure).await?.into()),
        };
        if let Some(hold) = hold {
            return Err(self.defer_for_number(delivery, last, hold).await?.into());
        }
        if delivery.budget.is_over(now) {
            return Err(SyncOutcome::OutOfTime.into());
        }
        if context.until.since(now) < min_time_left(&content, delivery.budget.is_again()) {
            if delivery.budget.has_sent() {
                return Err(SyncOutcome::OutOfTime.into());
            }
            // An immediate retry would end the same way if what comes before the part takes as long each time.
            tracing::warn!(channel.id = %context.channel.phone_number_id, "part deferred: too little time is left");
            return Err(SyncOutcome::Waits { after: Some(REQUEUE_DELAY), at_most: None }.into());
        }
        if let Some(after) = self.recipient_wait(delivery.budget) {
            return Err(SyncOutcome::Soon { after }.into());
        }
        Ok(Checked { at, part, content })
    }
}

/// Why a part has to wait for its number, if it has to. A template outside the window is begun by the business, which
/// more holds forbid.
fn send_hold(context: &ConversationContext<'_>, template: bool, now: Timestamp) -> Option<SendHold> {
    let open = context.thread.is_some_and(|thread| thread.window.is_open(now));
    if template && !open { context.channel.hold_begun(now) } else { context.channel.hold(now) }
}

/// To whom a message goes, as far as that decides whether it may.
#[derive(Clone, Copy)]
pub(super) struct Recipient<'a> {
    is_known: bool,
    erased: bool,
    thread: Option<&'a Thread>,
}

impl<'a> Recipient<'a> {
    pub(super) fn of(context: &ConversationContext<'a>) -> Self {
        Self { is_known: context.customer.is_some(), erased: context.erased, thread: context.thread }
    }

    /// Why a part must not be sent, if there is a reason.
    pub(super) fn refusal(self, outgoing: &Outgoing, hold: Option<SendHold>, now: Timestamp) -> Option<SendFailure> {
        let asked_at = outgoing.asked_at();
        let is_template = outgoing.kind() == MessageKind::Template;
        if self.erased {
            return Some(SendFailure::Erased);
        }
        if !self.is_known {
            return Some(SendFailure::NoRecipient);
        }
        // A customer known from elsewhere has no address here until they write here.
        let Some(thread) = self.thread.filter(|thread| thread.address.is_some()) else {
            return Some(if is_template { SendFailure::NoRecipient } else { SendFailure::NeverWrote });
        };
        if !is_template && !thread.window.is_open(now) {
            return Some(match thread.window.start() {
                None if thread.overheard_at.is_some() => SendFailure::Standby,
                None => SendFailure::NeverWrote,
                // The message was in time; the number was not able to send.
                Some(_) if hold.is_some() && thread.window.is_open(asked_at) => SendFailure::ChannelDown,
                Some(_) if is_free(thread, now) => SendFailure::WindowClosedFree,
                Some(_) => SendFailure::WindowClosed,
            });
        }
        let too_long = if hold.is_some() { SendFailure::ChannelDown } else { SendFailure::Unreachable };
        (now.since(asked_at) >= MAX_DELIVERY_TIME).then_some(too_long)
    }
}

/// Whether Meta charges nothing now: an advert brought the customer, and they were answered in time.
fn is_free(thread: &Thread, now: Timestamp) -> bool {
    thread.advert().and_then(Advert::free_until).is_some_and(|until| now < until)
}

/// What a part may take of an invocation: a file is fetched and uploaded first. One that did not fit before (`again`) is begun
/// wherever it might just fit.
fn min_time_left(content: &PartContent<'_>, again: bool) -> Duration {
    match content {
        PartContent::Text(_)
        | PartContent::Menu(_)
        | PartContent::Location(_)
        | PartContent::Reaction(_)
        | PartContent::NumberRequest(_) => CALL_MIN_TIME,
        _ if again && content.has_file() => CALL_MIN_TIME + file_timeout(0),
        PartContent::File { file, .. } => {
            (CALL_MIN_TIME + file_timeout(file.file_size.unwrap_or(MAX_MEDIA_BYTES))).min(FILE_MIN_TIME)
        }
        PartContent::Template(Picked { file: Some(_), .. }) => FILE_MIN_TIME,
        PartContent::Template(_) => TEMPLATE_MIN_TIME,
    }
}

#[cfg(test)]
mod tests {
    use chatwoot::listing::ListedFile;
    use domain::{Address, PartEvent, WaId, Window, outgoing::Awaited};

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_795_190_400);
    const HOUR: Duration = Duration::from_secs(3600);

    fn thread(wrote_at: Option<Timestamp>) -> Thread {
        Thread {
            address: Some(Address::Phone(WaId::new("5215555550123"))),
            user: None,
            address_at: None,
            window: Window::since(wrote_at),
            advert_at: None,
            advert_answered_at: None,
            overheard_at: None,
            active_at: NOW,
            contact: None,
            conversation: None,
            pending: false,
            profile: None,
        }
    }

    fn refusal(thread: Option<&Thread>, outgoing: &Outgoing, hold: Option<SendHold>) -> Option<SendFailure> {
        let recipient = Recipient { is_known: true, erased: false, thread };
        recipient.refusal(outgoing, hold, NOW)
    }

    #[test]
    fn nothing_goes_to_a_customer_who_is_erased_or_not_known() {
        let (thread, message) = (thread(Some(NOW)), Outgoing::new(NOW, 1));
        let recipient = |is_known, erased| {
            let recipient = Recipient { is_known, erased, thread: Some(&thread) };
            recipient.refusal(&message, None, NOW)
        };
        assert_eq!(recipient(true, false), None);
        assert_eq!(recipient(true, true), Some(SendFailure::Erased));
        assert_eq!(recipient(false, false), Some(SendFailure::NoRecipient));
    }

    #[test]
    fn text_goes_out_inside_the_window_and_a_template_always() {
        let text = Outgoing::new(NOW, 1);
        let mut template = Outgoing::new(NOW, 1);
        template.set_template();
        let (open, closed, never) = (thread(Some(NOW - HOUR)), thread(Some(NOW - 25 * HOUR)), thread(None));
        assert_eq!(refusal(Some(&open), &text, None), None);
        assert_eq!(refusal(Some(&closed), &text, None), Some(SendFailure::WindowClosed));
        assert_eq!(refusal(Some(&never), &text, None), Some(SendFailure::NeverWrote));
        assert_eq!(refusal(None, &text, None), Some(SendFailure::NeverWrote));
        let overheard = Thread { overheard_at: Some(NOW), ..thread(None) };
        assert_eq!(refusal(Some(&overheard), &text, None), Some(SendFailure::Standby));
        for window in [&open, &closed, &never] {
            assert_eq!(refusal(Some(window), &template, None), None);
        }
        assert_eq!(refusal(None, &template, None), Some(SendFailure::NoRecipient));
    }

    #[test]
    fn a_message_that_was_in_time_for_a_number_that_was_not_says_so() {
        let closed = thread(Some(NOW - 25 * HOUR));
        let hold = Some(SendHold::Paused);
        let asked = |hours: u32| Outgoing::new(NOW - hours * HOUR, 1);
        assert_eq!(refusal(Some(&closed), &asked(2), hold), Some(SendFailure::ChannelDown));
        assert_eq!(refusal(Some(&closed), &asked(0), hold), Some(SendFailure::WindowClosed));
    }

    #[test]
    fn what_could_not_be_sent_for_a_day_is_given_up() {
        let open = thread(Some(NOW - HOUR));
        let mut message = Outgoing::new(NOW - MAX_DELIVERY_TIME, 1);
        message.apply(0, PartEvent::Deferred { attempt: 0, awaited: Awaited::Meta, at: NOW }).unwrap();
        assert_eq!(refusal(Some(&open), &message, None), Some(SendFailure::Unreachable));
        let young = Outgoing::new(NOW - MAX_DELIVERY_TIME + Duration::from_millis(1), 1);
        assert_eq!(refusal(Some(&open), &young, None), None);
    }

    #[test]
    fn a_file_is_begun_only_where_there_is_time_for_it() {
        let file = |size| ListedFile { data_url: None, content_type: None, file_size: size, file_type: None };
        let (small, unknown) = (file(Some(1)), file(None));
        let time = |file, again| min_time_left(&PartContent::File { file, caption: None }, again);
        assert_eq!(min_time_left(&PartContent::Text(String::new()), false), CALL_MIN_TIME);
        assert!(CALL_MIN_TIME < time(&small, false) && time(&small, false) < time(&unknown, false));
        assert_eq!(time(&unknown, false), FILE_MIN_TIME);
        // One that never fits would never be tried.
        assert_eq!(time(&unknown, true), CALL_MIN_TIME + file_timeout(0));
    }
}
