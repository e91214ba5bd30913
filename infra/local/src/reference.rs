//! Makes `docs/reference.md` from what runs.
//!
//! That is the template, the routes' comments, and the enums that keep their variants' comments. So no second list can grow old.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context as _, ensure};
use domain::{Class, RefusalReason};
use platform::{Metric, Setting, metrics};
use serde_json::Value as Json;
use serde_yaml_ng::Value as Yaml;

use crate::{
    alarms::Alarm,
    cloudwatch::MetricId,
    intrinsics::{ACCOUNT, STACK, plain},
    template::{Function, Surroundings, TEXT, Template},
};

const HEAD: &str = "# Reference

Made by `cargo run -p rig -- reference --write` from `infra/template.yaml` and the code; a test fails while it
is not current. Words: [glossary](glossary.md). Explanations: [configuration](configuration.md).
";

/// The page as it has to be.
pub fn page() -> anyhow::Result<String> {
    page_of(TEXT)
}

fn page_of(text: &str) -> anyhow::Result<String> {
    let yaml: Yaml = serde_yaml_ng::from_str(text)?;
    let parameters = BTreeMap::from([("ChatwootUrl".to_owned(), "ChatwootUrl".to_owned())]);
    let surroundings = Surroundings { aws_url: String::new(), api_url: String::new(), parameters };
    let template = Template::parse(text, &surroundings)?;
    let sections = [
        HEAD.to_owned(),
        variables(&template)?,
        parameters_of(&yaml),
        permissions(&template, text)?,
        measured(),
        watched(&template),
        reasons(),
        classes(),
        routes(&template, &yaml)?,
    ];
    Ok(sections.join("\n"))
}

/// A section: its heading, what stands before its table, and the table.
fn section(heading: &str, before: &str, columns: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let row = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let columns: Vec<_> = columns.iter().map(|column| (*column).to_owned()).collect();
    let rows: String = rows.into_iter().map(|cells| row(&cells)).collect();
    format!("## {heading}\n\n{before}\n{}|{}\n{rows}", row(&columns), "---|".repeat(columns.len()))
}

/// The paragraphs of a comment, each in one line.
fn paragraphs(comment: &str) -> (String, String) {
    let lines: Vec<_> = comment.lines().map(str::trim).collect();
    let mut paragraphs = lines.split(|line| line.is_empty()).map(|lines| lines.join(" "));
    (paragraphs.next().unwrap_or_default(), paragraphs.next().unwrap_or_default())
}

/// What is called by its name, as code.
fn code(name: &str) -> String {
    format!("`{name}`")
}

/// A value of the template as a person knows it: without the account, with `<stack>` for the stack's name.
fn shown(value: &str) -> String {
    let value = if value.starts_with("arn:") { value.splitn(6, ':').last().unwrap_or_default() } else { value };
    let value = value.trim_start_matches(&format!("/{ACCOUNT}/")).replace(STACK, "<stack>");
    if value.is_empty() { "empty".to_owned() } else { code(&value) }
}

fn variables(template: &Template) -> anyhow::Result<String> {
    for name in template.functions.iter().flat_map(|function| function.environment.keys()) {
        ensure!(Setting::DOCUMENTED.iter().any(|(known, _)| known == name), "{name} is no setting");
    }
    let rows = Setting::DOCUMENTED.iter().map(|(name, comment)| {
        let readers: Vec<_> =
            template.functions.iter().filter(|function| function.environment.contains_key(*name)).collect();
        let value = readers.first().map_or_else(|| "none".to_owned(), |first| shown(&first.environment[*name]));
        let all = readers.is_empty() || readers.len() == template.functions.len();
        let readers: Vec<_> = readers.iter().map(|function| function.name.as_str()).collect();
        let (meaning, unit) = paragraphs(comment);
        vec![code(name), unit, value, if all { "all".to_owned() } else { readers.join(", ") }, meaning]
    });
    let before = "The environment of the functions. The template sets it; a parameter's name stands where that has no\n\
                  default. Variables of AWS come from Lambda. All faults are told in one message at start.\n";
    Ok(section("Variables", before, &["variable", "unit", "default", "read by", "what it is"], rows))
}

fn parameters_of(yaml: &Yaml) -> String {
    let parameters = yaml["Parameters"].as_mapping().into_iter().flatten();
    let rows = parameters.map(|(name, declared)| {
        let default = declared.get("Default").map_or_else(
            || "none".to_owned(),
            |default| shown(&plain(&serde_json::to_value(default).unwrap_or_default())),
        );
        let text = |value: &Yaml| value.as_str().unwrap_or_default().to_owned();
        vec![code(&text(name)), default, text(&declared["Description"])]
    });
    let before = "Of the template; how to choose them: [configuration](configuration.md#parameters-of-the-template).\n";
    section("Parameters", before, &["parameter", "default", "what it is"], rows)
}

