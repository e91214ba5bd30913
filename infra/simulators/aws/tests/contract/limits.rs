//! What is refused, and that a refusal touches nothing else.

use aws_sdk_sqs::{
    error::{ProvideErrorMetadata as _, SdkError},
    operation::{
        delete_message::DeleteMessageError,
        send_message::SendMessageError,
        send_message_batch::{SendMessageBatchError, SendMessageBatchOutput},
    },
    types::SendMessageBatchRequestEntry,
};

use crate::stage::{Stage, bodies, code};

const MEBIBYTE: usize = 1 << 20;

fn entry(id: &str, body: &str) -> SendMessageBatchRequestEntry {
    let entry = SendMessageBatchRequestEntry::builder().id(id).message_body(body).message_group_id("a");
    entry.message_deduplication_id(uuid::Uuid::new_v4().to_string()).build().unwrap()
}

async fn batch(
    stage: &Stage,
    queue: &str,
    entries: Vec<SendMessageBatchRequestEntry>,
) -> Result<SendMessageBatchOutput, SendMessageBatchError> {
    let sent = stage.sqs.send_message_batch().queue_url(queue).set_entries(Some(entries)).send().await;
    sent.map_err(SdkError::into_service_error)
}

pub(crate) async fn wrong_parameters_are_refused(stage: &Stage) {
    let queue = stage.fifo(&[]).await;
    let send = || stage.sqs.send_message().queue_url(&queue).message_body("a1");
    let (missing, wrong) = (("MissingParameter", ""), ("InvalidParameterValue", ""));
    let points = &stage.points;
    points.refused("no group", &send().message_deduplication_id("1").send().await, missing);
    points.refused("no deduplication id", &send().message_group_id("a").send().await, wrong);
    let delayed = send().message_group_id("a").message_deduplication_id("1").delay_seconds(5).send().await;
    points.refused("a delay of its own in a FIFO queue", &delayed, wrong);
    let spaced = send().message_group_id("a b").message_deduplication_id("1").send().await;
    points.refused("a group with a space", &spaced, wrong);
    let receive = || stage.sqs.receive_message().queue_url(&queue);
    points.refused("eleven at once", &receive().max_number_of_messages(11).send().await, wrong);
    points.refused("a wait of 21 seconds", &receive().wait_time_seconds(21).send().await, wrong);
    let delete = stage.sqs.delete_message().queue_url(&queue).receipt_handle("nonsense").send().await;
    let delete = delete.map_err(SdkError::into_service_error);
    let held = delete.as_ref().is_err_and(DeleteMessageError::is_receipt_handle_is_invalid);
    points.holds("a handle that is none", held, delete);
    let control = stage.sqs.send_message().queue_url(&queue).message_body("\u{1}").message_group_id("a");
    let control = control.message_deduplication_id("1").send().await.map_err(SdkError::into_service_error);
    let held = control.as_ref().is_err_and(SendMessageError::is_invalid_message_contents);
    points.holds("a control character", held, control);
    let standard = stage.standard(&[]).await;
    let deduplicated = stage.sqs.send_message().queue_url(standard).message_body("a1").message_deduplication_id("1");
    points.refused("a deduplication id in a standard queue", &deduplicated.send().await, wrong);
    let left = stage.peek(&queue).await;
    points.holds("nothing of all that came in", left.is_empty(), left);
}

pub(crate) async fn a_batch_has_one_to_ten_entries_of_different_ids(stage: &Stage) {
    let queue = stage.fifo(&[]).await;
    let entries = |count: usize| (1..=count).map(|number| entry(&number.to_string(), &format!("a{number}"))).collect();
    assert!(batch(stage, &queue, Vec::new()).await.unwrap_err().is_empty_batch_request());
    assert!(batch(stage, &queue, entries(11)).await.unwrap_err().is_too_many_entries_in_batch_request());
    let equal = vec![entry("same", "a1"), entry("same", "a2")];
    assert!(batch(stage, &queue, equal).await.unwrap_err().is_batch_entry_ids_not_distinct());
    let sent = batch(stage, &queue, entries(10)).await.unwrap();
    assert_eq!((sent.successful.len(), sent.failed.len()), (10, 0));
    let received = stage.receive(&queue, 10).await;
    let expected: Vec<_> = (1..=received.len()).map(|number| format!("a{number}")).collect();
    assert_eq!(bodies(&received), expected);
}

pub(crate) async fn one_mebibyte_is_taken_and_one_byte_more_is_not(stage: &Stage) {
    let queue = stage.fifo(&[]).await;
    let full = "x".repeat(MEBIBYTE);
    stage.send(&queue, "a", &full).await;
    assert_eq!(stage.receive(&queue, 1).await[0].body.as_ref().map(String::len), Some(MEBIBYTE));
    let more = stage.sqs.send_message().queue_url(&queue).message_body(format!("{full}x"));
    assert_eq!(code(&more.message_group_id("b").message_deduplication_id("b").send().await), "InvalidParameterValue");
    let half = "x".repeat(600_000);
    let long = batch(stage, &queue, vec![entry("1", &half), entry("2", &half)]).await.unwrap_err();
    assert!(long.is_batch_request_too_long(), "{long:?}");
}

pub(crate) async fn a_bad_entry_does_not_sink_its_neighbours(stage: &Stage) {
    let queue = stage.fifo(&[]).await;
    let bad = SendMessageBatchRequestEntry::builder().id("bad").message_body("no group").build().unwrap();
    let refused = batch(stage, &queue, vec![entry("good", "a1"), bad]).await;
    let held = refused.as_ref().is_err_and(|error| error.code() == Some("MissingParameter"));
    stage.points.holds("a parameter that is missing refuses the whole", held, refused);
    let left = stage.peek(&queue).await;
    stage.points.holds("nothing of the refused came in", left.is_empty(), left);
    let queue = stage.fifo(&[]).await;
    let bad = entry("bad", "\u{1}");
    let sent = batch(stage, &queue, vec![entry("good", "a1"), bad, entry("fine", "a2")]).await;
    let failed = |sent: &SendMessageBatchOutput| {
        sent.failed.iter().map(|one| (one.id.clone(), one.code.clone(), one.sender_fault)).collect::<Vec<_>>()
    };
    let failed = sent.as_ref().map(failed).unwrap_or_default();
    let held = failed == [("bad".to_owned(), "InvalidMessageContents".to_owned(), true)];
    stage.points.holds("content is a matter of each entry", held, (failed, sent));
    let came = bodies(&stage.receive(&queue, 10).await);
    stage.points.holds("the good ones came in", came == ["a1", "a2"], came);
}

pub(crate) async fn a_missing_queue_is_a_modelled_error(stage: &Stage) {
    let there = stage.standard(&[]).await;
    let missing = format!("{there}-not");
    let error =
        stage.sqs.send_message().queue_url(&missing).message_body("a1").send().await.unwrap_err().into_service_error();
    assert_eq!(error.code(), Some("AWS.SimpleQueueService.NonExistentQueue"));
    let error =
        stage.sqs.get_queue_url().queue_name("contract-never-made").send().await.unwrap_err().into_service_error();
    assert!(error.is_queue_does_not_exist(), "{error:?}");
}
