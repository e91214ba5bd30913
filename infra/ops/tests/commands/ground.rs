//! What all commands share: credentials, the local runner, help, completion, manual pages, tables.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use serde_json::json;
use stories::World;

use crate::support::{binary, complaint, ops, run, says, words};

/// A runner, killed at the end of its test.
struct Runner(Child, String);

impl Drop for Runner {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Runner {
    /// The one that was built beside `ops`. A test of this crate alone does not build it.
    fn start() -> Option<Self> {
        let program = Path::new(env!("CARGO_BIN_EXE_ops")).with_file_name("local");
        if !program.is_file() {
            assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "`cargo build -p local` was not run");
            eprintln!("\n!!! SKIPPED: the local runner is not built (cargo build -p local)\n");
            return None;
        }
        let mut process =
            Command::new(program).args(["--listen", "127.0.0.1:0"]).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let ready = lines.map_while(Result::ok).find_map(|line| line.strip_prefix("ready ").map(str::to_owned));
        Some(Self(process, ready.unwrap()))
    }
}

#[test]
fn everything_can_be_tried_on_the_local_runner() {
    let Some(runner) = Runner::start() else { return };
    let local = |arguments: &[&str]| {
        let output = run(binary().args(arguments).args(["--local", &runner.1, "--json"]), "");
        assert!(output.status.success(), "{arguments:?} {}", complaint(&output));
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()
    };
    assert_eq!(local(&["erasures"]), json!([]));
    let asked = local(&["erase", "--phone", "5215555550123", "--yes"]);
    assert_eq!(local(&["erasures"])[0]["code"], asked["code"]);
    assert_eq!(local(&["retention"])["due"], json!([]), "it knows the runner's Chatwoot");
    for (url, why) in [
        ("http://127.0.0.1:9", "no runner answers"),
        ("https://bridge.example.com", "on this machine"),
        ("nonsense", "relative URL"),
    ] {
        let refused = run(binary().args(["erasures", "--local", url]), "");
        assert!(!refused.status.success() && complaint(&refused).contains(why), "{url}: {}", complaint(&refused));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_found_where_the_aws_cli_finds_them() {
    let world = World::start_now().await.unwrap();
    let home = tempfile::tempdir().unwrap();
    let aws = home.path().join(".aws");
    std::fs::create_dir(&aws).unwrap();
    let url = world.stage.aws.url();
    let config = format!(
        "[profile files]\nregion = us-east-1\nendpoint_url = {url}\n\n[profile process]\nregion = us-east-1\n\
         endpoint_url = {url}\ncredential_process = /bin/echo '{}'\n",
        r#"{"Version":1,"AccessKeyId":"operator","SecretAccessKey":"test"}"#
    );
    std::fs::write(aws.join("config"), config).unwrap();
    std::fs::write(aws.join("credentials"), "[files]\naws_access_key_id = operator\naws_secret_access_key = test\n")
        .unwrap();
    for (profile, by_name) in [("files", true), ("files", false), ("process", true)] {
        let mut command = binary();
        command.args(["erasures", "--json"]).env("HOME", home.path()).env("PATH", "/usr/bin:/bin");
        if by_name {
            command.args(["--profile", profile])
        } else {
            command.env("AWS_PROFILE", profile)
        };
        let output = run(&mut command, "");
        assert_eq!((words(&output).as_str(), complaint(&output).as_str()), ("[]\n", ""), "{profile}");
    }
    let nobody = run(binary().args(["erasures", "--profile", "nobody"]).env("HOME", home.path()), "");
    assert_eq!(nobody.status.code(), Some(1));
    assert!(complaint(&nobody).contains("AWS credentials are needed"), "{}", complaint(&nobody));
}

#[test]
fn help_completion_and_manual_need_nothing() {
    for (arguments, expected) in [
        (&["--help"][..], "--local <URL>"),
        (&["erase", "--help"], "--phone <PHONE>"),
        (&["completion", "bash"], "_ops()"),
        (&["completion", "zsh"], "#compdef ops"),
        (&["man"], ".TH ops 1"),
    ] {
        let output = run(binary().args(arguments), "");
        assert!(output.status.success() && words(&output).contains(expected), "{arguments:?} {}", words(&output));
    }
    let pages = tempfile::tempdir().unwrap();
    assert!(run(binary().args(["man", "--directory"]).arg(pages.path()), "").status.success());
    assert!(pages.path().join("ops-erase.1").is_file());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_a_table_of_eighty_letters_where_no_terminal_is() {
    let world = World::start_now().await.unwrap();
    for phone in ["5215555550123", "5215555550124"] {
        says(&world, 0, &["erase", "--phone", phone, "--yes"], "");
    }
    assert_eq!(says(&world, 0, &["erasures"], "").as_array().unwrap().len(), 2);
    let table = words(&ops(&world, &["erasures"], ""));
    assert_eq!(table.lines().count(), 3, "{table}");
    assert!(table.starts_with("code") && table.lines().all(|line| line.chars().count() <= 80), "{table}");
    let none = words(&ops(&World::start_now().await.unwrap(), &["erasures"], ""));
    assert_eq!(none, "no request is open\n");
}
