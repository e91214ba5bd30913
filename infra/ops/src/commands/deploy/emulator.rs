//! What others' emulators of AWS lack of the template, so that a deploy can be tried without an account.
//!
//! Asked for on a loopback address only. What is left out is told, each with its reason.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::aws_call::AwsCaller;

/// An emulator that was recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Emulator {
    Ministack,
    Moto,
}

const ALIAS: &str = "AWS::Lambda::Alias";

impl Emulator {
    /// Who stands for AWS, if it is not AWS.
    pub(super) async fn ask(caller: &AwsCaller) -> Option<Self> {
        if caller.emulator_answers("/_ministack/health").await {
            return Some(Self::Ministack);
        }
        caller.emulator_answers("/moto-api/config").await.then_some(Self::Moto)
    }

    /// Whether it knows the protection of a stack.
    pub(super) fn protects(self) -> bool {
        self == Self::Ministack
    }

    /// Whether its change sets are to be relied on. `moto` makes resources in the order of their names there, and tells no outputs.
    pub(super) fn has_change_sets(self) -> bool {
        self == Self::Ministack
    }

    /// What it lacks, and why that matters little.
    pub(super) fn lacks(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Ministack => &[
                ("AWS::CodeDeploy::Application", "it does not know it: a new version takes over at once"),
                ("AWS::CodeDeploy::DeploymentGroup", "the same"),
            ],
            Self::Moto => &[
                ("AWS::ApiGatewayV2::Api", "its CloudFormation does not know it: name the API with --api-url"),
                ("AWS::ApiGatewayV2::Stage", "the same"),
                (ALIAS, "its CloudFormation does not know it: what asks for one gets the function"),
                ("AWS::Lambda::EventInvokeConfig", "its CloudFormation does not know it: no schedule runs there"),
                (
                    "AWS::SecretsManager::Secret",
                    "its CloudFormation does not know it: the secret is made when it is filled",
                ),
                ("AWS::CodeDeploy::Application", "its CloudFormation does not know it"),
                ("AWS::CodeDeploy::DeploymentGroup", "the same"),
            ],
        }
    }

    /// The template as it takes it. Nothing runs there: the local runner takes what is in the queues.
    pub(super) fn fit(self, template: &mut Value) {
        let lacking: BTreeSet<&str> = self.lacks().iter().map(|(kind, _)| *kind).collect();
        if lacking.contains(ALIAS) {
            let functions = aliased(template);
            functions_for_aliases(template, &functions);
        }
        // Both sides may be doubles on this machine.
        for parameter in template["Parameters"].as_object_mut().into_iter().flat_map(|all| all.values_mut()) {
            let relaxed = parameter["AllowedPattern"].as_str().and_then(|pattern| pattern.strip_prefix("https://"));
            if let Some(rest) = relaxed.map(str::to_owned) {
                parameter["AllowedPattern"] = format!("https?://{rest}").into();
            }
        }
        let Some(resources) = template["Resources"].as_object_mut() else { return };
        let lacks = |resource: &Value| lacking.contains(resource["Type"].as_str().unwrap_or_default());
        let known: BTreeSet<String> =
            resources.iter().filter(|(_, resource)| !lacks(resource)).map(|(id, _)| id.clone()).collect();
        // `moto` passes over what it does not know, as long as what refers to it finds its name.
        if self == Self::Ministack {
            resources.retain(|id, _| known.contains(id));
        }
        for resource in resources.values_mut() {
            match resource["Type"].as_str() {
                Some("AWS::Lambda::EventSourceMapping") => resource["Properties"]["Enabled"] = json!(false),
                Some("AWS::Events::Rule") => resource["Properties"]["State"] = json!("DISABLED"),
                _ => {}
            }
            // It keeps nothing by the other word.
            if self == Self::Moto && resource["DeletionPolicy"] == "RetainExceptOnCreate" {
                resource["DeletionPolicy"] = json!("Retain");
            }
            if let Some(members) = resource.as_object_mut() {
                members.remove("UpdatePolicy");
            }
        }
        // An output of what is not there ends it.
        if let Some(outputs) = template["Outputs"].as_object_mut() {
            outputs.retain(|_, output| !names_missing(output, "Api", &known));
        }
    }
}

/// Whether a part refers to that resource, and it is not there.
fn names_missing(part: &Value, name: &str, known: &BTreeSet<String>) -> bool {
    let is_named = |value: &Value| value.as_str() == Some(name);
    !known.contains(name)
        && match part {
            Value::Object(members) => members.iter().any(|(member, inner)| match member.as_str() {
                "Ref" => is_named(inner),
                "Fn::GetAtt" => inner.get(0).is_some_and(is_named),
                "Fn::Sub" => inner.to_string().contains(&format!("${{{name}}}")) || names_missing(inner, name, known),
                _ => names_missing(inner, name, known),
            }),
            Value::Array(items) => items.iter().any(|item| names_missing(item, name, known)),
            _ => false,
        }
}

/// The function behind each alias.
fn aliased(template: &Value) -> BTreeMap<String, String> {
    let resources = template["Resources"].as_object().into_iter().flatten();
    let aliases = resources.filter(|(_, resource)| resource["Type"] == ALIAS);
    let function = |alias: &Value| alias["Properties"]["FunctionName"]["Ref"].as_str().map(str::to_owned);
    aliases.filter_map(|(id, alias)| Some((id.clone(), function(alias)?))).collect()
}

/// What refers to an alias refers to its function.
fn functions_for_aliases(part: &mut Value, functions: &BTreeMap<String, String>) {
    if let Some(function) = part.get("Ref").and_then(Value::as_str).and_then(|id| functions.get(id)) {
        *part = json!({ "Fn::GetAtt": [function, "Arn"] });
        return;
    }
    match part {
        Value::Object(members) => members.values_mut().for_each(|inner| functions_for_aliases(inner, functions)),
        Value::Array(items) => items.iter_mut().for_each(|inner| functions_for_aliases(inner, functions)),
        _ => {}
    }
}
