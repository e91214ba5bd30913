//! Tells the page how far a signup is: states and counts, no token, no number in full.

use domain::{
    Signup, Timestamp,
    channel::Mode,
    history::ImportState,
    signup::{Need, OnceOnly, SignupStep, Spent},
};
use serde_json::{Value, json};
use store::ImportProgress;

/// The steps that the page shows, in order.
const SHOWN: [(SignupStep, &str); 8] = [
    (SignupStep::Token, "token"),
    (SignupStep::Assets, "assets"),
    (SignupStep::Inbox, "inbox"),
    (SignupStep::Channel, "channel"),
    (SignupStep::Subscribed, "subscribed"),
    (SignupStep::Register, "register"),
    (SignupStep::Contacts, "contacts"),
    (SignupStep::History, "history"),
];

/// How far it is.
pub(crate) fn tell(signup: &Signup, past: Option<&ImportProgress>, now: Timestamp) -> Value {
    let state = match (signup.step, &signup.need, signup.fault) {
        (SignupStep::Done, ..) => "done",
        (_, Some(_), _) => "needs",
        (SignupStep::Open, None, Some(_)) => "failed",
        (SignupStep::Open, None, None) if !signup.is_exchanging() => "open",
        _ => "working",
    };
    let mut told = json!({ "state": state });
    if let Some(fault) = signup.fault {
        told["reason"] = json!(fault);
    }
    if let Some(session) = &signup.session {
        told["session_id"] = json!(session);
    }
    if signup.step == SignupStep::Open && !signup.is_exchanging() {
        return told;
    }
    told["mode"] = json!(signup.found.unwrap_or(signup.asked));
    if !signup.ending.is_empty() {
        told["number"] = format!("•••• {}", signup.ending).into();
    }
    told["steps"] =
        SHOWN.iter().map(|(step, word)| json!({ "step": word, "state": state_of(signup, *step) })).collect();
    match &signup.need {
        Some(Need::Choice { of }) => {
            told["need"] = "choice".into();
            let shown = |one: &domain::signup::Candidate| json!({ "number": one.number, "name": one.name, "ending": format!("•••• {}", one.ending) });
            told["of"] = of.iter().map(shown).collect();
        }
        Some(Need::Mode) => told["need"] = "mode".into(),
        Some(Need::Verification) => {
            told["need"] = "verification".into();
            (told["why"], told["channels"]) = ("NOT_VERIFIED".into(), json!(["SMS", "VOICE"]));
            told["sent"] = signup.code_asked_at.is_some().into();
        }
        Some(Need::Pin { tries_left }) => {
            told["need"] = "pin".into();
            (told["why"], told["tries_left"]) = ("133005".into(), json!(tries_left));
        }
        None => {}
    }
    if signup.step == SignupStep::Done {
        told["inbox"] = json!(signup.inbox);
    }
    if signup.wants_past() {
        told["history"] = history(signup, past, now);
    }
    told
}

/// The same for an answer that could not be taken now, and is to be given again.
pub(crate) fn again(signup: &Signup, now: Timestamp) -> Value {
    let mut told = tell(signup, None, now);
    told["again"] = true.into();
    told
}

fn state_of(signup: &Signup, step: SignupStep) -> &'static str {
    let is_done = signup.step >= step;
    let skipped = match step {
        SignupStep::Register => signup.found == Some(Mode::Coexistence),
        SignupStep::Contacts | SignupStep::History => !signup.wants_past(),
        _ => false,
    };
    let spent = |once| matches!(once, OnceOnly::Spent { why: Spent::TooLate, .. });
    match step {
        _ if is_done && skipped => "skipped",
        SignupStep::Contacts if is_done && spent(signup.contacts) => "late",
        SignupStep::History if is_done && spent(signup.history) => "late",
        _ if is_done => "done",
        _ if next(signup.step) == Some(step) => "working",
        _ => "waiting",
    }
}

fn next(step: SignupStep) -> Option<SignupStep> {
    SHOWN.iter().map(|(shown, _)| *shown).find(|shown| *shown > step)
}

fn history(signup: &Signup, past: Option<&ImportProgress>, now: Timestamp) -> Value {
    match signup.history {
        OnceOnly::None => return json!({ "state": "waiting" }),
        OnceOnly::Spent { why: Spent::TooLate, .. } => return json!({ "state": "too_late" }),
        _ => {}
    }
    let Some(past) = past else { return json!({ "state": "asked" }) };
    let word = match past.state(now) {
        ImportState::Asked => "asked",
        ImportState::Receiving { .. } => "receiving",
        ImportState::Copying { .. } => "copying",
        ImportState::Done => "done",
        ImportState::NotShared => "not_shared",
        ImportState::TooLate => "too_late",
        ImportState::Nothing => "nothing",
    };
    json!({ "state": word, "percent": past.transfer.progress, "messages": past.counts.received,
        "written": past.counts.written, "skipped": past.counts.refused })
}
