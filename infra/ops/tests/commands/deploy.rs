//! A stack up, up to date, and down again, on AWS as two other authors understand it.

use std::{
    fs,
    path::Path,
    process::{Command, Output, Stdio},
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use simulator_aws::emulator::{self, Emulator, Make, skipped};
use simulator_wire::{Effect, Fault};
use stories::World;
use tempfile::TempDir;

use crate::{
    between::Between,
    support::{binary, complaint, run, words},
};

const APP: &str = "100000000000001";
const GIVEN: &str = "app-secret-of-the-stories\ntoken-of-the-administrator\n";

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
            let sum: String =
                Sha256::digest(fs::read(&file).unwrap()).iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{sum}  {}\n", file.file_name().unwrap().to_str().unwrap())
        });
        let lines: String = lines.collect();
        fs::write(self.packages.path().join("SHA256SUMS"), lines).unwrap();
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

    fn deploy<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        [&["deploy", "--packages", self.packages.path().to_str().unwrap()], more].concat()
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

    let rate = ["--parameter", "SendConcurrency=3"];
    let planned = account.says(0, &account.deploy(&[&rate[..], &["--dry-run"]].concat()), "");
    assert_eq!(planned["state"], "planned", "{planned}");
    let changed = account.says(0, &account.deploy(&rate), "");
    assert_eq!((&changed["state"], &changed["parameters"]), (&json!("updated"), &json!({ "SendConcurrency": "3" })));
    println!("{} {}", make.name(), changed["plan"]);
    assert_eq!(account.says(0, &account.deploy(&[]), "")["state"], "unchanged", "a parameter is remembered");

    account.rebuild("webhook.zip");
    account.between.calls();
    let rebuilt = account.says(0, &account.deploy(&[]), "");
    println!("{} {}", make.name(), rebuilt["plan"]);
    let put: Vec<_> = account.between.calls().into_iter().filter(|call| call.starts_with("PUT")).collect();
    assert_eq!(put.len(), 2, "the template, and one package: {put:#?}");

    let told = account.says(0, &["destroy"], "");
    println!("{} {}", make.name(), told);
    let gone = account.says(0, &["destroy", "--yes"], "");
    println!("{} {}", make.name(), gone);
    assert_eq!(account.ops(&["destroy"], "").status.code(), Some(3));
    let refused = account.ops(&account.deploy(&[]), "");
    println!("{} {}", make.name(), complaint(&refused));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_comes_and_goes_on_ministack() {
    up_and_down(Make::Ministack).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_comes_and_goes_on_moto() {
    up_and_down(Make::Moto).await;
}
