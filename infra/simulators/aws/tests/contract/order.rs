//! Order in a message group, and what blocks and frees it.

use std::time::Duration;

use aws_sdk_sqs::types::QueueAttributeName::{DelaySeconds, VisibilityTimeout};

use crate::stage::{Stage, bodies, code, said};

pub(crate) async fn a_group_comes_in_order_and_several_at_once(stage: &Stage) {
    let queue = stage.fifo(&[]).await;
    for body in ["a1", "a2", "b1", "a3", "b2"] {
        stage.send(&queue, &body[..1], body).await;
    }
    let mut received = stage.receive(&queue, 10).await;
    while received.len() < 5 {
        received.extend(stage.receive(&queue, 10).await);
    }
    for group in ["a", "b"] {
        let of_group: Vec<_> =
            received.iter().filter(|message| said(message, "MessageGroupId") == group).cloned().collect();
        let expected: Vec<_> = (1..=of_group.len()).map(|number| format!("{group}{number}")).collect();
        assert_eq!(bodies(&of_group), expected);
        let numbers: Vec<_> = of_group.iter().map(|message| said(message, "SequenceNumber")).collect();
        assert!(numbers.is_sorted() && numbers.iter().all(|number| number.len() == 20), "{numbers:?}");
    }
}

pub(crate) async fn a_group_is_blocked_while_one_of_it_is_out_and_freed_by_a_delete(stage: &Stage) {
    let queue = stage.fifo(&[]).await;
    for body in ["a1", "a2", "b1"] {
        stage.send(&queue, &body[..1], body).await;
    }
    let a1 = stage.receive(&queue, 1).await.remove(0);
    assert_eq!(a1.body(), Some("a1"));
    let b1 = stage.receive(&queue, 10).await;
    assert_eq!(bodies(&b1), ["b1"], "a is out, so only b may come");
    assert_eq!(stage.peek(&queue).await, [""; 0]);
    stage.delete(&queue, &a1).await;
    assert_eq!(bodies(&stage.receive(&queue, 10).await), ["a2"]);
}

pub(crate) async fn after_a_timeout_the_head_comes_first_and_is_counted(stage: &Stage) {
    let queue = stage.fifo(&[(VisibilityTimeout, "2")]).await;
    for body in ["a1", "a2", "a3"] {
        stage.send(&queue, "a", body).await;
    }
    assert_eq!(bodies(&stage.receive(&queue, 1).await), ["a1"]);
    stage.advance(Duration::from_secs(3)).await;
    let again = stage.receive(&queue, 10).await;
    assert_eq!(bodies(&again), ["a1", "a2", "a3"]);
    let counts: Vec<_> = again.iter().map(|message| said(message, "ApproximateReceiveCount")).collect();
    assert_eq!(counts, ["2", "1", "1"]);
}

pub(crate) async fn visibility_can_be_given_back_or_changed_and_the_count_stays(stage: &Stage) {
    let queue = stage.fifo(&[]).await;
    stage.send(&queue, "a", "a1").await;
    let first = stage.receive(&queue, 1).await.remove(0);
    stage.hide(&queue, &first, 0).await;
    let second = stage.receive(&queue, 1).await.remove(0);
    assert_eq!(said(&second, "ApproximateReceiveCount"), "2");
    stage.hide(&queue, &second, 1).await;
    stage.advance(Duration::from_secs(2)).await;
    let third = stage.receive(&queue, 1).await.remove(0);
    assert_eq!(said(&third, "ApproximateReceiveCount"), "3");
    assert_eq!(
        said(&third, "ApproximateFirstReceiveTimestamp"),
        said(&first, "ApproximateFirstReceiveTimestamp"),
        "the first receive stays the first"
    );
}

pub(crate) async fn a_handle_whose_time_is_over_deletes_nothing(stage: &Stage) {
    let queue = stage.fifo(&[(VisibilityTimeout, "1")]).await;
    stage.send(&queue, "a", "a1").await;
    let late = stage.receive(&queue, 1).await.remove(0);
    stage.advance(Duration::from_secs(2)).await;
    let handle = late.receipt_handle.as_deref().unwrap();
    let refused = stage.sqs.delete_message().queue_url(&queue).receipt_handle(handle).send().await;
    assert_eq!(code(&refused), "InvalidParameterValue");
    let again = stage.receive(&queue, 1).await;
    assert_eq!(bodies(&again), ["a1"]);
    let refused = stage.sqs.delete_message().queue_url(&queue).receipt_handle(handle).send().await;
    assert_eq!(code(&refused), "InvalidParameterValue", "an older receive cannot delete either");
}

pub(crate) async fn a_queue_delay_hides_new_messages(stage: &Stage) {
    let queue = stage.fifo(&[(DelaySeconds, "20")]).await;
    stage.send(&queue, "a", "a1").await;
    assert_eq!(stage.peek(&queue).await, [""; 0]);
    stage.advance(Duration::from_secs(21)).await;
    assert_eq!(bodies(&stage.receive(&queue, 1).await), ["a1"]);
}
