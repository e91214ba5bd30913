//! What a deployment of the template comes to: its first try, its end, its schedules, its concurrency, its price.

use super::*;

/// What a new account has.
const SMALL_ACCOUNT: u64 = 10;

/// US$ a million forged requests: the API 1.00 with its line 0.10, the invocation 0.20 with its two milliseconds, the line of
/// metrics 0.15.
const FORGED: f64 = 1.45;

fn yaml() -> Yaml {
    serde_yaml_ng::from_str(TEXT).unwrap()
}

fn properties<'a>(yaml: &'a Yaml, id: &str) -> &'a Yaml {
    &yaml["Resources"][id]["Properties"]
}

fn default_of(parameter: &str) -> u64 {
    yaml()["Parameters"][parameter]["Default"].as_u64().unwrap()
}

fn template(given: &[(&str, &str)]) -> Template {
    let parameters = [("ChatwootUrl", "http://127.0.0.1:3000"), ("GraphUrl", "http://127.0.0.1:3001")];
    let parameters = parameters.iter().chain(given).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let (aws_url, api_url) = ("http://127.0.0.1:4566".to_owned(), "http://127.0.0.1:8080".to_owned());
    Template::read(&Surroundings { aws_url, api_url, parameters: parameters.collect() }).unwrap()
}

#[test]
fn a_warning_of_the_import_does_not_end_the_deploy() {
    let routes = template(&[]).functions.into_iter().flat_map(|function| function.routes);
    // SAM writes their parameters without a schema, and the import warns of each.
    assert!(routes.into_iter().any(|route| route.path.contains('{')));
    let yaml = yaml();
    let api = properties(&yaml, "Api");
    assert_ne!(api["FailOnWarnings"].as_bool(), Some(true));
    assert!(api["DefinitionBody"].is_null(), "the routes stand with their functions");
}

#[test]
fn what_cannot_be_had_again_outlives_the_stack_but_not_a_first_deploy_that_failed() {
    let yaml = yaml();
    for (id, resource) in yaml["Resources"].as_mapping().unwrap() {
        let kept = ["AWS::DynamoDB::Table", "AWS::SecretsManager::Secret"];
        if kept.contains(&resource["Type"].as_str().unwrap()) {
            assert_eq!(resource["DeletionPolicy"].as_str(), Some("RetainExceptOnCreate"), "{id:?}");
            assert_eq!(resource["UpdateReplacePolicy"].as_str(), Some("Retain"), "{id:?}");
        }
    }
}

#[test]
fn the_table_cannot_be_deleted_by_a_slip() {
    let yaml = yaml();
    assert_eq!(properties(&yaml, "Table")["DeletionProtectionEnabled"].as_bool(), Some(true));
    for page in [include_str!("../../../docs/runbook/restore.md"), include_str!("../../../docs/runbook/stack-again.md")]
    {
        assert!(page.contains("--no-deletion-protection-enabled"), "the page says how it is lifted");
    }
}

