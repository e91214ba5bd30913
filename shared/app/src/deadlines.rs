//! Reads the days of `infra/policy.toml` from a function's environment.

use domain::erasure::{ErasureDeadlines, WarnDays};
use platform::{Environment, Setting};

/// Reads them; what is missing or wrong stays with the environment.
pub fn erasure_deadlines(env: &mut Environment) -> ErasureDeadlines {
    ErasureDeadlines {
        deletion_days: env.parsed(Setting::DeletionDays),
        warn_days: env.parsed::<WarnDays>(Setting::WarnDays).0,
        confirm_hours: env.parsed(Setting::ConfirmHours),
    }
}
