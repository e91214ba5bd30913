//! The true binaries of the functions on a stub of Lambda's Runtime API, between the embedded AWS and both simulators: the
//! boot test, the benches and the guard over instruction counts stand on it.

#![expect(clippy::disallowed_types, reason = "real time is measured or waited for")]

pub mod bench_stack;
pub mod cost;
pub mod events;
pub mod functions;
pub mod guard;
pub mod history;
pub mod instructions;
pub mod measure;
pub mod peer;
pub mod pipeline;
pub mod process;
pub mod quota;
pub mod runtime_api;
pub mod scenario;
pub mod tls;

pub use bench_stack::BenchStack;
pub use process::{Outcome, Process};
