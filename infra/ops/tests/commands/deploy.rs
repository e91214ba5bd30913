//! A stack up, up to date, and down again, on AWS as two other authors understand it.

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use simulator_aws::emulator::{self, Emulator, Make, skipped};
use simulator_wire::{Effect, Fault};
use stories::{CHANNEL, World};
use tempfile::TempDir;

use crate::{
    between::Between,
    support::{binary, complaint, run, words},
};

pub(crate) const APP: &str = "100000000000001";
pub(crate) const GIVEN: &str = "app-secret-of-the-stories\ntoken-of-the-administrator\n";

/// An emulator without a stack, both sides, and packages that are ready.
pub(crate) struct Account {
    pub(crate) world: World,
    pub(crate) between: Between,
    make: Make,
    packages: TempDir,
    _emulator: Emulator,
}

impl Account {
    /// Nothing where the emulator, or SAM's translator, is not installed.
    pub(crate) async fn open(test: &str, make: Make) -> Option<Self> {
        let (Some(emulator), Some(template)) = (Emulator::start(make).await.unwrap(), template()) else {
            skipped(test, make.name());
            return None;
        };
        let world = World::start_now().await.unwrap();
        world.meta.set_app_id(APP);
        let between = Between::start(emulator.url()).await;
        let packages = tempfile::tempdir().unwrap();
        fs::write(packages.path().join("template.json"), template.to_string()).unwrap();
        let account = Self { world, between, make, packages, _emulator: emulator };
        for resource in template["Resources"].as_object().unwrap().values() {
            if let Some(name) = resource["Properties"]["Code"]["S3Key"].as_str() {
                fs::write(account.packages.path().join(name), zip(name)).unwrap();
            }
        }
        fs::write(account.packages.path().join("architecture"), "arm64\n").unwrap();
        account.sum_up();
        Some(account)
    }

    fn sum_up(&self) {
        let files = fs::read_dir(self.packages.path()).unwrap().map(|file| file.unwrap().path());
        let lines = files.filter(|file| !file.ends_with("SHA256SUMS")).map(|file| {
            let sum = format!("{:x}", Digits(Sha256::digest(fs::read(&file).unwrap()).into()));
            format!("{sum}  {}\n", file.file_name().unwrap().to_str().unwrap())
        });
        let lines: String = lines.collect();
        fs::write(self.packages.path().join("SHA256SUMS"), lines).unwrap();
    }

    /// Another template.
    fn take(&self, template: &str) {
        fs::write(self.packages.path().join("template.json"), template).unwrap();
        self.sum_up();
    }

    /// Another build of one function.
    fn rebuild(&self, name: &str) {
        fs::write(self.packages.path().join(name), zip("another build")).unwrap();
        self.sum_up();
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = binary();
        command.args(arguments).env("AWS_ENDPOINT_URL", self.between.url()).env("AWS_REGION", "us-east-1");
        command.envs([("AWS_ACCESS_KEY_ID", "operator"), ("AWS_SECRET_ACCESS_KEY", "test")]);
        command.env("GRAPH_URL", self.world.meta.url()).env("CHATWOOT_URL", self.world.chatwoot.url());
        command
    }

    pub(crate) fn ops(&self, arguments: &[&str], input: &str) -> Output {
        run(&mut self.command(arguments), input)
    }

