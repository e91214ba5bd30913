//! The table put back to an earlier time, on AWS as others understand it: looked at, killed anywhere, done, and repeated.

use std::{
    io::Write as _,
    process::Stdio,
    sync::{Arc, Mutex},
};

use domain::{Clock as _, SystemClock};
use serde_json::{Value, json};
use simulator_aws::emulator::Make;

use crate::{
    deploy::{APP, Account, GIVEN, ended},
    support::complaint,
};

/// A deployed stack with one request for erasure.
async fn deployed(test: &str, make: Make) -> Option<(Account, Value)> {
    let account = Account::open(test, make).await?;
    assert_eq!(account.says(0, &account.deploy(&["--app-id", APP]), GIVEN)["state"], "created");
    let asked = account.says(0, &["erase", "--phone", "5215555550123", "--yes"], "");
    Some((account, asked))
}

/// Now, as DynamoDB reads it.
fn now() -> String {
    let at = SystemClock.now().as_secs();
    let days = i128::from(at.div_euclid(86_400));
    let (mut year, mut rest) = (1970, days);
    loop {
        let length = if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) { 366 } else { 365 };
        if rest < length {
            let february = if length == 366 { 29 } else { 28 };
            let mut month = 1;
            for days in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
                if rest < days {
                    break;
                }
                rest -= days;
                month += 1;
            }
            let second = at.rem_euclid(86_400);
            let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
            return format!("{year:04}-{month:02}-{:02}T{hour:02}:{minute:02}:{second:02}Z", rest + 1);
        }
        rest -= length;
        year += 1;
    }
}

async fn put_back(make: Make) {
    let Some((account, asked)) = deployed("put_back", make).await else { return };
    let to = now();
    let asks = ["restore", "--to", &to];
    account.between.calls();
    let told = account.says(0, &asks, "");
    assert_eq!((&told["dry_run"], &told["applied"]), (&json!(true), &Value::Null), "{told}");
    let changed = ["RestoreTable", "CreateBackup", "DeleteTable", "UpdateTable", "PUT /"];
    let calls = account.between.calls();
    assert!(calls.iter().all(|call| changed.iter().all(|part| !call.contains(part))), "{calls:#?}");

    // No copy was made yet, and without one whoever was erased would come back.
    let refused = account.ops(&[&asks[..], &["--daily-copy", "--yes"]].concat(), "");
    assert!(complaint(&refused).contains("lmotos-ledger is empty"), "{}", complaint(&refused));
    assert!(account.between.calls().iter().all(|call| !call.starts_with("PUT")), "nothing is held");
    // What it cannot do is told, and that functions are held.
    account.between.forbid(Some("RestoreTableToPointInTime"));
    let refused = complaint(&account.ops(&[&asks[..], &["--yes"]].concat(), ""));
    assert!(refused.contains("functions are held") && refused.contains("RestoreTableToPointInTime"), "{refused}");
    account.between.forbid(None);

    let (mut calls, mut killed) = (1, 0);
    loop {
        assert!(calls < 200, "it never comes to its end");
        let mut command = account.command(&[&asks[..], &["--yes"]].concat());
        let process = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::inherit()).spawn().unwrap();
        let process = Arc::new(Mutex::new(process));
        process.lock().unwrap().stdin.take().unwrap().write_all(b"").unwrap();
        account.between.kill_after(calls, &process);
        let ended = ended(&process).await;
        if ended.success() {
            break;
        }
        assert_eq!(ended.code(), None, "{}: it fails by itself after a kill at call {calls}", make.name());
        (calls, killed) = (calls + 2, killed + 1);
    }
    assert!(killed > 10, "{killed}");
    let open = account.says(0, &["erasures"], "");
    assert_eq!(open[0]["code"], asked["code"], "the request is in the table that was put back");
    let after = account.between.calls();
    let deleted = after.iter().filter(|call| call.contains("DeleteTable")).count();
    let restored = after.iter().filter(|call| call.contains("RestoreTableFromBackup")).count();
    // A call whose answer was lost may be made again; a table that was put back is never deleted.
    assert!((1..=2).contains(&restored) && (2..=4).contains(&deleted), "{deleted} {restored} {after:#?}");
    // The copies are gone: neither has an end of its own.
    let backups = after.iter().filter(|call| call.contains("DeleteBackup")).count();
    assert!(backups >= 1, "{after:#?}");
    account.between.calls();
    let again = account.says(0, &[&asks[..], &["--yes"]].concat(), "");
    let calls = account.between.calls();
    assert_eq!(again["applied"], Value::Null, "there is nothing left to do");
    assert!(calls.iter().all(|call| changed[..4].iter().all(|part| !call.contains(part))), "{calls:#?}");
    assert_eq!(account.says(0, &asks, "")["dry_run"], json!(true));
    let calls = account.between.calls();
    assert!(calls.iter().all(|call| !call.starts_with("PUT") && !call.starts_with("DELETE")), "a look: {calls:#?}");
    let late = account.ops(&["restore", "--to", "2099-01-01T00:00:00Z", "--yes"], "");
    assert!(complaint(&late).contains("can be put back to a time from"), "{}", complaint(&late));
    assert_eq!(account.ops(&["restore", "--to", "yesterday"], "").status.code(), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_put_back_on_ministack() {
    put_back(Make::Ministack).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_put_back_on_moto() {
    put_back(Make::Moto).await;
}