fn permissions(template: &Template, text: &str) -> anyhow::Result<String> {
    let reasons = comments(text);
    let mut rows = Vec::new();
    for function in &template.functions {
        let role = function.role.rsplit('-').next().unwrap_or_default();
        // The first statement of a role says who may take it.
        let why = reasons.get(role).map_or(&[][..], |statements| statements.get(1..).unwrap_or_default());
        for (at, statement) in function.statements.iter().enumerate() {
            let why = why.get(at).map(String::as_str).unwrap_or_default();
            let wildcard = statement.to_string().contains('*');
            ensure!(!wildcard || !why.is_empty(), "{role}: no reason for the wildcard in {statement}");
            let list = |of: &Json, show: &dyn Fn(&str) -> String| match of {
                Json::Array(several) => several.iter().map(|one| show(&plain(one))).collect::<Vec<_>>().join(", "),
                one => show(&plain(one)),
            };
            let (actions, on) = (list(&statement["Action"], &code), list(&statement["Resource"], &shown));
            rows.push(vec![function.name.clone(), actions, on, why.to_owned()]);
        }
    }
    let before = "What each function's own role allows. Each `*` has its reason in the template, or a test fails.\n";
    Ok(section("IAM actions", before, &["function", "actions", "on", "why"], rows))
}

/// The comments of each role's statements, in order: what stands above a statement or inside of it.
fn comments(text: &str) -> BTreeMap<&str, Vec<String>> {
    let mut found: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let (mut id, mut pending) = ("", Vec::new());
    for line in text.lines() {
        let inner = line.trim_start();
        if let Some(comment) = inner.strip_prefix("# ") {
            pending.push(comment);
            continue;
        }
        if line.len() - inner.len() == 2 {
            id = inner.trim_end_matches(':');
        }
        if inner.starts_with("- Effect:") {
            found.entry(id).or_default().push(String::new());
        }
        if let Some(statement) = found.get_mut(id).and_then(|statements| statements.last_mut()) {
            let parts = std::iter::once(statement.as_str()).chain(pending.iter().copied());
            *statement = parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
        }
        pending.clear();
    }
    found
}

/// Names and comments of all metrics, with the dimensions of those that CloudWatch keeps.
fn all_metrics() -> impl Iterator<Item = (&'static str, &'static str, &'static [&'static str])> {
    let is_kept = |name: &str| Metric::PUBLISHED.iter().any(|kept| kept.name() == name);
    let counted = Metric::DOCUMENTED
        .iter()
        .map(move |(name, comment)| (*name, *comment, if is_kept(name) { &metrics::DIMENSIONS[..] } else { &[] }));
    counted.chain([(metrics::PRICED.0, metrics::PRICED.1, &metrics::PRICED_DIMENSIONS[..])])
}

fn measured() -> String {
    let rows = all_metrics().map(|(name, comment, dimensions)| {
        let dimensions = dimensions.iter().map(|name| code(name)).collect::<Vec<_>>().join(", ");
        let dimensions = if dimensions.is_empty() { "no".to_owned() } else { dimensions };
        vec![code(name), metrics::UNIT.to_owned(), dimensions, paragraphs(comment).0]
    });
    let before = format!(
        "In CloudWatch's embedded format, namespace `{}`: lines on standard error. A line holds only\n\
         what was counted since the last one. What CloudWatch does not keep stands in the line\n\
         alone, and costs nothing.\n",
        metrics::NAMESPACE
    );
    section("Metrics", &before, &["metric", "unit", "kept, by", "what it counts"], rows)
}

fn watched(template: &Template) -> String {
    let rows = template.alarms.iter().map(|alarm| {
        let page = alarm.page().unwrap_or_default();
        vec![code(&alarm.id), alarm.condition(), format!("[{page}](runbook/{page})")]
    });
    let before = "Of the template, told to `AlarmEmail` when they begin and when they are over. Each costs 0.10 US$ a\n\
                  month: [monitoring](monitoring.md).\n";
    section("Alarms", before, &["alarm", "when", "page"], rows)
}

/// The template's alarms as they are on this machine.
pub fn alarms() -> anyhow::Result<Vec<Alarm>> {
    Ok(read_here()?.alarms)
}

/// The metrics of the template's dashboard.
pub fn dashboard() -> anyhow::Result<Vec<MetricId>> {
    Ok(read_here()?.dashboard)
}

fn read_here() -> anyhow::Result<Template> {
    let parameters = BTreeMap::from([("ChatwootUrl".to_owned(), "ChatwootUrl".to_owned())]);
    Template::read(&Surroundings { aws_url: String::new(), api_url: String::new(), parameters })
}