/// The most that each function may do: the services' actions, and on what. More than this is a decision, not a slip.
const ALLOWED: [(&str, &str); 11] = [
    ("ledger", "dynamodb:DeleteItem,PutItem,Scan secretsmanager:GetSecretValue"),
    (
        "webhook",
        "dynamodb:BatchGetItem,GetItem,PutItem,Query,UpdateItem secretsmanager:GetSecretValue sqs:GetQueueAttributes,SendMessage",
    ),
    (
        "forward",
        "dynamodb:BatchGetItem,ConditionCheckItem,DeleteItem,GetItem,PutItem,Query,UpdateItem secretsmanager:GetSecretValue sqs:ChangeMessageVisibility,DeleteMessage,GetQueueAttributes,ReceiveMessage,SendMessage",
    ),
    (
        "history",
        "dynamodb:BatchGetItem,BatchWriteItem,ConditionCheckItem,DeleteItem,GetItem,PutItem,Query,UpdateItem secretsmanager:GetSecretValue sqs:ChangeMessageVisibility,DeleteMessage,GetQueueAttributes,ReceiveMessage,SendMessage",
    ),
    (
        "signup",
        "dynamodb:DeleteItem,GetItem,PutItem,Query,UpdateItem secretsmanager:CreateSecret,DeleteSecret,GetSecretValue,PutSecretValue,RestoreSecret",
    ),
    ("callback", "dynamodb:GetItem,Query secretsmanager:GetSecretValue sqs:GetQueueAttributes,SendMessage"),
    (
        "send",
        "dynamodb:BatchGetItem,ConditionCheckItem,DeleteItem,GetItem,PutItem,Query,UpdateItem secretsmanager:GetSecretValue sqs:ChangeMessageVisibility,DeleteMessage,GetQueueAttributes,ReceiveMessage,SendMessage",
    ),
    (
        "reconcile",
        "dynamodb:DeleteItem,GetItem,PutItem,Query,UpdateItem secretsmanager:GetSecretValue sqs:GetQueueAttributes,SendMessage",
    ),
    (
        "deletion",
        "dynamodb:GetItem,PutItem,Query,UpdateItem secretsmanager:GetSecretValue sqs:GetQueueAttributes,SendMessage",
    ),
    (
        "erasure",
        "dynamodb:BatchWriteItem,DeleteItem,GetItem,PutItem,Query,UpdateItem secretsmanager:GetSecretValue sqs:ChangeMessageVisibility,DeleteMessage,GetQueueAttributes,ReceiveMessage,SendMessage",
    ),
    (
        "retention",
        "dynamodb:DeleteItem,GetItem,PutItem,Query,Scan,UpdateItem secretsmanager:GetSecretValue sqs:SendMessage",
    ),
];

/// A statement's member, which is a text or a list of texts.
fn texts(of: &Json) -> Vec<String> {
    of.as_array().map_or_else(|| vec![plain(of)], |several| several.iter().map(plain).collect())
}

#[test]
fn a_role_allows_no_more_than_its_function_needs() {
    let template = template(&[]);
    for function in &template.functions {
        let (_, most) = ALLOWED.iter().find(|(name, _)| *name == function.name).unwrap();
        let mut allowed: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for statement in &function.statements {
            assert_eq!(statement["Effect"], "Allow");
            assert!(statement.get("NotAction").is_none() && statement.get("NotResource").is_none(), "{statement}");
            for action in texts(&statement["Action"]) {
                let (service, action) = action.split_once(':').unwrap();
                if service == "logs" {
                    assert!(["CreateLogStream", "PutLogEvents"].contains(&action), "{}: {action}", function.name);
                    continue;
                }
                allowed.entry(service.to_owned()).or_default().push(action.to_owned());
            }
            for resource in texts(&statement["Resource"]) {
                // The region's name is the stack's: another stack of the account is out of reach.
                assert!(resource.contains("lmotos"), "{}: {resource} is not of this stack alone", function.name);
                let open = resource.replace("log-group:/aws/lambda/lmotos-", "").replace("lmotos/channel/*", "");
                let open = open.replace("lmotos/signup/*", "");
                assert!(open.ends_with(":*") == open.contains('*'), "{}: {resource}", function.name);
            }
        }
        let told: Vec<String> = allowed
            .into_iter()
            .map(|(service, mut actions)| {
                actions.sort();
                actions.dedup();
                format!("{service}:{}", actions.join(","))
            })
            .collect();
        assert_eq!(told.join(" "), *most, "{}", function.name);
    }
}

#[test]
fn the_ledger_s_function_only_reads_the_table() {
    let template = template(&[]);
    let ledger = template.functions.iter().find(|one| one.name == "ledger").unwrap();
    for statement in ledger.statements.iter().filter(|one| one.to_string().contains("dynamodb:")) {
        let on_the_table = texts(&statement["Resource"]).iter().any(|on| on.ends_with("table/lmotos-bridge"));
        assert_eq!(on_the_table, texts(&statement["Action"]) == ["dynamodb:Scan"], "{statement}");
    }
    let elsewhere = "arn:aws:dynamodb:eu-central-1:111111111111:table/lmotos-ledger";
    let template = self::template(&[("LedgerTableArn", elsewhere)]);
    let ledger = template.functions.iter().find(|one| one.name == "ledger").unwrap();
    assert_eq!(ledger.environment["LEDGER_TABLE_NAME"], elsewhere);
    assert!(ledger.statements.iter().any(|one| one["Resource"] == elsewhere), "{:?}", ledger.statements);
}

