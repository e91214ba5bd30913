//! Reading a table: indexes, pages, limits, time to live.

use std::time::Duration;

use aws_sdk_dynamodb::{
    primitives::Blob,
    types::{
        AttributeDefinition, AttributeValue, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
        ProjectionType, ScalarAttributeType, TimeToLiveSpecification,
    },
};

use crate::stage::Stage;

pub(crate) fn s(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

pub(crate) fn n(number: i64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

fn key(name: &str, kind: KeyType) -> KeySchemaElement {
    KeySchemaElement::builder().attribute_name(name).key_type(kind).build().unwrap()
}

/// Makes a table with `pk`, `sk` and an index `due` over `state` and `at` that includes `note`.
pub(crate) async fn make(stage: &Stage) -> String {
    let name = format!("contract-{}", uuid::Uuid::new_v4());
    let attribute =
        |name: &str, kind| AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build().unwrap();
    let projection = Projection::builder().projection_type(ProjectionType::Include).non_key_attributes("note").build();
    let due = GlobalSecondaryIndex::builder()
        .index_name("due")
        .key_schema(key("state", KeyType::Hash))
        .key_schema(key("at", KeyType::Range))
        .projection(projection);
    let create = stage
        .dynamo
        .create_table()
        .table_name(&name)
        .billing_mode(BillingMode::PayPerRequest)
        .key_schema(key("pk", KeyType::Hash))
        .key_schema(key("sk", KeyType::Range))
        .global_secondary_indexes(due.build().unwrap());
    let attributes =
        [("pk", ScalarAttributeType::S), ("sk", ScalarAttributeType::S), ("state", ScalarAttributeType::S)];
    let attributes = attributes.into_iter().chain([("at", ScalarAttributeType::N)]);
    let attributes = attributes.map(|(name, kind)| attribute(name, kind)).collect();
    create.set_attribute_definitions(Some(attributes)).send().await.unwrap();
    stage.table_is_ready(&name).await;
    name
}

/// Puts an item.
pub(crate) async fn put(stage: &Stage, table: &str, sk: &str, attributes: &[(&str, AttributeValue)]) {
    let mut put = stage.dynamo.put_item().table_name(table).item("pk", s("p")).item("sk", s(sk));
    for (name, value) in attributes {
        put = put.item(*name, value.clone());
    }
    put.send().await.unwrap();
}

pub(crate) async fn a_query_on_an_index_descends_and_has_the_included_attributes(stage: &Stage) {
    let table = make(stage).await;
    for at in 1..=3 {
        let attributes =
            [("state", s("open")), ("at", n(at)), ("note", s(format!("note {at}"))), ("other", s("not included"))];
        put(stage, &table, &at.to_string(), &attributes).await;
    }
    put(stage, &table, "unindexed", &[]).await;
    let query = || {
        let query = stage.dynamo.query().table_name(&table).index_name("due").scan_index_forward(false);
        query.key_condition_expression("#state = :state").expression_attribute_names("#state", "state")
    };
    let mut found = Vec::new();
    // An index of AWS follows its table after a while.
    for _ in 0..10 {
        found = query().expression_attribute_values(":state", s("open")).send().await.unwrap().items.unwrap();
        if found.len() == 3 {
            break;
        }
        stage.advance(Duration::from_secs(1)).await;
    }
    let order: Vec<_> = found.iter().map(|item| item["at"].clone()).collect();
    assert_eq!(order, [n(3), n(2), n(1)]);
    assert_eq!(found[0]["note"], s("note 3"));
    assert!(!found[0].contains_key("other"));
}

pub(crate) async fn an_index_cannot_be_read_consistently(stage: &Stage) {
    let table = make(stage).await;
    let query = stage.dynamo.query().table_name(&table).index_name("due").key_condition_expression("#state = :state");
    let query = query.expression_attribute_names("#state", "state").expression_attribute_values(":state", s("open"));
    let refused = query.consistent_read(true).send().await.unwrap_err();
    assert_eq!(aws_sdk_dynamodb::error::ProvideErrorMetadata::code(&refused), Some("ValidationException"));
}

pub(crate) async fn a_limit_counts_before_the_filter_and_pages_go_on(stage: &Stage) {
    let table = make(stage).await;
    for number in 0..6 {
        put(stage, &table, &number.to_string(), &[("even", n(i64::from(number % 2 == 0)))]).await;
    }
    let query = || {
        let query = stage.dynamo.query().table_name(&table).key_condition_expression("pk = :pk").limit(2);
        let query = query.filter_expression("even = :yes").expression_attribute_values(":pk", s("p"));
        query.expression_attribute_values(":yes", n(1)).consistent_read(true)
    };
    let mut start = None;
    let mut counts = Vec::new();
    loop {
        let page = query().set_exclusive_start_key(start).send().await.unwrap();
        counts.push((page.count, page.scanned_count));
        start = page.last_evaluated_key;
        if start.is_none() {
            break;
        }
    }
    assert_eq!(counts[..3], [(1, 2); 3], "two are read and one is left of them");
}

pub(crate) async fn a_page_ends_at_one_megabyte(stage: &Stage) {
    let table = make(stage).await;
    let large = AttributeValue::B(Blob::new(vec![7; 390_000]));
    for number in 0..4 {
        put(stage, &table, &number.to_string(), &[("large", large.clone())]).await;
    }
    let query = || {
        let query = stage.dynamo.query().table_name(&table).key_condition_expression("pk = :pk");
        query.expression_attribute_values(":pk", s("p")).consistent_read(true)
    };
    let first = query().send().await.unwrap();
    assert!((2..=3).contains(&first.count), "three cross the line: {}", first.count);
    assert!(first.last_evaluated_key.is_some());
    let rest = query().set_exclusive_start_key(first.last_evaluated_key).send().await.unwrap();
    assert_eq!(first.count + rest.count, 4);
}

pub(crate) async fn time_to_live_deletes_what_is_due(stage: &Stage) {
    let table = make(stage).await;
    let on = TimeToLiveSpecification::builder().attribute_name("expires_at").enabled(true).build().unwrap();
    stage.dynamo.update_time_to_live().table_name(&table).time_to_live_specification(on).send().await.unwrap();
    put(stage, &table, "due", &[("expires_at", n(stage.now() + 60))]).await;
    put(stage, &table, "later", &[("expires_at", n(stage.now() + 600))]).await;
    put(stage, &table, "never", &[]).await;
    stage.sweep();
    let left = || async {
        let scan = stage.dynamo.scan().table_name(&table).consistent_read(true).send().await.unwrap();
        let mut left: Vec<_> = scan.items().iter().map(|item| item["sk"].as_s().unwrap().clone()).collect();
        left.sort();
        left
    };
    assert_eq!(left().await, ["due", "later", "never"]);
    if !stage.sweep() {
        return;
    }
    stage.advance(Duration::from_secs(61)).await;
    stage.sweep();
    assert_eq!(left().await, ["later", "never"]);
}
