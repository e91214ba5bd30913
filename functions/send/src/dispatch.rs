//! One part on its way out: checked, written down, called, written down again. Between the two writes the truth is
//! unknown, and whoever finds a part there never sends it again by himself.

use std::time::Duration;

use app::{BridgeError, tell};
use chatwoot::{Chatwoot, listing::Listed};
use domain::{
    Channel, CustomerId, Identity, Part, Reference, Timestamp, Wamid,
    outgoing::{FileWay, Nature, SentFile},
    pacing::Pair,
    template::{Fault, Picked},
    words::{Line, Trouble},
};
use platform::Metric;
use secrecy::SecretString;
use serde_json::Value;
use store::{Conversation, Entry, Thread};
use tokio::time::{Instant, timeout_at};
use whatsapp::{
    compose::{self, Piece},
    graph::Accepted,
};

use crate::{
    Looked, Send,
    bounds::{CALL, has_file, hold, is_given_up, least_left, refusal, without_file},
    call::Called,
    plan::{self, plan_of},
    turn::Turn,
    upload::{NotUploaded, upload},
};

/// How long a file that Chatwoot announced may be missing.
pub(crate) const FILE_MISSING: Duration = Duration::from_secs(900);

/// How long Chatwoot's storage may be unwell.
const FILE_UNWELL: Duration = Duration::from_secs(3600);

/// When a part comes again for which too little time was left.
pub(crate) const PUT_BACK: Duration = Duration::from_secs(5);

/// When to look again at a part that somebody else is sending.
const ELSEWHERE: Duration = Duration::from_secs(30);

/// Whom a conversation is with.
pub(crate) struct With<'a> {
    pub(crate) chatwoot: &'a Chatwoot,
    pub(crate) channel: &'a Channel,
    pub(crate) conversation: &'a Conversation,
    pub(crate) customer: Option<&'a CustomerId>,
    pub(crate) thread: Option<&'a Thread>,
    /// Whether they asked that their data be erased.
    pub(crate) erased: bool,
    /// When the invocation should have ended.
    pub(crate) until: Instant,
}

impl Send {
    /// Sends what is left of a message. Ends early only when something has to wait.
    pub(crate) async fn drive(
        &self,
        with: &With<'_>,
        turn: &mut Turn,
        message: &Listed,
        picked: Option<&Picked>,
        entry: &mut Entry,
    ) -> Result<Looked, BridgeError> {
        while let Some(at) = entry.outgoing.next_part() {
            if let Part::Sending { attempt, .. } = entry.outgoing.parts[at] {
                // Whoever began this call did not live to tell how it ended.
                self.metrics.count(Metric::Uncertain);
                self.put(entry, at, Part::Uncertain { attempt }).await?;
                continue;
            }
            match self.part(with, turn, message, picked, entry, at).await? {
                Looked::UpToDate => {}
                waits => return Ok(waits),
            }
        }
        Ok(Looked::UpToDate)
    }

    /// The message stops the function each time: it fails in words, and what comes after goes on.
    pub(crate) async fn give_up(&self, entry: &mut Entry) -> Result<(), BridgeError> {
        let Some(at) = entry.outgoing.next_part() else { return Ok(()) };
        tracing::error!("a message that stops the function each time is given up");
        self.metrics.count(Metric::Poisoned);
        let given_up = match entry.outgoing.parts[at] {
            // It died with the call in hand.
            Part::Sending { attempt, .. } => Part::Uncertain { attempt },
            ref part => Part::Failed { attempt: part.attempt(), trouble: Trouble::Unworkable },
        };
        self.put(entry, at, given_up).await
    }

    /// Tells the agent what became of a message. A status may come in while that is being told; then there is more to tell.
    pub(crate) async fn show(&self, with: &With<'_>, message: &Listed, entry: &mut Entry) -> Result<(), BridgeError> {
        for _ in 0..4 {
            let named = |at| plan::file_name(message, &entry.outgoing, self.clients.locale, at);
            match tell(&self.clients, with.chatwoot, entry, named).await? {
                Some(told) => *entry = told,
                None => break,
            }
        }
        Ok(())
    }

