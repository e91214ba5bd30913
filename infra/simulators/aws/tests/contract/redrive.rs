//! The dead-letter queue, into it and back.

use aws_sdk_sqs::types::{Message, QueueAttributeName::RedrivePolicy};

use crate::stage::{Stage, bodies, said};

async fn with_dead_letters(stage: &Stage, max_receives: u32) -> (String, String) {
    let dead = stage.fifo(&[]).await;
    let policy = format!(r#"{{"deadLetterTargetArn":"{}","maxReceiveCount":{max_receives}}}"#, stage.arn(&dead).await);
    (stage.fifo(&[(RedrivePolicy, &policy)]).await, dead)
}

/// Receives the head of the queue and gives it back.
async fn fail_once(stage: &Stage, queue: &str) {
    let message = stage.receive(queue, 1).await.remove(0);
    stage.hide(queue, &message, 0).await;
}

pub(crate) async fn a_message_received_too_often_goes_to_the_dead_letters_as_it_is(stage: &Stage) {
    let (queue, dead) = with_dead_letters(stage, 2).await;
    let id = stage.send_as(&queue, "a", "poison", "dedup").await;
    stage.send(&queue, "a", "follower").await;
    fail_once(stage, &queue).await;
    fail_once(stage, &queue).await;
    assert_eq!(bodies(&stage.receive(&queue, 1).await), ["follower"], "the group goes on without it");
    let given_up = stage.until("a dead letter", async || stage.receive(&dead, 10).await.pop()).await;
    assert_eq!((given_up.body(), given_up.message_id()), (Some("poison"), Some(id.as_str())));
    assert_eq!(said(&given_up, "MessageGroupId"), "a");
    assert_eq!(said(&given_up, "MessageDeduplicationId"), "dedup");
    assert_eq!(said(&given_up, "DeadLetterQueueSourceArn"), stage.arn(&queue).await);
    assert_eq!(said(&given_up, "ApproximateReceiveCount"), "3", "the receives of the source count on");
}

pub(crate) async fn dead_letters_can_be_moved_back(stage: &Stage) {
    let (queue, dead) = with_dead_letters(stage, 1).await;
    for body in ["a1", "a2"] {
        stage.send(&queue, "a", body).await;
        fail_once(stage, &queue).await;
        assert_eq!(stage.peek(&queue).await, [""; 0]);
    }
    for looked_at in stage.receive(&dead, 10).await {
        stage.hide(&dead, &looked_at, 0).await;
    }
    let arn = stage.arn(&dead).await;
    stage.sqs.start_message_move_task().source_arn(&arn).send().await.unwrap();
    // They are moved one by one, in their own time.
    let mut back: Vec<Message> = Vec::new();
    while back.len() < 2 {
        let more = stage
            .until("dead letters that came back", async || {
                Some(stage.receive(&queue, 10).await).filter(|more| !more.is_empty())
            })
            .await;
        for message in &more {
            stage.delete(&queue, message).await;
        }
        back.extend(more);
    }
    assert_eq!(bodies(&back), ["a1", "a2"]);
    assert_eq!(said(&back[0], "ApproximateReceiveCount"), "1", "a new life");
    let tasks = stage.sqs.list_message_move_tasks().source_arn(&arn).send().await.unwrap();
    assert_eq!(tasks.results()[0].source_arn(), Some(arn.as_str()));
    let not_dead = stage.sqs.start_message_move_task().source_arn(stage.arn(&queue).await).send().await;
    assert!(not_dead.is_err(), "a queue that is nobody's dead-letter queue cannot be moved");
}
