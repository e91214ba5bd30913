//! Holds the deadlines that the policy promises for erasure requests.

use std::time::Duration;

/// The days of `infra/policy.toml` that the ledger uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErasureDeadlines {
    /// Days within which a request is done.
    pub deletion_days: u32,
    /// Days after which the operator is warned of an open one.
    pub warn_days: Vec<u32>,
    /// Hours in which a request that needs confirmation can be confirmed or withdrawn.
    pub confirm_hours: u32,
}

/// The warning days, as the environment holds them: `7,20,27`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WarnDays(pub Vec<u32>);

impl ErasureDeadlines {
    /// How long a request can be confirmed or withdrawn.
    pub(super) fn grace(&self) -> Duration {
        Duration::from_secs(u64::from(self.confirm_hours) * 3600)
    }
}

impl std::str::FromStr for WarnDays {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.split(',').map(|day| day.trim().parse()).collect::<Result<_, _>>().map(Self)
    }
}