    async fn part(
        &self,
        with: &With<'_>,
        turn: &mut Turn,
        message: &Listed,
        picked: Option<&Picked>,
        entry: &mut Entry,
        at: usize,
    ) -> Result<Looked, BridgeError> {
        let now = self.clients.clock.now();
        let part = entry.outgoing.parts[at].clone();
        let fail = |trouble| Part::Failed { attempt: part.attempt(), trouble };
        let template = entry.outgoing.nature == Nature::Template;
        let hold = hold(with, template, now);
        let pieces = match picked {
            _ if !template => plan_of(message, &entry.outgoing, self.clients.locale),
            Some(picked) => vec![plan::Piece::Template(picked)],
            None => Vec::new(),
        };
        let piece = match (refusal(with, &part, hold, &entry.outgoing, now), pieces.get(at)) {
            (None, Some(piece)) => piece,
            (refused, _) => {
                let nothing =
                    || if template { Trouble::Template { fault: Fault::Lost } } else { plan::nothing(message) };
                self.put(entry, at, fail(refused.unwrap_or_else(nothing))).await?;
                self.waited_in_vain(with, turn).await?;
                return Ok(Looked::UpToDate);
            }
        };
        if let Some(hold) = hold {
            return self.hold_back(with, turn, entry, at, hold).await;
        }
        if turn.is_over() {
            return Ok(Looked::OutOfTime);
        }
        if with.until.saturating_duration_since(Instant::now()) < least_left(piece, turn.is_again()) {
            if turn.has_sent() {
                return Ok(Looked::OutOfTime);
            }
            // At once it would be the same again, if what came before it takes as long each time.
            tracing::warn!(channel.id = %with.channel.phone_number_id, "too little time is left for a part; it is put back");
            return Ok(Looked::Waits { after: Some(PUT_BACK), at_most: None });
        }
        if let Some(after) = self.pace(turn) {
            return Ok(Looked::Soon { after });
        }
        let mut token = self.clients.token(with.channel).await?;
        // What comes after still has to fit into the invocation.
        let limit = with.until.checked_sub(CALL).unwrap_or(with.until);
        let ready = timeout_at(limit, self.ready(with, message, piece, &mut token)).await;
        let ready = ready.unwrap_or_else(|_| {
            tracing::warn!(channel.id = %with.channel.phone_number_id, "a file did not get to Meta within the time that was left");
            Err(if has_file(piece) { NotUploaded::Slow } else { NotUploaded::NotNow { after: None } })
        });
        let words_apart = matches!(piece, plan::Piece::File { caption: Some(_), .. });
        // What is not there for one file of a message has had its time for the next as well.
        let waited = if is_given_up(&entry.outgoing) { FILE_UNWELL } else { without_file(&part, now) };
        let (piece, way) = match ready {
            Ok(ready) => ready,
            Err(NotUploaded::Missing) if waited < FILE_MISSING => {
                return self.wait_for_file(with, turn, entry, at).await;
            }
            Err(NotUploaded::Unwell | NotUploaded::Slow) if waited < FILE_UNWELL => {
                return self.wait_for_file(with, turn, entry, at).await;
            }
            Err(NotUploaded::NotNow { after }) => return self.wait(with, turn, entry, at, after).await,
            Err(never) => {
                let trouble = match never.trouble() {
                    Trouble::FileUnreadable if template => Trouble::Template { fault: Fault::FileUnreadable },
                    trouble => trouble,
                };
                let words_apart = words_apart && entry.outgoing.is_of_file(at, trouble);
                self.put_with(entry, at, fail(trouble), words_apart).await?;
                self.waited_in_vain(with, turn).await?;
                return Ok(Looked::UpToDate);
            }
        };
        if let Piece::File { id, .. } = &piece {
            self.note_upload(with, id).await?;
        }
        // A file takes its time: what follows is asked as late as can be.
        if let Some(trouble) = refusal(with, &part, None, &entry.outgoing, self.clients.clock.now()) {
            self.put(entry, at, fail(trouble)).await?;
            self.waited_in_vain(with, turn).await?;
            return Ok(Looked::UpToDate);
        }
        let passage = match self.place(with).await? {
            Ok(passage) => passage,
            Err(after) => return Ok(Looked::Soon { after }),
        };
        let attempt = part.attempt() + 1;
        let Some(body) = body(with, entry, at, attempt, &piece) else {
            self.put(entry, at, fail(Trouble::NoRecipient)).await?;
            return Ok(Looked::UpToDate);
        };
        let file = way.map(|way| SentFile { part: at, captioned: words_apart, way });
        if !self.begin(entry, at, &part, attempt, file).await? {
            let settled = matches!(entry.outgoing.parts[at], Part::Accepted { .. });
            return Ok(if settled {
                Looked::UpToDate
            } else {
                Looked::Waits { after: Some(ELSEWHERE), at_most: None }
            });
        }
        // That write may have taken longer than the place lasts.
        let passage = match self.in_time(with, passage).await {
            Ok(Some(passage)) => passage,
            // Nothing was called: the part stands as it stood, and comes again.
            not => {
                self.put(entry, at, part).await?;
                return not.map(|_| Looked::Soon { after: PUT_BACK });
            }
        };
        let called = self.call(with, passage, &body, &token).await;
        let now = self.clients.clock.now();
        turn.sent(now);
        match called {
            Called::Accepted(accepted) => {
                self.metrics.count(Metric::Sent);
                self.learn(with, &accepted).await;
                *entry = self.accepted(with, entry.clone(), at, attempt, accepted).await?;
                self.advert_answered(with, now).await;
                self.clients.conversations.sent(with.conversation, turn.pair).await?;
                let end = if part.without_file_since().is_some() { Line::FileCame } else { Line::SendingGoesOn };
                self.goes_on(with, turn, end).await;
                Ok(Looked::UpToDate)
            }
            Called::Never(trouble) => {
                if let Some(hold) = self.held_meanwhile(with).await? {
                    return self.hold_back(with, turn, entry, at, hold).await;
                }
                let words_apart = words_apart && entry.outgoing.is_of_file(at, trouble);
                self.put_with(entry, at, Part::Failed { attempt, trouble }, words_apart).await?;
                self.waited_in_vain(with, turn).await?;
                Ok(Looked::UpToDate)
            }
            Called::Uncertain => {
                self.metrics.count(Metric::Uncertain);
                self.put(entry, at, Part::Uncertain { attempt }).await?;
                // Meta may count it.
                self.clients.conversations.paced(with.conversation, turn.pair).await?;
                Ok(Looked::UpToDate)
            }
            Called::TooFast { after } => {
                turn.pair = Pair::exhausted(now);
                self.clients.conversations.paced(with.conversation, turn.pair).await?;
                self.wait(with, turn, entry, at, after).await
            }
            Called::NotNow { after } => self.wait(with, turn, entry, at, after).await,
        }
    }

