//! The functions of a template (`!Ref`, `!GetAtt`, `!Sub`, `!FindInMap`, `!Join`, `!If`), resolved to what the embedded AWS
//! calls its resources.

use std::collections::BTreeMap;

use anyhow::{Context as _, anyhow, bail};
use serde_json::Value as Json;
use serde_yaml_ng::Value as Yaml;

/// The one region of the embedded AWS.
pub(crate) const REGION: &str = "us-east-1";
/// The one account of the embedded AWS.
pub(crate) const ACCOUNT: &str = "000000000000";
/// The name under which the stack is set up locally.
pub(crate) const STACK: &str = "lmotos";

/// Turns properties of the template into plain JSON.
pub(crate) struct Resolver<'a> {
    pub(crate) resources: &'a Yaml,
    pub(crate) mappings: &'a Yaml,
    pub(crate) conditions: &'a Yaml,
    pub(crate) parameters: BTreeMap<String, String>,
    /// Where the embedded AWS listens: queue URLs begin with it.
    pub(crate) aws_url: String,
    /// Where the gateway listens.
    pub(crate) api_url: String,
}

impl Resolver<'_> {
    /// `value` with every intrinsic function replaced by what it stands for.
    pub(crate) fn resolve(&self, value: &Yaml) -> anyhow::Result<Json> {
        Ok(match value {
            Yaml::Null => Json::Null,
            Yaml::Bool(flag) => Json::Bool(*flag),
            Yaml::Number(_) | Yaml::String(_) => serde_json::to_value(value)?,
            Yaml::Sequence(list) => {
                list.iter().map(|item| self.resolve(item)).collect::<anyhow::Result<Vec<_>>>()?.into()
            }
            Yaml::Mapping(map) => {
                if let Some((function, argument)) = long_form(map) {
                    return self.call(function, argument);
                }
                let mut object = serde_json::Map::new();
                for (key, item) in map {
                    let key = key.as_str().ok_or_else(|| anyhow!("a key is not a string"))?;
                    let resolved = self.resolve(item).with_context(|| key.to_owned())?;
                    // `AWS::NoValue` takes the property away.
                    if item.is_null() || !resolved.is_null() {
                        object.insert(key.to_owned(), resolved);
                    }
                }
                object.into()
            }
            Yaml::Tagged(tagged) => {
                let tag = tagged.tag.to_string();
                return self.call(tag.trim_start_matches('!'), &tagged.value);
            }
        })
    }

    fn call(&self, function: &str, argument: &Yaml) -> anyhow::Result<Json> {
        match function {
            "Ref" if argument.as_str() == Some("AWS::NoValue") => Ok(Json::Null),
            "Ref" => Ok(self.reference(text(argument)?)?.into()),
            "GetAtt" => {
                let path = match argument {
                    Yaml::Sequence(parts) => parts.iter().map(text).collect::<anyhow::Result<Vec<_>>>()?.join("."),
                    single => text(single)?.to_owned(),
                };
                let (resource, attribute) =
                    path.split_once('.').ok_or_else(|| anyhow!("!GetAtt {path} names no attribute"))?;
                Ok(self.attribute(resource, attribute)?.into())
            }
            "Sub" => Ok(self.substitute(text(argument)?)?.into()),
            "FindInMap" => {
                let keys = self.resolve(argument)?;
                let mut found = self.mappings;
                for key in keys.as_array().into_iter().flatten() {
                    let key = key.as_str().unwrap_or_default();
                    found = found.get(key).ok_or_else(|| anyhow!("!FindInMap {keys}: there is no {key}"))?;
                }
                self.resolve(found)
            }
            "If" => {
                let [condition, yes, no] = argument.as_sequence().map(Vec::as_slice).unwrap_or_default() else {
                    bail!("!If wants a condition and two values");
                };
                self.resolve(if self.holds(text(condition)?)? { yes } else { no })
            }
            "Equals" => {
                let both = self.resolve(argument)?;
                Ok((plain(&both[0]) == plain(&both[1])).into())
            }
            "Not" => {
                let inner = self.resolve(argument)?;
                Ok((!inner[0].as_bool().context("!Not wants a condition")?).into())
            }
            "And" | "Or" => {
                let parts = self.resolve(argument)?;
                let mut parts = parts.as_array().into_iter().flatten().map(|part| part.as_bool().unwrap_or_default());
                Ok(if function == "And" { parts.all(|holds| holds) } else { parts.any(|holds| holds) }.into())
            }
            "Condition" => Ok(self.holds(text(argument)?)?.into()),
            "Join" => {
                let parts = self.resolve(argument)?;
                let (Some(between), Some(items)) = (parts[0].as_str(), parts[1].as_array()) else {
                    bail!("!Join wants a delimiter and a list");
                };
                Ok(items.iter().map(plain).collect::<Vec<_>>().join(between).into())
            }
            other => bail!("the local runner does not know the function {other}"),
        }
    }

    /// Whether a resource or an output is made, by the condition it may name.
    pub(crate) fn is_wanted(&self, declared: &Yaml) -> anyhow::Result<bool> {
        declared.get("Condition").and_then(Yaml::as_str).map_or(Ok(true), |condition| self.holds(condition))
    }

    fn holds(&self, condition: &str) -> anyhow::Result<bool> {
        let found = self.conditions.get(condition).ok_or_else(|| anyhow!("there is no condition {condition}"))?;
        self.resolve(found)?.as_bool().ok_or_else(|| anyhow!("{condition} is no condition"))
    }

    fn substitute(&self, pattern: &str) -> anyhow::Result<String> {
        let (mut out, mut rest) = (String::new(), pattern);
        while let Some((before, after)) = rest.split_once("${") {
            let (name, after) =
                after.split_once('}').ok_or_else(|| anyhow!("!Sub {pattern}: a brace is not closed"))?;
            out.push_str(before);
            if let Some(literal) = name.strip_prefix('!') {
                out.extend(["${", literal, "}"]);
            } else if let Some((resource, attribute)) = name.split_once('.') {
                out.push_str(&self.attribute(resource, attribute)?);
            } else {
                out.push_str(&self.reference(name)?);
            }
            rest = after;
        }
        out.push_str(rest);
        Ok(out)
    }

    fn reference(&self, name: &str) -> anyhow::Result<String> {
        if let Some(value) = self.parameters.get(name) {
            return Ok(value.clone());
        }
        Ok(match name {
            "AWS::StackName" => STACK.to_owned(),
            "AWS::Region" => REGION.to_owned(),
            "AWS::AccountId" => ACCOUNT.to_owned(),
            "AWS::Partition" => "aws".to_owned(),
            "AWS::URLSuffix" => "amazonaws.com".to_owned(),
            _ => match self.kind(name)? {
                "AWS::SQS::Queue" => format!("{}/{ACCOUNT}/{}", self.aws_url, self.name(name)?),
                "AWS::SecretsManager::Secret" | "AWS::SNS::Topic" => self.attribute(name, "Arn")?,
                _ => self.name(name)?,
            },
        })
    }

    pub(crate) fn attribute(&self, resource: &str, attribute: &str) -> anyhow::Result<String> {
        let kind = self.kind(resource)?;
        let name = self.name(resource)?;
        let arn = |service: &str, rest: String| format!("arn:aws:{service}:{REGION}:{ACCOUNT}:{rest}");
        Ok(match (kind, attribute) {
            ("AWS::SQS::Queue", "Arn") => arn("sqs", name),
            ("AWS::SQS::Queue", "QueueName") => name,
            ("AWS::SQS::Queue", "QueueUrl") => self.reference(resource)?,
            ("AWS::DynamoDB::Table", "Arn") => arn("dynamodb", format!("table/{name}")),
            ("AWS::SecretsManager::Secret", "Arn" | "Id") => arn("secretsmanager", format!("secret:{name}")),
            ("AWS::SNS::Topic", "Arn") => arn("sns", name),
            ("AWS::Serverless::Function", "Arn") => arn("lambda", format!("function:{name}")),
            ("AWS::Serverless::HttpApi", "ApiEndpoint") => self.api_url.clone(),
            ("AWS::Logs::LogGroup", "Arn") => arn("logs", format!("log-group:{name}:*")),
            ("AWS::IAM::Role", "Arn") => format!("arn:aws:iam::{ACCOUNT}:role/{name}"),
            _ => bail!("the local runner does not know {resource}.{attribute} of {kind}"),
        })
    }

    fn kind(&self, resource: &str) -> anyhow::Result<&str> {
        let found =
            self.resources.get(resource).ok_or_else(|| anyhow!("there is no parameter or resource {resource}"))?;
        found.get("Type").and_then(Yaml::as_str).ok_or_else(|| anyhow!("{resource} has no Type"))
    }

    /// The physical name: the one the template gives, else the logical one after the stack's, as the cloud does.
    pub(crate) fn name(&self, resource: &str) -> anyhow::Result<String> {
        let key = match self.kind(resource)? {
            "AWS::SQS::Queue" => "QueueName",
            "AWS::DynamoDB::Table" => "TableName",
            "AWS::Serverless::Function" => "FunctionName",
            "AWS::Logs::LogGroup" => "LogGroupName",
            "AWS::IAM::Role" => "RoleName",
            "AWS::SNS::Topic" => "TopicName",
            _ => "Name",
        };
        match self.resources.get(resource).and_then(|found| found.get("Properties")?.get(key)) {
            Some(name) => Ok(plain(&self.resolve(name).with_context(|| format!("{resource}.{key}"))?)),
            None => Ok(format!("{STACK}-{resource}")),
        }
    }
}

