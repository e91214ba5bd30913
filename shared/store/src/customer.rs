//! Who customers are: threads, aliases, changes of number, profiles.

pub(crate) mod aliases;
mod joins;
mod number_change;
pub(crate) mod profile;
pub(crate) mod resolve;
#[cfg(test)]
mod tests;
pub(crate) mod thread;
