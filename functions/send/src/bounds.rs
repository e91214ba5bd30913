//! What keeps a part from going out: its number, the customer, the window, and the time that is left.

use std::time::Duration;

use domain::{
    Outgoing, Part, Timestamp, channel::Hold, outgoing::Nature, template::Picked, window::Advert, words::Trouble,
};
use store::Thread;
use whatsapp::{graph::file_timeout, media::LIMIT};

use crate::{dispatch::With, plan};

/// How long what was certainly not sent is tried again.
const TRIED_FOR: Duration = Duration::from_secs(24 * 3600);

/// What a call takes at most, with what is written down before and after it.
pub(crate) const CALL: Duration = Duration::from_secs(25);

/// What a file takes at most.
const FILE: Duration = Duration::from_secs(100);

/// Why a part has to wait for its number, if it has to. A template outside the window begins something.
pub(crate) fn hold(with: &With<'_>, template: bool, now: Timestamp) -> Option<Hold> {
    let open = with.thread.is_some_and(|thread| thread.window.is_open(now));
    if template && !open { with.channel.hold_begun(now) } else { with.channel.hold(now) }
}

/// Why a part must not be sent, if so.
pub(crate) fn refusal(
    with: &With<'_>,
    part: &Part,
    hold: Option<Hold>,
    outgoing: &Outgoing,
    now: Timestamp,
) -> Option<Trouble> {
    let asked_at = outgoing.asked_at;
    if with.erased {
        return Some(Trouble::Erased);
    }
    if with.customer.is_none() {
        return Some(Trouble::NoRecipient);
    }
    // Somebody known from elsewhere has no address here until they write here.
    let Some(thread) = with.thread.filter(|thread| thread.address.is_some()) else {
        let template = outgoing.nature == Nature::Template;
        return Some(if template { Trouble::NoRecipient } else { Trouble::NeverWrote });
    };
    if outgoing.nature != Nature::Template && !thread.window.is_open(now) {
        return Some(match thread.window.start() {
            None if thread.overheard_at.is_some() => Trouble::Standby,
            None => Trouble::NeverWrote,
            // It was in time; the number was not.
            Some(_) if hold.is_some() && thread.window.is_open(asked_at) => Trouble::ChannelDown,
            Some(_) if is_free(thread, now) => Trouble::WindowClosedFree,
            Some(_) => Trouble::WindowClosed,
        });
    }
    let too_long = if hold.is_some() { Trouble::ChannelDown } else { Trouble::Unreachable };
    let tried = matches!(part, Part::Waiting { .. } | Part::Planned) && now.since(asked_at) >= TRIED_FOR;
    tried.then_some(too_long)
}

/// Whether Meta charges nothing now: an advert brought the customer, and they were answered in time.
fn is_free(thread: &Thread, now: Timestamp) -> bool {
    thread.advert().and_then(Advert::free_until).is_some_and(|until| now < until)
}

/// What a part may take of an invocation: a file is fetched and uploaded first. One that did not fit (`again`) is begun wherever
/// it may fit.
pub(crate) fn least_left(piece: &plan::Piece<'_>, again: bool) -> Duration {
    match piece {
        plan::Piece::Text(_) | plan::Piece::Menu(_) | plan::Piece::Location(_) => CALL,
        plan::Piece::File { .. } | plan::Piece::Template(Picked { file: Some(_), .. }) if again => {
            CALL + file_timeout(0)
        }
        plan::Piece::File { file, .. } => (CALL + file_timeout(file.file_size.unwrap_or(LIMIT))).min(FILE),
        plan::Piece::Template(Picked { file: Some(_), .. }) => FILE,
        plan::Piece::Template(_) => Duration::from_secs(35),
    }
}

pub(crate) fn has_file(piece: &plan::Piece<'_>) -> bool {
    matches!(piece, plan::Piece::File { .. } | plan::Piece::Template(Picked { file: Some(_), .. }))
}

/// Whether a file of a message was waited for in vain.
pub(crate) fn is_given_up(outgoing: &Outgoing) -> bool {
    let in_vain =
        |part: &Part| matches!(part, Part::Failed { trouble: Trouble::FileUnreadable | Trouble::FileSlow, .. });
    outgoing.parts.iter().any(in_vain)
}

pub(crate) fn without_file(part: &Part, now: Timestamp) -> Duration {
    part.without_file_since().map_or(Duration::ZERO, |since| now.since(since))
}