    /// What the call sends, and how its file goes; one that can be is uploaded first.
    async fn ready(
        &self,
        with: &With<'_>,
        message: &Listed,
        piece: &plan::Piece<'_>,
        token: &mut SecretString,
    ) -> Result<(Piece, Option<FileWay>), NotUploaded> {
        let (file, caption) = match piece {
            plan::Piece::Template(picked) => {
                let ready = match self.template(with, message, picked, token).await {
                    Err(NotUploaded::Unauthorized) => {
                        *token =
                            self.clients.renew_token(with.channel, token).await.ok_or(NotUploaded::Unauthorized)?;
                        self.template(with, message, picked, token).await
                    }
                    ready => ready,
                };
                return ready.map(|template| (template, None));
            }
            plan::Piece::Text(text) => return Ok((Piece::Text(text.clone()), None)),
            plan::Piece::Menu(menu) => return Ok((Piece::Menu(menu.clone()), None)),
            plan::Piece::Location(place) => return Ok((Piece::Location(place.clone()), None)),
            plan::Piece::File { file, caption } => (*file, caption.as_deref()),
        };
        match upload(&self.clients, with.chatwoot, with.channel, token, file, caption).await {
            Err(NotUploaded::Unauthorized) => {
                *token = self.clients.renew_token(with.channel, token).await.ok_or(NotUploaded::Unauthorized)?;
                upload(&self.clients, with.chatwoot, with.channel, token, file, caption).await
            }
            uploaded => uploaded,
        }
    }