#[test]
fn the_access_log_has_nothing_of_a_person() {
    let yaml = yaml();
    let format = properties(&yaml, "Api")["AccessLogSettings"]["Format"].as_str().unwrap();
    let mut named: Vec<&str> = format.split("$context.").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    named.sort_unstable();
    let expected = ["integration.error", "integrationLatency", "requestId", "responseLatency", "routeKey", "status"];
    assert_eq!(named, expected, "no path (a code or a secret may stand in it), no address, no header");
    assert!(serde_json::from_str::<Json>(format).is_ok(), "{format}");
}

#[test]
fn letters_come_from_their_own_queue_only() {
    let template = template(&[]);
    for queue in &template.queues {
        let Some(redrive) = queue.attributes.get("RedrivePolicy") else { continue };
        let redrive: Json = serde_json::from_str(redrive).unwrap();
        let dead = redrive["deadLetterTargetArn"].as_str().unwrap().rsplit(':').next().unwrap();
        let dead = template.queues.iter().find(|one| one.name == dead).unwrap();
        let allow: Json = serde_json::from_str(&dead.attributes["RedriveAllowPolicy"]).unwrap();
        assert_eq!(allow["redrivePermission"], "byQueue");
        let [from] = allow["sourceQueueArns"].as_array().unwrap().as_slice() else { panic!("{allow}") };
        assert!(from.as_str().unwrap().ends_with(&format!(":{}", queue.name)), "{from} for {}", queue.name);
    }
}

#[test]
fn a_new_version_takes_over_step_by_step_and_alarms_take_it_back() {
    let yaml = yaml();
    let globals = &yaml["Globals"]["Function"];
    assert_eq!(globals["AutoPublishAlias"].as_str(), Some("live"));
    let alarms = globals["DeploymentPreference"]["Alarms"].as_sequence().unwrap();
    let named = |alarm: &Yaml| match alarm {
        Yaml::Tagged(tagged) if tagged.tag == "Ref" => tagged.value.as_str().unwrap().to_owned(),
        Yaml::Tagged(tagged) => {
            let name = tagged.value.as_str().unwrap();
            let is_it = |one: &&Yaml| matches!(&properties(&yaml, one.as_str().unwrap())["AlarmName"], Yaml::Tagged(of) if of.value.as_str() == Some(name));
            let found = yaml["Resources"].as_mapping().unwrap().keys().find(is_it);
            found.unwrap_or_else(|| panic!("there is no alarm {name}")).as_str().unwrap().to_owned()
        }
        other => panic!("{other:?}"),
    };
    let told: Vec<String> = alarms.iter().map(named).collect();
    assert!(told.len() <= 10, "AWS takes ten: {told:?}");
    // A version that breaks an import or a signup alone is not taken back; what they have in hand waits.
    let spared = ["history", "signup"];
    for function in template(&[]).functions.into_iter().filter(|one| !spared.contains(&one.name.as_str())) {
        let alarm = format!("{}ErrorsAlarm", function.name);
        assert!(told.iter().any(|told| told.eq_ignore_ascii_case(&alarm)), "{alarm}: {told:?}");
    }
    assert!(told.contains(&"ServerErrorsAlarm".to_owned()), "{told:?}");
}

#[test]
fn a_key_memory_and_a_kind_of_processor_of_ones_own_reach_what_they_are_for() {
    let key = "arn:aws:kms:us-east-1:000000000000:key/abc";
    let template = template(&[("KmsKey", key), ("FrontMemory", "256"), ("WorkMemory", "512")]);
    assert!(template.queues.iter().all(|queue| queue.attributes["KmsMasterKeyId"] == key));
    let memory = |name: &str| template.functions.iter().find(|one| one.name == name).unwrap().memory_mb;
    assert_eq!(["webhook", "callback", "deletion", "forward", "retention"].map(memory), [256, 256, 256, 512, 512]);
    let yaml = yaml();
    for (id, resource) in yaml["Resources"].as_mapping().unwrap() {
        let member = match resource["Type"].as_str().unwrap() {
            "AWS::SQS::Queue" => "KmsMasterKeyId",
            "AWS::SecretsManager::Secret" | "AWS::Logs::LogGroup" => "KmsKeyId",
            _ => continue,
        };
        assert!(!resource["Properties"][member].is_null(), "{id:?} has no key");
    }
    assert!(!properties(&yaml, "Table")["SSESpecification"]["KMSMasterKeyId"].is_null());
}

