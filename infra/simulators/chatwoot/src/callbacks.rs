//! The callbacks waiting to be posted, what was posted, and the switches for everything that goes wrong on the way.
//!
//! Chatwoot posts each callback once, in no particular order, with 5 s to answer. By default they leave here in order and at once.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::Serialize;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::event::Event;

/// The log keeps this many.
const MAX_LOGGED: usize = 20_000;

/// How a callback is doubled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duplicate {
    /// A worker died after posting and its job runs again: the same `X-Chatwoot-Delivery`.
    SameDelivery,
    /// The event itself was handled twice: a new delivery id for the same message.
    NewDelivery,
}

/// One post, or one that was lost.
#[derive(Clone, Debug, Serialize)]
pub struct Post {
    /// `message_created` and so on.
    pub event: String,
    /// The inbox it was about.
    pub inbox: i64,
    /// The conversation it was about.
    pub conversation: i64,
    /// The message it was about, if it was about one.
    pub message: Option<i64>,
    /// `X-Chatwoot-Delivery`.
    pub delivery: String,
    /// The status it was answered with; absent if no answer came, or it was lost before.
    pub status: Option<u16>,
    /// What Chatwoot says went wrong; absent if nothing did.
    pub error: Option<String>,
    /// It never left.
    pub lost: bool,
}

/// The switches and the log. Counters of lost and doubled callbacks count those about messages only; the others pass.
#[derive(Clone, Debug)]
pub struct Callbacks {
    line: Arc<Mutex<Line>>,
    /// There may be something to post.
    work: Arc<Notify>,
    /// There may be nothing left to post.
    rest: Arc<Notify>,
}

#[derive(Debug)]
struct Line {
    waiting: VecDeque<Event>,
    posting: usize,
    lose: u32,
    duplicate: u32,
    duplicate_kind: Duplicate,
    shuffle: Option<u64>,
    held: bool,
    retries: bool,
    older: bool,
    timeout: Duration,
    log: VecDeque<Post>,
}

/// How the next post is to be made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    pub attempts: u32,
    pub older: bool,
    pub timeout: Duration,
}

impl Default for Callbacks {
    fn default() -> Self {
        let line = Line {
            waiting: VecDeque::new(),
            posting: 0,
            lose: 0,
            duplicate: 0,
            duplicate_kind: Duplicate::NewDelivery,
            shuffle: None,
            held: false,
            retries: false,
            older: false,
            timeout: Duration::from_secs(5),
            log: VecDeque::new(),
        };
        Self { line: Arc::new(Mutex::new(line)), work: Arc::default(), rest: Arc::default() }
    }
}

impl Callbacks {
    /// The next `count` callbacks about messages are never posted.
    pub fn lose(&self, count: u32) {
        self.line().lose = count;
    }

    /// The next `count` callbacks about messages are posted twice.
    pub fn duplicate(&self, count: u32, kind: Duplicate) {
        let mut line = self.line();
        (line.duplicate, line.duplicate_kind) = (count, kind);
    }

    /// From now on whatever waits is taken in an order that follows from `seed`. Together with [`Callbacks::hold`] and
    /// [`Callbacks::release`] it stages a swap.
    pub fn shuffle(&self, seed: u64) {
        self.line().shuffle = Some(seed | 1);
    }

    /// Back to the order of the events.
    pub fn in_order(&self) {
        self.line().shuffle = None;
    }

    /// Keeps callbacks back until they are released. Their bodies are built when they leave, from the state of that moment.
    pub fn hold(&self) {
        self.line().held = true;
        self.rest.notify_waiters();
    }

    /// Lets the held ones go, and the following ones at once.
    pub fn release(&self) {
        self.line().held = false;
        self.work.notify_waiters();
    }

    /// The announced change: three attempts on time-outs, 429 and 5xx, with the same delivery id and a fresh signature.
    pub fn retry_three_times(&self, on: bool) {
        self.line().retries = on;
    }

    /// As before 4.13: no signature, no `conversation.account`, no `assignee_type`, no `content_type` of attachments.
    pub fn like_older_versions(&self, on: bool) {
        self.line().older = on;
    }

    /// How long an answer may take; 5 s unless told.
    pub fn set_timeout(&self, timeout: Duration) {
        self.line().timeout = timeout;
    }

    /// Every post so far, in order; the oldest are dropped after some ten thousand.
    pub fn log(&self) -> Vec<Post> {
        self.line().log.iter().cloned().collect()
    }

    /// How many wait, held ones included.
    pub fn waiting(&self) -> usize {
        self.line().waiting.len()
    }

    /// Whether callbacks are being held.
    pub fn held(&self) -> bool {
        self.line().held
    }

    pub(crate) fn push(&self, event: Event) {
        self.line().waiting.push_back(event);
        self.work.notify_waiters();
    }

    pub(crate) fn record(&self, post: Post) {
        self.line().record(post);
    }

    /// The next event to post and how, once there is one; it counts as being posted until [`Callbacks::done`].
    pub(crate) async fn next(&self) -> (Event, Manner) {
        loop {
            let work = self.work.notified();
            tokio::pin!(work);
            work.as_mut().enable();
            if let Some(next) = self.take() {
                return next;
            }
            // Losing the last one leaves nothing to post either.
            self.rest.notify_waiters();
            work.await;
        }
    }

    /// The event that [`Callbacks::next`] gave out has been dealt with.
    pub(crate) fn done(&self) {
        self.line().posting -= 1;
        self.rest.notify_waiters();
    }

    /// Waits until nothing is being posted and nothing waits, held ones excepted.
    pub(crate) async fn settled(&self) {
        loop {
            let rest = self.rest.notified();
            tokio::pin!(rest);
            rest.as_mut().enable();
            if self.line().idle() {
                return;
            }
            rest.await;
        }
    }

    fn take(&self) -> Option<(Event, Manner)> {
        let mut line = self.line();
        loop {
            let event = line.take()?;
            if event.message().is_some() && line.lose > 0 {
                line.lose -= 1;
                let lost = Post { lost: true, ..event.post() };
                line.record(lost);
                continue;
            }
            if event.message().is_some() && line.duplicate > 0 && !event.repeated {
                line.duplicate -= 1;
                let delivery = match line.duplicate_kind {
                    Duplicate::SameDelivery => event.delivery,
                    Duplicate::NewDelivery => Uuid::new_v4(),
                };
                line.waiting.push_front(Event { delivery, repeated: true, ..event.clone() });
            }
            line.posting += 1;
            let attempts = if line.retries { 3 } else { 1 };
            return Some((event, Manner { attempts, older: line.older, timeout: line.timeout }));
        }
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    fn record(&mut self, post: Post) {
        if self.log.len() == MAX_LOGGED {
            self.log.pop_front();
        }
        self.log.push_back(post);
    }

    fn idle(&self) -> bool {
        self.posting == 0 && (self.held || self.waiting.is_empty())
    }

    fn take(&mut self) -> Option<Event> {
        if self.held || self.waiting.is_empty() {
            return None;
        }
        let Some(seed) = &mut self.shuffle else { return self.waiting.pop_front() };
        // xorshift: the same seed always gives the same order.
        *seed ^= *seed << 13;
        *seed ^= *seed >> 7;
        *seed ^= *seed << 17;
        let at = usize::try_from(*seed % (self.waiting.len() as u64)).unwrap_or(0);
        self.waiting.remove(at)
    }
}
