//! Whom the functions believe: Amazon's own authorities and the public ones that are compiled in, whoever a setting names, and never
//! the system's store.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{collections::BTreeMap, path::PathBuf, process::Stdio, sync::LazyLock};

use rig::{
    BenchStack, Process,
    functions::{self, Profile},
    scenario::Scenario,
    tls::Tls,
};
use serde_json::Value;

async fn answer(function: &str, variables: &BTreeMap<String, String>, event: &str) -> Option<Value> {
    static BUILT: LazyLock<PathBuf> = LazyLock::new(|| functions::binaries(Profile::Dev).unwrap());
    let binary = functions::binary(&BUILT, function);
    let mut process = Process::start(&[binary.to_str().unwrap()], variables, Stdio::null()).await.ok()?;
    let answer = process.call(event.to_owned()).await.ok()?.answer.ok()?;
    serde_json::from_slice(&answer).ok()
}

#[tokio::test]
async fn aws_is_believed_by_a_named_authority_and_not_by_the_system_s() {
    let ground = BenchStack::start().await.unwrap();
    let tls = Tls::in_front_of(ground.world.stage.aws.url()).await.unwrap();
    let authority = tls.authority().display().to_string();
    for function in ["webhook", "callback"] {
        let mut scenario = Scenario::of(function).unwrap();
        for (variable, status) in [("AWS_CA_BUNDLE", 200), ("SSL_CERT_FILE", 500)] {
            let mut variables = ground.variables(function).unwrap();
            tls.lead(&mut variables);
            variables.insert(variable.to_owned(), authority.clone());
            let event = scenario.next(&ground).await.unwrap();
            let answer = answer(function, &variables, &event).await.unwrap();
            assert_eq!(answer["statusCode"], status, "{function}: {variable}");
        }
    }
}

#[tokio::test]
async fn a_private_chatwoot_is_believed_by_its_own_authority() {
    let ground = BenchStack::start().await.unwrap();
    let tls = Tls::in_front_of(&ground.world.chatwoot.url()).await.unwrap();
    let pem = std::fs::read_to_string(tls.authority()).unwrap();
    let mut variables = ground.variables("forward").unwrap();
    variables.insert("CHATWOOT_URL".to_owned(), tls.url());
    variables.insert("SSL_CERT_FILE".to_owned(), tls.authority().display().to_string());
    let event = Scenario::newcomers().next(&ground).await.unwrap();

    let without = answer("forward", &variables, &event).await.unwrap();
    assert_eq!(without["batchItemFailures"].as_array().map(Vec::len), Some(1), "{without}");
    assert_eq!(ground.world.chatwoot.conversations().len(), 0);

    variables.insert("CHATWOOT_CA".to_owned(), pem.replace('\n', "\\n"));
    let with = answer("forward", &variables, &event).await.unwrap();
    assert_eq!(with["batchItemFailures"].as_array().map(Vec::len), Some(0), "{with}");
    assert_eq!(ground.world.chatwoot.conversations().len(), 1);
}
