//! Logs: one line an event on standard error, in the format and at the level that Lambda's settings ask for.

use std::str::FromStr as _;

use tracing_subscriber::{
    filter::{LevelFilter, Targets},
    fmt,
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

use crate::Environment;

/// The crates whose lines follow the level asked for. Everybody else stays at `WARN`, whatever is asked for: libraries write
/// addresses, headers and bodies into their finer lines.
const OURS: [&str; 12] = [
    "bridge",
    "callback",
    "chatwoot",
    "domain",
    "forward",
    "platform",
    "queue",
    "reconcile",
    "send",
    "store",
    "webhook",
    "whatsapp",
];

/// Starts logging. Called once, first thing in `main`.
pub fn init() {
    let env = Environment::process();
    let level = env.optional("AWS_LAMBDA_LOG_LEVEL").or_else(|| env.optional("RUST_LOG"));
    let level = level.and_then(|level| LevelFilter::from_str(&level).ok()).unwrap_or(LevelFilter::INFO);
    // Names and levels, compared as they stand: an `EnvFilter` would bring an engine for regular expressions along.
    let filter = Targets::new().with_default(LevelFilter::WARN).with_targets(OURS.map(|name| (name, level)));
    // A line that cannot be written is lost. To tell that on the same standard error would panic outside of any handler, and end
    // the process.
    let lines = fmt::layer().with_writer(std::io::stderr).with_target(false).without_time().log_internal_errors(false);
    let subscriber = tracing_subscriber::registry().with(filter);
    if env.optional("AWS_LAMBDA_LOG_FORMAT").is_some_and(|format| format.eq_ignore_ascii_case("json")) {
        subscriber.with(lines.json()).init();
    } else {
        subscriber.with(lines).init();
    }
}
