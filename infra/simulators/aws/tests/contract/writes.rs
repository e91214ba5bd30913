//! Writing to a table: conditions, expressions, transactions, batches.

use std::sync::Arc;

use aws_sdk_dynamodb::types::{
    AttributeValue, Put, PutRequest, ReturnValue, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
    WriteRequest,
};
use tokio::task::JoinSet;

use crate::{
    stage::Stage,
    table::{make, n, put, s},
};

const INVALID: (&str, &str) = ("ValidationException", "");

async fn get(stage: &Stage, table: &str, sk: &str) -> Option<std::collections::HashMap<String, AttributeValue>> {
    let get = stage.dynamo.get_item().table_name(table).key("pk", s("p")).key("sk", s(sk)).consistent_read(true);
    get.send().await.unwrap().item
}

pub(crate) async fn a_conditional_put_shows_the_item_that_was_in_the_way(stage: &Stage) {
    let table = make(stage).await;
    let claim = |owner: &str| {
        let put = stage
            .dynamo
            .put_item()
            .table_name(&table)
            .item("pk", s("p"))
            .item("sk", s("claim"))
            .item("owner", s(owner));
        put.condition_expression("attribute_not_exists(pk)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
    };
    claim("first").send().await.unwrap();
    let lost = claim("second").send().await.unwrap_err().into_service_error();
    let aws_sdk_dynamodb::operation::put_item::PutItemError::ConditionalCheckFailedException(lost) = lost else {
        panic!("{lost:?}")
    };
    assert_eq!(lost.item().unwrap()["owner"], s("first"));
}

pub(crate) async fn an_update_expression_does_seven_things_at_once(stage: &Stage) {
    let table = make(stage).await;
    let tags = AttributeValue::Ss(vec!["old".into(), "kept".into()]);
    let numbers = AttributeValue::L(vec![n(1)]);
    put(
        stage,
        &table,
        "1",
        &[("hits", n(1)), ("tags", tags), ("numbers", numbers), ("gone", s("x")), ("remaining", n(10))],
    )
    .await;
    let update = stage.dynamo.update_item().table_name(&table).key("pk", s("p")).key("sk", s("1"));
    let update = update
        .update_expression(
            "SET #name = :name, made = if_not_exists(made, :at), numbers = list_append(numbers, :more), remaining = remaining - :one \
             REMOVE gone ADD hits :one DELETE tags :old",
        )
        .expression_attribute_names("#name", "name")
        .expression_attribute_values(":name", s("Ana"))
        .expression_attribute_values(":at", n(7))
        .expression_attribute_values(":more", AttributeValue::L(vec![n(2)]))
        .expression_attribute_values(":one", n(1))
        .expression_attribute_values(":old", AttributeValue::Ss(vec!["old".into()]));
    let item = update.return_values(ReturnValue::AllNew).send().await.unwrap().attributes.unwrap();
    assert_eq!((&item["name"], &item["made"], &item["hits"], &item["remaining"]), (&s("Ana"), &n(7), &n(2), &n(9)));
    assert_eq!(item["numbers"], AttributeValue::L(vec![n(1), n(2)]));
    assert_eq!(item["tags"], AttributeValue::Ss(vec!["kept".into()]));
    assert!(!item.contains_key("gone"));
}

fn transact_put(table: &str, sk: &str) -> aws_sdk_dynamodb::types::builders::PutBuilder {
    Put::builder().table_name(table).item("pk", s("p")).item("sk", s(sk))
}

pub(crate) async fn a_cancelled_transaction_says_why_and_writes_nothing(stage: &Stage) {
    let table = make(stage).await;
    put(stage, &table, "taken", &[("owner", s("first"))]).await;
    let free = transact_put(&table, "free").build().unwrap();
    let taken = transact_put(&table, "taken")
        .condition_expression("attribute_not_exists(pk)")
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
    let items = [free, taken.build().unwrap()].map(|put| TransactWriteItem::builder().put(put).build());
    let write = stage.dynamo.transact_write_items().set_transact_items(Some(items.into()));
    let cancelled = write.send().await.unwrap_err().into_service_error();
    let aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError::TransactionCanceledException(
        cancelled,
    ) = cancelled
    else {
        panic!("{cancelled:?}")
    };
    let codes: Vec<_> = cancelled.cancellation_reasons().iter().map(|reason| reason.code().unwrap()).collect();
    assert_eq!(codes, ["None", "ConditionalCheckFailed"]);
    assert_eq!(cancelled.cancellation_reasons()[1].item().unwrap()["owner"], s("first"));
    assert_eq!(get(stage, &table, "free").await, None);
}

pub(crate) async fn the_same_request_token_writes_once(stage: &Stage) {
    let table = make(stage).await;
    let add = |by: i64| {
        let update = Update::builder().table_name(&table).key("pk", s("p")).key("sk", s("count"));
        let update =
            update.update_expression("ADD hits :by").expression_attribute_values(":by", n(by)).build().unwrap();
        let item = TransactWriteItem::builder().update(update).build();
        stage.dynamo.transact_write_items().transact_items(item).client_request_token("the-same-token-as-before")
    };
    add(1).send().await.unwrap();
    add(1).send().await.unwrap();
    assert_eq!(get(stage, &table, "count").await.unwrap()["hits"], n(1));
    let other = add(2).send().await.unwrap_err().into_service_error();
    assert!(other.is_idempotent_parameter_mismatch_exception(), "{other:?}");
}

pub(crate) async fn an_item_has_its_limit_and_a_batch_twenty_five(stage: &Stage) {
    let table = make(stage).await;
    let large = stage.dynamo.put_item().table_name(&table).item("pk", s("p")).item("sk", s("1"));
    let refused = large.item("large", s("x".repeat(400 * 1024))).send().await;
    stage.points.refused("an item over 400 KB", &refused, INVALID);
    let batch = |count: usize| {
        let writes = (0..count).map(|number| {
            let put = PutRequest::builder().item("pk", s("p")).item("sk", s(number.to_string())).build().unwrap();
            WriteRequest::builder().put_request(put).build()
        });
        stage.dynamo.batch_write_item().request_items(&table, writes.collect())
    };
    batch(25).send().await.unwrap();
    assert!(get(stage, &table, "24").await.is_some());
    stage.points.refused("26 in a batch", &batch(26).send().await, INVALID);
}

pub(crate) async fn forty_at_once_lose_nothing(stage: &Stage) {
    let table: Arc<str> = make(stage).await.into();
    put(stage, &table, "count", &[("seen", n(0))]).await;
    let mut adding = JoinSet::new();
    let mut claiming = JoinSet::new();
    for number in 0..40 {
        let update = stage.dynamo.update_item().table_name(&*table).key("pk", s("p")).key("sk", s("count"));
        adding.spawn(update.update_expression("ADD hits :one").expression_attribute_values(":one", n(1)).send());
        let update = stage.dynamo.update_item().table_name(&*table).key("pk", s("p")).key("sk", s("lease"));
        let update = update.update_expression("SET holder = :me").condition_expression("attribute_not_exists(holder)");
        claiming.spawn(update.expression_attribute_values(":me", n(number)).send());
    }
    assert!(adding.join_all().await.iter().all(Result::is_ok));
    assert_eq!(get(stage, &table, "count").await.unwrap()["hits"], n(40));
    let won = claiming.join_all().await.iter().filter(|outcome| outcome.is_ok()).count();
    assert_eq!(won, 1, "a lease has one holder");
}

pub(crate) async fn wrong_requests_are_refused(stage: &Stage) {
    let table = make(stage).await;
    let update = |expression: &str| {
        let update = stage.dynamo.update_item().table_name(&table).key("pk", s("p")).key("sk", s("1"));
        update.update_expression(expression)
    };
    let values = |names: &[&str]| Some(names.iter().map(|name| ((*name).to_owned(), n(1))).collect());
    for (what, expression, names) in [
        ("a reserved word", "SET name = :v", [":v"].as_slice()),
        ("an undefined value", "SET a = :v", &[]),
        ("an unused value", "SET a = :v", &[":v", ":w"]),
        ("a key changed", "SET sk = :v", &[":v"]),
        ("a broken expression", "SET a = = :v", &[":v"]),
    ] {
        let given = if names.is_empty() { None } else { values(names) };
        let outcome = update(expression).set_expression_attribute_values(given).send().await;
        stage.points.refused(what, &outcome, INVALID);
    }
    let half_a_key = stage.dynamo.get_item().table_name(&table).key("pk", s("p")).send().await;
    stage.points.refused("half a key", &half_a_key, INVALID);
    let empty_key = stage.dynamo.put_item().table_name(&table).item("pk", s("")).item("sk", s("1")).send().await;
    stage.points.refused("an empty key", &empty_key, INVALID);
    let query =
        stage.dynamo.query().table_name(&table).key_condition_expression("pk = :pk").filter_expression("sk = :pk");
    let filtered = query.expression_attribute_values(":pk", s("p")).send().await;
    stage.points.refused("a filter on a key", &filtered, INVALID);
    let missing = stage.dynamo.get_item().table_name("contract-never-made").key("pk", s("p")).send().await;
    stage.points.refused("a table that is missing", &missing, ("ResourceNotFoundException", ""));
}
