//! What DynamoDB refuses: each row was decided from its documentation, and takes nothing in.

use std::collections::HashMap;

use aws_sdk_dynamodb::{
    error::{ProvideErrorMetadata, SdkError},
    primitives::Blob,
    types::{
        AttributeValue, ConditionCheck, Delete, DeleteRequest, KeysAndAttributes, PutRequest, TransactWriteItem,
        WriteRequest,
    },
};

use crate::{
    stage::Stage,
    table::{make, n, put, s},
};

fn bytes(value: &[u8]) -> AttributeValue {
    AttributeValue::B(Blob::new(value))
}

/// Notes whether a call was refused as wrong, in words that hold these.
fn refused<T: std::fmt::Debug, E: ProvideErrorMetadata + std::fmt::Debug, R: std::fmt::Debug>(
    stage: &Stage,
    what: &str,
    outcome: &Result<T, SdkError<E, R>>,
    words: &str,
) {
    stage.points.refused(what, outcome, ("ValidationException", words));
}

fn key(sk: &str) -> HashMap<String, AttributeValue> {
    HashMap::from([("pk".to_owned(), s("p")), ("sk".to_owned(), s(sk))])
}

const EMPTY: &str = "The AttributeValue for a key attribute cannot contain an empty string value";

pub(crate) async fn no_key_and_no_bound_of_one_is_empty(stage: &Stage) {
    let table = &make(stage).await;
    put(stage, table, "1", &[]).await;
    let conditions = [
        ("pk = :a", [":a"].as_slice()),
        ("pk = :p AND sk = :a", &[":a"]),
        ("pk = :p AND sk BETWEEN :a AND :z", &[":a"]),
        ("pk = :p AND sk BETWEEN :z AND :a", &[":a"]),
        ("pk = :p AND sk > :a", &[":a"]),
        ("pk = :p AND sk >= :a", &[":a"]),
        ("pk = :p AND sk < :a", &[":a"]),
        ("pk = :p AND begins_with(sk, :a)", &[":a"]),
    ];
    for (condition, empty) in conditions {
        let mut query = stage.dynamo.query().table_name(table).key_condition_expression(condition);
        for name in [":p", ":a", ":z"].into_iter().filter(|name| condition.contains(name)) {
            let value = if empty.contains(&name) { "" } else { &name[1..] };
            query = query.expression_attribute_values(name, s(value));
        }
        refused(stage, condition, &query.send().await, EMPTY);
    }
    let index = stage.dynamo.query().table_name(table).index_name("due").key_condition_expression("#state = :a");
    let index = index.expression_attribute_names("#state", "state").expression_attribute_values(":a", s(""));
    refused(stage, "in an index", &index.send().await, "cannot contain an empty string value");
    let start = stage.dynamo.query().table_name(table).key_condition_expression("pk = :p");
    let start = start.expression_attribute_values(":p", s("p")).set_exclusive_start_key(Some(key("")));
    refused(stage, "in a start key", &start.send().await, "empty string value");
    let scan = stage.dynamo.scan().table_name(table).set_exclusive_start_key(Some(key("")));
    refused(stage, "in a scan's start key", &scan.send().await, "empty string value");
    let get = stage.dynamo.get_item().table_name(table).set_key(Some(key("")));
    refused(stage, "get", &get.send().await, EMPTY);
    let delete = stage.dynamo.delete_item().table_name(table).set_key(Some(key("")));
    refused(stage, "delete", &delete.send().await, EMPTY);
    let update = stage.dynamo.update_item().table_name(table).set_key(Some(key(""))).update_expression("SET a = :a");
    refused(stage, "update", &update.expression_attribute_values(":a", n(1)).send().await, EMPTY);
    let item = |state: &str| stage.dynamo.put_item().table_name(table).set_item(Some(key("2"))).item("state", s(state));
    refused(stage, "an index key", &item("").item("at", n(1)).send().await, "IndexName: due, IndexKey: state");
    let typed = stage.dynamo.put_item().table_name(table).set_item(Some(key("2"))).item("state", n(1));
    refused(stage, "an index key of another type", &typed.item("at", n(1)).send().await, "");
    let check = ConditionCheck::builder().table_name(table).set_key(Some(key("")));
    let check = check.condition_expression("attribute_exists(pk)").build().unwrap();
    let check = TransactWriteItem::builder().condition_check(check).build();
    refused(stage, "a check", &stage.dynamo.transact_write_items().transact_items(check).send().await, EMPTY);
    let keys = KeysAndAttributes::builder().keys(key("")).build().unwrap();
    refused(stage, "batch get", &stage.dynamo.batch_get_item().request_items(table, keys).send().await, EMPTY);
    // What is no key may be empty.
    put(stage, table, "3", &[("note", s("")), ("raw", bytes(b""))]).await;
}

