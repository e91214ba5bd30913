//! The stack of the template on an emulator of others: translated as `sam deploy` does, made by its `CloudFormation`.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::Command,
    time::Duration,
};

use serde_json::{Value, json};
use simulator_aws::emulator::{self, Emulator, Make};

use crate::support::{Answer, eventually_within, exchange};

/// What an emulator lacks of the template, and why that is no fault of ours. A hole that was filled fails the test, too: then the
/// line has to go.
pub(crate) const HOLES: [(Make, &str, &str); 10] = [
    (Make::Moto, "AWS::ApiGatewayV2::Api", "its CloudFormation does not know it; the runner's own front stands there"),
    (Make::Moto, "AWS::ApiGatewayV2::Stage", "the same"),
    (Make::Moto, "AWS::Lambda::Alias", "its CloudFormation does not know it; what asks for one gets the function"),
    (Make::Moto, "AWS::CloudWatch::Alarm", "it does not list what it makes of them"),
    (Make::Moto, "AWS::CodeDeploy::Application", "the same, and nothing is updated here"),
    (Make::Moto, "AWS::CodeDeploy::DeploymentGroup", "the same"),
    (Make::Ministack, "AWS::CodeDeploy::Application", "it does not know it, and nothing is updated here"),
    (Make::Ministack, "AWS::CodeDeploy::DeploymentGroup", "the same"),
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
    if holes.contains("AWS::Lambda::Alias") {
        let functions = aliases(&template);
        functions_for_aliases(&mut template, &functions);
    }
    let unasked = unasked(&template);
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
        if !holes.contains(kind.as_str()) && !unasked.contains(id) {
            wanted.insert(id.clone());
        }
        *by_kind.entry(kind).or_default() += 1;
    }
    assert!(holes.iter().all(|kind| by_kind.contains_key(*kind)), "{holes:?} are not all in the template");
    if holes.contains("AWS::ApiGatewayV2::Api") {
        // A reference to what it does not know ends it.
        template["Outputs"].as_object_mut().unwrap().remove("ApiUrl");
    }
    if make == Make::Ministack {
        // A type it does not know ends it before anything is made.
        let known = |_: &String, resource: &mut Value| !holes.contains(resource["Type"].as_str().unwrap());
        template["Resources"].as_object_mut().unwrap().retain(known);
    }
    let text = upload(emulator, make, &template.to_string());
    let created = cloudformation(
        emulator,
        &[
            ("Action", "CreateStack"),
            ("StackName", STACK),
            (text.0, &text.1),
            ("Capabilities.member.1", "CAPABILITY_IAM"),
            ("Parameters.member.1.ParameterKey", "ChatwootUrl"),
            ("Parameters.member.1.ParameterValue", "https://chatwoot.example"),
        ],
    );
    assert_eq!(created.status, 200, "{}", created.body);
    eventually_within(Duration::from_secs(60), "the stack", || {
        let told = cloudformation(emulator, &[("Action", "DescribeStacks"), ("StackName", STACK)]).body;
        match all(&told, "StackStatus").first().copied() {
            Some("CREATE_COMPLETE") => true,
            Some("CREATE_IN_PROGRESS") => false,
            other => panic!("{other:?}: {told}"),
        }
    });
    let made = cloudformation(emulator, &[("Action", "DescribeStackResources"), ("StackName", STACK)]).body;
    let made: BTreeSet<String> = all(&made, "LogicalResourceId").into_iter().map(str::to_owned).collect();
    assert_eq!(made, wanted, "what {} makes of the template", make.name());
    Some(())
}

/// Where the template is: in S3, as SAM does it, since it is more than a request may hold. `moto` takes it all the same, and does
/// not find a bucket in a path.
fn upload(emulator: &Emulator, make: Make, template: &str) -> (&'static str, String) {
    if make == Make::Moto {
        return ("TemplateBody", template.to_owned());
    }
    let headers = [(
        "authorization",
        "AWS4-HMAC-SHA256 Credential=000000000000/20261122/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=00",
    )];
    for (path, body) in [("/templates", ""), ("/templates/template.json", template)] {
        let put = exchange(emulator.url(), "PUT", path, &headers, body);
        assert_eq!(put.status, 200, "{path}: {}", put.body);
    }
    ("TemplateURL", format!("{}/templates/template.json", emulator.url()))
}

/// The function behind each alias.
fn aliases(template: &Value) -> BTreeMap<String, String> {
    let resources = template["Resources"].as_object().unwrap().iter();
    let aliases = resources.filter(|(_, resource)| resource["Type"] == "AWS::Lambda::Alias");
    aliases
        .map(|(id, alias)| (id.clone(), alias["Properties"]["FunctionName"]["Ref"].as_str().unwrap().to_owned()))
        .collect()
}

/// What refers to an alias refers to its function.
fn functions_for_aliases(value: &mut Value, functions: &BTreeMap<String, String>) {
    if let Some(function) = value["Ref"].as_str().and_then(|id| functions.get(id)) {
        *value = json!({ "Fn::GetAtt": [function, "Arn"] });
        return;
    }
    match value {
        Value::Object(members) => members.values_mut().for_each(|inner| functions_for_aliases(inner, functions)),
        Value::Array(items) => items.iter_mut().for_each(|inner| functions_for_aliases(inner, functions)),
        _ => {}
    }
}

/// What the defaults of the parameters leave out: no address for mails, no name of one's own.
fn unasked(template: &Value) -> BTreeSet<String> {
    let resources = template["Resources"].as_object().unwrap().iter();
    resources.filter(|(_, resource)| resource.get("Condition").is_some()).map(|(id, _)| id.clone()).collect()
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
