//! The app's secret, and a stack whose addresses are asked of `CloudFormation`, on an AWS of others.

use std::process::{Command, Output};

use serde_json::{Value, json};
use simulator_aws::emulator::{Emulator, Make, skipped};
use simulator_chatwoot::Role;
use stories::World;

use crate::support::{binary, complaint, ops, run, says, words};

const GIVEN: &str = "app-secret-of-the-stories\ntoken-of-the-administrator\n";
const ASKS: [&str; 4] = ["app", "--app-id", "100000000000001", "--json"];

#[tokio::test(flavor = "multi_thread")]
async fn what_is_given_is_tried_before_it_is_stored_and_keys_stay() {
    let world = World::start_now().await.unwrap();
    world.meta.set_app_id("100000000000001");
    let agent = world.chatwoot.token("Sofía Ledesma", Role::Agent);
    for (input, expected) in [
        ("wrong\ntoken-of-the-administrator\n".to_owned(), "does not accept this app id"),
        (format!("\n{agent}\n"), "administers no account"),
        ("\ngone\n".to_owned(), "no user's token"),
        ("one two\n".to_owned(), "several words"),
    ] {
        let refused = ops(&world, &ASKS[..3], &input);
        assert_eq!(refused.status.code(), Some(1), "{}", words(&refused));
        assert!(complaint(&refused).contains(expected), "{expected}: {}", complaint(&refused));
    }
    let without_link_key = json!({ "app_id": "100000000000001", "app_secret": "app-secret-of-the-stories",
        "verify_token": "verify-token-of-the-stories", "chatwoot_token": "token-of-the-administrator",
        "subject_key": "subject-key-of-the-stories" });
    world.stage.aws.put_secret("lmotos/app", &without_link_key.to_string());
    let made = says(&world, 0, &ASKS[..3], GIVEN);
    assert_eq!(
        (&made["changed"], &made["verify_token"]),
        (&json!(true), &json!("verify-token-of-the-stories")),
        "{made}"
    );
    let again = says(&world, 0, &ASKS[..3], "");
    assert_eq!(again["changed"], json!(false), "the link key was the only one that was missing");
    let output = ops(&world, &[&ASKS[..3], &["--api-url", "https://api.example"]].concat(), "");
    let told = words(&output);
    assert!(told.contains("https://api.example/webhooks/meta") && !told.contains("subject-key"), "{told}");
    assert!(!told.contains("app-secret-of") && !told.contains("token-of-the-administrator"), "{told}");
    assert_eq!(ops(&world, &["app", "--app-id", "my app"], "").status.code(), Some(2));
    says(&world, 0, &["channel", "list"], "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_was_deleted_is_had_back_and_never_drawn_anew() {
    let world = World::start_now().await.unwrap();
    world.meta.set_app_id("100000000000001");
    says(&world, 0, &ASKS[..3], GIVEN);
    let secrets = platform::aws::Aws::from_env(world.stage.operator()).unwrap().secrets;
    let name = world.stage.app_secret().unwrap();
    let value = async || {
        let told = secrets.get_secret_value().secret_id(name).send().await;
        told.ok().and_then(|told| told.secret_string)
    };
    let before = value().await;
    secrets.delete_secret().secret_id(name).recovery_window_in_days(7).send().await.unwrap();
    let refused = ops(&world, &ASKS[..3], GIVEN);
    assert_eq!((refused.status.code(), value().await), (Some(1), None), "{}", words(&refused));
    let said = complaint(&refused);
    assert!(said.contains("aws secretsmanager restore-secret") && said.contains("stack-again.md"), "{said}");
    let examined = ops(&world, &["doctor"], "");
    let said = words(&examined);
    assert!(examined.status.code() == Some(4) && said.contains("restore-secret"), "{said}");
    secrets.restore_secret().secret_id(name).send().await.unwrap();
    assert_eq!(says(&world, 0, &ASKS[..3], "")["changed"], json!(false));
    assert_eq!(value().await, before);
}

/// A template as small as it can be that has what `ops` reads of a stack.
const TEMPLATE: &str = r#"{"Parameters":{"ChatwootUrl":{"Type":"String"},"GraphUrl":{"Type":"String"},"KmsKey":{"Type":"String","Default":"alias/of-the-operator"}},
  "Resources":{"Erasures":{"Type":"AWS::SQS::Queue","Properties":{"QueueName":"dealer-erasure.fifo","FifoQueue":true}}},
  "Outputs":{"LedgerTableName":{"Value":"elsewhere"},"ApiUrl":{"Value":"https://api.dealer.example"}}}"#;

