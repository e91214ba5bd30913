//! Reads Meta's events about accounts, numbers, templates and groups (§2.6). It tells which channels an event is about, what it
//! changes, and the words that may go into a log.

use domain::{
    Channel, PhoneNumberId, Timestamp, WabaId,
    channel::{ChannelEvent, DisconnectReason, Mode},
    task::AccountNotice,
};
use serde_json::value::RawValue;

use crate::fields::Fields;

/// An event about an account, read.
#[derive(Clone, Debug, PartialEq)]
pub struct AccountEvent {
    /// The accounts it may be about, the best evidence first.
    wabas: Vec<WabaId>,
    /// The number it is about, by its id.
    number: Option<PhoneNumberId>,
    /// The number it is about, as people read it.
    display: Option<String>,
    /// What it changes.
    pub change: AccountChange,
    /// Meta's word for it.
    pub event: String,
    /// More of Meta's words: a reason, a kind, a level. Never prose, never a person.
    pub detail: String,
    /// Whether the operator should check.
    pub urgent: bool,
}

/// What an event changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountChange {
    /// Nothing; the operator is told about it.
    Nothing,
    /// The state of the channel.
    To(ChannelEvent),
    /// A partner left, and Meta does not say which: a call to Graph tells whether we still have access.
    Left,
    /// A partner was added, and it may be us.
    PartnerAdded,
}

/// Kinds of restriction that leave answers inside the window allowed (§2.6, Meta's policy pages).
const NOT_ABOUT_ANSWERS: [&str; 3] =
    ["RESTRICTED_BIZ_INITIATED_MESSAGING", "RESTRICTED_ADD_PHONE_NUMBER_ACTION", "RESTRICTED_BIZ_INITIATED_CALLING"];

/// Reads a notice about an account; `None` if it is not one.
pub fn read(notice: &AccountNotice) -> Option<AccountEvent> {
    let raw: &RawValue = serde_json::from_str(&notice.raw).ok()?;
    let value = Fields::read(raw)?.object("value")?;
    let inside = |name: &str, member: &str| value.object(name).and_then(|object| object.text(member));
    let event = ["event", "decision", "status", "new_quality_score", "new_category"];
    let event = event.into_iter().find_map(|name| value.text(name)).unwrap_or_default();
    let alert = value.object("alert_info");
    let about_number =
        inside("alert_info", "alert_type").is_some() && value.text("entity_type").as_deref() == Some("PHONE_NUMBER");
    let number = value.text("entity_id").filter(|_| about_number).map(PhoneNumberId::new);
    let details = [
        inside("disconnection_info", "reason"),
        inside("ban_info", "waba_ban_state"),
        inside("violation_info", "violation_type"),
        alert.as_ref().and_then(|alert| alert.text("alert_type")),
        alert.as_ref().and_then(|alert| alert.text("alert_severity")),
        value.text("reason"),
        value.text("max_daily_conversations_per_business"),
        value.objects("restriction_info").iter().find_map(|restriction| restriction.text("restriction_type")),
    ];
    let change = if notice.field == "account_update" { change(&event, &value) } else { AccountChange::Nothing };
    let severe = details.iter().flatten().any(|word| word == "CRITICAL")
        || matches!(
            event.as_str(),
            "ACCOUNT_VIOLATION" | "FLAGGED" | "DOWNGRADE" | "RED" | "DISABLED" | "PIN_RESET_REQUEST"
        )
        || inside("ban_info", "waba_ban_state").as_deref() == Some("SCHEDULE_FOR_DISABLE")
        || falls(&value);
    Some(AccountEvent {
        wabas: inside("waba_info", "waba_id").into_iter().map(WabaId::new).chain(notice.waba.clone()).collect(),
        number: notice.channel.clone().or(number),
        display: value.text("display_phone_number").or_else(|| value.text("phone_number")),
        change,
        event: word(&event),
        detail: details
            .into_iter()
            .flatten()
            .map(|text| word(&text))
            .filter(|word| !word.is_empty())
            .collect::<Vec<_>>()
            .join(" "),
        urgent: severe,
    })
}

