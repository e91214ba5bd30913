//! The world a story plays in: both simulators, the embedded AWS, and the functions' own handlers between them, in one
//! process and on one clock. A story says who does what and when the bridge works; nothing happens behind its back, so that
//! races are staged and not hoped for.

mod stop_after;
mod world;

pub use world::{ACCOUNT, CALLBACK_SECRET, CHANNEL, COEXISTENCE_CHANNEL, PATH_SECRET, World};
