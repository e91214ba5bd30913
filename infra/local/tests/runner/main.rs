//! The local runner from outside: the true binary, known only by its contract.

#![expect(clippy::disallowed_types, reason = "real time is measured or waited for")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod browser;
mod canary;
mod canary_stage;
mod contract;
mod foreign;
mod foreign_signup;
mod foreign_stack;
mod forgotten;
mod killed;
mod large_files;
mod operation;
mod page;
mod page_look;
mod sides;
mod signup_dialog;
mod signup_page;
mod support;
mod under_load;
