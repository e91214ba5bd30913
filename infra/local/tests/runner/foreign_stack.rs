//! The stack of the template on an emulator of others: translated as `sam deploy` does, made by its `CloudFormation`.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use simulator_aws::emulator::{self, Emulator, Make};

use crate::support::{Answer, exchange};

/// What an emulator lacks of the template, and why that is no fault of ours. A hole that was filled fails the test, too: then the
/// line has to go.
pub(crate) const HOLES: [(Make, &str, &str); 4] = [
    (Make::Moto, "AWS::ApiGatewayV2::Api", "its CloudFormation does not know it; the runner's own front stands there"),
    (Make::Moto, "AWS::ApiGatewayV2::Stage", "the same"),
    (
        Make::Moto,
        "AWS::Lambda::EventInvokeConfig",
        "its CloudFormation does not know it; the runner repeats no schedule",
    ),
    (
        Make::Moto,
        "AWS::SecretsManager::Secret",
        "its CloudFormation does not know it; made as the operator makes a channel's",
    ),
];

const STACK: &str = "lmotos";

/// Deploys the template; nothing where the translator is not installed.
pub(crate) fn deploy(emulator: &Emulator, make: Make) -> Option<()> {
    let mut template = translated()?;
    let holes: BTreeSet<&str> = HOLES.iter().filter(|hole| hole.0 == make).map(|hole| hole.1).collect();
    let mut by_kind: BTreeMap<String, usize> = BTreeMap::new();
    let mut wanted = BTreeSet::new();
    for (id, resource) in template["Resources"].as_object_mut().unwrap() {
        let kind = resource["Type"].as_str().unwrap().to_owned();
        // Lambda is the runner here, with all that calls it: an emulator's own would take letters out of the queues.
        match kind.as_str() {
            "AWS::Lambda::EventSourceMapping" => resource["Properties"]["Enabled"] = json!(false),
            "AWS::Events::Rule" => resource["Properties"]["State"] = json!("DISABLED"),
            "AWS::Lambda::Function" => resource["Properties"]["Code"] = json!({ "ZipFile": "#" }),
            _ => {}
        }
        if !holes.contains(kind.as_str()) {
            wanted.insert(id.clone());
        }
        *by_kind.entry(kind).or_default() += 1;
    }
    assert!(holes.iter().all(|kind| by_kind.contains_key(*kind)), "{holes:?} are not all in the template");
    if holes.contains("AWS::ApiGatewayV2::Api") {
        // A reference to what it does not know ends it.
        template["Outputs"].as_object_mut().unwrap().remove("ApiUrl");
    }
    let text = template.to_string();
    let created = cloudformation(
        emulator,
        &[
            ("Action", "CreateStack"),
            ("StackName", STACK),
            ("TemplateBody", &text),
            ("Capabilities.member.1", "CAPABILITY_IAM"),
            ("Parameters.member.1.ParameterKey", "ChatwootUrl"),
            ("Parameters.member.1.ParameterValue", "https://chatwoot.example"),
        ],
    );
    assert_eq!(created.status, 200, "{}", created.body);
    let begun = Instant::now();
    loop {
        let told = cloudformation(emulator, &[("Action", "DescribeStacks"), ("StackName", STACK)]).body;
        match all(&told, "StackStatus").first().copied() {
            Some("CREATE_COMPLETE") => break,
            Some("CREATE_IN_PROGRESS") => {}
            other => panic!("{other:?}: {told}"),
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "the stack was not made in time");
        std::thread::sleep(Duration::from_millis(100));
    }
    let made = cloudformation(emulator, &[("Action", "DescribeStackResources"), ("StackName", STACK)]).body;
    let made: BTreeSet<String> = all(&made, "LogicalResourceId").into_iter().map(str::to_owned).collect();
    assert_eq!(made, wanted, "what {} makes of the template", make.name());
    Some(())
}

/// The template without its transform.
fn translated() -> Option<Value> {
    let python = emulator::tool("TRANSLATOR_PYTHON", "ministack")?.with_file_name("python");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../translate.py");
    let out = Command::new(python).arg(script).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    Some(serde_json::from_slice(&out.stdout).unwrap())
}

fn cloudformation(emulator: &Emulator, parameters: &[(&str, &str)]) -> Answer {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.append_pair("Version", "2010-05-15").extend_pairs(parameters);
    let headers = [
        ("content-type", "application/x-www-form-urlencoded; charset=utf-8"),
        ("x-amz-date", "20261122T000000Z"),
        (
            "authorization",
            "AWS4-HMAC-SHA256 Credential=000000000000/20261122/us-east-1/cloudformation/aws4_request, SignedHeaders=host, \
             Signature=00",
        ),
    ];
    exchange(emulator.url(), "POST", "/", &headers, &form.finish())
}

/// The texts of all elements of that name.
fn all<'a>(xml: &'a str, name: &str) -> Vec<&'a str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    xml.split(&open).skip(1).filter_map(|rest| rest.split(&close).next()).collect()
}
