//! What an erasure needs: requests, the data subject, the inventory, tombstones, restores, sweeps.

pub(crate) mod data_subject;
pub(crate) mod inventory;
pub(crate) mod late_inventory;
pub(crate) mod ledger;
pub(crate) mod ledger_copy;
pub(crate) mod media_index;
pub(crate) mod owned;
pub(crate) mod requests;
pub(crate) mod restore;
pub(crate) mod sweep_cursor;
#[cfg(test)]
mod tests;
pub(crate) mod tombstones;
