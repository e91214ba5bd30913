//! The template as the runner sees it, and that it says what the policy says.

use super::*;
use crate::functions;

fn surroundings() -> Surroundings {
    Surroundings {
        aws_url: "http://127.0.0.1:4566".into(),
        api_url: "http://127.0.0.1:8080".into(),
        parameters: BTreeMap::from([
            ("ChatwootUrl".to_owned(), "http://127.0.0.1:3000".to_owned()),
            ("GraphUrl".to_owned(), "http://127.0.0.1:3001".to_owned()),
        ]),
    }
}

fn template() -> Template {
    Template::read(&surroundings()).unwrap()
}

impl Template {
    fn function(&self, name: &str) -> &Function {
        self.functions.iter().find(|function| function.name == name).unwrap()
    }
}

#[test]
fn every_function_of_the_template_is_linked() {
    let mut named: Vec<_> = template().functions.into_iter().map(|function| function.name).collect();
    let mut linked: Vec<_> = functions::NAMES.iter().map(|name| (*name).to_owned()).collect();
    named.sort();
    linked.sort();
    assert_eq!(named, linked);
}

#[test]
fn tests_beside_the_code_have_the_template_s_table() {
    let table = template().tables.remove(0);
    assert_eq!(table.create, simulator_aws::bridge::table(&table.name));
}

#[test]
fn routes_are_the_contract_s() {
    let mut routes: Vec<String> = template()
        .functions
        .iter()
        .flat_map(|function| {
            function.routes.iter().map(|route| format!("{} {} → {}", route.method, route.path, function.name))
        })
        .collect();
    routes.sort();
    assert_eq!(
        routes,
        [
            "GET /deletion/{code} → deletion",
            "GET /signup → signup",
            "GET /signup/return → signup",
            "GET /webhooks/meta → webhook",
            "POST /callbacks/chatwoot/{phone_number_id} → callback",
            "POST /callbacks/chatwoot/{phone_number_id}/{secret} → callback",
            "POST /deletion/meta → deletion",
            "POST /deletion/meta/deauthorize → deletion",
            "POST /signup → signup",
            "POST /webhooks/meta → webhook",
        ]
    );
}

#[test]
fn batches_come_from_fifo_queues_with_dead_letters_kept_for_two_weeks() {
    let template = template();
    for (function, queue, batch) in [
        ("forward", "lmotos-inbound.fifo", 10),
        ("send", "lmotos-outbound.fifo", 10),
        ("erasure", "lmotos-erasure.fifo", 1),
    ] {
        let [mapping] = template.function(function).mappings.as_slice() else { panic!("{function} has one queue") };
        assert_eq!((mapping.queue.as_str(), mapping.batch_size, mapping.reports_item_failures), (queue, batch, true));
        let find = |name: &str| &template.queues.iter().find(|queue| queue.name == name).unwrap().attributes;
        let redrive: Json = serde_json::from_str(&find(queue)["RedrivePolicy"]).unwrap();
        assert_eq!(redrive["maxReceiveCount"], 1000);
        let dead = redrive["deadLetterTargetArn"].as_str().unwrap().rsplit(':').next().unwrap();
        for name in [queue, dead] {
            assert_eq!(find(name)["FifoQueue"], "true", "{name}");
            assert_eq!(find(name)["MessageRetentionPeriod"], "1209600", "{name}");
        }
        let timeout = template.function(function).timeout.as_secs();
        assert_eq!(find(queue)["VisibilityTimeout"], (timeout * 6).to_string());
    }
}

#[test]
fn globals_and_references_reach_the_environment() {
    let template = template();
    let environment = &template.function("forward").environment;
    for (name, value) in [
        ("STACK_NAME", "lmotos"),
        ("TABLE_NAME", "lmotos-bridge"),
        ("APP_SECRET", "lmotos/app"),
        ("INBOUND_QUEUE_URL", "http://127.0.0.1:4566/000000000000/lmotos-inbound.fifo"),
        ("INBOUND_DEAD_LETTERS_URL", "http://127.0.0.1:4566/000000000000/lmotos-inbound-dead-letters.fifo"),
        ("CHATWOOT_URL", "http://127.0.0.1:3000"),
        ("GRAPH_VERSION", "v25.0"),
    ] {
        assert_eq!(environment.get(name).map(String::as_str), Some(value), "{name}");
    }
    assert!(!template.function("webhook").environment.contains_key("CHATWOOT_URL"));
    assert!(!template.function("callback").environment.contains_key("APP_SECRET"));
    assert_eq!(template.outputs["AppSecretName"], environment["APP_SECRET"]);
}