    /// Meta's id of the quoted message: Chatwoot knows it for what came in, the outbox for what went out.
    pub(crate) async fn quote(&self, with: &With<'_>, message: &Listed) -> Result<Option<Wamid>, BridgeError> {
        let (id, external) = message.quotes();
        if let Some(external) = external.filter(|id| !id.starts_with("lmotos:")) {
            return Ok(Some(Wamid::new(external)));
        }
        let Some(id) = id else { return Ok(None) };
        let conversation = with.conversation;
        let quoted = self.clients.outbox.get(conversation.account, conversation.conversation, id).await?;
        Ok(quoted.and_then(|entry| entry.outgoing.parts.iter().find_map(Part::wamid).cloned()))
    }

    /// The answer may spell the recipient's number differently, and name the user id (§4.1). Whatever comes of it, the
    /// message is out.
    async fn learn(&self, with: &With<'_>, accepted: &Accepted) {
        let Some((customer, address)) = with.customer.zip(with.thread.and_then(|thread| thread.address.as_ref()))
        else {
            return;
        };
        let sent_to = address.identity();
        let known = sent_to.aliases(&self.clients.key);
        let identity = Identity {
            user_id: accepted.user_id.clone().or(sent_to.user_id),
            wa_id: accepted.wa_id.clone().filter(|_| sent_to.phone.is_some()),
            phone: sent_to.phone.or_else(|| accepted.wa_id.clone()),
            group: sent_to.group,
            parent: None,
        };
        // Their own address led to them a moment ago.
        if identity.aliases(&self.clients.key) == known {
            return;
        }
        let now = self.clients.clock.now();
        if let Err(error) = self.clients.customers.learn(with.channel.account, customer, &identity, now).await {
            tracing::warn!(%error, "what Meta tells of a recipient was not noted; the next status tells it again");
        }
    }

    /// The first answer after an advert makes what follows free for a while. Only words depend on it.
    async fn advert_answered(&self, with: &With<'_>, now: Timestamp) {
        let Some((customer, thread)) = with.customer.zip(with.thread) else { return };
        if !thread.advert().is_some_and(|advert| advert.waits_for_answer(now)) {
            return;
        }
        let number = &with.channel.phone_number_id;
        if let Err(error) = self.clients.customers.advert_answered(customer, number).await {
            tracing::warn!(%error, "that an advert's customer was answered was not noted");
        }
    }
}

/// The body of the call, whole before the part is written down as being sent; nothing if there is nobody to send to.
fn body(with: &With<'_>, entry: &Entry, at: usize, attempt: u32, piece: &Piece) -> Option<Value> {
    let to = with.thread.and_then(|thread| thread.address.as_ref())?;
    let quote = entry.outgoing.quote_of(at);
    let (account, conversation, message) = (entry.account, entry.conversation, entry.message);
    let reference = Reference { account, conversation, message, part: at, attempt };
    Some(compose::message(to, piece, quote, &reference))
}
