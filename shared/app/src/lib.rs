//! Where the two sides meet the stores: the clients `forward`, `send` and `reconcile` share, and the one way in which an
//! agent is told what became of a message. Functions link it; no library crate does.

mod activity;
mod brake;
mod clients;
mod declare;
mod echo;
mod error;
mod gone;
mod offer;
mod promise;
mod standing;
mod tell;
mod wake;
mod whom;

pub use activity::{Activity, ERASE, KEEP, activity};
pub use brake::{alarm, brake};
pub use chatwoot::{ORIGINS_DIFFER, REFUSALS};
pub use clients::{Clients, Settings, StartError};
pub use echo::remove_echo;
pub use error::BridgeError;
pub use gone::{is_deleted, unless_broken};
pub use offer::offer;
pub use promise::promise;
pub use standing::is_ours;
pub use tell::{tell, tell_news};
pub use wake::wake;
pub use whom::whom;
