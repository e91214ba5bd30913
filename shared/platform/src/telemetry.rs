//! Logs: one line an event on standard error, in the format and at the level that Lambda's settings ask for.

/// Starts logging. Called once, first thing in `main`.
pub fn init() {
    lambda_runtime::tracing::init_default_subscriber_with_writer(std::io::stderr);
}
