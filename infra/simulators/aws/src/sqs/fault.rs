//! The refusals of SQS, each with the shape and the query code that AWS sends.

use crate::error::ApiError;

/// The queue is not there.
pub(crate) fn no_queue() -> ApiError {
    ApiError::sqs(
        "com.amazonaws.sqs#QueueDoesNotExist",
        "AWS.SimpleQueueService.NonExistentQueue",
        "The specified queue does not exist.",
    )
}

/// A parameter has a value that is not taken.
pub(crate) fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::sqs("com.amazon.coral.service#InvalidParameterValueException", "InvalidParameterValue", message)
}

/// A parameter is absent.
pub(crate) fn missing(name: &str) -> ApiError {
    ApiError::sqs(
        "com.amazon.coral.service#MissingRequiredParameterException",
        "MissingParameter",
        format!("The request must contain the parameter {name}."),
    )
}

/// An attribute of a queue is unknown or cannot be changed.
pub(crate) fn attribute_name(name: &str) -> ApiError {
    ApiError::sqs(
        "com.amazonaws.sqs#InvalidAttributeName",
        "InvalidAttributeName",
        format!("Unknown Attribute {name}."),
    )
}

/// An attribute of a queue has a value that is not taken.
pub(crate) fn attribute_value(name: &str) -> ApiError {
    ApiError::sqs(
        "com.amazonaws.sqs#InvalidAttributeValue",
        "InvalidAttributeValue",
        format!("Invalid value for the parameter {name}."),
    )
}

/// A receipt handle that was never issued here.
pub(crate) fn receipt(handle: &str) -> ApiError {
    ApiError::sqs(
        "com.amazonaws.sqs#ReceiptHandleIsInvalid",
        "ReceiptHandleIsInvalid",
        format!("The input receipt handle \"{handle}\" is not a valid receipt handle."),
    )
}

/// A FIFO receipt handle whose visibility timeout is over.
pub(crate) fn expired(handle: &str) -> ApiError {
    invalid(format!("Value {handle} for parameter ReceiptHandle is invalid. Reason: The receipt handle has expired."))
}

/// The message is not in flight.
pub(crate) fn not_in_flight() -> ApiError {
    ApiError::sqs(
        "com.amazonaws.sqs#MessageNotInflight",
        "AWS.SimpleQueueService.MessageNotInflight",
        "The message referred to is not in flight.",
    )
}

/// The queue exists with other attributes.
pub(crate) fn exists(name: &str) -> ApiError {
    ApiError::sqs(
        "com.amazonaws.sqs#QueueNameExists",
        "QueueAlreadyExists",
        format!("A queue already exists with the same name and a different value for attribute {name}"),
    )
}

/// A second purge within a minute.
pub(crate) fn purging() -> ApiError {
    ApiError::sqs(
        "com.amazonaws.sqs#PurgeQueueInProgress",
        "AWS.SimpleQueueService.PurgeQueueInProgress",
        "Only one PurgeQueue operation on this queue is allowed every 60 seconds.",
    )
}

/// The queue cannot be the source of a move.
pub(crate) fn unsupported(message: &str) -> ApiError {
    ApiError::sqs("com.amazonaws.sqs#UnsupportedOperation", "AWS.SimpleQueueService.UnsupportedOperation", message)
}

/// A queue or a task named by a move is not there.
pub(crate) fn no_resource() -> ApiError {
    ApiError::sqs(
        "com.amazonaws.sqs#ResourceNotFoundException",
        "ResourceNotFoundException",
        "The resource that you specified for the SourceArn parameter doesn't exist.",
    )
}

/// A batch without entries.
pub(crate) fn batch_empty() -> ApiError {
    ApiError::sqs(
        "com.amazonaws.sqs#EmptyBatchRequest",
        "AWS.SimpleQueueService.EmptyBatchRequest",
        "There should be at least one entry in the request.",
    )
}

/// A batch of more than ten.
pub(crate) fn batch_too_many(count: usize) -> ApiError {
    ApiError::sqs(
        "com.amazonaws.sqs#TooManyEntriesInBatchRequest",
        "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
        format!("Maximum number of entries per request are 10. You have sent {count}."),
    )
}

/// A batch that names an id twice.
pub(crate) fn batch_not_distinct(id: &str) -> ApiError {
    ApiError::sqs(
        "com.amazonaws.sqs#BatchEntryIdsNotDistinct",
        "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
        format!("Id {id} repeated."),
    )
}

/// A batch entry's id has other characters than it may.
pub(crate) fn batch_id() -> ApiError {
    ApiError::sqs(
        "com.amazonaws.sqs#InvalidBatchEntryId",
        "AWS.SimpleQueueService.InvalidBatchEntryId",
        "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long.",
    )
}

/// A batch whose messages are too long together.
pub(crate) fn batch_too_long(bytes: usize) -> ApiError {
    ApiError::sqs(
        "com.amazonaws.sqs#BatchRequestTooLong",
        "AWS.SimpleQueueService.BatchRequestTooLong",
        format!("Batch requests cannot be longer than {MAX_BYTES} bytes. You have sent {bytes} bytes."),
    )
}

/// A message holds a character that SQS does not carry.
pub(crate) fn contents() -> ApiError {
    ApiError::sqs(
        "com.amazonaws.sqs#InvalidMessageContents",
        "InvalidMessageContents",
        "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF.",
    )
}

/// The most that a message, and a batch together, may hold.
pub(crate) const MAX_BYTES: usize = 1 << 20;