fn aws(emulator: &Emulator, command: &mut Command) -> Output {
    let variables = [("AWS_REGION", "us-east-1"), ("AWS_ACCESS_KEY_ID", "operator"), ("AWS_SECRET_ACCESS_KEY", "test")];
    run(command.envs(variables).env("AWS_ENDPOINT_URL", emulator.url()), GIVEN)
}

async fn asked(emulator: &Emulator, service: &str, headers: &[(&str, &str)], body: String) -> String {
    let signed = format!(
        "AWS4-HMAC-SHA256 Credential=operator/20261130/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=00"
    );
    let http = platform::http::Http::new(std::sync::Arc::new(chatwoot::files::PublicOnly), None).unwrap();
    let request =
        http.kept.post(emulator.url()).header("authorization", signed).header("x-amz-date", "20261130T000000Z");
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let answer = request.body(body).send().await.unwrap();
    let is_good = answer.status().is_success();
    let text = answer.text().await.unwrap();
    assert!(is_good, "{text}");
    text
}

async fn create_stack(emulator: &Emulator, world: &World) {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.extend_pairs([
        ("Action", "CreateStack"),
        ("Version", "2010-05-15"),
        ("StackName", "dealer"),
        ("TemplateBody", TEMPLATE),
    ]);
    for (at, name, value) in [(1, "ChatwootUrl", world.chatwoot.url()), (2, "GraphUrl", world.meta.url())] {
        form.append_pair(&format!("Parameters.member.{at}.ParameterKey"), name);
        form.append_pair(&format!("Parameters.member.{at}.ParameterValue"), &value);
    }
    let of_form = [("content-type", "application/x-www-form-urlencoded; charset=utf-8")];
    asked(emulator, "cloudformation", &of_form, form.finish()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_chatwoot_and_the_api_are_and_which_key_is_used_is_asked_of_the_stack() {
    let make = Make::Ministack;
    let Some(emulator) = Emulator::start(make).await.unwrap() else {
        return skipped("where_chatwoot_and_the_api_are", make.name());
    };
    let world = World::start_now().await.unwrap();
    world.meta.set_app_id("100000000000001");
    create_stack(&emulator, &world).await;
    let asks = [&ASKS[..], &["--stack", "dealer"]].concat();
    let made = aws(&emulator, binary().args(&asks));
    assert!(made.status.success(), "{}: {}", make.name(), complaint(&made));
    let told: Value = serde_json::from_slice(&made.stdout).unwrap();
    assert_eq!(told["webhook_url"], "https://api.dealer.example/webhooks/meta", "{}", make.name());
    let describes = [("x-amz-target", "secretsmanager.DescribeSecret"), ("content-type", "application/x-amz-json-1.1")];
    let described = asked(&emulator, "secretsmanager", &describes, r#"{"SecretId":"dealer/app"}"#.to_owned()).await;
    assert!(described.contains("alias/of-the-operator"), "{described}");
    let restored = aws(&emulator, binary().args(["restore", "--stack", "dealer"]));
    let said = complaint(&restored);
    assert!(said.contains("the copy of the ledger in elsewhere"), "its ledger is another's: {said}");
    // Without one, that is said where the address is needed.
    let none = aws(&emulator, binary().args(["doctor", "--stack", "nobodys"]));
    assert!(
        words(&none).replace("\n      ", " ").contains("there is no stack nobodys in us-east-1"),
        "{}",
        words(&none)
    );
}
