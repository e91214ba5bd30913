//! Reads the days of `infra/policy.toml` from a function's environment.

use domain::erasure::{ErasureDeadlines, WarnDays};
use platform::{Environment, Setting};

/// Reads them; what is missing or wrong stays with the environment.
pub fn erasure_deadlines(env: &mut Environment) -> Option<ErasureDeadlines> {
    let deletion_days = env.parsed(Setting::DeletionDays);
    let warn_days = env.parsed::<WarnDays>(Setting::WarnDays);
    let confirm_hours = env.parsed(Setting::ConfirmHours);
    Some(ErasureDeadlines { deletion_days: deletion_days?, warn_days: warn_days?.0, confirm_hours: confirm_hours? })
}
