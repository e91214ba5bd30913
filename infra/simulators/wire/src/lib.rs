//! What both simulators share on the wire: an HTTP server whose faults can be switched on, and a clock that can be moved.
//!
//! A double that can only answer politely proves little. [`Server`] can refuse connections, hang, cut the line before or
//! after the work was done, or answer with a proxy's HTML, for the calls a [`Fault`] names.

#![expect(clippy::disallowed_types, reason = "real time is measured or waited for")]

mod calls;
mod clock;
mod fault;
mod server;

pub use calls::{Call, Calls, answering};
pub use clock::MovableClock;
pub use fault::{Effect, Fault, Faults};
pub use server::Server;
