//! The event source mapping: takes batches out of a queue, hands them to the function, deletes what is done.

use std::{collections::HashSet, sync::Arc, time::Duration};

use bytes::Bytes;
use serde_json::{Value, json};
use simulator_aws::Received;
use tokio::time::timeout;

use crate::{
    cloud::Cloud,
    environments::{Environments, Failure},
    intrinsics::{ACCOUNT, REGION},
    stop::Stopped,
    template::Mapping,
};

/// One machine has few processors; the template's own limit counts where it is lower.
pub(crate) const MOST_POLLERS: usize = 4;
const LONG_POLL: Duration = Duration::from_secs(20);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How many batches of `mapping` are worked on at once.
pub(crate) fn concurrency(mapping: &Mapping) -> usize {
    mapping.maximum_concurrency.clamp(1, MOST_POLLERS)
}

/// Works on one batch after another until it is told to stop; the batch in work is finished first.
pub(crate) async fn poll(cloud: Arc<Cloud>, mapping: Mapping, function: Arc<Environments>, mut stopped: Stopped) {
    let arn = format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{}", mapping.queue);
    let mut pause = FIRST_PAUSE;
    while !stopped.is_now() {
        // Messages taken while no process can be started would be invisible for as long as the visibility timeout.
        tokio::select! {
            () = stopped.wait() => return,
            () = function.ready() => {}
        }
        let (batch, in_hand) = tokio::select! {
            biased;
            () = stopped.wait() => return,
            taken = cloud.take(&mapping.queue, mapping.batch_size, LONG_POLL) => taken,
        };
        if batch.is_empty() {
            continue;
        }
        function.took(batch.len());
        let done = match function.invoke(Bytes::from(event(&batch, &arn).to_string())).await {
            Ok(answer) => done(&batch, &answer, mapping.reports_item_failures),
            Err(failure) => {
                tracing::warn!(queue = mapping.queue, messages = batch.len(), %failure, "a batch failed");
                if matches!(failure, Failure::NotStarted | Failure::Stopping) {
                    // No function has them any more, so nothing has to be waited for.
                    for message in &batch {
                        cloud.show(&mapping.queue, &message.receipt_handle).await;
                    }
                }
                None
            }
        };
        let Some(done) = done else {
            drop(in_hand);
            // Whatever is wrong with the function, it is not asked again at once.
            let _ = timeout(pause, stopped.wait()).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            continue;
        };
        pause = FIRST_PAUSE;
        function.finished(done.len());
        for message in done {
            cloud.delete(&mapping.queue, &message.receipt_handle).await;
        }
        drop(in_hand);
    }
}

/// The event for a batch.
pub(crate) fn event(batch: &[Received], arn: &str) -> Value {
    let records: Vec<Value> = batch
        .iter()
        .map(|message| {
            json!({
                "messageId": message.message_id,
                "receiptHandle": message.receipt_handle,
                "body": message.body,
                "attributes": message.attributes,
                "messageAttributes": message.message_attributes,
                "md5OfBody": message.md5,
                "eventSource": "aws:sqs",
                "eventSourceARN": arn,
                "awsRegion": REGION,
            })
        })
        .collect();
    json!({ "Records": records })
}

/// The messages that are done with; `None` if the whole batch has to be taken as failed.
pub(crate) fn done<'a>(batch: &'a [Received], answer: &[u8], reports_item_failures: bool) -> Option<Vec<&'a Received>> {
    if !reports_item_failures || answer.is_empty() {
        return Some(batch.iter().collect());
    }
    let answer: Value = serde_json::from_slice(answer).ok()?;
    let failures = match &answer["batchItemFailures"] {
        Value::Null => return Some(batch.iter().collect()),
        list => list.as_array()?,
    };
    let known: HashSet<&str> = batch.iter().map(|message| message.message_id.as_str()).collect();
    let mut failed = HashSet::new();
    for failure in failures {
        // As on Lambda: an identifier that is empty or not of this batch fails all of it.
        failed.insert(failure["itemIdentifier"].as_str().filter(|id| known.contains(id))?);
    }
    Some(batch.iter().filter(|message| !failed.contains(message.message_id.as_str())).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn batch() -> Vec<Received> {
        ["a", "b", "c"]
            .map(|id| Received {
                message_id: id.into(),
                receipt_handle: format!("handle-{id}"),
                body: format!("body {id}"),
                md5: "00".into(),
                attributes: BTreeMap::from([("MessageGroupId".to_owned(), "g".to_owned())]),
                message_attributes: json!({}),
            })
            .into()
    }

    fn ids(done: Option<Vec<&Received>>) -> Option<Vec<&str>> {
        done.map(|done| done.into_iter().map(|message| message.message_id.as_str()).collect())
    }

    #[test]
    fn a_record_carries_what_lambda_s_does() {
        let event = event(&batch(), "arn:aws:sqs:us-east-1:000000000000:q.fifo");
        let record = &event["Records"][1];
        assert_eq!(record["messageId"], "b");
        assert_eq!(record["attributes"]["MessageGroupId"], "g");
        assert_eq!(record["eventSourceARN"], "arn:aws:sqs:us-east-1:000000000000:q.fifo");
    }

    #[test]
    fn reported_messages_stay_and_the_others_go() {
        let batch = batch();
        let answer = br#"{"batchItemFailures":[{"itemIdentifier":"b"},{"itemIdentifier":"c"}]}"#;
        assert_eq!(ids(done(&batch, answer, true)), Some(vec!["a"]));
        for all in [&b""[..], b"null", b"{}", br#"{"batchItemFailures":[]}"#] {
            assert_eq!(ids(done(&batch, all, true)), Some(vec!["a", "b", "c"]));
        }
        assert_eq!(ids(done(&batch, answer, false)), Some(vec!["a", "b", "c"]));
    }

    #[test]
    fn a_report_that_makes_no_sense_fails_the_batch() {
        for report in [
            &br#"{"batchItemFailures":[{"itemIdentifier":""}]}"#[..],
            br#"{"batchItemFailures":[{"itemIdentifier":"z"}]}"#,
            br#"{"batchItemFailures":[{}]}"#,
            br#"{"batchItemFailures":"b"}"#,
            b"not json",
        ] {
            assert_eq!(ids(done(&batch(), report, true)), None);
        }
    }
}
