//! Stages and tokens.

use aws_sdk_secretsmanager::error::ProvideErrorMetadata as _;

use crate::stage::Stage;

async fn value(stage: &Stage, name: &str, version_stage: &str) -> Option<String> {
    let get = stage.secrets.get_secret_value().secret_id(name).version_stage(version_stage);
    get.send().await.ok().and_then(|answer| answer.secret_string)
}

pub(crate) async fn a_new_value_makes_the_old_one_previous(stage: &Stage) {
    let name = stage.secret();
    stage.secrets.create_secret().name(&name).secret_string("one").send().await.unwrap();
    assert_eq!(value(stage, &name, "AWSPREVIOUS").await, None);
    for next in ["two", "three"] {
        stage.secrets.put_secret_value().secret_id(&name).secret_string(next).send().await.unwrap();
    }
    assert_eq!(value(stage, &name, "AWSCURRENT").await.as_deref(), Some("three"));
    assert_eq!(value(stage, &name, "AWSPREVIOUS").await.as_deref(), Some("two"));
    let described = stage.secrets.describe_secret().secret_id(&name).send().await.unwrap();
    assert_eq!(described.version_ids_to_stages().unwrap().len(), 2);
    let by_arn = stage.secrets.get_secret_value().secret_id(described.arn().unwrap()).send().await.unwrap();
    assert_eq!(by_arn.secret_string(), Some("three"));
}

pub(crate) async fn the_same_token_puts_once(stage: &Stage) {
    let name = stage.secret();
    stage.secrets.create_secret().name(&name).secret_string("one").send().await.unwrap();
    let token = uuid::Uuid::new_v4().to_string();
    let put =
        |text: &str| stage.secrets.put_secret_value().secret_id(&name).secret_string(text).client_request_token(&token);
    put("two").send().await.unwrap();
    put("two").send().await.unwrap();
    assert_eq!(value(stage, &name, "AWSPREVIOUS").await.as_deref(), Some("one"), "the repeat changed nothing");
    let other = put("three").send().await.unwrap_err().into_service_error();
    assert!(other.is_resource_exists_exception(), "{other:?}");
    let again = stage.secrets.create_secret().name(&name).secret_string("four").send().await.unwrap_err();
    assert!(again.into_service_error().is_resource_exists_exception());
}

pub(crate) async fn a_missing_secret_is_a_modelled_error(stage: &Stage) {
    let error =
        stage.secrets.get_secret_value().secret_id(stage.secret()).send().await.unwrap_err().into_service_error();
    assert!(error.is_resource_not_found_exception());
    assert!(error.message().is_some_and(|message| message.contains("can't find")), "{error:?}");
}

pub(crate) async fn a_stage_can_be_moved_back(stage: &Stage) {
    let name = stage.secret();
    let one = stage.secrets.create_secret().name(&name).secret_string("one").send().await.unwrap().version_id.unwrap();
    let two = stage
        .secrets
        .put_secret_value()
        .secret_id(&name)
        .secret_string("two")
        .send()
        .await
        .unwrap()
        .version_id
        .unwrap();
    let back = stage.secrets.update_secret_version_stage().secret_id(&name).version_stage("AWSCURRENT");
    back.move_to_version_id(one).remove_from_version_id(two).send().await.unwrap();
    assert_eq!(value(stage, &name, "AWSCURRENT").await.as_deref(), Some("one"));
    assert_eq!(value(stage, &name, "AWSPREVIOUS").await.as_deref(), Some("two"));
}
