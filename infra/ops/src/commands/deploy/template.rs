//! Puts into the template where the packages are, and gives a function a new version whenever what it runs on differs.
//!
//! SAM names a version after the code and the text of the template alone: with another parameter it would keep the old version, and
//! its alias with it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

use super::packages::{Packages, digest};

/// What must never be made anew: it holds what is nowhere else.
pub(super) const IRREPLACEABLE: [&str; 3] = ["Table", "LedgerCopy", "AppSecret"];

/// How many digits a version's name has of what it is made of.
const VERSION_DIGITS: usize = 10;

/// The key of a package in the bucket, by its content.
pub(super) fn key(name: &str, sum: &str) -> String {
    format!("{}-{sum}.zip", name.trim_end_matches(".zip"))
}

/// Every parameter with its value: what is given, what the stack has, what else is known, the template's default.
pub(super) fn parameters(
    template: &Value,
    given: &BTreeMap<String, String>,
    deployed: &BTreeMap<String, String>,
    usual: &BTreeMap<&str, String>,
) -> anyhow::Result<BTreeMap<String, String>> {
    let empty = serde_json::Map::new();
    let known = template["Parameters"].as_object().unwrap_or(&empty);
    if let Some(unknown) = given.keys().find(|name| !known.contains_key(*name)) {
        let names: Vec<_> = known.keys().map(String::as_str).collect();
        bail!("there is no parameter {unknown}; there are {}", names.join(", "));
    }
    let mut parameters = BTreeMap::new();
    for (name, declared) in known {
        let default = match &declared["Default"] {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        };
        let found = given.get(name).or_else(|| deployed.get(name)).or_else(|| usual.get(name.as_str())).cloned();
        let Some(value) = found.or(default) else {
            bail!("{name} is needed: --parameter {name}=… ({})", declared["Description"].as_str().unwrap_or_default());
        };
        parameters.insert(name.clone(), value);
    }
    Ok(parameters)
}

/// The template as it is sent.
pub(super) fn complete(
    packages: &Packages,
    bucket: &str,
    parameters: &BTreeMap<String, String>,
) -> anyhow::Result<Value> {
    let mut template = packages.template.clone();
    let whole = template.clone();
    let resources = template["Resources"].as_object_mut().context("template.json has no resources")?;
    let mut made_of = BTreeMap::new();
    for (id, resource) in resources.iter_mut().filter(|(_, resource)| resource["Type"] == "AWS::Lambda::Function") {
        let name = resource["Properties"]["Code"]["S3Key"].as_str().unwrap_or_default().to_owned();
        let zip = packages.zips.get(&name).with_context(|| format!("there is no package {name} for {id}"))?;
        resource["Properties"]["Code"] = serde_json::json!({ "S3Bucket": bucket, "S3Key": key(&name, &zip.sum) });
        let mut on = BTreeSet::new();
        rests_on(&resource["Properties"], &whole, &mut on);
        let values: Vec<_> = on.iter().map(|name| (name, parameters.get(name))).collect();
        made_of.insert(id.clone(), digest(format!("{}{values:?}", resource["Properties"]).as_bytes()));
    }
    ensure!(!made_of.is_empty(), "template.json has no functions");
    let mut renamed = BTreeMap::new();
    for (id, resource) in resources.iter().filter(|(_, resource)| resource["Type"] == "AWS::Lambda::Version") {
        let function = resource["Properties"]["FunctionName"]["Ref"].as_str().unwrap_or_default();
        let made_of = made_of.get(function).with_context(|| format!("{id} is no function's version"))?;
        renamed.insert(id.clone(), format!("{function}Version{}", &made_of[..VERSION_DIGITS]));
    }
    for (old, new) in &renamed {
        if let Some(version) = resources.remove(old) {
            resources.insert(new.clone(), version);
        }
    }
    rename(&mut template, &renamed);
    Ok(template)
}