/// Whether a quality or a limit is lower than it was, by what Meta tells of both.
fn falls(value: &Fields<'_>) -> bool {
    let quality = |name| match value.text(name).as_deref() {
        Some("GREEN") => Some(3),
        Some("YELLOW") => Some(2),
        Some("RED") => Some(1),
        _ => None,
    };
    let tier = |name| {
        let tier = value.text(name)?;
        match tier.strip_prefix("TIER_")? {
            "UNLIMITED" => Some(u64::MAX),
            limit => match limit.strip_suffix('K') {
                Some(thousands) => Some(thousands.parse::<u64>().ok()?.saturating_mul(1_000)),
                None => limit.parse().ok(),
            },
        }
    };
    let lower =
        |before: Option<u64>, after: Option<u64>| before.zip(after).is_some_and(|(before, after)| after < before);
    lower(quality("previous_quality_score"), quality("new_quality_score"))
        || lower(tier("old_limit"), tier("current_limit"))
}

fn change(event: &str, value: &Fields<'_>) -> AccountChange {
    match event {
        "PARTNER_REMOVED" | "PARTNER_APP_UNINSTALLED" => AccountChange::Left,
        "PARTNER_ADDED" | "PARTNER_APP_INSTALLED" => AccountChange::PartnerAdded,
        "ACCOUNT_DELETED" => AccountChange::To(ChannelEvent::Cut(DisconnectReason::Deleted)),
        "ACCOUNT_OFFBOARDED" => AccountChange::To(ChannelEvent::Cut(DisconnectReason::Offboarded)),
        "ACCOUNT_RECONNECTED" => AccountChange::To(ChannelEvent::Reconnected),
        "DISABLED_UPDATE" => match value.object("ban_info").and_then(|ban| ban.text("waba_ban_state")).as_deref() {
            Some("DISABLE") => AccountChange::To(ChannelEvent::Cut(DisconnectReason::Banned)),
            Some("REINSTATE") => AccountChange::To(ChannelEvent::Reinstated),
            // The date is in English prose; the ban itself gets an event of its own.
            _ => AccountChange::Nothing,
        },
        "ACCOUNT_RESTRICTION" => restriction(value).map_or(AccountChange::Nothing, AccountChange::To),
        _ => AccountChange::Nothing,
    }
}

/// The strictest of the restrictions that have an end; one without an end would never be lifted by itself.
fn restriction(value: &Fields<'_>) -> Option<ChannelEvent> {
    let ends = |restriction: &Fields<'_>| {
        let until = Timestamp::from_secs(restriction.number("expiration")?);
        let kind = restriction.text("restriction_type").unwrap_or_default();
        Some((!NOT_ABOUT_ANSWERS.contains(&kind.as_str()), until))
    };
    let (replies, until) = value.objects("restriction_info").iter().filter_map(ends).max()?;
    Some(ChannelEvent::Restricted { until, replies })
}

/// Meta's words are upper-case names, except those of a username's state; nothing else gets into a log.
fn word(text: &str) -> String {
    let upper = text.len() <= 64 && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let known = matches!(text, "approved" | "deleted" | "reserved");
    if known || (upper && digits < 7) { text.to_owned() } else { String::new() }
}

impl AccountEvent {
    /// The account it names.
    pub fn account(&self) -> Option<&WabaId> {
        self.wabas.first()
    }

    /// The channels the event is about: those of the account it names, narrowed to the number if it names one; by the number
    /// alone where it names no account of ours.
    pub fn channels(&self, all: Vec<Channel>) -> Vec<Channel> {
        let is_number = |channel: &Channel| {
            self.number.as_ref().is_none_or(|number| *number == channel.phone_number_id)
                && self.display.as_ref().is_none_or(|display| channel.is_number(display))
        };
        let named = self.number.is_some() || self.display.is_some();
        // An event that only a phone in a shop can cause is not about the account's other numbers (§2.6).
        let by_phone = matches!(self.event.as_str(), "ACCOUNT_OFFBOARDED" | "ACCOUNT_RECONNECTED") && !named;
        for waba in &self.wabas {
            let mut theirs: Vec<Channel> = all.iter().filter(|channel| channel.waba_id == *waba).cloned().collect();
            if by_phone && theirs.iter().any(|channel| channel.mode == Mode::Coexistence) {
                theirs.retain(|channel| channel.mode == Mode::Coexistence);
            }
            if !theirs.is_empty() {
                return theirs.into_iter().filter(is_number).collect();
            }
        }
        all.into_iter().filter(|channel| named && is_number(channel)).collect()
    }
}