pub(crate) async fn keys_items_and_values_have_their_limits(stage: &Stage) {
    let table = &make(stage).await;
    let long = |pk: usize, sk: usize| {
        let put = stage.dynamo.put_item().table_name(table);
        put.item("pk", s("p".repeat(pk))).item("sk", s("s".repeat(sk))).send()
    };
    long(2048, 1024).await.unwrap();
    refused(stage, "a long partition key", &long(2049, 1).await, "2048");
    refused(stage, "a long sort key", &long(1, 1025).await, "1024");
    let get = stage.dynamo.get_item().table_name(table).key("pk", s("p")).key("sk", s("s".repeat(1025)));
    refused(stage, "a long key that is asked for", &get.send().await, "1024");
    let value = |value: AttributeValue| {
        stage.dynamo.put_item().table_name(table).set_item(Some(key("1"))).item("value", value).send()
    };
    refused(stage, "an empty set", &value(AttributeValue::Ss(Vec::new())).await, "may not be empty");
    refused(
        stage,
        "a set with one twice",
        &value(AttributeValue::Ss(vec!["a".into(), "a".into()])).await,
        "duplicates",
    );
    refused(stage, "no number", &value(AttributeValue::N("1e".into())).await, "");
    refused(stage, "a number of 39 digits", &value(AttributeValue::N("1".repeat(39))).await, "");
    refused(stage, "a number too large", &value(AttributeValue::N("1e126".into())).await, "");
    value(AttributeValue::N("-9223372036854775808".into())).await.unwrap();
}

pub(crate) async fn batches_and_transactions_have_their_limits(stage: &Stage) {
    let table = &make(stage).await;
    let delete = |sk: usize| {
        let delete = DeleteRequest::builder().set_key(Some(key(&sk.to_string()))).build().unwrap();
        WriteRequest::builder().delete_request(delete).build()
    };
    let write = |writes: Vec<WriteRequest>| stage.dynamo.batch_write_item().request_items(table, writes).send();
    write((0..25).map(delete).collect()).await.unwrap();
    refused(stage, "26 writes", &write((0..26).map(delete).collect()).await, "25");
    refused(stage, "one key twice", &write(vec![delete(1), delete(1)]).await, "duplicates");
    let put = PutRequest::builder().set_item(Some(key("1"))).build().unwrap();
    let put = WriteRequest::builder().put_request(put).build();
    refused(stage, "a put and a delete of one key", &write(vec![put, delete(1)]).await, "duplicates");
    refused(stage, "no write", &write(Vec::new()).await, "");
    let get = |keys: Vec<HashMap<String, AttributeValue>>| {
        let keys = KeysAndAttributes::builder().set_keys(Some(keys)).build().unwrap();
        stage.dynamo.batch_get_item().request_items(table, keys).send()
    };
    get((0..100).map(|sk| key(&sk.to_string())).collect()).await.unwrap();
    refused(stage, "101 reads", &get((0..101).map(|sk| key(&sk.to_string())).collect()).await, "");
    refused(stage, "one key read twice", &get(vec![key("1"), key("1")]).await, "duplicates");
    let transact = |keys: Vec<String>| {
        let items = keys.iter().map(|sk| {
            let delete = Delete::builder().table_name(table).set_key(Some(key(sk))).build().unwrap();
            TransactWriteItem::builder().delete(delete).build()
        });
        stage.dynamo.transact_write_items().set_transact_items(Some(items.collect())).send()
    };
    transact((0..100).map(|sk| sk.to_string()).collect()).await.unwrap();
    refused(stage, "a transaction of 101", &transact((0..101).map(|sk| sk.to_string()).collect()).await, "100");
    refused(
        stage,
        "two writes of one item",
        &transact(vec!["1".into(), "1".into()]).await,
        "multiple operations on one item",
    );
}

