//! The command line: the contract of the local runner, and one hidden option with which it starts itself anew as a
//! function.

use std::{
    net::{SocketAddr, ToSocketAddrs as _},
    path::PathBuf,
};

use clap::Parser;

/// The whole bridge on one machine: functions, queues, table and secrets, with no account and no Docker.
#[derive(Debug, Parser)]
#[command(name = "local")]
pub(crate) struct Options {
    /// Where the API listens; port 0 takes a free one.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8080", value_parser = address)]
    pub(crate) listen: SocketAddr,
    /// Secrets and channels as TOML; without it a demo channel is used.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Keeps queues, table and clock here, so that a runner started again goes on; without it everything is in memory.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Base URL of the Graph API; without it a simulator is started.
    #[arg(long, value_name = "URL", value_parser = base_url)]
    pub(crate) meta_url: Option<String>,
    /// Base URL of Chatwoot; without it a simulator is started.
    #[arg(long, value_name = "URL", value_parser = base_url)]
    pub(crate) chatwoot_url: Option<String>,
    /// Another emulator of AWS on which the template is deployed; without it one is embedded.
    #[arg(long, value_name = "URL", value_parser = base_url, conflicts_with = "data")]
    pub(crate) aws_url: Option<String>,
    /// Be this function instead.
    #[arg(long, hide = true)]
    pub(crate) function: Option<String>,
}

fn address(given: &str) -> Result<SocketAddr, String> {
    let mut found: Vec<SocketAddr> = given.to_socket_addrs().map_err(|error| error.to_string())?.collect();
    found.sort_by_key(SocketAddr::is_ipv6);
    found.into_iter().next().ok_or_else(|| format!("{given} has no address"))
}

fn base_url(given: &str) -> Result<String, String> {
    let base = given.trim_end_matches('/');
    let host = base.strip_prefix("http://").or_else(|| base.strip_prefix("https://"));
    match host {
        Some(host) if !host.is_empty() && !host.contains('/') => Ok(base.to_owned()),
        _ => Err("expected http(s)://host[:port], without a path".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_has_no_path() {
        assert_eq!(base_url("http://127.0.0.1:3000/").as_deref(), Ok("http://127.0.0.1:3000"));
        assert!(base_url("https://graph.facebook.com/v25.0").is_err());
        assert!(base_url("127.0.0.1:3000").is_err());
    }

    #[test]
    fn localhost_is_an_address() {
        assert!(address("localhost:0").is_ok_and(|found| found.ip().is_loopback()));
        assert!(address("8080").is_err());
    }
}
