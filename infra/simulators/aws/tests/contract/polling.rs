//! The long poll.

use std::time::Duration;

use aws_sdk_sqs::types::QueueAttributeName::VisibilityTimeout;
use tokio::time::{Instant, timeout};

use crate::stage::{Stage, bodies};

/// Time enough for a request to have arrived.
const SOON: Duration = Duration::from_millis(200);

pub(crate) async fn a_long_poll_waits_and_wakes_when_a_message_comes(stage: &Stage) {
    let queue = stage.fifo(&[]).await;
    let begun = Instant::now();
    let mut poll = Box::pin(stage.receive(&queue, 10));
    assert!(timeout(SOON, &mut poll).await.is_err(), "an empty queue makes the poll wait");
    stage.send(&queue, "a", "a1").await;
    assert_eq!(bodies(&poll.await), ["a1"]);
    assert!(begun.elapsed() < Duration::from_secs(4), "it woke before its time was over");
}

pub(crate) async fn a_long_poll_wakes_when_a_message_shows_again(stage: &Stage) {
    let queue = stage.fifo(&[(VisibilityTimeout, "2")]).await;
    stage.send(&queue, "a", "a1").await;
    stage.receive(&queue, 1).await;
    let mut poll = Box::pin(stage.receive(&queue, 10));
    assert!(timeout(SOON, &mut poll).await.is_err(), "the message is out");
    stage.advance(Duration::from_secs(2)).await;
    assert_eq!(bodies(&poll.await), ["a1"]);
}