pub(crate) async fn expressions_are_complete_and_name_no_reserved_word(stage: &Stage) {
    let table = &make(stage).await;
    put(stage, table, "1", &[]).await;
    let query = || {
        let query = stage.dynamo.query().table_name(table).key_condition_expression("pk = :p");
        query.expression_attribute_values(":p", s("p"))
    };
    refused(
        stage,
        "a filter on the sort key",
        &query().filter_expression("sk = :p").send().await,
        "non-primary key attributes",
    );
    refused(
        stage,
        "a filter on the key",
        &query().filter_expression("begins_with(pk, :p)").send().await,
        "non-primary key",
    );
    refused(
        stage,
        "a reserved word in a filter",
        &query().filter_expression("state = :p").send().await,
        "reserved keyword",
    );
    refused(stage, "one in a projection", &query().projection_expression("pk, state").send().await, "reserved keyword");
    refused(
        stage,
        "an unused value",
        &query().expression_attribute_values(":q", s("q")).send().await,
        "unused in expressions",
    );
    refused(
        stage,
        "an unused name",
        &query().expression_attribute_names("#q", "q").send().await,
        "unused in expressions",
    );
    refused(stage, "an undefined value", &query().filter_expression("a = :q").send().await, "not defined");
    refused(stage, "an empty filter", &query().filter_expression("").send().await, "The expression can not be empty");
    let long = (0..700).map(|_| "a = :p").collect::<Vec<_>>().join(" OR ");
    refused(
        stage,
        "an expression over 4 KB",
        &query().filter_expression(long).send().await,
        "Expression size has exceeded",
    );
    let twice = stage.dynamo.query().table_name(table).key_condition_expression("pk = :p AND sk > :p AND sk < :p");
    refused(
        stage,
        "two conditions on one key",
        &twice.expression_attribute_values(":p", s("p")).send().await,
        "one condition",
    );
    let other = stage.dynamo.query().table_name(table).key_condition_expression("pk = :p AND note = :p");
    refused(stage, "a condition on no key", &other.expression_attribute_values(":p", s("p")).send().await, "");
    let ranged = stage.dynamo.query().table_name(table).key_condition_expression("begins_with(pk, :p)");
    refused(stage, "a range of partitions", &ranged.expression_attribute_values(":p", s("p")).send().await, "");
    let none = stage.dynamo.scan().table_name(table).set_expression_attribute_values(Some(HashMap::new()));
    refused(
        stage,
        "an empty map of values",
        &none.filter_expression("attribute_exists(a)").send().await,
        "must not be empty",
    );
    let update = |expression: &str| {
        let update = stage.dynamo.update_item().table_name(table).set_key(Some(key("1")));
        update.update_expression(expression).expression_attribute_values(":v", n(1)).send()
    };
    refused(stage, "one path twice", &update("SET a = :v, a = :v").await, "overlap");
    refused(stage, "two clauses of a kind", &update("SET a = :v SET b = :v").await, "");
    refused(stage, "adding to a set what is none", &update("DELETE a :v").await, "");
    // A scan may look at keys.
    let scan = stage.dynamo.scan().table_name(table).filter_expression("begins_with(pk, :p)");
    assert_eq!(scan.expression_attribute_values(":p", s("p")).send().await.unwrap().count, 1);
}
