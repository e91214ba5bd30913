//! Provides what every function needs: settings, secrets, clients, logs, metrics.
//! It knows nothing of the domain but its clock.

pub mod aws;
pub mod config;
pub mod http;
pub mod metrics;
mod secret_writer;
pub mod secrets;
mod settings;
pub mod telemetry;
mod wait;
mod warm;

pub use config::{ConfigError, Environment};
pub use metrics::{Metric, Metrics, Priced};
pub use secret_writer::SecretWriter;
pub use secrets::{AppSecrets, ChannelSecrets, SecretError, Secrets};
pub use settings::Setting;
pub use wait::wait_until;
pub use warm::warm_up;
