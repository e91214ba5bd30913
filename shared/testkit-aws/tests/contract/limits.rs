//! What is refused, and that a refusal touches nothing else.

use aws_sdk_sqs::{
    error::ProvideErrorMetadata as _,
    operation::send_message_batch::{SendMessageBatchError, SendMessageBatchOutput},
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
    sent.map_err(aws_sdk_sqs::error::SdkError::into_service_error)
}

pub(crate) async fn wrong_parameters_are_refused(stage: &Stage) {
    let queue = stage.fifo(&[]).await;
    let send = || stage.sqs.send_message().queue_url(&queue).message_body("a1");
    assert_eq!(code(&send().message_deduplication_id("1").send().await), "MissingParameter", "no group");
    assert_eq!(code(&send().message_group_id("a").send().await), "InvalidParameterValue", "no deduplication id");
    let delayed = send().message_group_id("a").message_deduplication_id("1").delay_seconds(5).send().await;
    assert_eq!(code(&delayed), "InvalidParameterValue", "a delay of its own in a FIFO queue");
    let spaced = send().message_group_id("a b").message_deduplication_id("1").send().await;
    assert_eq!(code(&spaced), "InvalidParameterValue", "a group with a space");
    let receive = || stage.sqs.receive_message().queue_url(&queue);
    assert_eq!(code(&receive().max_number_of_messages(11).send().await), "InvalidParameterValue");
    assert_eq!(code(&receive().wait_time_seconds(21).send().await), "InvalidParameterValue");
    let delete = stage.sqs.delete_message().queue_url(&queue).receipt_handle("nonsense").send().await;
    assert!(delete.unwrap_err().into_service_error().is_receipt_handle_is_invalid());
    let control = stage.sqs.send_message().queue_url(&queue).message_body("\u{1}").message_group_id("a");
    let control = control.message_deduplication_id("1").send().await.unwrap_err().into_service_error();
    assert!(control.is_invalid_message_contents(), "{control:?}");
    let standard = stage.standard(&[]).await;
    let deduplicated = stage.sqs.send_message().queue_url(standard).message_body("a1").message_deduplication_id("1");
    assert_eq!(code(&deduplicated.send().await), "InvalidParameterValue");
    assert_eq!(stage.peek(&queue).await, [""; 0], "nothing of all that came in");
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
    // A parameter that is missing or wrong refuses the whole.
    let bad = SendMessageBatchRequestEntry::builder().id("bad").message_body("no group").build().unwrap();
    let refused = batch(stage, &queue, vec![entry("good", "a1"), bad]).await.unwrap_err();
    assert_eq!(refused.code(), Some("MissingParameter"), "{refused:?}");
    assert_eq!(stage.peek(&queue).await, [""; 0]);
    // Content is a matter of each entry.
    let bad = entry("bad", "\u{1}");
    let sent = batch(stage, &queue, vec![entry("good", "a1"), bad, entry("fine", "a2")]).await.unwrap();
    assert_eq!(sent.failed.len(), 1);
    assert_eq!(
        (sent.failed[0].id(), sent.failed[0].code(), sent.failed[0].sender_fault()),
        ("bad", "InvalidMessageContents", true)
    );
    assert_eq!(bodies(&stage.receive(&queue, 10).await), ["a1", "a2"]);
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