fn reasons() -> String {
    let rows = |dead: bool| {
        let all = RefusalReason::DOCUMENTED.iter().map(|(name, comment)| (code(name), paragraphs(comment)));
        all.filter(move |(_, (_, what_to_do))| what_to_do.is_empty() != dead)
    };
    let dead = rows(true).map(|(name, (what, what_to_do))| vec![name, what, what_to_do]);
    let counted = rows(false).map(|(name, (what, _))| vec![name, what]);
    let dead = section(
        "Dead-letter reasons",
        "The attribute `reason` of a letter; in the item ledger it is counted as refused under the same word. How to\n\
         look at letters and put them back: [runbook](runbook/dead-letters.md).\n",
        &["reason", "what happened", "what to do"],
        dead,
    );
    let before = "Only counted, in the item ledger.\n";
    format!("{dead}\n{}", section("Other refusals", before, &["reason", "what happened"], counted))
}

fn classes() -> String {
    let rows = Class::DOCUMENTED.iter().map(|(name, comment)| {
        let (means, next) = paragraphs(comment);
        vec![code(name), means, next]
    });
    let before = "Each error has one (`domain::Classify`), which decides what happens next.\n";
    section("Error classes", before, &["class", "what it means", "what happens"], rows)
}

fn routes(template: &Template, yaml: &Yaml) -> anyhow::Result<String> {
    let settings = &yaml["Resources"]["Api"]["Properties"]["RouteSettings"];
    let mut rows = Vec::new();
    for function in template.functions.iter().filter(|function| !function.routes.is_empty()) {
        let sources = sources(function)?;
        let mut told = Vec::new();
        for route in &function.routes {
            let key = format!("{} {}", route.method, route.path);
            let answers = answers(&sources, &key);
            ensure!(!answers.is_empty(), "no comment in {} says what {key} answers", function.name);
            let most = settings[key.as_str()]["ThrottlingRateLimit"].as_u64();
            let most = most.map_or_else(|| code("RequestsPerSecond"), |most| most.to_string());
            let shown = answers.iter().map(|(status, when)| format!("**{status}** {when}"));
            let shown = shown.collect::<Vec<_>>().join(" ");
            rows.push(vec![code(&key), function.name.clone(), most, shown]);
            told.extend(answers.into_keys());
        }
        for status in statuses(&sources) {
            ensure!(told.contains(&status), "no comment in {} says when it answers {status}", function.name);
        }
    }
    let before =
        "Of the HTTP API. It answers 404 itself where there is no route, and 429 above a route's requests a second.\n";
    Ok(section("Routes", before, &["route", "function", "a second", "answers"], rows))
}

/// The source of a function.
fn sources(function: &Function) -> anyhow::Result<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../functions").join(&function.name).join("src");
    let mut all = String::new();
    for file in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        let path = file?.path();
        if path.extension().is_none_or(|kind| kind != "rs") {
            continue;
        }
        let text = fs::read_to_string(path)?;
        all += text.split("#[cfg(test)]").next().unwrap_or_default();
    }
    Ok(all)
}

/// What a route answers, by the comment that names it: `- 200: everything is queued.`
fn answers(sources: &str, key: &str) -> BTreeMap<u16, String> {
    let mut found = BTreeMap::new();
    let mut comment = Vec::new();
    for line in sources.lines().map(str::trim) {
        if let Some(line) = line.strip_prefix("///") {
            comment.push(line.trim());
            continue;
        }
        let comment = std::mem::take(&mut comment).join("\n");
        if comment.contains(&code(key)) {
            let items = comment.split("\n- ").skip(1).filter_map(|item| item.split_once(": "));
            found.extend(items.filter_map(|(status, when)| Some((status.parse().ok()?, when.replace('\n', " ")))));
        }
    }
    found
}

/// The statuses that stand in a source.
fn statuses(sources: &str) -> impl Iterator<Item = u16> {
    let code = sources.lines().filter(|line| !line.trim_start().starts_with("//"));
    let words = code.flat_map(|line| line.split(|letter: char| !letter.is_alphanumeric() && !"-_".contains(letter)));
    words
        .filter(|word| word.len() == 3)
        .filter_map(|word| word.parse().ok())
        .filter(|status| (200..600).contains(status))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_without_its_reason_is_refused() {
        let above = "# The streams of the log: Lambda names them.\n";
        assert!(TEXT.contains(above));
        let refused = page_of(&TEXT.replacen(above, "#\n", 1)).unwrap_err().to_string();
        assert!(refused.contains("WebhookRole: no reason for the wildcard"), "{refused}");
    }

    #[test]
    fn a_variable_that_is_no_setting_is_refused() {
        let refused = page_of(&TEXT.replacen("LOCALE:", "LANGUAGE:", 1)).unwrap_err().to_string();
        assert!(refused.contains("LANGUAGE is no setting"), "{refused}");
    }

    #[test]
    fn answers_come_from_the_comment_that_names_the_route() {
        let source =
            "/// Serves `GET /a`.\n///\n/// - 200: it is\n///   there.\n/// - 404: it is not.\nfn a() { empty(500) }\n";
        let told = answers(source, "GET /a");
        assert_eq!(told, BTreeMap::from([(200, "it is there.".to_owned()), (404, "it is not.".to_owned())]));
        assert!(answers(source, "GET /b").is_empty());
        assert_eq!(statuses(source).collect::<Vec<_>>(), [500]);
    }
}
