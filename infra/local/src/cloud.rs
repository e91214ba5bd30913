//! The AWS below the runner: the embedded one, or another emulator's.

use std::{sync::Arc, time::Duration};

use serde_json::Value;
use simulator_aws::{Aws, Hold, Received};

use crate::foreign::{Foreign, InHand};

/// Where queues and tables are.
#[derive(Debug)]
pub(crate) enum Cloud {
    /// In this process.
    Embedded(Aws),
    /// At an address.
    Foreign(Arc<Foreign>),
}

/// Messages that a function works on; while it is held, the clock takes nothing from their visibility.
#[derive(Debug)]
pub(crate) enum Work {
    Embedded { _hold: Hold },
    Foreign { _in_hand: InHand },
}

impl Cloud {
    /// Where all services are spoken to.
    pub(crate) fn url(&self) -> &str {
        match self {
            Self::Embedded(aws) => aws.url(),
            Self::Foreign(foreign) => foreign.url(),
        }
    }

    /// Receives as the event source mapping does; waits up to `wait` for the first message.
    pub(crate) async fn take(&self, queue: &str, max: usize, wait: Duration) -> (Vec<Received>, Work) {
        match self {
            Self::Embedded(aws) => {
                let (batch, hold) = aws.take(queue, max, wait).await;
                (batch, Work::Embedded { _hold: hold })
            }
            Self::Foreign(foreign) => {
                let (batch, in_hand) = foreign.take(queue, max, wait).await;
                (batch, Work::Foreign { _in_hand: in_hand })
            }
        }
    }

    /// Deletes a message that is done.
    pub(crate) async fn delete(&self, queue: &str, receipt_handle: &str) {
        match self {
            Self::Embedded(aws) => aws.delete(queue, receipt_handle),
            Self::Foreign(foreign) => foreign.delete(queue, receipt_handle).await,
        }
    }

    /// Shows a message again at once.
    pub(crate) async fn show(&self, queue: &str, receipt_handle: &str) {
        match self {
            Self::Embedded(aws) => aws.change_visibility(queue, receipt_handle, Duration::ZERO),
            Self::Foreign(foreign) => foreign.show(queue, receipt_handle).await,
        }
    }

    /// Moves the clock and everything that goes by it.
    pub(crate) async fn advance(&self, by: Duration) {
        match self {
            Self::Embedded(aws) => aws.advance(by),
            Self::Foreign(foreign) => foreign.advance(by).await,
        }
    }

    /// Deletes items past their time.
    pub(crate) async fn sweep_ttl(&self) -> anyhow::Result<()> {
        match self {
            Self::Embedded(aws) => aws.sweep_ttl().map(|_| ()),
            Self::Foreign(foreign) => foreign.sweep_ttl().await,
        }
    }

    /// Every message of every queue, where that can be seen.
    pub(crate) fn dump_queues(&self) -> Option<Value> {
        match self {
            Self::Embedded(aws) => Some(aws.dump_queues()),
            Self::Foreign(_) => None,
        }
    }

    /// Ends it, if it is ours to end.
    pub(crate) async fn close(&self) -> anyhow::Result<()> {
        match self {
            Self::Embedded(aws) => aws.close().await,
            Self::Foreign(_) => Ok(()),
        }
    }
}