#[test]
fn the_table_has_its_indexes_and_its_time_to_live() {
    let table = template().tables.remove(0);
    assert_eq!(table.create["TimeToLiveSpecification"], json!({ "AttributeName": "expires_at", "Enabled": true }));
    let indexes = table.create["GlobalSecondaryIndexes"].as_array().unwrap();
    assert_eq!(indexes[0]["IndexName"], "customer");
    assert_eq!(indexes[1]["Projection"]["NonKeyAttributes"], json!(["account", "conversation"]));
}

#[test]
fn schedules_are_rates() {
    assert_eq!(template().function("reconcile").schedules, [Rate(Duration::from_secs(300))]);
    assert_eq!(template().function("retention").schedules, [Rate(Duration::from_secs(86_400))]);
    assert_eq!(template().function("ledger").schedules, [Rate(Duration::from_secs(86_400))]);
    assert_eq!(template().function("signup").schedules, [Rate(Duration::from_secs(300))]);
    assert_eq!(Rate::parse("rate(1 day)").unwrap(), Rate(Duration::from_secs(86_400)));
    for wrong in ["rate(5 minute)", "rate(0 days)", "cron(0 3 * * ? *)", "rate(1 week)"] {
        assert!(Rate::parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_wrong_template_fails_here() {
    let refusal = |from: &str, to: &str| {
        assert!(TEXT.contains(from), "{from}");
        format!("{:#}", Template::parse(&TEXT.replace(from, to), &surroundings()).unwrap_err())
    };
    assert!(
        refusal("!GetAtt Outbound.Arn\n            BatchSize", "!GetAtt Lost.Arn\n            BatchSize")
            .contains("Lost")
    );
    assert!(
        refusal("VisibilityTimeout: 720", "VisibilityTimeout: 60").contains("shorter than the function's time-out")
    );
    assert!(refusal("rate(5 minutes)", "rate(5 minute)").contains("Reconcile"));
}

#[derive(Deserialize)]
struct Policy {
    retention_days: i64,
    deletion_days: i64,
    pitr_days: i64,
    queue_days: i64,
    log_days: i64,
    ledger_days: i64,
    tombstone_days: i64,
    claim_days: i64,
    counter_days: i64,
    confirm_hours: i64,
    locale: String,
    utc_offset: i64,
    history_per_minute: i64,
    history_files: bool,
    warn_days: Vec<i64>,
}

fn policy() -> Policy {
    toml::from_str(include_str!("../../policy.toml")).unwrap()
}

#[test]
fn the_privacy_page_says_what_the_policy_says() {
    let page = include_str!("../../../docs/privacy.md");
    let policy = policy();
    let (es, en) = page.split_once("> **Retention and erasure.**").unwrap();
    let en = en.split("## Data map").next().unwrap();
    for (text, words) in [(es, "días"), (en, "days")] {
        for days in [policy.retention_days, policy.deletion_days, policy.pitr_days] {
            assert!(text.contains(&format!("**{days} {words}**")), "{days} {words}");
        }
        // No other number has a promise of its own.
        assert_eq!(text.matches(&format!(" {words}**")).count(), 3);
    }
    let map = page.split("## Data map").nth(1).unwrap();
    for (what, days) in [
        ("Chatwoot (self-hosted)", policy.retention_days),
        ("the DynamoDB table", policy.retention_days),
        ("`inbound.fifo`", policy.queue_days),
        ("`history.fifo`", policy.queue_days),
        ("`outbound.fifo`", policy.queue_days),
        ("| dead letters", policy.queue_days),
        ("CloudWatch Logs", policy.log_days),
        ("point-in-time recovery", policy.pitr_days),
    ] {
        let line = map.lines().find(|line| line.contains(what)).unwrap();
        assert!(line.contains(&format!("{days} days")), "{line}");
    }
    assert!(map.contains(&format!("starts after {} hours", policy.confirm_hours)));
    let [first, second, third] = policy.warn_days[..] else { panic!("three warnings") };
    assert!(map.contains(&format!("{first}, {second} and {third} days, and after {}", policy.deletion_days)));
    for place in domain::erasure::DataLocation::ALL {
        assert!(map.contains(&format!("`{}`", place.word())), "{place:?}");
    }
    let queue = template().queues;
    assert_eq!(domain::task::QUEUES_KEEP_DAYS, policy.queue_days);
    for queue in queue {
        assert_eq!(
            queue.attributes["MessageRetentionPeriod"],
            (policy.queue_days * 86_400).to_string(),
            "{}",
            queue.name
        );
    }
    assert!(policy.queue_days < policy.deletion_days);
}

#[test]
fn what_stays_after_an_erasure_stays_for_the_days_of_the_policy() {
    let policy = policy();
    assert_eq!(i64::try_from(store::LEDGER_KEEPS_DAYS), Ok(policy.ledger_days));
    assert_eq!(i64::try_from(store::TOMBSTONES_STAND_DAYS), Ok(policy.tombstone_days));
    assert_eq!(i64::try_from(store::CLAIMS_KEEP_DAYS), Ok(policy.claim_days));
    assert_eq!(i64::try_from(store::COUNTERS_KEEP_DAYS), Ok(policy.counter_days));
    // Nothing that comes back may find the tombstone gone.
    assert!(policy.tombstone_days > policy.queue_days + policy.pitr_days);
    assert!(policy.claim_days > 2 * 7, "Meta repeats for a week");
    assert!(policy.claim_days > policy.queue_days);

    let map = include_str!("../../../docs/privacy.md").split("## Data map").nth(1).unwrap();
    for (what, how_long) in [
        ("`erasure#…`", format!("| {} years |", policy.ledger_days / 365)),
        ("`tombstone#…`", format!("| {} days |", policy.tombstone_days)),
        ("`claim#…`", format!("| {} days |", policy.claim_days)),
        ("`counter#…`", format!("| {} months |", policy.counter_days / 30)),
    ] {
        let line = map.lines().find(|line| line.contains(what)).unwrap();
        assert!(line.contains(&how_long), "{how_long}: {line}");
    }

    let promise = domain::erasure::ErasureDeadlines { deletion_days: 30, warn_days: vec![], confirm_hours: 24 };
    let (now, code) = (domain::Timestamp::from_secs(0), domain::ConfirmationCode::new("c"));
    let mut erasure =
        domain::Erasure::open(code, domain::erasure::RequestSource::Operator, now, now, &promise).begin(now).unwrap();
    for place in domain::erasure::DataLocation::ALL {
        erasure = erasure.clear(place, now).unwrap();
    }
    let receipt = domain::erasure::Receipt::of(&erasure.finish(now).unwrap()).unwrap();
    let receipt = serde_json::to_string(&receipt).unwrap();
    for days in [policy.tombstone_days, policy.claim_days] {
        assert!(receipt.contains(&format!("for {days} days")), "{days}: {receipt}");
    }
}

#[test]
fn the_pages_name_the_labels_and_words_that_count() {
    let privacy = include_str!("../../../docs/privacy.md");
    let setup = include_str!("../../../docs/setup.md");
    for label in [retention::KEEP_LABEL, retention::ERASE_LABEL] {
        assert!(privacy.contains(&format!("`{label}`")) && setup.contains(&format!("`{label}`")), "{label}");
    }
    for words in ["BORRAR MIS DATOS", "DELETE MY DATA"] {
        assert!(privacy.contains(&format!("**{words}**")), "{words}");
        assert_eq!(texts::deletion::erasure_intent(words), Some(texts::deletion::ErasureIntent::Ask), "{words}");
    }
    assert!(privacy.contains(&format!("({} a number)", retention::MAX_REQUESTS_PER_DAY)));
    let runbook = include_str!("../../../docs/runbook/erasure.md");
    assert!(runbook.contains(&format!("More than {} people a day", retention::MAX_REQUESTS_PER_DAY)));
}

#[test]
fn the_template_says_what_the_policy_says() {
    let policy = policy();
    let template = template();
    let warn_days = policy.warn_days.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    for function in ["forward", "deletion", "erasure", "retention"] {
        let environment = &template.function(function).environment;
        assert_eq!(environment["DELETION_DAYS"], policy.deletion_days.to_string(), "{function}");
        assert_eq!(environment["CONFIRM_HOURS"], policy.confirm_hours.to_string(), "{function}");
        assert_eq!(environment["WARN_DAYS"], warn_days, "{function}");
    }
    assert_eq!(template.function("deletion").environment["LOCALE"], policy.locale, "the public page's language");
    let environment = &template.function("history").environment;
    assert_eq!(environment["UTC_OFFSET"], policy.utc_offset.to_string());
    assert_eq!(environment["HISTORY_PER_MINUTE"], policy.history_per_minute.to_string());
    assert_eq!(environment["HISTORY_FILES"], policy.history_files.to_string());
    for function in ["forward", "history", "send", "reconcile", "erasure", "retention"] {
        let environment = &template.function(function).environment;
        assert_eq!(environment["LOCALE"], policy.locale, "{function}");
        assert_eq!(environment["RETENTION_DAYS"], policy.retention_days.to_string(), "{function}");
    }

    let yaml: Yaml = serde_yaml_ng::from_str(TEXT).unwrap();
    let surroundings = surroundings();
    let resolver = Resolver {
        resources: &yaml["Resources"],
        mappings: &yaml["Mappings"],
        conditions: &yaml["Conditions"],
        parameters: surroundings.parameters,
        aws_url: surroundings.aws_url,
        api_url: surroundings.api_url,
    };
    let recovery =
        &yaml["Resources"]["Table"]["Properties"]["PointInTimeRecoverySpecification"]["RecoveryPeriodInDays"];
    assert_eq!(resolver.resolve(recovery).unwrap(), policy.pitr_days);
    let mut groups = 0;
    for (id, resource) in yaml["Resources"].as_mapping().unwrap() {
        if resource["Type"].as_str() == Some("AWS::Logs::LogGroup") {
            let kept = resolver.resolve(&resource["Properties"]["RetentionInDays"]).unwrap();
            assert_eq!(kept, policy.log_days, "{id:?}");
            groups += 1;
        }
    }
    assert_eq!(groups, template.functions.len() + 1, "every function has a log group that forgets, and so has the API");

    assert!(policy.pitr_days < policy.deletion_days, "a restore must not bring back the erased");
    assert!(policy.log_days <= policy.deletion_days);
    assert!(policy.warn_days.iter().all(|day| *day < policy.deletion_days));
}

#[tokio::test]
async fn a_function_without_settings_names_all_that_it_misses() {
    let clock = domain::SystemClock.shared();
    let nothing = || platform::Environment::given([]);
    let faults = [
        ("forward", forward::Handler::from_env(nothing(), clock.clone()).await.unwrap_err().to_string()),
        ("history", history::Handler::from_env(nothing(), clock.clone()).await.unwrap_err().to_string()),
        ("send", send::Handler::from_env(nothing(), clock.clone()).await.unwrap_err().to_string()),
        ("reconcile", reconcile::Handler::from_env(nothing(), clock.clone()).await.unwrap_err().to_string()),
        ("webhook", webhook::Handler::from_env(nothing(), clock.clone()).unwrap_err().to_string()),
        ("deletion", deletion::Handler::from_env(nothing(), clock.clone()).unwrap_err().to_string()),
        ("erasure", erasure::Handler::from_env(nothing(), clock.clone()).await.unwrap_err().to_string()),
        ("retention", retention::Handler::from_env(nothing(), clock.clone()).await.unwrap_err().to_string()),
        ("signup", signup::Handler::from_env(nothing(), clock.clone()).await.unwrap_err().to_string()),
        ("ledger", ledger::Handler::from_env(nothing(), clock.clone()).unwrap_err().to_string()),
        ("callback", callback::Handler::from_env(nothing(), clock).unwrap_err().to_string()),
    ];
    let template = Template::read(&surroundings()).unwrap();
    for (name, fault) in faults {
        let function = template.functions.iter().find(|function| function.name == name).unwrap();
        let missed = |variable: &&String| fault.contains(&format!("{variable} is missing"));
        // What the template leaves empty may be absent.
        let needed = function.environment.iter().filter(|(_, value)| !value.is_empty()).map(|(variable, _)| variable);
        let unnamed: Vec<_> = needed.filter(|variable| !missed(variable)).collect();
        assert!(unnamed.is_empty(), "{name}: {unnamed:?} are not in: {fault}");
    }
}