/// The parameters that a part of the template rests on, also by its conditions.
pub(super) fn rests_on(part: &Value, template: &Value, on: &mut BTreeSet<String>) {
    match part {
        Value::Object(members) => {
            for (name, inner) in members {
                match (name.as_str(), inner) {
                    ("Ref", Value::String(name)) => {
                        on.extend(template["Parameters"].get(name).map(|_| name.clone()));
                    }
                    ("Fn::Sub", Value::String(text)) => {
                        let named = text.split("${").skip(1).filter_map(|rest| rest.split('}').next());
                        on.extend(named.filter(|name| template["Parameters"].get(name).is_some()).map(str::to_owned));
                    }
                    ("Condition", Value::String(name)) => rests_on(&template["Conditions"][name], template, on),
                    ("Fn::If", Value::Array(branches)) => {
                        if let Some(name) = branches.first().and_then(Value::as_str) {
                            rests_on(&template["Conditions"][name], template, on);
                        }
                        rests_on(inner, template, on);
                    }
                    _ => rests_on(inner, template, on),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| rests_on(item, template, on)),
        _ => {}
    }
}

/// Gives what refers to a resource its new name.
fn rename(part: &mut Value, names: &BTreeMap<String, String>) {
    match part {
        Value::String(text) => {
            if let Some(new) = names.get(text) {
                text.clone_from(new);
            }
        }
        Value::Object(members) => members.values_mut().for_each(|inner| rename(inner, names)),
        Value::Array(items) => items.iter_mut().for_each(|inner| rename(inner, names)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::packages::Zip, *};

    fn versions(code: &str, of: &[(&str, &str)]) -> Vec<String> {
        let function = |name: &str, environment: Value| {
            json!({ "Type": "AWS::Lambda::Function", "Properties": { "Environment": environment,
                "Code": { "S3Bucket": "packages", "S3Key": format!("{name}.zip") } } })
        };
        let version =
            |of: &str| json!({ "Type": "AWS::Lambda::Version", "Properties": { "FunctionName": { "Ref": of } } });
        let template = json!({
            "Parameters": { "Url": {}, "Key": {}, "Rate": {} },
            "Conditions": { "OwnKey": { "Fn::Equals": [{ "Ref": "Key" }, ""] } },
            "Resources": {
                "Front": function("front", json!({ "URL": { "Fn::Sub": "${Url}/x" } })),
                "Back": function("back", json!({ "KEY": { "Fn::If": ["OwnKey", "a", "b"] } })),
                "FrontVersion0": version("Front"), "BackVersion0": version("Back"),
                "FrontAlias": { "Properties": { "FunctionVersion": { "Fn::GetAtt": ["FrontVersion0", "Version"] } } },
                "Api": { "Properties": { "Rate": { "Ref": "Rate" } } },
            },
        });
        let zip = |text: &str| Zip { sum: digest(text.as_bytes()), bytes: Vec::new() };
        let zips = [("front.zip".to_owned(), zip(code)), ("back.zip".to_owned(), zip("back"))].into();
        let packages = Packages { architecture: "arm64".to_owned(), template, zips };
        let parameters = of.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let made = complete(&packages, "bucket", &parameters).unwrap();
        let names = ["FrontVersion", "BackVersion"].map(|start| {
            let found = made["Resources"].as_object().unwrap().keys().find(|id| id.starts_with(start));
            found.unwrap().clone()
        });
        assert_eq!(made["Resources"]["FrontAlias"]["Properties"]["FunctionVersion"]["Fn::GetAtt"][0], names[0]);
        names.into()
    }

    #[test]
    fn a_version_is_new_exactly_where_what_it_runs_on_differs() {
        let usual = [("Url", "u"), ("Key", ""), ("Rate", "1")];
        let before = versions("code", &usual);
        let differs = |after: &[String]| [before[0] != after[0], before[1] != after[1]];
        assert_eq!(differs(&versions("code", &usual)), [false, false]);
        assert_eq!(differs(&versions("other", &usual)), [true, false], "its code");
        assert_eq!(differs(&versions("code", &[("Url", "v"), usual[1], usual[2]])), [true, false], "its setting");
        assert_eq!(differs(&versions("code", &[usual[0], ("Key", "k"), usual[2]])), [false, true], "its condition");
        assert_eq!(differs(&versions("code", &[usual[0], usual[1], ("Rate", "2")])), [false, false], "another's");
    }
}
