//! Requests, receipts and whose time is over, from outside: answers and exit codes.

use std::time::Duration;

use domain::{Clock as _, SystemClock};
use serde_json::json;
use stories::World;

use crate::support::{binary, complaint, ops, run, says};

const DAY: Duration = Duration::from_secs(86_400);

/// Ana has written and been answered.
async fn world() -> World {
    let world = World::start_now().await.unwrap();
    world.meta.customer("Ana", "5215555550123").writes("hola").await.unwrap();
    world.work().await.unwrap();
    world
}

/// Lets the bridge do what it was asked, polls of Chatwoot among it.
async fn until_done(world: &World) {
    for _ in 0..100 {
        world.work().await.unwrap();
        if says(world, 0, &["erasures"], "") == json!([]) {
            return;
        }
        world.pass(Duration::from_secs(2));
    }
    panic!("it does not come to an end");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_from_the_dry_run_to_the_receipt_that_somebody_checks() {
    let world = world().await;
    let asks = ["erase", "--phone", "+52 1 55 5555 0123"];
    let dry = says(&world, 0, &asks, "");
    assert_eq!((&dry["dry_run"], dry["phone"].as_str().unwrap().contains("55 5555")), (&json!(true), false));
    assert_eq!(says(&world, 0, &["erasures"], ""), json!([]), "a dry run opens nothing");

    let code = says(&world, 0, &[&asks[..], &["--yes"]].concat(), "")["code"].as_str().unwrap().to_owned();
    let open = says(&world, 0, &["erasures"], "");
    assert_eq!((&open[0]["code"], &open[0]["days_left"]), (&json!(code), &json!(30)));
    assert!(!open.to_string().contains("5550123"), "{open}");
    let early = says(&world, 3, &["receipt", &code], "");
    assert_eq!(early["error"], "there is no receipt under this code");

    until_done(&world).await;
    assert!(world.conversation("Ana").is_err());
    let receipt = says(&world, 0, &["receipt", &code], "");
    assert!(!receipt.to_string().contains("5550123"), "{receipt}");
    assert_eq!(says(&world, 0, &["verify", "-"], &receipt.to_string())["genuine"], true);
    for forged in [receipt.to_string().replacen('1', "2", 1), "{}".to_owned(), "no receipt".to_owned()] {
        assert_eq!(says(&world, 3, &["verify", "-"], &forged)["genuine"], false, "{forged}");
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), receipt.to_string()).unwrap();
    let words = ops(&world, &["verify", file.path().to_str().unwrap()], "");
    assert_eq!(String::from_utf8(words.stdout).unwrap(), "the receipt is genuine\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_kept_is_put_back_only_when_told_to() {
    let world = world().await;
    says(&world, 0, &["erase", "--phone", "5215555550123", "--yes"], "");
    until_done(&world).await;
    let kept = ops(&world, &["keep"], "");
    let lines = String::from_utf8(kept.stdout).unwrap();
    assert!(lines.lines().count() >= 2 && !lines.contains("5550123"), "{lines}");
    // Nobody restored a table: there is nobody to erase again, whoever says it and in whichever shape.
    let array = says(&world, 0, &["keep"], "").to_string();
    for (input, more) in [(&lines, None), (&array, None), (&lines, Some("--yes"))] {
        let applied = says(&world, 0, &["restore", "-"].into_iter().chain(more).collect::<Vec<_>>(), input);
        assert_eq!((&applied["customers"], &applied["items"]), (&json!(0), &json!(0)));
    }
    // Who came back by herself since is not erased again.
    world.meta.customer("Ana", "5215555550123").writes("otra vez").await.unwrap();
    world.work().await.unwrap();
    assert_eq!(says(&world, 0, &["restore", "-", "--yes"], &lines)["customers"], 0);
    assert!(world.conversation("Ana").is_ok());
    let output = ops(&world, &["restore", "-"], "no ledger");
    assert_eq!(output.status.code(), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn whose_time_is_over_is_listed_and_erased_only_when_told_to() {
    // The tool goes by the machine's time, so the story begins that long ago.
    let world = World::start_at(SystemClock.now() - 400 * DAY).await.unwrap();
    world.meta.customer("Ana", "5215555550123").writes("hola").await.unwrap();
    world.work().await.unwrap();
    world.pass(400 * DAY);
    let chatwoot = world.chatwoot.url();
    let asks = ["retention", "--chatwoot-url", &chatwoot];
    let due = says(&world, 0, &asks, "");
    assert_eq!((due["due"].as_array().unwrap().len(), &due["asked"]), (1, &json!(0)));
    assert_eq!(
        due["overdue"].as_u64(),
        due["expired"].as_u64().map(|expired| expired + 1),
        "a look tells what is overdue"
    );
    assert_eq!(says(&world, 0, &["erasures"], ""), json!([]));
    assert_eq!(says(&world, 0, &[&asks[..], &["--yes"]].concat(), "")["asked"], 1);
    until_done(&world).await;
    assert!(world.conversation("Ana").is_err());
    let after = says(&world, 0, &asks, "");
    assert_eq!((&after["due"], &after["overdue"]), (&json!([]), &json!(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_differs_between_stages_is_read_from_the_environment() {
    let world = world().await;
    let chatwoot = world.chatwoot.url();
    for (name, value) in [("GRAPH_URL", "no address"), ("CHATWOOT_CA", "no certificate")] {
        let mut command = binary();
        command.args(["retention", "--chatwoot-url", &chatwoot]).envs(world.stage.credentials("operator"));
        let output = run(command.env(name, value), "");
        let said = complaint(&output);
        assert_eq!(output.status.code(), Some(1), "{name}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_done_says_why_and_ends_with_its_code() {
    let world = world().await;
    for (arguments, code, words) in [
        (&["erase"][..], 2, "--phone"),
        (&["erase", "--phone", "1", "--user-id", "MX.1"], 2, "cannot be used with"),
        (&["erase", "--phone", "12", "--yes"], 1, "7 to 15 digits"),
        (&["erase", "--phone", "12"], 1, "7 to 15 digits"),
        (&["erase", "--user-id", " "], 1, "1 to 140 letters"),
        (&["receipt", "no-such-code"], 3, ""),
        (&["verify", "no-such-file"], 1, "no-such-file"),
        (&["erasures", "--stack", "another"], 1, "ResourceNotFoundException"),
        (&["erase", "--phone", "5215555550123", "--yes", "--stack", "another"], 1, "erasure.fifo cannot be found"),
    ] {
        let output = ops(&world, arguments, "");
        let said = complaint(&output);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(words), "{arguments:?}: {said}");
    }
    let without = run(binary().arg("erasures"), "");
    assert_eq!(without.status.code(), Some(1));
    assert!(complaint(&without).contains("AWS credentials are needed"), "{}", complaint(&without));
}
