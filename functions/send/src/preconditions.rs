//! This module decides what keeps a part from being sent. It checks the number, the customer, the window, and the time that is
//! left.

use std::time::Duration;

use domain::{
    Outgoing, Part, SendFailure, Timestamp, channel::SendHold, outgoing::MessageKind, template::Picked, window::Advert,
};
use store::Thread;
use whatsapp::{graph::file_timeout, media::MAX_MEDIA_BYTES};

use crate::{delivery::ConversationContext, parts};

/// How long a part that was certainly not sent is tried again.
const MAX_DELIVERY_TIME: Duration = Duration::from_secs(24 * 3600);

/// What a call takes at most, including the saves before and after it.
pub(crate) const CALL_MIN_TIME: Duration = Duration::from_secs(25);

/// What a file takes at most.
const FILE_MIN_TIME: Duration = Duration::from_secs(100);

/// Why a part has to wait for its number, if it has to. A template outside the window is begun by the business, which
/// more holds forbid.
pub(crate) fn send_hold(context: &ConversationContext<'_>, template: bool, now: Timestamp) -> Option<SendHold> {
    let open = context.thread.is_some_and(|thread| thread.window.is_open(now));
    if template && !open { context.channel.hold_begun(now) } else { context.channel.hold(now) }
}

/// Why a part must not be sent, if there is a reason.
pub(crate) fn refusal(
    with: &ConversationContext<'_>,
    part: &Part,
    hold: Option<SendHold>,
    outgoing: &Outgoing,
    now: Timestamp,
) -> Option<SendFailure> {
    let asked_at = outgoing.asked_at;
    if with.erased {
        return Some(SendFailure::Erased);
    }
    if with.customer.is_none() {
        return Some(SendFailure::NoRecipient);
    }
    // A customer known from elsewhere has no address here until they write here.
    let Some(thread) = with.thread.filter(|thread| thread.address.is_some()) else {
        let template = outgoing.nature == MessageKind::Template;
        return Some(if template { SendFailure::NoRecipient } else { SendFailure::NeverWrote });
    };
    if outgoing.nature != MessageKind::Template && !thread.window.is_open(now) {
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
    let tried = matches!(part, Part::Waiting { .. } | Part::Planned) && now.since(asked_at) >= MAX_DELIVERY_TIME;
    tried.then_some(too_long)
}

/// Whether Meta charges nothing now: an advert brought the customer, and they were answered in time.
fn is_free(thread: &Thread, now: Timestamp) -> bool {
    thread.advert().and_then(Advert::free_until).is_some_and(|until| now < until)
}

/// What a part may take of an invocation: a file is fetched and uploaded first. One that did not fit before (`again`) is begun
/// wherever it might just fit.
pub(crate) fn min_time_left(piece: &parts::PartContent<'_>, again: bool) -> Duration {
    match piece {
        parts::PartContent::Text(_) | parts::PartContent::Menu(_) | parts::PartContent::Location(_) => CALL_MIN_TIME,
        parts::PartContent::File { .. } | parts::PartContent::Template(Picked { file: Some(_), .. }) if again => {
            CALL_MIN_TIME + file_timeout(0)
        }
        parts::PartContent::File { file, .. } => {
            (CALL_MIN_TIME + file_timeout(file.file_size.unwrap_or(MAX_MEDIA_BYTES))).min(FILE_MIN_TIME)
        }
        parts::PartContent::Template(Picked { file: Some(_), .. }) => FILE_MIN_TIME,
        parts::PartContent::Template(_) => Duration::from_secs(35),
    }
}

pub(crate) fn has_file(piece: &parts::PartContent<'_>) -> bool {
    matches!(piece, parts::PartContent::File { .. } | parts::PartContent::Template(Picked { file: Some(_), .. }))
}

/// Whether the wait for a file of a message was in vain.
pub(crate) fn is_given_up(outgoing: &Outgoing) -> bool {
    let in_vain =
        |part: &Part| matches!(part, Part::Failed { failure: SendFailure::FileUnreadable | SendFailure::FileSlow, .. });
    outgoing.parts.iter().any(in_vain)
}

pub(crate) fn without_file(part: &Part, now: Timestamp) -> Duration {
    part.without_file_since().map_or(Duration::ZERO, |since| now.since(since))
}