#[cfg(test)]
mod tests {
    use domain::{KeyedHash, task::NoticeSubject};

    use super::*;

    fn notice(field: &str, value: &str) -> AccountNotice {
        AccountNotice {
            item: KeyedHash::new("item"),
            channel: None,
            field: field.to_owned(),
            about: NoticeSubject::Account,
            raw: format!(r#"{{"field":"{field}","value":{value}}}"#),
            waba: Some(WabaId::new("entry")),
            at: None,
        }
    }

    fn changed(value: &str) -> AccountChange {
        read(&notice("account_update", value)).unwrap().change
    }

    #[test]
    fn each_event_changes_what_it_should() {
        let cut = |cut| AccountChange::To(ChannelEvent::Cut(cut));
        assert_eq!(changed(r#"{"event":"ACCOUNT_OFFBOARDED"}"#), cut(DisconnectReason::Offboarded));
        assert_eq!(changed(r#"{"event":"ACCOUNT_DELETED"}"#), cut(DisconnectReason::Deleted));
        assert_eq!(
            changed(r#"{"event":"DISABLED_UPDATE","ban_info":{"waba_ban_state":"DISABLE"}}"#),
            cut(DisconnectReason::Banned)
        );
        let scheduled = r#"{"event":"DISABLED_UPDATE","ban_info":{"waba_ban_state":"SCHEDULE_FOR_DISABLE"}}"#;
        assert_eq!(changed(scheduled), AccountChange::Nothing);
        assert_eq!(changed(r#"{"event":"ACCOUNT_RECONNECTED"}"#), AccountChange::To(ChannelEvent::Reconnected));
        assert_eq!(changed(r#"{"event":"PARTNER_REMOVED"}"#), AccountChange::Left);
        assert_eq!(changed(r#"{"event":"SOMETHING_NEW"}"#), AccountChange::Nothing);
        assert_eq!(read(&notice("security", r#"{"event":"ACCOUNT_DELETED"}"#)).unwrap().change, AccountChange::Nothing);
    }

    #[test]
    fn a_restriction_is_as_strict_as_its_strictest_kind() {
        let kind = |kind: &str, end: i64| format!(r#"{{"restriction_type":"{kind}","expiration":{end}}}"#);
        let of = |kinds: &[String]| {
            changed(&format!(r#"{{"event":"ACCOUNT_RESTRICTION","restriction_info":[{}]}}"#, kinds.join(",")))
        };
        let begin = kind("RESTRICTED_BIZ_INITIATED_MESSAGING", 9);
        let answer = kind("RESTRICTED_CUSTOMER_INITIATED_MESSAGING", 5);
        let until = |secs| Timestamp::from_secs(secs);
        assert_eq!(
            of(std::slice::from_ref(&begin)),
            AccountChange::To(ChannelEvent::Restricted { until: until(9), replies: false })
        );
        assert_eq!(
            of(&[begin, answer]),
            AccountChange::To(ChannelEvent::Restricted { until: until(5), replies: true })
        );
        assert_eq!(of(&[r#"{"restriction_type":"X"}"#.to_owned()]), AccountChange::Nothing);
    }

    #[test]
    fn only_metas_own_words_are_passed_on() {
        let told = r#"{"event":"PIN_CHANGED","requester":"61550123456789","reason":"Ana said 5215555550123"}"#;
        let event = read(&notice("security", told)).unwrap();
        assert_eq!((event.event.as_str(), event.detail.as_str()), ("PIN_CHANGED", ""));
        assert_eq!([word("5215555550123"), word("Ana"), word("TIER_2K")], ["", "", "TIER_2K"]);
    }
}
