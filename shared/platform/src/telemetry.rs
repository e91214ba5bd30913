//! Writes logs: one line an event on standard error.
//! Format and level are those that Lambda's settings ask for.

use std::str::FromStr as _;

use tracing_subscriber::{
    filter::{LevelFilter, Targets},
    fmt,
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

use crate::{Environment, Setting};

/// The crates whose lines follow the level asked for. All others stay at `WARN`, whatever is asked for: libraries write
/// addresses, headers and bodies into their finer lines.
const OUR_CRATES: [&str; 20] = [
    "app",
    "callback",
    "chatwoot",
    "deletion",
    "domain",
    "erasure",
    "forward",
    "history",
    "ledger",
    "markup",
    "platform",
    "queue",
    "reconcile",
    "retention",
    "send",
    "signup",
    "store",
    "texts",
    "webhook",
    "whatsapp",
];

/// Starts logging. Called once, first thing in `main`.
pub fn init() {
    let env = Environment::process();
    let level = env.optional(Setting::LogLevel).or_else(|| env.optional(Setting::RustLog));
    let level = level.and_then(|level| LevelFilter::from_str(&level).ok()).unwrap_or(LevelFilter::INFO);
    // Names and levels, compared as plain text: an `EnvFilter` would bring an engine for regular expressions along.
    let filter = Targets::new().with_default(LevelFilter::WARN).with_targets(OUR_CRATES.map(|name| (name, level)));
    // A line that cannot be written is lost. Reporting that on the same standard error would panic outside of any handler, and
    // end the process.
    let lines = fmt::layer().with_writer(std::io::stderr).with_target(false).without_time().log_internal_errors(false);
    let subscriber = tracing_subscriber::registry().with(filter);
    if env.optional(Setting::LogFormat).is_some_and(|format| format.eq_ignore_ascii_case("json")) {
        subscriber.with(lines.json()).init();
    } else {
        subscriber.with(lines).init();
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::OUR_CRATES;

    #[test]
    fn no_crate_that_ships_is_silenced() {
        let top = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
        let folders = ["functions", "shared"].into_iter().flat_map(|folder| fs::read_dir(top.join(folder)).unwrap());
        let mut ours: Vec<String> = folders
            .filter(|entry| entry.as_ref().unwrap().path().join("Cargo.toml").is_file())
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        ours.sort();
        assert_eq!(OUR_CRATES.as_slice(), ours);
    }
}