/// What the page says of the way back, and the resources that it has to say it of, with their names.
fn way_back() -> (&'static str, Vec<(String, String)>) {
    let yaml = yaml();
    let kept =
        yaml["Resources"].as_mapping().unwrap().iter().filter(|(_, resource)| {
            resource["DeletionPolicy"].as_str().is_some_and(|policy| policy.starts_with("Retain"))
        });
    let named = kept.map(|(id, resource)| {
        let properties = resource["Properties"].as_mapping().unwrap();
        let (_, name) = properties.iter().find(|(key, _)| key.as_str().unwrap().ends_with("Name")).unwrap();
        let Yaml::Tagged(name) = name else { panic!("{name:?}") };
        (id.as_str().unwrap().to_owned(), name.value.as_str().unwrap().to_owned())
    });
    (include_str!("../../../docs/runbook/stack-again.md"), named.collect())
}

#[test]
fn the_way_back_names_everything_that_a_deleted_stack_leaves_behind() {
    let (page, kept) = way_back();
    assert!(!kept.is_empty());
    for (id, name) in kept {
        let row = format!("| `{id}` | `{}` |", name.replace("${AWS::StackName}", "<stack>"));
        assert!(page.contains(&row), "{row}");
        let kind = yaml()["Resources"][id.as_str()]["Type"].as_str().unwrap().to_owned();
        let imported = format!("\"ResourceType\":\"{kind}\",\"LogicalResourceId\":\"{id}\"");
        assert!(page.contains(&imported), "{imported}");
    }
}

#[test]
fn the_template_that_is_cut_out_for_the_way_back_holds_what_was_left_behind_and_nothing_else() {
    let (page, kept) = way_back();
    let (_, cut) = page.split_once("**A template of the three**").unwrap();
    let (_, cut) = cut.split_once("```sh").unwrap();
    let (cut, _) = cut.split_once("> kept.yaml").unwrap();
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let done = std::process::Command::new("sh").args(["-c", cut]).current_dir(root).output().unwrap();
    assert!(done.status.success(), "{done:?}");
    let (cut, whole): (Yaml, Yaml) = (serde_yaml_ng::from_slice(&done.stdout).unwrap(), yaml());
    let members: Vec<_> = cut.as_mapping().unwrap().keys().map(|key| key.as_str().unwrap()).collect();
    assert_eq!(members, ["AWSTemplateFormatVersion", "Parameters", "Rules", "Conditions", "Mappings", "Resources"]);
    let ids = cut["Resources"].as_mapping().unwrap().keys().map(|id| id.as_str().unwrap());
    assert_eq!(ids.collect::<Vec<_>>(), kept.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>());
    assert_eq!(cut["Mappings"], whole["Mappings"]);
    for (id, _) in &kept {
        assert_eq!(cut["Resources"][id.as_str()], whole["Resources"][id.as_str()], "{id}");
    }
}

#[test]
fn the_rounds_of_a_schedule_do_not_overlap() {
    let yaml = yaml();
    let mut seen = 0;
    for (id, resource) in yaml["Resources"].as_mapping().unwrap() {
        let properties = &resource["Properties"];
        for (_, event) in properties["Events"].as_mapping().into_iter().flatten() {
            if event["Type"].as_str() != Some("Schedule") {
                continue;
            }
            let Rate(every) = Rate::parse(event["Properties"]["Schedule"].as_str().unwrap()).unwrap();
            let invoke = &properties["EventInvokeConfig"];
            assert_eq!(invoke["MaximumRetryAttempts"].as_u64(), Some(0), "{id:?}: a failed run is run again");
            let waits = [invoke, &event["Properties"]["RetryPolicy"]];
            assert_eq!(waits[1]["MaximumRetryAttempts"].as_u64(), Some(0), "{id:?}: silence is the alarm's");
            let late: u64 = waits.map(|wait| wait["MaximumEventAgeInSeconds"].as_u64().unwrap()).iter().sum();
            let over = properties["Timeout"].as_u64().unwrap() + late;
            assert!(over <= every.as_secs(), "{id:?}: a late run lasts until {over} s, the next begins at {every:?}");
            seen += 1;
        }
    }
    assert_eq!(seen, 4);
}