    pub(crate) fn says(&self, code: i32, arguments: &[&str], input: &str) -> Value {
        let output = self.ops(&[arguments, &["--json"]].concat(), input);
        assert_eq!(output.status.code(), Some(code), "{}: {arguments:?} {}", self.make.name(), complaint(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// A letter of nobody's in a queue.
    async fn queue(&self, name: &str) {
        let url = self.between.url();
        let queue = format!("{url}/000000000000/{name}");
        let letter =
            json!({ "QueueUrl": queue, "MessageBody": "{}", "MessageGroupId": "a", "MessageDeduplicationId": "a" });
        self.asks("sqs", "AmazonSQS.SendMessage", &letter).await;
    }

    async fn asks(&self, service: &str, target: &str, body: &Value) {
        let client = platform::http::Http::new(Arc::new(chatwoot::files::PublicOnly), None).unwrap().kept;
        let signed = format!(
            "AWS4-HMAC-SHA256 Credential=operator/20261130/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=00"
        );
        let request = client.post(self.between.url()).header("authorization", signed);
        let request = request.header("x-amz-target", target).header("x-amz-date", "20261130T000000Z");
        let answer = request.header("content-type", "application/x-amz-json-1.0").body(body.to_string()).send().await;
        let answer = answer.unwrap();
        assert!(answer.status().is_success(), "{target}: {}", answer.text().await.unwrap());
    }

    /// A stack that fails, and leaves what was made.
    async fn create_without_rollback(&self, template: &Value) {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.extend_pairs([
            ("Action", "CreateStack"),
            ("Version", "2010-05-15"),
            ("StackName", "lmotos"),
            ("OnFailure", "DO_NOTHING"),
            ("TemplateBody", &template.to_string()),
            ("Parameters.member.1.ParameterKey", "ChatwootUrl"),
            ("Parameters.member.1.ParameterValue", "https://chat.example"),
        ]);
        let client = platform::http::Http::new(Arc::new(chatwoot::files::PublicOnly), None).unwrap().kept;
        let signed = "AWS4-HMAC-SHA256 Credential=operator/20261130/us-east-1/cloudformation/aws4_request, \
                      SignedHeaders=host, Signature=00";
        let request = client.post(self.between.url()).header("authorization", signed);
        let request = request.header("x-amz-date", "20261130T000000Z");
        let request = request.header("content-type", "application/x-www-form-urlencoded; charset=utf-8");
        let answer = request.body(form.finish()).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
    }

    pub(crate) fn deploy<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        [&["deploy", "--packages", self.packages.path().to_str().unwrap()], more].concat()
    }
}

/// Bytes as hexadecimal digits.
struct Digits([u8; 32]);

impl std::fmt::LowerHex for Digits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The smallest zip there is, with a remark that makes it differ.
fn zip(remark: &str) -> Vec<u8> {
    let length = u16::try_from(remark.len()).unwrap();
    [&b"PK\x05\x06"[..], &[0; 16], &length.to_le_bytes(), remark.as_bytes()].concat()
}

/// The template as `infra/package` writes it.
fn template() -> Option<Value> {
    let python = emulator::tool("TRANSLATOR_PYTHON", "ministack")?.with_file_name("python");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../translate.py");
    let out = Command::new(python).arg(script).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    Some(serde_json::from_slice(&out.stdout).unwrap())
}

fn ids(told: &Value, action: &str) -> Vec<String> {
    let changes = told["plan"][action].as_array().unwrap();
    changes.iter().map(|change| change["id"].as_str().unwrap().to_owned()).collect()
}

async fn up_and_down(make: Make) {
    let Some(account) = Account::open("up_and_down", make).await else { return };
    let planned = account.says(0, &account.deploy(&["--dry-run"]), "");
    assert_eq!(planned["state"], "planned");
    assert!(ids(&planned, "added").contains(&"Table".to_owned()), "{planned}");
    let calls = account.between.calls();
    assert!(calls.iter().all(|call| !call.starts_with("PUT") && !call.contains("ChangeSet")), "{calls:#?}");

    let made = account.says(0, &account.deploy(&["--app-id", APP]), GIVEN);
    assert_eq!((&made["state"], &made["app"]["changed"]), (&json!("created"), &json!(true)), "{made}");
    assert_eq!(made["parameters"]["ChatwootUrl"], json!(account.world.chatwoot.url()));
    let all = made.to_string();
    assert!(!all.contains("app-secret-of") && !all.contains("token-of-the"), "{all}");

    let again = account.says(0, &account.deploy(&[]), "");
    assert_eq!((&again["state"], &again["app"]["changed"]), (&json!("unchanged"), &json!(false)), "{again}");
    assert_eq!(again["app"]["verify_token"], made["app"]["verify_token"]);

    // In service: a number, and what the doctor says of the whole.
    let api = account.world.url();
    let added = account.says(0, &["channel", "add", CHANNEL, "--api-url", &api], &format!("token-of-{CHANNEL}"));
    assert_eq!(added["proof"]["holds"], json!(true), "{added}");
    assert_eq!(account.says(0, &["channel", "list"], "").as_array().unwrap().len(), 1);
    let findings = account.ops(&["doctor", "--json", "--api-url", &api], "");
    let findings: Value = serde_json::from_slice(&findings.stdout).unwrap();
    let of = |check: &str| {
        let found = findings.as_array().unwrap().iter().find(|finding| finding["check"] == check);
        found.unwrap_or_else(|| panic!("{check}: {findings}"))["level"].clone()
    };
    // Neither switches on what the template says of the table's time to live and recovery.
    for check in ["app secret", "table", "queue inbound", "policy", "Chatwoot", "Chatwoot's token", "webhook at Meta"] {
        assert_eq!(of(check), "ok", "{}: {check}: {findings}", make.name());
    }

    // A parameter changes what rests on it, and is remembered.
    let more = ["--parameter", "SendConcurrency=3"];
    let planned = account.says(0, &account.deploy(&[&more[..], &["--dry-run"]].concat()), "");
    let changed = account.says(0, &account.deploy(&more), "");
    assert_eq!((&planned["state"], &planned["plan"]), (&json!("planned"), &changed["plan"]));
    assert_eq!((&changed["state"], &changed["parameters"]), (&json!("updated"), &json!({ "SendConcurrency": "3" })));
    let touched = [ids(&changed, "added"), ids(&changed, "changed"), ids(&changed, "removed")].concat();
    assert_eq!((touched, ids(&changed, "replaced")), (vec!["SendOutbound".to_owned()], vec![]), "{changed}");
    assert_eq!(account.says(0, &account.deploy(&[]), "")["state"], "unchanged", "a parameter is remembered");

    // Another build of one function gives it a version, and leaves the others alone.
    account.rebuild("webhook.zip");
    account.between.calls();
    let rebuilt = account.says(0, &account.deploy(&[]), "");
    let put: Vec<_> = account.between.calls().into_iter().filter(|call| call.starts_with("PUT /lmotos-pack")).collect();
    assert_eq!(put.len(), 2, "the template, and one package: {put:#?}");
    assert!(ids(&rebuilt, "changed").contains(&"Webhook".to_owned()), "{rebuilt}");
    let [added, removed] = ["added", "removed"].map(|action| ids(&rebuilt, action));
    assert!(matches!(&added[..], [one] if one.starts_with("WebhookVersion")), "{rebuilt}");
    assert!(matches!(&removed[..], [one] if one.starts_with("WebhookVersion")), "{rebuilt}");

    let inbound = "lmotos-inbound.fifo";
    // Down: what waits holds it up, and what is nowhere else stays.
    account.queue(inbound).await;
    let told = account.says(0, &["destroy"], "");
    assert_eq!((&told["dry_run"], &told["waiting"]), (&json!(true), &json!({ inbound: 1 })), "{told}");
    let held_up = account.ops(&["destroy", "--yes"], "");
    assert_eq!(held_up.status.code(), Some(4), "{}", complaint(&held_up));
    assert!(words(&held_up).contains("1 in lmotos-inbound.fifo"), "{}", words(&held_up));
    let gone = account.says(0, &["destroy", "--yes", "--drop-waiting"], "");
    assert_eq!(gone["deleted"], json!(true), "{gone}");
    let stays: Vec<_> = gone["stays"].as_array().unwrap().iter().map(|of| of["id"].as_str().unwrap()).collect();
    assert!(stays.contains(&"Table") && stays.contains(&"LedgerCopy"), "{gone}");
    assert_eq!(account.ops(&["destroy"], "").status.code(), Some(3));
    let refused = account.ops(&account.deploy(&[]), "");
    assert_eq!(refused.status.code(), Some(1));
    assert!(complaint(&refused).contains("docs/runbook/stack-again.md"), "{}", complaint(&refused));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_comes_and_goes_on_ministack() {
    up_and_down(Make::Ministack).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_comes_and_goes_on_moto() {
    up_and_down(Make::Moto).await;
}

/// Kills each run one call later than the one before, until one goes through; says how it ended, and how often it was killed.
async fn until_it_goes_through(account: &Account, asks: &[&str]) -> (ExitStatus, usize) {
    let (mut calls, whole) = (1, 200);
    loop {
        assert!(calls < whole, "it never comes to its end");
        let mut command = account.command(asks);
        let process = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let process = Arc::new(Mutex::new(process));
        process.lock().unwrap().stdin.take().unwrap().write_all(GIVEN.as_bytes()).unwrap();
        account.between.kill_after(calls, &process);
        let ended = ended(&process).await;
        if ended.code().is_some() {
            return (ended, calls - 1);
        }
        calls += 1;
    }
}

async fn killed_everywhere(make: Make) {
    let Some(account) = Account::open("killed_everywhere", make).await else { return };
    let (ended, killed) = until_it_goes_through(&account, &account.deploy(&["--app-id", APP])).await;
    assert!(ended.success() && killed > 20, "{}: {ended} after {killed}", make.name());
    account.between.calls();
    let again = account.says(0, &account.deploy(&[]), "");
    assert_eq!((&again["state"], &again["app"]["changed"]), (&json!("unchanged"), &json!(false)), "{again}");
    let calls = account.between.calls();
    assert!(
        calls.iter().all(|call| !call.contains("UpdateTerminationProtection")),
        "it is protected already: {calls:#?}"
    );
    // Down as well. Where the last run was killed when all was done, there is nothing left to delete.
    let (ended, killed) = until_it_goes_through(&account, &["destroy", "--yes"]).await;
    assert!(matches!(ended.code(), Some(0 | 3)) && killed > 5, "{}: {ended} after {killed}", make.name());
    assert_eq!(account.ops(&["destroy"], "").status.code(), Some(3));
}

pub(crate) async fn ended(process: &Arc<Mutex<Child>>) -> ExitStatus {
    loop {
        if let Some(ended) = process.lock().unwrap().try_wait().unwrap() {
            return ended;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_that_is_killed_anywhere_goes_on_on_ministack() {
    killed_everywhere(Make::Ministack).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_that_is_killed_anywhere_goes_on_on_moto() {
    killed_everywhere(Make::Moto).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_told_before_anything_is_made() {
    let make = Make::Ministack;
    let Some(account) = Account::open("what_is_wrong_is_told_before_anything_is_made", make).await else { return };
    let refused = |more: &[&str], input: &str, expected: &str| {
        let output = account.ops(&account.deploy(more), input);
        let said = complaint(&output);
        assert_eq!(output.status.code(), Some(1), "{expected}: {said}");
        assert!(said.contains(expected) && !said.contains("token-of-the"), "{expected}: {said}");
        let changed = account.between.calls().into_iter().filter(|call| call.starts_with("PUT")).count();
        assert_eq!(changed, 0, "{expected}: something was made");
    };
    refused(&["--parameter", "Chatwoot=x"], "", "there is no parameter Chatwoot; there are AlarmEmail");
    refused(&["--parameter", "Architecture=x86_64"], "", "the packages are for arm64");
    refused(&["--parameter", "ReservedConcurrency=900"], "", "ReservedConcurrency=0, or ask AWS for 1,000");
    refused(&["--app-id", APP], "wrong\ntoken-of-the-administrator\n", "does not accept this app id");
    refused(&["--app-id", APP], "app-secret-of-the-stories\nunknown\n", "no user's token");
    refused(&["--app-id", APP], "", "the app secret is needed on standard input");
    let page =
        Effect::Answer { status: 200, content_type: "text/html".to_owned(), body: "<html>Log in</html>".to_owned() };
    account.world.chatwoot.faults().add(Fault {
        method: None,
        path: "/".to_owned(),
        skip: 0,
        times: None,
        effect: page,
    });
    refused(&[], "", "what answered is not Chatwoot's API");
    account.world.chatwoot.faults().clear();
    account.between.forbid(Some("GetCallerIdentity"));
    refused(&[], "", "docs/ops.md says what has to be allowed");
    account.between.forbid(Some("HEAD /lmotos-packages"));
    refused(&[], "", "these credentials may not use it");
    account.between.forbid(None);
    fs::write(account.packages.path().join("send.zip"), zip("not what was summed up")).unwrap();
    refused(&[], "", "send.zip is not what SHA256SUMS says");
    fs::remove_file(account.packages.path().join("SHA256SUMS")).unwrap();
    refused(&[], "", "`bash infra/package` writes such a directory");
    account.rebuild("send.zip");
    account.between.forbid(Some("CreateChangeSet"));
    let output = account.ops(&account.deploy(&[]), "");
    assert_eq!(output.status.code(), Some(1));
    assert!(complaint(&output).contains("AccessDenied"), "{}", complaint(&output));
    account.between.forbid(None);
    assert_eq!(account.says(0, &account.deploy(&[]), "")["state"], "created");
    assert_eq!(account.says(0, &["app", "--app-id", APP], GIVEN)["changed"], json!(true));

    // With Chatwoot away only who says so deploys.
    let away = Effect::Answer { status: 502, content_type: "text/plain".to_owned(), body: String::new() };
    account.world.chatwoot.faults().add(Fault {
        method: None,
        path: "/".to_owned(),
        skip: 0,
        times: None,
        effect: away,
    });
    let output = account.ops(&account.deploy(&[]), "");
    assert!(complaint(&output).contains("--unchecked"), "{}", complaint(&output));
    assert_eq!(account.says(0, &account.deploy(&["--unchecked"]), "")["state"], "unchanged");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_deploy_that_fails_says_why_and_is_cleared_away() {
    let make = Make::Ministack;
    let Some(account) = Account::open("a_first_deploy_that_fails", make).await else { return };
    // Two things of one name, which it refuses.
    let right = fs::read_to_string(account.packages.path().join("template.json")).unwrap();
    let mut wrong: Value = serde_json::from_str(&right).unwrap();
    for twin in ["Castor", "Pollux"] {
        let properties = json!({ "Name": "twin", "AutoPublish": true, "FunctionCode": "function handler(event) {}",
            "FunctionConfig": { "Comment": "", "Runtime": "cloudfront-js-2.0" } });
        wrong["Resources"][twin] = json!({ "Type": "AWS::CloudFront::Function", "Properties": properties });
    }
    account.take(&wrong.to_string());
    let failed = account.ops(&account.deploy(&[]), "");
    let said = complaint(&failed);
    assert_eq!(failed.status.code(), Some(1), "{said}");
    assert!(
        said.contains("(AWS::CloudFront::Function)")
            && said.contains("its name is taken")
            && said.contains("ops destroy --yes"),
        "{said}"
    );
    let again = complaint(&account.ops(&account.deploy(&[]), ""));
    assert!(again.contains("the first deploy of lmotos failed"), "{again}");
    let gone = account.says(0, &["destroy", "--yes"], "");
    assert_eq!((&gone["deleted"], &gone["parameters"]["Shift"]), (&json!(true), &json!("Canary10Percent5Minutes")));

    // Where the tables are left, they are protected, and CloudFormation would keep them for good.
    wrong["Resources"]
        .as_object_mut()
        .unwrap()
        .retain(|id, _| ["Table", "LedgerCopy", "Castor", "Pollux"].contains(&id.as_str()));
    for twin in ["Castor", "Pollux"] {
        wrong["Resources"][twin]["DependsOn"] = json!(["Table", "LedgerCopy"]);
    }
    wrong.as_object_mut().unwrap().retain(|part, _| part != "Outputs" && part != "Rules");
    account.create_without_rollback(&wrong).await;
    account.between.calls();
    let gone = account.says(0, &["destroy", "--yes"], "");
    let calls = account.between.calls();
    assert_eq!(calls.iter().filter(|call| call.contains("DynamoDB_20120810.DeleteTable")).count(), 2, "{calls:#?}");
    assert_eq!(gone["stays"], json!([]), "{gone}");
    account.take(&right);
    assert_eq!(account.says(0, &account.deploy(&[]), "")["state"], "created");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_packages_they_are_built_in_the_project() {
    let make = Make::Ministack;
    let Some(account) = Account::open("without_packages_they_are_built", make).await else { return };
    let project = tempfile::tempdir().unwrap();
    fs::create_dir(project.path().join("infra")).unwrap();
    // Stands for the real one, which needs minutes.
    let script = "mkdir -p target/packages && cp -r \"$READY\" target/packages/$1 && echo built for $1";
    fs::write(project.path().join("infra/package"), script).unwrap();
    // Tools that are only looked for.
    let tools = project.path().join("tools");
    fs::create_dir(&tools).unwrap();
    for tool in ["cargo", "rustup", "python3"] {
        fs::write(tools.join(tool), "").unwrap();
    }
    let run_there = |path: &str| {
        let mut command = account.command(&["deploy", "--dry-run", "--json"]);
        command.current_dir(project.path()).env("PATH", path).env("READY", account.packages.path());
        run(&mut command, "")
    };
    let without = run_there("/usr/bin:/bin");
    assert!(complaint(&without).contains("a build needs"), "{}", complaint(&without));
    let built = run_there(&format!("{}:/usr/bin:/bin", tools.display()));
    assert!(built.status.success(), "{}", complaint(&built));
    assert!(complaint(&built).contains("built for arm64"), "{}", complaint(&built));
    assert_eq!(serde_json::from_slice::<Value>(&built.stdout).unwrap()["state"], "planned");
}
