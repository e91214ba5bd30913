use std::{
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::MovableClock;

/// What goes wrong with a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "effect", rename_all = "snake_case")]
pub enum Effect {
    /// The line is cut before anything was done: nothing happened, but the caller cannot know.
    DropBefore,
    /// The work is done, then the line is cut without an answer.
    DropAfter,
    /// Nothing is done and no answer ever comes.
    HangBefore,
    /// The work is done and no answer ever comes.
    HangAfter,
    /// The work is done, and the answer takes its time.
    Slow {
        /// How long, in milliseconds of the machine's time.
        millis: u64,
    },
    /// The work is done, and by the clock of the doubles the answer comes so much later.
    Late {
        /// How long, in milliseconds of that clock.
        millis: u64,
    },
    /// Nothing is done; this answer comes instead, as from a proxy, a rate limit or a broken server.
    Answer {
        /// The HTTP status.
        status: u16,
        /// The `content-type` header.
        #[serde(default = "html")]
        content_type: String,
        /// The body, as it is.
        #[serde(default)]
        body: String,
    },
    /// Nothing is done; this answer comes instead, with headers that tell more.
    AnswerWith {
        /// The HTTP status.
        status: u16,
        /// The headers.
        headers: Vec<(String, String)>,
        /// The body, as it is.
        #[serde(default)]
        body: String,
    },
    /// The work is done, then this answer comes instead of the true one.
    AnswerAfter {
        /// The HTTP status.
        status: u16,
        /// The `content-type` header.
        #[serde(default = "html")]
        content_type: String,
        /// The body, as it is.
        #[serde(default)]
        body: String,
    },
}

fn html() -> String {
    "text/html".into()
}

/// A fault that waits for the calls it names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// The HTTP method, or any.
    #[serde(default)]
    pub method: Option<String>,
    /// A part of the path; `/messages` names every path that contains it. Empty names all. At AWS the
    /// operation (`X-Amz-Target`) stands behind the path.
    #[serde(default)]
    pub path: String,
    /// Calls to let pass before the first one is hit.
    #[serde(default)]
    pub skip: u32,
    /// How many calls are hit; absent means until it is cleared.
    #[serde(default)]
    pub times: Option<u32>,
    /// What happens to them.
    #[serde(flatten)]
    pub effect: Effect,
}

/// The faults that are switched on.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    faults: Arc<Mutex<Vec<Fault>>>,
    /// The clock that late answers move.
    clock: Arc<OnceLock<MovableClock>>,
}

impl Faults {
    /// None yet, on a line whose late answers move this clock.
    pub fn by(clock: MovableClock) -> Self {
        let faults = Self::default();
        faults.move_clock(clock);
        faults
    }

    /// From now on late answers move this clock, unless they move one already.
    pub fn move_clock(&self, clock: MovableClock) {
        let _ = self.clock.set(clock);
    }

    /// An answer is late.
    pub(crate) fn late(&self, millis: u64) {
        if let Some(clock) = self.clock.get() {
            clock.advance(Duration::from_millis(millis));
        }
    }

    /// Switches one on.
    pub fn add(&self, fault: Fault) {
        self.lock().push(fault);
    }

    /// Switches all off.
    pub fn clear(&self) {
        self.lock().clear();
    }

    /// The faults still waiting.
    pub fn list(&self) -> Vec<Fault> {
        self.lock().clone()
    }

    /// The effect on this call, if any; counts it.
    pub(crate) fn take(&self, method: &str, path: &str) -> Option<Effect> {
        let mut faults = self.lock();
        let at = faults.iter_mut().position(|fault| {
            let named = fault.method.as_deref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
                && path.contains(&fault.path);
            if named && fault.skip > 0 {
                fault.skip -= 1;
                return false;
            }
            named
        })?;
        let effect = faults[at].effect.clone();
        if let Some(times) = &mut faults[at].times {
            *times = times.saturating_sub(1);
            if *times == 0 {
                faults.remove(at);
            }
        }
        Some(effect)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Fault>> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
