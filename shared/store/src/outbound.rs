//! What goes out: the outbox, conversations, rate limits, and where `reconcile` goes on.

pub(crate) mod conversations;
pub(crate) mod outbox;
pub(crate) mod rate_limit;
pub(crate) mod reconcile_cursor;
#[cfg(test)]
mod tests;
