//! Writes logs: one line an event on standard error.
//! Format and level are those that Lambda's settings ask for.

use std::str::FromStr as _;

use tracing::Subscriber;
use tracing_subscriber::{
    filter::{LevelFilter, Targets},
    fmt::{self, MakeWriter},
    layer::{Layer as _, SubscriberExt as _},
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
    let (level, wrong) = level(&Environment::process());
    subscriber(&Environment::process(), level, std::io::stderr).init();
    if let Some(setting) = wrong {
        tracing::warn!(setting = setting.name(), "the log level asked for is none; INFO applies");
    }
}

/// The level that is asked for, and the setting that asks for one that does not exist.
fn level(env: &Environment) -> (LevelFilter, Option<Setting>) {
    let asked =
        [Setting::LogLevel, Setting::RustLog].into_iter().find_map(|setting| Some((setting, env.optional(setting)?)));
    let Some((setting, level)) = asked else { return (LevelFilter::INFO, None) };
    // Lambda has a level above all others that tracing lacks.
    let level = if level.eq_ignore_ascii_case("fatal") { "error" } else { &level };
    LevelFilter::from_str(level).map_or((LevelFilter::INFO, Some(setting)), |level| (level, None))
}

/// What writes the lines.
fn subscriber<W>(env: &Environment, level: LevelFilter, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    // Names and levels, compared as plain text: an `EnvFilter` would bring an engine for regular expressions along.
    let filter = Targets::new().with_default(LevelFilter::WARN).with_targets(OUR_CRATES.map(|name| (name, level)));
    // A line that cannot be written is lost. Reporting that on the same standard error would panic outside of any handler, and
    // end the process.
    let lines = fmt::layer().with_writer(writer).with_target(false).without_time().log_internal_errors(false);
    let json = env.optional(Setting::LogFormat).is_some_and(|format| format.eq_ignore_ascii_case("json"));
    let lines = if json { lines.json().boxed() } else { lines.boxed() };
    tracing_subscriber::registry().with(filter).with(lines)
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        io::{self, Write},
        path::Path,
        sync::{Arc, Mutex},
    };

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(line)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is written in this environment of a line of each level, ours and a library's.
    fn written(settings: &[(&str, &str)]) -> Vec<String> {
        let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let env = Environment::given(settings);
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = subscriber(&env, level(&env).0, move || writer.clone());
        tracing::subscriber::with_default(subscriber, || {
            tracing::error!(target: "forward", code = 7, "one\ntwo");
            tracing::warn!(target: "forward", "w");
            tracing::info!(target: "forward", "i");
            tracing::debug!(target: "forward::message", "d");
            tracing::warn!(target: "hyper", "of a library");
            tracing::info!(target: "hyper", "a header, an address");
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn each_line_of_json_is_one_event_with_its_level_and_its_fields() {
        let lines = written(&[("AWS_LAMBDA_LOG_FORMAT", "JSON"), ("AWS_LAMBDA_LOG_LEVEL", "DEBUG")]);
        let lines: Vec<serde_json::Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        let told: Vec<_> =
            lines.iter().map(|line| (line["level"].as_str().unwrap(), &line["fields"]["message"])).collect();
        let expected = [("ERROR", "one\ntwo"), ("WARN", "w"), ("INFO", "i"), ("DEBUG", "d"), ("WARN", "of a library")];
        assert_eq!(told.len(), expected.len(), "{told:?}");
        for ((level, message), expected) in told.into_iter().zip(expected) {
            assert_eq!((level, message.as_str().unwrap()), expected);
        }
        assert_eq!(lines[0]["fields"]["code"], 7);
    }

    #[test]
    fn the_level_asked_for_counts_for_our_own_crates_and_for_no_library() {
        for (level, ours) in [("ERROR", 1), ("FATAL", 1), ("WARN", 2), ("info", 3), ("", 3), ("TRACE", 4)] {
            let json = ("AWS_LAMBDA_LOG_FORMAT", "JSON");
            assert_eq!(written(&[json, ("AWS_LAMBDA_LOG_LEVEL", level)]).len(), ours + 1, "{level}");
            assert_eq!(written(&[json, ("RUST_LOG", level)]).len(), ours + 1, "{level}");
        }
        // Lambda's own word outranks.
        let both = [("AWS_LAMBDA_LOG_FORMAT", "JSON"), ("AWS_LAMBDA_LOG_LEVEL", "ERROR"), ("RUST_LOG", "TRACE")];
        assert_eq!(written(&both).len(), 2);
    }

    #[test]
    fn a_level_that_does_not_exist_is_told_by_its_setting() {
        let asked = |name: &str, value: &str| level(&Environment::given([(name.to_owned(), value.to_owned())]));
        assert_eq!(asked("AWS_LAMBDA_LOG_LEVEL", "LOUD"), (LevelFilter::INFO, Some(Setting::LogLevel)));
        assert_eq!(asked("RUST_LOG", "forward=debug"), (LevelFilter::INFO, Some(Setting::RustLog)));
        assert_eq!(asked("RUST_LOG", "debug"), (LevelFilter::DEBUG, None));
        assert_eq!(asked("OTHER", ""), (LevelFilter::INFO, None));
    }

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
