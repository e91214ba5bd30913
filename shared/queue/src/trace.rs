//! Names the item a task is about in every line that is logged while it is worked on.

use serde::Deserialize;
use tracing::Span;

/// The fields of a task that say which item it is; each queue has one of the three forms.
#[derive(Deserialize)]
struct Traced<'b> {
    #[serde(borrow)]
    item: Option<&'b str>,
    account: Option<i64>,
    conversation: Option<i64>,
    #[serde(borrow)]
    code: Option<&'b str>,
}

/// The span of a task: its `trace` is the keyed hash of an inbound item, `account/conversation` of what goes out, or the code of
/// an erasure. None of them says who a person is.
pub(crate) fn span(body: &str) -> Span {
    tracing::info_span!("task", trace = id(body))
}

fn id(body: &str) -> String {
    let Ok(traced) = serde_json::from_str::<Traced<'_>>(body) else { return String::new() };
    let conversation = traced.account.zip(traced.conversation);
    let conversation = conversation.map(|(account, conversation)| format!("{account}/{conversation}"));
    traced.item.map(str::to_owned).or(conversation).or(traced.code.map(str::to_owned)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_queue_s_tasks_have_an_id() {
        for (body, expected) in [
            (r#"{"task":"message_v1","channel":"1","item":"5b1f","content":{"item":"no"}}"#, "5b1f"),
            (r#"{"task":"sync_request_v1","channel":"1","account":3,"conversation":17,"message":9}"#, "3/17"),
            (r#"{"task":"request_v1","code":"c0de"}"#, "c0de"),
            (r#"{"task":"letters_v1"}"#, ""),
            ("no task", ""),
        ] {
            assert_eq!(id(body), expected, "{body}");
        }
    }
}