#[test]
fn in_a_small_account_there_is_always_room_for_the_front() {
    let template_of_defaults = template(&[]);
    let polled: usize = template_of_defaults
        .functions
        .iter()
        // An import comes once a number, and steps aside for live messages; what is throttled meanwhile comes again.
        .filter(|function| function.name != "history")
        .flat_map(|function| &function.mappings)
        .map(|mapping| mapping.maximum_concurrency)
        .sum();
    // `ledger` is there for a second a day, and `signup` has nothing to do in nearly every round.
    let short = ["ledger", "signup"];
    let lasting = template_of_defaults.functions.iter().filter(|function| !short.contains(&function.name.as_str()));
    let schedules = lasting.map(|function| function.schedules.len()).sum::<usize>();
    assert!(polled + schedules + 2 <= usize::try_from(SMALL_ACCOUNT).unwrap(), "{polled} and {schedules} at once");
    let larger = template(&[("ForwardConcurrency", "40"), ("SendConcurrency", "30")]);
    let of = |name: &str| larger.functions.iter().find(|one| one.name == name).unwrap().mappings[0].maximum_concurrency;
    assert_eq!((of("forward"), of("send"), of("erasure")), (40, 30, 2));
}

#[test]
fn concurrency_is_reserved_only_where_it_is_asked_for() {
    let yaml = yaml();
    let reserved = |asked: &str, id: &str| {
        let parameters = BTreeMap::from([("ReservedConcurrency".to_owned(), asked.to_owned())]);
        let resolver = Resolver {
            resources: &yaml["Resources"],
            mappings: &yaml["Mappings"],
            conditions: &yaml["Conditions"],
            parameters,
            aws_url: String::new(),
            api_url: String::new(),
        };
        let given = &properties(&yaml, id)["ReservedConcurrentExecutions"];
        plain(&resolver.resolve(given).unwrap())
    };
    assert_eq!(default_of("ReservedConcurrency"), 0);
    for id in ["Webhook", "Callback", "Reconcile", "Retention"] {
        assert_eq!(reserved("0", id), "null", "{id}");
    }
    assert_eq!(["Webhook", "Callback", "Reconcile", "Retention"].map(|id| reserved("20", id)), ["20", "20", "1", "1"]);
}

#[test]
fn what_is_forged_all_day_costs_what_the_documentation_says() {
    let yaml = yaml();
    let api = properties(&yaml, "Api");
    let usual = &api["DefaultRouteSettings"]["ThrottlingRateLimit"];
    let Yaml::Tagged(by) = usual else { panic!("the busy routes take what the operator says: {usual:?}") };
    let usual = default_of(by.value.as_str().unwrap());
    let routes = template(&[]).functions.into_iter().flat_map(|function| function.routes);
    let keys: Vec<String> = routes.map(|route| format!("{} {}", route.method, route.path)).collect();
    for (key, _) in api["RouteSettings"].as_mapping().unwrap() {
        assert!(keys.iter().any(|known| known == key.as_str().unwrap()), "{key:?} is no route");
    }
    let of = |key: &String| api["RouteSettings"][key.as_str()]["ThrottlingRateLimit"].as_u64().unwrap_or(usual);
    let a_second: u64 = keys.iter().map(of).sum();
    let a_day = f64::from(u32::try_from(a_second).unwrap()) * 86_400.0 / 1e6 * FORGED;
    let told = include_str!("../../../docs/cost.md");
    for words in [format!("{a_second} requests a second"), format!("{a_day:.0} US$ a day")] {
        assert!(told.contains(&words), "{words}");
    }
    assert!(a_day < 16.0, "{a_day}");
}
