//! What came in: claims, the item ledger, links to messages, statuses and files that wait.

pub(crate) mod claims;
pub(crate) mod import_rate;
pub(crate) mod imports;
pub(crate) mod item_ledger;
pub(crate) mod message_links;
pub(crate) mod orphan_statuses;
pub(crate) mod pending_media;
pub(crate) mod revocations;
#[cfg(test)]
mod tests;
