//! Requests, receipts, and whose time is over.

use anyhow::{Context as _, anyhow};
use deletion::OperatorCommand;
use domain::erasure::{ReceiptCheck, SignedReceipt};
use retention::DueConversation;
use serde_json::{Value, json};
use store::ErasureLedger;

use crate::{Told, stack::Stack};

/// An operator who runs it has as long as the schedule.
const RUN_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(900);

/// Opens a request, or says what would be opened.
pub(crate) async fn erase(
    stack: &Stack,
    phone: Option<&str>,
    user_id: Option<&str>,
    yes: bool,
) -> anyhow::Result<Told> {
    let (name, value, command) = match (phone, user_id) {
        (Some(phone), _) => ("phone", phone, OperatorCommand::Phone(phone.to_owned())),
        (None, Some(user_id)) => ("user_id", user_id, OperatorCommand::UserId(user_id.to_owned())),
        (None, None) => return Err(anyhow!("a phone or a user id is needed")),
    };
    // Refused now, and not only when it counts.
    command.target()?;
    if !yes {
        let words = format!("would ask for the erasure of {name} {}; --yes does it", masked(value));
        return Ok(Told::new(json!({ "dry_run": true, name: masked(value) }), words));
    }
    let deletion = deletion::Handler::from_env(stack.environment(&[]).await?, Stack::clock())?;
    let answer = deletion.invoke(json!({ name: value })).await.map_err(|error| anyhow!("{error}"))?;
    let words = format!("asked; its code is {}", answer["code"].as_str().unwrap_or_default());
    Ok(Told::new(answer, words))
}

/// The open requests: code, who asked, where they stand, how many days are left.
pub(crate) async fn list(stack: &Stack) -> anyhow::Result<Told> {
    let now = Stack::clock().now();
    let open = ErasureLedger::new(stack.table()).all_open().await?;
    let rows: Vec<Value> = open
        .iter()
        .map(|entry| {
            let erasure = &entry.erasure;
            json!({ "code": erasure.code, "door": erasure.door, "state": erasure.state, "days_left": erasure.days_left(now),
                "breached": erasure.breached_at.is_some(), "next": erasure.next_location() })
        })
        .collect();
    let line = |row: &Value| {
        format!("{} {} {} {} days left\n", row["code"], row["door"], row["state"]["state"], row["days_left"])
    };
    let words = if rows.is_empty() { "no request is open".to_owned() } else { rows.iter().map(line).collect() };
    Ok(Told::new(json!(rows), words.replace('"', "")))
}

/// The receipt of a request.
pub(crate) async fn receipt(stack: &Stack, code: &str) -> anyhow::Result<Told> {
    let deletion = deletion::Handler::from_env(stack.environment(&[]).await?, Stack::clock())?;
    match deletion.invoke(json!({ "receipt": code })).await {
        Ok(signed) => Ok(Told::new(signed.clone(), serde_json::to_string_pretty(&signed)?)),
        Err(error) if error.is::<deletion::OperatorError>() => {
            Ok(Told { json: json!({ "error": error.to_string() }), words: error.to_string(), so: false })
        }
        Err(error) => Err(anyhow!("{error}")),
    }
}

/// Whether a receipt is ours, and unchanged.
pub(crate) async fn verify(stack: &Stack, text: &str) -> anyhow::Result<Told> {
    let key = stack.key().await?;
    let mut checked = ReceiptCheck::Forged;
    if let Ok(signed) = serde_json::from_str::<SignedReceipt>(text) {
        checked = signed.check(&key);
        // The key is not what it was; the receipt that was kept is.
        if checked == ReceiptCheck::OtherKey
            && let Some(kept) = ErasureLedger::new(stack.table()).receipt(&signed.receipt.code).await?
        {
            checked = if kept == signed { ReceiptCheck::Genuine } else { ReceiptCheck::Forged };
        }
    }
    let words = match checked {
        ReceiptCheck::Genuine => "the receipt is genuine",
        ReceiptCheck::Forged => "the receipt is NOT genuine",
        ReceiptCheck::OtherKey => "the receipt is signed with another version of the key: this one cannot tell",
    };
    let genuine = checked == ReceiptCheck::Genuine;
    let told = json!({ "genuine": genuine, "checked": checked, "key": key.receipt_key_version() });
    Ok(Told { so: genuine, ..Told::new(told, words) })
}

/// Whose time is over; with `yes` it is acted on.
pub(crate) async fn retention(stack: &Stack, chatwoot_url: &str, yes: bool) -> anyhow::Result<Told> {
    let env = stack.environment(&[(platform::Setting::ChatwootUrl, chatwoot_url)]).await?;
    let retention = Box::pin(retention::Handler::from_env(env, Stack::clock())).await?;
    let report = if yes { Box::pin(retention.handle(RUN_TIMEOUT)).await } else { Box::pin(retention.dry_run()).await };
    let report = report.context("the run did not come to its end")?;
    let line = |due: &DueConversation| {
        let held = if due.held { " (kept by a label)" } else { "" };
        let DueConversation { account, conversation, active_at, .. } = due;
        format!("conversation {conversation} of account {account}, last active at {active_at}{held}")
    };
    let mut words: Vec<String> = report.due.iter().map(line).collect();
    words.push(format!(
        "{} due, {} asked for, {} overdue, of these {} items of the table past their end and {} that could not be judged",
        report.due.len(),
        report.asked,
        report.overdue,
        report.expired,
        report.unjudged
    ));
    Ok(Told::new(serde_json::to_value(&report)?, words.join("\n")))
}

/// Something personal without all but its last two characters, and without those as well where they are a good part of it.
fn masked(value: &str) -> String {
    let length = value.chars().count();
    let shown = if length < 7 { 0 } else { 2 };
    value.chars().enumerate().map(|(at, letter)| if at + shown < length { '•' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_personal_is_masked() {
        assert_eq!(masked("+5215555550123"), "••••••••••••23");
        assert_eq!(masked("ñandú"), "•••••");
    }
}
