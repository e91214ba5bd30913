//! What can be asked: a module for each command, with its arguments.

pub(crate) mod access_log;
pub(crate) mod app;
pub(crate) mod balance;
pub(crate) mod channel;
pub(crate) mod completion;
pub(crate) mod dead_letters;
pub(crate) mod deploy;
pub(crate) mod destroy;
pub(crate) mod doctor;
pub(crate) mod erase;
pub(crate) mod erasures;
pub(crate) mod export;
pub(crate) mod history;
pub(crate) mod keep;
pub(crate) mod man;
pub(crate) mod receipt;
pub(crate) mod reconcile;
pub(crate) mod restore;
pub(crate) mod retention;
pub(crate) mod signup;
pub(crate) mod status;
pub(crate) mod stuck;
pub(crate) mod trace;
pub(crate) mod verify;