/// `{"Ref": …}` and `{"Fn::Sub": …}` mean the same as the tags.
fn long_form(map: &serde_yaml_ng::Mapping) -> Option<(&str, &Yaml)> {
    if map.len() != 1 {
        return None;
    }
    let (key, argument) = map.iter().next()?;
    let key = key.as_str()?;
    if key == "Ref" { Some((key, argument)) } else { Some((key.strip_prefix("Fn::")?, argument)) }
}

fn text(value: &Yaml) -> anyhow::Result<&str> {
    value.as_str().ok_or_else(|| anyhow!("expected a string"))
}

/// A scalar as an environment variable or an attribute shows it.
pub(crate) fn plain(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(expression: &str) -> anyhow::Result<Json> {
        let template: Yaml = serde_yaml_ng::from_str(
            "{Mappings: {Policy: {Days: {Logs: 30}}},
              Conditions: {IsLocal: !Equals [!Ref Stage, local], IsNotLocal: !Not [!Equals [!Ref Stage, local]],
                           Both: !And [!Condition IsLocal, !Condition IsNotLocal],
                           Either: !Or [!Condition IsLocal, !Condition IsNotLocal]},
              Resources: {Orders: {Type: 'AWS::SQS::Queue', Properties: {QueueName: !Sub '${AWS::StackName}-orders.fifo'}},
                          Items: {Type: 'AWS::DynamoDB::Table'}}}",
        )?;
        let resolver = Resolver {
            resources: &template["Resources"],
            mappings: &template["Mappings"],
            conditions: &template["Conditions"],
            parameters: BTreeMap::from([("Stage".to_owned(), "local".to_owned())]),
            aws_url: "http://127.0.0.1:4566".into(),
            api_url: "http://127.0.0.1:8080".into(),
        };
        resolver.resolve(&serde_yaml_ng::from_str(expression)?)
    }

    #[test]
    fn every_function_gives_what_the_embedded_aws_calls_it() {
        for (expression, expected) in [
            ("!Ref Stage", "local"),
            ("!Ref Orders", "http://127.0.0.1:4566/000000000000/lmotos-orders.fifo"),
            ("!GetAtt Orders.Arn", "arn:aws:sqs:us-east-1:000000000000:lmotos-orders.fifo"),
            ("{'Fn::GetAtt': [Orders, QueueName]}", "lmotos-orders.fifo"),
            ("!Ref Items", "lmotos-Items"),
            ("!Sub '${Stage}/${Orders.QueueName}/${!literal}'", "local/lmotos-orders.fifo/${literal}"),
            ("!Join ['-', [a, !Ref Stage]]", "a-local"),
            ("!If [IsLocal, here, !Ref Nobody]", "here"),
            ("!If [IsNotLocal, here, there]", "there"),
            ("!If [Both, here, there]", "there"),
            ("!If [Either, here, there]", "here"),
        ] {
            assert_eq!(resolve(expression).unwrap(), expected, "{expression}");
        }
        assert_eq!(resolve("!FindInMap [Policy, Days, Logs]").unwrap(), 30);
        let without = resolve("{kept: 1, empty: null, gone: !If [IsLocal, !Ref 'AWS::NoValue', 2]}").unwrap();
        assert_eq!(without, serde_json::json!({ "kept": 1, "empty": null }));
    }

    #[test]
    fn what_does_not_exist_is_named() {
        for (expression, named) in [
            ("!Ref Nobody", "Nobody"),
            ("!If [Never, a, b]", "Never"),
            ("!FindInMap [Policy, Days, None]", "None"),
            ("!ImportValue x", "ImportValue"),
        ] {
            let refusal = resolve(expression).unwrap_err().to_string();
            assert!(refusal.contains(named), "{refusal}");
        }
    }
}
